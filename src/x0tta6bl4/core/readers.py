"""What the API, the live view and the command line read: the last snapshot, recent incidents and a ring of events.

One thread publishes, any number reads. Readers get immutable values; the lock is held for a few dictionary
operations and never while something is sent, so that no reader can hold the loop back.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, replace
from itertools import islice

from x0tta6bl4.core.view import MeshView
from x0tta6bl4.model import (
    Action,
    ActionRecord,
    ActionState,
    Component,
    Event,
    Incident,
    IncidentState,
    Iteration,
    Plan,
    Risk,
)

EVENTS_MAX = 2048  # about an hour of a troubled mesh; a listener that falls further behind is dropped
INCIDENTS_MAX = 512
TIMELINE_MAX = 256  # events kept for one incident
PLANS_MAX = 32


@dataclass(frozen=True, slots=True)
class Numbered:
    """An event with its place in this process's stream (an event's own `seq` counts for its origin only)."""

    number: int
    event: Event


@dataclass(frozen=True, slots=True)
class IncidentFile:
    """Everything told so far about one incident."""

    incident: Incident
    events: tuple[Numbered, ...] = ()
    plans: tuple[Plan, ...] = ()
    actions: tuple[ActionRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The last pass. `passes` counts those published so far; `risks` are as of this pass."""

    iteration: Iteration
    view: MeshView
    passes: int
    risks: tuple[Risk, ...] = ()


def _action_of(event: Event) -> ActionRecord | None:
    """An agent's action as its events tell of it; its parameters stay with the agent."""
    data = event.data
    state = str(data.get("state", ""))
    if not event.type.startswith("action.") or "id" not in data or state not in set(ActionState):
        return None
    return ActionRecord(
        id=str(data["id"]),
        incident=event.incident,
        attempt=1,
        action=Action(str(data.get("kind", "")), Component.parse(str(data["target"]))),
        state=ActionState(state),
        at=event.at,
        proposed_at=event.at,
        lease=bool(data.get("lease", False)),
        detail=str(data.get("detail", "")),
        origin=str(data.get("node", event.origin)),
    )


class Readers:
    """Thread-safe holder of what was published last, and of bounded history."""

    def __init__(self, *, events_max: int = EVENTS_MAX, incidents_max: int = INCIDENTS_MAX) -> None:
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._events: deque[Numbered] = deque(maxlen=events_max)
        self._number = 0
        self._files: OrderedDict[str, IncidentFile] = OrderedDict()
        self._incidents_max = incidents_max

    def publish(self, iteration: Iteration, view: MeshView) -> None:
        """Take in one pass; the work grows only with what changed in it."""
        with self._lock:
            passes = self._snapshot.passes + 1 if self._snapshot is not None else 1
            for incident in iteration.incidents:
                self._file(incident)
            for plan in iteration.plans:
                self._add_plan(plan)
            for event in iteration.events:
                self._number += 1
                self._add_event(Numbered(self._number, event))
            for action in iteration.actions:  # after the events: our own records know more
                self._add_action(action)
            self._snapshot = Snapshot(iteration, view, passes, iteration.risks)

    def _file(self, incident: Incident) -> None:
        known = self._files.get(incident.id)
        self._files[incident.id] = replace(known, incident=incident) if known else IncidentFile(incident)
        if len(self._files) > self._incidents_max:
            # The oldest closed one goes; open ones are never forgotten.
            closed = next((i for i, f in self._files.items() if f.incident.state is IncidentState.CLOSED), None)
            if closed is not None:
                del self._files[closed]

    def _add_plan(self, plan: Plan) -> None:
        known = self._files.get(plan.incident)
        if known is not None:
            self._files[plan.incident] = replace(known, plans=(*known.plans, plan)[-PLANS_MAX:])

    def _add_action(self, action: ActionRecord) -> None:
        known = self._files.get(action.incident)
        if known is not None:
            actions = {one.id: one for one in known.actions}
            before = actions.get(action.id)
            actions[action.id] = replace(action, proposed_at=before.proposed_at) if before is not None else action
            self._files[action.incident] = replace(known, actions=tuple(actions.values()))

    def _add_event(self, numbered: Numbered) -> None:
        self._events.append(numbered)
        told = _action_of(numbered.event)
        if told is not None:
            self._add_action(told)
        known = self._files.get(numbered.event.incident)
        if known is not None:
            self._files[numbered.event.incident] = replace(known, events=(*known.events, numbered)[-TIMELINE_MAX:])

    def snapshot(self) -> Snapshot | None:
        """The last pass; None before the first."""
        return self._snapshot

    def incidents(self) -> list[IncidentFile]:
        """All that are remembered, newest first."""
        with self._lock:
            return list(reversed(self._files.values()))

    def incident(self, incident_id: str) -> IncidentFile | None:
        """One incident by its id."""
        with self._lock:
            return self._files.get(incident_id)

    def last_number(self) -> int:
        """Number of the newest event; 0 before the first."""
        return self._number

    def events(self, after: int, limit: int = 256) -> tuple[list[Numbered], int]:
        """Events numbered above `after`, oldest first, at most `limit`, and how many between were already dropped."""
        with self._lock:
            if not self._events or after >= self._number:
                return [], 0
            oldest = self._events[0].number
            lost = max(0, oldest - after - 1)
            start = max(0, after + 1 - oldest)
            return list(islice(self._events, start, start + limit)), lost
