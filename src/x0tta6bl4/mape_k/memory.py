"""The store in dictionaries, for loops that need no disk; and how outcomes are judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from x0tta6bl4.errors import StoreError
from x0tta6bl4.model import ActionRecord, ActionState, Event, Incident, IncidentState, Iteration, Plan

_TAKEN_BACK = (ActionState.UNDONE, ActionState.UNDO_FAILED)


@dataclass(frozen=True, slots=True)
class Trial:
    """One action that was applied, judged by what became of its incident; `success` is None until that is known.

    cause: what the incident was taken for when the action was applied ("" where the incident is unknown).
    """

    action: str
    incident: str
    cause: str
    kind: str
    target: str
    success: bool | None = None


def judge(trial: Trial | None, record: ActionRecord, incident: Incident | None) -> Trial | None:
    """The trial of an action as it stands now; None where it was never applied.

    It succeeded where it was confirmed and its incident is closed; it failed where it was taken back without proof,
    or where the incident came back after it had been closed. A failure stays one.
    """
    if record.applied_at is None:
        return trial
    cause = (trial.cause if trial else "") or (incident.cause.code if incident else "")
    before = trial.success if trial else None
    closed = incident is not None and incident.state is IncidentState.CLOSED
    if before is False or (before and not closed):
        success: bool | None = False
    elif record.confirmed_at is None:
        success = False if record.state in _TAKEN_BACK else None
    else:
        success = True if closed else None
    return Trial(record.id, record.incident, cause, record.action.kind, str(record.action.target), success)


def unfinished(record: ActionRecord) -> bool:
    """Whether a restarted loop must go on with the action: not final, or a mitigation whose lease still holds."""
    return not record.state.final or (record.state is ActionState.CONFIRMED and record.lease)


def decided(iteration: Iteration) -> bool:
    """Whether anything was decided in a pass; only those are kept."""
    return bool(iteration.events or iteration.plans or iteration.actions)


class MemoryStore:
    """`ports.Store` in dictionaries; everything is lost with the process.

    origin: stands in events that name none. One thread at a time.
    """

    def __init__(self, origin: str = "") -> None:
        self.origin = origin
        self.epoch = 1
        self._incidents: dict[str, Incident] = {}
        self._actions: dict[str, ActionRecord] = {}
        self._keys: dict[tuple[str, str, str, int], str] = {}
        self._of_incident: dict[str, set[str]] = {}
        self._plans: dict[str, Plan] = {}
        self._events: dict[tuple[str, int], Event] = {}
        self._iterations: dict[int, Iteration] = {}
        self._trials: dict[str, Trial] = {}

    def commit(
        self,
        *,
        incidents: Sequence[Incident] = (),
        actions: Sequence[ActionRecord] = (),
        plans: Sequence[Plan] = (),
        events: Sequence[Event] = (),
        iterations: Sequence[Iteration] = (),
    ) -> None:
        """Keep all of it or nothing; raises StoreError where an action or an event was issued before."""
        keys = self._checked_keys(actions)
        numbered = self._checked_events(events)
        self._keys.update(keys)
        self._events.update(numbered)
        self._incidents.update({incident.id: incident for incident in incidents})
        for record in actions:
            self._actions[record.id] = record
            self._of_incident.setdefault(record.incident, set()).add(record.id)
        for plan in plans:
            self._plans.setdefault(plan.id, plan)
        for iteration in filter(decided, iterations):
            self._iterations.setdefault(iteration.number, iteration)
        self._judge({incident.id for incident in incidents} | {record.incident for record in actions})

    def _checked_keys(self, actions: Sequence[ActionRecord]) -> dict[tuple[str, str, str, int], str]:
        keys: dict[tuple[str, str, str, int], str] = {}
        for record in actions:
            holder = keys.setdefault(record.key, self._keys.get(record.key, record.id))
            if holder != record.id:
                raise StoreError(f"store: action {record.key} was issued before, as {holder}; nothing was kept")
        return keys

    def _checked_events(self, events: Sequence[Event]) -> dict[tuple[str, int], Event]:
        numbered: dict[tuple[str, int], Event] = {}
        for event in events:
            number = (event.origin or self.origin, event.seq)
            kept = numbered.setdefault(number, self._events.get(number, replace(event, origin=number[0])))
            if (kept.type, kept.incident, kept.component) != (event.type, event.incident, event.component):
                raise StoreError(f"store: event {number} was used before, by {kept.type}; nothing was kept")
        return numbered

    def _judge(self, touched: set[str]) -> None:
        for incident in touched:
            for action in self._of_incident.get(incident, ()):
                trial = judge(self._trials.get(action), self._actions[action], self._incidents.get(incident))
                if trial is not None:
                    self._trials[action] = trial

    def open_incidents(self) -> Sequence[Incident]:
        """Incidents that are not closed, oldest first."""
        still = (incident for incident in self._incidents.values() if incident.state is not IncidentState.CLOSED)
        return sorted(still, key=lambda incident: (incident.opened_at, incident.id))

    def open_actions(self) -> Sequence[ActionRecord]:
        """Actions that are not final, and confirmed mitigations whose lease is not reverted; oldest first."""
        still = (record for record in self._actions.values() if unfinished(record))
        return sorted(still, key=lambda record: (record.proposed_at, record.id))

    def statistics(self) -> Mapping[tuple[str, str], tuple[int, int]]:
        """(cause code, action kind) -> (trials whose result is known, those of them that healed for good)."""
        trials: Counter[tuple[str, str]] = Counter()
        healed: Counter[tuple[str, str]] = Counter()
        for trial in self._trials.values():
            if trial.success is not None and trial.cause:
                trials[trial.cause, trial.kind] += 1
                healed[trial.cause, trial.kind] += trial.success
        return {key: (count, healed[key]) for key, count in trials.items()}

    def events(self, after_seq: int = -1, limit: int = 1000, source: str | None = None) -> Sequence[Event]:
        """Events of one source (by default this store's origin) with a sequence above `after_seq`, in order."""
        wanted = self.origin if source is None else source
        numbers = sorted(number for name, number in self._events if name == wanted and number > after_seq)
        return [self._events[wanted, number] for number in numbers[:limit]]

    def past_actions(self, limit: int = 200) -> Sequence[ActionRecord]:
        """The last actions, ended ones too, oldest first."""
        return sorted(self._actions.values(), key=lambda record: record.at)[-limit:]

    def last_event(self, source: str | None = None) -> int:
        """The highest event sequence of a source; 0 where there is none. A restarted loop counts on from it."""
        wanted = self.origin if source is None else source
        return max((number for name, number in self._events if name == wanted), default=0)
