"""What leaves the loop: what one pass commits together, and the documents that its events carry."""

from __future__ import annotations

from dataclasses import dataclass, field

from x0tta6bl4.model import ActionRecord, Event, Incident, Plan, Seconds


@dataclass
class Batch:
    """What one pass wants to keep: committed together, then published."""

    incidents: list[Incident] = field(default_factory=list)
    actions: list[ActionRecord] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.incidents or self.actions or self.plans or self.events)


def incident_data(incident: Incident, now: Seconds) -> dict[str, object]:
    """An incident's verdict as an event tells it."""
    return {
        "code": incident.cause.code,
        "component": str(incident.cause.component),
        "detail": incident.cause.detail,
        "causes": [
            {"code": c.code, "component": str(c.component), "confidence": c.confidence}
            for c in incident.diagnosis.causes
        ],
        "symptoms": [f"{s.code} on {s.component}" for s in incident.cause.explains[:20]],
        "since_age_s": round(now - incident.since, 3),
        "note": incident.note,
    }


def action_data(record: ActionRecord) -> dict[str, object]:
    """An action as it stands."""
    return {
        "id": record.id,
        "kind": record.action.kind,
        "target": str(record.action.target),
        "state": record.state.value,
        "node": record.origin,
        "attempt": record.attempt,
        "parameters": dict(record.action.parameters),
        "lease": record.lease,
        "detail": record.detail,
    }


def plan_data(plan: Plan) -> dict[str, object]:
    """A plan with all its candidates."""
    return {
        "id": plan.id,
        "chosen": [a.kind for a in plan.chosen],
        "candidates": [
            {
                "kind": c.action.kind,
                "target": str(c.action.target),
                "score": c.score,
                "refused_by": c.refused_by,
                "reason": c.reason,
            }
            for c in plan.candidates
        ],
    }
