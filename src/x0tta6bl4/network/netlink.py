"""A small netlink codec and socket: what batman.py, links.py and traffic.py share.

Written on the bare socket, not on pyroute2: a node's agent reads its tables twice a second on small routers, and on a
slow processor decoding a dump through a general library took twenty times as long as the kernel needed to make it.
Layouts are those of <linux/netlink.h> and <linux/genetlink.h>.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
from collections.abc import Iterator, Mapping

from x0tta6bl4.errors import NotSupported, Permanent, ProtocolError, ResourceError, Temporary
from x0tta6bl4.network.netns import inside

REQUEST, MULTI, ACK, DUMP_INTR = 0x01, 0x02, 0x04, 0x10
DUMP, EXCL, CREATE = 0x300, 0x200, 0x400
NLMSG_ERROR, NLMSG_DONE = 2, 3
ROUTE, GENERIC = 0, 16  # protocols
GENL_CONTROL = 16
NLA_TYPE_MASK = 0x3FFF
RECEIVE_BYTES = 1 << 16
ANSWER_S = 2.0

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTR = struct.Struct("=HH")  # length, type
_U32 = struct.Struct("=I")

_TRY_AGAIN = {errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.ENOBUFS, errno.ENOMEM}

Attributes = Mapping[int, bytes]


def refusal(code: int, what: str) -> ResourceError | NotSupported:
    """The error for a positive errno that the kernel answered to `what`."""
    text = f"{what}: {os.strerror(code)}"
    if code in (errno.EOPNOTSUPP, errno.EPERM, errno.ENOSYS):
        return NotSupported(text)
    return Temporary(text) if code in _TRY_AGAIN else Permanent(text)


def messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(type, flags, sequence, payload) of each netlink message in `data`; raises ProtocolError where it is cut off.

    >>> list(messages(message(16, 1, 7, b"abcd")))
    [(16, 1, 7, b'abcd')]
    """
    at = 0
    while at < len(data):
        if len(data) - at < _HEADER.size:
            raise ProtocolError(f"netlink: {len(data) - at} bytes left, a header has {_HEADER.size}")
        length, kind, flags, sequence, _port = _HEADER.unpack_from(data, at)
        if length < _HEADER.size or at + length > len(data):
            raise ProtocolError(f"netlink: a message says {length} bytes, {len(data) - at} are there")
        yield kind, flags, sequence, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def message(kind: int, flags: int, sequence: int, payload: bytes) -> bytes:
    """One netlink message."""
    return _HEADER.pack(_HEADER.size + len(payload), kind, flags, sequence, 0) + payload


def attributes(data: bytes, at: int = 0) -> dict[int, bytes]:
    """Attributes of `data` from offset `at`, by type (the last of a type wins); raises ProtocolError on a bad length.

    >>> attributes(attribute(3, b"x") + attribute(1, b"abcd"))
    {3: b'x', 1: b'abcd'}
    """
    found: dict[int, bytes] = {}
    end = len(data)
    while at < end:
        if end - at < 4:
            raise ProtocolError(f"netlink: {end - at} bytes left, an attribute has at least 4")
        length, kind = _ATTR.unpack_from(data, at)
        if length < 4 or at + length > end:
            raise ProtocolError(f"netlink: attribute {kind & NLA_TYPE_MASK} says {length} bytes, {end - at} are there")
        found[kind & NLA_TYPE_MASK] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    length = 4 + len(value)
    return _ATTR.pack(length, kind) + value + bytes(-length % 4)


def nested(kind: int, *parts: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | 0x8000, b"".join(parts))


def number(kind: int, value: int, size: int = 4) -> bytes:
    """An attribute that is an unsigned number of `size` bytes in the host's order."""
    return attribute(kind, struct.pack({1: "=B", 2: "=H", 4: "=I", 8: "=Q"}[size], value))


def text(kind: int, value: str) -> bytes:
    """An attribute that is a string with its closing zero."""
    return attribute(kind, value.encode() + b"\0")


def as_number(value: bytes) -> int:
    """An unsigned number of 1, 2, 4 or 8 bytes; raises ProtocolError on another length."""
    if len(value) not in (1, 2, 4, 8):
        raise ProtocolError(f"netlink: a number of {len(value)} bytes")
    return int.from_bytes(value, "little" if _LITTLE else "big")


_LITTLE = _U32.pack(1)[0] == 1


def as_text(value: bytes) -> str:
    """A string up to its closing zero; raises ProtocolError where it is not one."""
    head = value.partition(b"\0")[0]
    try:
        return head.decode("ascii")
    except UnicodeDecodeError as error:
        raise ProtocolError(f"netlink: {value[:16]!r} is not text") from error


def as_mac(value: bytes) -> str:
    """A MAC address as lower-case text; raises ProtocolError on another length than 6."""
    if len(value) != 6:
        raise ProtocolError(f"netlink: a MAC address of {len(value)} bytes")
    return value.hex(":")


def mac_bytes(mac: str) -> bytes:
    """Inverse of `as_mac`; raises ProtocolError on malformed text."""
    try:
        value = bytes.fromhex(mac.replace(":", ""))
    except ValueError as error:
        raise ProtocolError(f"MAC address: {mac!r}") from error
    if len(value) != 6:
        raise ProtocolError(f"MAC address: {mac!r}")
    return value


class NetlinkSocket:
    """One socket in one namespace: requests with their answers, or events.

    protocol: ROUTE or GENERIC. netns: name, None for the current one. Raises Permanent where it cannot be opened.
    """

    def __init__(self, protocol: int, netns: str | None = None) -> None:
        with inside(netns):
            try:
                self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
            except OSError as error:
                raise Permanent(f"netlink: {error.strerror}") from error
        self._socket.bind((0, 0))
        self._sequence = 0
        self._lock = threading.Lock()  # readings and actions ask from two threads; answers must not cross

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def close(self) -> None:
        """Release it."""
        self._socket.close()

    def request(self, kind: int, flags: int, payload: bytes, what: str = "netlink") -> list[bytes]:
        """Send one request and return the payloads of its answer (none for a bare acknowledgement).

        Raises Temporary (no answer, a dump that was interrupted), Permanent or NotSupported with the kernel's reason,
        ProtocolError on malformed bytes. `what` names the request in the error.
        """
        with self._lock:
            return self._request(kind, flags, payload, what)

    def _request(self, kind: int, flags: int, payload: bytes, what: str) -> list[bytes]:
        self._sequence = (self._sequence + 1) & 0x7FFFFFFF
        sequence = self._sequence
        if flags & DUMP != DUMP:  # its two bits mean other things in a request that sets
            flags |= ACK
        if self._socket.gettimeout() is None:
            self._socket.settimeout(ANSWER_S)
        answers: list[bytes] = []
        try:
            self._socket.send(message(kind, flags | REQUEST, sequence, payload))
            while not self._collect(self._socket.recv(RECEIVE_BYTES), sequence, answers, what):
                pass
        except TimeoutError as error:
            raise Temporary(f"{what}: no answer within {ANSWER_S} s") from error
        except OSError as error:
            raise refusal(error.errno or errno.EIO, what) from error
        return answers

    @staticmethod
    def _collect(data: bytes, sequence: int, answers: list[bytes], what: str) -> bool:
        """Take in one read of an answer; True where it ended."""
        for kind, flags, number_, payload in messages(data):
            if number_ != sequence:
                continue  # left over from a request that timed out
            if kind in (NLMSG_ERROR, NLMSG_DONE):
                code = int.from_bytes(payload[:4], "little" if _LITTLE else "big", signed=True) if payload else 0
                if code < 0:
                    raise refusal(-code, what)
                return True
            if flags & DUMP_INTR:
                raise Temporary(f"{what}: the table changed while it was read")
            answers.append(payload)
        return False

    def join(self, group: int) -> None:
        """Receive the events of a multicast group."""
        self._socket.setsockopt(270, 1, group)  # SOL_NETLINK, NETLINK_ADD_MEMBERSHIP

    def events(self) -> list[tuple[int, bytes]]:
        """(type, payload) of the events that arrived since the last question; never blocks.

        Raises Temporary where the kernel had to drop some (read everything anew then).
        """
        found: list[tuple[int, bytes]] = []
        while True:
            try:
                data = self._socket.recv(RECEIVE_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return found
            except OSError as error:
                raise refusal(error.errno or errno.EIO, "netlink events") from error
            found += [(kind, payload) for kind, _flags, _sequence, payload in messages(data)]


def family(sock: NetlinkSocket, name: str) -> tuple[int, dict[str, int]]:
    """(id, multicast groups by name) of a generic netlink family; raises NotSupported where the kernel has none."""
    try:
        answer = sock.request(GENL_CONTROL, 0, struct.pack("=BBH", 3, 1, 0) + text(2, name), f"family {name}")
    except Permanent as error:
        raise NotSupported(f"this kernel has no {name} (is its module loaded?)") from error
    if not answer:
        raise ProtocolError(f"family {name}: empty answer")
    fields = attributes(answer[0], 4)
    groups: dict[str, int] = {}
    for entry in attributes(fields.get(7, b"")).values():
        inner = attributes(entry)
        groups[as_text(inner.get(1, b""))] = as_number(inner.get(2, b""))
    return as_number(fields.get(1, b"")), groups
