"""Traffic control on one interface: drop one neighbour's mesh packets on arrival; netem for the lab.

Layouts are those of <linux/pkt_sched.h>, <linux/pkt_cls.h> and <linux/tc_act/tc_gact.h>.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

from x0tta6bl4.errors import Permanent, ProtocolError
from x0tta6bl4.network.links import Links
from x0tta6bl4.network.netlink import (
    CREATE,
    DUMP,
    EXCL,
    as_mac,
    as_text,
    attribute,
    attributes,
    mac_bytes,
    nested,
    number,
    text,
)

NEWQDISC, DELQDISC, NEWFILTER, DELFILTER, GETFILTER = 36, 37, 44, 45, 46
ETH_P_BATMAN = 0x4305
TC_ROOT, CLSACT, INGRESS, CLSACT_HANDLE = 0xFFFFFFFF, 0xFFFFFFF1, 0xFFFFFFF2, 0xFFFF0000
BLOCK_PRIORITY = 4305  # of our filters, so that others' filters on the same interface are left alone
KIND, OPTIONS = 1, 2
FLOWER_CLASSID, FLOWER_ACT, FLOWER_ETH_SRC, FLOWER_ETH_SRC_MASK = 1, 3, 6, 7
TC_ACT_SHOT = 2
_TCMSG = struct.Struct("=BxxxiIII")  # family, interface, handle, parent, info
NETEM_PACKETS = 5000  # queue limit: 200 ms at full probe rate with room


def tc(index: int, handle: int, parent: int, info: int, *parts: bytes) -> bytes:
    """The payload of a traffic control request."""
    return _TCMSG.pack(0, index, handle, parent, info) + b"".join(parts)


def decode_block(payload: bytes) -> tuple[int, str]:
    """(filter handle, blocked MAC) of one filter of ours; ("" for another's). Raises ProtocolError."""
    if len(payload) < _TCMSG.size:
        raise ProtocolError(f"rtnetlink: a filter of {len(payload)} bytes")
    _family, _index, handle, _parent, info = _TCMSG.unpack_from(payload)
    fields = attributes(payload, _TCMSG.size)
    ours = info >> 16 == BLOCK_PRIORITY and as_text(fields.get(KIND, b"")) == "flower"
    source = attributes(fields.get(OPTIONS, b"")).get(FLOWER_ETH_SRC) if ours else None
    return handle, as_mac(source) if source is not None else ""


def _block_info() -> int:
    return BLOCK_PRIORITY << 16 | socket.htons(ETH_P_BATMAN)


def blocks(links: Links, index: int) -> dict[str, int]:
    """Blocked MACs of an interface and the handles of their filters."""
    try:
        answer = links.request(GETFILTER, DUMP, tc(index, 0, INGRESS, 0), f"filters of interface {index}")
    except Permanent as error:
        if os.strerror(errno.EINVAL) in str(error):
            return {}  # no clsact there yet
        raise
    return {mac: handle for handle, mac in map(decode_block, answer) if mac and handle}


def block(links: Links, index: int, mac: str) -> None:
    """Drop the mesh packets from `mac` on arrival; everything else passes. Nothing happens where it is blocked."""
    if mac in blocks(links, index):
        return
    try:
        links.request(NEWQDISC, CREATE | EXCL, tc(index, CLSACT_HANDLE, CLSACT, 0, text(KIND, "clsact")), "clsact")
    except Permanent as error:
        if os.strerror(errno.EEXIST) not in str(error):
            raise
    drop = nested(1, text(1, "gact"), nested(2, attribute(2, struct.pack("=IIiii", 0, 0, TC_ACT_SHOT, 0, 0))))
    match = (attribute(FLOWER_ETH_SRC, mac_bytes(mac)), attribute(FLOWER_ETH_SRC_MASK, b"\xff" * 6))
    options = nested(OPTIONS, *match, nested(FLOWER_ACT, drop))
    payload = tc(index, 0, INGRESS, _block_info(), text(KIND, "flower"), options)
    links.request(NEWFILTER, CREATE | EXCL, payload, f"block {mac}")


def unblock(links: Links, index: int, mac: str) -> None:
    """Accept the mesh packets from `mac` again."""
    handle = blocks(links, index).get(mac)
    if handle is not None:
        payload = tc(index, handle, INGRESS, _block_info(), text(KIND, "flower"))
        links.request(DELFILTER, 0, payload, f"unblock {mac}")


def netem_options(loss: float, delay_ms: float, jitter_ms: float) -> bytes:
    """TCA_OPTIONS of netem: struct tc_netem_qopt, then 64-bit latency and jitter in nanoseconds.

    loss: ratio in [0, 1], independent for each packet.
    """
    share = min(0xFFFFFFFF, round(loss * 0xFFFFFFFF))
    head = struct.pack("=IIIIII", 0, NETEM_PACKETS, share, 0, 0, 0)
    times = (
        attribute(10, struct.pack("=q", round(delay_ms * 1e6))),
        attribute(11, struct.pack("=q", round(jitter_ms * 1e6))),
    )
    return attribute(OPTIONS, head + b"".join(times))


def netem(
    links: Links, index: int, *, loss: float = 0.0, delay_ms: float = 0.0, jitter_ms: float = 0.0, parent: int = TC_ROOT
) -> None:
    """Lose and delay what leaves by an interface (or one of its classes); replaces what was set before."""
    minor = parent & 0xFFFF if parent != TC_ROOT else 0
    payload = tc(index, (0x10 + minor) << 16, parent, 0, text(KIND, "netem"), netem_options(loss, delay_ms, jitter_ms))
    links.request(NEWQDISC, CREATE | 0x100, payload, f"netem on interface {index}")  # 0x100: replace


def classes_by_source(links: Links, index: int, sources: list[str]) -> dict[str, int]:
    """Give an interface one class for each source MAC (at most 15); returns the class to put a netem on, by MAC."""
    bands = len(sources) + 1  # the last takes what no filter names
    priomap = bytes([bands - 1] * 16)
    prio = attribute(OPTIONS, struct.pack("=i", bands) + priomap)
    links.request(NEWQDISC, CREATE | 0x100, tc(index, 1 << 16, TC_ROOT, 0, text(KIND, "prio"), prio), "prio")
    found: dict[str, int] = {}
    for position, mac in enumerate(sources, start=1):
        classid = 1 << 16 | position
        match = (attribute(FLOWER_ETH_SRC, mac_bytes(mac)), attribute(FLOWER_ETH_SRC_MASK, b"\xff" * 6))
        options = nested(OPTIONS, number(FLOWER_CLASSID, classid), *match)
        info = 10 << 16 | socket.htons(0x0003)  # ETH_P_ALL
        links.request(NEWFILTER, CREATE, tc(index, 0, 1 << 16, info, text(KIND, "flower"), options), f"class of {mac}")
        found[mac] = classid
    return found
