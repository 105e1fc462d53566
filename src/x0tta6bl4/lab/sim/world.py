"""Virtual time and the medium: an event heap, and what happens to a packet on one directed link."""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from x0tta6bl4.lab.scenarios import Scenario
from x0tta6bl4.lab.sim.noise import MASK, bits_at, key, unit_at
from x0tta6bl4.lab.sim.state import Hop, Iface, Node, Table

READ_S = 0.06
"""What a change of the kernel needs to reach the agent: announcement plus the table dumps it makes necessary (as
measured in a guest: interfaces and neighbours 20 ms, originators 60 ms). Reads themselves return the present state."""

_FULL = 1 << 53
DAY_S = 86_400.0
UTC_START = 1_700_000_000.0  # the simulated wall clock at the start of measuring, where nobody says another
BURST_MIN_S = 0.03


class World:
    """Nodes, links, the clock and the heap of events; events of the same instant run in order of scheduling."""

    def __init__(self, scenario: Scenario, seed: int, utc_start: float = UTC_START) -> None:
        self.scenario, self.seed, self.utc_start = scenario, seed, utc_start
        self.now = 0.0
        self.trace = 0  # running hash of the history
        self.count = 0  # events scheduled so far; breaks ties
        self.heap: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self.jitter_scale = 1.0
        self.nodes: list[Node] = []
        self.hops: list[Hop] = []
        self.by_name: dict[str, Node] = {}
        background = scenario.background
        self.jitter = background.jitter_ms / 1000
        self.burst_slot_s = 3600 / background.bursts_per_hour if background.bursts_per_hour else math.inf
        self.burst_s = background.burst_ms / 1000
        self._build()

    def at(self, when: float, call: Callable[[Any], None], argument: Any) -> None:
        """Run `call(argument)` at `when`."""
        self.count += 1
        heappush(self.heap, (when, self.count, call, argument))

    def run_until(self, end: float) -> None:
        """Run all events up to and including `end`, then set the clock to it."""
        heap = self.heap
        while heap and heap[0][0] <= end:
            when, number, call, argument = heappop(heap)
            if when < self.now:
                raise AssertionError(f"time went back from {self.now} to {when}")
            self.now = when
            self.trace = (self.trace * 0x100000001B3 ^ int(when * 1e9) ^ number) & MASK
            call(argument)
        self.now = max(self.now, end)

    def cross(self, hop: Hop, purpose: int, salt: int = 0) -> float:
        """What happens to a packet that is put on the link now: its delay in seconds, or -1 where it is lost.

        salt tells packets apart that leave at the same instant for the same purpose.
        """
        if hop.dead:
            return -1.0
        now = self.now
        bits = bits_at(purpose ^ salt, now)
        if bits >> 11 < hop.threshold:
            return -1.0
        if self.burst_s and self._in_burst(hop, now):
            return -1.0
        return hop.delay + (bits & 2047) * (self.jitter * self.jitter_scale / 2048)

    def _in_burst(self, hop: Hop, now: float) -> bool:
        """Is the link in one of its background bursts? Each slot of time holds one, at a hashed time."""
        slot = int(now // self.burst_slot_s)
        if slot != hop.burst_slot:
            hop.burst_slot = slot
            width = self.burst_slot_s if self.burst_slot_s < math.inf else DAY_S
            hop.burst_start = slot * width + unit_at(hop.key_burst ^ 1, slot) * (width - self.burst_s)
            longest = max(0.0, self.burst_s - BURST_MIN_S)
            length = min(self.burst_s, BURST_MIN_S + unit_at(hop.key_burst ^ 2, slot) * longest)
            hop.burst_end = hop.burst_start + (length if self.burst_slot_s < math.inf else 0.0)
        return hop.burst_start <= now < hop.burst_end

    def retune(self, hop: Hop) -> None:
        """Recompute loss and delay of a link after a fault began or ended on it."""
        passes = 1.0 - hop.base_loss
        for loss in hop.losses.values():
            passes *= 1.0 - loss
        hop.threshold = round((1.0 - passes) * _FULL)
        hop.delay = hop.base_delay + sum(hop.delays.values())

    def announce(self, node: Node) -> None:
        """The node's kernel tells of a change."""
        node.changes.append(self.now + READ_S)

    def day(self, _: object = None) -> None:
        """Once a second: the daily load moves the jitter."""
        swing = self.scenario.background.daily_load
        self.jitter_scale = 1.0 + swing * math.sin(2 * math.pi * (self.now / DAY_S))
        self.at(self.now + 1.0, self.day, None)

    def _build(self) -> None:
        topology, seed = self.scenario.topology, self.seed
        ifaces: dict[tuple[str, str], Iface] = {}
        for idx, spec in enumerate(topology.nodes):
            node = Node(idx, spec.name, spec.address)
            node.key = key(seed, "node", spec.name)
            node.tables = [Table() for _ in topology.nodes]
            for number, port in enumerate(spec.interfaces):
                iface = Iface(len(ifaces), node, port.name, port.mac, port.mtu, dummy=port.dummy, radio=port.radio)
                iface.index = number + 2  # lo is 1
                iface.key = key(seed, "iface", spec.name, port.name)
                node.ifaces.append(iface)
                ifaces[spec.name, port.name] = iface
            self.nodes.append(node)
            self.by_name[spec.name] = node
        for link in topology.links:
            a, b = ifaces[link.node_a, link.interface_a], ifaces[link.node_b, link.interface_b]
            there, back = self._hop(link.name, a, b), self._hop(link.name, b, a)
            there.rev, back.rev = back, there
            for hop in (there, back):
                hop.base_delay = link.delay_ms / 1000
                hop.base_loss = 1 - (1 - link.loss_ratio) * (1 - self._background(hop))
                self.retune(hop)

    def _hop(self, name: str, src: Iface, dst: Iface) -> Hop:
        hop = Hop(len(self.hops), name, src, dst)
        who = (self.seed, src.node.name, src.name, dst.node.name, dst.name)
        hop.key_ogm, hop.key_echo, hop.key_mesh = key(*who, "ogm"), key(*who, "echo"), key(*who, "mesh")
        hop.key_beside, hop.key_burst = key(*who, "beside"), key(*who, "burst")
        src.out.append(hop)
        dst.inn.append(hop)
        self.hops.append(hop)
        return hop

    def _background(self, hop: Hop) -> float:
        low, high = self.scenario.background.loss_ratio
        return low + (high - low) * unit_at(hop.key_burst ^ 3, 0.0)
