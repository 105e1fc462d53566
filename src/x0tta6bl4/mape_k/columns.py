"""Readings as columns: one table for each kind of component, a stable slot for each component, a row for each metric.

The fold of observations is the mesh's state: the newest value of every metric with the time it was measured, NaN
where nothing is known. A sensor's Layout is recognised by identity, so a whole observation is a few array copies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from x0tta6bl4.catalog import Catalog, Metric
from x0tta6bl4.model import Component, Floats, Layout, Observation, Seconds, Times

Index = NDArray[np.intp]
CAPACITY = 8  # slots of a new table; doubled when they are full
LAYOUTS_MAX = 20_000  # layouts of nodes that came and went are forgotten beyond this


class Table:
    """Readings of one kind of component: `values` and `at` are [metrics, capacity]; the first `size` slots count.

    The arrays are windows into the buffers of `Columns`, which moves them when a table grows.
    """

    def __init__(self, kind: str, metrics: Sequence[Metric], capacity: int = CAPACITY) -> None:
        self.kind = kind
        self.metrics = tuple(metrics)
        self.row = {m.name: i for i, m in enumerate(metrics)}
        self.stale_after = np.array([m.stale_after_s for m in metrics], np.float64)
        self.components: list[Component] = []
        self.slot: dict[Component, int] = {}
        self.capacity = capacity
        self.make_room: Callable[[], None] = self._move_alone
        self.offset = 0  # where its window begins in the buffers
        self.values: Floats = np.full((len(metrics), self.capacity), np.nan, np.float32)
        self.at: Times = np.full((len(metrics), self.capacity), -np.inf, np.float64)

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
            if slot >= self.capacity:
                self.capacity *= 2
                self.make_room()
        return slot

    def _move_alone(self) -> None:
        shape = (len(self.metrics), self.capacity)
        self.move_to(np.full(shape, np.nan, np.float32), np.full(shape, -np.inf, np.float64), 0)

    def move_to(self, values: Floats, at: Times, offset: int) -> None:
        """Go on in these arrays [metrics, capacity], which begin at `offset` of a larger buffer."""
        width = self.values.shape[1]
        values[:, :width], at[:, :width] = self.values, self.at
        self.values, self.at, self.offset = values, at, offset

    def fresh(self, metric: str, now: Seconds) -> NDArray[np.bool_]:
        """Bool [size]: which slots hold a value of `metric` that is not stale."""
        row = self.row[metric]
        return np.asarray(self.at[row, : self.size] >= now - self.stale_after[row])

    def readings(self, now: Seconds, age_max_s: Seconds) -> list[list[tuple[str, float, Seconds]]]:
        """For each slot [(metric, value, age)]: what is known, neither stale nor older than `age_max_s`."""
        size, metrics = self.size, [m.name for m in self.metrics]
        ages = now - self.at[:, :size]
        known = ages <= np.minimum(self.stale_after, age_max_s)[:, None]
        return [
            [(name, v, a) for name, v, a, k in zip(metrics, *row, strict=True) if k]
            for row in zip(self.values[:, :size].T.tolist(), ages.T.tolist(), known.T.tolist(), strict=True)
        ]

    def value(self, component: Component, metric: str, now: Seconds) -> float | None:
        """One fresh value, None where there is none."""
        slot, row = self.slot.get(component), self.row.get(metric)
        if slot is None or row is None or self.at[row, slot] < now - self.stale_after[row]:
            return None
        value = float(self.values[row, slot])
        return None if value != value else value  # noqa: PLR0124  # NaN is the one value unlike itself


class _Mapping:
    """Where the cells of one layout go: `source` in a flat observation, `goal` in the buffers, of one generation."""

    __slots__ = ("generation", "goal", "layout", "source")

    def __init__(self, layout: Layout, columns: Columns) -> None:
        source: list[int] = []
        goal: list[int] = []
        width = len(layout.metrics)
        for r, component in enumerate(layout.components):
            table = columns.tables.get(component.kind)
            if table is not None:
                slot = table.add(component)
                for c, metric in enumerate(layout.metrics):
                    row = table.row.get(metric)
                    if row is not None:
                        source.append(r * width + c)
                        goal.append(table.offset + row * table.capacity + slot)
        self.layout, self.generation = layout, columns.generation
        self.source: Index = np.array(source, np.intp)
        self.goal: Index = np.array(goal, np.intp)


class Columns:
    """The state: tables by kind over two flat buffers, and the facts.

    One fold is a gather, a comparison and a scatter, whatever kinds an observation holds.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.tables: dict[str, Table] = {}
        for metric in catalog.metrics:
            if metric.kind not in self.tables:
                same = [m for m in catalog.metrics if m.kind == metric.kind]
                self.tables[metric.kind] = Table(metric.kind, same)
        self.facts: dict[Component, dict[str, object]] = {}
        self.generation = 0
        self._layouts: dict[int, _Mapping] = {}
        for table in self.tables.values():
            table.make_room = self._move
        self._move()

    def _move(self) -> None:
        """Lay the tables out anew in larger buffers."""
        self.generation += 1
        size = sum(len(t.metrics) * t.capacity for t in self.tables.values())
        self._values: Floats = np.full(size, np.nan, np.float32)
        self._at: Times = np.full(size, -np.inf, np.float64)
        offset = 0
        for table in self.tables.values():
            shape = (len(table.metrics), table.capacity)
            end = offset + shape[0] * shape[1]
            table.move_to(self._values[offset:end].reshape(shape), self._at[offset:end].reshape(shape), offset)
            offset = end

    def fold(self, observation: Observation) -> int:
        """Take in one observation: a newer value replaces an older one, NaN replaces nothing.

        Returns how many values were taken. Folding in any order gives the same state.
        """
        for component, facts in observation.facts.items():
            self.facts.setdefault(component, {}).update(facts)
        layout = observation.layout
        if not layout.components:
            return 0
        mapping = self._layouts.get(id(layout))
        if mapping is None or mapping.layout is not layout or mapping.generation != self.generation:
            mapping = self._learn(layout)
        fresh = observation.values.ravel()[mapping.source]
        good = fresh == fresh  # noqa: PLR0124  # NaN is the one value unlike itself
        if isinstance(observation.age_s, np.ndarray):
            measured = observation.at - observation.age_s.ravel()[mapping.source].astype(np.float64)
            good &= measured >= self._at[mapping.goal]
            goal = mapping.goal[good]
            self._at[goal] = measured[good]
        else:
            at = observation.at - observation.age_s
            good &= self._at[mapping.goal] <= at
            goal = mapping.goal[good]
            self._at[goal] = at
        self._values[goal] = fresh[good]
        return int(goal.size)

    def _learn(self, layout: Layout) -> _Mapping:
        if len(self._layouts) > LAYOUTS_MAX:
            self._layouts.clear()
        for component in layout.components:  # tables may grow, which moves them: before the cells are counted
            if component.kind in self.tables:
                self.tables[component.kind].add(component)
        mapping = self._layouts[id(layout)] = _Mapping(layout, self)
        return mapping

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
