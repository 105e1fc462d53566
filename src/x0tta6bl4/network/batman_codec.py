"""The messages of the generic netlink family `batadv` (<linux/batman_adv.h>), kernels 5.x and 6.x.

Pure: `decode_*` turn one answer's bytes into values and raise ProtocolError on anything malformed, `encode` makes a
request. `batman.Batadv` sends and receives them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

from x0tta6bl4.errors import ConfigError, ProtocolError
from x0tta6bl4.network.kernel import Mesh, Neighbour, Originator
from x0tta6bl4.network.netlink import (
    as_mac,
    as_number,
    as_text,
    attributes,
    number,
)

FAMILY: Final = "batadv"
CONFIG_GROUP: Final = "config"
OVERRIDE_UNIT_KBIT: Final = 100  # the kernel keeps throughput_override in units of 100 kbit/s
GW_MODES: Final = ("off", "client", "server")


class Command(IntEnum):
    """enum batadv_nl_commands."""

    GET_MESH = 1
    GET_HARDIF = 5
    GET_TRANSTABLE_LOCAL = 6
    GET_TRANSTABLE_GLOBAL = 7
    GET_ORIGINATORS = 8
    GET_NEIGHBORS = 9
    GET_GATEWAYS = 10
    SET_MESH = 15
    SET_HARDIF = 16


class Attr(IntEnum):
    """enum batadv_nl_attrs: those this client reads or writes."""

    VERSION = 1
    ALGO_NAME = 2
    MESH_IFINDEX = 3
    MESH_IFNAME = 4
    MESH_ADDRESS = 5
    HARD_IFINDEX = 6
    HARD_IFNAME = 7
    HARD_ADDRESS = 8
    ORIG_ADDRESS = 9
    ACTIVE = 15
    TT_ADDRESS = 16
    TT_VID = 20
    TT_FLAGS = 21
    FLAG_BEST = 22
    LAST_SEEN_MSECS = 23
    NEIGH_ADDRESS = 24
    TQ = 25
    THROUGHPUT = 26
    BANDWIDTH_UP = 27
    BANDWIDTH_DOWN = 28
    ROUTER = 29
    BRIDGE_LOOP_AVOIDANCE_ENABLED = 46
    GW_MODE = 51
    HOP_PENALTY = 53
    ORIG_INTERVAL = 57
    ELP_INTERVAL = 58
    THROUGHPUT_OVERRIDE = 59


@dataclass(frozen=True, slots=True)
class HardInterface:
    """One hard interface as batman-adv has it. throughput_override_kbit: 0 measures (None: not BATMAN_V)."""

    name: str
    index: int
    mac: str
    active: bool
    hop_penalty: int | None = None
    throughput_override_kbit: int | None = None
    elp_interval_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """One translation table entry: `mac` is reached at `originator` ("" in the local table). vid: VLAN, -1 for none."""

    mac: str
    originator: str
    vid: int
    flags: int
    best: bool
    last_seen_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Gateway:
    """One announced gateway. router: MAC of the next hop towards it; rates in kbit/s."""

    originator: str
    router: str
    interface: str
    best: bool
    up_kbit: int
    down_kbit: int
    tq: int | None = None
    throughput_kbit: int | None = None


class Fields:
    """The attributes of one answer; a missing one that must be there is a ProtocolError naming it."""

    __slots__ = ("_values", "command")

    def __init__(self, payload: bytes) -> None:
        if len(payload) < 4:
            raise ProtocolError(f"batadv: an answer of {len(payload)} bytes")
        self.command = payload[0]
        self._values = attributes(payload, 4)

    def has(self, kind: Attr) -> bool:
        """Flags have no value: they are there or not."""
        return kind in self._values

    def mac(self, kind: Attr, default: str | None = None) -> str:
        """A MAC address."""
        value = self._values.get(kind)
        return as_mac(value) if value is not None else _needed(kind, default)

    def text(self, kind: Attr, default: str | None = None) -> str:
        """A name."""
        value = self._values.get(kind)
        return as_text(value) if value is not None else _needed(kind, default)

    def number(self, kind: Attr) -> int:
        """A number that must be there."""
        value = self._values.get(kind)
        return as_number(value) if value is not None else int(_needed(kind, None))

    def optional(self, kind: Attr) -> int | None:
        """A number, None where it is missing."""
        value = self._values.get(kind)
        return as_number(value) if value is not None else None


def _needed(kind: Attr, default: str | None) -> str:
    if default is None:
        raise ProtocolError(f"batadv: the answer lacks {kind.name}")
    return default


@lru_cache(maxsize=256)  # options seldom change
def decode_mesh(payload: bytes) -> Mesh:
    """The answer to GET_MESH (`bridged` is not known here: False). Raises ProtocolError."""
    fields = Fields(payload)
    mode = fields.optional(Attr.GW_MODE) or 0
    if mode >= len(GW_MODES):
        raise ProtocolError(f"batadv: gateway mode {mode}")
    return Mesh(
        name=fields.text(Attr.MESH_IFNAME),
        algorithm=fields.text(Attr.ALGO_NAME),
        originator=fields.mac(Attr.HARD_ADDRESS, ""),
        orig_interval_ms=fields.number(Attr.ORIG_INTERVAL),
        hop_penalty=fields.optional(Attr.HOP_PENALTY) or 0,
        gw_mode=GW_MODES[mode],
        bridge_loop_avoidance=bool(fields.optional(Attr.BRIDGE_LOOP_AVOIDANCE_ENABLED)),
        bridged=False,
        address=fields.mac(Attr.MESH_ADDRESS),
    )


@lru_cache(maxsize=256)
def decode_hardif(payload: bytes) -> HardInterface:
    """One answer to GET_HARDIF. Raises ProtocolError."""
    fields = Fields(payload)
    override = fields.optional(Attr.THROUGHPUT_OVERRIDE)
    return HardInterface(
        name=fields.text(Attr.HARD_IFNAME),
        index=fields.number(Attr.HARD_IFINDEX),
        mac=fields.mac(Attr.HARD_ADDRESS),
        active=fields.has(Attr.ACTIVE),
        hop_penalty=fields.optional(Attr.HOP_PENALTY),
        throughput_override_kbit=None if override is None else override * OVERRIDE_UNIT_KBIT,
        elp_interval_ms=fields.optional(Attr.ELP_INTERVAL),
    )


def _interface(fields: Fields, interfaces: Mapping[int, str]) -> str:
    """The interface's name: kernels before 5.19 give its index only."""
    if fields.has(Attr.HARD_IFNAME):
        return fields.text(Attr.HARD_IFNAME)
    return interfaces.get(fields.number(Attr.HARD_IFINDEX), "")


def decode_neighbour(payload: bytes, interfaces: Mapping[int, str]) -> Neighbour:
    """One answer to GET_NEIGHBORS; `interfaces`: index -> name. BATMAN_IV tells no TQ here. Raises ProtocolError."""
    fields = Fields(payload)
    return Neighbour(
        mac=fields.mac(Attr.NEIGH_ADDRESS),
        interface=_interface(fields, interfaces),
        last_seen_ms=fields.number(Attr.LAST_SEEN_MSECS),
        tq=fields.optional(Attr.TQ),
        throughput_kbit=fields.optional(Attr.THROUGHPUT),
    )


def decode_originator(payload: bytes, interfaces: Mapping[int, str]) -> Originator:
    """One answer to GET_ORIGINATORS. Raises ProtocolError."""
    fields = Fields(payload)
    return Originator(
        mac=fields.mac(Attr.ORIG_ADDRESS),
        next_hop=fields.mac(Attr.NEIGH_ADDRESS),
        interface=_interface(fields, interfaces),
        last_seen_ms=fields.number(Attr.LAST_SEEN_MSECS),
        best=fields.has(Attr.FLAG_BEST),
        tq=fields.optional(Attr.TQ),
        throughput_kbit=fields.optional(Attr.THROUGHPUT),
    )


def decode_client(payload: bytes) -> Client:
    """One answer to GET_TRANSTABLE_LOCAL or _GLOBAL. Raises ProtocolError."""
    fields = Fields(payload)
    vid = fields.optional(Attr.TT_VID)
    return Client(
        mac=fields.mac(Attr.TT_ADDRESS),
        originator=fields.mac(Attr.ORIG_ADDRESS, ""),
        vid=-1 if vid is None or not vid & 0x8000 else vid & 0xFFF,  # bit 15: BATADV_VLAN_HAS_TAG
        flags=fields.optional(Attr.TT_FLAGS) or 0,
        best=fields.has(Attr.FLAG_BEST),
        last_seen_ms=fields.optional(Attr.LAST_SEEN_MSECS),
    )


def decode_gateway(payload: bytes, interfaces: Mapping[int, str]) -> Gateway:
    """One answer to GET_GATEWAYS. Raises ProtocolError."""
    fields = Fields(payload)
    return Gateway(
        originator=fields.mac(Attr.ORIG_ADDRESS),
        router=fields.mac(Attr.ROUTER),
        interface=_interface(fields, interfaces),
        best=fields.has(Attr.FLAG_BEST),
        up_kbit=fields.number(Attr.BANDWIDTH_UP) * 100,
        down_kbit=fields.number(Attr.BANDWIDTH_DOWN) * 100,
        tq=fields.optional(Attr.TQ),
        throughput_kbit=fields.optional(Attr.THROUGHPUT),
    )


def decode_event(payload: bytes) -> tuple[Command | None, str]:
    """A config event: (what was set, on which interface). Raises ProtocolError."""
    fields = Fields(payload)
    try:
        command = Command(fields.command)
    except ValueError:
        command = None  # e.g. a VLAN's settings, of which this client knows nothing
    name = Attr.HARD_IFNAME if command is Command.SET_HARDIF else Attr.MESH_IFNAME  # SET_MESH names the primary too
    return command, fields.text(name, "")


def encode(command: Command, *parts: bytes) -> bytes:
    """The payload of a request: generic header and attributes."""
    return struct.pack("=BBH", command, 1, 0) + b"".join(parts)


# option -> (attribute, bytes, lowest, highest, unit)
_MESH_OPTIONS: Final[Mapping[str, tuple[Attr, int, int, int]]] = {
    "orig_interval_ms": (Attr.ORIG_INTERVAL, 4, 40, 2**31 - 1),  # JITTER * 2 is the kernel's minimum
    "hop_penalty": (Attr.HOP_PENALTY, 1, 0, 255),
    "bridge_loop_avoidance": (Attr.BRIDGE_LOOP_AVOIDANCE_ENABLED, 1, 0, 1),
}


def encode_mesh_option(option: str, value: int | str) -> bytes:
    """The attribute for one mesh option; raises ConfigError on an unknown option or a value out of range."""
    if option == "gw_mode":
        if value not in GW_MODES:
            raise ConfigError("mesh.gw_mode", value, " | ".join(GW_MODES))
        return number(Attr.GW_MODE, GW_MODES.index(str(value)), 1)
    if option not in _MESH_OPTIONS:
        raise ConfigError("mesh option", option, ", ".join([*_MESH_OPTIONS, "gw_mode"]))
    kind, size, low, high = _MESH_OPTIONS[option]
    if not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(f"mesh.{option}", value, f"a whole number {low}..{high}")
    return number(kind, int(value), size)


def encode_hardif_option(option: str, value: int) -> bytes:
    """The attribute for one hard-interface option; raises ConfigError on an unknown option or a bad value."""
    if option == "hop_penalty":
        if not 0 <= value <= 255:
            raise ConfigError("interface.hop_penalty", value, "a whole number 0..255")
        return number(Attr.HOP_PENALTY, value, 1)
    if option == "throughput_override_kbit":
        if not 0 <= value < 2**32 * OVERRIDE_UNIT_KBIT or value % OVERRIDE_UNIT_KBIT:
            raise ConfigError("interface.throughput_override_kbit", value, "kbit/s in steps of 100, 0 measures")
        return number(Attr.THROUGHPUT_OVERRIDE, value // OVERRIDE_UNIT_KBIT)
    raise ConfigError("interface option", option, "hop_penalty, throughput_override_kbit")
