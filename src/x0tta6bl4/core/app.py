"""The HTTP application: `uvicorn x0tta6bl4.core.app:app --port 8000`, or `python -m x0tta6bl4.core.app`.

It reads the last snapshot and asks through a queue; the loop has its own thread. Started by itself it runs this
machine's mesh if there is one, else the simulated demo mesh; `create_app(source=None)` serves a loop that somebody
else runs and publishes into `state`.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import uvicorn
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from x0tta6bl4 import __version__
from x0tta6bl4.core import access, explaining, problems
from x0tta6bl4.core.alerts import Sender
from x0tta6bl4.core.api import operations
from x0tta6bl4.core.gate import Gate
from x0tta6bl4.core.replay import Replay
from x0tta6bl4.core.settings import Settings, load
from x0tta6bl4.core.state import State
from x0tta6bl4.core.view import Source
from x0tta6bl4.errors import Permanent, X0tError
from x0tta6bl4.monitoring import logs

log = logging.getLogger("x0tta6bl4.app")

GOODBYE_S = 2  # how long listeners of the event stream may keep a stopping server up

SourceFactory = Callable[[Settings], Source]


def default_source(settings: Settings) -> Source:
    """This machine's mesh where there is one, else the simulated demo mesh."""
    machine, demo = (importlib.import_module(f"x0tta6bl4.core.{name}") for name in ("machine", "demo"))  # late: heavy
    return cast("Source", machine.this_machine(settings) or demo.demo(settings))


class Application(FastAPI):
    """FastAPI whose failed start is one line in the log: a wrong setting needs no traceback.

    failure: why the start failed, for who started the server.
    """

    failure: X0tError | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve; a start that failed by an error of ours is told in that error's words."""
        if scope["type"] != "lifespan":
            await super().__call__(scope, receive, send)
            return

        held: list[Message] = []

        async def hold_failure(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                held.append(message)  # its text is a traceback; the exception follows
            else:
                await send(message)

        try:
            await super().__call__(scope, receive, hold_failure)
        except X0tError as error:
            self.failure = error
            await send({"type": "lifespan.startup.failed", "message": f"error: {error}"})
        except BaseException as error:
            self.failure = Permanent(f"the API could not start ({type(error).__name__}: {error})")
            for message in held:
                await send(message)
            raise


def create_app(
    *, settings: Settings | None = None, state: State | None = None, source: SourceFactory | None = default_source
) -> FastAPI:
    """Build the application.

    Args:
        settings: None reads them when the application starts.
        state: what to serve; new and empty by default.
        source: builds what publishes into `state`; None where the caller does that.
    """
    held = state or State()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        """Settings and token first, so that a mistake in them starts nothing."""
        held.settings = settings or load()
        held.token = access.ensure(held.settings.token_file)
        held.endpoint = explaining.endpoint_of(held.settings.explanation)
        held.stream.stopping = False
        held.open()
        if held.settings.alerts.url:
            held.sender = Sender(held.settings.alerts.url, held.settings.explanation.language)
        if source is not None:
            held.source = source(held.settings)
            log.info("starting %s", held.source.title)
            held.source.start(held)
        try:
            yield
        finally:
            held.stream.stopping = True
            if source is not None and held.source is not None:
                held.source.stop()
            held.close()
            if held.sender is not None:
                held.sender.close()
                held.sender = None

    made = Application(
        title="x0tta6bl4",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # an id may end in a slash; a redirect would ask for another one
    )
    made.state.x0t = held
    problems.install(made)
    operations.install(made, held)
    made.add_middleware(Replay)
    made.add_middleware(Gate, hosts=lambda: held.settings.api.hosts, token=lambda: held.token)
    return made


app = create_app()


def _code(error: X0tError) -> int:
    """The exit code of a start that fails, which is that of the command line."""
    return int(importlib.import_module("x0tta6bl4.core.commands.output").code_of(error))  # late: not for serving


def main(config: Path | None = None) -> int:
    """Serve until interrupted; the exit code of a start that fails is that of `x0t`: 2 where the settings are wrong."""
    try:
        settings = load(config)
        logs.configure(settings.log.level)
        access.ensure(settings.token_file)
    except X0tError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  # there is no log yet
        return _code(error)
    served = cast("Application", create_app(settings=settings))
    with suppress(SystemExit):  # how uvicorn ends where the start failed, which it has told
        uvicorn.run(
            served,
            host=settings.api.host,
            port=settings.api.port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GOODBYE_S,
        )
        return 0
    return _code(served.failure) if served.failure is not None else 1


if __name__ == "__main__":
    sys.exit(main())
