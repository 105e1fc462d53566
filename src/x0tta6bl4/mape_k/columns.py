"""Readings as columns: one table for each kind of component, a stable slot for each component, a row for each metric.

The fold of observations is the mesh's state: the newest value of every metric with the time it was measured, NaN
where nothing is known. A sensor's Layout is recognised by identity, so a whole observation is a few array copies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from x0tta6bl4.catalog import Catalog, Metric
from x0tta6bl4.model import Component, Floats, Layout, Observation, Seconds, Times

Index = NDArray[np.intp]


class Table:
    """Readings of one kind of component: `values` and `at` are [metrics, capacity]; the first `size` slots count."""

    def __init__(self, kind: str, metrics: Sequence[Metric], capacity: int = 8) -> None:
        self.kind = kind
        self.metrics = tuple(metrics)
        self.row = {m.name: i for i, m in enumerate(metrics)}
        self.stale_after = np.array([m.stale_after_s for m in metrics], np.float64)
        self.components: list[Component] = []
        self.slot: dict[Component, int] = {}
        self.values: Floats = np.full((len(metrics), capacity), np.nan, np.float32)
        self.at: Times = np.full((len(metrics), capacity), -np.inf, np.float64)

    @property
    def size(self) -> int:
        """How many components there are."""
        return len(self.components)

    def add(self, component: Component) -> int:
        """The slot of `component`; a new one is appended, slots never move."""
        slot = self.slot.get(component)
        if slot is None:
            slot = self.slot[component] = self.size
            self.components.append(component)
            if slot >= self.values.shape[1]:
                self._grow()
        return slot

    def _grow(self) -> None:
        rows, old = self.values.shape
        values = np.full((rows, old * 2), np.nan, np.float32)
        at = np.full((rows, old * 2), -np.inf, np.float64)
        values[:, :old], at[:, :old] = self.values, self.at
        self.values, self.at = values, at

    def fresh(self, metric: str, now: Seconds) -> NDArray[np.bool_]:
        """Bool [size]: which slots hold a value of `metric` that is not stale."""
        row = self.row[metric]
        return np.asarray(self.at[row, : self.size] >= now - self.stale_after[row])

    def value(self, component: Component, metric: str, now: Seconds) -> float | None:
        """One fresh value, None where there is none."""
        slot, row = self.slot.get(component), self.row.get(metric)
        if slot is None or row is None or self.at[row, slot] < now - self.stale_after[row]:
            return None
        value = float(self.values[row, slot])
        return None if value != value else value  # noqa: PLR0124  # NaN is the one value unlike itself


class _Mapping:
    """Where the cells of one layout go in one table."""

    __slots__ = ("columns", "rows", "slots", "table", "whole")

    def __init__(self, table: Table, layout: Layout, rows: Sequence[int]) -> None:
        known = [(c, table.row[m]) for c, m in enumerate(layout.metrics) if m in table.row]
        self.table = table
        slots = [table.add(layout.components[r]) for r in rows]
        self.slots = np.ix_([row for _, row in known], slots)
        self.rows = np.ix_(rows, [c for c, _ in known])


class Columns:
    """The state: tables by kind, the facts, and the time of the newest reading of each component."""

    def __init__(self, catalog: Catalog) -> None:
        self.tables: dict[str, Table] = {}
        for metric in catalog.metrics:
            if metric.kind not in self.tables:
                same = [m for m in catalog.metrics if m.kind == metric.kind]
                self.tables[metric.kind] = Table(metric.kind, same)
        self.facts: dict[Component, dict[str, object]] = {}
        self._layouts: dict[int, tuple[Layout, list[_Mapping]]] = {}

    def fold(self, observation: Observation) -> int:
        """Take in one observation: a newer value replaces an older one, NaN replaces nothing.

        Returns how many values were taken. Folding in any order gives the same state.
        """
        for component, facts in observation.facts.items():
            self.facts.setdefault(component, {}).update(facts)
        layout = observation.layout
        if not layout.components:
            return 0
        taken = 0
        for mapping in self._mappings(layout):
            fresh = observation.values[mapping.rows].T
            if isinstance(observation.age_s, np.ndarray):
                measured = observation.at - observation.age_s[mapping.rows].T.astype(np.float64)
            else:
                measured = np.full(fresh.shape, observation.at - observation.age_s)
            table = mapping.table
            newer = ~np.isnan(fresh) & (measured >= table.at[mapping.slots])
            table.values[mapping.slots] = np.where(newer, fresh, table.values[mapping.slots])
            table.at[mapping.slots] = np.where(newer, measured, table.at[mapping.slots])
            taken += int(np.count_nonzero(newer))
        return taken

    def _mappings(self, layout: Layout) -> list[_Mapping]:
        known = self._layouts.get(id(layout))
        if known is not None and known[0] is layout:
            return known[1]
        rows: dict[str, list[int]] = {}
        for row, component in enumerate(layout.components):
            if component.kind in self.tables:
                rows.setdefault(component.kind, []).append(row)
        mappings = [_Mapping(self.tables[kind], layout, found) for kind, found in rows.items()]
        if len(self._layouts) > 20_000:  # layouts of nodes that came and went
            self._layouts.clear()
        self._layouts[id(layout)] = (layout, mappings)
        return mappings

    def value(self, component: Component, metric: str, now: Seconds) -> float | None:
        """One fresh value, None where there is none."""
        table = self.tables.get(component.kind)
        return None if table is None else table.value(component, metric, now)

    def fact(self, component: Component, name: str) -> object:
        """A fact about a component, None where nothing is known."""
        return self.facts.get(component, {}).get(name)

    def components(self, kind: str) -> Sequence[Component]:
        """All components of one kind, in order of appearance."""
        table = self.tables.get(kind)
        return () if table is None else table.components

    def snapshot(self) -> Mapping[str, tuple[tuple[Component, ...], tuple[str, ...], Floats, Times]]:
        """A copy for readers: kind -> (components, metrics, values [metrics, size], times [metrics, size])."""
        return {
            kind: (
                tuple(t.components),
                tuple(m.name for m in t.metrics),
                t.values[:, : t.size].copy(),
                t.at[:, : t.size].copy(),
            )
            for kind, t in self.tables.items()
        }
