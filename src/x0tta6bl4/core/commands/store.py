"""`x0t store backup|restore|check`: what was decided, kept safe."""

from __future__ import annotations

import importlib
import random
from pathlib import Path
from typing import Annotated, Any

import typer

from x0tta6bl4.core.commands.output import Exit, JsonFlag, YesFlag, confirm, console, print_json, working
from x0tta6bl4.core.settings import load
from x0tta6bl4.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="Back up, restore and check what was decided.")
AgentFlag = Annotated[bool, typer.Option("--agent", help="This node's agent's store, not the controller's.")]


def _url(*, agent: bool) -> str:
    settings = load()  # first: a wrong setting needs no database
    return str(_late("machine").store_url(settings, agent=agent))


def _open(url: str) -> Any:
    clock = _late("machine").SystemClock()
    return _late("store").SqlStore(url, "command", clock=clock, random=random.SystemRandom(), reader=True)


def _late(part: str) -> Any:
    """The database's modules are heavy: no other command shall wait for them."""
    return importlib.import_module(f"x0tta6bl4.core.{part}")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where the copy goes; it holds all, in one file of mode 0600.")],
    force: Annotated[bool, typer.Option("--force", help="Replace FILE.")] = False,
    agent: AgentFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Copy the store to FILE, also while a controller uses it; FILE is whole or untouched."""
    if file.exists() and not (force and file.is_file()):
        raise ConfigError("file", str(file), "a file that does not exist, or one to replace with --force")
    with working("copying"), _open(_url(agent=agent)) as store:
        store.backup(file)
        place = store.place
    size = file.stat().st_size
    if as_json:
        print_json({"store": place, "file": str(file), "bytes": size})
        return
    console().print(f"copied {place} to {file} ({size} bytes)")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A copy that `x0t store backup` made.")],
    agent: AgentFlag = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Put a copy in the store's place; refused while a controller uses it. What was there is kept beside it."""
    url = _url(agent=agent)
    confirm(f"Put {file} in the place of what this controller decided?", yes=yes)
    with working("restoring"):
        aside = _late("store").restore(url, file)
    if as_json:
        print_json({"file": str(file), "before": str(aside) if aside else None})
        return
    console().print(f"restored {file}" + (f"; what was there is now {aside}" if aside else ""))


@app.command()
def check(agent: AgentFlag = False, as_json: JsonFlag = False) -> None:
    """Read the whole store and say whether anything in it is damaged (exit code 1); works beside a controller."""
    with working("reading all of it"), _open(_url(agent=agent)) as store:
        found = store.examine()
    if as_json:
        print_json(found.document())
    else:
        out = console()
        out.print(
            f"{found.place}: schema {found.schema}, {found.incidents} incidents ({found.open_incidents} open), "
            f"{found.actions} actions, {found.plans} plans, {found.events} events, {found.passes} passes"
        )
        for problem in found.problems:
            out.print(f"damaged: {problem}", style="red")
        out.print("ok" if found.ok else "stop the controller and restore a backup: x0t store restore FILE")
    if not found.ok:
        raise typer.Exit(Exit.FAILED)
