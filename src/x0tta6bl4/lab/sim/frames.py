"""Frames through the mesh: at every hop the route of that moment, the link's loss and delay, the receiver's MTU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from x0tta6bl4.lab.sim.routing import TTL, Routing
from x0tta6bl4.lab.sim.state import Hop, Node

OVERHEAD_BYTES = 14 + 28 + 10  # the client's Ethernet header, IP and UDP, batadv_unicast_packet
FRAGMENT_MAX_BYTES = 1280  # BATADV_FRAG_MAX_FRAG_SIZE
IP_MTU_BYTES = 1500

Sink = Callable[[Node, Any], None]
Frame = tuple[int, int, int, int, Sink, Any, int]  # source, destination, bytes, ttl, sink, data, number


class Forwarding:
    """Carries frames; `delivered` counts, and a frame that arrives twice is an error of the simulator."""

    def __init__(self, routing: Routing, *, checks: bool) -> None:
        self.routing, self.world = routing, routing.world
        self.delivered = 0
        self._numbers = 0
        self._seen: set[int] | None = set() if checks else None

    def send(self, source: Node, target: Node, payload_bytes: int, sink: Sink, data: Any) -> None:
        """Send a UDP payload from bat0 to bat0; `sink(target, data)` is called when and if it arrives."""
        if not source.alive or self.world.now < max(target.tt_at, source.knows_at):
            return  # the source does not know (yet) behind which originator the client is
        self._numbers += 1
        size = payload_bytes + OVERHEAD_BYTES
        self._route(source, (source.idx, target.idx, size, TTL, sink, data, self._numbers))

    def _route(self, node: Node, frame: Frame) -> None:
        """batadv_route_unicast_packet."""
        source, target, size, ttl, sink, data, number = frame
        if node.idx == target:
            if node.receives:
                self._deliver(node, sink, data, number)
            return
        world = self.world
        table = node.tables[target]
        if table.router is None or table.gen != world.nodes[target].gen or ttl <= 1:
            return
        if table.stuck and node.idx != source:
            return  # it has a way of its own, and none for others
        hop = table.router.link.rev
        if not hop.src.active:
            return  # batadv_send_skb_packet on an inactive interface
        pieces, widest = _fragments(size, hop)
        if widest > hop.dst.mtu:
            return  # longer than the receiver's MTU: dropped without a word
        delay = 0.0
        for piece in range(pieces):
            one = world.cross(hop, hop.key_mesh, (source << 40) ^ (target << 28) ^ (size << 8) ^ piece)
            if one < 0:
                return
            delay = max(delay, one)
        world.at(world.now + delay, self._arrive, (hop, (source, target, size, ttl - 1, sink, data, number)))

    def _arrive(self, argument: tuple[Hop, Frame]) -> None:
        hop, frame = argument
        if self.routing.accepts(hop):
            self._route(hop.dst.node, frame)

    def _deliver(self, node: Node, sink: Sink, data: Any, number: int) -> None:
        if self._seen is not None:
            if number in self._seen:
                raise AssertionError(f"frame {number} delivered twice at {node.name}")
            self._seen.add(number)
            if len(self._seen) > 100_000:
                self._seen = {old for old in self._seen if old > self._numbers - 50_000}
        self.delivered += 1
        sink(node, data)


def _fragments(size: int, hop: Hop) -> tuple[int, int]:
    """How many packets a frame is on a link, and the longest: IP splits at 1500, batadv at the sender's MTU."""
    whole = IP_MTU_BYTES + OVERHEAD_BYTES - 28
    if size <= whole and size <= hop.src.mtu:
        return 1, size
    longest = whole if hop.src.mtu >= whole else min(hop.src.mtu, FRAGMENT_MAX_BYTES)
    return -(-size // longest), min(size, longest)
