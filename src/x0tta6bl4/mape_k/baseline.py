"""The baseline detector: what is usual for each metric of each component, learned online and robustly.

An exponentially weighted mean and mean absolute deviation, updated with values clipped to 3 spreads (Huber's
psi), so that one outlier moves little and what was just called anomalous is hardly learned. Batched: one numpy
pass for each metric. It does not work for metrics with several usual levels or strong daily cycles shorter than
its memory; those need a learned detector.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from x0tta6bl4.mape_k.columns import Table
from x0tta6bl4.model import Anomaly, Component, Floats, Seconds

CLIP = 3.0  # spreads: a value further out is learned as if it were this far
SCORE_SPREADS = 8.0  # a deviation of this many spreads scores 0.5
MEMORY = 0.02  # weight of one new value: about 50 values of memory
WARM_UP = 10  # values before anything is called unusual


class Baseline:
    """Expectation and spread of the learnable metrics of one table.

    >>> from x0tta6bl4.catalog import Metric
    >>> from x0tta6bl4.model import Component
    >>> table = Table("link", [Metric("link", "rtt_ms", "round trip", learn=True, spread_min=1.0)])
    >>> slot = table.add(Component("link", "a>b"))
    >>> usual = Baseline(table)
    >>> for second in range(20):
    ...     table.values[0, slot], table.at[0, slot] = 2.0, second
    ...     usual.learn(float(second))
    >>> float(usual.excess("rtt_ms")[slot])
    0.0
    >>> table.values[0, slot], table.at[0, slot] = 202.0, 20.0
    >>> float(usual.excess("rtt_ms")[slot])
    200.0
    """

    name = "robust-ewma/1"

    def __init__(self, table: Table) -> None:
        self.table = table
        self.rows = [i for i, m in enumerate(table.metrics) if m.learn]
        self._of = {table.metrics[row].name: i for i, row in enumerate(self.rows)}
        self._floor = np.array([[table.metrics[row].spread_min] for row in self.rows], np.float32)
        self._ratio = np.array([[table.metrics[row].spread_min_ratio] for row in self.rows], np.float32)
        self.held: Sequence[Component] = ()  # what is judged just now: its yardstick must not move
        self._fit(0)

    def _fit(self, capacity: int) -> None:
        shape = (len(self.rows), capacity)
        self.mean: Floats = np.zeros(shape, np.float32)
        self.spread: Floats = np.broadcast_to(self._floor, shape).copy() if self.rows else np.zeros(shape, np.float32)
        self.seen: NDArray[np.int32] = np.zeros(shape, np.int32)
        self.last: NDArray[np.float64] = np.full(shape, -np.inf)

    def _grow(self) -> None:
        old = self._arrays()
        size = self.mean.shape[1]
        self._fit(self.table.values.shape[1])
        for new, was in zip(self._arrays(), old, strict=True):
            new[:, :size] = was

    def _arrays(self) -> tuple[NDArray[Any], ...]:
        return (self.mean, self.spread, self.seen, self.last)

    def learn(self, now: Seconds) -> None:
        """Take in every value that is new since the last call."""
        if not self.rows or not self.table.size:
            return
        if self.mean.shape[1] != self.table.values.shape[1]:
            self._grow()
        at = self.table.at[self.rows]
        new = at > self.last
        if not np.count_nonzero(new):
            return
        self.last = np.where(new, at, self.last)
        values = self.table.values[self.rows]
        new &= np.isfinite(values)  # a sensor that says infinity teaches nothing
        if self.held:
            new[:, [self.table.slot[c] for c in self.held if c in self.table.slot]] = False
        first = new & (self.seen == 0)
        self.mean = np.where(first, values, self.mean)
        reach = CLIP * self.spread
        step = np.minimum(np.maximum(values - self.mean, -reach), reach)
        weight = np.maximum(MEMORY, 1.0 / (self.seen + 1.0)).astype(np.float32)
        self.mean = np.where(new, self.mean + weight * step, self.mean)
        spread = self.spread + weight * (np.abs(step) - self.spread)
        floor = np.maximum(self._floor, self._ratio * np.abs(self.mean))
        self.spread = np.where(new, np.maximum(spread, floor), self.spread)
        self.seen += new

    def excess(self, metric: str) -> Floats:
        """float32 [size]: value minus expectation; 0 while too little was seen, NaN where nothing was measured."""
        i, size = self._of[metric], self.table.size
        if self.mean.shape[1] < size:
            self._grow()
        over = self.table.values[self.rows[i], :size] - self.mean[i, :size]
        return np.where((self.seen[i, :size] >= WARM_UP) | np.isnan(over), over, np.float32(0))

    def score(self, metric: str) -> Floats:
        """float32 [size]: scores in [0, 1]; 0 while too little was seen, NaN where nothing was measured."""
        if self.mean.shape[1] < self.table.size:
            self._grow()
        scores: Floats = self._scores()[self._of[metric]]
        return scores

    def _scores(self) -> Floats:
        """float32 [learnable metrics, size]: d / (d + SCORE_SPREADS), d the distance in spreads."""
        size = self.table.size
        with np.errstate(invalid="ignore"):
            distance = np.abs(self.table.values[self.rows][:, :size] - self.mean[:, :size]) / self.spread[:, :size]
            score = distance / (distance + SCORE_SPREADS)
            return np.where((self.seen[:, :size] >= WARM_UP) | np.isnan(score), score, np.float32(0))

    def anomalies(self, now: Seconds, least: float = 0.5) -> list[Anomaly]:
        """Fresh values that score at least `least`."""
        found: list[Anomaly] = []
        size = self.table.size
        if not self.rows or self.mean.shape[1] < size:
            return found
        score = self._scores()
        odd = score >= least
        if not np.count_nonzero(odd):
            return found
        for i, slot in zip(*np.nonzero(odd), strict=True):
            row = self.rows[i]
            if self.table.at[row, slot] >= now - self.table.stale_after[row]:
                found.append(self.seen_as(i, slot, float(score[i, slot])))
        return found

    def seen_as(self, i: int, slot: int, score: float) -> Anomaly:
        """The value of its learnable metric number `i` in one slot, as an anomaly that scores so much."""
        if self.mean.shape[1] < self.table.size:
            self._grow()
        row = self.rows[i]
        return Anomaly(
            component=self.table.components[slot],
            metric=self.table.metrics[row].name,
            value=float(self.table.values[row, slot]),
            expected=float(self.mean[i, slot]),
            spread=float(self.spread[i, slot]),
            score=score,
            detector=self.name,
        )
