"""Network interfaces over rtnetlink: state, MTU, MAC, master, kind; setting them; their events.

Layouts are those of <linux/rtnetlink.h> and <linux/if_link.h>.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from x0tta6bl4.errors import Permanent, ProtocolError
from x0tta6bl4.network.netlink import (
    CREATE,
    DUMP,
    EXCL,
    ROUTE,
    NetlinkSocket,
    as_mac,
    as_number,
    as_text,
    attribute,
    attributes,
    mac_bytes,
    nested,
    number,
    text,
)

NEWLINK, DELLINK, GETLINK, NEWADDR, NEWNEIGH, NEWROUTE = 16, 17, 18, 20, 28, 24
LINK_GROUP = 1  # RTNLGRP_LINK
IFF_UP, IFF_LOWER_UP = 0x1, 0x10000
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO, IFLA_NET_NS_FD = 1, 3, 4, 5, 10, 18, 28
IFLA_EXT_MASK, SKIP_STATISTICS = 29, 8  # counters are most of an answer's bytes
INFO_KIND, INFO_DATA, INFO_SLAVE_KIND = 1, 2, 4
_IFINFO = struct.Struct("=BxHiII")  # family, device type, index, flags, change mask


@dataclass(frozen=True, slots=True)
class Link:
    """One interface of the kernel. up: administratively up; carrier: and able to send. master: index, 0 for none."""

    name: str
    index: int
    mac: str
    up: bool
    carrier: bool
    mtu: int
    master: int
    kind: str  # "veth", "dummy", "batadv", "bridge", "" for hardware
    slave_kind: str  # what it is a port of: "batadv", "bridge", "" for nothing


@lru_cache(maxsize=256)  # an interface's bytes seldom change, and are most of what a pass decodes
def decode_link(payload: bytes) -> Link:
    """One RTM_NEWLINK message; raises ProtocolError where it is malformed."""
    if len(payload) < _IFINFO.size:
        raise ProtocolError(f"rtnetlink: a link of {len(payload)} bytes")
    _family, _type, index, flags, _change = _IFINFO.unpack_from(payload)
    fields = attributes(payload, _IFINFO.size)
    if IFLA_IFNAME not in fields:
        raise ProtocolError(f"rtnetlink: link {index} has no name")
    info = attributes(fields.get(IFLA_LINKINFO, b""))
    mac = fields.get(IFLA_ADDRESS, b"")
    return Link(
        name=as_text(fields[IFLA_IFNAME]),
        index=index,
        mac=as_mac(mac) if len(mac) == 6 else "",  # a tunnel's address has another length
        up=bool(flags & IFF_UP),
        carrier=bool(flags & IFF_LOWER_UP),
        mtu=as_number(fields[IFLA_MTU]) if IFLA_MTU in fields else 0,
        master=as_number(fields[IFLA_MASTER]) if IFLA_MASTER in fields else 0,
        kind=as_text(info.get(INFO_KIND, b"")),
        slave_kind=as_text(info.get(INFO_SLAVE_KIND, b"")),
    )


def change(index: int = 0, *parts: bytes, flags: int = 0, mask: int = 0) -> bytes:
    """The payload of RTM_NEWLINK: header for interface `index` (0: a new one), then attributes."""
    return _IFINFO.pack(0, 0, index, flags, mask) + b"".join(parts)


class Links:
    """The interfaces of one network namespace."""

    def __init__(self, netns: str | None = None) -> None:
        self._socket = NetlinkSocket(ROUTE, netns)
        self._listener: NetlinkSocket | None = None
        self._netns = netns

    def close(self) -> None:
        """Release its sockets."""
        self._socket.close()
        if self._listener is not None:
            self._listener.close()

    def request(self, kind: int, flags: int, payload: bytes, what: str) -> list[bytes]:
        """Any other rtnetlink request on the same socket (addresses, neighbours, traffic control)."""
        return self._socket.request(kind, flags, payload, what)

    def all(self) -> list[Link]:
        """Every interface."""
        wanted = change(0, number(IFLA_EXT_MASK, SKIP_STATISTICS))
        return [decode_link(one) for one in self._socket.request(GETLINK, DUMP, wanted, "links")]

    def get(self, name: str) -> Link:
        """One interface by name; raises Permanent where there is none."""
        answer = self._socket.request(GETLINK, 0, change(0, text(IFLA_IFNAME, name)), f"interface {name}")
        if not answer:
            raise Permanent(f"interface {name}: no answer")
        return decode_link(answer[0])

    def index(self, name: str) -> int:
        """Its index; raises Permanent where there is none."""
        return self.get(name).index

    def set_up(self, index: int, up: bool) -> None:
        """Administrative state."""
        payload = change(index, flags=IFF_UP if up else 0, mask=IFF_UP)
        self._socket.request(NEWLINK, 0, payload, f"interface {index} {'up' if up else 'down'}")

    def set_mtu(self, index: int, mtu: int) -> None:
        """MTU in bytes; raises Permanent where the device cannot."""
        self._socket.request(NEWLINK, 0, change(index, number(IFLA_MTU, mtu)), f"interface {index} mtu {mtu}")

    def set_mac(self, index: int, mac: str) -> None:
        """Hardware address."""
        self._socket.request(NEWLINK, 0, change(index, attribute(IFLA_ADDRESS, mac_bytes(mac))), f"mac {mac}")

    def set_master(self, index: int, master: int) -> None:
        """Make it a port of `master` (0: of nothing)."""
        what = f"interface {index} master {master}"
        self._socket.request(NEWLINK, 0, change(index, number(IFLA_MASTER, master)), what)

    def delete(self, index: int) -> None:
        """Remove a virtual interface."""
        self._socket.request(DELLINK, 0, change(index), f"remove interface {index}")

    def create(
        self, name: str, kind: str, *parts: bytes, data: Iterable[bytes] = (), mtu: int = 0, mac: str = ""
    ) -> int:
        """Make a virtual interface of `kind`, down; `data` are attributes of the kind. Returns its index."""
        more = list(parts)
        if mtu:
            more.append(number(IFLA_MTU, mtu))
        if mac:
            more.append(attribute(IFLA_ADDRESS, mac_bytes(mac)))
        info = [text(INFO_KIND, kind)]
        inner = list(data)
        if inner:
            info.append(nested(INFO_DATA, *inner))
        payload = change(0, text(IFLA_IFNAME, name), *more, nested(IFLA_LINKINFO, *info))
        self._socket.request(NEWLINK, CREATE | EXCL, payload, f"create {kind} {name}")
        return self.index(name)

    def add_address(self, index: int, address: str, prefix: int) -> None:
        """An IPv4 address on an interface."""
        raw = socket.inet_aton(address)
        payload = struct.pack("=BBBBi", socket.AF_INET, prefix, 0, 0, index) + attribute(1, raw) + attribute(2, raw)
        self._socket.request(NEWADDR, CREATE | EXCL, payload, f"address {address}")

    def add_neighbour(self, index: int, address: str, mac: str) -> None:
        """A permanent IPv4 neighbour entry, so that no ARP is needed."""
        payload = struct.pack("=BxxxiHBB", socket.AF_INET, index, 0x80, 0, 0)  # 0x80: NUD_PERMANENT
        payload += attribute(1, socket.inet_aton(address)) + attribute(2, mac_bytes(mac))
        self._socket.request(NEWNEIGH, CREATE, payload, f"neighbour {address}")

    def listen(self) -> None:
        """Start to receive link events."""
        if self._listener is None:
            self._listener = NetlinkSocket(ROUTE, self._netns)
            self._listener.join(LINK_GROUP)

    def fileno(self) -> int:
        """Of the event socket, for select; -1 where `listen` was not called."""
        return self._listener.fileno() if self._listener is not None else -1

    def events(self) -> list[Link]:
        """Interfaces that changed since the last question, as they were then; never blocks."""
        if self._listener is None:
            return []
        return [decode_link(payload) for kind, payload in self._listener.events() if kind in (NEWLINK, DELLINK)]
