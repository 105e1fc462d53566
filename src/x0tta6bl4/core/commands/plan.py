"""`x0t plan` and `x0t action`: what it wants to do, what it did, and your yes or no."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from x0tta6bl4.client import Client, Document
from x0tta6bl4.core.commands.connection import ask, connect
from x0tta6bl4.core.commands.ids import SHOWN, find, incident_id, plan_id, tail
from x0tta6bl4.core.commands.output import (
    Cursor,
    JsonFlag,
    Limit,
    Row,
    WatchOption,
    YesFlag,
    age,
    cell,
    confirm,
    done,
    facts,
    listing,
    percent,
)
from x0tta6bl4.core.commands.query import candidates

plans = typer.Typer(no_args_is_help=True, help="What it wants to do: list, show, approve, reject.")
actions = typer.Typer(no_args_is_help=True, help="What it did: list, show, mitigations in force.")
Plan = Annotated[
    str, typer.Argument(help="Id of a plan, or its end, as `x0t plan list` prints it; `last`: the newest.")
]
WAITING = "awaiting approval"


def _chosen(plan: Row) -> str:
    return ", ".join(f"{one['kind']} {one['target']}" for one in plan["chosen"]) or "nothing"


@plans.command(name="list")
def list_plans(
    *,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those that wait for your yes or no.")] = False,
    state: Annotated[str | None, typer.Option(help="Only those in this state.", show_default=False)] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    every: WatchOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List plans, newest first."""
    draw = listing(
        ("id", tail),
        "state",
        ("chosen", _chosen),
        ("made", lambda row: f"{age(row['age_s'])} ago"),
        ("incident", lambda row: row["incident"][-SHOWN:]),
        nothing="no plans",
    )
    wanted = WAITING if waiting else state
    ask(
        lambda client: client.list_plans(state=wanted, limit=limit, cursor=cursor), draw, as_json=as_json, every_s=every
    )


@plans.command()
def show(plan: Plan, every: WatchOption = None, as_json: JsonFlag = False) -> None:
    """Show one plan: what was considered, what was chosen, and what it rested on."""
    ask(lambda client: client.get_plan(plan_id(client, plan)), _plan, as_json=as_json, every_s=every)


def _plan(told: Row) -> RenderableType:
    return Group(
        Text(f"{_chosen(told)}  ({told['state']}, made {age(told['age_s'])} ago)", "bold"),
        Text(f"for incident {told['incident']}, chosen with probability {percent(told['probability'])}"),
        candidates(told),
        Text(f"it rested on: {cell(told['context'])}", "dim"),
    )


@plans.command()
def approve(
    plan: Plan,
    reason: Annotated[str, typer.Option(help="Why it may be done.")] = "",
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Say yes to a plan that waits; the guards judge it again before anything is changed."""
    with connect() as client:
        found = plan_id(client, plan)
        confirm(f"Let it {_chosen(client.get_plan(found))}?", yes=yes)
        told = client.approve_plan(found, reason=reason)
    done(told, f"{_chosen(told)}: {told['state']}", as_json=as_json)


@plans.command()
def reject(
    plan: Plan,
    reason: Annotated[str, typer.Option(help="Why it must not be done.")],
    as_json: JsonFlag = False,
) -> None:
    """Say no to a plan that waits."""
    with connect() as client:
        told = client.reject_plan(plan_id(client, plan), reason)
    done(told, f"{_chosen(told)}: {told['state']}", as_json=as_json)


@actions.command(name="list")
def list_actions(
    *,
    incident: Annotated[str | None, typer.Option(help="Of this incident only.", show_default=False)] = None,
    state: Annotated[str | None, typer.Option(help="Only those in this state.", show_default=False)] = None,
    kind: Annotated[str | None, typer.Option(help="Of this kind only.", show_default=False)] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    every: WatchOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List actions, newest first."""
    draw = listing(
        ("id", tail),
        "kind",
        "target",
        "state",
        ("changed", lambda row: f"{age(row['changed_age_s'])} ago"),
        ("by", lambda row: row["origin"]),
        "detail",
        nothing="no actions",
    )

    def fetch(client: Client) -> Document:
        whole = incident_id(client, incident) if incident else None
        return client.list_actions(incident=whole, state=state, kind=kind, limit=limit, cursor=cursor)

    ask(fetch, draw, as_json=as_json, every_s=every)


@actions.command(name="show")
def show_action(
    action: Annotated[str, typer.Argument(help="Id of an action, or its end; `last`: the newest.")],
    every: WatchOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show one action as it stands."""
    ask(
        lambda client: client.get_action(find(client, client.list_actions, action)),
        facts,
        as_json=as_json,
        every_s=every,
    )


def _taken_back(row: Row) -> str:
    """When a mitigation ends, as far as the controller knows."""
    if row["hold_s"] is None:
        return f"when {row['origin']} finds it well"
    if row["held_until_s"] is None:
        return f"after {age(row['hold_s'])} of being well"
    return f"in {age(row['held_until_s'])}"


@actions.command()
def mitigations(
    limit: Limit = 100, cursor: Cursor = None, every: WatchOption = None, as_json: JsonFlag = False
) -> None:
    """List the mitigations in force: what each avoids, and when it will be taken back."""
    draw = listing(
        "kind",
        "target",
        ("by", lambda row: row["origin"]),
        ("for", lambda row: age(row["age_s"])),
        "avoids",
        ("taken back", _taken_back),
        nothing="no mitigations in force",
    )
    ask(lambda client: client.list_mitigations(limit=limit, cursor=cursor), draw, as_json=as_json, every_s=every)
