"""What the API, the live view and the command line read: the last snapshot, recent incidents and a ring of events.

One thread publishes, any number reads. Readers get immutable values; the lock is held for a few dictionary
operations and never while something is sent, so that no reader can hold the loop back.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from x0tta6bl4.mape_k.memory import decided
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
    Seconds,
    Symptom,
)

if TYPE_CHECKING:
    from x0tta6bl4.core.view import MeshView

EVENTS_MAX = 2048  # about an hour of a troubled mesh; a listener that falls further behind is dropped
INCIDENTS_MAX = 512
TIMELINE_MAX = 256  # events kept for one incident
PLANS_MAX = 32
PASSES_MAX = 1000  # passes that decided something
_TOUCHED = (ActionState.APPLIED, ActionState.PROVING, ActionState.CONFIRMED)  # an event before may have been lost


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
class Verdict:
    """What was believed of one incident in a pass."""

    incident: str
    state: str
    cause: str
    component: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass that decided something, as it is remembered: not what it read but what it thought and did.

    actions: (id, state) of those that changed. events: their numbers in the loop's own count.
    """

    epoch: int
    number: int
    at: Seconds
    at_utc: float
    readings: int
    phase_s: Mapping[str, float]
    errors: Mapping[str, str]
    symptoms: tuple[Symptom, ...]
    verdicts: tuple[Verdict, ...]
    plans: tuple[str, ...]
    actions: tuple[tuple[str, str], ...]
    events: tuple[int, ...]
    anomalies: int
    risks: int

    @property
    def id(self) -> str:
        """EPOCH-NUMBER."""
        return f"{self.epoch}-{self.number}"


def pass_of(one: Iteration, at_utc: float) -> Pass:
    """What is remembered of an iteration of this process, which has no store and so is its own epoch."""
    return Pass(
        epoch=1,
        number=one.number,
        at=one.at,
        at_utc=at_utc,
        readings=one.readings,
        phase_s=one.phase_s,
        errors=one.errors,
        symptoms=one.symptoms,
        verdicts=tuple(
            Verdict(i.id, i.state.value, i.cause.code, str(i.cause.component), i.cause.confidence)
            for i in one.incidents
        ),
        plans=tuple(plan.id for plan in one.plans),
        actions=tuple((record.id, record.state.value) for record in one.actions),
        events=tuple(event.seq for event in one.events),
        anomalies=len(one.anomalies),
        risks=len(one.risks),
    )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The last pass. `passes` counts those published so far; `risks` are as of this pass."""

    iteration: Iteration
    view: MeshView
    passes: int
    risks: tuple[Risk, ...] = ()


def action_of(event: Event, before: ActionRecord | None = None) -> ActionRecord | None:
    """An agent's action as its events tell of it; its parameters stay with the agent.

    before: the same as the events before told of it; what it once was (applied, confirmed) is not forgotten.
    """
    data = event.data
    state = str(data.get("state", ""))
    if not event.type.startswith("action.") or "id" not in data or state not in set(ActionState):
        return None
    applied_at, confirmed_at = (None, None) if before is None else (before.applied_at, before.confirmed_at)
    return ActionRecord(
        id=str(data["id"]),
        incident=event.incident,
        attempt=1,
        action=Action(str(data.get("kind", "")), Component.parse(str(data["target"]))),
        state=ActionState(state),
        at=event.at,
        proposed_at=event.at if before is None else before.proposed_at,
        applied_at=event.at if applied_at is None and state in _TOUCHED else applied_at,
        confirmed_at=event.at if confirmed_at is None and state == ActionState.CONFIRMED else confirmed_at,
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
        self._passes: deque[Pass] = deque(maxlen=PASSES_MAX)
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
            if decided(iteration):
                self._passes.append(pass_of(iteration, time.time() if view.at_utc is None else view.at_utc))
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
        known = self._files.get(numbered.event.incident)
        actions = {} if known is None else {one.id: one for one in known.actions}
        told = action_of(numbered.event, actions.get(str(numbered.event.data.get("id"))))
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

    def leases(self) -> list[ActionRecord]:
        """Mitigations that are held, as far as was told."""
        with self._lock:
            return [record for file in self._files.values() for record in file.actions if record.lease]

    def passes(self) -> list[Pass]:
        """Passes that decided something, newest first."""
        with self._lock:
            return list(reversed(self._passes))

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
