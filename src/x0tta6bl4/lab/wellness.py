"""What "well" means for one client pair: pure functions on the lab's own end-to-end probes.

The words are fixed: a pair is *well* in a 2 s window with one 1,300-byte probe each 50 ms of which at least 90 %
were answered in under 150 ms; windows slide by one probe. Probes sent while an end was dead or cut off by ground
truth (`PairRecord.excused`) do not count, for nor against.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from x0tta6bl4.lab.record import PairRecord

Spans = NDArray[np.float64]  # [n, 2]: half-open intervals [start, end) in seconds
Bools = NDArray[np.bool_]

PROBE_S: Final = 0.05
WINDOW_S: Final = 2.0
WELL_PERCENT: Final = 90
SLOW_MS: Final = 150.0
STAY_WELL_S: Final = 5.0
DIP_S: Final = 1.0
_EPS: Final = 1e-6
# A window or dip in which the prober itself sent less than this share of its probes shows nothing: it is not well.
_SENT_PERCENT: Final = 90


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """All complete windows of a pair, one per probe: `start` and `end` in s, `counted` where a probe counted."""

    start: NDArray[np.float64]  # [n]
    end: NDArray[np.float64]  # [n]
    well: Bools  # [n]
    counted: Bools  # [n]


@dataclass(frozen=True, slots=True)
class Recovery:
    """How one pair went through one fault. `after_s`: s from the fault's start to the first window of the lasting
    well stretch; None where it never came (and where the pair was not hurt at all).
    """

    counted: bool
    hurt: bool
    after_s: float | None


def spans(intervals: Iterable[tuple[float, float]]) -> Spans:
    """Intervals as a sorted array [n, 2] of disjoint, not empty spans."""
    rows = np.asarray([(a, b) for a, b in intervals if b > a], dtype=np.float64).reshape(-1, 2)
    if not len(rows):
        return rows
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    reach = np.maximum.accumulate(rows[:, 1])
    first = np.concatenate(([True], rows[1:, 0] > reach[:-1] + _EPS))
    last = np.concatenate((first[1:], [True]))
    return np.stack((rows[first, 0], reach[last]), axis=1)


def length(disjoint: Spans, start: float, end: float) -> float:
    """Seconds of [start, end) that the disjoint spans cover."""
    clipped = np.clip(disjoint, start, end)
    return float(np.sum(clipped[:, 1] - clipped[:, 0]))


def within(times: NDArray[np.float64], disjoint: Spans) -> Bools:
    """Which of `times` lie in one of the disjoint spans."""
    if not len(disjoint):
        return np.zeros(len(times), dtype=np.bool_)
    place = np.searchsorted(disjoint[:, 0], times + _EPS, side="right") - 1
    inside: Bools = (place >= 0) & (times < disjoint[np.maximum(place, 0), 1] - _EPS)
    return inside


def windows(pair: PairRecord) -> Windows:
    """Judge every window of a pair; windows that reach past the last probe are left out."""
    sent = np.asarray(pair.sent, dtype=np.float64)
    rtt = np.asarray(pair.rtt_ms, dtype=np.float64)
    counts = ~within(sent, spans(pair.excused))
    with np.errstate(invalid="ignore"):  # NaN is "no answer", and no answer is not under any limit
        good = counts & (rtt < SLOW_MS)
    begin, stop = _frames(sent, WINDOW_S - PROBE_S / 2)
    n_sent = stop - begin
    n_counted = _sums(counts, begin, stop)
    full = n_sent * 100 >= _SENT_PERCENT * round(WINDOW_S / PROBE_S)
    well = (n_counted > 0) & full & (_sums(good, begin, stop) * 100 >= WELL_PERCENT * n_counted)
    # A window without any probe is the prober's failure unless all of it was excused: it stays "counted, not well".
    counted = (n_counted > 0) | ~full
    complete = sent + WINDOW_S <= (sent[-1] if len(sent) else 0.0) + PROBE_S * 1.5
    return Windows(sent[complete], sent[complete] + WINDOW_S, well[complete], counted[complete])


def bad_s(pair: PairRecord, start: float, end: float) -> float | None:
    """Seconds of [start, end) that no well window covers; excused time is not bad. None if all of it is excused."""
    excused = spans(pair.excused)
    if length(excused, start, end) >= end - start - PROBE_S:
        return None
    seen = windows(pair)
    covered = spans([*zip(seen.start[seen.well], seen.end[seen.well], strict=True), *pair.excused])
    return max(0.0, (end - start) - length(covered, start, end))


def recovery(pair: PairRecord, start: float, end: float) -> Recovery:
    """Did the pair suffer in [start, end), and when did it become well to stay so until `end`, at least 5 s?"""
    if length(spans(pair.excused), start, end) >= end - start - PROBE_S:
        return Recovery(counted=False, hurt=False, after_s=None)
    seen = windows(pair)
    inside = seen.counted & (seen.start >= start - _EPS) & (seen.end <= end + PROBE_S / 2)
    begins, well = seen.start[inside], seen.well[inside]
    if not len(well) or well.all():
        # A fault too short for a window, or one that never showed: nobody was hurt.
        return Recovery(counted=True, hurt=False, after_s=None)
    first = int(np.flatnonzero(~well)[-1]) + 1
    if first == len(well) or end - begins[first] < STAY_WELL_S - _EPS:
        return Recovery(counted=True, hurt=True, after_s=None)
    return Recovery(counted=True, hurt=True, after_s=max(0.0, float(begins[first]) - start))


def well_at(seen: Windows, at: float) -> bool:
    """Was the last window that ended by `at` well? Before the first complete window: no."""
    place = int(np.searchsorted(seen.end, at + _EPS, side="right")) - 1
    return place >= 0 and bool(seen.well[place])


def dips(pair: PairRecord) -> Spans:
    """Stretches of over 1 s in which the pair got under half of its replies: [n, 2], from the first lost probe on."""
    sent = np.asarray(pair.sent, dtype=np.float64)
    answered = np.isfinite(np.asarray(pair.rtt_ms, dtype=np.float64)) | within(sent, spans(pair.excused))
    begin, stop = _frames(sent, DIP_S + PROBE_S / 2)
    n_sent = stop - begin
    full = n_sent * 100 >= _SENT_PERCENT * (round(DIP_S / PROBE_S) + 1)
    low = full & ~answered & (2 * _sums(answered, begin, stop) < n_sent)
    return spans((float(at), float(at) + DIP_S + PROBE_S) for at in sent[low])


def overlaps(disjoint: Spans, start: float, end: float) -> bool:
    """Does any span share an instant with [start, end)?"""
    return bool(np.any((disjoint[:, 0] < end) & (disjoint[:, 1] > start)))


def _frames(sent: NDArray[np.float64], span_s: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each probe the indices [begin, stop) of the probes sent within `span_s` from it on."""
    begin = np.arange(len(sent), dtype=np.intp)
    return begin, np.searchsorted(sent, sent + span_s, side="right")


def _sums(flags: Bools, begin: NDArray[np.intp], stop: NDArray[np.intp]) -> NDArray[np.int64]:
    """How many flags are set in each [begin, stop)."""
    running = np.concatenate(([0], np.cumsum(flags, dtype=np.int64)))
    return running[stop] - running[begin]
