"""What a pass of the loop looks like to the caller: its state and records as results; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

from x0tta6bl4.mape_k.baseline import WARM_UP
from x0tta6bl4.mape_k.loop import Loop
from x0tta6bl4.ml.actions import Answer
from x0tta6bl4.ml.results import (
    Alternative,
    Analysis,
    Decision,
    Deviation,
    Execution,
    Judgement,
    Monitoring,
    Passage,
    Planning,
    Ran,
)
from x0tta6bl4.ml.service import METRIC, SYMPTOMS, GivenReadings, Readings, metric, service
from x0tta6bl4.model import ActionRecord, ActionState, Candidate, Incident, Plan, Seconds

BOUNDS_DETECTOR = "bounds/1"


def timestamp(loop: Loop) -> str:
    """Now, as ISO 8601 in UTC."""
    return datetime.fromtimestamp(loop.parts.clock.utc(), UTC).isoformat(timespec="milliseconds")


def learning(loop: Loop, given: GivenReadings, component: str, readings: Readings) -> dict[str, int]:
    """Samples seen of each reading without bounds of which too little was seen to call anything unusual."""
    baseline = loop.baselines[METRIC]
    slots = {
        name: baseline.table.slot[metric(component, name)]
        for name, value in readings.items()
        if name not in given.bounds and value is not None
    }
    return {name: seen for name, slot in slots.items() if (seen := int(baseline.seen[0, slot])) < WARM_UP}


def deviations(loop: Loop, given: GivenReadings, component: str, readings: Readings) -> tuple[Deviation, ...]:
    """What is not as expected in these readings, strongest first."""
    names = {metric(component, name): name for name, value in readings.items() if value is not None}
    unusual = [
        Deviation(names[a.component], readings[names[a.component]] or 0.0, a.expected, a.spread, a.score, a.detector)
        for a in loop.baselines[METRIC].anomalies(given.at)
        if a.component in names
    ]
    outside = []
    for name, (low, high) in given.bounds.items():
        value = readings.get(name)
        if value is not None and not low <= value <= high:
            outside.append(Deviation(name, value, low if value < low else high, 0.0, 1.0, BOUNDS_DETECTOR))
    return tuple(sorted((*outside, *unusual), key=lambda d: d.score, reverse=True))


def monitoring(loop: Loop, given: GivenReadings, component: str, readings: Readings) -> Monitoring:
    """The readings of this pass."""
    odd = deviations(loop, given, component, readings)
    young = learning(loop, given, component, readings)
    missing = tuple(name for name, value in readings.items() if value is None)
    if odd:
        reason = ", ".join(f"{d.metric} is {d.value:g}, expected {d.expected:g}" for d in odd)
    elif young:
        seen = ", ".join(f"{name} {count} of {WARM_UP} samples" for name, count in young.items())
        reason = f"learning what is usual: {seen}"
    else:
        reason = "nothing was measured" if len(missing) == len(readings) else "as expected"
    return Monitoring(
        component=component,
        metrics=MappingProxyType(dict(readings)),
        anomaly_detected=bool(odd),
        confidence=odd[0].score if odd else 0.0,
        timestamp=timestamp(loop),
        anomaly=odd[0] if odd else None,
        anomalies=odd,
        not_measured=missing,
        learning=MappingProxyType(young),
        reason=reason,
    )


def incident_of(loop: Loop, component: str) -> Incident | None:
    """The open incident of a component."""
    wanted = service(component)
    return next((i for i in loop.knowledge.open.values() if i.cause.component == wanted), None)


def symptoms_of(loop: Loop, component: str, names: Iterable[str]) -> tuple[str, ...]:
    """Raised now, each as `METRIC CODE`."""
    return tuple(
        f"{name} {code}" for name in names for code in SYMPTOMS if loop.symptoms.active(code, metric(component, name))
    )


def analysis(
    loop: Loop, monitoring: Monitoring, symptoms: Sequence[str], *, query: str, passages: Sequence[Passage], error: str
) -> Analysis:
    """What is wrong with one component."""
    incident = incident_of(loop, monitoring.component)
    return Analysis(
        query=query,
        monitoring_data=monitoring,
        knowledge_context=passages,
        confidence=0.0 if incident is None else incident.cause.confidence,
        timestamp=timestamp(loop),
        incident="" if incident is None else incident.id,
        symptoms=symptoms,
        reason=monitoring.reason if incident is None else ", ".join(symptoms) or "all readings are well again",
        knowledge_error=error,
    )


def planning(
    loop: Loop,
    analysis: Analysis,
    plans: Mapping[str, Plan],
    record: ActionRecord | None,
    available: Collection[str],
) -> Planning:
    """The decision of this pass. plans: each incident's newest; record: the action that is under way."""
    incident = loop.knowledge.open.get(analysis.incident)
    candidates: Sequence[Candidate] = ()
    chosen: Candidate | None = None
    decision = Decision.NONE
    if record is not None and record.state is not ActionState.INTENDED:
        decision, reasoning = Decision.JUDGING, f"{record.action.kind} has not been judged yet"
    elif record is not None:
        candidates = plans[record.incident].candidates
        chosen = next(c for c in candidates if c.action == record.action)
        decision, reasoning = Decision.ACT, _reasoning(chosen)
    elif incident is None:
        reasoning = f"no incident is open: {analysis.reason}"
    elif incident.quiet_since is not None:
        reasoning = "all readings are well again; the incident closes when they stay so"
    elif not available:
        reasoning = "something is wrong, no action is available"
    else:
        plan = plans.get(incident.id)
        candidates = tuple(c for c in plan.candidates if c.action.kind in available) if plan else ()
        chosen = next((c for c in candidates if not c.refused_by), None)
        if chosen is not None:
            decision, reasoning = Decision.ADVISED, _reasoning(chosen)
        else:
            decision = Decision.REFUSED if candidates else Decision.NONE
            reasoning = "; ".join(f"{c.action.kind}: {c.refused_by}" for c in candidates) or "these actions rest"
    return Planning(
        decision=decision,
        selected_action=None if chosen is None else chosen.action.kind,
        confidence=0.0 if chosen is None else chosen.success_rate,
        reasoning=reasoning,
        alternatives=tuple(_alternative(c) for c in candidates if c is not chosen),
        timestamp=timestamp(loop),
    )


def _alternative(candidate: Candidate) -> Alternative:
    return Alternative(
        candidate.action.kind, candidate.score, candidate.success_rate, candidate.trials, candidate.refused_by
    )


def _reasoning(chosen: Candidate) -> str:
    record = f"it helped in {round(chosen.success_rate * (chosen.trials + 2) - 1)} of {chosen.trials} judged attempts"
    return f"{chosen.reason}; {record if chosen.trials else 'it has not been judged before'}"


def execution(
    loop: Loop, action: str | None, answer: Answer, *, took_s: Seconds, context: Mapping[str, object]
) -> Execution:
    """What became of the decision."""
    return Execution(
        action=action,
        execution_success={Ran.DONE: True, Ran.FAILED: False}.get(answer.ran),
        outcome=answer.ran,
        base_output=answer.value,
        adapted_output=answer.value,
        adaptation_applied=False,
        detail=answer.detail,
        duration_s=took_s,
        timestamp=timestamp(loop),
        context=MappingProxyType(dict(context)),
    )


def judgements(loop: Loop, records: Iterable[ActionRecord]) -> tuple[Judgement, ...]:
    """Actions whose judgement fell in this pass; without readings since, or an actuator, nobody can tell."""
    found = []
    for record in records:
        if record.state in (ActionState.CONFIRMED, ActionState.UNDO_FAILED):
            known = record.action.kind in loop.executor.by_kind and _heard(loop, record)
            helped = record.state is ActionState.CONFIRMED if known else None
            found.append(Judgement(record.action.kind, record.incident, helped, record.detail))
    return tuple(found)


def _heard(loop: Loop, record: ActionRecord) -> bool:
    """Was anything that judges it measured since it was carried out?"""
    applied, now = record.applied_at, record.at
    return applied is not None and any(now - loop.state.age_s(part, now) > applied for part in record.watch)


def overall(judged: Sequence[Judgement]) -> bool | None:
    """Did all that was judged help? None where nothing was judged, or nobody can tell."""
    verdicts = [j.helped for j in judged]
    if False in verdicts:
        return False
    return None if None in verdicts or not verdicts else True


def detector_state(loop: Loop, given: GivenReadings) -> Mapping[str, object]:
    """What the baseline has learned: expectation, spread and samples by COMPONENT/METRIC."""
    baseline = loop.baselines[METRIC]
    learned = {
        part.name: {
            "expected": float(baseline.mean[0, slot]),
            "spread": float(baseline.spread[0, slot]),
            "samples": int(baseline.seen[0, slot]),
        }
        for slot, part in enumerate(baseline.table.components)
        if slot < baseline.mean.shape[1] and baseline.seen[0, slot]
    }
    return {"name": baseline.name, "warm_up": WARM_UP, "metrics": learned, "bounds": dict(given.bounds)}
