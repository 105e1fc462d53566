"""What BATMAN_IV and BATMAN_V share: timers, the life of interfaces, purging, the primary interface.

The functions named in comments are those of net/batman-adv of Linux 6.1, whose rules they follow.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from x0tta6bl4.lab.sim.noise import unit_at
from x0tta6bl4.lab.sim.state import Entry, Hop, Iface, Node
from x0tta6bl4.lab.sim.world import World

TTL = 50  # BATADV_TTL
JITTER_S = 0.02  # BATADV_JITTER
HOLD_S = 0.1  # BATADV_MAX_AGGREGATION_MS
PURGE_S = 1.0  # BATADV_ORIG_WORK_PERIOD
PURGE_TIMEOUT_S = 200.0  # BATADV_PURGE_TIMEOUT
HOP_PENALTY = 30
CLIENTS_KNOWN_S = (5.4, 6.6)
"""How long others need to learn a node's clients under its new originator address (measured, see routing.promote)."""
RELEARN_S = (3.6, 4.2)
"""How long a node that lost every route needs to learn the clients of others again (measured): its first question goes
out before the route is back, and the next only after BATADV_TT_REQUEST_TIMEOUT, 3 s."""


class Routing(ABC):
    """The protocol of the whole mesh: `start` it once; the lab and the kernels tell it what changed."""

    algorithm: ClassVar[str]

    def __init__(self, world: World) -> None:
        self.world = world

    def start(self) -> None:
        """Start the timers of all nodes and interfaces, each at its own phase, on a mesh that has long been up."""
        world = self.world
        for node in world.nodes:
            self.configure(node)
            self.warm(node)
            interval = self.interval(node)
            world.at(world.now + unit_at(node.key ^ 1, 0.0) * interval, self.originate, node)
            world.at(world.now + unit_at(node.key ^ 2, 0.0) * PURGE_S, self.purge_work, node)
            for iface in node.ifaces:
                if not iface.dummy:
                    world.at(world.now + unit_at(iface.key ^ 1, 0.0) * self.link_period(iface), self.probe, iface)

    def configure(self, node: Node) -> None:
        """The declared configuration: what a boot leaves behind."""
        scenario = self.world.scenario
        node.options = {
            "orig_interval_ms": scenario.orig_interval_ms,
            "hop_penalty": HOP_PENALTY,
            "gw_mode": "off",
            "bridge_loop_avoidance": 0,
        }
        node.ifaces = [iface for iface in node.ifaces if iface.idx >= 0]  # a stand-in does not survive a boot
        node.attached = list(node.ifaces)
        for iface in node.ifaces:
            iface.mtu, iface.admin, iface.attached = iface.mtu_declared, True, True
            iface.hop_penalty = iface.override_kbit = 0
            iface.blocked.clear()
            iface.active = iface.up
        node.primary = node.attached[0] if node.attached else None

    @staticmethod
    def interval(node: Node) -> float:
        """The originator interval in seconds."""
        return float(node.options["orig_interval_ms"]) / 1000

    def jittered(self, node: Node, interval: float) -> float:
        """When the next OGM is due (batadv_iv_ogm_emit_send_time, batadv_v_ogm_start_timer)."""
        return self.world.now + interval - JITTER_S + 2 * JITTER_S * unit_at(node.key ^ 3, self.world.now)

    def hold(self, key: int) -> float:
        """How long a rebroadcast waits for others to be aggregated with."""
        return 0.005 + unit_at(key ^ 4, self.world.now) * HOLD_S

    def accepts(self, hop: Hop) -> bool:
        """Does the receiver take a mesh packet from this link (batadv_batman_skb_recv, and the lab's block)?"""
        dst = hop.dst
        return dst.active and not (dst.blocked and hop.src.mac in dst.blocked)

    def refresh(self, iface: Iface) -> None:
        """Its administrative state, carrier or attachment changed (batadv_hardif_activate/deactivate_interface)."""
        node = iface.node
        active = iface.attached and iface.up
        if active == iface.active:
            return
        iface.active = active
        if active and node.primary is None:
            self.promote(node, iface)  # else: the purge work takes the routes of an inactive one within a second

    def attach(self, iface: Iface) -> None:
        """batadv_hardif_enable_interface: last in the order, with a random sequence number."""
        if iface.attached:
            return
        iface.attached = True
        iface.node.attached.append(iface)
        iface.epoch += 1
        self.refresh(iface)

    def detach(self, iface: Iface) -> None:
        """batadv_hardif_disable_interface: routes through it go at once, another interface may become primary."""
        if not iface.attached:
            return
        node = iface.node
        iface.attached = iface.active = False
        node.attached.remove(iface)
        if node.primary is iface:
            self.promote(node, next((other for other in node.attached if other.active), None))
        self.purge(node)

    def stand_in(self, dead: Iface) -> None:
        """A dummy with the MAC of `dead` is primary in its stead: the originator address stays.

        The other interfaces are off for that moment: what goes through them is purged, and learned anew.
        """
        node = dead.node
        if node.primary is not dead:
            return
        dummy = Iface(-1, node, f"x0t-primary{dead.index}", dead.mac, dead.mtu, dummy=True, radio=False)
        dummy.index, dummy.key = 100 + dead.index, dead.key ^ 1
        node.ifaces.append(dummy)
        node.attached.insert(0, dummy)
        node.primary = dummy
        self.detach(dead)
        for hop in (hop for iface in node.attached for hop in iface.inn):
            self.forget(hop)
        for table in node.tables:
            table.entries.clear()
            table.router, table.stuck = None, False
        low, high = RELEARN_S
        node.knows_at = self.world.now + low + (high - low) * unit_at(node.key ^ 6, self.world.now)

    def stand_back(self, dead: Iface) -> None:
        """The dummy is removed; `dead`, attached again, is primary as before."""
        node = dead.node
        dummy = next((one for one in node.ifaces if one.name == f"x0t-primary{dead.index}"), None)
        if dummy is None:
            return
        self.attach(dead)
        node.primary = dead
        node.attached.remove(dummy)
        node.ifaces.remove(dummy)

    def promote(self, node: Node, iface: Iface | None) -> None:
        """batadv_primary_if_select: the node is a new originator, and others must learn its clients anew."""
        node.primary = iface
        node.gen += 1
        low, high = CLIENTS_KNOWN_S
        node.tt_at = self.world.now + low + (high - low) * unit_at(node.key ^ 5, self.world.now)

    def power_off(self, node: Node) -> None:
        """The node is gone without a word."""
        node.alive = False
        for iface in node.ifaces:
            iface.active = False

    def boot(self, node: Node) -> None:
        """The node is back with its declared configuration and empty tables."""
        node.alive = True
        node.boots += 1
        node.gen += 1
        self.configure(node)
        for table in node.tables:
            table.reset(0)
        for iface in node.ifaces:
            iface.epoch += 1
            for hop in iface.inn:
                self.forget(hop)

    def purge_work(self, node: Node) -> None:
        """batadv_purge_orig: once a second."""
        self.world.at(self.world.now + PURGE_S, self.purge_work, node)
        if node.alive:
            self.purge(node)

    def purge(self, node: Node) -> None:
        """batadv_purge_orig_neighbors: drop what goes through inactive interfaces, take the best of what remains."""
        for iface in node.ifaces:
            if not iface.active:
                for hop in iface.inn:
                    self.forget(hop)
        oldest = self.world.now - PURGE_TIMEOUT_S
        for table in node.tables:
            gone = [idx for idx, entry in table.entries.items() if not entry.link.dst.active or entry.seen < oldest]
            if gone:
                for idx in gone:
                    del table.entries[idx]
                table.router = self.best(table.entries)

    @staticmethod
    def best(entries: Mapping[int, Entry]) -> Entry | None:
        """batadv_find_best_neighbor: the first of the best."""
        best: Entry | None = None
        for entry in entries.values():
            if best is None or entry.metric > best.metric:
                best = entry
        return best

    @abstractmethod
    def originate(self, node: Node) -> None:
        """Send an OGM of the node and schedule the next."""

    @abstractmethod
    def probe(self, iface: Iface) -> None:
        """Send what measures the links of one interface and schedule the next."""

    @abstractmethod
    def link_period(self, iface: Iface) -> float:
        """Seconds between two `probe`s."""

    @abstractmethod
    def warm(self, node: Node) -> None:
        """Give the links into the node the state they have after long operation."""

    @abstractmethod
    def forget(self, hop: Hop) -> None:
        """Clear what the receiver measured on a link."""
