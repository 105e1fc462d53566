"""The actions of one loop: those that live, those that changed last, and what could not be taken back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from x0tta6bl4.catalog import ActionKind, Catalog
from x0tta6bl4.model import Action, ActionRecord, ActionState, Component, Seconds

RECENT: Final = 200
RETURN_S: Final = 10.0  # what was avoided is not relied on so soon after: others have to find it again
FLAP_MEMORY_S: Final = 600.0  # how long a reverted lease makes the next one hold longer


class Ledger:
    """Keeps the newest record of every action that counts, and says what they mean together.

    live: not final, or holding a lease, by id. recent: the `RECENT` that changed last, the last changed is last.
    stranded: undo failed, however long ago, by id.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.live: dict[str, ActionRecord] = {}
        self.recent: deque[ActionRecord] = deque(maxlen=RECENT)
        self.stranded: dict[str, ActionRecord] = {}
        self._changed: list[ActionRecord] = []
        self._attempts: dict[tuple[str, str, str], int] = {}

    def take_up(self, live: Iterable[ActionRecord], past: Sequence[ActionRecord]) -> None:
        """What an earlier process left; attempts are counted on from there. past: ended ones, oldest first."""
        self.live.update((record.id, record) for record in live)
        for record in (*past, *self.live.values()):
            self._attempts[record.key[:3]] = max(record.attempt, self._attempts.get(record.key[:3], 0))
        for record in past:
            self._remember(record)

    def next_attempt(self, incident: str, action: Action) -> int:
        """The number of a new attempt at this action for this incident, from 1 on."""
        key = (incident, action.kind, str(action.target))
        self._attempts[key] = self._attempts.get(key, 0) + 1
        return self._attempts[key]

    def keep(self, record: ActionRecord) -> ActionRecord:
        """A record changed: this is how it stands now, and it goes to the store."""
        self._changed.append(record)
        if record.state.final and not record.lease:
            self.live.pop(record.id, None)
        else:
            self.live[record.id] = record
        self.recent = deque((r for r in self.recent if r.id != record.id), RECENT)
        self._remember(record)
        return record

    def _remember(self, record: ActionRecord) -> None:
        self.recent.append(record)
        if record.state is ActionState.UNDO_FAILED and not self.irreversible(record):
            self.stranded[record.id] = record

    @property
    def moved(self) -> bool:
        """Did a record change since `take_changes`?"""
        return bool(self._changed)

    def take_changes(self) -> list[ActionRecord]:
        """Records that changed since the last question, oldest change first."""
        changed, self._changed = self._changed, []
        return changed

    def busy(self) -> frozenset[str]:
        """Incidents that have an action under way or a lease held."""
        return frozenset(r.incident for r in self.live.values())

    def acting(self, incident: str) -> bool:
        """Does this incident have an action that has not come to rest, or a lease?"""
        return any(r.incident == incident for r in self.live.values())

    def avoided(self, now: Seconds) -> list[Component]:
        """Links out of service by actions under way and by leases, or given back so lately that nobody uses them yet.

        What waits for a person takes nothing away yet.
        """
        given_back = [r for r in self.recent if r.state is ActionState.UNDONE and now - r.at < RETURN_S]
        return [
            link
            for record in (*self.live.values(), *given_back)
            if record.state is not ActionState.AWAITING and self.avoids(record)
            for link in record.watch
        ]

    def reverted_lately(self, target: Component, now: Seconds) -> int:
        """How many leases on `target` ended within the last ten minutes."""
        return sum(
            r.action.target == target and r.confirmed_at is not None and now - r.at < FLAP_MEMORY_S for r in self.recent
        )

    def avoids(self, record: ActionRecord) -> bool:
        """Does it take links out of service, those that it watches?"""
        kind = self._kind(record)
        return kind is not None and kind.avoids

    def irreversible(self, record: ActionRecord) -> bool:
        """Is it one that leaves nothing to take back?"""
        kind = self._kind(record)
        return kind is not None and kind.irreversible

    def _kind(self, record: ActionRecord) -> ActionKind | None:
        """None where the plugin that brought it is gone."""
        return self.catalog.action.get(record.action.kind)
