"""BATMAN_IV: OGMs flood the mesh, each link's quality is counted over the last 64 of them.

Follows net/batman-adv/bat_iv_ogm.c of Linux 6.1. Tables are kept for the default interface only: without
half-duplex penalties those for each outgoing interface hold the same. Aggregation is a delay, not a shared loss.
"""

from __future__ import annotations

from typing import ClassVar

from x0tta6bl4.lab.sim.noise import unit_at
from x0tta6bl4.lab.sim.routing import TTL, Routing
from x0tta6bl4.lab.sim.state import TT_MAX, WINDOW, WINDOW_MASK, Entry, Hop, Iface, Node, Table

RESET_PROTECTION_S = 30.0  # BATADV_RESET_PROTECTION_MS
_ASYMMETRY = [TT_MAX - TT_MAX * (WINDOW - heard) ** 3 // WINDOW**3 for heard in range(WINDOW + 1)]
_CUBE = TT_MAX**3

Ogm = tuple[Hop, int, int, int, int, int, "Iface | None"]  # link, originator, its gen, seq, tq, ttl, prev_sender


class BatmanIV(Routing):
    """Transmit quality (TQ) routing."""

    algorithm: ClassVar[str] = "BATMAN_IV"

    def link_period(self, iface: Iface) -> float:
        """Each interface sends an OGM of its own every originator interval."""
        return self.interval(iface.node)

    def warm(self, node: Node) -> None:
        """Full windows, with the gaps that the link's own loss leaves."""
        for iface in node.ifaces:
            for hop in iface.inn:
                both = 1 - (1 - hop.base_loss) * (1 - hop.rev.base_loss)
                for bit in range(WINDOW):
                    hop.rq |= (unit_at(hop.key_ogm, -1.0 - bit) >= hop.base_loss) << bit
                    hop.eq |= (unit_at(hop.key_echo, -1.0 - bit) >= both) << bit
                hop.epoch, hop.rq_seq, hop.seen = hop.src.epoch, hop.src.seq, self.world.now
                _judge(hop)

    def forget(self, hop: Hop) -> None:
        """The neighbour entry is gone: both windows start empty."""
        hop.rq = hop.eq = hop.quality = hop.tq = 0
        hop.epoch = -1

    def probe(self, iface: Iface) -> None:
        """batadv_iv_ogm_schedule_buff of one interface: its OGM goes one hop and comes back as an echo."""
        world, node = self.world, iface.node
        world.at(self.jittered_link(iface), self.probe, iface)
        if not (node.alive and iface.attached):
            return
        iface.seq += 1
        for hop in iface.inn:  # batadv_iv_ogm_slide_own_bcast_window
            if hop.eq:
                hop.eq = hop.eq << 1 & WINDOW_MASK
                _judge(hop)
        if not iface.active:
            return  # batadv_iv_ogm_emit: nothing of an inactive interface is sent, but its number goes on
        for hop in iface.out:
            delay = world.cross(hop, hop.key_ogm)
            if delay >= 0:
                world.at(world.now + delay, self._heard, (hop, iface.seq, iface.epoch))

    def jittered_link(self, iface: Iface) -> float:
        """When the next OGM of one interface is due."""
        now = self.world.now
        return now + self.interval(iface.node) - 0.02 + 0.04 * unit_at(iface.key ^ 3, now)

    def _heard(self, argument: tuple[Hop, int, int]) -> None:
        """batadv_iv_ogm_update_seqnos for a neighbour's own OGM, then its rebroadcast as an echo."""
        hop, seq, epoch = argument
        if not self.accepts(hop):
            return
        now = self.world.now
        if epoch != hop.epoch:  # batadv_window_protected: a jump in numbers is believed once in 30 s
            if now - hop.reset_at < RESET_PROTECTION_S:
                return
            hop.epoch, hop.reset_at, hop.rq, hop.rq_seq = epoch, now, 1, seq
        else:
            ahead = seq - hop.rq_seq
            if ahead > 0:
                hop.rq = (hop.rq << ahead | 1) & WINDOW_MASK if ahead < WINDOW else 1
                hop.rq_seq = seq
            elif ahead > -WINDOW:
                hop.rq |= 1 << -ahead
        hop.seen = now
        _judge(hop)
        self.world.at(now + self.hold(hop.key_echo), self._rebroadcast, argument)

    def _rebroadcast(self, argument: tuple[Hop, int, int]) -> None:
        hop = argument[0]
        if hop.dst.active:
            delay = self.world.cross(hop.rev, hop.rev.key_echo)
            if delay >= 0:
                self.world.at(self.world.now + delay, self._echoed, argument)

    def _echoed(self, argument: tuple[Hop, int, int]) -> None:
        """batadv_iv_ogm_process_reply: the neighbour hears us."""
        hop, seq, epoch = argument
        own = hop.src
        behind = own.seq - seq
        if self.accepts(hop.rev) and own.epoch == epoch and behind < WINDOW:
            hop.rev.eq |= 1 << behind
            _judge(hop.rev)

    def originate(self, node: Node) -> None:
        """The primary interface's OGM goes out on all interfaces."""
        self.world.at(self.jittered(node, self.interval(node)), self.originate, node)
        if node.receives:  # batadv_iv_ogm_emit sends nothing for an inactive primary interface
            node.seq += 1
            self._flood((node, node.boots, node.idx, node.gen, node.seq, TT_MAX, TTL, None))

    def _flood(self, argument: tuple[Node, int, int, int, int, int, int, Iface | None]) -> None:
        """batadv_iv_ogm_send_to_if on every active interface; whoever would drop it as its own is left out."""
        node, boots, orig, gen, seq, tq, ttl, prev = argument
        if not node.alive or node.boots != boots:
            return
        world = self.world
        skip = -1 if prev is None else prev.node.idx
        for iface in node.attached:
            if iface.active:
                for hop in iface.out:
                    there = hop.dst.node.idx
                    if there not in (orig, skip):
                        delay = world.cross(hop, hop.key_ogm, orig + 1 << 20)
                        if delay >= 0:
                            world.at(world.now + delay, self._receive, (hop, orig, gen, seq, tq, ttl, prev))

    def _receive(self, ogm: Ogm) -> None:
        """batadv_iv_ogm_process_per_outif."""
        hop, orig, gen, seq, tq, ttl, prev = ogm
        if not self.accepts(hop):
            return
        node = hop.dst.node
        table = node.tables[orig]
        if gen != table.gen:
            if gen < table.gen:
                return
            table.reset(gen)
        entry = table.entries.get(hop.idx)
        duplicate = _mark(table, entry, seq)
        if duplicate < 0:
            return
        router = table.router
        from_best = router is not None and router is entry and router.metric != 0
        if router is not None and prev is router.link.src and self._direct(router.link):
            return  # a rebroadcast that may make us loop
        tq = tq * hop.quality * (TT_MAX - hop.dst.hop_penalty) // _CUBE  # batadv_iv_ogm_calc_tq
        if tq < 1:
            return  # not bidirectional
        if duplicate == 0 or (seq == table.seq and table.ttl - 3 <= ttl):
            self._update(table, entry, ogm, tq, new=duplicate == 0)
        if from_best and duplicate < 2 and ttl > 1:  # batadv_iv_ogm_forward
            tq = tq * (TT_MAX - int(node.options["hop_penalty"])) // TT_MAX
            when = self.world.now + self.hold(hop.key_ogm)
            self.world.at(when, self._flood, (node, node.boots, orig, gen, seq, tq, ttl - 1, hop.src))

    def _direct(self, hop: Hop) -> bool:
        """Is the route to the neighbour's own interface the direct one? It is left after five silent intervals."""
        return self.world.now - hop.seen < 5 * self.interval(hop.src.node)

    def _update(self, table: Table, entry: Entry | None, ogm: Ogm, tq: int, *, new: bool) -> None:
        """batadv_iv_ogm_orig_update: a new number counts as zero for everyone else until they bring it too."""
        hop, ttl = ogm[0], ogm[5]
        if new:
            for other in table.entries.values():
                if other is not entry:
                    _push(other, 0)
            table.ttl = ttl
        if entry is None:
            entry = table.entries[hop.idx] = Entry(hop)
            entry.bits = 1
        entry.seen = self.world.now
        entry.seq = table.seq
        _push(entry, tq)
        router = table.router
        if router is entry:
            return
        if router is not None:
            if router.metric > entry.metric:
                return
            if router.metric == entry.metric and router.link.eq.bit_count() >= hop.eq.bit_count():
                return
        table.router = entry


def _judge(hop: Hop) -> None:
    """The part of batadv_iv_ogm_calc_tq that is the link's own: echoes per reception, and the asymmetry penalty."""
    heard = hop.rq.bit_count()
    total = min(hop.eq.bit_count(), heard)
    own = TT_MAX * total // heard if total else 0
    hop.quality = own * _ASYMMETRY[heard]
    hop.tq = hop.quality // TT_MAX


def _mark(table: Table, entry: Entry | None, seq: int) -> int:
    """batadv_iv_ogm_update_seqnos: 0 is new, 1 came from another neighbour, 2 from this one; -1 is too old."""
    ahead = seq - table.seq
    if ahead > 0:
        for other in table.entries.values():
            other.bits = other.bits << ahead & WINDOW_MASK
        table.seq = seq
        if entry is not None:
            entry.bits |= 1
        return 0
    if ahead <= -WINDOW:
        return -1
    bit = 1 << -ahead
    duplicate = 0
    for other in table.entries.values():
        if other.bits & bit:
            duplicate = 2 if other is entry else max(duplicate, 1)
    if entry is not None:
        entry.bits |= bit
    return duplicate


def _push(entry: Entry, value: int) -> None:
    """batadv_ring_buffer_set and _avg: the mean of the last five that are not zero."""
    ring = entry.ring
    ring[entry.at] = value
    entry.at = (entry.at + 1) % 5
    filled = 5 - ring.count(0)
    entry.metric = sum(ring) // filled if filled else 0
