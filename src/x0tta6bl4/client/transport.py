"""The two clients: the same operations over httpx, with and without waiting."""

from __future__ import annotations

import asyncio
import json
import math
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any, Self

import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError

from x0tta6bl4.client.operations import Operations
from x0tta6bl4.client.wire import LOST, SILENCE_S, TIMEOUT_S, Document, Request, ServerEvent, Wire
from x0tta6bl4.errors import ProtocolError

RESUME_S = 1.0


def _options(wire: Wire, timeout_s: float, verify: ssl.SSLContext | bool) -> dict[str, Any]:
    # No proxy from the environment: the token is for the controller alone.
    return {
        "base_url": wire.url,
        "headers": wire.headers(),
        "timeout": timeout_s,
        "verify": verify,
        "trust_env": False,
    }


def _stream(last_event_id: str) -> dict[str, Any]:
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last_event_id} if last_event_id else {})}
    return {"method": "GET", "url": "/v1/events", "headers": headers, "timeout": httpx.Timeout(SILENCE_S, connect=5.0)}


def _event(told: ServerSentEvent) -> ServerEvent | None:
    """None for what only sets the pace of a stream."""
    if not told.data:
        return None
    try:
        data = json.loads(told.data)
    except ValueError:
        raise ProtocolError(f"event {told.id}: its data is not JSON") from None
    return ServerEvent(told.id, told.event, data)


class Client(Operations[Document]):
    """Calls that wait for their answer.

    url: where the API is, e.g. "http://127.0.0.1:8000". token: its bearer token. verify: an ssl context with the
    operator's own authorities, for https. transport: httpx's, for an API in this process.

    Every operation returns its JSON document and raises Unreachable, Refused or ProtocolError (`client.errors`). A
    snapshot that has not changed is not sent again (ETag); a write whose answer was lost is repeated under its key.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        timeout_s: float = TIMEOUT_S,
        verify: ssl.SSLContext | bool = True,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._wire = Wire(url, token)
        self._http = httpx.Client(transport=transport, **_options(self._wire, timeout_s, verify))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where its controller is."""
        return self._wire.url

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def _send(self, request: Request) -> Document:
        options = self._wire.options(request)
        try:
            try:
                response = self._http.request(**options)
            except LOST:
                response = self._http.request(**options)
        except httpx.HTTPError as error:
            raise self._wire.unreachable(error) from None
        return self._wire.document(request, response)

    def metrics(self) -> str:
        """Everything measured, in Prometheus' text format."""
        try:
            return self._wire.text(self._http.get("/metrics"))
        except httpx.HTTPError as error:
            raise self._wire.unreachable(error) from None

    def items(self, operation: Callable[..., Document], **filters: object) -> Iterator[Document]:
        """Every item of a list, page after page: `client.items(client.list_incidents, state="open")`."""
        cursor = None
        while True:
            page = operation(cursor=cursor, **filters)
            yield from page["items"]
            cursor = page.get("next")
            if cursor is None:
                return

    def events(self, last_event_id: str = "", *, patience_s: float = 30.0) -> Iterator[ServerEvent]:
        """Events as they come, for ever; after a broken connection it goes on where it stopped.

        An event of type `reset` says that some were lost. Raises Unreachable where the first connection fails, and
        where a broken one does not come back within `patience_s` seconds.
        """
        broken: float | None = -math.inf
        while True:
            try:
                with self._http.stream(**_stream(last_event_id)) as response:
                    if not response.is_success:
                        response.read()
                        self._wire.text(response)
                    broken = None
                    for told in EventSource(response).iter_sse():
                        last_event_id = told.id or last_event_id
                        if (event := _event(told)) is not None:
                            yield event
            except SSEError as error:
                raise ProtocolError(f"{self._wire.url}: {error}") from None
            except httpx.HTTPError as error:
                broken = time.monotonic() if broken is None else broken
                if time.monotonic() - broken > patience_s:
                    raise self._wire.unreachable(error) from None
            time.sleep(RESUME_S)


class AsyncClient(Operations[Awaitable[Document]]):
    """The same as `Client` for asyncio: every operation is awaited."""

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        timeout_s: float = TIMEOUT_S,
        verify: ssl.SSLContext | bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._wire = Wire(url, token)
        self._http = httpx.AsyncClient(transport=transport, **_options(self._wire, timeout_s, verify))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    @property
    def url(self) -> str:
        """Where its controller is."""
        return self._wire.url

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def _send(self, request: Request) -> Document:
        options = self._wire.options(request)
        try:
            try:
                response = await self._http.request(**options)
            except LOST:
                response = await self._http.request(**options)
        except httpx.HTTPError as error:
            raise self._wire.unreachable(error) from None
        return self._wire.document(request, response)

    async def metrics(self) -> str:
        """Everything measured, in Prometheus' text format."""
        try:
            return self._wire.text(await self._http.get("/metrics"))
        except httpx.HTTPError as error:
            raise self._wire.unreachable(error) from None

    async def items(self, operation: Callable[..., Awaitable[Document]], **filters: object) -> AsyncIterator[Document]:
        """Every item of a list, page after page."""
        cursor = None
        while True:
            page = await operation(cursor=cursor, **filters)
            for item in page["items"]:
                yield item
            cursor = page.get("next")
            if cursor is None:
                return

    async def events(self, last_event_id: str = "", *, patience_s: float = 30.0) -> AsyncGenerator[ServerEvent, None]:
        """Events as they come; see `Client.events`."""
        broken: float | None = -math.inf
        while True:
            try:
                async with self._http.stream(**_stream(last_event_id)) as response:
                    if not response.is_success:
                        await response.aread()
                        self._wire.text(response)
                    broken = None
                    async with aclosing(EventSource(response).aiter_sse()) as stream:
                        async for told in stream:
                            last_event_id = told.id or last_event_id
                            if (event := _event(told)) is not None:
                                yield event
            except SSEError as error:
                raise ProtocolError(f"{self._wire.url}: {error}") from None
            except httpx.HTTPError as error:
                broken = time.monotonic() if broken is None else broken
                if time.monotonic() - broken > patience_s:
                    raise self._wire.unreachable(error) from None
            await asyncio.sleep(RESUME_S)
