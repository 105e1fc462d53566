"""Invariants of the simulated mesh; a broken one is an AssertionError: the simulator is wrong, not the mesh."""

from __future__ import annotations

from x0tta6bl4.lab.sim.routing import PURGE_S, Routing
from x0tta6bl4.lab.sim.state import Iface, Node, Table

SLACK_S = 0.001


class Invariants:
    """Checks the whole mesh once a virtual second, after every event of the timeline and after every tick that changed
    a setting; after every other tick the interfaces of its node (the controller's: of all). What must hold for every
    frame is checked where it happens.
    """

    def __init__(self, routing: Routing) -> None:
        self._routing, self._world = routing, routing.world
        self._down_since: dict[int, float] = {}
        self.passes = 0

    def each_second(self, _: object = None) -> None:
        """Check, and come again."""
        self._world.at(self._world.now + 1.0, self.each_second, None)
        self.whole()

    def ticked(self, node: Node | None, *, changed: bool) -> None:
        """A participant made a step; `node` is None for the controller."""
        if changed:
            self.whole()
            return
        for one in self._world.nodes if node is None else (node,):
            self._interfaces(one)

    def whole(self) -> None:
        """Check everything now."""
        self.passes += 1
        for node in self._world.nodes:
            self._interfaces(node)
            if node.alive:
                for table in node.tables:
                    self._table(node, table)

    def _interfaces(self, node: Node) -> None:
        if node.primary is not None and node.primary not in node.attached:
            raise AssertionError(f"{node.name}: primary {node.primary.name} is not attached")
        for iface in node.ifaces:
            if iface.active != (iface.attached and iface.up):
                raise AssertionError(f"{node.name}:{iface.name}: active without being attached and up, or not though")
            if iface.attached != (iface in node.attached):
                raise AssertionError(f"{node.name}:{iface.name}: attached in one place only")
            if iface.active:
                self._down_since.pop(iface.idx, None)
            else:
                self._down_since.setdefault(iface.idx, self._world.now)

    def _table(self, node: Node, table: Table) -> None:
        if table.router is not None and table.router not in table.entries.values():
            raise AssertionError(f"{node.name}: the best next hop is not among the neighbours")
        for entry in table.entries.values():
            iface = entry.link.dst
            if iface.node is not node:
                raise AssertionError(f"{node.name}: a route over an interface of {iface.node.name}")
            if not iface.attached:
                raise AssertionError(f"{node.name}: a route over the detached {iface.name}")
            if not iface.active and self._world.now - self._since(iface) > PURGE_S + SLACK_S:
                raise AssertionError(
                    f"{node.name}: a route over {iface.name}, which has been down for over {PURGE_S} s"
                )

    def _since(self, iface: Iface) -> float:
        return self._down_since.get(iface.idx, self._world.now)
