"""`x0t demo` and `x0t run`: a loop over a mesh of the lab, or over this machine's mesh."""

from __future__ import annotations

import importlib
from enum import StrEnum
from typing import Annotated, Any, cast

import typer

from x0tta6bl4.core.commands.output import JsonFlag, finite
from x0tta6bl4.core.commands.watch import style_for, watch
from x0tta6bl4.core.settings import load
from x0tta6bl4.core.view import Source
from x0tta6bl4.errors import NotSupported
from x0tta6bl4.monitoring import logs


class Backend(StrEnum):
    """Where the lab's mesh lives."""

    SIM = "sim"
    VM = "vm"
    HOST = "host"


BackendOption = Annotated[
    Backend, typer.Option(help="sim: simulated; vm: a real batman-adv in a guest; host: in namespaces of this kernel.")
]
SecondsOption = Annotated[
    float | None, typer.Option(min=0.1, callback=finite, help="End after this time; for ever by default.")
]
ApiOption = Annotated[bool, typer.Option("--api/--no-api", help="Serve the API meanwhile.")]


def demo_source(**options: Any) -> Source:
    """A lab's mesh; imported when used, since it pulls in the simulator."""
    module = importlib.import_module("x0tta6bl4.core.demo")
    return cast("Source", module.demo(**options))


def demo(
    *,
    backend: BackendOption = Backend.SIM,
    seconds: SecondsOption = None,
    speed: Annotated[
        float, typer.Option(min=0.1, max=100, callback=finite, help="Simulated seconds in one second (sim only).")
    ] = 1.0,
    every: Annotated[float, typer.Option(min=1, callback=finite, help="Seconds between two faults.")] = 20.0,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other faults.")] = 1,
    api: ApiOption = True,
    as_json: JsonFlag = False,
) -> None:
    """Watch a mesh break and heal: the lab's mesh in front of you, a fault every 20 s. Nothing of yours is touched."""
    settings = load()
    source = demo_source(settings=settings, backend=backend.value, speed=speed, fault_every_s=every, seed=seed)
    watch(source, settings, style=style_for(as_json=as_json), api=api, seconds=seconds)


def run(*, seconds: SecondsOption = None, api: ApiOption = True, as_json: JsonFlag = False) -> None:
    """Look after this machine's batman-adv mesh; it advises only, until `safety.autonomy` says more."""
    settings = load()
    source = importlib.import_module("x0tta6bl4.core.machine").this_machine(settings)
    if source is None:
        what = f"there is no batman-adv interface {settings.mesh.interface!r} on this machine"
        raise NotSupported(f"{what}; set mesh.interface, or watch a simulated mesh with `x0t demo`")
    style = style_for(as_json=as_json, logs_by_default=True)
    if style == "logs":
        logs.configure(settings.log.level)
    watch(source, settings, style=style, api=api, seconds=seconds)
