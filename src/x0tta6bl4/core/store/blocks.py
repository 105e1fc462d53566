"""Readings on disk, bounded: raw for an hour, per-minute mean, minimum and maximum for a week.

Readings are worth less than decisions: a block is safe from a kill of the process once `append` returns, from a loss of
power only once its file is full. Retention deletes whole files, so a little more than the promised time is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from x0tta6bl4.core.store.segment import Frame, Names, SegmentWriter, frames, mend
from x0tta6bl4.core.store.trouble import troubles
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.model import Component, Floats, Layout, Times

_MINUTE: Final = 60.0
_AT_ONCE: Final = 2  # files deleted for their age with each new one: a wall clock gone astray cannot empty the store


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One metric of one component over time; all arrays [n], `at_utc` ascending.

    Raw readings have mean = low = high; a minute's stand at its start and have `raw` False.
    """

    at_utc: Times
    mean: Floats
    low: Floats
    high: Floats
    raw: np.ndarray[tuple[int], np.dtype[np.bool_]]


@dataclass(slots=True, eq=False)
class _File:
    """One file with the span of its blocks; `writer` while it is the newest."""

    path: Path
    first: float
    last: float
    size: int
    writer: SegmentWriter | None = None


class _Track:
    """The files of one resolution, oldest first. keep_s: how old a block may grow; file_s: the span of one file."""

    def __init__(self, folder: Path, name: str, keep_s: float, file_s: float, max_bytes: int) -> None:
        self._folder, self._name = folder, name
        self._keep_s, self._file_s, self._max_bytes = keep_s, file_s, max_bytes
        self.files: list[_File] = []
        self._next = 0
        for path in sorted(folder.glob(f"{name}-*.blk")):
            self._next = _number(path) + 1
            if (span := mend(path)) is None:
                path.unlink()
            else:
                self.files.append(_File(path, *span, path.stat().st_size))

    def append(self, at_utc: float, names: Names, values: Floats) -> None:
        """Add a block, in a new file where the newest is full, from another run, or far from `at_utc`."""
        file = self.files[-1] if self.files else None
        if file is None or file.writer is None or abs(at_utc - file.first) >= self._file_s or self._large(file):
            file = self._rotate(at_utc)
        assert file.writer is not None
        file.writer.append(at_utc, names, values)
        file.first, file.last, file.size = min(file.first, at_utc), max(file.last, at_utc), file.writer.size

    def _large(self, file: _File) -> bool:
        return file.size * 8 >= self._max_bytes

    def _rotate(self, at_utc: float) -> _File:
        self.close()
        old = [file for file in self.files if file.last < at_utc - self._keep_s][:_AT_ONCE]
        total = sum(file.size for file in self.files if file not in old)
        for file in self.files:
            if total <= self._max_bytes * 7 // 8:
                break
            if file not in old:
                old.append(file)
                total -= file.size
        for file in old:
            file.path.unlink(missing_ok=True)
            self.files.remove(file)
        path = self._folder / f"{self._name}-{self._next:010d}.blk"
        file = _File(path, at_utc, at_utc, 0, SegmentWriter(path))
        self._next += 1
        self.files.append(file)
        return file

    def begins(self) -> float:
        """Up to which time minutes are needed instead of raw readings.

        The minute that raw readings cover in part is given as a whole, unless none of them was ever deleted.
        """
        if not self.files:
            return np.inf
        oldest = min(file.first for file in self.files)
        return oldest - _MINUTE if _number(self.files[0].path) == 0 else oldest

    def close(self) -> None:
        """Finish the newest file."""
        if self.files and (writer := self.files[-1].writer) is not None:
            writer.close()
            self.files[-1].writer = None


def _number(path: Path) -> int:
    """The running number in a file's name."""
    return int(path.stem.rpartition("-")[2])


class _Minute:
    """The running statistics of one layout within one minute; arrays float32 or float64 [components, metrics]."""

    def __init__(self, at_utc: float, shape: tuple[int, int]) -> None:
        self.at_utc = at_utc
        self._count = np.zeros(shape, np.uint32)
        self._sum = np.zeros(shape, np.float64)
        self._low = np.full(shape, np.inf, np.float32)
        self._high = np.full(shape, -np.inf, np.float32)

    def add(self, values: Floats) -> None:
        """Fold one block; what is NaN was not measured and counts for nothing."""
        seen = ~np.isnan(values)
        self._count += seen
        np.add(self._sum, values, out=self._sum, where=seen)
        np.fmin(self._low, values, out=self._low)
        np.fmax(self._high, values, out=self._high)

    def planes(self) -> Floats:
        """float32 [3, components, metrics]: mean, minimum, maximum; NaN where nothing was measured."""
        with np.errstate(invalid="ignore", divide="ignore"):  # an empty count, or a reading that was infinite
            mean = (self._sum / self._count).astype(np.float32)
        empty = self._count == 0
        return np.stack([np.where(empty, np.float32(np.nan), part) for part in (mean, self._low, self._high)])


class Blocks:
    """Keeps what sensors read in files under `folder`; one process at a time, any of its threads.

    raw_s, coarse_s: how long readings and their per-minute statistics are kept, seconds. max_bytes: what each of the
    two may take on disk; the oldest files go first. Raises ConfigError for a bad argument, StoreError (StoreFull on a
    full disk) where the folder cannot be used.
    """

    def __init__(
        self, folder: Path, *, raw_s: float = 3600.0, coarse_s: float = 7 * 86400.0, max_bytes: int = 256 << 20
    ) -> None:
        for field, value, least in (("raw_s", raw_s, 60), ("coarse_s", coarse_s, 600), ("max_bytes", max_bytes, 4096)):
            if not value >= least:
                raise ConfigError(f"blocks.{field}", value, f"a number >= {least}")
        self._place = str(folder)
        self._lock = threading.Lock()
        self._names: dict[int, tuple[Layout, Names]] = {}
        self._minutes: dict[Names, _Minute] = {}
        with troubles(self._place):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._raw = _Track(folder, "raw", raw_s, raw_s / 12, max_bytes)
            self._coarse = _Track(folder, "minute", coarse_s, coarse_s / 28, max_bytes)
            self._resume()

    def _resume(self) -> None:
        """Fold again the raw readings of minutes that were not written when the process before this one stopped."""
        done = max((file.last for file in self._coarse.files), default=-np.inf) + _MINUTE
        for file in self._raw.files:
            if file.last >= done:
                for frame in frames(file.path):
                    if frame.at_utc >= done:
                        self._fold(frame.at_utc, frame.names, frame.values[0])

    def append(self, at_utc: float, layout: Layout, values: Floats) -> None:
        """Keep one observation. values: float32 [components, metrics] of `layout`, NaN where nothing was measured.

        Raises ConfigError where the shape is another, StoreError where it could not be kept (what was there stays).
        """
        shape = (len(layout.components), len(layout.metrics))
        if np.shape(values) != shape:
            raise ConfigError("blocks.values", np.shape(values), f"the layout's shape {shape}")
        if not np.isfinite(at_utc):
            raise ConfigError("blocks.at_utc", at_utc, "seconds since 1970")
        with self._lock, troubles(self._place):
            names = self._names_of(layout)
            self._raw.append(at_utc, names, np.asarray(values, np.float32)[np.newaxis])
            self._fold(at_utc, names, values)

    def _names_of(self, layout: Layout) -> Names:
        known = self._names.get(id(layout))
        if known is None:
            if len(self._names) >= 256:  # layouts that are no more
                self._names.clear()
            # The entry holds the layout itself, so that its id is not given to another one.
            known = layout, (tuple(map(str, layout.components)), layout.metrics)
            self._names[id(layout)] = known
        return known[1]

    def _fold(self, at_utc: float, names: Names, values: Floats) -> None:
        start = at_utc - at_utc % _MINUTE
        for key, minute in [*self._minutes.items()]:  # a layout that went away must give its last minute too
            if minute.at_utc != start:
                self._coarse.append(minute.at_utc, key, minute.planes())
                del self._minutes[key]
        if names not in self._minutes:
            self._minutes[names] = _Minute(start, (len(names[0]), len(names[1])))
        self._minutes[names].add(values)

    def series(self, component: Component, metric: str, start: float, end: float) -> Series:
        """One metric of one component from `start` to `end` (UTC seconds, both included): minutes, then raw readings.

        Empty where nothing is known of it. Raises StoreError where a file cannot be read.
        """
        with self._lock:
            raw, coarse = ([(f.path, f.first, f.last, f.size) for f in t.files] for t in (self._raw, self._coarse))
            limit = self._raw.begins()
        with troubles(self._place):
            fine = _rows(raw, str(component), metric, start, end)
            minutes = _rows(coarse, str(component), metric, start, min(end, limit))
        covered = max((at for at, _ in minutes), default=-np.inf) + _MINUTE
        fine = [row for row in fine if row[0] >= covered]
        rows = sorted([*minutes, *fine], key=lambda row: row[0])
        planes = np.array([row[1] if len(row[1]) == 3 else row[1].repeat(3) for row in rows], np.float32).reshape(-1, 3)
        at = np.array([row[0] for row in rows], np.float64)
        mean, low, high = planes.T.copy()
        return Series(at, mean, low, high, np.array([len(row[1]) == 1 for row in rows], np.bool_))

    def close(self) -> None:
        """Bring everything to the disk; the minute under way is folded again at the next start."""
        with self._lock, troubles(self._place):
            self._raw.close()
            self._coarse.close()


def _rows(
    files: Iterable[tuple[Path, float, float, int]], component: str, metric: str, start: float, end: float
) -> list[tuple[float, Floats]]:
    """(time, [planes]) of one reading in the files that reach into the span; one deleted meanwhile is passed over."""
    found: list[tuple[float, Floats]] = []
    places: dict[Names, tuple[int, int] | None] = {}
    for path, first, last, size in files:
        if last < start or first > end:
            continue
        try:
            within = (frame for frame in frames(path, size) if start <= frame.at_utc <= end)
            for frame in within:
                place = _place(places, frame, component, metric)
                if place is not None:
                    found.append((frame.at_utc, frame.values[:, place[0], place[1]].copy()))
        except FileNotFoundError:
            continue
    return found


def _place(
    places: dict[Names, tuple[int, int] | None], frame: Frame, component: str, metric: str
) -> tuple[int, int] | None:
    """Row and column of a reading in a frame, looked up once for each layout."""
    if frame.names not in places:
        components, metrics = frame.names
        known = component in components and metric in metrics
        places[frame.names] = (components.index(component), metrics.index(metric)) if known else None
    return places[frame.names]
