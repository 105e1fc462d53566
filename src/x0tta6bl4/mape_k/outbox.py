"""What leaves the loop: what one pass commits together, and the documents that its events carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Final

from x0tta6bl4.model import ActionRecord, Event, Incident, Plan, Seconds
from x0tta6bl4.ports import Store, Worker

STORE_LANE: Final = "store"


@dataclass
class Batch:
    """What one pass wants to keep: committed together, then published.

    told: events that were published before, by somebody else. when_kept: called once all of it is kept.
    """

    incidents: list[Incident] = field(default_factory=list)
    actions: list[ActionRecord] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    told: list[Event] = field(default_factory=list)
    when_kept: list[Callable[[], object]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in _LISTS)


_LISTS: Final = tuple(one.name for one in fields(Batch))


class Outbox:
    """What waits to be kept, what is being kept now, and what was said since it is kept.

    emit: called with each event once it is committed.
    """

    def __init__(self, store: Store, worker: Worker, origin: str, emit: Callable[[Event], None]) -> None:
        self._store, self._worker, self._origin, self.emit = store, worker, origin, emit
        self.pending, self._flying = Batch(), Batch()
        self._published: list[Event] = []
        self._seq = store.last_event()

    def say(
        self,
        kind: str,
        now: Seconds,
        incident: str = "",
        component: str = "",
        data: Mapping[str, object] | None = None,
    ) -> None:
        """Add an event of this loop."""
        self._seq += 1
        self.pending.events.append(Event(self._seq, now, self._origin, kind, incident, component, data or {}))

    def keep(self, event: Event) -> None:
        """Add an event of another loop that is published already: the history of its incident is to have it."""
        self._seq += 1
        self.pending.told.append(replace(event, seq=self._seq, origin=self._origin))

    def when_kept(self, call: Callable[[], object]) -> None:
        """Call it once all that is pending is kept."""
        self.pending.when_kept.append(call)

    def commit(self) -> bool:
        """Begin to keep what waits, unless something is being kept; False where nothing was begun."""
        if not self.pending or self._flying:
            return False
        batch, store = self.pending, self._store
        started = self._worker.start(
            STORE_LANE,
            "commit",
            lambda: store.commit(
                incidents=batch.incidents,
                actions=batch.actions,
                plans=batch.plans,
                events=[*batch.events, *batch.told],
            ),
        )
        if started:
            self._flying, self.pending = batch, Batch()
        return started

    def committed(self, result: object) -> Batch | None:
        """A commit ended: publish what it held and return that; None where it failed, and it waits again."""
        batch, self._flying = self._flying, Batch()
        if isinstance(result, BaseException):  # nothing is lost: it goes in front of what came since
            for name in _LISTS:
                getattr(self.pending, name)[:0] = getattr(batch, name)
            return None
        for event in batch.events:
            self._published.append(event)
            self.emit(event)
        for call in batch.when_kept:
            call()
        return batch

    @property
    def empty(self) -> bool:
        """Is everything that was said kept?"""
        return not (self.pending or self._flying)

    def take_published(self) -> tuple[Event, ...]:
        """Events that were published since the last question."""
        published, self._published = tuple(self._published), []
        return published


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
        "severity": incident.severity.value,
        "escalated": incident.escalated,
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
