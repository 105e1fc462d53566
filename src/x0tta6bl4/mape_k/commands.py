"""What people ask of a running loop: approve, reject, acknowledge, close, pause, set autonomy, expect trouble.

Any thread posts a command; the loop's own thread carries it out at the start of its next pass, and its answer comes
once what it changed is kept. Each function takes (loop, now, ...), returns a value or raises: `Unknown`, `Conflict`,
or ConfigError for a value that is not allowed. A command that raises has changed nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from x0tta6bl4.catalog import Autonomy, Proposal
from x0tta6bl4.errors import ConfigError, X0tError
from x0tta6bl4.mape_k.guards import refusal
from x0tta6bl4.model import ActionRecord, ActionState, Component, Event, Incident, Seconds, Window

if TYPE_CHECKING:
    from x0tta6bl4.mape_k.loop import Loop

T = TypeVar("T")
Command = Callable[["Loop", Seconds], T]

WINDOWS_MAX: Final = 256
CONTROL, POLICY = "control.changed", "policy.changed"
WINDOW_ADDED, WINDOW_REMOVED = "window.added", "window.removed"
STANDING: Final = (CONTROL, POLICY)
"""Types of events that hold until another one replaces them: a restarted loop takes them up again."""


class Unknown(X0tError):
    """There is nothing of this name."""


class Conflict(X0tError):
    """It is there, but in a state in which this cannot be done."""


@dataclass(frozen=True, slots=True)
class Control:
    """paused: watch and diagnose, plan nothing new. The kill switch is one of the limits that guards look at."""

    paused: bool = False
    reason: str = ""


class Commands:
    """A queue between any thread and the loop's. elsewhere: who to ask, where no loop here takes commands."""

    def __init__(self) -> None:
        self.elsewhere = ""
        self._queue: deque[tuple[Command[Any], Future[Any]]] = deque()
        self._kept: list[tuple[Future[Any], object]] = []

    def post(self, command: Command[T]) -> Future[T]:
        """Ask; the future can be cancelled until the loop has taken the command up. `Conflict` where none will."""
        answer: Future[T] = Future()
        if self.elsewhere:
            answer.set_exception(Conflict(self.elsewhere))
        else:
            self._queue.append((command, answer))
        return answer

    @property
    def waiting(self) -> bool:
        """Should a pass begin soon?"""
        return bool(self._queue)

    def drain(self, loop: Loop, now: Seconds) -> None:
        """Carry out everything that was asked; called by the loop at the start of a pass."""
        for _ in range(len(self._queue)):
            command, answer = self._queue.popleft()
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                value = command(loop, now)
            except Exception as error:  # noqa: BLE001  # the edge of the loop: who asked is told, the pass goes on
                answer.set_exception(error)
            else:
                kept = partial(self._kept.append, (answer, value))
                loop.outbox.when_kept(kept)

    def settle(self) -> None:
        """Answer what is carried out and kept; called on the loop's thread once a pass is published.

        So who asked finds in what is published next what they did.
        """
        kept, self._kept = self._kept, []
        for answer, value in kept:
            answer.set_result(value)


# -- plans and incidents ----------------------------------------------------------------------------------------------


def _awaiting(loop: Loop, action: str) -> ActionRecord:
    record = loop.executor.ledger.live.get(action)
    if record is None:
        raise Conflict(f"action {action} is over")
    if record.state is not ActionState.AWAITING:
        raise Conflict(f"action {action} is {record.state.value}, not awaiting approval")
    return record


def approve(loop: Loop, now: Seconds, action: str, reason: str) -> ActionRecord:
    """A person says yes to an action that waits; the guards judge it again, for the mesh may have changed."""
    record = _awaiting(loop, action)
    incident = loop.knowledge.open.get(record.incident)
    if incident is None or incident.quiet_since is not None:
        raise Conflict("the trouble that it was to end is over")
    if loop.control.paused:
        raise Conflict("the loop is paused: nothing new is started")
    kind = loop.parts.catalog.action[record.action.kind]
    links = record.watch if kind.avoids else ()
    proposal = Proposal(record.action, record.witnesses, record.watch, record.detail, avoids=links)
    if why := refusal(proposal, kind, loop.situation(now), loop.planner.rules):
        raise Conflict(f"refused by {why}")
    loop.executor.approve(action, now)
    loop.outbox.say("plan.approved", now, record.incident, str(record.action.target), _decided(record, reason))
    return loop.executor.ledger.live[action]


def reject(loop: Loop, now: Seconds, action: str, reason: str) -> ActionRecord:
    """A person says no; the same is not asked again for a while (`guards.not_rejected`)."""
    record = _awaiting(loop, action)
    rejected = loop.executor.reject(action, reason, now)
    loop.outbox.say("plan.rejected", now, record.incident, str(record.action.target), _decided(record, reason))
    return rejected


def _decided(record: ActionRecord, reason: str) -> dict[str, object]:
    return {"action": record.id, "kind": record.action.kind, "target": str(record.action.target), "reason": reason}


def acknowledge(loop: Loop, now: Seconds, incident: str, by: str, note: str) -> Incident:
    """A person has seen it; the loop goes on healing."""
    known = _open(loop, incident)
    utc = loop.parts.clock.utc()
    change = loop.knowledge.mark(incident, acknowledged_utc=utc, acknowledged_by=by)
    marked = known if change is None else change.incident
    loop.outbox.pending.incidents.append(marked)
    data = {"by": by, "note": note}
    loop.outbox.say("incident.acknowledged", now, incident, str(known.cause.component), data)
    return marked


def close(loop: Loop, now: Seconds, incident: str, reason: str) -> Incident:
    """Close by hand; symptoms that go on open another one. What waits for approval is rejected with it."""
    _open(loop, incident)
    mine = [record for record in loop.executor.ledger.live.values() if record.incident == incident]
    busy = next((r for r in mine if r.state not in (ActionState.AWAITING, ActionState.CONFIRMED)), None)
    if busy is not None:
        raise Conflict(f"{busy.action.kind} on {busy.action.target} is {busy.state.value}; it ends by itself soon")
    for record in mine:
        if record.state is ActionState.AWAITING:
            loop.executor.reject(record.id, reason, now)
    change = loop.knowledge.close(incident, now, f"closed by a person: {reason}")
    assert change is not None, "it was open a moment ago, on this thread"
    loop.closed.append(change)
    return change.incident


def _open(loop: Loop, incident: str) -> Incident:
    known = loop.knowledge.open.get(incident)
    if known is None:
        raise Unknown(f"no open incident {incident!r}")
    return known


# -- what holds until it is changed -----------------------------------------------------------------------------------


def set_policy(loop: Loop, now: Seconds, kind: str, level: Autonomy) -> None:
    """How much the loop may do by itself with one kind of action, from now on."""
    if kind not in loop.parts.catalog.action:
        raise Unknown(f"no action kind {kind!r}; known: {', '.join(sorted(loop.parts.catalog.action))}")
    _set_policy(loop, kind, level)
    loop.outbox.say(POLICY, now, data={"kind": kind, "level": level.value})


def _set_policy(loop: Loop, kind: str, level: Autonomy) -> None:
    loop.policies[kind] = level
    loop.limit(replace(loop.limits, autonomy={**loop.limits.autonomy, kind: level}))


def set_control(
    loop: Loop, now: Seconds, paused: bool | None, kill_switch: bool | None, reason: str
) -> dict[str, object]:
    """Pause or resume, and the kill switch; None leaves one as it is."""
    control = Control(loop.control.paused if paused is None else paused, reason)
    switch = loop.limits.kill_switch if kill_switch is None else kill_switch
    _set_control(loop, control, switch)
    held: dict[str, object] = {"paused": control.paused, "kill_switch": switch, "reason": reason}
    loop.outbox.say(CONTROL, now, data=held)
    return held


def _set_control(loop: Loop, control: Control, kill_switch: bool) -> None:
    loop.control = control
    loop.limit(replace(loop.limits, kill_switch=kill_switch))


def add_window(
    loop: Loop, now: Seconds, *, component: Component, start_in_s: Seconds, duration_s: Seconds, reason: str
) -> Window:
    """Expect trouble of a component, and of all that is part of it, for a while."""
    if not loop.knows(component):
        raise ConfigError("component", str(component), "a component that this loop has seen, as KIND/NAME")
    if len(loop.knowledge.windows) >= WINDOWS_MAX:
        raise Conflict(f"{WINDOWS_MAX} maintenance windows are declared already; remove one first")
    start = now + start_in_s
    window = Window(component, start, start + duration_s, reason, loop.parts.new_id())
    loop.expect(window)
    utc = loop.parts.clock.utc() - now
    data = {"id": window.id, "start_utc": window.start + utc, "end_utc": window.end + utc, "reason": reason}
    loop.outbox.say(WINDOW_ADDED, now, component=str(component), data=data)
    return window


def remove_window(loop: Loop, now: Seconds, window: str) -> None:
    """Expect it no longer."""
    known = next((one for one in loop.knowledge.windows if one.id == window), None)
    if known is None:
        raise Unknown(f"no maintenance window {window!r}")
    loop.knowledge.windows.remove(known)
    loop.outbox.say(WINDOW_REMOVED, now, component=str(known.component), data={"id": window})


def tell(loop: Loop, now: Seconds, events: Iterable[tuple[str, str, Mapping[str, object]]]) -> None:
    """Keep and publish what came from outside: (type, component, data) of each."""
    for kind, component, data in events:
        loop.outbox.say(kind, now, component=component, data=data)


def replay(loop: Loop, events: Iterable[Event], windows: Iterable[Window] = ()) -> None:
    """Take up what people had set before a restart: events of the types of `STANDING`, oldest first, and windows."""
    for event in events:
        data: Mapping[str, Any] = event.data
        if event.type == CONTROL:
            _set_control(loop, Control(bool(data["paused"]), str(data["reason"])), bool(data["kill_switch"]))
        elif event.type == POLICY and data["kind"] in loop.parts.catalog.action:
            _set_policy(loop, str(data["kind"]), Autonomy(str(data["level"])))
    for window in windows:
        loop.expect(window)
