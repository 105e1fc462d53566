"""Scores as a Markdown table: `python benchmarks/table.py SCORE.json.. [--into README.md --name sim]`.

The faults, by their medians. Above them, of one simulated score, its totals beside the targets, which are the
simulator's; below them, of others (one for each algorithm, say), what all runs together came to.
With --into the table replaces what stands between `<!-- measured: NAME begin -->` and `<!-- measured: NAME end -->`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

TARGETS = {
    "detected": (">=", 0.95),
    "cause_top1": (">=", 0.90),
    "recovered": (">=", 0.95),
    "ttd_s_p95_hard": ("<=", 1.0),
    "ttd_s_p95_soft": ("<=", 3.0),
    "ttr_s_p95_hard": ("<=", 3.0),
    "ttr_s_p95_soft": ("<=", 6.0),
    "ttr_s_p95_primary": ("<=", 8.0),
    "harmful_actions": ("<=", 0),
    "false_incidents_per_day": ("<=", 0),
    "config_drift": ("<=", 0),
}
WORSE_S = 1.0


def said(value: Any) -> str:
    """A figure for people."""
    return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def totals(total: dict[str, Any]) -> list[str]:
    """One row for each figure, beside its target."""
    rows = ["| figure | measured | target |", "| --- | --- | --- |"]
    for key, value in total.items():
        sign, limit = TARGETS.get(key, ("", None))
        missed = sign and value is not None and not (value >= limit if sign == ">=" else value <= limit)
        target = f"{sign} {said(limit)}" if sign else ""
        rows.append(f"| `{key}` | {said(value)}{' (missed)' if missed else ''} | {target} |")
    return rows


def by_scenario(runs: list[dict[str, Any]]) -> list[str]:
    """Medians for each scenario and algorithm, with and without the controller; a fault that hurt nobody took 0 s.

    Missed is a fault with more than `WORSE_S` bad seconds over those without the controller.
    """
    rows = [
        "| fault | algorithm | detected after s | recovered after s | bad s with | bad s without |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    keys = sorted({(r["scenario"], r.get("algorithm", "")) for r in runs if r["faults"]})
    for scenario, algorithm in keys:
        here = [r for r in runs if r["scenario"] == scenario and r.get("algorithm", "") == algorithm]
        on = [f for r in here if r["controller"] and not r.get("invalid") for f in r["faults"]]
        off = [f for r in here if not r["controller"] and not r.get("invalid") for f in r["faults"]]
        cells = [
            middle([f["ttd_s"] for f in on]),
            middle([0.0 if f["recovered"] is None else f["ttr_s"] for f in on if f["bad_s"] is not None]),
            middle([f["bad_s"] for f in on]) + (" (missed)" if worse(on, off) else ""),
            middle([f["bad_s"] for f in off]),
        ]
        rows.append(f"| {scenario} | {algorithm} | " + " | ".join(cells) + " |")
    return rows


def worse(on: list[dict[str, Any]], off: list[dict[str, Any]]) -> bool:
    """Has the median fault more than `WORSE_S` bad seconds over the median without the controller?"""
    with_, without = ([f["bad_s"] for f in faults if f["bad_s"] is not None] for faults in (on, off))
    return bool(with_ and without) and statistics.median(with_) > statistics.median(without) + WORSE_S


def together(runs: list[dict[str, Any]]) -> str:
    """What all runs came to, in a sentence."""
    valid = [run for run in runs if not run.get("invalid") and run["faults"]]
    on = [run for run in valid if run["controller"]]
    faults = [fault for run in on for fault in run["faults"]]
    mendable = [fault for fault in faults if fault["repairable"] and fault["recovered"] is not None]
    counts = {
        side: [
            sum(run["controller"] is side and (run["scenario"], run["algorithm"]) == key for run in valid)
            for key in {(run["scenario"], run["algorithm"]) for run in valid}
        ]
        for side in (True, False)
    }
    return (
        f"{len(on)} runs with the controller ({spread(counts[True])} of each) and {len(valid) - len(on)} without "
        f"({spread(counts[False])}): {sum(fault['detected'] for fault in faults)} of {len(faults)} faults detected, "
        f"{sum(fault['cause_top1'] for fault in faults)} named rightly, "
        f"{sum(bool(fault['recovered']) for fault in mendable)} of {len(mendable)} that can be repaired recovered; "
        f"of {sum(run['actions'] for run in on)} actions {sum(len(run['harmful']) for run in on)} harmful, "
        f"{sum(len(run['drift']) for run in on)} settings left changed, "
        f"{sum(len(run['false_incidents']) for run in on)} false incidents."
    )


def spread(counts: list[int]) -> str:
    """`3`, or `1 to 3` where they differ."""
    return str(counts[0]) if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"


def middle(values: list[float | None]) -> str:
    """The median of what is known; "never" where most is not."""
    known = [v for v in values if v is not None]
    if not values:
        return "-"
    return f"{statistics.median(known):.1f}" if len(known) > len(values) / 2 else "never"


def main() -> int:
    """Print the table, or put it into a document."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("score", type=Path, nargs="+")
    parser.add_argument("--into", type=Path)
    parser.add_argument("--name", default="sim")
    chosen = parser.parse_args()
    scores = [json.loads(path.read_text()) for path in chosen.score]
    runs = [run for score in scores for run in (*score["runs"], *score.get("other_runs", ()))]
    if len(scores) == 1 and {run["backend"] for run in runs} == {"sim"}:
        lines = [*totals(scores[0]["total"]), "", *by_scenario(runs)]
    else:
        lines = [*by_scenario(runs), "", together(runs)]
    text = "\n".join(lines)
    if chosen.into is None:
        print(text)
        return 0
    begin, end = f"<!-- measured: {chosen.name} begin -->", f"<!-- measured: {chosen.name} end -->"
    page = chosen.into.read_text()
    if begin not in page or end not in page:
        print(f"error: {chosen.into} has no {begin} ... {end}", file=sys.stderr)
        return 1
    head, _, rest = page.partition(begin)
    chosen.into.write_text(f"{head}{begin}\n{text}\n{end}{rest.partition(end)[2]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
