"""Does the simulator tell the truth? The same scenarios without a controller, in `sim` and on a real kernel.

A fault compares well where three valid `vm` runs agree on whether it heals by itself, `sim` says the same, and the
median times to recover lie within 50 % or 2 s of each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from x0tta6bl4.lab.judge import FaultScore, RunScore

AGREEING_RUNS: Final = 3
WITHIN_RATIO: Final = 0.5
WITHIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Row:
    """One fault of one scenario. Verdicts: "heals", "never", "excused" (no pair counted), "mixed", "too few runs".

    ok: None where the `vm` runs do not agree or are too few, so that nothing can be said.
    """

    scenario: str
    algorithm: str
    tuning: str
    fault: str
    sim: str
    vm: str
    sim_s: float | None
    vm_s: float | None
    sim_runs: int
    vm_runs: int
    ok: bool | None


def compare(sim: Iterable[RunScore], vm: Iterable[RunScore]) -> list[Row]:
    """One row for each fault that either side ran without a controller; invalid runs are left out."""
    simulated, real = _by_fault(sim), _by_fault(vm)
    return [_row(key, simulated.get(key, []), real.get(key, [])) for key in sorted(simulated.keys() | real.keys())]


_Key = tuple[str, str, str, str]


def _by_fault(scores: Iterable[RunScore]) -> dict[_Key, list[FaultScore]]:
    found: dict[_Key, list[FaultScore]] = {}
    for one in scores:
        if one.invalid or one.controller:
            continue
        for fault in one.faults:
            found.setdefault((one.scenario, one.algorithm, one.tuning, fault.id), []).append(fault)
    return found


def _row(key: _Key, sim: Sequence[FaultScore], vm: Sequence[FaultScore]) -> Row:
    scenario, algorithm, tuning, fault = key
    sim_says = _verdict(sim) if sim else "too few runs"
    vm_says = _verdict(vm) if len(vm) >= AGREEING_RUNS else "too few runs"
    sim_s, vm_s = _time(sim), _time(vm)
    ok = None
    if sim and vm_says not in ("mixed", "too few runs"):
        ok = sim_says == vm_says and (vm_says != "heals" or _near(sim_s, vm_s))
    return Row(scenario, algorithm, tuning, fault, sim_says, vm_says, sim_s, vm_s, len(sim), len(vm), ok)


def _verdict(faults: Sequence[FaultScore]) -> str:
    words = {_word(fault) for fault in faults}
    return words.pop() if len(words) == 1 else "mixed"


def _word(fault: FaultScore) -> str:
    """Here a fault that hurt nobody is one that healed at once: both sides are asked what clients saw of it."""
    if fault.bad_s is None:
        return "excused"
    return "never" if fault.recovered is False else "heals"


def _time(faults: Sequence[FaultScore]) -> float | None:
    times = [fault.ttr_s or 0.0 for fault in faults if _word(fault) == "heals"]
    return median(times) if times else None


def _near(sim_s: float | None, vm_s: float | None) -> bool:
    if sim_s is None or vm_s is None:
        return False
    return abs(sim_s - vm_s) <= max(WITHIN_S, WITHIN_RATIO * vm_s)


def as_text(rows: Sequence[Row]) -> str:
    """The rows as a table for a terminal, and one line that sums them up."""
    head = ("scenario", "algorithm", "tuning", "fault", "sim", "vm", "sim s", "vm s", "same")
    table = [head] + [
        (
            row.scenario,
            row.algorithm,
            row.tuning,
            row.fault,
            f"{row.sim} ({row.sim_runs})",
            f"{row.vm} ({row.vm_runs})",
            _seconds(row.sim_s),
            _seconds(row.vm_s),
            {True: "yes", False: "NO", None: "open"}[row.ok],
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in table) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]
    same, differs = sum(row.ok is True for row in rows), sum(row.ok is False for row in rows)
    lines.append(f"{same} the same, {differs} different, {len(rows) - same - differs} open")
    return "\n".join(lines)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
