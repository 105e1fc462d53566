"""Bodies that are too large are refused, and a write that is sent again gets its first answer (Idempotency-Key)."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from x0tta6bl4.core import problems

BODY_MAX: Final = 1 << 20  # bytes; a webhook of a thousand alerts stays below
ANSWERS_MAX: Final = 1000  # answers kept for replays, and
ANSWER_MAX: Final = 1 << 16  # their bytes only up to this size: of a larger one it is known that it was given
TOO_LARGE: Final = (
    "this was done under its Idempotency-Key, with an answer too large to be repeated; read what is there now"
)
WRITES: Final = frozenset({"POST", "PUT", "DELETE"})
_KEY = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was asked under a key, and its answer once that is there.

    None where it may be tried again, empty where it was done and its answer is too large to be kept.
    """

    asked: bytes
    answer: asyncio.Future[list[Message] | None]


class Replay:
    """ASGI middleware over writes. Answers live in memory: after a restart a key is new.

    The answer to a refusal by the server's state (5xx) is not kept, so that the request may be tried again.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a write at most once for each key; everything else passes."""
        if scope["type"] != "http" or scope["method"] not in WRITES:
            await self._app(scope, receive, send)
            return
        headers, path = Headers(scope=scope), scope["path"]
        body = await _body(headers, receive)
        if body is None:
            refusal = problems.response(413, f"a body has at most {BODY_MAX} bytes", instance=path)
            await refusal(scope, receive, send)
            return
        key = headers.get("idempotency-key")
        if key is None:
            await self._app(scope, _once(body, receive), send)
        elif not _KEY.fullmatch(key):
            text = "header.idempotency-key: 1 to 255 printable ASCII characters without spaces"
            await problems.response(422, text, instance=path)(scope, receive, send)
        else:
            await self._keyed(key, body, scope, receive, send)

    async def _keyed(self, key: str, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        what = f"{scope['method']} {scope['path']}?".encode() + scope["query_string"] + b"\0" + body
        asked = hashlib.sha256(what).digest()
        while (known := self._kept.get(key)) is not None:
            if known.asked != asked:
                refusal = problems.response(
                    422, "header.idempotency-key: was used before with another request", instance=scope["path"]
                )
                await refusal(scope, receive, send)
                return
            messages = await asyncio.shield(known.answer)
            if messages is not None:
                if not messages:
                    refusal = problems.response(409, TOO_LARGE, instance=scope["path"])
                    await refusal(scope, receive, send)
                for message in messages:
                    await send(message)
                return
        await self._first(key, asked, scope, _once(body, receive), send)

    async def _first(self, key: str, asked: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry it out, and keep what was answered; who sends the same meanwhile waits for that."""
        future: asyncio.Future[list[Message] | None] = asyncio.get_running_loop().create_future()
        self._kept[key] = _Kept(asked, future)
        self._forget()
        messages: list[Message] = []

        async def record(message: Message) -> None:
            messages.append(message)
            await send(message)

        try:
            await self._app(scope, receive, record)
        finally:
            size = sum(len(message.get("body", b"")) for message in messages)
            final = bool(messages) and messages[0]["status"] < 500
            future.set_result((messages if size <= ANSWER_MAX else []) if final else None)
            if not final and self._kept.get(key) is not None:
                del self._kept[key]

    def _forget(self) -> None:
        """The oldest answers go; one that is still being made stays."""
        for key in list(self._kept)[: max(0, len(self._kept) - ANSWERS_MAX)]:
            if self._kept[key].answer.done():
                del self._kept[key]


async def _body(headers: Headers, receive: Receive) -> bytes | None:
    """The whole body; None where it is too large."""
    declared = headers.get("content-length", "0")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > BODY_MAX:
        return None
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":  # gone before it was complete: what it wanted is not done
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_MAX:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _once(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read already, then what the server has to say."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
