#!/usr/bin/env python3
# a program, not a module
"""Draws docs/picture.svg from two runs of the lab: what clients saw of one fault without and with the controller.

python scripts/picture.py                       in the simulator; the same seed gives the same bytes
python scripts/picture.py --backend vm          on a real kernel (scripts/install-lab.sh first)
python scripts/picture.py --scenario delay-200 --seed 2 --into /tmp/delay.svg
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from html import escape
from pathlib import Path
from typing import Any, Final

from x0tta6bl4.core import runners
from x0tta6bl4.errors import X0tError
from x0tta6bl4.lab import scenarios, timeline
from x0tta6bl4.lab.judge import judge
from x0tta6bl4.lab.record import RunRecord
from x0tta6bl4.lab.report_style import STYLE

PICTURE: Final = Path(__file__).resolve().parents[1] / "docs" / "picture.svg"
LINE: Final = 20  # px of one line of text
AFTER_S: Final = 4.0  # drawn beyond the closing of the incident
ANSWER_S: Final = 2.0  # how long an answer may take: younger probes tell nothing
MESHES: Final = {"sim": "simulated mesh", "vm": "real kernel in a guest", "host": "this machine's kernel"}
OWN_STYLE: Final = (
    ".head{font-size:17px!important;font-weight:700!important}.cap{font-weight:600!important}"
    ".soft{fill:var(--soft)!important}"
)


def answered(run: RunRecord) -> RunRecord:
    """The run without the probes that were not given the time to be answered."""
    pairs = []
    for pair in run.pairs:
        count = sum(sent < pair.sent[-1] - ANSWER_S for sent in pair.sent)
        pairs.append(dataclasses.replace(pair, sent=pair.sent[:count], rtt_ms=pair.rtt_ms[:count]))
    return dataclasses.replace(run, pairs=pairs)


def essential(run: RunRecord) -> RunRecord:
    """The run with the events of its incidents and of the kind of action that was taken first, until it was closed."""
    applied = (event for _, event in run.events if event.get("type") == "action.applied")
    kind = _data(next(applied, {})).get("kind")
    kept, closed = [], False
    for at, event in run.events:
        about = str(event.get("type")).startswith("incident.") or _data(event).get("kind") == kind
        if about and not closed:
            kept.append((at, event))
        closed = closed or event.get("type") == "incident.closed"
    return dataclasses.replace(run, events=kept)


def _data(event: dict[str, object]) -> dict[str, Any]:
    data = event.get("data")
    return data if isinstance(data, dict) else {}


def caption(run: RunRecord) -> str:
    """What the lab's judge says of the run's fault."""
    fault = judge(run).faults[0]
    found = f"found after {fault.ttd_s:.1f} s, " if fault.ttd_s is not None else ""
    healed = f"well again after {fault.ttr_s:.1f} s" if fault.ttr_s is not None else "not well again while it lasted"
    healed = healed if fault.hurt_pairs else "nobody was hurt"
    bad = f", {fault.bad_s:.1f} bad seconds of {fault.duration_s:.0f}" if fault.bad_s is not None else ""
    return f"{'With' if run.controller else 'Without'} the controller: {found}{healed}{bad}"


def picture(off: RunRecord, on: RunRecord, title: str, source: str) -> str:
    """The whole SVG: both runs over the same time, the numbered marks of the second in words, a legend."""
    off, on = answered(off), essential(answered(on))
    start, end = timeline.span_of(on)
    end = max(end, max((at for at, _ in on.events), default=0.0) + AFTER_S)
    marks = timeline.marks_of(on, start, end)
    y, parts = 2 * LINE + 6, [_text(12, 26, title, "head"), _text(12, 26 + LINE, source, "soft")]
    for run, shown in ((off, []), (on, marks)):
        drawn = timeline.draw(run, start, end, shown)
        height = int(drawn.partition(f'viewBox="0 0 {timeline.WIDTH} ')[2].partition('"')[0])
        parts.append(_text(12, y + LINE + 4, caption(run), "cap"))
        parts.append(f'<svg y="{y + LINE + 12}" width="{timeline.WIDTH}" height="{height}">{drawn}</svg>')
        y += LINE + 12 + height
    rows = (len(marks) + 1) // 2
    for number, mark in enumerate(marks):
        column, row = divmod(number, rows)
        parts.append(_text(24 + 490 * column, y + (row + 1) * LINE, f"{number + 1}   {mark.text}", "mark-text"))
    y += rows * LINE + 12
    parts += _legend(y)
    return _whole(parts, title, y + 2 * LINE)


def _legend(y: int) -> list[str]:
    parts, x = [], 24
    for state, (share, words) in timeline.STATES.items():
        tall = timeline.ROW * share
        parts.append(f'<rect class="{state}" x="{x}" y="{y + 14 - tall:.1f}" width="14" height="{tall:.1f}"/>')
        parts.append(_text(x + 20, y + 13, words, "soft"))
        x += 44 + 7 * len(words)
    parts.append(f'<rect class="unwell" x="{x}" y="{y + 8}" width="14" height="3"/>')
    return [*parts, _text(x + 20, y + 13, "not well", "soft")]


def _text(x: int, y: int, words: str, css: str) -> str:
    return f'<text class="{css}" x="{x}" y="{y}">{escape(words)}</text>'


def _whole(parts: list[str], title: str, height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {timeline.WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}"><style>{STYLE}{OWN_STYLE}</style>'
        f'<rect width="{timeline.WIDTH}" height="{height}" rx="8" fill="var(--card)"/>' + "\n".join(parts) + "</svg>\n"
    )


def main() -> int:
    """Run both sides and write the picture; the exit code is 1 where the lab cannot run, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--scenario", default="loss-40", help="a built-in scenario, or a .yaml file")
    parser.add_argument("--backend", choices=("sim", "vm", "host"), default="sim")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--into", type=Path, default=PICTURE)
    chosen = parser.parse_args()
    try:
        scenario = scenarios.load(chosen.scenario)
        run = getattr(runners, chosen.backend)
        off, on = (run(scenario, chosen.seed, controller, None) for controller in (False, True))
    except X0tError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    command = f"scripts/picture.py --scenario {scenario.name} --backend {chosen.backend} --seed {chosen.seed}"
    source = f"{MESHES[chosen.backend]}, {on.algorithm}; drawn by {command}"
    chosen.into.write_text(picture(off, on, scenario.title, source), encoding="utf-8")
    sys.stdout.write(f"{caption(off)}\n{caption(on)}\nwrote {chosen.into}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
