"""The score of many runs: what is printed, and a driver that can be stopped and goes on where it was.

The controller cannot influence any of it: health comes from the lab's own probes (`lab.wellness`), harm from what
the lab's kernel saw (`lab.harm`), claims are stamped on arrival (`lab.judge`).
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from x0tta6bl4.errors import ConfigError, ResourceError
from x0tta6bl4.files import replace_file
from x0tta6bl4.lab import archive, pool
from x0tta6bl4.lab.judge import FaultScore, RunScore, judge
from x0tta6bl4.lab.record import PairRecord, RunRecord

__all__ = ["Healthy", "Progress", "RunScore", "Runner", "judge", "kept_records", "kept_scores", "score", "total"]

DAY_S: Final = 86_400.0
HEALTHY: Final = "healthy"

Runner = Callable[[Any, int, bool, float | None], RunRecord]
"""(scenario, seed, controller on, freeze participants at or None) -> the record of one run."""
Healthy = Callable[[float, int], RunRecord]
"""(hours, seed) -> the record of a run without faults, with the controller on."""
Progress = Callable[[int, int, str], None]
"""(runs done, runs in all, what was just done)."""


class Named(Protocol):
    """What the driver needs of a scenario; its whole content goes into the key."""

    @property
    def name(self) -> str:
        """Unique among the scenarios of one score."""
        ...


@dataclass(frozen=True, slots=True)
class Task:
    """One run to do; picklable where `runner` is a name and the scenario is a value."""

    key: str
    scenario: Any  # None in a healthy run
    name: str
    seed: int
    controller: bool
    runner: Runner | Healthy | str
    records: Path
    backend: str
    tuning: str
    off_keys: tuple[str, ...] = ()
    hours: float = 0.0


def total(scores: Sequence[RunScore]) -> dict[str, object]:
    """The totals over all valid runs; None where nothing of that class ran. Ratios are in [0, 1], times in s.

    Detection, causes, recovery, actions, harm, drift and false incidents are of runs with the controller; detection
    is over all faults, recovery over repairable ones that hurt a client; a miss enters a percentile with its fault's
    full duration.
    """
    valid = [one for one in scores if not one.invalid]
    on = [one for one in valid if one.controller]
    faults = [fault for one in on for fault in one.faults]
    mendable = [fault for fault in faults if fault.repairable and fault.recovered is not None]
    days = sum(one.seconds for one in on) / DAY_S
    return {
        "runs": len(scores),
        "invalid": len(scores) - len(valid),
        "scenarios": len({one.scenario for one in scores if not one.healthy_hours}),
        "management": ",".join(sorted({one.management for one in scores} - {""})) or None,
        "detected": _ratio([fault.detected for fault in faults]),
        "cause_top1": _ratio([fault.cause_top1 for fault in faults]),
        "cause_top3": _ratio([fault.cause_top3 for fault in faults]),
        "recovered": _ratio([bool(fault.recovered) for fault in mendable]),
        "ttd_s_p95_hard": _percentile(_detect_s(faults, "hard"), 95),
        "ttd_s_p95_soft": _percentile(_detect_s(faults, "soft"), 95),
        "ttr_s_p50": _percentile(_recover_s(mendable), 50),
        "ttr_s_p95_hard": _percentile(_recover_s(mendable, "hard"), 95),
        "ttr_s_p95_soft": _percentile(_recover_s(mendable, "soft"), 95),
        "ttr_s_p95_primary": _percentile(_recover_s(mendable, "primary"), 95),
        "bad_s_on": _mean([fault.bad_s for fault in faults if fault.bad_s is not None]),
        "bad_s_off": _mean(
            [f.bad_s for one in valid if not one.controller for f in one.faults if f.bad_s is not None],
        ),
        "actions": sum(one.actions for one in on) if on else None,
        "harmful_actions": sum(len(one.harmful) for one in on) if on else None,
        "false_incidents_per_day": sum(len(one.false_incidents) for one in on) / days if days else None,
        "config_drift": sum(len(one.drift) for one in on) if on else None,
    }


def _detect_s(faults: Sequence[FaultScore], kind_class: str) -> list[float]:
    chosen = [fault for fault in faults if fault.kind_class == kind_class]
    return [fault.duration_s if fault.ttd_s is None else fault.ttd_s for fault in chosen]


def _recover_s(faults: Sequence[FaultScore], kind_class: str | None = None) -> list[float]:
    chosen = [fault for fault in faults if kind_class in (None, fault.kind_class)]
    return [fault.duration_s if fault.ttr_s is None else fault.ttr_s for fault in chosen]


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent, method="linear")) if values else None


def _ratio(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def score(
    scenarios: Sequence[Named],
    runner: Runner | str,
    *,
    backend: str,
    json_path: Path,
    version: str,
    tuning: str = "default",
    seeds: Sequence[int] = (0,),
    controller: str = "both",
    jobs: int = 1,
    progress: Progress | None = None,
    healthy: Healthy | str | None = None,
    healthy_hours: float = 0.0,
    healthy_runs: int = 1,
) -> dict[str, object]:
    """Run every scenario with every seed, judge each run, keep it at once; returns the document in `json_path`.

    Stopped and called again it does only what is missing: a run is known by the content of its scenario, backend,
    tuning, seed, controller and the code that runs in it; invalid runs are tried again. Records are kept beside the
    JSON file, in `json_path` + ".records". `jobs` > 1 needs runners given as "module:attribute", picklable scenarios;
    in real time (any backend but sim) only runs without a controller share the machine, the others run alone.
    healthy_hours: watched in all, over `healthy_runs` runs of equal length. Raises ConfigError for bad arguments
    and a file that is not a score; an error of the mesh (ResourceError) makes its run invalid.
    """
    _check(controller=controller, seeds=seeds, jobs=jobs, runner=runner, healthy=healthy, hours=healthy_hours)
    if healthy_runs < 1:
        raise ConfigError("healthy_runs", healthy_runs, "a number of runs >= 1")
    sides = {"on": (True,), "off": (False,), "both": (False, True)}[controller]
    blank = Task("", None, HEALTHY, 0, True, runner, _records(json_path), backend, tuning)
    tasks = [task for one in scenarios for task in _tasks(blank, one, version, seeds, sides)]
    if healthy is not None and healthy_hours > 0:
        blank = replace(blank, runner=healthy, hours=healthy_hours / healthy_runs)
        content = [HEALTHY, blank.hours]
        tasks += [replace(blank, key=_key(blank, content, version, n, on=True), seed=n) for n in range(healthy_runs)]
    tasks.sort(key=lambda task: task.controller)  # those without first: outside `sim` harm is compared with them
    keep = {one.key: one for one in kept_scores(json_path)}
    missing = [task for task in tasks if task.key not in keep or keep[task.key].invalid]
    new = {task.key for task in missing}
    done = len(tasks) - len(missing)
    document = _write(json_path, keep, tasks)
    with closing(_results(missing, jobs, jobs if backend == "sim" else 1)) as results:
        for task, result in results:
            keep[task.key] = result
            done += 1
            document = _write(json_path, keep, tasks)
            if progress is not None:
                side = "on" if task.controller else "off"
                progress(done, len(tasks), f"{task.name} seed {task.seed} controller {side}")
    if backend != "sim":  # what was judged before there were these runs to compare with
        for task in tasks:
            if task.controller and task.key not in new and not new.isdisjoint(task.off_keys):
                record = archive.kept_record(task.records, task.key)
                keep[task.key] = keep[task.key] if record is None else _compared(task, record)
        document = _write(json_path, keep, tasks)
    return document


def _key(blank: Task, content: object, version: str, seed: int, *, on: bool) -> str:
    code = archive.code_hash("lab", "network", *(("mape_k", "core") if on else ()))
    parts = [archive.content_hash(content), blank.backend, blank.tuning, seed, on, version, code]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


def _tasks(blank: Task, scenario: Named, version: str, seeds: Sequence[int], sides: Sequence[bool]) -> list[Task]:
    """The runs of one scenario; each knows all its runs without a controller."""
    off_keys = tuple(_key(blank, scenario, version, seed, on=False) for seed in seeds)
    blank = replace(blank, scenario=scenario, name=scenario.name, off_keys=off_keys)
    return [
        replace(blank, key=_key(blank, scenario, version, seed, on=on), seed=seed, controller=on)
        for seed in seeds
        for on in sides
    ]


def _records(json_path: Path) -> Path:
    return json_path.with_name(json_path.name + ".records")


def _check(
    *,
    controller: str,
    seeds: Sequence[int],
    jobs: int,
    runner: Runner | str,
    healthy: Healthy | str | None,
    hours: float,
) -> None:
    """Refuse what cannot be run before anything is."""
    if controller not in ("on", "off", "both"):
        raise ConfigError("controller", controller, "on, off or both")
    if not seeds or len(set(seeds)) != len(seeds):
        raise ConfigError("seeds", list(seeds), "one or more different numbers")
    if jobs < 1:
        raise ConfigError("jobs", jobs, "a number of processes >= 1")
    if jobs > 1 and not isinstance(runner, str):
        raise ConfigError("runner", runner, 'a name "module:attribute" where jobs > 1')
    if jobs > 1 and healthy is not None and not isinstance(healthy, str):
        raise ConfigError("healthy", healthy, 'a name "module:attribute" where jobs > 1')
    if hours < 0 or (hours > 0 and healthy is None):
        raise ConfigError("healthy_hours", hours, "hours >= 0, and > 0 only where the backend can run them")


def _results(tasks: Sequence[Task], jobs: int, jobs_on: int) -> Generator[tuple[Task, RunScore], None, None]:
    """Each task with its score as it finishes, all without a controller before all with one (`jobs_on` at once)."""
    for side, at_once in ((False, jobs), (True, jobs_on)):
        yield from _side([task for task in tasks if task.controller is side], at_once)


def _side(tasks: Sequence[Task], jobs: int) -> Generator[tuple[Task, RunScore], None, None]:
    if jobs == 1:
        yield from ((task, run_task(task)) for task in tasks)
    else:
        yield from pool.at_once(run_task, tasks, jobs)


def run_task(task: Task) -> RunScore:
    """Do one run, keep its record and judge it."""
    try:
        if task.hours:
            watch: Healthy = _resolve(task.runner)
            run = watch(task.hours, task.seed)
            return replace(judge(run), scenario=HEALTHY, healthy_hours=task.hours, key=task.key)
        runner: Runner = _resolve(task.runner)
        run = runner(task.scenario, task.seed, task.controller, None)
    except ResourceError as error:
        return _failed(task, str(error))
    archive.keep_record(task.records, task.key, run)

    def frozen(at: float) -> Sequence[PairRecord]:
        # Just before the step: an event at the very instant of the freeze must not slip through.
        return runner(task.scenario, task.seed, task.controller, at - 1e-6).pairs

    if not task.controller:
        return replace(judge(run), key=task.key)
    if task.backend == "sim":
        return replace(judge(run, replay=frozen), key=task.key)
    return _compared(task, run)


def _compared(task: Task, run: RunRecord) -> RunScore:
    """Judge a run on a real kernel beside the kept ones of its scenario without a controller."""
    off = [record for one in task.off_keys if (record := archive.kept_record(task.records, one)) is not None]
    return replace(judge(run, off), key=task.key)


def _failed(task: Task, why: str) -> RunScore:
    return RunScore(
        scenario=task.name,
        backend=task.backend,
        algorithm=str(getattr(task.scenario, "algorithm", "")),
        tuning=task.tuning,
        management="",
        seed=task.seed,
        controller=task.controller,
        seconds=0.0,
        healthy_hours=task.hours,
        invalid=why or "the run failed",
        faults=(),
        false_incidents=(),
        actions=0,
        harmful=(),
        drift=(),
        key=task.key,
    )


def _resolve(name: Any) -> Any:
    """The callable behind "module:attribute"; a callable is itself."""
    if not isinstance(name, str):
        return name
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:  # ValueError: an empty module name
        raise ConfigError("runner", name, f'"module:attribute" that can be imported ({error})') from error


def kept_scores(json_path: Path) -> list[RunScore]:
    """All scores in a file written by `score`, those of other calls last; [] where there is no file.

    Raises ConfigError where it is a file of another kind.
    """
    try:
        document = json.loads(json_path.read_text(encoding="utf-8"))
        return [archive.score_from_dict(one) for one in [*document["runs"], *document.get("other_runs", [])]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        allowed = f"a score of this version, or a path that is still free ({type(error).__name__}: {error})"
        raise ConfigError("json", str(json_path), allowed) from error


def kept_records(json_path: Path, scores: Sequence[RunScore]) -> list[RunRecord]:
    """The records behind these scores, as far as they were kept."""
    return [record for one in scores if (record := archive.kept_record(_records(json_path), one.key)) is not None]


def _write(json_path: Path, keep: Mapping[str, RunScore], tasks: Sequence[Task]) -> dict[str, object]:
    """Write what is there of these tasks, and apart from it what earlier calls asked for: it is not in the totals."""
    asked = {task.key for task in tasks}
    wanted = [keep[task.key] for task in tasks if task.key in keep]
    document: dict[str, object] = {
        "runs": [archive.score_to_dict(one) for one in wanted],
        "total": total(wanted),
        "other_runs": [archive.score_to_dict(one) for key, one in keep.items() if key not in asked],
    }
    json_path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(json_path, json.dumps(document, indent=1, default=str).encode())
    return document
