"""Carries out the timeline, and knows by ground truth which client pairs are cut off or hit on their path."""

from __future__ import annotations

from collections.abc import Callable, Collection

from x0tta6bl4.lab import faults
from x0tta6bl4.lab.faults import Fault
from x0tta6bl4.lab.sim.checks import Invariants
from x0tta6bl4.lab.sim.routing import Routing
from x0tta6bl4.lab.sim.state import Hop, Iface, Node


class Truthkeeper:
    """Keeps, for each client pair, the intervals in which an end is dead or physically cut off from the other, and the
    instants at which an event touched the path that it used.
    """

    def __init__(self, routing: Routing, pairs: list[tuple[Node, Node]]) -> None:
        self._world, self._pairs = routing.world, pairs
        self.excused: list[list[tuple[float, float]]] = [[] for _ in pairs]
        self.touched: list[list[float]] = [[] for _ in pairs]
        self._open: list[float | None] = [None] * len(pairs)

    def touch(self, links: Collection[str]) -> None:
        """An event is about to change these links."""
        for number, (source, target) in enumerate(self._pairs):
            if not (_path(source, target) | _path(target, source)).isdisjoint(links):
                self.touched[number].append(self._world.now)

    def update(self) -> None:
        """Something physical changed: see who can reach whom."""
        for number, (source, target) in enumerate(self._pairs):
            cut = not (_reaches(source, target) and _reaches(target, source))
            since = self._open[number]
            if cut and since is None:
                self._open[number] = self._world.now
            elif not cut and since is not None:
                self.excused[number].append((since, self._world.now))
                self._open[number] = None

    def finish(self) -> None:
        """End the intervals that are still open."""
        for number, since in enumerate(self._open):
            if since is not None:
                self.excused[number].append((since, self._world.now))


def _path(source: Node, target: Node) -> set[str]:
    """Names of the links that frames take now from one node to another, as far as there is a route."""
    names = set[str]()
    node = source
    while node is not target and (router := node.tables[target.idx].router) is not None:
        hop = router.link.rev
        if hop.name in names:  # a loop, while routes change
            break
        names.add(hop.name)
        node = hop.dst.node
    return names


def _reaches(source: Node, target: Node) -> bool:
    """Is there a way over links that physically carry something in this direction?"""
    if not (source.alive and target.alive):
        return False
    seen, todo = {source.idx}, [source]
    while todo:
        for iface in todo.pop().ifaces:
            for hop in iface.out:
                there = hop.dst.node
                if there.idx not in seen and _carries(hop):
                    if there is target:
                        return True
                    seen.add(there.idx)
                    todo.append(there)
    return source is target


def _carries(hop: Hop) -> bool:
    if hop.dead or hop.src.held or hop.dst.held or not hop.dst.node.alive:
        return False
    return hop.threshold < 1 << 53


class Injector:
    """Begins and ends faults. `agents(node, running)` starts or kills a node's agent."""

    def __init__(
        self,
        routing: Routing,
        truth: Truthkeeper,
        agents: Callable[[Node, bool], None],
        invariants: Invariants | None = None,
    ) -> None:
        self._invariants = invariants
        self._routing, self._world, self._truth, self._agents = routing, routing.world, truth, agents
        self.touched: list[tuple[float, tuple[str, ...]]] = []
        self._over: set[str] = set()  # faults that were ended before their time

    def end(self, fault: Fault) -> None:
        """End a fault that has begun, now; a flapping link stays as it is until its phase ends."""
        self._over.add(fault.id)
        if fault.kind != "link-flap":
            self._apply(fault, on=False)

    def schedule(self, timeline: tuple[Fault, ...]) -> None:
        """Put the timeline on the heap."""
        for fault in timeline:
            if fault.kind == "link-flap":
                self._world.at(fault.at, self._flap, fault)
            else:
                self._world.at(fault.at, self._begin, fault)
                self._world.at(fault.until, self._end, fault)

    def reboot(self, node: Node, down_s: float) -> None:
        """The node goes away now and is back after `down_s`."""
        self._power(node, on=False)
        self._world.at(self._world.now + down_s, self._back, node)

    def _back(self, node: Node) -> None:
        self._power(node, on=True)

    def _begin(self, fault: Fault) -> None:
        self._apply(fault, on=True)

    def _end(self, fault: Fault) -> None:
        if fault.kind == "link-flap" or fault.id not in self._over:
            self._apply(fault, on=False)

    def _apply(self, fault: Fault, *, on: bool) -> None:
        """One fault begins or ends."""
        kind = fault.kind
        if kind in ("node-death", "node-reboot"):
            self._power(self._world.by_name[fault.node], on=not on)
            return
        if kind == "agent-death":
            self._world.by_name[fault.node].agent_dead = on
            self._agents(self._world.by_name[fault.node], not on)
            return
        self._truth.touch(faults.reach(fault, self._world.scenario.topology))
        if kind == "interface-down":
            self._hold(self._iface(fault), on=on)
        elif kind == "mtu":
            self._mtu(self._iface(fault), fault.mtu_bytes, on=on)
        else:
            self._links(fault, on=on)
        self._changed(fault.touches)

    def _links(self, fault: Fault, *, on: bool) -> None:
        names = {link.name for link in fault.links}
        for hop in self._world.hops:
            if hop.name not in names or fault.source not in ("", hop.src.node.name):
                continue
            if fault.kind == "link-loss":
                _put(hop.losses, fault.id, fault.loss_ratio if on else None)
            elif fault.kind == "link-delay":
                _put(hop.delays, fault.id, fault.delay_ms / 1000 if on else None)
            else:
                hop.dead += 1 if on else -1
            self._world.retune(hop)

    def _flap(self, fault: Fault) -> None:
        """Dead for the first `duty` of each period; alive at the end, whatever the period."""
        now = self._world.now
        if now >= fault.until - 1e-9 or fault.id in self._over:
            return
        self._apply(fault, on=True)
        self._world.at(min(now + fault.period_s * fault.duty, fault.until), self._end, fault)
        self._world.at(now + fault.period_s, self._flap, fault)

    def _hold(self, iface: Iface, *, on: bool) -> None:
        iface.held += 1 if on else -1
        self._routing.refresh(iface)
        self._world.announce(iface.node)

    def _mtu(self, iface: Iface, mtu: int, *, on: bool) -> None:
        if on:
            iface.mtu = mtu
        elif iface.mtu == mtu:  # else somebody has already repaired it
            iface.mtu = iface.mtu_declared
        self._world.announce(iface.node)

    def _power(self, node: Node, *, on: bool) -> None:
        if node.alive == on:
            return
        self._truth.touch({hop.name for iface in node.ifaces for hop in iface.out})
        if on:
            self._routing.boot(node)
        else:
            self._routing.power_off(node)
        self._agents(node, on)
        around = {hop.dst.node.name for iface in node.ifaces for hop in iface.out}
        self._changed(tuple(sorted(around | {node.name})))

    def _iface(self, fault: Fault) -> Iface:
        iface = self._world.by_name[fault.node].iface(fault.interface)
        assert iface is not None, "the scenario was checked"
        return iface

    def _changed(self, nodes: tuple[str, ...]) -> None:
        self.touched.append((self._world.now, nodes))
        self._truth.update()
        if self._invariants is not None:
            self._invariants.whole()


def _put(values: dict[str, float], key: str, value: float | None) -> None:
    if value is None:
        values.pop(key, None)
    else:
        values[key] = value
