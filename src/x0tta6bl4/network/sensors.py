"""Kernel tables to readings: neighbours every pass, originators and options in rotation, interfaces in each second
pass while nothing is going on (the kernel announces what changes about them) and in every one else.

MACs become names by the inventory: a node is its inventory name, mapped to all its MACs (the loss of the primary
interface changes the originator). What is in no inventory keeps its MAC as its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from x0tta6bl4.errors import NotSupported, ProtocolError, ResourceError
from x0tta6bl4.model import Component, Edge, Layout, Observation, Relation, Seconds
from x0tta6bl4.network import names
from x0tta6bl4.network.kernel import Interface, Kernel, Mesh, Neighbour, Originator

INTERFACE_METRICS: Final = (
    "up", "attached", "primary", "dummy", "radio", "mtu_bytes", "mtu_short_bytes", "hop_penalty",
    "throughput_override_kbit",
)  # fmt: skip
NODE_METRICS: Final = (
    "primary_up", "primary_dummy", "mesh_interfaces", "orig_interval_ms", "hop_penalty", "bridge_loop_avoidance",
    "bridged", "algorithm_v",
)  # fmt: skip
SLOW_EVERY: Final = 4  # passes between two dumps of the originator table
QUIET_EVERY: Final = 2  # of which interfaces are read while nothing is going on


@dataclass(frozen=True, slots=True)
class Declared:
    """What the inventory says about one hard interface."""

    node: str
    name: str
    mac: str
    mtu: int
    dummy: bool = False
    radio: bool = False


class Inventory:
    """Expected nodes and their interfaces, by MAC and by name."""

    def __init__(self, declared: Sequence[Declared]) -> None:
        self.by_mac = {d.mac.lower(): d for d in declared if d.mac}
        self.by_name = {(d.node, d.name): d for d in declared}
        self.nodes = tuple(dict.fromkeys(d.node for d in declared))

    def node_of(self, mac: str) -> str:
        """The node behind a MAC; the MAC itself where nobody declared it."""
        known = self.by_mac.get(mac.lower())
        return known.node if known is not None else mac

    def mac_of(self, interface: Component) -> str:
        """The MAC of a declared interface, "" where it is not declared."""
        node, _, name = interface.name.partition(":")
        known = self.by_name.get((node, name))
        return known.mac if known is not None else ""


class KernelSensor:
    """`ports.Sensor` over one node's kernel; a table that cannot be read is the observation's error."""

    name = "kernel"

    def __init__(self, node: str, kernel: Kernel, inventory: Inventory) -> None:
        self.node, self.kernel, self.inventory = node, kernel, inventory
        self.quiet = False  # nothing is going on
        self.interfaces: list[Interface] = []
        self._interfaces_at = self._mesh_at = float("-inf")
        self._round = 0
        self._known: tuple[object, ...] | None = None
        self._layout = Layout((), ())
        self._mesh: Mesh | None = None
        self._originators: list[Originator] = []
        self._originators_at = float("-inf")
        self._offered: dict[Component, dict[str, float]] = {}
        self._ways: dict[str, str] = {}

    def read(self, now: Seconds) -> Observation:
        """Interfaces, neighbours, and one of the slow tables."""
        error = ""
        neighbours: list[Neighbour] = []
        try:
            if not self.quiet or self._round % QUIET_EVERY == 0:
                self.interfaces = self.kernel.interfaces()
                self._interfaces_at = now
            neighbours = self.kernel.neighbours()
            if self._round % SLOW_EVERY == 0 or self._mesh is None:
                self._mesh = self.kernel.mesh()
                self._mesh_at = now
            if self._round % SLOW_EVERY == 1 or not self._originators:
                self._originators = self.kernel.originators()
                self._originators_at = now
                self._offered, self._ways = self._offers(), self._routes()
            self._round += 1
        except (ResourceError, NotSupported, ProtocolError) as failed:
            error = str(failed)
        rows: list[tuple[Component, dict[str, float], Seconds]] = [
            (names.interface(self.node, i.name), self._interface(i), now - self._interfaces_at) for i in self.interfaces
        ]
        if self._mesh is not None:
            rows.append((names.node(self.node), self._node(self._mesh), now - self._mesh_at))
        rows += self._links(neighbours)
        rows += [(route, offer, now - self._originators_at) for route, offer in self._offered.items()]
        return self._observation(now, rows, error)

    def _interface(self, i: Interface) -> dict[str, float]:
        declared = self.inventory.by_name.get((self.node, i.name))
        mtu = declared.mtu if declared is not None else i.mtu
        return {
            "up": float(i.up),
            "attached": float(i.attached),
            "primary": float(i.primary),
            "dummy": float(i.dummy),
            "radio": float(declared is not None and declared.radio),
            "mtu_bytes": float(i.mtu),
            "mtu_short_bytes": float(max(0, mtu - i.mtu)),
            "hop_penalty": np.nan if i.hop_penalty is None else float(i.hop_penalty),
            "throughput_override_kbit": np.nan
            if i.throughput_override_kbit is None
            else float(i.throughput_override_kbit),
        }

    def _node(self, mesh: Mesh) -> dict[str, float]:
        primary = next((i for i in self.interfaces if i.primary), None)
        return {
            "primary_up": float(primary is not None and primary.up),
            "primary_dummy": float(primary is not None and primary.dummy),
            "mesh_interfaces": float(sum(i.attached and not i.dummy for i in self.interfaces)),
            "orig_interval_ms": float(mesh.orig_interval_ms),
            "hop_penalty": float(mesh.hop_penalty),
            "bridge_loop_avoidance": float(mesh.bridge_loop_avoidance),
            "bridged": float(mesh.bridged),
            "algorithm_v": float(mesh.algorithm == "BATMAN_V"),
        }

    def _links(self, neighbours: Sequence[Neighbour]) -> list[tuple[Component, dict[str, float], Seconds]]:
        rows = []
        for n in neighbours:
            far = self.inventory.by_mac.get(n.mac.lower())
            if far is not None:
                readings = {"last_seen_ms": float(n.last_seen_ms)}
                if n.tq is not None:
                    readings["tq"] = float(n.tq)
                if n.throughput_kbit is not None:
                    readings["throughput_kbit"] = float(n.throughput_kbit)
                rows.append((names.link(far.node, far.name, self.node, n.interface), readings, 0.0))
        return rows

    def _offers(self) -> dict[Component, dict[str, float]]:
        """What neighbours offer as ways to others, and whether one is in use."""
        best: dict[Component, dict[str, float]] = {}
        for o in self._originators:
            via, to = self.inventory.node_of(o.next_hop), self.inventory.node_of(o.mac)
            if self.node not in {to, via}:
                offer = float(o.tq if o.tq is not None else (o.throughput_kbit or 0) / 1000)
                row = best.setdefault(names.route(via, to), {"best": 0.0, "tq": offer})
                row["best"], row["tq"] = max(row["best"], float(o.best)), max(row["tq"], offer)
        return best

    def _routes(self) -> dict[str, str]:
        """The node that each other one is reached through.

        Under BATMAN_IV the secondary interfaces of a direct neighbour are originators too, always reached directly;
        what counts is the way to the node's own originator, so one that leads through another node wins.
        """
        used = sorted((o for o in self._originators if o.best), key=lambda o: o.mac != o.next_hop)
        return {self.inventory.node_of(o.mac): self.inventory.node_of(o.next_hop) for o in used}

    def _observation(
        self, now: Seconds, rows: Sequence[tuple[Component, Mapping[str, float], Seconds]], error: str
    ) -> Observation:
        metrics = tuple(
            dict.fromkeys((*INTERFACE_METRICS, *NODE_METRICS, "last_seen_ms", "tq", "throughput_kbit", "best"))
        )
        key = tuple(component for component, _, _ in rows)
        if key != self._known:
            self._known, self._layout = key, Layout(key, metrics, tuple(_edges(key)))
        column = {m: i for i, m in enumerate(metrics)}
        values = np.full((len(rows), len(metrics)), np.nan, np.float32)
        ages = np.zeros_like(values)
        for r, (_, readings, age) in enumerate(rows):
            ages[r] = age
            for metric, value in readings.items():
                values[r, column[metric]] = value
        facts: dict[Component, dict[str, object]] = {names.node(self.node): {"routes": self._ways}}
        if self._mesh is not None:
            facts[names.node(self.node)]["algorithm"] = self._mesh.algorithm
        return Observation(self.name, now, self._layout, values, ages, facts, error)


def _edges(components: Sequence[Component]) -> list[Edge]:
    edges: list[Edge] = []
    for component in components:
        if component.kind == "interface":
            edges.append(Edge(component, Relation.PART_OF, names.node(names.owner(component))))
        elif component.kind == "link":
            (source, i), (target, j) = names.ends(component)
            edges.extend(names.link_edges(source, i, target, j))
        elif component.kind == "route":
            via, to = component.name.split(">", 1)
            if via != to:
                edges.append(Edge(component, Relation.FROM, names.node(via)))
                edges.append(Edge(component, Relation.TO, names.node(to)))
    return edges
