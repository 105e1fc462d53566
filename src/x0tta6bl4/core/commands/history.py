"""`x0t iteration`, `x0t alert` and `x0t ml`: what the loop did, what it says to others, and the library's loop."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from x0tta6bl4.core.commands.connection import ask, connect
from x0tta6bl4.core.commands.output import Cursor, JsonFlag, Limit, Row, WatchOption, done, facts, listing
from x0tta6bl4.errors import ConfigError

iterations = typer.Typer(no_args_is_help=True, help="Time travel: what the loop saw, thought and did, pass by pass.")
alerts = typer.Typer(no_args_is_help=True, help="What it tells Alertmanager, and what others tell it.")
ml = typer.Typer(no_args_is_help=True, help="The library's loop over readings of your own.")


System = Annotated[
    str | None, typer.Option(help="Whose readings: each system has a memory of its own.", show_default=False)
]


class Origin(StrEnum):
    """Whose alerts."""

    OWN = "own"
    EXTERNAL = "external"
    ALL = "all"


def moment(text: str) -> float:
    """A point in time as people type it, as UTC seconds; raises ConfigError.

    >>> moment("1970-01-01T01:00:00+00:00"), moment("3600")
    (3600.0, 3600.0)
    """
    try:
        seconds = float(text)
        if math.isfinite(seconds):
            return seconds
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise ConfigError(
            "--at", text, "UTC seconds, or a time like 2026-05-01T12:30:00 (yours) or ...+00:00"
        ) from None


@iterations.command(name="list")
def list_iterations(
    at: Annotated[
        str | None, typer.Option(help="Begin at this time, e.g. 2026-05-01T12:30:00.", show_default=False)
    ] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    every: WatchOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List passes that decided something, newest first."""
    draw = listing(
        "id",
        ("when", lambda row: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["at_utc"]))),
        "readings",
        ("symptoms", lambda row: len(row["symptoms"])),
        ("verdicts", lambda row: [f"{one['cause']} at {one['component']}" for one in row["verdicts"]]),
        ("actions", lambda row: [one["state"] for one in row["actions"]]),
        ("blind", lambda row: list(row["errors"])),
        nothing="no pass decided anything",
    )
    begin = None if at is None else moment(at)
    ask(
        lambda client: client.list_iterations(at=begin, limit=limit, cursor=cursor),
        draw,
        as_json=as_json,
        every_s=every,
    )


@iterations.command(name="show")
def show_iteration(
    ident: Annotated[str, typer.Argument(metavar="ID", help="EPOCH-NUMBER, or NUMBER for the newest of it.")],
    every: WatchOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show one pass."""
    ask(lambda client: client.get_iteration(ident), facts, as_json=as_json, every_s=every)


@alerts.command(name="list")
def list_alerts(
    *,
    source: Annotated[Origin, typer.Option(help="own: what it sends out; external: what was sent in.")] = Origin.OWN,
    limit: Limit = 100,
    cursor: Cursor = None,
    every: WatchOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List alerts: what it sends out, what others sent in, and how the sending goes."""
    rows = listing(
        ("alert", lambda row: row["labels"]["alertname"]),
        ("since", lambda row: row["startsAt"]),
        ("labels", lambda row: {key: value for key, value in row["labels"].items() if key != "alertname"}),
        ("summary", lambda row: row["annotations"].get("summary")),
        nothing="no alerts",
    )

    def draw(told: Row) -> RenderableType:
        sending = told["delivery"]
        state = facts(sending) if sending["configured"] else Text("nothing is sent out: alerts.url is not set", "dim")
        return Group(rows(told), state)

    ask(
        lambda client: client.list_alerts(source=source.value, limit=limit, cursor=cursor),
        draw,
        as_json=as_json,
        every_s=every,
    )


@alerts.command()
def receive(
    file: Annotated[
        typer.FileText, typer.Argument(help="A document of Alertmanager's webhook; `-` is standard input.")
    ],
    as_json: JsonFlag = False,
) -> None:
    """Hand in alerts of others; they are kept as evidence and start nothing."""
    text = file.read()
    try:
        given = json.loads(text)["alerts"]
    except (ValueError, TypeError, KeyError):
        raise ConfigError(
            "file", text[:40], "a JSON object with `alerts`, as Alertmanager's webhook sends it"
        ) from None
    with connect() as client:
        told = client.receive_alerts(given)
    done(told, f"{told['firing']} began, {told['resolved']} ended", as_json=as_json)


@ml.command()
def loop(
    readings: Annotated[list[str], typer.Argument(help="METRIC=NUMBER, e.g. cpu=0.9.")],
    action: Annotated[
        list[str] | None, typer.Option(help="Name of an action that could help; again for more.", show_default=False)
    ] = None,
    system: System = None,
    as_json: JsonFlag = False,
) -> None:
    """Run one turn of the loop over readings of any system: what it sees, and what it would do."""
    data = numbers(readings, "readings")
    ask(lambda client: client.autonomic_loop(data, action or [], system=system), _turn, as_json=as_json)


def _turn(told: Row) -> RenderableType:
    seen, plan, did = told["monitoring"], told["planning"], told["execution"]
    rows = {
        "anomaly": seen["anomaly_detected"],
        "because": seen["reason"],
        "decision": plan["decision"],
        "action": plan["selected_action"],
        "reasoning": plan["reasoning"],
        "outcome": did["outcome"],
        "healed": told["overall_success"],
    }
    return facts(rows)


@ml.command()
def stats(system: System = None, every: WatchOption = None, as_json: JsonFlag = False) -> None:
    """Show what that loop has learned so far."""
    ask(lambda client: client.ml_stats(system=system), facts, as_json=as_json, every_s=every)


def numbers(given: Sequence[str], field: str) -> dict[str, float]:
    """KEY=NUMBER pairs; raises ConfigError.

    >>> numbers(["loss_ratio=0.4"], "--set")
    {'loss_ratio': 0.4}
    """
    found = {}
    for text in given:
        key, equals, value = text.partition("=")
        try:
            found[key] = float(value)
        except ValueError:
            raise ConfigError(field, text, "KEY=NUMBER, e.g. loss_ratio=0.4") from None
        if not (key and equals and math.isfinite(found[key])):
            raise ConfigError(field, text, "KEY=NUMBER, finite, e.g. loss_ratio=0.4")
    return found
