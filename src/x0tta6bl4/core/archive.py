"""History as the API reads it: incidents, actions, plans, passes and readings, newest first, in bounded pages.

`Memory` answers from what this process remembers; `core.store.archive` from the store, where the loop has one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from x0tta6bl4.core.readers import IncidentFile, Pass, Readers
from x0tta6bl4.core.samples import Samples
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.model import ActionRecord, ActionState, Component, IncidentState, Plan, Seconds

T = TypeVar("T")

PlanState = Literal[
    "refused",
    "advised",
    "awaiting approval",
    "expired",
    "intended",
    "applied",
    "proving",
    "confirmed",
    "undoing",
    "undone",
    "undo failed",
]


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """Which incidents; None and "" are all."""

    state: IncidentState | None = None
    cause: str = ""
    component: str = ""
    acknowledged: bool | None = None

    def takes(self, file: IncidentFile) -> bool:
        """Does this incident match everything given?"""
        incident = file.incident
        return (
            self.state in (None, incident.state)
            and self.cause in ("", incident.cause.code)
            and self.component in ("", str(incident.cause.component))
            and self.acknowledged in (None, incident.acknowledged_utc > 0)
        )


@dataclass(frozen=True, slots=True)
class ActionFilter:
    """Which actions; None and "" are all."""

    incident: str = ""
    state: ActionState | None = None
    kind: str = ""

    def takes(self, record: ActionRecord) -> bool:
        """Does this action match everything given?"""
        return (
            self.incident in ("", record.incident)
            and self.state in (None, record.state)
            and self.kind in ("", record.action.kind)
        )


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A plan and the action that it became; None where it was refused or only advised."""

    plan: Plan
    action: ActionRecord | None = None

    @property
    def state(self) -> str:
        """The state of its action; "refused" or "advised" where it became none."""
        if self.action is not None:
            return self.action.state.value
        return "advised" if self.plan.chosen else "refused"


@dataclass(frozen=True, slots=True)
class Point:
    """One reading, or one minute of them (`raw` False: mean, minimum, maximum), `age_s` ago."""

    age_s: Seconds
    value: float
    low: float
    high: float
    raw: bool


class Archive(Protocol):
    """History. Laws: newest first; `cursor` is the id of the last item of the page before, "" for the first page.

    Raises ConfigError for a cursor that is not known (any more), StoreError where the store cannot be read. May
    block: called from worker threads.
    """

    def incidents(self, wanted: IncidentFilter, cursor: str, limit: int) -> Sequence[IncidentFile]:
        """Incidents that match."""
        ...

    def incident(self, ident: str) -> IncidentFile | None:
        """One incident."""
        ...

    def actions(self, wanted: ActionFilter, cursor: str, limit: int) -> Sequence[ActionRecord]:
        """Actions that match."""
        ...

    def action(self, ident: str) -> ActionRecord | None:
        """One action."""
        ...

    def plans(self, state: str, cursor: str, limit: int) -> Sequence[PlanFile]:
        """Plans in a state; "" is all."""
        ...

    def plan(self, ident: str) -> PlanFile | None:
        """One plan."""
        ...

    def passes(self, at_utc: float | None, cursor: str, limit: int) -> Sequence[Pass]:
        """Passes that decided something, from the last one at or before `at_utc` backwards."""
        ...

    def one_pass(self, number: int, epoch: int | None = None) -> Pass | None:
        """The pass of this number in an epoch; by default the newest (numbers begin anew with each process)."""
        ...

    def readings(self, component: Component, metric: str, since_s: Seconds) -> Sequence[Point]:
        """One metric of one component over the last `since_s`, oldest first; empty where nothing is known of it."""
        ...


def behind(items: Sequence[T], key: Callable[[T], str], cursor: str, limit: int) -> list[T]:
    """The items of a list that follow `cursor`; raises ConfigError where no item has that key."""
    start = 0
    if cursor:
        place = next((place for place, item in enumerate(items) if key(item) == cursor), None)
        if place is None:
            raise ConfigError("cursor", cursor[:64], "`next` of a page of this list")
        start = place + 1
    return list(items[start : start + limit])


def became(plan: Plan, actions: Sequence[ActionRecord]) -> ActionRecord | None:
    """The action that a plan became: proposed in the plan's pass, for its choice."""
    return next(
        (a for a in actions if a.incident == plan.incident and a.proposed_at == plan.at and a.action in plan.chosen),
        None,
    )


class Memory:
    """`Archive` over what this process remembers."""

    def __init__(self, readers: Readers, samples: Samples) -> None:
        self._readers, self._samples = readers, samples

    def incidents(self, wanted: IncidentFilter, cursor: str, limit: int) -> Sequence[IncidentFile]:
        """Incidents that match."""
        every = self._readers.incidents()  # the cursor may be one that does not match
        older = behind(every, lambda file: file.incident.id, cursor, len(every))
        return [file for file in older if wanted.takes(file)][:limit]

    def incident(self, ident: str) -> IncidentFile | None:
        """One incident."""
        return self._readers.incident(ident)

    def _actions(self) -> list[ActionRecord]:
        found = [record for file in self._readers.incidents() for record in file.actions]
        return sorted(found, key=lambda record: (record.proposed_at, record.id), reverse=True)

    def actions(self, wanted: ActionFilter, cursor: str, limit: int) -> Sequence[ActionRecord]:
        """Actions that match."""
        found = [record for record in self._actions() if wanted.takes(record)]
        return behind(found, lambda record: record.id, cursor, limit)

    def action(self, ident: str) -> ActionRecord | None:
        """One action."""
        return next((record for record in self._actions() if record.id == ident), None)

    def _plans(self) -> list[PlanFile]:
        found = [PlanFile(p, became(p, file.actions)) for file in self._readers.incidents() for p in file.plans]
        return sorted(found, key=lambda one: (one.plan.at, one.plan.id), reverse=True)

    def plans(self, state: str, cursor: str, limit: int) -> Sequence[PlanFile]:
        """Plans in a state."""
        found = [one for one in self._plans() if state in ("", one.state)]
        return behind(found, lambda one: one.plan.id, cursor, limit)

    def plan(self, ident: str) -> PlanFile | None:
        """One plan."""
        return next((one for one in self._plans() if one.plan.id == ident), None)

    def passes(self, at_utc: float | None, cursor: str, limit: int) -> Sequence[Pass]:
        """Passes that decided something."""
        found = [one for one in self._readers.passes() if at_utc is None or one.at_utc <= at_utc]
        return behind(found, lambda one: one.id, cursor, limit)

    def one_pass(self, number: int, epoch: int | None = None) -> Pass | None:
        """One pass."""
        return next(
            (one for one in self._readers.passes() if one.number == number and epoch in (None, one.epoch)), None
        )

    def readings(self, component: Component, metric: str, since_s: Seconds) -> Sequence[Point]:
        """What the ring of samples holds."""
        return [Point(age, v, v, v, raw=True) for age, v in self._samples.series(component, metric, since_s)]
