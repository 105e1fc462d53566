"""`x0t control`, `x0t policy` and `x0t maintenance`: how much the controller may do, and what it should expect."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

import typer

from x0tta6bl4.client import Document
from x0tta6bl4.core.commands.connection import ask, connect
from x0tta6bl4.core.commands.ids import find, tail
from x0tta6bl4.core.commands.output import (
    Cursor,
    JsonFlag,
    Limit,
    WatchOption,
    YesFlag,
    age,
    confirm,
    done,
    facts,
    listing,
)
from x0tta6bl4.errors import ConfigError

control = typer.Typer(no_args_is_help=True, help="Pause it, resume it, pull the kill switch.")
policy = typer.Typer(no_args_is_help=True, help="How far it may go by itself with each kind of action.")
maintenance = typer.Typer(no_args_is_help=True, help="Trouble that is expected: its symptoms open no incidents.")
Reason = Annotated[str, typer.Option(help="Why; others will read it.")]

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
DURATION = re.compile(r"^(\d+(?:\.\d+)?)([smhd]?)$")


class Autonomy(StrEnum):
    """How far it may go with one kind of action."""

    OBSERVE = "observe"
    ADVISE = "advise"
    APPROVE = "approve"
    ACT = "act"


def seconds(text: str, field: str) -> float:
    """A length of time as people type it; raises ConfigError.

    >>> seconds("90", "--for"), seconds("1.5h", "--for")
    (90.0, 5400.0)
    """
    found = DURATION.match(text)
    if found is None:
        raise ConfigError(field, text, "a number of seconds, or with a unit: 90s, 30m, 2h, 1d")
    return float(found[1]) * UNITS[found[2] or "s"]


@control.command()
def show(every: WatchOption = None, as_json: JsonFlag = False) -> None:
    """Show whether it is paused and whether the kill switch is on."""
    ask(lambda client: client.get_control(), facts, as_json=as_json, every_s=every)


def _switched(told: Document, *, as_json: bool) -> None:
    words = "kill switch on" if told["kill_switch"] else "kill switch off"
    done(told, f"{'paused' if told['paused'] else 'running'}, {words}", as_json=as_json)


@control.command()
def pause(reason: Reason, yes: YesFlag = False, as_json: JsonFlag = False) -> None:
    """Let it watch and diagnose, and plan nothing new."""
    confirm("Stop planning new actions over the whole mesh?", yes=yes)
    with connect() as client:
        _switched(client.set_control(paused=True, reason=reason), as_json=as_json)


@control.command()
def resume(reason: Reason, yes: YesFlag = False, as_json: JsonFlag = False) -> None:
    """End a pause."""
    confirm("Let it plan actions over the whole mesh again?", yes=yes)
    with connect() as client:
        _switched(client.set_control(paused=False, reason=reason), as_json=as_json)


@control.command()
def kill(reason: Reason, yes: YesFlag = False, as_json: JsonFlag = False) -> None:
    """Pull the kill switch: no action is started; what is under way is proven or undone."""
    confirm("Pull the kill switch of the whole mesh?", yes=yes)
    with connect() as client:
        _switched(client.set_control(kill_switch=True, reason=reason), as_json=as_json)


@control.command()
def release(reason: Reason, yes: YesFlag = False, as_json: JsonFlag = False) -> None:
    """Release the kill switch: it acts again, as far as its policies allow."""
    confirm("Let it act again?", yes=yes)
    with connect() as client:
        _switched(client.set_control(kill_switch=False, reason=reason), as_json=as_json)


@policy.command(name="list")
def list_policies(
    limit: Limit = 100, cursor: Cursor = None, every: WatchOption = None, as_json: JsonFlag = False
) -> None:
    """List every kind of action and how far it may go with it."""
    draw = listing("kind", "level", ("settings say", lambda row: row["declared"]), "risk", "irreversible", "title")
    ask(lambda client: client.list_policies(limit=limit, cursor=cursor), draw, as_json=as_json, every_s=every)


@policy.command(name="set")
def set_policy(
    kind: Annotated[str, typer.Argument(help="A kind of action, as `x0t policy list` prints it.")],
    level: Annotated[Autonomy, typer.Argument(help="observe: say nothing; advise; approve: ask first; act.")],
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Change how far it may go with one kind of action, from now on and over restarts."""
    if level is Autonomy.ACT:
        confirm(f"Let it {kind} by itself, without asking?", yes=yes)
    with connect() as client:
        told = client.set_policy(kind, level.value)
    done(told, f"{told['kind']}: {told['level']}", as_json=as_json)


@maintenance.command(name="list")
def list_windows(
    limit: Limit = 100, cursor: Cursor = None, every: WatchOption = None, as_json: JsonFlag = False
) -> None:
    """List maintenance windows that have not ended, and reboots that nodes announced."""
    draw = listing(
        ("id", tail),
        "component",
        "active",
        ("begins in", lambda row: age(row["starts_in_s"]) if row["starts_in_s"] > 0 else None),
        ("ends in", lambda row: age(row["ends_in_s"])),
        "reason",
        nothing="nothing is expected",
    )
    ask(lambda client: client.list_windows(limit=limit, cursor=cursor), draw, as_json=as_json, every_s=every)


@maintenance.command()
def add(
    *,
    component: Annotated[str, typer.Argument(help="What is worked on: KIND/NAME, e.g. node/n3.")],
    reason: Reason,
    lasts: Annotated[str, typer.Option("--for", help="How long: 90s, 30m, 2h, 1d.")] = "1h",
    begins: Annotated[str, typer.Option("--in", help="From when on, counted from now.")] = "0s",
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Expect trouble of a component and of all that is part of it."""
    duration_s, start_in_s = seconds(lasts, "--for"), seconds(begins, "--in")
    confirm(f"Open no incidents for trouble of {component} for {age(duration_s)}?", yes=yes)
    with connect() as client:
        told = client.add_window(component, duration_s, reason=reason, start_in_s=start_in_s)
    done(told, f"{tail(told)}: {component} for {age(duration_s)}", as_json=as_json)


@maintenance.command()
def remove(
    window: Annotated[str, typer.Argument(help="Id of a window, or its end, as `x0t maintenance list` prints it.")],
    as_json: JsonFlag = False,
) -> None:
    """Expect it no longer."""
    with connect() as client:
        told = client.remove_window(find(client, client.list_windows, window))
    done(told, f"removed {tail(told)}", as_json=as_json)
