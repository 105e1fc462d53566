"""The facts of one incident, as values: what an explanation is made of and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from x0tta6bl4.catalog import Catalog, Mode, SymptomRule
from x0tta6bl4.mape_k.memory import judge
from x0tta6bl4.ml.similar import Similar
from x0tta6bl4.model import (
    NOTHING,
    ActionRecord,
    ActionState,
    Component,
    Event,
    Incident,
    IncidentState,
    Plan,
    Seconds,
    Severity,
    Symptom,
)

_NEEDED: Final = (Mode.MUST, Mode.ALL, Mode.ALSO)


class Bound(StrEnum):
    """How a threshold is to be read."""

    BELOW = "below"  # well is below it
    ABOVE = "above"  # well is above it
    USUAL = "usual"  # well is less than so far above what is usual
    SCORE = "score"  # well is a baseline score below it
    NONE = "none"  # the catalogue does not know the symptom


@dataclass(frozen=True, slots=True)
class Evidence:
    """One symptom as it was read. value: None where it has none; before_s: its evidence began so long before."""

    code: str
    component: str
    metric: str
    value: float | None
    threshold: float
    bound: Bound
    before_s: Seconds


@dataclass(frozen=True, slots=True)
class Rival:
    """Another explanation that was weighed."""

    code: str
    component: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Quote:
    """What operators wrote themselves. passage: its id in the knowledge base; text: the section that fits."""

    passage: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A candidate that a guard refused."""

    kind: str
    target: str
    guard: str
    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """What was done in one way to one or more targets: `ids` are the actions, in the order of `targets`.

    proved_s: first evidence to proof, None without a proof. helped: None while that is not known.
    """

    ids: tuple[str, ...]
    kind: str
    targets: tuple[str, ...]
    parameters: tuple[tuple[str, float | str], ...]
    state: ActionState
    detail: str
    lease: bool
    applied: bool
    proved_s: Seconds | None
    helped: bool | None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything an explanation may say. Times are lengths or UTC; the same facts give the same explanation.

    opened, closed: ids of the events that said so, "" where they are not kept. silent: sensor -> why it gives nothing
    now. missing: symptoms that the cause needs and that were not read. own: what operators' own pages say about it.
    """

    incident: str
    cause: str
    component: str
    confidence: float
    severity: Severity
    detail: str
    state: str
    opened_utc: float
    detect_s: Seconds
    open_s: Seconds | None
    note: str
    seen_by: str | None
    behind: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    against: tuple[str, ...]
    rivals: tuple[Rival, ...]
    missing: tuple[str, ...]
    refusals: tuple[Refusal, ...] = ()
    steps: tuple[Step, ...] = ()
    opened: str = ""
    closed: str = ""
    past: tuple[Similar, ...] = ()
    silent: Mapping[str, str] = field(default_factory=lambda: _NO_TEXTS)
    own: Quote | None = None


_NO_TEXTS: Final[Mapping[str, str]] = {}


def facts(
    incident: Incident,
    catalog: Catalog,
    *,
    actions: Sequence[ActionRecord] = (),
    plans: Iterable[Plan] = (),
    events: Iterable[Event] = (),
    past: Sequence[Similar] = (),
    silent: Mapping[str, str] = _NO_TEXTS,
    part_of: Callable[[Component, Component], bool] = lambda component, whole: False,
    own: Quote | None = None,
) -> Facts:
    """The facts of an incident. actions, plans, events: those of the incident, in order.

    part_of: says whether a component is a part of another; a cause at a part of what is broken is no other explanation.
    """
    cause = incident.cause
    others = [one for one in incident.diagnosis.causes[1:] if not part_of(one.component, cause.component)]
    said = {event.type: f"{event.origin}/{event.seq}" for event in events if event.incident == incident.id}
    end = incident.closed_at
    return Facts(
        incident=incident.id,
        cause=cause.code,
        component=str(cause.component),
        confidence=round(cause.confidence, 3),
        severity=incident.severity,
        detail=cause.detail,
        state=incident.state.value,
        opened_utc=incident.opened_utc,
        detect_s=_length(incident.opened_at - incident.since),
        open_s=None if end is None else _length(end - incident.opened_at),
        note=incident.note,
        seen_by=incident.acknowledged_by if incident.acknowledged_utc > 0 else None,
        behind=tuple(map(str, cause.behind)),
        evidence=tuple(_evidence(s, catalog.symptom.get(s.code), incident.opened_at) for s in cause.explains),
        against=cause.contradicted_by,
        rivals=tuple(Rival(one.code, str(one.component), round(one.confidence, 3)) for one in others),
        missing=_missing(incident, catalog),
        refusals=_refusals(plans),
        steps=_steps(actions, incident),
        opened=said.get("incident.opened", ""),
        closed=said.get("incident.closed", ""),
        past=tuple(past),
        silent=dict(sorted(silent.items())),
        own=own,
    )


def _length(seconds: Seconds) -> Seconds:
    """Milliseconds are enough, and survive a change of clocks."""
    return round(max(0.0, seconds), 3)


def _evidence(symptom: Symptom, rule: SymptomRule | None, opened_at: Seconds) -> Evidence:
    if rule is None:
        bound = Bound.NONE
    elif rule.excess:
        bound = Bound.USUAL
    elif rule.score:
        bound = Bound.SCORE
    else:
        bound = Bound.BELOW if rule.above else Bound.ABOVE
    value = float(symptom.value) if math.isfinite(symptom.value) else None
    before = _length(opened_at - symptom.since)
    return Evidence(
        symptom.code, str(symptom.component), symptom.metric, value, float(symptom.threshold), bound, before
    )


def _missing(incident: Incident, catalog: Catalog) -> tuple[str, ...]:
    """Codes of what the cause needs, of which nothing was read at all."""
    rule = catalog.cause.get((incident.cause.code, incident.cause.component.kind))
    if rule is None:
        return ()
    there = {symptom.code for symptom in incident.cause.explains}
    denied = {word for text in incident.cause.contradicted_by for word in text.split()}
    needed = dict.fromkeys(expect.symptom for expect in rule.expects if expect.mode in _NEEDED)
    return tuple(code for code in needed if code not in there and code not in denied)


def _refusals(plans: Iterable[Plan]) -> tuple[Refusal, ...]:
    """Each refusal once: a long incident is planned for again and again, and the numbers in a reason change."""
    found: dict[tuple[str, str, str], Refusal] = {}
    for plan in plans:
        for candidate in plan.candidates:
            if candidate.refused_by:
                guard, _, reason = candidate.refused_by.partition(": ")
                kind, target = candidate.action.kind, str(candidate.action.target)
                found.setdefault((kind, target, guard), Refusal(kind, target, guard, reason or candidate.reason))
    return tuple(found.values())


def _steps(actions: Iterable[ActionRecord], incident: Incident) -> tuple[Step, ...]:
    """Actions that differ in their targets only are one step, at the place of the first."""
    found: dict[Step, list[Step]] = {}
    for record in actions:
        step = _step(record, incident)
        found.setdefault(replace(step, ids=(), targets=()), []).append(step)
    return tuple(
        replace(way, ids=tuple(s.ids[0] for s in alike), targets=tuple(s.targets[0] for s in alike))
        for way, alike in found.items()
    )


def _step(record: ActionRecord, incident: Incident) -> Step:
    trial = judge(None, record, incident)
    parameters = (record.action.parameters or NOTHING).items()
    return Step(
        (record.id,),
        record.action.kind,
        (str(record.action.target),),
        tuple(sorted((name, value if isinstance(value, str) else float(value)) for name, value in parameters)),  # type: ignore[arg-type]
        record.state,
        record.detail,
        record.lease and incident.state is not IncidentState.CLOSED,  # what an agent says later is not of this incident
        record.applied_at is not None,
        None if record.confirmed_at is None else _length(record.confirmed_at - incident.since),
        trial.success if trial else None,
    )
