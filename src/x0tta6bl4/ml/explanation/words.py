"""How a language says the facts: one method for each kind of sentence; titles come from the catalogue's words."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from x0tta6bl4.catalog import Catalog
from x0tta6bl4.ml.explanation.facts import Evidence, Facts, Quote, Refusal, Rival, Step
from x0tta6bl4.ml.similar import Record, Remedy, Similar
from x0tta6bl4.model import Seconds

QUOTE_MAX: Final = 240  # characters of a foreign text; more of it is a log, not a reason
UNSEEN: Final = {"Cc", "Cf", "Cs", "Co", "Cn"}  # control, format (bidi, zero-width), surrogate, private, unassigned
_NO_CITATION: Final = str.maketrans("[]", "()")  # brackets stand around citations only

Titles = Mapping[str, str]
"""cause/CODE/KIND, symptom/CODE, action/KIND, metric/NAME -> in the language's words."""


class Words(Protocol):
    """One language. Laws: pure; no locale; each method gives one sentence, `headings` one for each section and ""."""

    language: str
    headings: Mapping[str, str]

    def what(self, facts: Facts) -> str:
        """What is wrong with what."""
        ...

    def found(self, detail: str) -> str:
        """What the analyzer said about it."""
        ...

    def behind(self, components: Sequence[str]) -> str:
        """Who is cut off by it."""
        ...

    def when(self, facts: Facts) -> str:
        """When it was opened, how soon, and how it stands."""
        ...

    def symptom(self, evidence: Evidence) -> str:
        """One reading against what is expected."""
        ...

    def more(self, count: int) -> str:
        """Symptoms that are not listed one by one."""
        ...

    def repeats(self, record: Record) -> str:
        """How often the same was there, and what helped."""
        ...

    def like(self, record: Record, nearest: Similar) -> str:
        """Incidents that resemble it, and what helped."""
        ...

    def useless(self, remedies: Sequence[Remedy]) -> str:
        """What never helped."""
        ...

    def new(self) -> str:
        """Nothing like it is remembered."""
        ...

    def refused(self, refusal: Refusal) -> str:
        """What a guard kept from being done."""
        ...

    def step(self, step: Step) -> str:
        """What was done, how it stands, and its proof."""
        ...

    def helped(self, kinds: Sequence[str], *, good: bool) -> str:
        """What healed, or did not."""
        ...

    def pending(self, kinds: Sequence[str]) -> str:
        """It is too early to say what helped."""
        ...

    def nothing_done(self) -> str:
        """Nothing was done."""
        ...

    def seen(self, by: str) -> str:
        """A person has seen it."""
        ...

    def note(self, note: str) -> str:
        """Why it was closed."""
        ...

    def own(self, own: Quote) -> str:
        """What operators' own pages say about it."""
        ...

    def no_page(self, code: str) -> str:
        """No runbook is known."""
        ...

    def foreign_page(self) -> str:
        """The runbook has no page in this language."""
        ...

    def against(self, what: str) -> str:
        """What speaks against the cause."""
        ...

    def rival(self, rival: Rival) -> str:
        """What else it could be."""
        ...

    def missing(self, codes: Sequence[str]) -> str:
        """What the cause needs and nobody read."""
        ...

    def no_value(self, evidence: Evidence) -> str:
        """A reading without a value."""
        ...

    def silent(self, sensor: str, why: str) -> str:
        """A sensor that gives nothing."""
        ...

    def certain(self) -> str:
        """Nothing else explains it."""
        ...


def titles(catalog: Catalog) -> dict[str, str]:
    """The catalogue's own words, in English."""
    parted = f"cause/{catalog.partition}/{catalog.partition}"  # the one cause that is no rule of a catalogue
    return {
        parted: "a part is cut off from the rest",
        **{f"cause/{rule.code}/{rule.kind}": rule.title for rule in catalog.causes},
        **{f"symptom/{rule.code}": rule.title for rule in catalog.symptoms},
        **{f"action/{kind.kind}": kind.title for kind in catalog.actions},
        **{f"metric/{metric.name}": metric.title for metric in catalog.metrics},
    }


def visible(text: str) -> str:
    """A text in one line, without control and bidi characters; square brackets, which mean citations, become round."""
    printed = (letter for letter in text if letter.isspace() or unicodedata.category(letter) not in UNSEEN)
    return " ".join("".join(printed).split()).translate(_NO_CITATION)


def quoted(text: str) -> str:
    r"""A text that came from outside, made visible and not too long.

    >>> quoted("a\u202e\nb" + "\x1b[31m red")
    'a b(31m red'
    """
    line = visible(text)
    return line if len(line) <= QUOTE_MAX else line[: QUOTE_MAX - 1] + "…"


def bracketed(text: str) -> str:
    """A title in brackets after what it explains; "" for none."""
    return f" ({text})" if text else ""


def figure(value: float) -> str:
    """A measured value with four significant digits, never in powers of ten.

    >>> figure(0.4123456), figure(250.0), figure(1234567.0), figure(0.000012)
    ('0.4123', '250', '1234567', '0.000012')
    """
    if value == int(value):
        return str(int(value))
    text = f"{value:.4g}"
    return f"{value:.0f}" if "e+" in text else f"{value:.6f}".rstrip("0") if "e-" in text else text


def lapse(seconds: Seconds) -> list[tuple[str, str]]:
    """A length of time as at most two (number, unit) with units d, h, min, s.

    >>> lapse(2.1), lapse(75), lapse(7200.2)
    ([('2.1', 's')], [('1', 'min'), ('15', 's')], [('2', 'h')])
    """
    if round(seconds, 1) < 60:
        return [(f"{seconds:.1f}", "s")]
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    whole = round(seconds)
    first = next(index for index, (_, size) in enumerate(units) if whole >= size)
    parts = []
    for unit, size in units[first : first + 2]:
        count, whole = divmod(whole, size)
        if count:
            parts.append((str(count), unit))
    return parts


def moment(utc: float) -> str:
    """A time for people, to the second."""
    return datetime.fromtimestamp(utc, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def day(utc: float) -> str:
    """The day of a time, in UTC."""
    return datetime.fromtimestamp(utc, UTC).strftime("%Y-%m-%d")
