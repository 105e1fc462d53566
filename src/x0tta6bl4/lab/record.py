"""What one lab run leaves behind: the only input of the score. Times are seconds of the lab's monotonic time from
the start of the run (virtual in `sim`). Serialisable to JSON without loss (`to_json`, `from_json`).
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Truth:
    """What was really broken. `component` as text; `code` is the cause's code in network/catalog.py."""

    code: str
    component: str


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """One injected fault. kind_class: "hard", "soft" or "primary". touches: nodes whose links it changed."""

    id: str
    kind: str
    kind_class: str
    start: float
    end: float
    truth: Truth
    repairable: bool
    touches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PairRecord:
    """The lab's own end-to-end probes of one client pair: one 1,300-byte request each 50 ms.

    rtt_ms[i] belongs to the request sent at sent[i]; NaN where no answer came within 2 s.
    excused: intervals [start, end) in which an end is dead or physically cut off from the other, by ground truth.
    path_touched: instants at which a timeline event changed a link of the path that this pair used just before: as the
    simulator knows it, or as `paths.path_touched` takes it to be on a real kernel.
    """

    source: str
    target: str
    sent: list[float]
    rtt_ms: list[float]
    excused: list[tuple[float, float]]
    path_touched: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a node's settings as the lab's kernel saw it: `what` is e.g. "detach", "hop_penalty"."""

    at: float
    node: str
    component: str
    what: str
    value: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run of one scenario.

    events: (arrival time, event as a dict with keys type, incident, component, data, origin) in order of arrival.
    settings_start / settings_end: node -> setting -> value, at the start and at hold cap + 30 s after the last fault.
    touched: (time, nodes of the links that the timeline changed then, background reboots included).
    """

    scenario: str
    backend: str
    algorithm: str
    tuning: str
    management: str
    seed: int
    controller: bool
    duration: float
    faults: list[FaultRecord]
    pairs: list[PairRecord]
    events: list[tuple[float, dict[str, object]]]
    steps: list[Step]
    touched: list[tuple[float, tuple[str, ...]]]
    settings_start: dict[str, dict[str, str]]
    settings_end: dict[str, dict[str, str]]
    invalid: str = ""  # why this run does not count, e.g. guest timer lag
    healthy_hours: float = 0.0
    notes: dict[str, float] = field(default_factory=dict)
