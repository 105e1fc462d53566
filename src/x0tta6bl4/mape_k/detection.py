"""What is unusual in one table: by the baseline, and by detectors that were added to it. The highest score counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from x0tta6bl4.mape_k.baseline import Baseline
from x0tta6bl4.model import Anomaly, Floats, Seconds
from x0tta6bl4.ports import Detector

UNUSUAL = 0.5  # a score from which on a value is called unusual, and is not learned


class Detection:
    """The baseline of one table with the detectors beside it; what these see are its learnable metrics, by slot.

    A value that is stale is NaN to them. They score before they learn, and learn what is new, finite, not just called
    unusual and not held by an action.
    """

    def __init__(self, baseline: Baseline, added: Sequence[Detector] = ()) -> None:
        self.baseline, self.table = baseline, baseline.table
        self.added = tuple(added) if baseline.rows else ()
        self._row = {self.table.metrics[row].name: i for i, row in enumerate(baseline.rows)}
        self._scores: list[Floats] = []
        self._at: NDArray[np.float64] = np.full((len(baseline.rows), 0), -np.inf)

    def learn(self, now: Seconds) -> None:
        """Once in a pass, when its readings are in: take in every value that is new since the last call."""
        self.baseline.learn(now)
        if not self.added:
            return
        rows, size = self.baseline.rows, self.table.size
        at = self.table.at[rows, :size]
        fresh = at >= now - self.table.stale_after[rows, None]
        values = np.where(fresh, self.table.values[rows, :size], np.float32(np.nan))
        values.setflags(write=False)  # all detectors are shown the same
        self._scores = [np.asarray(detector.score(values, now), np.float32) for detector in self.added]
        last = np.full(at.shape, -np.inf)
        last[:, : self._at.shape[1]] = self._at
        self._at = at.copy()
        usual = (at > last) & np.isfinite(values) & (np.max(self._scores, axis=0) < UNUSUAL)
        usual[:, [self.table.slot[one] for one in self.baseline.held if one in self.table.slot]] = False
        usual.setflags(write=False)
        for detector in self.added:
            detector.learn(values, usual, now)

    def excess(self, metric: str) -> Floats:
        """float32 [size]: value minus the baseline's expectation."""
        return self.baseline.excess(metric)

    def score(self, metric: str) -> Floats:
        """float32 [size]: the highest score in [0, 1]; NaN where nothing was measured."""
        score = self.baseline.score(metric)
        for added in self._scores:
            own = added[self._row[metric]]
            score[: own.size] = np.maximum(score[: own.size], own)  # NaN stays
        return score

    def anomalies(self, now: Seconds) -> list[Anomaly]:
        """Fresh values that score at least UNUSUAL; expectation and spread are the baseline's."""
        found = self.baseline.anomalies(now, UNUSUAL)
        for detector, scores in zip(self.added, self._scores, strict=True):
            for i, slot in zip(*np.nonzero(scores >= UNUSUAL), strict=True):
                seen = self.baseline.seen_as(i, slot, float(scores[i, slot]))
                found.append(replace(seen, detector=detector.name))
        return found
