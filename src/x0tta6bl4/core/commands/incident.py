"""`x0t incident`: one incident's parts, and what a person says about it."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from x0tta6bl4.client.wire import TIMEOUT_S
from x0tta6bl4.core.commands import query
from x0tta6bl4.core.commands.connection import ask, connect
from x0tta6bl4.core.commands.ids import NEWEST, incident_id
from x0tta6bl4.core.commands.output import Cursor, JsonFlag, Limit, Row, WatchOption, YesFlag, confirm, done, percent
from x0tta6bl4.core.commands.query import Ident

REWRITE_S = 600.0  # the controller gives up sooner (explanation.timeout_s)

app = typer.Typer(no_args_is_help=True, help="One incident: in words, its evidence and timeline; acknowledge, close.")
app.command(name="list")(query.incidents)
app.command(name="show")(query.explain)


@app.command()
def why(
    incident: Ident = NEWEST,
    language: Annotated[
        str | None, typer.Option(help="en or ru; by default what the controller is set to.", show_default=False)
    ] = None,
    rewrite: Annotated[bool, typer.Option("--rewrite", help="In the words of the controller's model.")] = False,
    runbook: Annotated[bool, typer.Option("--runbook", help="Show the runbook's page too.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Tell it in sentences: what broke, how that is known, what helped before, what was done, what to do by hand."""
    ask(
        lambda client: client.explain_incident(incident_id(client, incident), language=language, rewrite=rewrite),
        lambda told: _why(told, page=runbook),
        as_json=as_json,
        timeout_s=REWRITE_S if rewrite else TIMEOUT_S,
    )


def _why(told: Row, *, page: bool) -> RenderableType:
    parts = [Text(told["text"].rstrip())]
    if told["rewrite"] is not None:
        dropped, problem = told["rewrite"]["dropped"], told["rewrite"]["problem"]
        parts.append(Text(f"the model's words: {problem or 'used'}; sentences dropped: {dropped}", "dim"))
    if page:
        parts.append(Text(told["runbook"] or "no runbook has a page on it"))
    return Group(*parts)


@app.command()
def evidence(incident: Ident, every: WatchOption = None, as_json: JsonFlag = False) -> None:
    """Show what its verdict rests on, and what else was weighed."""
    ask(
        lambda client: client.incident_evidence(incident_id(client, incident)),
        _evidence,
        as_json=as_json,
        every_s=every,
    )


def _evidence(told: Row) -> RenderableType:
    causes = [
        Text(f"{percent(one['confidence']):>5}  {one['code']} at {one['component']}  {one['detail']}")
        for one in told["causes"]
    ]
    against = [Text(f"against it: {one}", "yellow") for one in told["contradicted_by"]]
    return Group(*causes, *against, query.evidence(told))


@app.command()
def timeline(
    incident: Ident,
    limit: Limit = 100,
    cursor: Cursor = None,
    every: WatchOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List what happened in it, oldest first."""
    ask(
        lambda client: client.incident_timeline(incident_id(client, incident), limit=limit, cursor=cursor),
        lambda told: query.timeline(told["items"]),
        as_json=as_json,
        every_s=every,
    )


@app.command()
def ack(
    incident: Ident,
    note: Annotated[str, typer.Option(help="What others should know.")] = "",
    by: Annotated[str | None, typer.Option(help="Who; your login name by default.", show_default=False)] = None,
    as_json: JsonFlag = False,
) -> None:
    """Say that you look after it; the controller goes on healing."""
    with connect() as client:
        told = client.acknowledge_incident(
            incident_id(client, incident), by=getpass.getuser() if by is None else by, note=note
        )
    done(told, f"{told['cause']} at {told['component']}: seen by {told['acknowledged_by']}", as_json=as_json)


@app.command()
def close(
    incident: Ident,
    reason: Annotated[str, typer.Option(help="Why it is over.")],
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Close it by hand; symptoms that go on open another one."""
    with connect() as client:
        found = incident_id(client, incident)
        row = client.get_incident(found)
        confirm(f"Close {row['cause']} at {row['component']}?", yes=yes)
        told = client.close_incident(found, reason)
    done(told, f"{told['cause']} at {told['component']}: {told['state']}", as_json=as_json)
