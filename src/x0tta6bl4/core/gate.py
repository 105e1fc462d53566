"""What every request passes before an endpoint: the Host header, then the bearer token."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from x0tta6bl4.core import problems

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# A supervisor asks these; they tell nothing about the mesh.
OPEN_PATHS = frozenset({"/health", "/ready", "/v1/health", "/v1/ready"})
_HOST = re.compile(r"^(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9_.-]+))(?::[0-9]{1,5})?$")


def host_of(header: str) -> str:
    """The host of a Host header in lower case, without port; "" where it is malformed.

    >>> host_of("LOCALHOST:8000"), host_of("[::1]:8000"), host_of("a b")
    ('localhost', '::1', '')
    """
    found = _HOST.match(header)
    return (found["six"] or found["name"]).lower().rstrip(".") if found else ""


class Gate:
    """ASGI middleware: 400 without a Host, 421 for a foreign one (DNS rebinding), 401 without the token.

    token: called at each request, since the token exists only once the application has started.
    """

    def __init__(self, app: ASGIApp, hosts: Callable[[], Iterable[str]], token: Callable[[], str]) -> None:
        self._app, self._hosts, self._token = app, hosts, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it through or answer with a problem document."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._host(headers.getlist("host"), scope["path"]) or self._bearer(headers, scope["path"])
        await (refusal or self._app)(scope, receive, send)

    def _host(self, given: list[str], path: str) -> ASGIApp | None:
        host = host_of(given[0]) if len(given) == 1 else ""
        if not host:
            return problems.response(400, "exactly one well-formed Host header is needed", instance=path)
        if host in LOOPBACK or host in {name.lower() for name in self._hosts()}:
            return None
        return problems.response(421, f"host {host!r} is not served here; see api.hosts", instance=path)

    def _bearer(self, headers: Headers, path: str) -> ASGIApp | None:
        if path in OPEN_PATHS:
            return None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        token = self._token()
        if token and scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
            return None
        return problems.response(
            401,
            "send `Authorization: Bearer TOKEN`; the token is in the file that `x0t config show` names",
            instance=path,
            headers={"WWW-Authenticate": 'Bearer realm="x0tta6bl4"'},
        )
