"""Documents of the last pass, serialised once for each pass whoever asks, with an ETag."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from fastapi import Request, Response

from x0tta6bl4.core.encoding import encoded
from x0tta6bl4.core.readers import Readers

KEPT_MAX = 64


class Snapshots:
    """Bytes by (document, pass), `KEPT_MAX` documents at most. Used on the server's event loop only."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._boot = secrets.token_hex(4)  # a restarted process counts its passes anew
        self._tag = ""
        self._bodies: dict[str, bytes] = {}

    def tag(self) -> str:
        """The ETag of everything that is made from the last pass."""
        snapshot = self._readers.snapshot()
        return f'"{self._boot}-{snapshot.passes if snapshot is not None else 0}"'

    def answer(self, name: str, request: Request, make: Callable[[], object]) -> Response:
        """The document called `name`: 304 where the client has it, else its bytes, made once for each pass.

        `request` says in `If-None-Match` what the client has (declared by `api.schema`); `make` raises what is to be
        answered where there is no pass yet, or no such thing: a 304 says that there is one.
        """
        tag = self.tag()
        if tag != self._tag:
            self._tag, self._bodies = tag, {}
        body = self._bodies.get(name)
        if body is None:
            body = encoded(make())
            if len(self._bodies) < KEPT_MAX:  # a name may hold what a client asked for
                self._bodies[name] = body
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if matches(request.headers.get("if-none-match", ""), tag):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="application/json")


def matches(if_none_match: str, tag: str) -> bool:
    """RFC 9110, 13.1.2: a list of tags, weak comparison, or `*`.

    >>> matches('W/"a-1", "a-2"', '"a-2"'), matches("*", '"a-2"'), matches("", '"a-2"')
    (True, True, False)
    """
    given = {part.strip().removeprefix("W/") for part in if_none_match.split(",")}
    return tag in given or "*" in given
