"""`x0t mesh`: the mesh as the running controller sees it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from x0tta6bl4.core.commands.connection import ask
from x0tta6bl4.core.commands.output import (
    Cursor,
    JsonFlag,
    Limit,
    Row,
    WatchOption,
    age,
    facts,
    finite,
    grid,
    listing,
    number,
    percent,
)

app = typer.Typer(no_args_is_help=True, help="Nodes, links, routes, topology, readings.")
Node = Annotated[str, typer.Argument(help="Name of a node.")]

LINKS = (
    "source",
    "target",
    "interface",
    "state",
    ("loss", lambda row: percent(row["loss_ratio"])),
    ("rtt", lambda row: number(row["rtt_ms"], "ms")),
    ("quality", lambda row: percent(row["quality"])),
)


def _ports(row: Row) -> str:
    return ", ".join(f"{port['name']}{'*' if port['primary'] else ''}" for port in row["interfaces"])


@app.command()
def nodes(limit: Limit = 100, cursor: Cursor = None, every: WatchOption = None, as_json: JsonFlag = False) -> None:
    """List the expected nodes; `*` marks the primary interface."""
    draw = listing("name", "state", ("last report", lambda row: age(row["report_age_s"])), ("interfaces", _ports))
    ask(lambda client: client.list_nodes(limit=limit, cursor=cursor), draw, as_json=as_json, every_s=every)


@app.command()
def node(name: Node, every: WatchOption = None, as_json: JsonFlag = False) -> None:
    """Show one node: its interfaces, links, open incidents and risks."""
    ask(lambda client: client.get_node(name), _node, as_json=as_json, every_s=every)


def _node(told: Row) -> RenderableType:
    parts: list[RenderableType] = [
        Text(f"{told['name']}  {told['state']}  last report {age(told['report_age_s'])} ago", style="bold"),
        grid("interfaces", told["interfaces"], "name", "up", "attached", "primary", "mtu"),
        grid("links", told["links"], *LINKS),
    ]
    if told["incidents_open"]:
        parts.append(grid("open incidents", told["incidents_open"], "id", "cause", "component", "state"))
    parts += [Text(f"risk: {risk['title']}. {risk['remedy']}", style="yellow") for risk in told["risks"]]
    return Group(*parts)


@app.command()
def links(limit: Limit = 100, cursor: Cursor = None, every: WatchOption = None, as_json: JsonFlag = False) -> None:
    """List the directed links with loss, round-trip time and quality."""
    ask(lambda client: client.list_links(limit=limit, cursor=cursor), listing(*LINKS), as_json=as_json, every_s=every)


@app.command()
def peers(
    node: Annotated[str | None, typer.Argument(help="Of this node only.", show_default=False)] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
    every: WatchOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List who is whose neighbour, both directions beside each other."""
    draw = listing(
        "node",
        "peer",
        "interface",
        ("out", lambda row: f"{row['out_state']} {percent(row['out_loss_ratio'])}"),
        ("in", lambda row: f"{row['in_state'] or '-'} {percent(row['in_loss_ratio'])}"),
        ("rtt", lambda row: number(row["rtt_ms"], "ms")),
        ("quality", lambda row: percent(row["quality"])),
    )
    ask(lambda client: client.list_peers(node, limit=limit, cursor=cursor), draw, as_json=as_json, every_s=every)


@app.command()
def route(
    source: Node,
    target: Annotated[str, typer.Argument(help="Name of the node it leads to.")],
    every: WatchOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the way from one node to another, with the latency and loss to expect."""
    ask(lambda client: client.get_routes(source, target), _route, as_json=as_json, every_s=every)


def _route(told: Row) -> RenderableType:
    if not told["found"]:
        return Text(f"no way from {told['source']} to {told['target']}: {told['detail']}", "red")
    head = Text(" → ".join(told["path"]), "bold")
    head.append(f"  {number(told['latency_ms'], 'ms')} one way, {percent(told['loss_ratio'])} lost", "default")
    detail = f", {told['detail']}" if told["detail"] else ""
    columns = LINKS[:-1]  # a hop has no quality of its own
    return Group(head, Text(f"by {told['basis']}{detail}", "dim"), grid("", told["hops"], *columns))


@app.command()
def topology(
    netjson: Annotated[
        bool, typer.Option("--netjson", help="As a NetJSON NetworkGraph, for other mesh tools.")
    ] = False,
    every: WatchOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the graph: which nodes are neighbours, and how both directions are."""
    if netjson:
        ask(lambda client: client.get_netjson(), facts, as_json=True, every_s=every)
        return
    ask(lambda client: client.get_topology(), _topology, as_json=as_json, every_s=every)


def _topology(told: Row) -> RenderableType:
    pairs = grid(
        "",
        told["links"],
        ("neighbours", lambda row: " = ".join(row["nodes"])),
        ("there and back", lambda row: ", ".join(row["states"])),
        ("carries", lambda row: row["carries"]),
    )
    names = ", ".join(f"{node['name']} ({node['state']})" for node in told["nodes"])
    return Group(Text(f"{len(told['nodes'])} nodes: {names}; seat {told['seat']}"), pairs)


@app.command()
def cuts(every: WatchOption = None, as_json: JsonFlag = False) -> None:
    """Show the nodes and links that the mesh cannot lose, and the parts it is in."""
    ask(lambda client: client.cut_vertices(), _cuts, as_json=as_json, every_s=every)


def _cuts(told: Row) -> RenderableType:
    bridges = ", ".join(" = ".join(pair) for pair in told["bridges"])
    parts = "; ".join(", ".join(part) for part in told["parts"])
    return Group(
        Text(f"nodes it cannot lose: {', '.join(told['vertices']) or 'none'}"),
        Text(f"links it cannot lose: {bridges or 'none'}"),
        Text(f"parts now: {parts}", "" if len(told["parts"]) < 2 else "red"),
    )


@app.command()
def inventory(limit: Limit = 100, cursor: Cursor = None, every: WatchOption = None, as_json: JsonFlag = False) -> None:
    """List what is declared: nodes, addresses, interfaces."""
    draw = listing(
        "name",
        "address",
        "algorithm",
        ("interval", lambda row: number(row["orig_interval_ms"], "ms")),
        ("interfaces", lambda row: ", ".join(f"{one['name']} {one['mac']}" for one in row["interfaces"])),
    )
    ask(lambda client: client.get_inventory(limit=limit, cursor=cursor), draw, as_json=as_json, every_s=every)


@app.command()
def readings(
    component: Annotated[str, typer.Argument(help="KIND/NAME, e.g. link/n1:v1-2>n2:v2-1.")],
    metric: Annotated[str, typer.Argument(help="e.g. loss_ratio, rtt_ms, tq.")],
    since_s: Annotated[float, typer.Option("--since", min=0.1, callback=finite, help="How many seconds back.")] = 300.0,
    every: WatchOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show one metric of one component over time."""
    ask(
        lambda client: client.get_readings(component, metric, since_s=since_s),
        _readings,
        as_json=as_json,
        every_s=every,
    )


def _readings(told: Row) -> RenderableType:
    if not told["points"]:
        return Text(f"nothing was measured of {told['metric']} of {told['component']} in this time")
    columns = (("ago", lambda row: age(row["age_s"])), "value", "low", "high", ("raw", lambda row: row["raw"]))
    return grid(f"{told['metric']} of {told['component']}", told["points"], *columns)
