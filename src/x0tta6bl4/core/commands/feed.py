"""`x0t events` and `x0t top`: what the running controller does, as it does it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Annotated, Any

import typer
from rich.live import Live

from x0tta6bl4.client import AsyncClient, Document, Refused, ServerEvent, Unreachable
from x0tta6bl4.core.commands.connection import connect_async
from x0tta6bl4.core.commands.live import EVENTS_SHOWN, INCIDENTS_SHOWN, LiveView, told
from x0tta6bl4.core.commands.output import JsonFlag, age, console, dumped, finite

EVERYTHING = "remembered-0"  # no such stream: the server sends all that it remembers
QUIET_S = 0.7
REFRESH_S = 1.0
PAUSE_S = 0.2  # many events at once are one new screen
Recent = deque[tuple[float, Document]]
"""When each event arrived, and the event."""


def events(
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens next, until Ctrl-C.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Print the events that the controller remembers, oldest first (`--json`: one document a line)."""
    with suppress(KeyboardInterrupt):
        asyncio.run(_print(follow=follow, as_json=as_json))


async def _print(*, follow: bool, as_json: bool) -> None:
    out, begun = console(), False
    async with connect_async() as client, aclosing(remembered(client, follow=follow)) as stream:
        async for event in stream:
            if event.type == "reset":
                if begun:  # the first one only says that it begins with what is remembered
                    console(stderr=True).print("some events were lost: they came faster than they were read")
                continue
            begun = True
            if as_json:
                typer.echo(dumped(event.data))
            else:
                out.print(f"{age(event.data['age_s']):>12} ago  {told(event.data)}")
            sys.stdout.flush()


async def remembered(client: AsyncClient, *, follow: bool = False) -> AsyncGenerator[ServerEvent, None]:
    """Everything that the controller remembers, then, with `follow`, what happens next."""
    async with aclosing(client.events(EVERYTHING)) as stream:
        while True:
            try:
                async with asyncio.timeout(None if follow else QUIET_S):
                    event = await anext(stream)
            except TimeoutError:
                return
            yield event


def top(
    *,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, callback=finite, help="End after this time; for ever by default.")
    ] = None,
) -> None:
    """Watch the mesh live: nodes, links, open incidents, actions, events of the running controller."""
    if not sys.stdout.isatty():
        asyncio.run(_once())
        return
    with Live(console=console(), screen=True, auto_refresh=False) as live, suppress(TimeoutError, KeyboardInterrupt):
        asyncio.run(_live(live, seconds))


async def _once() -> None:
    """One screen, where there is nobody to watch it."""
    async with connect_async() as client:
        recent = deque([event.data async for event in remembered(client) if event.type != "reset"], EVENTS_SHOWN)
        status, incidents = await _snapshot(client)
        console().print(LiveView(client.url).screen(status, incidents, list(recent)))


async def _live(live: Live, seconds: float | None) -> None:
    async with connect_async() as client, asyncio.timeout(seconds):
        view = LiveView(client.url, "Ctrl-C ends it")
        recent: Recent = deque(maxlen=EVENTS_SHOWN)
        news = asyncio.Event()
        status, incidents = await _snapshot(client)  # where nobody answers, say so at once
        listener = asyncio.create_task(_listen(client, recent, news))
        try:
            while True:
                events = [{**data, "age_s": data["age_s"] + time.monotonic() - at} for at, data in recent]
                live.update(view.screen(status, incidents, events), refresh=True)
                with suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), REFRESH_S)
                news.clear()
                await asyncio.sleep(PAUSE_S)
                view.footer = "Ctrl-C ends it" if not listener.done() else f"no events: {listener.exception()}"
                try:
                    status, incidents = await _snapshot(client)
                except (Unreachable, Refused) as gone:  # also one that starts again and is not ready yet
                    view.footer = f"{gone}; this is the last that was seen, trying again"
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)


async def _listen(client: AsyncClient, recent: Recent, news: asyncio.Event) -> None:
    async for event in client.events(EVERYTHING, patience_s=float("inf")):
        if event.type != "reset":
            recent.append((time.monotonic(), event.data))
        news.set()


async def _snapshot(client: AsyncClient) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    status, incidents = await asyncio.gather(client.mesh_status(), client.list_incidents(limit=4 * INCIDENTS_SHOWN))
    return status, incidents["items"]
