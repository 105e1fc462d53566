"""The real Wire and Transport: non-blocking datagram sockets of one node, made inside its network namespace.

Beside the mesh: one IPv6 UDP socket on link-local addresses serves all interfaces (the scope of an address names the
interface), one raw ICMPv6 socket asks far kernels. Through the mesh: UDP over IPv4 on the mesh interface.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack

from x0tta6bl4.errors import ConfigError, Permanent
from x0tta6bl4.network.netns import inside
from x0tta6bl4.network.wire import HELLO_PORT, MESH_PORT, Datagram

AGENT_PORT, CONTROLLER_PORT = 4308, 4309  # UDP over the mesh: reports and orders
CONTROLLER = "controller"
ALL_NODES = "ff02::1"
RECEIVE_BYTES = 65536
DATAGRAMS_A_CALL = 512  # a flood must not keep a node from its other work
ECHO_REQUEST, ECHO_REPLY = 128, 129
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@qq")
_STAMP_SPACE = socket.CMSG_SPACE(_TIMESPEC.size)
AGE_MAX_S = 5.0
_IPV6_DONTFRAG, _IPV6_MTU_DISCOVER, _IP_MTU_DISCOVER, _PMTUDISC_PROBE, _ICMP6_FILTER = 62, 23, 10, 3, 1


def _socket(family: int, kind: int, protocol: int = 0) -> socket.socket:
    made = socket.socket(family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    return made


def _drain(sock: socket.socket, clock: Callable[[], float]) -> Iterable[tuple[float, bytes, tuple[str, int, int, int]]]:
    """(arrival, payload, source) of what waits on a socket, at most DATAGRAMS_A_CALL; errors for sent ones are skipped.

    The kernel stamps arrivals, so that a reader who is late measures no round trip of its own making. Its stamp is of
    the wall clock; what counts is how long ago that was.
    """
    now, wall = clock(), time.time()
    for _ in range(DATAGRAMS_A_CALL):
        try:
            payload, ancillary, _, source = sock.recvmsg(RECEIVE_BYTES, _STAMP_SPACE)
        except BlockingIOError:
            return
        except OSError:
            continue  # e.g. port unreachable for an earlier datagram: lost, as a network loses things
        at = now
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) == _TIMESPEC.size:
                seconds, nanoseconds = _TIMESPEC.unpack(data)
                age = wall - (seconds + nanoseconds / 1e9)
                if 0 < age < AGE_MAX_S:  # else the wall clock was set meanwhile
                    at = now - age
        yield at, payload, source


def _send(sock: socket.socket, payload: bytes, address: tuple[object, ...]) -> None:
    try:
        sock.sendto(payload, address)
    except OSError:
        return  # no carrier, no route, too big, queue full: lost


def mac_from_link_local(address: str) -> str:
    """The MAC that an EUI-64 link-local address was made of, "" where it was made otherwise.

    >>> mac_from_link_local("fe80::4202:ff:fe00:102")
    '42:02:00:00:01:02'
    """
    try:
        raw = socket.inet_pton(socket.AF_INET6, address)
    except OSError:
        return ""
    if raw[11:13] != b"\xff\xfe":
        return ""
    return (bytes([raw[8] ^ 2]) + raw[9:11] + raw[13:16]).hex(":")


class LinuxWire:
    """Datagrams of one node.

    interfaces: the hard interfaces. peers: node -> IPv4 address on the mesh, this node's included.
    clock: monotonic seconds, for arrivals. Raises Permanent where a socket cannot be made.
    """

    def __init__(
        self,
        node: str,
        interfaces: Iterable[str],
        mesh_if: str,
        peers: Mapping[str, str],
        *,
        netns: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if node not in peers:
            raise ConfigError("node", node, ", ".join(sorted(peers)))
        self._names = tuple(interfaces)
        self._peers = dict(peers)
        self._nodes = {address: name for name, address in peers.items()}
        self._netns = netns
        self._clock = clock
        self._echo_id = os.getpid() & 0xFFFF
        self._echo_number = 0
        self._index: dict[str, int] = {}
        self._interface: dict[int, str] = {}
        with inside(netns):
            try:
                with ExitStack() as made:  # closes what was made where a later one cannot be
                    self._link = made.enter_context(_socket(socket.AF_INET6, socket.SOCK_DGRAM))
                    self._icmp = made.enter_context(_socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6))
                    self._mesh = made.enter_context(_socket(socket.AF_INET, socket.SOCK_DGRAM))
                    self._set_options()
                    made.pop_all()
            except OSError as error:
                raise Permanent(f"sockets of {node}: {error.strerror}") from error
            self._find_interfaces()
        self._waiting = select.poll()  # three sockets in one question
        for sock in (self._link, self._icmp, self._mesh):
            self._waiting.register(sock, select.POLLIN)

    def _set_options(self) -> None:
        for sock in (self._link, self._icmp):
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE)
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_DONTFRAG, 1)
        self._link.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        self._link.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self._link.bind(("::", HELLO_PORT))
        replies_only = bytearray(b"\xff" * 32)
        replies_only[ECHO_REPLY // 8] &= ~(1 << ECHO_REPLY % 8) & 0xFF
        self._icmp.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, bytes(replies_only))
        self._mesh.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)
        self._mesh.bind(("0.0.0.0", MESH_PORT))  # noqa: S104 -- the mesh interface may lose and regain its address

    def _find_interfaces(self) -> None:
        for name in self._names:
            try:
                index = socket.if_nametoindex(name)
            except OSError:
                continue
            self._index[name], self._interface[index] = index, name

    def refresh(self) -> None:
        """Look up the interfaces anew (one was replugged)."""
        self._index, self._interface = {}, {}
        with inside(self._netns):
            self._find_interfaces()

    def close(self) -> None:
        """Release its sockets."""
        for sock in (self._link, self._icmp, self._mesh):
            sock.close()

    def send_link(self, interface: str, to: str | None, payload: bytes) -> None:
        """Beside the mesh; `to` None is multicast to all neighbours on the interface."""
        index = self._index.get(interface)
        if index is not None:
            _send(self._link, payload, (to or ALL_NODES, HELLO_PORT, 0, index))

    def echo(self, interface: str, to: str, payload: bytes) -> None:
        """Ask the kernel at `to` to answer; the answer comes by `receive` with `echo=True`."""
        index = self._index.get(interface)
        if index is not None:
            self._echo_number = (self._echo_number + 1) & 0xFFFF
            head = struct.pack("!BBHHH", ECHO_REQUEST, 0, 0, self._echo_id, self._echo_number)  # the kernel sums
            _send(self._icmp, head + payload, (to, 0, 0, index))

    def send_mesh(self, node: str, payload: bytes) -> None:
        """Through the mesh to a node's agent."""
        address = self._peers.get(node)
        if address is not None:
            _send(self._mesh, payload, (address, MESH_PORT))

    def receive(self) -> Sequence[Datagram]:
        """All that arrived since the last question, in order of arrival on each path."""
        found: list[Datagram] = []
        ready = {fd for fd, _ in self._waiting.poll(0)}
        for at, payload, source in _drain(self._link, self._clock) if self._link.fileno() in ready else ():
            name = self._interface.get(source[3])
            if name is not None:
                found.append(Datagram(at, name, source[0].partition("%")[0], payload))
        for at, payload, source in _drain(self._icmp, self._clock) if self._icmp.fileno() in ready else ():
            name = self._interface.get(source[3])
            ours = (
                len(payload) >= 8 and payload[0] == ECHO_REPLY and int.from_bytes(payload[4:6], "big") == self._echo_id
            )
            if name is not None and ours:
                found.append(Datagram(at, name, source[0].partition("%")[0], payload[8:], echo=True))
        for at, payload, source in _drain(self._mesh, self._clock) if self._mesh.fileno() in ready else ():
            node = self._nodes.get(source[0])
            if node is not None:
                found.append(Datagram(at, "", node, payload))
        return found

    def mac_of(self, source: str) -> str:
        """The MAC behind a link-local `source`, "" if unknown."""
        return mac_from_link_local(source)


class LinuxTransport:
    """Datagrams between a node's agent and the controller, over the mesh.

    me: the node's name, or "controller" on the seat. peers: node -> IPv4 address on the mesh.
    """

    def __init__(
        self,
        me: str,
        seat: str,
        peers: Mapping[str, str],
        *,
        netns: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if seat not in peers:
            raise ConfigError("seat", seat, ", ".join(sorted(peers)))
        self._clock = clock
        self._address = {name: (address, AGENT_PORT) for name, address in peers.items()}
        self._address[CONTROLLER] = (peers[seat], CONTROLLER_PORT)
        self._name = {address: name for name, address in self._address.items()}
        port = CONTROLLER_PORT if me == CONTROLLER else AGENT_PORT
        with inside(netns):
            try:
                self._socket = _socket(socket.AF_INET, socket.SOCK_DGRAM)
            except OSError as error:
                raise Permanent(f"transport of {me}: {error.strerror}") from error
            try:
                self._socket.bind(("0.0.0.0", port))  # noqa: S104 -- as above
            except OSError as error:
                self._socket.close()
                raise Permanent(f"transport of {me}: {error.strerror}") from error

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def close(self) -> None:
        """Release its socket."""
        self._socket.close()

    def send(self, to: str, payload: bytes) -> None:
        """Send to the participant named `to` (a node's name, or "controller")."""
        address = self._address.get(to)
        if address is not None:
            _send(self._socket, payload, address)

    def receive(self) -> Sequence[tuple[str, float, bytes]]:
        """(from, arrival on the local monotonic clock, payload) since the last question."""
        found: list[tuple[str, float, bytes]] = []
        for at, payload, source in _drain(self._socket, self._clock):
            name = self._name.get((source[0], source[1]))
            if name is not None:
                found.append((name, at, payload))
        return found
