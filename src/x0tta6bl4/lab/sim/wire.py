"""The datagrams of one simulated node: beside the mesh, through it, and to the controller; and the clocks.

A datagram beside the mesh is decided when it is sent (loss, delay, both ends up) and waits in the receiver's inbox
until its arrival, so that twenty hellos a second and link cost no events.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

from x0tta6bl4.lab.participants import CONTROLLER
from x0tta6bl4.lab.sim.frames import Forwarding
from x0tta6bl4.lab.sim.state import Hop, Node
from x0tta6bl4.lab.sim.world import World
from x0tta6bl4.network.wire import Datagram

UDP6_BYTES = 48  # IPv6 and UDP headers
LINK_LOCAL = "fe80::"
OOB_S = 0.002
BESIDE_SEAT_S = 0.001


class SimClock:
    """The Clock port: every node has a monotonic clock of its own, so nobody can compare two of them."""

    def __init__(self, world: World, offset: float) -> None:
        self._world, self.offset = world, offset

    def now(self) -> float:
        """Monotonic seconds of this node."""
        return self._world.now + self.offset

    def utc(self) -> float:
        """Seconds since 1970 of the simulated day."""
        return self._world.utc_start + self._world.now


class SimWire:
    """The Wire port of one node; a new one for each agent that is started."""

    def __init__(self, forwarding: Forwarding, node: Node, clock: SimClock, wires: dict[int, SimWire]) -> None:
        self._forwarding, self._world = forwarding, forwarding.world
        self._node, self._clock, self._wires = node, clock, wires
        self._inbox: list[tuple[float, int, str, str, bytes, bool]] = []
        self._count = 0

    def send_link(self, interface: str, to: str | None, payload: bytes) -> None:
        """Beside the mesh, to one neighbour or to all that the interface has."""
        for hop in self._towards(interface, to):
            delay = self._beside(hop, len(payload))
            receiver = self._wires.get(hop.dst.node.idx)
            if delay >= 0 and receiver is not None:
                receiver.push(delay, hop.dst.name, LINK_LOCAL + hop.src.mac, payload)

    def echo(self, interface: str, to: str, payload: bytes) -> None:
        """There and back; the far kernel answers whether or not an agent runs there."""
        for hop in self._towards(interface, to):
            there = self._beside(hop, len(payload), 1)
            back = self._beside(hop.rev, len(payload), 2)
            if there >= 0 and back >= 0:
                self.push(there + back, hop.src.name, LINK_LOCAL + hop.dst.mac, payload, echo=True)

    def send_mesh(self, node: str, payload: bytes) -> None:
        """Through the mesh to a node's agent."""
        target = self._world.by_name.get(node)
        if target is not None and target is not self._node:
            data = (self._node.name, payload, len(payload))
            self._forwarding.send(self._node, target, len(payload), self._through, data)

    def receive(self) -> Sequence[Datagram]:
        """What has arrived by now."""
        now, offset = self._world.now, self._clock.offset
        found = []
        while self._inbox and self._inbox[0][0] <= now:
            at, _, interface, source, payload, echo = heappop(self._inbox)
            found.append(Datagram(at + offset, interface, source, payload, echo))
        return found

    def mac_of(self, source: str) -> str:
        """The MAC in a simulated link-local address."""
        return source[len(LINK_LOCAL) :] if source.startswith(LINK_LOCAL) else ""

    def push(self, delay: float, interface: str, source: str, payload: bytes, *, echo: bool = False) -> None:
        """Put a datagram into the inbox, to be seen after `delay` seconds."""
        self._count += 1
        heappush(self._inbox, (self._world.now + delay, self._count, interface, source, payload, echo))

    def _through(self, node: Node, data: tuple[str, bytes, int]) -> None:
        receiver = self._wires.get(node.idx)
        if receiver is not None:
            receiver.push(0.0, "", data[0], data[1])

    def _towards(self, interface: str, to: str | None) -> list[Hop]:
        iface = self._node.iface(interface)
        if iface is None:
            return []
        if to is None:
            return iface.out
        mac = self.mac_of(to)
        return [hop for hop in iface.out if hop.dst.mac == mac]

    def _beside(self, hop: Hop, payload_bytes: int, salt: int = 0) -> float:
        size = payload_bytes + UDP6_BYTES
        if not (hop.src.up and hop.dst.up) or size > hop.src.mtu or size > hop.dst.mtu:
            return -1.0
        return self._world.cross(hop, hop.key_beside, salt << 20 ^ payload_bytes)


class _Inbox:
    """What waits for one participant: (arrival, number, from, payload)."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, int, str, bytes]] = []
        self.count = 0


class Office:
    """Where datagrams between agents and the controller wait: one inbox for each participant."""

    def __init__(self, forwarding: Forwarding, seat: Node, *, inband: bool) -> None:
        self.forwarding, self.world, self.seat, self.inband = forwarding, forwarding.world, seat, inband
        self._boxes: dict[str, _Inbox] = {}

    def open(self, name: str) -> None:
        """A participant starts: whatever waited for its predecessor is gone."""
        self._boxes[name] = _Inbox()

    def close(self, name: str) -> None:
        """A participant is gone: what is sent to it is lost."""
        self._boxes.pop(name, None)

    def post(self, sender: str, to: str, payload: bytes) -> None:
        """Carry a datagram: over the mesh, or out of band in 2 ms; from the seat to its controller in 1 ms."""
        source = self.seat if sender == CONTROLLER else self.world.by_name[sender]
        target = self.seat if to == CONTROLLER else self.world.by_name.get(to)
        if target is None or not (source.alive and target.alive):
            return
        data = (sender, to, payload)
        if source is target or not self.inband:
            self.world.at(self.world.now + (BESIDE_SEAT_S if source is target else OOB_S), self._arrive, data)
        else:
            self.forwarding.send(source, target, len(payload), self._sink, data)

    def collect(self, name: str) -> list[tuple[str, float, bytes]]:
        """What has arrived for a participant: (from, lab time of arrival, payload)."""
        box = self._boxes.get(name)
        found = []
        while box is not None and box.waiting and box.waiting[0][0] <= self.world.now:
            at, _, sender, payload = heappop(box.waiting)
            found.append((sender, at, payload))
        return found

    def _sink(self, node: Node, data: tuple[str, str, bytes]) -> None:
        self._arrive(data)

    def _arrive(self, data: tuple[str, str, bytes]) -> None:
        sender, to, payload = data
        box = self._boxes.get(to)
        if box is not None:
            box.count += 1
            heappush(box.waiting, (self.world.now, box.count, sender, payload))


class SimTransport:
    """The Transport port of one participant."""

    def __init__(self, office: Office, name: str, clock: SimClock) -> None:
        self._office, self._name, self._clock = office, name, clock

    def send(self, to: str, payload: bytes) -> None:
        """To a node's agent by name, or to "controller"."""
        self._office.post(self._name, to, payload)

    def receive(self) -> Sequence[tuple[str, float, bytes]]:
        """(from, arrival on the local clock, payload)."""
        offset = self._clock.offset
        return [(sender, at + offset, payload) for sender, at, payload in self._office.collect(self._name)]
