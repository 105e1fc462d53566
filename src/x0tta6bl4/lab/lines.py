"""JSON lines over one TCP connection: how the lab process and the process that drives it talk.

A request is {"id", "op", "args"}, its answer {"id", "result"} or {"id", "error", "kind"}; a message without an id is a
notice ({"notice": NAME, ...}). Both ends use the same class; neither ever blocks on sending for long.
"""

from __future__ import annotations

import json
import select
import socket
from typing import Any

from x0tta6bl4.errors import ProtocolError, Temporary

READ_BYTES = 1 << 18
SEND_S = 30.0


class Lines:
    """One connection. Raises Temporary where the other end is gone, ProtocolError where it talks nonsense."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = b""
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def send(self, document: dict[str, Any]) -> None:
        """Send one document."""
        data = json.dumps(document, separators=(",", ":")).encode() + b"\n"
        try:
            self._socket.settimeout(SEND_S)
            self._socket.sendall(data)
        except OSError as error:
            raise Temporary(f"lab connection: {error}") from error

    def receive(self, wait_s: float) -> list[dict[str, Any]]:
        """Documents that arrived, waiting at most `wait_s` for the first."""
        try:
            ready, _, _ = select.select([self._socket], [], [], max(0.0, wait_s))
            if not ready:
                return []
            self._socket.settimeout(SEND_S)
            data = self._socket.recv(READ_BYTES)
        except (OSError, ValueError) as error:
            raise Temporary(f"lab connection: {error}") from error
        if not data:
            raise Temporary("lab connection: the other end closed it")
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [_document(line) for line in lines if line.strip()]


def _document(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise ProtocolError(f"lab connection: not JSON: {line[:80]!r}") from error
    if not isinstance(found, dict):
        raise ProtocolError(f"lab connection: not an object: {line[:80]!r}")
    return found
