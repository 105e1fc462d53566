"""BATMAN_V: the route with the greatest throughput; on veth neither loss nor delay changes what it sees.

Follows net/batman-adv/bat_v_elp.c and bat_v_ogm.c of Linux 6.1, in units of 100 kbit/s. As in batman_iv, one table
for each originator stands for those of every outgoing interface; where these come to differ for good, it is `stuck`.
"""

from __future__ import annotations

from typing import ClassVar

from x0tta6bl4.lab.sim.noise import unit_at
from x0tta6bl4.lab.sim.routing import HOLD_S, TTL, Routing
from x0tta6bl4.lab.sim.state import TT_MAX, Entry, Hop, Iface, Node

ELP_S = 0.5  # elp_interval
VETH = 100_000.0  # 10 Gbit/s: what ethtool says of a veth
UNLIMITED = float(0xFFFFFFFF)  # BATADV_THROUGHPUT_MAX_VALUE
EWMA_WEIGHT = 8  # DECLARE_EWMA(throughput, 10, 8)
SEQNO_LEAD = 5  # BATADV_OGM_MAX_ORIGDIFF
SEQNO_AGE = 64  # BATADV_OGM_MAX_AGE

Body = tuple[int, int, int, float, int]  # originator, its gen, seq, throughput, ttl
Ogm2 = tuple[Hop, int, int, int, float, int]  # link, originator, its gen, seq, throughput, ttl


class BatmanV(Routing):
    """Throughput routing."""

    algorithm: ClassVar[str] = "BATMAN_V"

    def link_period(self, iface: Iface) -> float:
        """ELP has an interval of its own."""
        return ELP_S

    def warm(self, node: Node) -> None:
        """All neighbours known, at the speed of their interface."""
        for iface in node.ifaces:
            for hop in iface.inn:
                hop.known, hop.throughput, hop.seen = True, VETH, self.world.now

    def forget(self, hop: Hop) -> None:
        """The neighbour is unknown until its next ELP packet."""
        hop.known = False
        hop.throughput = 0.0

    def detach(self, iface: Iface) -> None:
        """Afterwards a node with several other links forwards between them no more (docs/adr/0003-remedies.md, 5).

        batadv_find_best_neighbor, asked for an interface whose only neighbour it is, may choose a neighbour for which
        nothing was ever measured there; batadv_v_ogm_route_update keeps such a choice until its interface leaves.
        """
        if not iface.attached:
            return
        tables = iface.node.tables
        for table in tables:
            if table.router is not None and table.router.link.dst is iface:
                table.stuck = False
        super().detach(iface)
        others = [one for one in iface.node.attached if one.active and len(one.out) == 1]
        if len(others) > 1:
            for table in tables:
                table.stuck |= bool(table.entries)  # in the kernel every neighbour offers a way to everyone

    def probe(self, iface: Iface) -> None:
        """batadv_v_elp_periodic_work: say hello, and update the throughput of this interface's neighbours."""
        world = self.world
        world.at(world.now + ELP_S - 0.02 + 0.04 * unit_at(iface.key ^ 3, world.now), self.probe, iface)
        if not iface.active:
            return
        speed = iface.override_kbit / 100 if iface.override_kbit else VETH
        for hop in iface.inn:  # batadv_v_elp_throughput_metric_update
            if hop.known:
                hop.throughput += (speed - hop.throughput) / EWMA_WEIGHT
        for hop in iface.out:
            if self.accepts(hop) and world.cross(hop, hop.key_echo) >= 0:
                peer = hop.dst
                hop.seen = world.now
                if not hop.known:
                    hop.known = True
                    hop.throughput = peer.override_kbit / 100 if peer.override_kbit else VETH

    def originate(self, node: Node) -> None:
        """batadv_v_ogm_send_softif."""
        self.world.at(self.jittered(node, self.interval(node)), self.originate, node)
        if node.receives:
            node.seq += 1
            for iface in node.attached:
                if iface.active:
                    self._transmit(iface, (node.idx, node.gen, node.seq, UNLIMITED, TTL))

    def _transmit(self, iface: Iface, body: Body, skip: int = -1) -> None:
        """batadv_v_ogm_queue_on_if; whoever would drop it as its own is left out."""
        world, orig = self.world, body[0]
        for hop in iface.out:
            there = hop.dst.node.idx
            if there not in (orig, skip):
                delay = world.cross(hop, hop.key_ogm, orig + 1 << 20)
                if delay >= 0:
                    world.at(world.now + delay, self._receive, (hop, *body))

    def _receive(self, ogm: Ogm2) -> None:
        """batadv_v_ogm_process and batadv_v_ogm_process_per_outif."""
        hop, orig, gen, seq, throughput, ttl = ogm
        if not self.accepts(hop) or not hop.known:
            return  # "OGM via unknown neighbor"
        node = hop.dst.node
        table = node.tables[orig]
        if gen != table.gen:
            if gen < table.gen:
                return
            table.reset(gen)
        if seq < table.seq:  # batadv_v_ogm_metric_update
            return
        table.seq, table.ttl = seq, ttl
        entry = table.entries.get(hop.idx)
        if entry is None:
            entry = table.entries[hop.idx] = Entry(hop)
        path = min(throughput, hop.throughput) * (TT_MAX - hop.dst.hop_penalty) // TT_MAX  # batadv_v_forward_penalty
        entry.metric, entry.seq, entry.seen = path, seq, self.world.now
        router = table.router  # batadv_v_ogm_route_update
        if router is not entry and (
            router is None or entry.seq - router.seq >= SEQNO_LEAD or router.metric < entry.metric
        ):
            table.router = entry
        if table.router is entry and table.forwarded != seq and ttl > 1 and path > 0 and not table.stuck:
            table.forwarded = seq  # batadv_v_ogm_forward: only what came from the best next hop, once
            onward = path * (TT_MAX - int(node.options["hop_penalty"])) // TT_MAX
            when = self.world.now + unit_at(hop.key_ogm ^ 4, self.world.now) * HOLD_S
            self.world.at(when, self._forward, (node, node.boots, hop.src.node.idx, (orig, gen, seq, onward, ttl - 1)))

    def _forward(self, argument: tuple[Node, int, int, Body]) -> None:
        node, boots, came_from, body = argument
        if node.alive and node.boots == boots:
            for iface in node.attached:
                if iface.active:
                    self._transmit(iface, body, came_from)
