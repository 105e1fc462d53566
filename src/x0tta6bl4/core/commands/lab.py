"""`x0t lab`: a mesh to break. Faults exist only here; no interface that the lab did not make is touched."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from x0tta6bl4 import __version__
from x0tta6bl4.client import Refused
from x0tta6bl4.core.commands.connection import ask, connect
from x0tta6bl4.core.commands.demo import ApiOption, Backend, BackendOption, SecondsOption, demo_source
from x0tta6bl4.core.commands.history import numbers
from x0tta6bl4.core.commands.output import (
    Cursor,
    Exit,
    JsonFlag,
    Limit,
    WatchOption,
    YesFlag,
    age,
    confirm,
    console,
    done,
    finite,
    listing,
    number,
    percent,
    print_json,
    table,
)
from x0tta6bl4.core.commands.watch import style_for, watch
from x0tta6bl4.core.settings import load
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.lab import fidelity as fidelities
from x0tta6bl4.lab import report as reports
from x0tta6bl4.lab import scenarios
from x0tta6bl4.lab import score as scores
from x0tta6bl4.lab.scenarios import Scenario

app = typer.Typer(no_args_is_help=True, help="A mesh to break: simulated, in a guest, or in namespaces of this kernel.")


class Side(StrEnum):
    """With or without the controller."""

    ON = "on"
    OFF = "off"
    BOTH = "both"


class Tuning(StrEnum):
    """The mesh as batman-adv comes, or tuned by hand."""

    DEFAULT = "default"
    TUNED = "tuned"


Names = Annotated[list[str] | None, typer.Argument(help="Names or files; all built-in ones by default.")]
Directory = Annotated[Path | None, typer.Option("--scenario-dir", help="Take all scenarios of this directory.")]
Jobs = Annotated[
    int, typer.Option(min=1, help="Runs at once; on a real kernel only those without a controller share the machine.")
]


@app.command(name="list")
def list_scenarios(scenario_dir: Directory = None, as_json: JsonFlag = False) -> None:
    """List the scenarios: what each breaks, and what the right answer is."""
    chosen = _chosen(None, scenario_dir, "default")
    rows = [
        {
            "name": one.name,
            "title": one.title,
            "algorithm": one.algorithm,
            "management": one.management,
            "faults": [dataclasses.asdict(fault) for fault in one.fault_records()],
        }
        for one in chosen
    ]
    if as_json:
        print_json(rows)
        return
    made = table("", "scenario", "what", "class", "truth")
    for one in chosen:
        faults = one.fault_records()
        classes = ", ".join(sorted({fault.kind_class for fault in faults}))
        made.add_row(one.name, one.title, classes, "\n".join(f"{f.truth.code} {f.truth.component}" for f in faults))
    console().print(made)


@app.command()
def up(
    *,
    scenario: Annotated[str, typer.Argument(help="Whose mesh to build; its timeline is not played.")] = "blackhole",
    backend: BackendOption = Backend.SIM,
    seconds: SecondsOption = None,
    api: ApiOption = True,
    as_json: JsonFlag = False,
) -> None:
    """Build a mesh with the controller on and keep it, so that `x0t lab inject` can break it from a second terminal."""
    settings = load()
    chosen = scenarios.load(scenario)
    source = demo_source(settings=settings, backend=backend.value, fault_every_s=None, scenario=chosen)
    watch(source, settings, style=style_for(as_json=as_json), api=api, seconds=seconds)


@app.command()
def inject(
    *,
    kind: Annotated[str, typer.Argument(help="A kind of fault, e.g. link-loss; `x0t lab list --json` shows them.")],
    target: Annotated[str, typer.Argument(help="What to break: n2-n3, n1:v1-2 or n4.")],
    for_s: Annotated[
        float, typer.Option("--for", min=0.1, max=3600, callback=finite, help="Seconds after which it ends.")
    ] = 20.0,
    parameter: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter, e.g. loss_ratio=0.4; again for more.")
    ] = None,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Break something in the lab that `x0t lab up` or `x0t demo` runs."""
    wanted = numbers(parameter or [], "--set")
    confirm(f"Break {target} ({kind}) for {for_s:g} s?", yes=yes)
    with connect() as client:
        try:
            told = client.inject_fault(kind, target, for_s, wanted)
        except Refused as error:
            raise _with_option(error) from None
    done(told, f"{told['id']}: {kind} at {target} for {for_s:g} s", as_json=as_json)


def _with_option(error: Refused) -> Refused:
    """A refused or missing parameter, with the option that gives it."""
    group, _, name = str(error.problem.get("field", "")).partition(".")
    if group != "parameters":
        return error
    detail = f"{error.problem['detail']}; a parameter is given with --set {name}=NUMBER"
    return Refused(error.status, {**error.problem, "detail": detail})


@app.command()
def faults(limit: Limit = 100, cursor: Cursor = None, every: WatchOption = None, as_json: JsonFlag = False) -> None:
    """List what is broken on purpose just now."""
    draw = listing(
        "id",
        "kind",
        "component",
        ("for", lambda row: age(row["since_s"])),
        ("ends in", lambda row: age(row["remaining_s"])),
        nothing="nothing is broken on purpose",
    )
    ask(lambda client: client.list_faults(limit=limit, cursor=cursor), draw, as_json=as_json, every_s=every)


@app.command()
def end(
    fault: Annotated[str, typer.Argument(help="Id of a fault, as `x0t lab inject` prints it.")],
    as_json: JsonFlag = False,
) -> None:
    """Mend what you injected before its time."""
    with connect() as client:
        told = client.end_fault(fault)
    done(told, f"ended {told['id']}", as_json=as_json)


@app.command()
def score(
    *,
    json_path: Annotated[Path, typer.Option("--json", help="Where the result is kept; a second call goes on with it.")],
    names: Names = None,
    backend: BackendOption = Backend.SIM,
    controller: Annotated[
        Side,
        typer.Option(
            help="Run with the controller, without, or both; on a real kernel `both` alone tells harm from the fault."
        ),
    ] = Side.BOTH,
    tuning: Annotated[Tuning, typer.Option(help="tuned: BATMAN_IV, 200 ms OGM, dummy primary.")] = Tuning.DEFAULT,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each scenario, each with another seed.")] = 1,
    scenario_dir: Directory = None,
    healthy_hours: Annotated[
        float, typer.Option(min=0, callback=finite, help="Hours without a fault, for false incidents.")
    ] = 0.0,
    algorithm: Annotated[str | None, typer.Option(help="BATMAN_IV or BATMAN_V instead of the scenario's own.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML page into this directory.")] = None,
    jobs: Jobs = 1,
) -> None:
    """Measure the controller on named faults, judged by probes that it cannot see. Exit code 1 if a run is invalid."""
    if backend is not Backend.SIM and jobs > 1 and controller is Side.ON:
        raise ConfigError("--jobs", jobs, "1 with this backend and --controller on: such a run needs the machine alone")
    if backend is not Backend.SIM and healthy_hours:
        raise ConfigError("--healthy-hours", healthy_hours, "0 with this backend: healthy hours are simulated")
    chosen = _chosen(names, scenario_dir, tuning.value, algorithm)
    total = _score(
        json_path,
        chosen,
        backend=backend,
        side=controller,
        tuning=tuning,
        seeds=seeds,
        jobs=jobs,
        healthy_hours=healthy_hours,
    )
    print_total(total)
    if report is not None:
        kept = scores.kept_scores(json_path)
        page = reports.write(report, kept, scores.kept_records(json_path, kept))
        typer.echo(f"report: {page}")
    if total["invalid"]:
        raise typer.Exit(Exit.FAILED)


def _score(
    json_path: Path,
    chosen: Sequence[Scenario],
    *,
    backend: Backend,
    side: Side,
    tuning: Tuning,
    seeds: int,
    jobs: int,
    healthy_hours: float = 0.0,
) -> dict[str, Any]:
    """Run what is missing in `json_path` behind a progress bar; returns the totals."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console(), transient=True) as bar:
        task = bar.add_task(f"{backend.value} {side.value}", total=None)

        def progress(done: int, of: int, what: str) -> None:
            bar.update(task, completed=done, total=of, description=what)

        document = scores.score(
            chosen,
            f"x0tta6bl4.core.runners:{backend.value}",
            backend=backend.value,
            json_path=json_path,
            version=__version__,
            tuning=tuning.value,
            seeds=range(1, seeds + 1),
            controller=side.value,
            jobs=jobs,
            progress=progress,
            healthy="x0tta6bl4.core.runners:sim_healthy" if healthy_hours else None,
            healthy_hours=healthy_hours,
            healthy_runs=jobs,
        )
    total = document["total"]
    assert isinstance(total, dict)
    return total


@app.command()
def fidelity(
    *,
    names: Names = None,
    directory: Annotated[Path, typer.Option(help="Where the runs are kept; a second call goes on.")] = Path(".lab"),
    runs: Annotated[int, typer.Option(min=3, help="Runs of each scenario on each side.")] = 3,
    backend: BackendOption = Backend.VM,
    algorithm: Annotated[str | None, typer.Option(help="BATMAN_IV or BATMAN_V.")] = None,
    jobs: Jobs = 1,
    as_json: JsonFlag = False,
) -> None:
    """Compare the simulator with a real kernel, no controller on either. Exit code 1 where they differ."""
    chosen = _chosen(names, None, "default", algorithm)
    directory.mkdir(parents=True, exist_ok=True)
    kept = {}
    for side in (Backend.SIM, backend):
        path = directory / f"fidelity-{side.value}.json"
        _score(path, chosen, backend=side, side=Side.OFF, tuning=Tuning.DEFAULT, seeds=runs, jobs=jobs)
        kept[side] = scores.kept_scores(path)
    rows = fidelities.compare(kept[Backend.SIM], kept[backend])
    if as_json:
        print_json([dataclasses.asdict(row) for row in rows])
    else:
        typer.echo(fidelities.as_text(rows))
    if any(row.ok is False for row in rows):
        raise typer.Exit(Exit.FAILED)


def _chosen(
    names: Sequence[str] | None, directory: Path | None, tuning: str, algorithm: str | None = None
) -> list[Scenario]:
    """The scenarios that the arguments name, as they are to be run; raises ConfigError."""
    found = [scenarios.load(name) for name in names or []]
    if directory is not None:
        found += scenarios.load_dir(directory)
    if not found:
        found = [scenarios.load(name) for name in scenarios.builtin()]
    changes = {"tuning": "tuned" if tuning == "tuned" else None, "algorithm": algorithm}
    return [one.variant(**changes) for one in found]


_RATIOS = ("detected", "cause_top1", "cause_top3", "recovered")


def print_total(total: dict[str, Any]) -> None:
    """The totals for people."""
    made = table("", "", "")
    made.show_header = False
    for key, value in total.items():
        if key in _RATIOS:
            shown = percent(value)
        elif "_s_" in key or key.startswith("bad_s"):
            shown = number(value, "s", 2)
        else:
            shown = value if isinstance(value, str) else number(value, digits=2)
        made.add_row(key, shown)
    console().print(made)
