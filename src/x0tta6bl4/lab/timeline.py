"""What clients saw in one run, as inline SVG: one row for each pair, cells of 250 ms, and what happened above them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import Final

import numpy as np

from x0tta6bl4.lab import wellness
from x0tta6bl4.lab.record import PairRecord, RunRecord

BIN_S: Final = 0.25
BEFORE_S: Final = 5.0
AFTER_S: Final = 12.0
WIDTH, LABEL, ROW, GAP = 1000, 76, 16, 9  # px of the drawing: whole, left margin, a row of cells, between rows
LANE: Final = 19
MARKS_MAX: Final = 30

# (class, height of the cell as a share of the row, what it says): height tells them apart without colour.
STATES: Final = {
    "ok": (0.35, "answered under 150 ms"),
    "slow": (0.6, "answered late"),
    "some": (0.8, "some lost"),
    "lost": (1.0, "half or more lost"),
    "excused": (0.2, "an end dead or cut off: does not count"),
}
MARKS: Final = {
    "incident": "incident opened or closed",
    "action": "action applied",
    "proof": "action proved through the data plane",
    "undo": "action undone",
}
_SHOWN: Final = {
    "incident.opened": ("opened", "incident"),
    "incident.reopened": ("opened", "incident"),
    "incident.closed": ("closed", "incident"),
    "action.applied": ("applied", "action"),
    "action.confirmed": ("proved", "proof"),
    "action.undone": ("undone", "undo"),
    "action.undo_failed": ("undo failed", "undo"),
}


@dataclass(frozen=True, slots=True)
class Mark:
    """One numbered mark: `css` is its class (incident, action, proof, undo), `text` what the list below says."""

    at: float
    css: str
    text: str


def span_of(run: RunRecord) -> tuple[float, float]:
    """What part of a run is drawn: from 5 s before its first fault to 12 s after its last."""
    last = max((pair.sent[-1] for pair in run.pairs if pair.sent), default=0.0)
    if not run.faults:
        return 0.0, min(last, 60.0) or 1.0
    start = max(0.0, math.floor(min(fault.start for fault in run.faults) - BEFORE_S))
    end = max(fault.end for fault in run.faults) + AFTER_S
    return start, max(start + 1.0, min(end, math.ceil(last)))


def marks_of(run: RunRecord, start: float, end: float) -> list[Mark]:
    """Incidents, actions and proofs within [start, end), in order; at most 30, the rest is in the JSON."""
    zero = min((fault.start for fault in run.faults), default=0.0)
    marks: list[Mark] = []
    for at, event in run.events:
        word, css = _SHOWN.get(str(event.get("type")), ("", ""))
        if not word or not start <= at < end:
            continue
        raw = event.get("data")
        data = raw if isinstance(raw, dict) else {}
        if css == "incident":
            what = f"incident {word}: {data.get('code', '')} {data.get('component') or event.get('component', '')}"
        else:
            what = f"action {word}: {data.get('kind', '')} {data.get('target') or event.get('component', '')}"
        marks.append(Mark(at, css, f"{at - zero:+.2f} s  {what}"))
    return sorted(marks, key=lambda mark: mark.at)[:MARKS_MAX]


def draw(run: RunRecord, start: float, end: float, marks: list[Mark]) -> str:
    """The SVG of one run between `start` and `end` (s); every text is escaped."""
    lanes = _lanes(marks, start, end)
    labels = 12 * max(0, len(run.faults) - 1)  # px that more than one fault's name takes
    top = 24 + labels + LANE * max([lane + 1 for lane in lanes], default=0)
    height = top + len(run.pairs) * (ROW + GAP) + 24
    name = f"{run.scenario}, controller {'on' if run.controller else 'off'}: what client pairs saw over time"
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(name)}" xmlns="http://www.w3.org/2000/svg">'
    ]
    parts += _faults(run, start, end, height)
    for place, pair in enumerate(run.pairs):
        parts += _pair_row(pair, top + place * (ROW + GAP), start, end)
    parts += _axis(run, start, end, height)
    for number, (mark, lane) in enumerate(zip(marks, lanes, strict=True), 1):
        x, y = _x(mark.at, start, end), 31 + labels + lane * LANE
        parts.append(
            f'<g class="mark {mark.css}"><title>{escape(mark.text)}</title>'
            f'<line x1="{x:.1f}" y1="{y}" x2="{x:.1f}" y2="{height - 22}"/>'
            f'{shape(mark.css, x, y)}<text x="{x:.1f}" y="{y + 3.7:.1f}">{number}</text></g>',
        )
    return "".join([*parts, "</svg>"])


def _x(at: float, start: float, end: float) -> float:
    return LABEL + (WIDTH - LABEL - 8) * (min(max(at, start), end) - start) / (end - start)


def shape(css: str, x: float, y: float) -> str:
    """Each kind of mark has a shape of its own: incident a circle, action a square, proof a hexagon, undo a diamond."""
    if css == "action":
        return f'<rect x="{x - 8:.1f}" y="{y - 8}" width="16" height="16" rx="2"/>'
    if css == "proof":
        return f'<path d="M{x - 9.5:.1f} {y}l4.7-8.5h9.6l4.7 8.5l-4.7 8.5h-9.6z"/>'
    if css == "undo":
        return f'<path d="M{x:.1f} {y - 10.5}l10.5 10.5l-10.5 10.5l-10.5-10.5z"/>'
    return f'<circle cx="{x:.1f}" cy="{y}" r="8.5"/>'


def _lanes(marks: list[Mark], start: float, end: float) -> list[int]:
    """A lane for each mark so that no two overlap."""
    free: list[float] = []
    lanes: list[int] = []
    for mark in marks:
        x = _x(mark.at, start, end)
        lane = next((place for place, edge in enumerate(free) if edge <= x), len(free))
        if lane == len(free):
            free.append(0.0)
        free[lane] = x + 22
        lanes.append(lane)
    return lanes


def _faults(run: RunRecord, start: float, end: float, height: int) -> list[str]:
    """The bands of all faults, then their names above them: a later band must not hide an earlier name."""
    bands, names = [], []
    for place, fault in enumerate(run.faults):
        left, right = _x(fault.start, start, end), _x(fault.end, start, end)
        what = escape(f"fault: {fault.kind}, {fault.truth.code} {fault.truth.component}")
        bands.append(
            f'<g class="fault"><title>{what}</title>'
            f'<rect x="{left:.1f}" y="4" width="{right - left:.1f}" height="{height - 26}"/></g>',
        )
        names.append(f'<text class="what" x="{left + 5:.1f}" y="{16 + 12 * place}">{what}</text>')
    return bands + names


def _axis(run: RunRecord, start: float, end: float, height: int) -> list[str]:
    zero = min((fault.start for fault in run.faults), default=0.0)
    step = 5 if end - start <= 90 else 10 * math.ceil((end - start) / 200)
    first = math.ceil((start - zero) / step) * step
    ticks = np.arange(first, end - zero + 1e-9, step)
    return [
        f'<text class="tick" x="{_x(zero + tick, start, end):.1f}" y="{height - 5}">{tick:+.0f} s</text>'
        for tick in ticks.tolist()
        if _x(zero + tick, start, end) < WIDTH - 18
    ]


def states(pair: PairRecord, start: float, end: float) -> list[str]:
    """The state of each 250 ms from `start` to `end`: a key of STATES, or "" where no probe was sent."""
    count = math.ceil((end - start) / BIN_S - 1e-9)
    sent, rtt = np.asarray(pair.sent), np.asarray(pair.rtt_ms)
    edges = np.searchsorted(sent, start + BIN_S * np.arange(count + 1) - 1e-6)
    excused = wellness.within(sent, wellness.spans(pair.excused))
    found = []
    for begin, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        answers = rtt[begin:stop][~excused[begin:stop]]
        lost = int(np.sum(np.isnan(answers)))
        if begin == stop:
            found.append("")
        elif not len(answers):
            found.append("excused")
        elif lost:
            found.append("lost" if 2 * lost >= len(answers) else "some")
        else:
            found.append("slow" if np.any(answers >= wellness.SLOW_MS) else "ok")
    return found


def _pair_row(pair: PairRecord, y: int, start: float, end: float) -> list[str]:
    """Cells (equal neighbours joined) and beneath them a line where no well window covers the time."""
    name = f"{pair.source} \N{LEFT RIGHT ARROW} {pair.target}"
    parts = [f'<text class="pair" x="{LABEL - 8}" y="{y + ROW - 3}">{escape(name)}</text>']
    cells = states(pair, start, end)
    begin = 0
    for place in range(1, len(cells) + 1):
        if place < len(cells) and cells[place] == cells[begin]:
            continue
        if cells[begin]:
            left, right = _x(start + begin * BIN_S, start, end), _x(start + place * BIN_S, start, end)
            tall = ROW * STATES[cells[begin]][0]
            parts.append(
                f'<rect class="{cells[begin]}" x="{left:.2f}" y="{y + ROW - tall:.1f}" '
                f'width="{right - left:.2f}" height="{tall:.1f}"/>',
            )
        begin = place
    seen = wellness.windows(pair)
    good = wellness.spans([*zip(seen.start[seen.well], seen.end[seen.well], strict=True), *pair.excused])
    reach = pair.sent[-1] if pair.sent else start
    edge = start
    for left_s, right_s in [*good.tolist(), [min(end, reach), end]]:
        if left_s > edge + 1e-6 and edge < end:
            a, b = _x(edge, start, end), _x(left_s, start, end)
            parts.append(f'<rect class="unwell" x="{a:.2f}" y="{y + ROW + 2}" width="{b - a:.2f}" height="3"/>')
        edge = max(edge, right_s)
    return parts
