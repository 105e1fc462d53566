"""What both clients share and no I/O: a request as a value, its headers, and what an answer means."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx

from x0tta6bl4.client.errors import Refused, Unreachable
from x0tta6bl4.errors import ConfigError, ProtocolError

Document = dict[str, Any]
"""A JSON object as the API sends it; its members are those of the OpenAPI document."""

TIMEOUT_S = 5.0
SILENCE_S = 45.0  # on a stream; the server sends a comment each 15 s
SNAPSHOTS_MAX = 32
SHOWN = 80  # characters of a body that cannot be sent
LOST = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
"""The connection broke before the answer came: asking again is safe, since every write carries its key."""


_HOST = re.compile(r"^[A-Za-z0-9_.:-]+$")


def part(text: object) -> str:
    """One part of a path, quoted.

    >>> part("i/1")
    'i%2F1'
    """
    return quote(str(text), safe="")


@dataclass(frozen=True, slots=True)
class Request:
    """One call: `path` is quoted already, what is None in `query` and `body` is left out."""

    method: str
    path: str
    query: Mapping[str, object] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    key: str = field(default_factory=lambda: str(uuid4()))

    def given(self) -> dict[str, str]:
        """The query as text, without what is None."""
        return {name: _text(value) for name, value in self.query.items() if value is not None}

    def place(self) -> tuple[str, str]:
        """What two requests for the same thing have in common."""
        return self.path, str(self.given())


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event of the stream. id: pass it as `last_event_id` to go on after it."""

    id: str
    type: str
    data: Document


class Wire:
    """Turns requests into what httpx takes, and answers into documents or errors.

    Raises ConfigError where `url` is no HTTP address.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = checked(url)
        self._token = token
        self._seen: OrderedDict[tuple[str, str], tuple[str, Document]] = OrderedDict()  # place -> ETag, answer

    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def options(self, request: Request) -> dict[str, Any]:
        """Arguments for `httpx.Client.request`."""
        found: dict[str, Any] = {"method": request.method, "url": request.path, "params": request.given()}
        if request.method == "GET":
            known = self._seen.get(request.place())
            found["headers"] = {"If-None-Match": known[0]} if known else {}
            return found
        found["headers"] = {"Idempotency-Key": request.key}
        if request.body is not None:
            body = {name: value for name, value in request.body.items() if value is not None}
            try:
                found["content"] = json.dumps(body, allow_nan=False).encode()
            except (TypeError, ValueError) as error:
                raise ConfigError("body", str(body)[:SHOWN], f"what JSON can say; {error}") from None
            found["headers"]["Content-Type"] = "application/json"
        return found

    def document(self, request: Request, response: httpx.Response) -> Document:
        """What the answer says; raises Refused, ProtocolError."""
        place = request.place()
        if response.status_code == httpx.codes.NOT_MODIFIED and place in self._seen:
            return self._seen[place][1]
        document = self._parsed(response)
        tag = response.headers.get("etag")
        if request.method == "GET" and tag:
            self._seen[place] = (tag, document)
            self._seen.move_to_end(place)
            if len(self._seen) > SNAPSHOTS_MAX:
                self._seen.popitem(last=False)
        return document

    def _parsed(self, response: httpx.Response) -> Document:
        if response.status_code == httpx.codes.NO_CONTENT:
            return {}
        try:
            document = json.loads(response.content)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise ProtocolError(f"{self.url} answered {response.status_code} with something that is not JSON")
        if not response.is_success:
            raise Refused(response.status_code, document)
        return document

    def text(self, response: httpx.Response) -> str:
        """An answer that is no JSON (metrics); raises Refused, ProtocolError."""
        if not response.is_success:
            self._parsed(response)
        return response.text

    def unreachable(self, error: httpx.HTTPError) -> Unreachable:
        """`error` in the words of a person who looks for the controller."""
        return Unreachable(f"no controller answers at {self.url} ({str(error) or type(error).__name__})")


def checked(url: str) -> str:
    """`url` without a slash at its end; raises ConfigError where it is no address of an API."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        parsed = httpx.URL("")
    if (
        parsed.scheme not in ("http", "https")
        or not _HOST.match(parsed.host)
        or (parsed.userinfo or parsed.query or parsed.fragment)
    ):
        # What was given is not repeated: it may hold a password.
        raise ConfigError("url", "something else", "http://HOST:PORT or https://HOST:PORT, without user and password")
    return str(parsed).rstrip("/")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
