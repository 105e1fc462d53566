"""Server-sent events out of the ring of `Readers`: resumable, and a slow listener costs nobody anything.

The publisher never knows of listeners. One task looks for news for all of them; each walks the ring at its own pace,
and an event is serialised once for all. One that does not take its bytes for `STALL_S`, or that the ring has overtaken,
is dropped and may resume with `Last-Event-ID`.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from x0tta6bl4.core import documents
from x0tta6bl4.core.readers import Numbered, Readers

POLL_S = 0.1
KEEPALIVE_S = 15.0
STALL_S = 10.0
BATCH = 64


def message(boot: str, numbered: Numbered, now: float) -> bytes:
    """One event on the wire."""
    data = json.dumps(documents.event(numbered, now), separators=(",", ":"))
    kind = "".join(c for c in numbered.event.type if c.isprintable())
    return f"id: {boot}-{numbered.number}\nevent: {kind}\ndata: {data}\n\n".encode()


def position(boot: str, last_id: str) -> int | None:
    """How far a listener with this `Last-Event-ID` got; None where it was another process's stream.

    >>> position("a1", "a1-7"), position("a1", "b2-7"), position("a1", "")
    (7, None, None)
    """
    known, _, number = last_id.rpartition("-")
    return int(number) if known == boot and number.isascii() and number.isdigit() and len(number) < 19 else None


class Stream:
    """Counts listeners and writes to them. boot: tells this process's numbers from another's."""

    def __init__(self, readers: Readers, *, poll_s: float = POLL_S, stall_s: float = STALL_S) -> None:
        self.boot = secrets.token_hex(4)
        self.listeners = 0
        self.dropped = 0
        self.stopping = False
        self._readers, self._poll_s, self._stall_s = readers, poll_s, stall_s
        self._waiting: dict[asyncio.Future[None], int] = {}  # listener -> how far it got
        self._looking: asyncio.Task[None] | None = None
        self._made: dict[int, bytes] = {}
        self._made_at = 0.0

    async def messages(self, last_id: str) -> AsyncIterator[bytes]:
        """What one listener gets: a comment at once, missed events, then each event as it comes.

        A stream that cannot go on where the listener stopped begins with a `reset` event that says how many events
        are lost (null where that cannot be known) and what is still remembered.
        """
        yield b"retry: 1000\n: x0tta6bl4\n\n"
        after = self._readers.last_number()
        if last_id:
            known = position(self.boot, last_id)
            after = min(known, after) if known is not None else 0
            if known is None:
                yield b'event: reset\ndata: {"lost":null}\n\n'
        first = True
        while not self.stopping:
            batch, lost = self._readers.events(after, BATCH)
            if lost and not first:
                return  # overtaken: it resumes with its last id and is told what it lost
            if lost:
                yield f'event: reset\ndata: {{"lost":{lost}}}\n\n'.encode()
            first = False
            snapshot = self._readers.snapshot()
            now = snapshot.iteration.at if snapshot is not None else 0.0
            if batch:
                yield b"".join(self._message(numbered, now) for numbered in batch)
                after = batch[-1].number
            elif not await self._news(after):
                yield b": still here\n\n"

    def _message(self, numbered: Numbered, now: float) -> bytes:
        """One event on the wire, made once for each pass."""
        if now != self._made_at:
            self._made, self._made_at = {}, now
        made = self._made.get(numbered.number)
        if made is None:
            made = self._made[numbered.number] = message(self.boot, numbered, now)
        return made

    async def _news(self, after: int) -> bool:
        """Wait until there are events above `after`, or the server stops; False after `KEEPALIVE_S` without."""
        news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[news] = after
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._look())
        try:
            async with asyncio.timeout(KEEPALIVE_S):
                await news
        except TimeoutError:
            return False
        finally:
            self._waiting.pop(news, None)
        return True

    async def _look(self) -> None:
        """Look at the ring for all that wait, as long as anybody does."""
        while self._waiting:
            await asyncio.sleep(self._poll_s)
            last = self._readers.last_number()
            for news, after in self._waiting.items():
                if (last > after or self.stopping) and not news.done():
                    news.set_result(None)

    async def write(self, last_id: str, send: Send) -> None:
        """Send `messages` until the listener stalls; each write has `stall_s` to be taken."""
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")],
            }
        )
        try:
            async for part in self.messages(last_id):
                body = {"type": "http.response.body", "body": part, "more_body": True}
                async with asyncio.timeout(self._stall_s):
                    await send(body)
            async with asyncio.timeout(self._stall_s):
                await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            self.dropped += 1

    async def serve(self, last_id: str, receive: Receive, send: Send) -> None:
        """One listener from its first byte to its disconnection."""
        self.listeners += 1
        writer = asyncio.ensure_future(self.write(last_id, send))
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({writer, gone}, return_when=asyncio.FIRST_COMPLETED)
            if writer.done():
                writer.result()
        finally:
            self.listeners -= 1
            for task in (writer, gone):
                task.cancel()
            await asyncio.gather(writer, gone, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class EventResponse(Response):
    """A response that writes itself for as long as its listener stays."""

    def __init__(self, stream: Stream, last_id: str) -> None:
        super().__init__(media_type="text/event-stream")
        self._stream, self._last_id = stream, last_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve until the listener leaves or is dropped."""
        await self._stream.serve(self._last_id, receive, send)
