"""Readings of the last minutes in memory, for loops without a store: one row a second, as `Recorder` keeps on disk."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

import numpy as np

from x0tta6bl4.mape_k.columns import Columns
from x0tta6bl4.model import Component, Floats, Seconds

EVERY_S: Final[Seconds] = 1.0
ROWS: Final = 600  # ten minutes; 100 nodes with 400 links take about 15 MB

_Table = tuple[tuple[Component, ...], tuple[str, ...], Floats]


class Samples:
    """A bounded ring. `take` is called on the loop's thread, `series` on any."""

    def __init__(self, rows: int = ROWS) -> None:
        self._lock = threading.Lock()
        self._rows: deque[tuple[Seconds, dict[str, _Table]]] = deque(maxlen=rows)
        self._last = float("-inf")

    def take(self, columns: Columns, now: Seconds) -> None:
        """Keep what was measured since the row before, at most once in `EVERY_S`."""
        since = self._last
        if now - since < EVERY_S:
            return
        self._last = now
        row = {
            kind: (components, metrics, np.where(at > since, values, np.float32(np.nan)))
            for kind, (components, metrics, values, at) in columns.snapshot().items()
            if components
        }
        with self._lock:
            self._rows.append((now, row))

    def series(self, component: Component, metric: str, since_s: Seconds) -> list[tuple[Seconds, float]]:
        """(age, value) of one metric of one component, oldest first; ages count back from the newest row."""
        with self._lock:
            rows = list(self._rows)
        found = []
        for at, row in rows:
            table = row.get(component.kind)
            if table is None or component not in table[0] or metric not in table[1]:
                continue
            value = float(table[2][table[1].index(metric), table[0].index(component)])
            if not np.isnan(value) and self._last - at <= since_s:
                found.append((self._last - at, value))
        return found
