"""`x0t status`, `x0t incidents` and `x0t explain`: what the running controller knows, most wanted first."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from x0tta6bl4.core.commands.connection import ask
from x0tta6bl4.core.commands.ids import NEWEST, incident_id, tail
from x0tta6bl4.core.commands.live import short, sign
from x0tta6bl4.core.commands.mesh import LINKS
from x0tta6bl4.core.commands.output import (
    Cursor,
    JsonFlag,
    Limit,
    Row,
    WatchOption,
    age,
    alike,
    grid,
    listing,
    number,
    percent,
)

Ident = Annotated[
    str, typer.Argument(help="Id of an incident, or its end, as `x0t incidents` prints it; `last`: the newest.")
]

PLANS_SHOWN = 3  # the newest ones: a long incident is planned for again and again
INCIDENTS = (
    ("id", tail),
    "state",
    ("for", lambda row: age(row["open_s"])),
    "cause",
    ("where", lambda row: short(row["component"])),
    ("ago", lambda row: age(row["age_s"])),
    ("seen", lambda row: row["acknowledged"]),
    ("did", lambda row: f"{row['action']} ({row['action_state']})" if row["action"] else None),
)


def status(*, every: WatchOption = None, as_json: JsonFlag = False) -> None:
    """Show the mesh at a glance: nodes, links that are not well, open incidents, latent risks."""
    ask(lambda client: client.mesh_status(), _status, as_json=as_json, every_s=every)


def _status(told: Row) -> RenderableType:
    nodes = ", ".join(f"{count} {state}" for state, count in told["nodes"].items()) or "none known"
    head = Text.assemble(sign("well" if told["health"] == "well" else "down"), " ", (told["health"], "bold"))
    head.append(f"  {told['backend']} {told['algorithm']}  nodes: {nodes}  links: {len(told['links'])}")
    parts: list[RenderableType] = [head]
    if told["kill_switch"]:
        parts.append(Text("the kill switch is on: no action is started; `x0t control release` ends that", "bold red"))
    if told["paused"]:
        parts.append(Text("paused: it watches and plans nothing; `x0t control resume` ends that", "bold yellow"))
    ill = [link for link in told["links"] if link["state"] != "well"]
    if ill:
        parts.append(grid("links not well", ill, *LINKS))
    if told["incidents_open"]:
        parts.append(grid("open incidents", told["incidents_open"], *INCIDENTS))
        parts += [
            Text(f"escalated: {row['escalated']}", "bold red") for row in told["incidents_open"] if row["escalated"]
        ]
    parts += [
        Text(f"risk: {risk['title']}: {where}. {risk['remedy']}", "yellow") for risk, where in alike(told["risks"])
    ]
    parts += [Text(f"blind {sensor}: {why}", "red") for sensor, why in told["sensor_errors"].items()]
    return Group(*parts)


def incidents(
    *,
    state: Annotated[str, typer.Option(help="all, open, mitigated or closed.")] = "all",
    cause: Annotated[str | None, typer.Option(help="Of this cause only, e.g. link-lossy.", show_default=False)] = None,
    component: Annotated[
        str | None, typer.Option(help="Of this component only: KIND/NAME.", show_default=False)
    ] = None,
    acknowledged: Annotated[
        bool | None,
        typer.Option("--seen/--unseen", help="Only those that a person has (not) seen.", show_default=False),
    ] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    every: WatchOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List incidents, newest first."""
    ask(
        lambda client: client.list_incidents(
            state=state, cause=cause, component=component, acknowledged=acknowledged, limit=limit, cursor=cursor
        ),
        listing(*INCIDENTS, nothing="no incidents"),
        as_json=as_json,
        every_s=every,
    )


def explain(incident: Ident = NEWEST, every: WatchOption = None, as_json: JsonFlag = False) -> None:
    """Tell one incident from its evidence to its proof."""
    ask(
        lambda client: client.get_incident(incident_id(client, incident)),
        _explained,
        as_json=as_json,
        every_s=every,
    )


def _explained(told: Row) -> RenderableType:
    head = f"{told['cause']} at {told['component']}  ({told['state']}, {percent(told['confidence'])} sure)"
    parts: list[RenderableType] = [
        Text(head, "bold"),
        Text(f"found {number(told['detect_s'], 's', 2)} after the first sign of it, {age(told['age_s'])} ago"),
    ]
    if told["acknowledged"]:
        parts.append(Text(f"seen by {told['acknowledged_by'] or 'a person'}"))
    if told["escalated"]:
        parts.append(Text(f"escalated: {told['escalated']}", "bold red"))
    parts += [Text(words) for words in (told["note"], told["evidence"]["detail"]) if words]
    parts.append(evidence(told["evidence"]))
    parts += [
        Text(f"or: {one['code']} at {one['component']} ({percent(one['confidence'])})") for one in told["causes"][1:]
    ]
    earlier = len(told["plans"]) - PLANS_SHOWN
    if earlier > 0:
        parts.append(Text(f"{earlier} earlier plans are not shown: `x0t plan list`", "dim"))
    parts += [candidates(plan) for plan in told["plans"][-PLANS_SHOWN:]]
    parts.append(timeline(told["timeline"]))
    return Group(*parts)


def evidence(told: Row) -> RenderableType:
    """Symptoms as a table."""
    return grid(
        "evidence",
        told["symptoms"],
        ("symptom", lambda row: row["code"]),
        "component",
        ("value", lambda row: f"{row['metric']} {number(row['value'], digits=2)}"),
        ("threshold", lambda row: number(row["threshold"], digits=2)),
        ("for", lambda row: age(row["since_age_s"])),
    )


def candidates(plan: Row) -> RenderableType:
    """What a plan considered, as a table."""
    return grid(
        f"considered, {plan['state']} (plan {tail(plan)})",
        plan["candidates"],
        ("action", lambda row: row["action"]["kind"]),
        ("target", lambda row: row["action"]["target"]),
        ("score", lambda row: number(row["score"], digits=2)),
        ("risk", lambda row: number(row["risk"], digits=2)),
        ("worked", lambda row: f"{percent(row['success_rate'])} of {row['trials']}"),
        ("refused by", lambda row: row["refused_by"]),
        ("why", lambda row: row["reason"]),
    )


def timeline(events: list[Row]) -> RenderableType:
    """Events as a table."""
    return grid(
        "timeline",
        events,
        ("ago", lambda row: age(row["age_s"])),
        ("what", lambda row: row["type"]),
        ("where", lambda row: row["data"].get("target") or row["component"]),
        ("details", lambda row: row["data"].get("detail") or row["data"].get("kind") or row["data"].get("code")),
    )
