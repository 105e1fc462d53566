"""Explanations in English."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from x0tta6bl4.ml.explanation.facts import Bound, Evidence, Facts, Quote, Refusal, Rival, Step
from x0tta6bl4.ml.explanation.values import Section
from x0tta6bl4.ml.explanation.words import Titles, bracketed, day, figure, lapse, moment, quoted
from x0tta6bl4.ml.similar import Record, Remedy, Similar
from x0tta6bl4.model import ActionState, Seconds

_KINDS: Final = {"adjacency": "link", "link": "link", "partition": "part"}
_EXPECTED: Final = {
    Bound.BELOW: "expected: below {}",
    Bound.ABOVE: "expected: above {}",
    Bound.USUAL: "expected: less than {} above what is usual",
    Bound.SCORE: "expected: a deviation score below {}",
    Bound.NONE: "threshold: {}",
}
_STATES: Final = {
    ActionState.PROPOSED: "is proposed",
    ActionState.REFUSED: "was not done",
    ActionState.AWAITING: "waits for a person to approve it",
    ActionState.EXPIRED: "was not done",
    ActionState.INTENDED: "is about to be done",
    ActionState.APPLIED: "was done and is not proven yet",
    ActionState.PROVING: "was done and is being proven",
    ActionState.UNDOING: "is being taken back",
    ActionState.UNDO_FAILED: "could not be taken back, a person has to do it",
}


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.0f} %"


class English:
    """`words.Words` in English. titles: the catalogue's words."""

    language = "en"
    headings: Mapping[str, str] = {
        Section.WRONG: "What is wrong",
        Section.WHY: "Why we believe so",
        Section.BEFORE: "What was seen before",
        Section.DONE: "What was done, and did it help",
        Section.BY_HAND: "What to do by hand",
        Section.UNCERTAIN: "What is uncertain",
        "": "Sources",
    }

    def __init__(self, titles: Titles) -> None:
        self._titles = titles

    def _title(self, key: str) -> str:
        return bracketed(self._titles.get(key, ""))

    def _at(self, component: str) -> str:
        kind, _, name = component.partition("/")
        return quoted(f"{_KINDS.get(kind, kind)} {name}")

    def _lapse(self, seconds: Seconds) -> str:
        return " ".join(f"{number} {unit}" for number, unit in lapse(seconds))

    def what(self, facts: Facts) -> str:
        """What is wrong with what."""
        kind = facts.component.partition("/")[0]
        said = self._titles.get(f"cause/{facts.cause}/{kind}", "")
        head = f"{facts.cause} at {self._at(facts.component)}" + (f": {said}" if said else "")
        return f"{head}; severity {facts.severity.value}, confidence {_percent(facts.confidence)}."

    def found(self, detail: str) -> str:
        """What the analyzer said about it."""
        return f"The analysis says: “{quoted(detail)}”."

    def behind(self, components: Sequence[str]) -> str:
        """Who is cut off by it."""
        return f"Cut off by it: {', '.join(map(self._at, components))}."

    def when(self, facts: Facts) -> str:
        """When it was opened, how soon, and how it stands."""
        when = f" on {moment(facts.opened_utc)}" if facts.opened_utc else ""
        head = f"The incident was opened{when}, {self._lapse(facts.detect_s)} after the first sign"
        if facts.open_s is not None:
            return f"{head}, and closed after {self._lapse(facts.open_s)}."
        return f"{head}; it is {facts.state}."

    def symptom(self, evidence: Evidence) -> str:
        """One reading against what is expected."""
        value = "without a value" if evidence.value is None else figure(evidence.value)
        expected = _EXPECTED[evidence.bound].format(figure(evidence.threshold))
        return (
            f"{evidence.code}{self._title(f'symptom/{evidence.code}')} on {self._at(evidence.component)}: "
            f"{evidence.metric}{self._title(f'metric/{evidence.metric}')} is {value}, {expected}; "
            f"the evidence began {self._lapse(evidence.before_s)} before the incident was opened."
        )

    def more(self, count: int) -> str:
        """Symptoms that are not listed one by one."""
        return f"{count} more {'symptom fits' if count == 1 else 'symptoms fit'}."

    def _remedies(self, record: Record) -> str:
        helped = [f"{self._remedy(one)} ({one.helped} of {one.known})" for one in record.remedies if one.helped]
        said = f"; helped: {', '.join(helped)}" if helped else "; no action is known to have helped"
        if record.median_s is None:
            return said
        return f"{said}, median {self._lapse(record.median_s)} from the first sign to the proof"

    def _remedy(self, remedy: Remedy) -> str:
        return f"{remedy.kind} on {self._at(remedy.target)}" if remedy.target else remedy.kind

    def repeats(self, record: Record) -> str:
        """How often the same was there, and what helped."""
        times = "once" if record.times == 1 else f"{'at least ' if record.more else ''}{record.times} times"
        return f"The same was seen {times}, last on {day(record.last_utc)}{self._remedies(record)}."

    def like(self, record: Record, nearest: Similar) -> str:
        """Incidents that resemble it, and what helped."""
        least = "At least " if record.more else ""
        count = "1 incident was" if record.times == 1 else f"{least}{record.times} incidents were"
        past = nearest.past
        return (
            f"{count} like it, the nearest on {day(past.ended_utc)}: {past.cause} at {self._at(past.component)}"
            f"{self._remedies(record)}."
        )

    def useless(self, remedies: Sequence[Remedy]) -> str:
        """What never helped."""
        said = [f"{self._remedy(one)} (0 of {one.known})" for one in remedies]
        return f"Did not help then: {', '.join(said)}."

    def new(self) -> str:
        """Nothing like it is remembered."""
        return "No incident like it is remembered."

    def refused(self, refusal: Refusal) -> str:
        """What a guard kept from being done."""
        reason = f": “{quoted(refusal.reason)}”" if refusal.reason else ""
        return f"{refusal.kind} on {self._at(refusal.target)} was refused by {quoted(refusal.guard)}{reason}."

    def step(self, step: Step) -> str:
        """What was done, how it stands, and its proof."""
        values = ", ".join(
            f"{name} = {value if isinstance(value, str) else figure(value)}" for name, value in step.parameters
        )
        head = f"{step.kind}{self._title(f'action/{step.kind}')} on {', '.join(map(self._at, step.targets))}"
        head += f" with {quoted(values)}" if values else ""
        return f"{head} {self._stands(step)}."

    def _stands(self, step: Step) -> str:
        said = f"“{quoted(step.detail)}”" if step.detail else ""
        proved = "" if step.proved_s is None else f" {self._lapse(step.proved_s)} after the first sign"
        if step.state is ActionState.CONFIRMED:
            held = "; it is held until what it avoids is well again" if step.lease else ""
            return f"was done and proven{proved}{bracketed(said)}{held}"
        if step.state is ActionState.UNDONE and step.proved_s is not None:
            state = f"was done, proven{proved}, and later taken back"
        elif step.state is ActionState.UNDONE:
            state = "was done, not proven, and taken back" if step.applied else "was taken back"
        else:
            state = _STATES[step.state]
        return f"{state}: {said}" if said else state

    def helped(self, kinds: Sequence[str], *, good: bool) -> str:
        """What healed, or did not."""
        head = f"{' and '.join(kinds)} "
        return head + ("helped: the incident was closed after the proof." if good else "did not help.")

    def pending(self, kinds: Sequence[str]) -> str:
        """It is too early to say what helped."""
        return f"Whether {' and '.join(kinds)} helped is known when the incident is closed."

    def nothing_done(self) -> str:
        """Nothing was done."""
        return "Nothing was done about it."

    def seen(self, by: str) -> str:
        """A person has seen it."""
        return f"{quoted(by) or 'A person'} has seen it."

    def note(self, note: str) -> str:
        """Why it was closed."""
        return f"It was closed: “{quoted(note)}”."

    def own(self, own: Quote) -> str:
        """What operators' own pages say about it."""
        return f"Your own page “{quoted(own.title)}” says: “{quoted(own.text)}”."

    def no_page(self, code: str) -> str:
        """No runbook is known."""
        return f"No runbook has a page on {code}."

    def foreign_page(self) -> str:
        """The runbook has no page in this language."""
        return "The runbook's page is in another language."

    def against(self, what: str) -> str:
        """What speaks against the cause."""
        return f"Against it speaks: {quoted(what)}."

    def rival(self, rival: Rival) -> str:
        """What else it could be."""
        where, sure = self._at(rival.component), _percent(rival.confidence)
        return f"It could also be {rival.code} at {where} (confidence {sure})."

    def missing(self, codes: Sequence[str]) -> str:
        """What the cause needs and nobody read."""
        said = [code + self._title(f"symptom/{code}") for code in codes]
        return f"Expected, but not read: {', '.join(said)}."

    def no_value(self, evidence: Evidence) -> str:
        """A reading without a value."""
        return f"{evidence.metric} of {self._at(evidence.component)} has no value."

    def silent(self, sensor: str, why: str) -> str:
        """A sensor that gives nothing."""
        return f"The sensor {quoted(sensor)} gives nothing now: “{quoted(why)}”."

    def certain(self) -> str:
        """Nothing else explains it."""
        return "Nothing else explains it, and nothing that the cause needs is missing."
