"""Runs a source in front of a person: on a terminal as a live view, else as plain lines or JSON lines."""

from __future__ import annotations

import importlib
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import typer
from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from x0tta6bl4.core import access, documents
from x0tta6bl4.core.commands.live import EVENTS_SHOWN, LiveView, short, words
from x0tta6bl4.core.commands.output import console, dumped, printable
from x0tta6bl4.core.readers import Readers, Snapshot
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.core.state import State
from x0tta6bl4.core.view import MeshView, SlowSource, Source
from x0tta6bl4.errors import Permanent
from x0tta6bl4.monitoring import logs
from x0tta6bl4.monitoring.logs import sentence

REFRESH_S = 0.2
POLL_S = 0.01  # between two looks at a starting API
START_S = 60.0  # for the first pass, where the source does not say how long it may take


def watch(source: Source, settings: Settings, *, style: str, api: bool = True, seconds: float | None = None) -> None:
    """Run `source` until it is interrupted, ends, or `seconds` have passed.

    Args:
        source: what to run; it is stopped in every case.
        settings: where the API listens.
        style: "live", "lines", "json" (one event a line) or "logs" (structured logs on standard error).
        api: serve the API meanwhile.
        seconds: None is for ever.

    Raises:
        Permanent: the source ended by itself, or the API's address is taken.
        X0tError: the API could not start; see `serving`.
    """
    state = State(settings=settings, source=source, log=style == "logs")
    with ExitStack() as stack:
        stack.enter_context(_terminated_as_interrupted())
        if style != "logs":
            _quiet()
        if api:
            stack.enter_context(serving(state, settings))
        stack.callback(source.stop)
        source.start(state)
        try:
            _wait_for_first(source, state)
            show = {"live": _live, "lines": _lines, "json": _json}.get(style)
            if show is None:
                for _ in _turns(source, seconds):
                    pass
            else:
                show(source, state, _footer(settings, api=api), seconds)
        except KeyboardInterrupt:
            if style in ("live", "lines"):
                typer.echo("stopping")


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM (a supervisor's stop) ends it as Ctrl-C does: mitigations are withdrawn, the store is closed."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets signals
        return

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def style_for(*, as_json: bool, logs_by_default: bool = False) -> str:
    """How to show it here: JSON if asked for, the live view on a terminal."""
    if as_json:
        return "json"
    if sys.stdout.isatty():
        return "live"
    return "logs" if logs_by_default else "lines"


@contextmanager
def serving(state: State, settings: Settings) -> Iterator[None]:
    """Serve the API on a thread of its own, from when it answers on.

    Raises:
        Permanent: its address is taken, or it could not start for a reason that nobody foresaw.
        X0tError: what its start was refused with: a plugin, a key file, a package that is not installed.
    """
    access.ensure(settings.token_file)
    listener = _listen(settings.api.host, settings.api.port)
    uvicorn, app = (importlib.import_module(name) for name in ("uvicorn", "x0tta6bl4.core.app"))  # late: heavy
    served = app.create_app(settings=settings, state=state, source=None)
    server = uvicorn.Server(uvicorn.Config(served, log_config=None, access_log=False))

    def run() -> None:
        with suppress(SystemExit):  # how uvicorn ends where the start failed
            server.run([listener])

    thread = threading.Thread(target=run, name="api", daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise served.failure or Permanent("the API could not start")
            time.sleep(POLL_S)
        yield
    finally:
        state.stream.stopping = True
        server.should_exit = True
        thread.join(5)
        listener.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(found[0], found[1], found[2])
    except OSError as error:
        raise Permanent(f"the API cannot listen at {host}:{port} ({error})") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(found[4])
        listener.listen(128)  # only this tells whether somebody else listens there
    except OSError as error:
        listener.close()
        what = f"the API cannot listen at {host}:{port} ({error.strerror})"
        raise Permanent(f"{what}; set api.port (X0T_API__PORT), or use --no-api") from None
    return listener


def _quiet() -> None:
    """Keep log lines out of what a person looks at; what matters is shown there anyway."""
    for name in (logs.ROOT, "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.propagate = False


def _footer(settings: Settings, *, api: bool) -> str:
    if not api:
        return "Ctrl-C ends it"
    return f"API http://{settings.api.host}:{settings.api.port} (token in {settings.token_file})   Ctrl-C ends it"


def _turns(source: Source, seconds: float | None) -> Iterator[None]:
    """One turn each REFRESH_S; raises Permanent when the source has ended by itself."""
    end = None if seconds is None else time.monotonic() + seconds
    while end is None or time.monotonic() < end:
        failure = source.failure()
        if failure:
            raise Permanent(failure)
        yield
        time.sleep(REFRESH_S)


def _wait_for_first(source: Source, state: State) -> None:
    """Until the loop has made a pass; a source that is slow says on standard error what it is doing."""
    slow = source if isinstance(source, SlowSource) else None
    limit, said = START_S if slow is None else slow.start_s, ""
    for _ in _turns(source, limit):
        if state.readers.snapshot() is not None:
            return
        if slow is not None and slow.progress() != said:
            said = slow.progress()
            typer.echo(f"{said} ...", err=True)
    raise Permanent(f"{source.title}: no pass of the loop within {limit:.0f} s")


def _live(source: Source, state: State, footer: str, seconds: float | None) -> None:
    view = LiveView(source.title, footer)
    out = console()
    with Live(console=out, screen=True, auto_refresh=False) as live:
        for _ in _turns(source, seconds):
            snapshot = state.readers.snapshot()
            if snapshot is not None:
                live.update(drawn(view, snapshot, state.readers), refresh=True)
    out.print(Text(summary(state.readers)))


def drawn(view: LiveView, snapshot: Snapshot, readers: Readers) -> RenderableType:
    """The screen of a mesh in this process, out of the same documents that the API serves."""
    now, files = snapshot.iteration.at, readers.incidents()
    events, _ = readers.events(max(0, readers.last_number() - EVENTS_SHOWN))
    return view.screen(
        documents.status(snapshot, files),
        [documents.incident_row(file, now) for file in files],
        [documents.event(one, now) for one in events],
    )


def _lines(source: Source, state: State, footer: str, seconds: float | None) -> None:
    typer.echo(f"{source.title}; {footer}")
    told: dict[str, bool | str | None] = {}
    number = 0
    for _ in _turns(source, seconds):
        snapshot = state.readers.snapshot()
        if snapshot is None:
            continue
        for line in changes(snapshot.view, told):
            typer.echo(printable(f"{snapshot.view.at:8.1f} s  {line}"))
        for numbered in state.readers.events(number)[0]:
            number = numbered.number
            event = numbered.event
            at = snapshot.view.at - (snapshot.iteration.at - event.at)  # the loop's clock may be another
            typer.echo(printable(f"{at:8.1f} s  {words(event.origin, sentence(event))}"))
        sys.stdout.flush()
    typer.echo(summary(state.readers))


def changes(view: MeshView, told: dict[str, bool | str | None]) -> list[str]:
    """What faults and clients did since the last call; `told` is the memory between calls."""
    lines = []
    now = {fault.id: f"{fault.kind} at {short(fault.component)}" for fault in view.faults}
    known = {key.removeprefix("fault "): value for key, value in told.items() if key.startswith("fault ")}
    for ident, what in now.items():
        if ident not in known:
            lines.append(f"lab: broke {what}")
            told[f"fault {ident}"] = what
    for ident, gone in known.items():
        if ident not in now:
            lines.append(f"lab: mended {gone}")
            del told[f"fault {ident}"]
    for client in view.clients:
        pair = f"{client.source} > {client.target}"
        if client.well is not None and told.get(pair, True) != client.well:
            lines.append(f"clients: {pair} {'is well again' if client.well else 'is HURT'}")
        if client.well is not None:
            told[pair] = client.well
    return lines


def _json(source: Source, state: State, footer: str, seconds: float | None) -> None:
    number = 0
    for _ in _turns(source, seconds):
        snapshot = state.readers.snapshot()
        now = snapshot.iteration.at if snapshot is not None else 0.0
        for numbered in state.readers.events(number)[0]:
            number = numbered.number
            document: dict[str, Any] = documents.event(numbered, now)
            typer.echo(dumped(document))
        sys.stdout.flush()


def summary(readers: Readers) -> str:
    """One line at the end."""
    files = readers.incidents()
    closed = sum(file.incident.closed_at is not None for file in files)
    actions = sum(len(file.actions) for file in files)
    snapshot = readers.snapshot()
    passes = snapshot.passes if snapshot is not None else 0
    return f"{passes} passes, {len(files)} incidents, {closed} of them closed, {actions} actions"
