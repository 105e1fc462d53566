"""The lab's own end-to-end probes: what a client of the mesh sees. The controller never learns of them.

One 1,300-byte ICMP echo for each pair every 50 ms, answered by the far kernel and stamped on arrival by the near one,
so that how busy the lab process is changes neither the answer nor its time.
"""

from __future__ import annotations

import math
import socket
import struct
import time
from collections.abc import Mapping, Sequence

from x0tta6bl4.network.netns import inside

PERIOD_S = 0.05
PAYLOAD_BYTES = 1300
ANSWER_S = 2.0
_SO_TIMESTAMPNS = 35
_ICMP_FILTER = 1
_STAMP = struct.Struct("=qq")


def checksum(data: bytes) -> int:
    """Of an ICMP message (RFC 1071).

    >>> hex(checksum(bytes.fromhex("0800000000010001")))
    '0xf7fd'
    """
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) & ~1]))
    if len(data) & 1:
        total += data[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class ClientPair:
    """Probes from one node to another. sent: monotonic seconds; rtt_ms: NaN while unanswered."""

    def __init__(self, source: str, target: str, address: str, identity: int) -> None:
        self.source, self.target = source, target
        self.sent: list[float] = []
        self.rtt_ms: list[float] = []
        self.forgotten = 0  # how many of the oldest are not kept any more
        self._address = address
        self._identity = identity
        # everything of a request but its number stays the same, so its checksum is made once
        self._body = bytes(PAYLOAD_BYTES - 4)
        self._sum = checksum(struct.pack("!BBHHHI", 8, 0, 0, identity, 0, 0) + self._body)

    def send(self, sock: socket.socket, now: float) -> None:
        """Send one request."""
        number = self.forgotten + len(self.sent)
        self.sent.append(now)
        self.rtt_ms.append(math.nan)
        total = (~self._sum & 0xFFFF) + (number >> 16) + (number & 0xFFFF)
        total = (total & 0xFFFF) + (total >> 16)
        total = (total & 0xFFFF) + (total >> 16)
        head = struct.pack("!BBHHHI", 8, 0, ~total & 0xFFFF, self._identity, 0, number)
        try:
            sock.sendto(head + self._body, (self._address, 0))
        except OSError:
            return  # no route, no buffer: unanswered

    def answered(self, number: int, at: float) -> None:
        """Take in one answer."""
        place = number - self.forgotten
        if 0 <= place < len(self.sent):
            late = at - self.sent[place]
            if math.isnan(self.rtt_ms[place]) and late <= ANSWER_S:
                self.rtt_ms[place] = max(0.0, late * 1e3)

    def forget(self, keep: int) -> None:
        """Drop the oldest but `keep`."""
        count = max(0, len(self.sent) - keep)
        del self.sent[:count], self.rtt_ms[:count]
        self.forgotten += count


class Clients:
    """All pairs of one run. namespaces, addresses: by node."""

    def __init__(
        self, pairs: Sequence[tuple[str, str]], namespaces: Mapping[str, str], addresses: Mapping[str, str]
    ) -> None:
        self.pairs = [ClientPair(a, b, addresses[b], number) for number, (a, b) in enumerate(pairs, start=1)]
        self._sockets: dict[str, socket.socket] = {}
        for source in {pair.source for pair in self.pairs}:
            with inside(namespaces[source]):
                self._sockets[source] = _raw_socket()

    def close(self) -> None:
        """Release its sockets."""
        for sock in self._sockets.values():
            sock.close()

    def send(self) -> None:
        """One request of each pair."""
        for pair in self.pairs:
            pair.send(self._sockets[pair.source], time.monotonic())

    def receive(self) -> None:
        """Take in all answers that arrived; never blocks."""
        offset = time.monotonic() - time.time()
        for sock in self._sockets.values():
            while True:
                try:
                    data, extra, _flags, _source = sock.recvmsg(64, 64)
                except BlockingIOError:
                    break
                except OSError:
                    continue
                self._take(data, extra, offset)

    def _take(self, data: bytes, extra: Sequence[tuple[int, int, bytes]], offset: float) -> None:
        at = time.monotonic()
        for level, kind, value in extra:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                seconds, nanoseconds = _STAMP.unpack_from(value)
                at = seconds + nanoseconds * 1e-9 + offset
        start = (data[0] & 15) * 4  # after the IPv4 header
        if len(data) < start + 12 or data[start]:
            return
        identity, _zero, number = struct.unpack_from("!HHI", data, start + 4)
        if 0 < identity <= len(self.pairs):
            self.pairs[identity - 1].answered(number, at)


def _raw_socket() -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    sock = socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    sock.setsockopt(
        socket.SOL_RAW if hasattr(socket, "SOL_RAW") else 255, _ICMP_FILTER, struct.pack("=I", ~1 & 0xFFFFFFFF)
    )
    return sock
