"""Beside a loop: keeps the passes that decided something in its store, and readings once a second in its blocks.

Once an hour it drops what is too old from the store.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

import numpy as np

from x0tta6bl4.core.store.blocks import Blocks
from x0tta6bl4.core.store.store import SqlStore
from x0tta6bl4.core.store.times import Retention
from x0tta6bl4.core.workers import ThreadWorker
from x0tta6bl4.errors import StoreError
from x0tta6bl4.mape_k.columns import Columns
from x0tta6bl4.mape_k.memory import decided
from x0tta6bl4.model import Component, Floats, Iteration, Layout, Seconds
from x0tta6bl4.ports import Clock

EVERY_S: Final = 1.0
WAITING_MAX: Final = 1000  # passes held while the store fails; then the oldest go: they are for people, not for healing
END_S: Final = 5.0
PRUNE_EVERY_S: Final = 3600.0  # the first time after an hour: by then the wall clock has been set
PASSES, READINGS, PRUNE = "passes", "readings", "prune"


class Recorder:
    """Call `see` after every pass, on the loop's thread; the disk is written to on threads of its own.

    A block holds what was measured since the one before it, NaN elsewhere. Each kind of component has its own layout,
    kept for as long as its components stay the same.
    keep: for how long the store keeps what. errors: what could not be done when it was last tried, by "passes",
    "readings" or "prune"; passes are tried again.
    """

    def __init__(
        self, store: SqlStore, blocks: Blocks, clock: Clock, columns: Columns, keep: Retention | None = None
    ) -> None:
        self._store, self._blocks, self._clock, self._columns = store, blocks, clock, columns
        self._ended = threading.Event()
        self._worker = ThreadWorker(self._ended.set)
        self._waiting: deque[Iteration] = deque(maxlen=WAITING_MAX)
        self._flying: dict[str, list[Iteration]] = {}
        self._layouts: dict[str, Layout] = {}
        self._next = self._since = float("-inf")
        self._keep = keep or Retention()
        self._next_prune = clock.now() + PRUNE_EVERY_S
        self.errors: dict[str, str] = {}

    def see(self, iteration: Iteration) -> None:
        """Take in one pass; once a second, write."""
        if decided(iteration):
            self._waiting.append(iteration)
        now = self._clock.now()
        if now >= self._next:
            self._next = now + EVERY_S
            self._collect()
            self._keep_passes()
            self._keep_readings(now)
            self._prune(now)

    def close(self) -> None:
        """Wait for what is being written, then keep what is left; raises StoreError where it could not be kept."""
        end = self._clock.now() + END_S
        while self._flying and (left := end - self._clock.now()) > 0:
            self._ended.wait(left)
            self._ended.clear()
            self._collect()
        self._worker.close()
        if self._waiting:
            self._store.commit(iterations=tuple(self._waiting))
            self._waiting.clear()

    def _collect(self) -> None:
        for lane, _, result in self._worker.finished():
            passes = self._flying.pop(lane, [])
            if isinstance(result, BaseException):
                self.errors[lane] = f"{type(result).__name__}: {result}"
                if isinstance(result, StoreError):  # another kind would fail again, for ever
                    self._waiting.extendleft(reversed(passes[: WAITING_MAX - len(self._waiting)]))
            else:
                self.errors.pop(lane, None)

    def _keep_passes(self) -> None:
        if not (self._waiting or self._store.stepped) or PASSES in self._flying:
            return
        passes = list(self._waiting)
        self._flying[PASSES] = passes
        self._worker.start(PASSES, PASSES, lambda: self._store.commit(iterations=passes))
        self._waiting.clear()

    def _keep_readings(self, now: Seconds) -> None:
        if READINGS in self._flying:  # a slow disk: what is measured meanwhile comes with the next block
            return
        since, self._since = self._since, now
        kept: list[tuple[Layout, Floats]] = []
        for kind, (components, metrics, values, at) in self._columns.snapshot().items():
            measured = np.where(at > since, values, np.float32(np.nan)).T
            if not np.isnan(measured).all():
                kept.append((self._layout(kind, components, metrics), measured))
        if not kept:
            return
        at_utc = self._clock.utc()

        def append() -> None:
            for layout, values in kept:
                self._blocks.append(at_utc, layout, values)

        self._flying[READINGS] = []
        self._worker.start(READINGS, READINGS, append)

    def _prune(self, now: Seconds) -> None:
        if now >= self._next_prune and PRUNE not in self._flying:
            self._next_prune = now + PRUNE_EVERY_S
            self._flying[PRUNE] = []
            self._worker.start(PRUNE, PRUNE, lambda: self._store.prune(self._keep))

    def _layout(self, kind: str, components: tuple[Component, ...], metrics: tuple[str, ...]) -> Layout:
        known = self._layouts.get(kind)
        if known is None or known.components != components:
            known = self._layouts[kind] = Layout(components, metrics)
        return known
