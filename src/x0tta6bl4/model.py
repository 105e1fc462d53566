"""The words of the system (docs/reference/glossary.md): frozen values, no I/O, nothing of ours imported.

Times are seconds on the monotonic clock of the process that holds the value, unless a name ends in
`_utc`. Two processes' clocks are never compared; what crosses a network carries an age.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Seconds = float
Floats = NDArray[np.float32]  # readings: [components, metrics], NaN where nothing was measured
Times = NDArray[np.float64]

NOTHING: Final[Mapping[str, object]] = {}


class Component(NamedTuple):
    """Anything measured or acted on; the core never looks inside `name`.

    A tuple, since it is what most keys of the core are made of: hashing one takes a third of a dataclass's time.

    >>> Component.parse("link/n1:v1-2>n2:v2-1")
    Component(kind='link', name='n1:v1-2>n2:v2-1')
    """

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Component:
        """Inverse of `str`; raises ValueError where there is no kind or no name."""
        kind, slash, name = text.partition("/")
        if not (kind and slash and name):
            raise ValueError(f"component: got {text!r}, allowed: KIND/NAME")
        return cls(kind, name)


class Relation(StrEnum):
    """How two components are related."""

    PART_OF = "part_of"  # source exists on target: interface on node, link on its interfaces; a broken target breaks it
    JOINS = "joins"  # source (a link) carries traffic from one target to the next: two edges, `FROM` then `TO`
    FROM = "from"
    TO = "to"


class Edge(NamedTuple):
    """One relation between two components.

    `PART_OF`: interface -> node, link -> both of its interfaces. `FROM`, `TO`: link -> the nodes it joins.
    """

    source: Component
    relation: Relation
    target: Component


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Which component is in which row and which metric in which column of an observation.

    A sensor keeps one Layout for as long as its components do not change: the loop recognises it by
    identity and then folds whole arrays.
    """

    components: tuple[Component, ...]
    metrics: tuple[str, ...]
    edges: tuple[Edge, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """All readings of one sensor in one pass, its failure to answer included.

    values: float32 [len(layout.components), len(layout.metrics)]; NaN is "not measured", never zero.
    age_s: float32, same shape or scalar; how old each value was at `at`.
    facts: what is not a number (a boot id, an algorithm's name), by component.
    """

    sensor: str
    at: Seconds
    layout: Layout
    values: Floats
    age_s: Floats | float = 0.0
    facts: Mapping[Component, Mapping[str, object]] = field(default_factory=dict)
    error: str = ""


class Severity(StrEnum):
    """How much a symptom or cause hurts users."""

    INFO = "info"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A deviation of one reading from what is expected; not by itself bad.

    score: [0, 1]; expected and spread are in the metric's unit.
    """

    component: Component
    metric: str
    value: float
    expected: float
    spread: float
    score: float
    detector: str


@dataclass(frozen=True, slots=True)
class Symptom:
    """An indication of a problem, from the catalogue: `since` is when the evidence for it began."""

    code: str
    component: Component
    since: Seconds
    value: float
    threshold: float
    metric: str
    severity: Severity = Severity.MAJOR


@dataclass(frozen=True, slots=True)
class Cause:
    """One explanation: what is wrong (`code`) with what (`component`), and which symptoms that explains."""

    code: str
    component: Component
    confidence: float  # [0, 1]
    explains: tuple[Symptom, ...]
    contradicted_by: tuple[str, ...] = ()
    behind: tuple[Component, ...] = ()  # vertices that are cut off by it
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Ranked causes for one set of symptoms; `causes[0]` is the verdict, the rest are what else it could be."""

    causes: tuple[Cause, ...]
    at: Seconds

    @property
    def cause(self) -> Cause:
        """The verdict."""
        return self.causes[0]


@dataclass(frozen=True, slots=True)
class Action:
    """One typed, idempotent operation on one component."""

    kind: str
    target: Component
    parameters: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """An action on its way to an actuator; serialisable; the same `id` twice is one order.

    deadman_s: without `confirm(id)` within this time the actuator undoes it by itself.
    expires_s: seconds after arrival past which it must not be started.
    """

    id: str
    issuer: str
    epoch: int
    action: Action
    deadman_s: Seconds
    expires_s: Seconds = 5.0
    witnesses: tuple[Component, ...] = ()  # towards whom whoever carries it out shall prove it


class Did(StrEnum):
    """What an actuator did; it says nothing about healing."""

    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    UNDONE = "undone"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the actuator did with one order. before: the settings that undo restores."""

    order: str
    did: Did
    detail: str = ""
    before: Mapping[str, float | str] = field(default_factory=dict)


class ActionState(StrEnum):
    """The life of an action (docs/explanation/actions.md)."""

    PROPOSED = "proposed"
    REFUSED = "refused"
    AWAITING = "awaiting approval"
    EXPIRED = "expired"
    INTENDED = "intended"
    APPLIED = "applied"
    PROVING = "proving"
    CONFIRMED = "confirmed"
    UNDOING = "undoing"
    UNDONE = "undone"
    UNDO_FAILED = "undo failed"

    @property
    def final(self) -> bool:
        """No step leads out of it (a confirmed mitigation still holds its lease)."""
        return self in _FINAL


_FINAL = {
    ActionState.REFUSED,
    ActionState.EXPIRED,
    ActionState.CONFIRMED,
    ActionState.UNDONE,
    ActionState.UNDO_FAILED,
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One action considered for a diagnosis, why it scored as it did, and what refused it if anything did."""

    action: Action
    score: float
    risk: float
    success_rate: float
    trials: int
    refused_by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The actions for one incident, all candidates with scores, and the probability with which the choice was made."""

    id: str
    incident: str
    at: Seconds
    candidates: tuple[Candidate, ...]
    chosen: tuple[Action, ...]
    probability: float
    context: Mapping[str, float | str]
    context_version: int


@dataclass(frozen=True, slots=True)
class ActionRecord:
    """One action as it stands on disk. `key` = (incident, kind, target, attempt) makes reissue impossible."""

    id: str
    incident: str
    attempt: int
    action: Action
    state: ActionState
    at: Seconds  # last change
    proposed_at: Seconds
    applied_at: Seconds | None = None
    confirmed_at: Seconds | None = None
    before: Mapping[str, float | str] = field(default_factory=dict)
    lease: bool = False  # a confirmed mitigation that has not been reverted yet
    well_since: Seconds | None = None  # how long what the mitigation avoids has been well, out of path
    witnesses: tuple[Component, ...] = ()  # vertices towards which the data plane must be well
    watch: tuple[Component, ...] = ()  # what must be well, out of path, before a mitigation is taken back
    hold_s: Seconds = 0.0  # for how long
    detail: str = ""
    origin: str = ""

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What must never be issued twice."""
        return (self.incident, self.action.kind, str(self.action.target), self.attempt)


class IncidentState(StrEnum):
    """Open until its symptoms stayed away for the hold-down and the data plane is proven well."""

    OPEN = "open"
    MITIGATED = "mitigated"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Incident:
    """The tracked episode of one cause."""

    id: str
    origin: str
    seq: int
    opened_at: Seconds
    diagnosis: Diagnosis
    state: IncidentState = IncidentState.OPEN
    since: Seconds = 0.0  # when the evidence began
    quiet_since: Seconds | None = None  # when its last symptom went away
    closed_at: Seconds | None = None
    reopened: int = 0
    acted: bool = False
    opened_utc: float = 0.0
    note: str = ""
    acknowledged_utc: float = 0.0  # when a person said that they have seen it; 0 where nobody did
    acknowledged_by: str = ""
    escalated: str = ""  # what was left behind that only a person can take back; it stays open until one closes it

    @property
    def cause(self) -> Cause:
        """The verdict of its diagnosis."""
        return self.diagnosis.cause

    @property
    def severity(self) -> Severity:
        """The worst of its symptoms; critical where it escalated."""
        if self.escalated:
            return Severity.CRITICAL
        return max((s.severity for s in self.cause.explains), key=list(Severity).index, default=Severity.INFO)


@dataclass(frozen=True, slots=True)
class Risk:
    """A latent weakness: nothing hurts yet. `remedy` says what an operator would do."""

    code: str
    component: Component
    title: str
    remedy: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Window:
    """Expected trouble: maintenance or a reboot of a component (everything part of it included)."""

    component: Component
    start: Seconds
    end: Seconds
    reason: str
    id: str = ""  # of one that a person declared


@dataclass(frozen=True, slots=True)
class Event:
    """What the loop says to the outside, in order: `type` is `incident.opened`, `action.applied`, ..."""

    seq: int
    at: Seconds
    origin: str
    type: str
    incident: str = ""
    component: str = ""
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Iteration:
    """Everything one pass saw, thought and did: the unit of storage, tracing and golden tests."""

    number: int
    at: Seconds
    readings: int  # how many values were folded
    errors: Mapping[str, str]  # sensor -> why it gave nothing
    anomalies: tuple[Anomaly, ...]
    symptoms: tuple[Symptom, ...]
    incidents: tuple[Incident, ...]  # open ones, and those closed in this pass
    risks: tuple[Risk, ...]
    plans: tuple[Plan, ...]
    actions: tuple[ActionRecord, ...]  # changed in this pass
    events: tuple[Event, ...]
    phase_s: Mapping[str, Seconds]  # how long each phase took
    late: tuple[str, ...] = ()  # sensors whose reading was dropped: the one before had not ended
