"""Readings to symptoms, with hysteresis in time: evidence must hold for seconds, however often a pass looks.

Each rule keeps, for every component of its kind, since when the evidence for it holds and whether it is raised.
The work is a few numpy operations a rule; where nothing is bad and nothing is raised it is two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from x0tta6bl4.catalog import Catalog, SymptomRule
from x0tta6bl4.mape_k.columns import Columns, Table
from x0tta6bl4.mape_k.detection import Detection
from x0tta6bl4.model import Component, Floats, Seconds, Symptom, Times

FORGET_AFTER = 3.0  # a raised symptom whose data are stale for this many stale times is dropped as unknown


class Status(Enum):
    """What is known about one symptom of one component."""

    ACTIVE = "active"
    ABSENT = "absent"  # evidence younger than the question says that it is not there
    UNKNOWN = "unknown"


class RuleState:
    """One rule over one table."""

    def __init__(self, rule: SymptomRule, table: Table, detection: Detection) -> None:
        self.rule, self.table, self.detection = rule, table, detection
        self.row = table.row[rule.metric]
        self.stale = float(table.stale_after[self.row])
        self.quiet = True  # nothing is raised and nothing is about to be
        self.relative = rule.score or rule.excess  # compared with what is usual
        self.sign = 1.0 if rule.above else -1.0
        self.thresholds = self.sign * rule.raise_at, self.sign * rule.clear_at  # on the scale of `level`
        self._fit(0)

    def _fit(self, size: int) -> None:
        self.bad_since: Times = np.full(size, np.inf)
        self.good_since: Times = np.full(size, np.inf)
        self.since: Times = np.full(size, np.inf)
        self.active: NDArray[np.bool_] = np.zeros(size, bool)

    def _grow(self, size: int) -> None:
        old = (self.bad_since, self.good_since, self.since, self.active)
        self._fit(size)
        for new, was in zip((self.bad_since, self.good_since, self.since, self.active), old, strict=True):
            new[: was.size] = was

    def level(self) -> Floats:
        """float32 [size]: what is compared with the thresholds; larger is worse."""
        rule, size = self.rule, self.table.size
        if rule.score:
            return self.detection.score(rule.metric)
        value = self.detection.excess(rule.metric) if rule.excess else self.table.values[self.row, :size]
        return value if rule.above else -value

    def update(self, now: Seconds) -> bool:
        """Judge all components; True when a symptom was raised or cleared."""
        size = self.table.size
        if not size:
            return False
        level = self.level()
        raise_at, clear_at = self.thresholds
        bad = level >= raise_at  # NaN compares false
        if self.quiet and not np.count_nonzero(bad):
            return False
        if self.active.size < size:
            self._grow(self.table.values.shape[1])
        return self._judge(now, level, bad, clear_at)

    def _judge(self, now: Seconds, level: Floats, bad: NDArray[np.bool_], clear_at: float) -> bool:
        rule, size = self.rule, self.table.size
        at = self.table.at[self.row, :size]
        fresh = at >= now - self.stale
        bad = bad & fresh
        good = (level < clear_at) & fresh
        began = at - np.maximum(level, 0) / 1000.0 if rule.duration else at
        self.bad_since[:size] = np.where(bad, np.minimum(self.bad_since[:size], began), np.inf)
        self.good_since[:size] = np.where(good, np.minimum(self.good_since[:size], at), np.inf)
        active = self.active[:size]
        held = now - self.bad_since[:size] if not rule.duration else np.full(size, np.inf)
        up = bad & ~active & (held >= rule.raise_after_s - 1e-9)
        cleared = good & (now - self.good_since[:size] >= rule.clear_after_s - 1e-9)
        forgotten = at < now - FORGET_AFTER * self.stale
        down = active & (cleared | forgotten)
        self.since[:size] = np.where(up, self.bad_since[:size], self.since[:size])
        self.active[:size] = (active | up) & ~down
        self.quiet = not (self.active.any() or bad.any())
        return bool(up.any() or down.any())

    def status(self, component: Component, since: Seconds, now: Seconds) -> Status:
        """Is the symptom there? ABSENT needs evidence gathered after `since`."""
        slot = self.table.slot.get(component)
        if slot is None:
            return Status.UNKNOWN
        if slot < self.active.size and self.active[slot]:
            return Status.ACTIVE
        at = float(self.table.at[self.row, slot])
        if at < now - self.stale:
            return Status.UNKNOWN
        value = float(self.table.values[self.row, slot])
        level = float(self.level()[slot]) if self.relative else self.sign * value
        if not level < self.thresholds[1]:
            return Status.UNKNOWN
        seen = at - value / 1000.0 if self.rule.duration else at
        return Status.ABSENT if seen > since + self.rule.margin_s else Status.UNKNOWN

    def symptom(self, slot: int) -> Symptom:
        """The raised symptom in one slot."""
        return Symptom(
            code=self.rule.code,
            component=self.table.components[slot],
            since=float(self.since[slot]),
            value=float(self.table.values[self.row, slot]),
            threshold=self.rule.raise_at,
            metric=self.rule.metric,
            severity=self.rule.severity,
        )


class _Watch:
    """Which rules over one table must judge now: those that are not quiet, or whose threshold some value reaches.

    A few numpy operations for all rules with fixed thresholds together; those compared with what is usual look alone.
    """

    def __init__(self, table: Table, rules: Sequence[RuleState]) -> None:
        self.table = table
        self.fixed = [rule for rule in rules if not rule.relative]
        self.relative = [rule for rule in rules if rule.relative]
        self._rows = np.array([rule.row for rule in self.fixed], np.intp)
        self._sign = np.array([rule.sign for rule in self.fixed], np.float32)[:, None]
        self._raise = np.array([rule.thresholds[0] for rule in self.fixed], np.float32)[:, None]

    def awake(self) -> list[RuleState]:
        """Rules that have something to judge."""
        size = self.table.size
        if not size:
            return []
        reached = self.table.values[self._rows, :size] * self._sign >= self._raise  # NaN compares false
        some = np.asarray(reached.any(axis=1))
        return [rule for rule, bad in zip(self.fixed, some, strict=True) if bad or not rule.quiet] + self.relative


class Symptoms:
    """All rules of a catalogue over the state. `version` changes when a symptom is raised or cleared."""

    def __init__(self, catalog: Catalog, columns: Columns, detection: Mapping[str, Detection]) -> None:
        self.rules = {
            rule.code: RuleState(rule, columns.tables[rule.kind], detection[rule.kind]) for rule in catalog.symptoms
        }
        self._cuts = catalog.cuts
        of_kind: dict[str, list[RuleState]] = {}
        for rule in self.rules.values():
            of_kind.setdefault(rule.rule.kind, []).append(rule)
        self._watches = [_Watch(columns.tables[kind], rules) for kind, rules in of_kind.items()]
        self.version = 0
        self._last: tuple[Symptom, ...] = ()

    def update(self, now: Seconds) -> tuple[Symptom, ...]:
        """Every symptom raised now, ordered by code and component's slot; `value` and `since` as last measured."""
        changed = False
        for watch in self._watches:
            for rule in watch.awake():
                changed = rule.update(now) or changed
        if changed:
            self.version += 1
            self._last = tuple(
                rule.symptom(int(slot))
                for rule in self.rules.values()
                if not rule.quiet
                for slot in np.flatnonzero(rule.active)
            )
        return self._last

    def status(self, code: str, component: Component, since: Seconds, now: Seconds) -> Status:
        """What is known about one symptom of one component, by evidence younger than `since`."""
        return self.rules[code].status(component, since, now)

    def active(self, code: str, component: Component) -> bool:
        """Is it raised?"""
        rule = self.rules[code]
        slot = rule.table.slot.get(component)
        return slot is not None and slot < rule.active.size and bool(rule.active[slot])

    def easing(self, code: str, component: Component) -> bool:
        """Is it raised, but its newest reading well again, so that it may be about to clear?"""
        rule = self.rules[code]
        slot = rule.table.slot.get(component)
        known = slot is not None and slot < rule.active.size
        return known and bool(rule.active[slot] and rule.good_since[slot] < np.inf)

    def carries(self, link: Component, now: Seconds) -> bool:
        """Is it known, by fresh readings, that nothing cuts this link now?"""
        known = False
        for rule in (self.rules[code] for code in self._cuts):
            slot = rule.table.slot.get(link)
            if slot is not None:
                if self.active(rule.rule.code, link):
                    return False
                known = known or bool(rule.table.at[rule.row, slot] >= now - rule.stale)
        return known

    def seen_well(self, component: Component, now: Seconds) -> bool:
        """No symptom of this component is raised, none is about to be, and what the rules look at is fresh."""
        known = False
        for rule in self.rules.values():
            if rule.rule.kind != component.kind:
                continue
            slot = rule.table.slot.get(component)
            if slot is None:
                continue
            if slot < rule.active.size and (rule.active[slot] or rule.bad_since[slot] < np.inf):
                return False
            known = known or bool(rule.table.at[rule.row, slot] >= now - rule.stale)
        return known
