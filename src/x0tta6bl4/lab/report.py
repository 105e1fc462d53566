"""The score as one self-contained HTML page: nothing is loaded from elsewhere, all text is escaped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from statistics import median
from typing import Final

from x0tta6bl4.files import replace_file
from x0tta6bl4.lab import timeline
from x0tta6bl4.lab.judge import FaultScore, RunScore
from x0tta6bl4.lab.record import RunRecord
from x0tta6bl4.lab.report_style import STYLE
from x0tta6bl4.lab.score import total

_Group = tuple[str, str, str, str]  # backend, scenario, algorithm, tuning

# total's key: (what a person calls it, unit or form, what it means)
_TOTALS: Final = {
    "runs": ("Runs", "n", "all runs, with and without the controller"),
    "invalid": ("Invalid runs", "n", "left out of everything below"),
    "scenarios": ("Scenarios", "n", "how many were run"),
    "management": ("Management", "text", "in-band: readings and orders pass only while the mesh carries them"),
    "detected": ("Detected", "%", "faults for which an incident named the true component"),
    "cause_top1": ("Right cause", "%", "code and component as they stood at the first applied action, else at close"),
    "cause_top3": ("Right cause among three", "%", "the truth is one of the first three causes"),
    "recovered": ("Recovered", "%", "repairable faults that hurt a pair: all hurt pairs became well and stayed so"),
    "ttd_s_p95_hard": ("Time to detect, hard, p95", "s", "misses count with the fault's full duration"),
    "ttd_s_p95_soft": ("Time to detect, soft, p95", "s", "loss, one-way, flapping, delay"),
    "ttr_s_p50": ("Time to recover, median", "s", "from the fault's start to the lasting well stretch"),
    "ttr_s_p95_hard": ("Time to recover, hard, p95", "s", "misses count with the fault's full duration"),
    "ttr_s_p95_soft": ("Time to recover, soft, p95", "s", "loss, one-way, flapping, delay"),
    "ttr_s_p95_primary": ("Time to recover, primary, p95", "s", "a lost primary interface, in neither class above"),
    "bad_s_on": ("Bad seconds, controller on", "s", "seconds of a fault that no well window covers, mean over pairs"),
    "bad_s_off": ("Bad seconds, controller off", "s", "the same mesh and faults without the controller"),
    "actions": ("Actions", "n", "applied"),
    "harmful_actions": ("Harmful actions", "n", "a well pair lost its replies because of one"),
    "false_incidents_per_day": ("False incidents a day", "1", "every incident that names no fault, during faults too"),
    "config_drift": ("Settings left changed", "n", "after the hold cap and 30 s"),
}


def write(report_dir: Path, scores: Sequence[RunScore], records: Iterable[RunRecord]) -> Path:
    """Write `index.html` into `report_dir` and return its path.

    scores: all runs. records: the runs to draw; of each scenario the first with and the first without a controller
    are taken. Raises OSError where the directory cannot be written.
    """
    path = report_dir / "index.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, page(scores, records).encode())
    return path


def page(scores: Sequence[RunScore], records: Iterable[RunRecord]) -> str:
    """The whole page as text."""
    drawn: dict[_Group, dict[bool, RunRecord]] = {}
    for record in records:
        if record.faults:
            group = (record.backend, record.scenario, record.algorithm, record.tuning)
            drawn.setdefault(group, {}).setdefault(record.controller, record)
    backends = ", ".join(sorted({one.backend for one in scores})) or "nothing run"
    sections = [_section(group, runs, scores) for group, runs in sorted(drawn.items())]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" '
        f'content="light dark"><title>x0tta6bl4 score: {escape(backends)}</title><style>{STYLE}</style></head><body>'
        f"<header><h1>Score of the self-healing controller</h1><p>{_subtitle(scores)}</p></header><main>"
        f"<section><h2>Totals</h2>{_totals(scores)}</section>"
        f"<section><h2>By scenario</h2>{_by_scenario(scores)}</section>{_invalid(scores)}"
        f"<section><h2>What clients saw</h2>{_legend() if sections else _nothing('No run was recorded.')}</section>"
        f"{''.join(sections)}</main></body></html>\n"
    )


def _subtitle(scores: Sequence[RunScore]) -> str:
    def names(pick: Callable[[RunScore], str]) -> str:
        return ", ".join(sorted({pick(one) for one in scores if pick(one)})) or "none"

    seeds = len({one.seed for one in scores if not one.healthy_hours})
    parts = [
        f"backend {names(lambda one: one.backend)}",
        f"tuning {names(lambda one: one.tuning)}",
        f"management {names(lambda one: one.management)}",
        f"{seeds} seed{'' if seeds == 1 else 's'}",
        f"{sum(one.healthy_hours for one in scores if not one.invalid):g} healthy hours watched",
    ]
    return escape(" \N{MIDDLE DOT} ".join(parts))


def _form(value: object, unit: str) -> str:
    if value is None:
        return '<span class="none">not run</span>'
    if isinstance(value, int | float):
        if unit == "%":
            return f"{100 * value:.1f} %"
        if unit == "s":
            return f"{value:.2f} s"
        return f"{value:g}" if unit == "n" else f"{value:.2f}"
    return escape(str(value))


def _totals(scores: Sequence[RunScore]) -> str:
    rows = []
    for key, value in total(scores).items():
        name, unit, meaning = _TOTALS[key]
        rows.append(
            f'<tr><th scope="row">{escape(name)}<small>{escape(meaning)}</small></th>'
            f'<td data-key="{escape(key)}">{_form(value, unit)}</td></tr>',
        )
    return f'<table class="totals"><tbody>{"".join(rows)}</tbody></table>'


def _groups(scores: Sequence[RunScore]) -> dict[_Group, list[RunScore]]:
    groups: dict[_Group, list[RunScore]] = {}
    for one in scores:
        groups.setdefault((one.backend, one.scenario, one.algorithm, one.tuning), []).append(one)
    return dict(sorted(groups.items()))


def _by_scenario(scores: Sequence[RunScore]) -> str:
    head = (
        "Scenario",
        "Runs on / off",
        "Detected",
        "Detect, median",
        "Right cause",
        "Recovered on",
        "Recover on, median",
        "Recovered off",
        "Recover off, median",
        "Bad s on",
        "Bad s off",
        "Actions",
        "Harmful",
        "False",
        "Drift",
    )
    rows = [_scenario_row(group, [one for one in runs if not one.invalid]) for group, runs in _groups(scores).items()]
    if not rows:
        return _nothing("Nothing was run.")
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _scenario_row(group: _Group, valid: Sequence[RunScore]) -> str:
    backend, scenario, algorithm, tuning = group
    on, off = [one for one in valid if one.controller], [one for one in valid if not one.controller]
    seen, alone = [f for one in on for f in one.faults], [f for one in off for f in one.faults]
    unrepairable = any(not fault.repairable for fault in seen or alone)
    cells = [
        f"{len(on)} / {len(off)}",
        _share([fault.detected for fault in seen]),
        _median([fault.ttd_s for fault in seen if fault.ttd_s is not None]),
        _share([fault.cause_top1 for fault in seen]),
        _recovered(seen),
        _healing(seen),
        _recovered(alone),
        _healing(alone),
        _median([fault.bad_s for fault in seen if fault.bad_s is not None]),
        _median([fault.bad_s for fault in alone if fault.bad_s is not None]),
        str(sum(one.actions for one in on)) if on else "",
        _alarm(sum(len(one.harmful) for one in on), on),
        _alarm(sum(len(one.false_incidents) for one in on), on),
        _alarm(sum(len(one.drift) for one in on), on),
    ]
    what = f"{backend} \N{MIDDLE DOT} {algorithm} \N{MIDDLE DOT} {tuning}"
    note = "<small>not repairable</small>" if unrepairable else ""
    name = f'<th scope="row">{escape(scenario)}<small>{escape(what)}</small>{note}</th>'
    return f"<tr>{name}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _share(flags: Sequence[bool]) -> str:
    return f"{sum(flags)} of {len(flags)}" if flags else ""


def _recovered(faults: Sequence[FaultScore]) -> str:
    hurt = [bool(fault.recovered) for fault in faults if fault.recovered is not None]
    return _share(hurt) if hurt or not faults else "-"


def _healing(faults: Sequence[FaultScore]) -> str:
    """The median time to recover, "never", or "-" where nobody was hurt."""
    hurt = [fault for fault in faults if fault.recovered is not None]
    times = [fault.ttr_s for fault in hurt if fault.ttr_s is not None]
    return _median(times) if times or not faults else "never" if hurt else "-"


def _median(values: Sequence[float]) -> str:
    return f"{median(values):.2f}" if values else ""


def _alarm(count: int, runs: Sequence[RunScore]) -> str:
    if not runs:
        return ""
    return f'<strong class="alarm">{count}</strong>' if count else "0"


def _nothing(text: str) -> str:
    return f'<p class="none">{escape(text)}</p>'


def _invalid(scores: Sequence[RunScore]) -> str:
    """Why runs do not count, and what was wrong in those that do: each as a list that can be opened."""
    lists = {
        "Invalid runs": [f"{_title(one)}: {one.invalid}" for one in scores if one.invalid],
        "Harmful actions": _findings(scores, lambda one: one.harmful),
        "False incidents": _findings(scores, lambda one: one.false_incidents),
        "Settings left changed": _findings(scores, lambda one: one.drift),
    }
    return "".join(
        f"<details><summary>{escape(name)}: {len(items)}</summary>"
        f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul></details>"
        for name, items in lists.items()
        if items
    )


def _findings(scores: Sequence[RunScore], pick: Callable[[RunScore], tuple[str, ...]]) -> list[str]:
    counted = [one for one in scores if one.controller and not one.invalid]
    return [f"{_title(one)}: {item}" for one in counted for item in pick(one)]


def _title(one: RunScore) -> str:
    return f"{one.scenario} {one.algorithm} seed {one.seed} controller {'on' if one.controller else 'off'}"


def _legend() -> str:
    cells = "".join(
        f'<li><svg viewBox="0 0 22 16" aria-hidden="true"><rect class="{css}" x="0" y="{16 - 16 * tall:.1f}" '
        f'width="22" height="{16 * tall:.1f}"/></svg>{escape(text)}</li>'
        for css, (tall, text) in timeline.STATES.items()
    )
    marks = "".join(
        f'<li><svg viewBox="0 0 22 22" aria-hidden="true"><g class="mark {css}">{timeline.shape(css, 11, 11)}</g></svg>'
        f"{escape(text)}</li>"
        for css, text in timeline.MARKS.items()
    )
    unwell = (
        '<li><svg viewBox="0 0 22 16" aria-hidden="true"><rect class="unwell" x="0" y="11" width="22" height="3"/>'
        "</svg>beneath a row: not well (no 2 s window with 90 % answered covers it)</li>"
    )
    return (
        "<p>One row for each client pair, one cell for each 250 ms of its probes (1,300 bytes, 20 a second). "
        "The shaded band is the fault; times are from its start.</p>"
        f'<ul class="legend">{cells}{unwell}{marks}</ul>'
    )


def _section(group: _Group, runs: dict[bool, RunRecord], scores: Sequence[RunScore]) -> str:
    """The two timelines of one scenario on one time axis, first without and then with the controller."""
    backend, scenario, algorithm, tuning = group
    reach = [timeline.span_of(run) for run in runs.values()]
    start, end = min(a for a, _ in reach), max(b for _, b in reach)
    figures = []
    for on in sorted(runs):
        run = runs[on]
        marks = timeline.marks_of(run, start, end)
        items = "".join(f'<li class="{mark.css}">{escape(mark.text)}</li>' for mark in marks)
        words = f"{'With' if on else 'Without'} the controller, seed {run.seed}{_outcome(run, scores)}"
        figures.append(
            f'<figure class="{"on" if on else "off"}"><figcaption>{escape(words)}</figcaption>'
            f'<div class="wide">{timeline.draw(run, start, end, marks)}</div>'
            f"{f'<ol>{items}</ol>' if items else ''}</figure>",
        )
    what = f"{backend} \N{MIDDLE DOT} {algorithm} \N{MIDDLE DOT} {tuning}"
    return f'<section class="run"><h3>{escape(scenario)} <small>{escape(what)}</small></h3>{"".join(figures)}</section>'


def _outcome(run: RunRecord, scores: Sequence[RunScore]) -> str:
    """What the score of this very run says of its faults, in words."""
    mine = (run.backend, run.scenario, run.algorithm, run.tuning, run.seed, run.controller)
    for one in scores:
        if (one.backend, one.scenario, one.algorithm, one.tuning, one.seed, one.controller) == mine:
            return "".join(f"; {_fault_words(fault)}" for fault in one.faults)
    return ""


def _fault_words(fault: FaultScore) -> str:
    if fault.recovered is None:
        healed = "no counted pair was hurt"
    else:
        healed = f"recovered after {fault.ttr_s:.2f} s" if fault.ttr_s is not None else "never recovered"
    seen = f", detected after {fault.ttd_s:.2f} s" if fault.ttd_s is not None else ""
    bad = f", {fault.bad_s:.2f} bad seconds" if fault.bad_s is not None else ""
    return f"{fault.kind}: {healed}{seen}{bad}"
