"""What a node's kernel says and can be told about its mesh: one protocol, a real and a simulated implementation.

`network.linux.LinuxKernel` speaks netlink; `lab.sim` has a semantic fake. Everything above (sensors, actuators,
agent) is the same code over both. All calls are of one node and may block; MAC addresses are lower-case text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

MTU_MIN_BYTES = 1560  # batman-adv asks for 1500 + 60 on a hard interface, else it fragments full frames


@dataclass(frozen=True, slots=True)
class Interface:
    """One network interface that is, or is declared to be, a hard interface of the mesh.

    up: administratively up and with carrier. attached: enslaved to the mesh interface.
    active: batman-adv uses it (attached and up). primary: it gives the node its originator address.
    hop_penalty (0..255) and throughput_override_kbit (0 = measure) are None where it is not attached.
    """

    name: str
    index: int
    mac: str
    up: bool
    mtu: int
    attached: bool
    active: bool
    primary: bool
    dummy: bool = False  # a software interface that never loses carrier
    hop_penalty: int | None = None
    throughput_override_kbit: int | None = None
    blocked: frozenset[str] = frozenset()  # MACs of neighbours whose mesh packets are dropped on arrival


@dataclass(frozen=True, slots=True)
class Mesh:
    """Options of the mesh interface."""

    name: str
    algorithm: str  # "BATMAN_IV" or "BATMAN_V"
    originator: str  # MAC of the primary interface; "" where there is none
    orig_interval_ms: int
    hop_penalty: int
    gw_mode: str  # "off", "client", "server"
    bridge_loop_avoidance: bool
    bridged: bool  # the mesh interface is a port of a bridge
    address: str = ""  # MAC of the mesh interface itself (bat0)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One single-hop neighbour as batman-adv sees it. throughput_kbit is BATMAN_V's; tq (0..255) BATMAN_IV's."""

    mac: str
    interface: str
    last_seen_ms: int
    tq: int | None = None
    throughput_kbit: int | None = None


@dataclass(frozen=True, slots=True)
class Originator:
    """One way towards one originator: `best` marks the route in use."""

    mac: str
    next_hop: str  # MAC of a neighbour's interface
    interface: str
    last_seen_ms: int
    best: bool
    tq: int | None = None
    throughput_kbit: int | None = None


class Kernel(Protocol):
    """Reads and changes one node's mesh.

    Raises errors.Temporary or errors.Permanent where the kernel refuses, errors.NotSupported where it cannot,
    errors.ProtocolError where its answer is malformed. Setters are idempotent.
    """

    def boot_id(self) -> str:
        """Changes with every boot; "" where nobody can tell."""
        ...

    def mesh(self) -> Mesh:
        """Options of the mesh interface."""
        ...

    def interfaces(self) -> list[Interface]:
        """Attached interfaces, and declared ones that are not attached."""
        ...

    def neighbours(self) -> list[Neighbour]:
        """The neighbour table."""
        ...

    def originators(self) -> list[Originator]:
        """The originator table, alternatives included (slow on a large mesh)."""
        ...

    def changed(self) -> bool:
        """Did the kernel announce a change (link, mesh options) since the last question? Never blocks."""
        ...

    def attach(self, interface: str) -> None:
        """Make it a hard interface of the mesh."""
        ...

    def detach(self, interface: str) -> None:
        """Take it out of the mesh; it stays up and can carry probes."""
        ...

    def stand_in(self, interface: str, on: bool) -> None:
        """Take a primary interface out of the mesh and let a dummy with its MAC be primary in its stead (or back).

        The node keeps its originator address, so nobody has to learn it anew.
        """
        ...

    def set_up(self, interface: str, up: bool) -> None:
        """Administrative state."""
        ...

    def set_mtu(self, interface: str, mtu: int) -> None:
        """Hard-interface MTU in bytes."""
        ...

    def set_hardif(self, interface: str, option: str, value: int) -> None:
        """`hop_penalty` (0..255) or `throughput_override_kbit` (0 = off)."""
        ...

    def set_mesh(self, option: str, value: int | str) -> None:
        """`orig_interval_ms`, `hop_penalty`, `gw_mode`, `bridge_loop_avoidance`."""
        ...

    def block(self, interface: str, mac: str, on: bool) -> None:
        """Drop (or again accept) the mesh packets of one neighbour on one interface; other traffic passes."""
        ...

    def restart_service(self, name: str) -> None:
        """Restart a system service of this node."""
        ...
