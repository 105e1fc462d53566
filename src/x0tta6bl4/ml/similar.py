"""Past incidents that resemble this one: fingerprints to compare by, and what helped then.

The same cause at the same component is a repeat. Others are alike as far as their fingerprints and, where a retriever
measured it, their texts are; older ones count less. After RCACopilot (EuroSys 2024): 93 % of repeats come within 20
days, and similarity times a decay in time finds them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Final

from x0tta6bl4.errors import ProtocolError
from x0tta6bl4.mape_k.memory import judge
from x0tta6bl4.ml.place import Place, Role
from x0tta6bl4.ml.retrieval.values import RetrievalResult
from x0tta6bl4.model import ActionRecord, Incident, IncidentState, Seconds

VERSION: Final = 1
LIKE: Final = 0.55  # from this similarity on, another incident is worth a person's time
LIKE_MAX: Final = 5
REPEATS_MAX: Final = 500  # as many are read and counted; of more, "at least" is said
TEXT_SHARE: Final = 0.25  # of the similarity, where a retriever measured the texts
HALF_LIFE_DAYS: Final = 20.0
DECAY_SHARE: Final = 0.3  # how much of the similarity age can take away
DAY_S: Final = 86_400.0
# Shares of a fingerprint's similarity; they sum to 1.
_CAUSE, _SYMPTOMS, _ROLES, _PLACE, _KIND, _ALGORITHM = 0.4, 0.25, 0.12, 0.08, 0.1, 0.05
_NO_TEXT: Final[Mapping[str, float]] = {}


@dataclass(frozen=True, slots=True)
class Tried:
    """One action that was applied. helped: None while that is not known; after_s: first evidence to proof."""

    kind: str
    target: str
    helped: bool | None
    after_s: Seconds | None = None


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """An incident as it is compared: what, where in the graph, what was tried and what came of it.

    component: KIND/NAME. algorithm: of the routing, "" where there is none. open_s: first evidence to closing, None
    while it is open. ended_utc: 0 while it is open.
    """

    incident: str
    cause: str
    component: str
    symptoms: frozenset[str]
    place: Place = field(default_factory=Place)
    behind: int = 0
    algorithm: str = ""
    tried: tuple[Tried, ...] = ()
    open_s: Seconds | None = None
    ended_utc: float = 0.0

    def encode(self) -> dict[str, Any]:
        """As a JSON document with its version."""
        place = {**asdict(self.place), "roles": sorted(self.place.roles)}
        document = {**asdict(self), "symptoms": sorted(self.symptoms), "place": place}
        return {"version": VERSION, **document, "tried": [asdict(one) for one in self.tried]}

    @classmethod
    def decode(cls, document: Mapping[str, Any]) -> Fingerprint:
        """Inverse of `encode`; raises ProtocolError for another version and for what is no fingerprint."""
        if document.get("version") != VERSION:
            raise ProtocolError(f"fingerprint: version {document.get('version')!r}, allowed: {VERSION}")
        try:
            fields = {name: value for name, value in document.items() if name != "version"}
            place = dict(fields["place"])
            fields["place"] = Place(**{**place, "roles": frozenset(map(Role, place["roles"]))})
            fields["symptoms"] = frozenset(fields["symptoms"])
            fields["tried"] = tuple(Tried(**one) for one in fields["tried"])
            return cls(**fields)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProtocolError(f"fingerprint: {str(document)[:200]!r}: {error}") from error


def fingerprint(incident: Incident, actions: Iterable[ActionRecord], place: Place, algorithm: str = "") -> Fingerprint:
    """The fingerprint of an incident. actions: those of the incident, in order."""
    closed = incident.state is IncidentState.CLOSED and incident.closed_at is not None
    open_s = round(incident.closed_at - incident.since, 3) if closed and incident.closed_at is not None else None
    ended = incident.opened_utc + incident.closed_at - incident.opened_at if closed and incident.closed_at else 0.0
    return Fingerprint(
        incident.id,
        incident.cause.code,
        str(incident.cause.component),
        frozenset(symptom.code for symptom in incident.cause.explains),
        place,
        len(incident.cause.behind),
        algorithm,
        tuple(_tried(incident, record) for record in actions if record.applied_at is not None),
        open_s,
        round(ended, 3),
    )


def _tried(incident: Incident, record: ActionRecord) -> Tried:
    trial = judge(None, record, incident)
    proved = None if record.confirmed_at is None else round(record.confirmed_at - incident.since, 3)
    return Tried(record.action.kind, str(record.action.target), trial.success if trial else None, proved)


@dataclass(frozen=True, slots=True)
class Similar:
    """A past incident that resembles this one. repeat: the same cause at the same component; score: [0, 1]."""

    past: Fingerprint
    score: float
    repeat: bool


def similar(
    incident: Fingerprint, history: Iterable[Fingerprint], now: float, text: Mapping[str, float] = _NO_TEXT
) -> list[Similar]:
    """Repeats, newest first, then at most `LIKE_MAX` incidents like it, most alike first.

    now: seconds since 1970; what ended later is left out, so that an old incident is seen with the eyes of its time.
    text: incident -> how similar its text is, [0, 1] (see `text_similarity`); empty where nobody measured it.
    """
    repeats: list[Similar] = []
    like: list[Similar] = []
    for past in history:
        if past.incident == incident.incident or not 0 < past.ended_utc <= now:
            continue
        if past.cause == incident.cause and past.component == incident.component:
            repeats.append(Similar(past, 1.0, repeat=True))
            continue
        score = _alike(incident, past)
        if text:
            score = (1 - TEXT_SHARE) * score + TEXT_SHARE * text.get(past.incident, 0.0)
        if score >= LIKE:  # age only takes away
            score *= 1 - DECAY_SHARE * (1 - 0.5 ** ((now - past.ended_utc) / DAY_S / HALF_LIFE_DAYS))
            if score >= LIKE:
                like.append(Similar(past, round(score, 3), repeat=False))
    repeats.sort(key=_newest)
    like.sort(key=lambda one: (-one.score, *_newest(one)))
    return [*repeats, *like[:LIKE_MAX]]


def _newest(one: Similar) -> tuple[float, str]:
    return (-one.past.ended_utc, one.past.incident)


def _alike(one: Fingerprint, other: Fingerprint) -> float:
    """[0, 1]; what is unknown on both sides is the same."""
    score = _SYMPTOMS * _share(one.symptoms, other.symptoms)
    if one.cause == other.cause:
        score += _CAUSE
    elif not score:
        return 0.0  # nothing in common that matters
    if one.algorithm == other.algorithm:
        score += _ALGORITHM
    if one.component.partition("/")[0] == other.component.partition("/")[0]:
        score += _KIND
    return score + _ROLES * _share(one.place.roles, other.place.roles) + _PLACE * one.place.near(other.place)


def _share(one: frozenset[Any], other: frozenset[Any]) -> float:
    """Jaccard's share of what either has that both have."""
    if one == other:
        return 1.0
    both = len(one & other)
    return both / (len(one) + len(other) - both)


def text_similarity(found: RetrievalResult) -> dict[str, float]:
    """What a search among past incidents said, as `similar` takes it: incident -> how similar its text is."""
    return {
        str(document.metadata["incident"]): similarity
        for document, similarity in zip(found, found.similarities, strict=True)
        if "incident" in document.metadata
    }


@dataclass(frozen=True, slots=True)
class Remedy:
    """What an action came to: how often it helped of how many times it is known. target: "" for any."""

    kind: str
    target: str
    helped: int
    known: int


@dataclass(frozen=True, slots=True)
class Record:
    """Several past incidents in one line. median_s: first evidence to proof, of what helped; None where nothing did.

    more: there may be more than were counted.
    """

    times: int
    more: bool
    last_utc: float
    remedies: tuple[Remedy, ...]
    median_s: Seconds | None


def record(incidents: Sequence[Similar]) -> Record:
    """Sum up what is known of past incidents, the best remedy first; targets are named where all are repeats."""
    known: Counter[tuple[str, str]] = Counter()
    helped: Counter[tuple[str, str]] = Counter()
    took: list[Seconds] = []
    for one in incidents:
        for tried in one.past.tried:
            if tried.helped is not None:
                key = (tried.kind, tried.target if one.repeat else "")
                known[key] += 1
                helped[key] += tried.helped
                if tried.helped and tried.after_s is not None:
                    took.append(tried.after_s)
    remedies = [Remedy(*key, helped[key], count) for key, count in known.items()]
    remedies.sort(key=lambda one: (-one.helped / one.known, -one.known, one.kind, one.target))
    last = max((one.past.ended_utc for one in incidents), default=0.0)
    more = len(incidents) >= (REPEATS_MAX if all(one.repeat for one in incidents) else LIKE_MAX)
    return Record(len(incidents), more, last, tuple(remedies), round(median(took), 3) if took else None)
