"""What the library's steps return: frozen values that are mappings too, so that `r.planning` is `r["planning"]`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum, StrEnum
from typing import Final

BASELINE: Final = "baseline"
"""`source` of everything that no learned model had a part in."""


class Result(Mapping[str, object]):
    """A frozen dataclass as a mapping from its field names; equal to every mapping with the same items."""

    def __getitem__(self, key: str) -> object:
        if key not in self:
            raise KeyError(key)
        value: object = getattr(self, key)
        return value

    def __contains__(self, key: object) -> bool:
        return any(f.name == key for f in fields(self))  # type: ignore[arg-type]  # every subclass is a dataclass

    def __iter__(self) -> Iterator[str]:
        return (f.name for f in fields(self))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(fields(self))  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, object]:
        """A JSON document: what JSON cannot say (an object that an action returned) becomes its `repr`."""
        return {name: _plain(self[name]) for name in self}


def _plain(value: object) -> object:
    match value:
        case Result():
            return value.to_dict()
        case Enum():
            return value.value
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return repr(value)


@dataclass(frozen=True, eq=False)
class Deviation(Result):
    """One reading that is not as expected.

    score: [0, 1]; expected: what is usual, or the bound that was crossed; spread: the usual deviation, 0 for a bound.
    detector: what found it, with its version.
    """

    metric: str
    value: float
    expected: float
    spread: float
    score: float
    detector: str


@dataclass(frozen=True, eq=False)
class Monitoring(Result):
    """The readings of one iteration and what is odd about them.

    anomaly: the strongest of `anomalies`. confidence: its score; 0.0 where there is none. not_measured: metrics
    whose reading was None, NaN or infinite. learning: metric -> samples seen, for metrics without bounds of which
    too little was seen to call anything unusual; reason says so in words.
    """

    component: str
    metrics: Mapping[str, float | None]
    anomaly_detected: bool
    confidence: float
    timestamp: str
    anomaly: Deviation | None
    anomalies: Sequence[Deviation]
    not_measured: Sequence[str]
    learning: Mapping[str, int]
    reason: str
    source: str = BASELINE


@dataclass(frozen=True, eq=False)
class Passage(Result):
    """One retrieved document. similarity: as its retriever scores it."""

    id: str
    content: str
    similarity: float


@dataclass(frozen=True, eq=False)
class Analysis(Result):
    """What is wrong by these and earlier readings, and what the knowledge base says about it.

    incident: "" where nothing is wrong. confidence: of the diagnosis, [0, 1]; 0.0 where there is none.
    knowledge_error: why no passages came, "" where they did or nobody was asked.
    """

    query: str
    monitoring_data: Monitoring
    knowledge_context: Sequence[Passage]
    confidence: float
    timestamp: str
    incident: str
    symptoms: Sequence[str]
    reason: str
    knowledge_error: str = ""
    source: str = BASELINE


class Decision(StrEnum):
    """What was decided in one iteration."""

    ACT = "act"  # an action was chosen and is executed in this iteration
    ADVISED = "advised"  # the best action has no callable: it is for a person
    JUDGING = "judging"  # an earlier action has not been judged yet; meanwhile nothing else is tried
    REFUSED = "refused"  # every action was refused by a guard; `alternatives` say why
    NONE = "none"  # nothing is wrong, or there is nothing to choose from; `reasoning` says which


@dataclass(frozen=True, eq=False)
class Alternative(Result):
    """One action that was considered. success_rate: posterior mean (Beta(1, 1) prior) over `trials` judged attempts."""

    action: str
    score: float
    success_rate: float
    trials: int
    refused_by: str = ""


@dataclass(frozen=True, eq=False)
class Planning(Result):
    """Which action was chosen and why. confidence: its success rate so far; 0.0 where none was chosen."""

    decision: Decision
    selected_action: str | None
    confidence: float
    reasoning: str
    alternatives: Sequence[Alternative]
    timestamp: str
    source: str = BASELINE


class Ran(StrEnum):
    """What became of the callable of an action; nothing of it says that it helped."""

    DONE = "done"  # it returned
    FAILED = "failed"  # it raised
    UNKNOWN = "unknown"  # it did not answer in time, or was cancelled: nobody can tell
    ADVISED = "advised"  # there is no callable; nothing was done
    WAITING = "waiting"  # chosen, but the store could not keep the intent yet; nothing was done
    NONE = "none"  # no action was chosen


@dataclass(frozen=True, eq=False)
class Execution(Result):
    """What was done. execution_success: True where the callable returned, False where it raised, else None.

    base_output: what the callable returned; adapted_output: the same while nothing is adapted
    (`adaptation_applied`). context: what the caller passed along.
    """

    action: str | None
    execution_success: bool | None
    outcome: Ran
    base_output: object
    adapted_output: object
    adaptation_applied: bool
    detail: str
    duration_s: float
    timestamp: str
    context: Mapping[str, object] = field(default_factory=dict)
    source: str = BASELINE


@dataclass(frozen=True, eq=False)
class Judgement(Result):
    """An earlier action, judged by the readings of this iteration. helped: None where nobody can tell."""

    action: str
    incident: str
    helped: bool | None
    detail: str


@dataclass(frozen=True, eq=False)
class KnowledgeUpdate(Result):
    """What was learned. judged: actions whose judgement fell in this iteration. stored: everything is in the store.

    reported_success, reported_reward: what the caller said about it, if anything.
    """

    judged: Sequence[Judgement]
    events: Sequence[str]
    open_incidents: int
    stored: bool
    error: str
    timestamp: str
    reported_success: bool | None = None
    reported_reward: float | None = None
    source: str = BASELINE


@dataclass(frozen=True, eq=False)
class IterationResult(Result):
    """One iteration of the loop.

    overall_success: about actions of *earlier* iterations, judged by the readings of this one: True where all that
    were judged now had helped, False where one had not, None where none was judged or nobody can tell. What a
    callable of this iteration returned is in `execution` and does not count.
    """

    monitoring: Monitoring
    analysis: Analysis
    planning: Planning
    execution: Execution
    knowledge_update: KnowledgeUpdate
    overall_success: bool | None
    timestamp: str


@dataclass(frozen=True, eq=False)
class Statistics(Result):
    """What a system has seen and learned.

    detector: name and, for each COMPONENT/METRIC, what is usual. decisions: action -> judged trials and successes.
    """

    iterations: int
    detector: Mapping[str, object]
    decisions: Mapping[str, Mapping[str, int]]
    retrieval: bool
    adaptation_applied: bool
    open_incidents: int
    timestamp: str
    source: str = BASELINE
