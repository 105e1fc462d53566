"""Which controller a command talks to: a named context, else the one that this machine's settings describe."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import RenderableType

from x0tta6bl4.client import AsyncClient, Client, Document, Unreachable
from x0tta6bl4.client.wire import TIMEOUT_S
from x0tta6bl4.core import access
from x0tta6bl4.core.commands import contexts
from x0tta6bl4.core.commands.output import show
from x0tta6bl4.core.settings import load
from x0tta6bl4.errors import ConfigError

asked: ContextVar[str] = ContextVar("asked", default="")
"""What `--context` or X0T_CONTEXT says; set by the root command."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a controller is. verify: what httpx takes for https."""

    url: str
    token: str = field(repr=False)
    verify: ssl.SSLContext | bool = True


def connect(timeout_s: float = TIMEOUT_S) -> Client:
    """A client of the controller in question; raises like `target`."""
    found = target()
    return Client(found.url, found.token, verify=found.verify, timeout_s=timeout_s)


def connect_async() -> AsyncClient:
    """The same for asyncio."""
    found = target()
    return AsyncClient(found.url, found.token, verify=found.verify)


def ask(
    operation: Callable[[Client], Document],
    draw: Callable[[Document], RenderableType],
    *,
    as_json: bool,
    every_s: float | None = None,
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Call the controller in question and show what it says (`output.show`)."""
    with connect(timeout_s) as client:
        show(lambda: operation(client), draw, as_json=as_json, every_s=every_s)


def target() -> Target:
    """The controller in question.

    Raises:
        ConfigError: there is no such context, or its token file cannot be used.
        Unreachable: there is no token, so no controller has run here with these settings.
    """
    context = contexts.chosen(asked.get())
    if context is not None:
        verify = ssl.create_default_context(cafile=context.ca_file) if context.ca_file else True
        return Target(context.url, access.read(Path(context.token_file)), verify)
    settings = load()
    url = address(settings.api.host, settings.api.port)
    if not settings.token_file.exists():
        # It is made when a controller first starts: none has run here with these settings.
        raise Unreachable(f"no controller answers at {url} (no token in {settings.token_file})")
    try:
        return Target(url, access.read(settings.token_file))
    except ConfigError as error:
        raise ConfigError(error.field, error.value, f"{error.allowed}; run as the controller's user") from None


def address(host: str, port: int) -> str:
    """The URL at which a controller with these settings is reached from here.

    >>> address("0.0.0.0", 8000), address("::1", 8000)
    ('http://127.0.0.1:8000', 'http://[::1]:8000')
    """
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared, not listened on
    return f"http://[{near}]:{port}" if ":" in near else f"http://{near}:{port}"
