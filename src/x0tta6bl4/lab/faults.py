"""The kinds of fault the lab can inject, and what each of them truly is: the ground truth of the score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from x0tta6bl4.lab.record import FaultRecord, Truth
from x0tta6bl4.lab.topology import Link, Topology

KINDS: Final = {
    "interface-down": "interface",
    "link-blackhole": "link",
    "link-loss": "link",
    "link-delay": "link",
    "link-flap": "link",
    "mtu": "interface",
    "node-death": "node",
    "node-reboot": "node",
    "agent-death": "node",
    "partition": "links",
}
"""Kind of fault -> which key of a timeline entry names its target."""

SOFT: Final = frozenset({"link-loss", "link-delay", "link-flap"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of the timeline, its target resolved against the topology.

    at, until: seconds from the start of measuring. node, interface: "" where the target is a link.
    links: the links it changes (for a node all of its links). source: the node whose outgoing direction alone is
    changed, "" for both. loss_ratio, delay_ms, mtu_bytes, period_s, duty: parameters of the kinds that have them;
    duty is the share of each period in which the link is dead.
    """

    id: str
    kind: str
    at: float
    until: float
    links: tuple[Link, ...]
    node: str = ""
    interface: str = ""
    source: str = ""
    loss_ratio: float = 0.0
    delay_ms: float = 0.0
    mtu_bytes: int = 0
    period_s: float = 0.0
    duty: float = 0.5
    truth: Truth | None = None  # what the scenario's author says; derived where it is None

    @property
    def touches(self) -> tuple[str, ...]:
        """Nodes whose links it changes."""
        if self.kind == "agent-death":
            return ()
        names = {self.node} if self.node else set[str]()
        for link in self.links:
            names.update(link.nodes)
        return tuple(sorted(names))


def reach(fault: Fault, topology: Topology) -> frozenset[str]:
    """Names of the links whose traffic its beginning or end may disturb: all of a node's where that loses its primary
    interface, and with it its name in the mesh.
    """
    whole = kind_class(fault, topology) == "primary"
    links = topology.links_of(fault.node) if whole else fault.links if fault.touches else ()
    return frozenset(link.name for link in links)


def away(fault: Fault, topology: Topology, seat: str) -> tuple[str, ...]:
    """The nodes that a cut leaves without a path to the seat, sorted."""
    if fault.source or fault.kind not in ("link-blackhole", "partition"):
        return ()
    reached = topology.reachable(seat, without={link.name for link in fault.links})
    return tuple(sorted(node.name for node in topology.nodes if node.name not in reached))


def truth_of(fault: Fault, topology: Topology, seat: str) -> Truth:
    """What is really broken: the cause's code in the mesh's catalogue and the component."""
    if fault.truth is not None:
        return fault.truth
    cut = away(fault, topology, seat)
    if len(cut) == 1:
        return Truth("node-down", f"node/{cut[0]}")
    if cut:
        return Truth("partition", f"partition/{','.join(cut)}")
    if fault.kind == "interface-down":
        return Truth("interface-down", f"interface/{fault.node}:{fault.interface}")
    if fault.kind == "mtu":
        return Truth("interface-mtu-low", f"interface/{fault.node}:{fault.interface}")
    if fault.kind in ("node-death", "node-reboot"):
        return Truth("node-down", f"node/{fault.node}")
    if fault.kind == "agent-death":
        return Truth("agent-down", f"node/{fault.node}")
    code = {"link-loss": "link-lossy", "link-delay": "link-slow"}.get(fault.kind, "link-down")
    if code == "link-lossy" and fault.loss_ratio >= 1:
        code = "link-down"  # a link that loses everything is dead
    link = fault.links[0]
    one_way = fault.source and code != "link-slow"  # a delay is measured round trip: it has no direction
    return Truth(code, link.directed(fault.source) if one_way else link.adjacency)


def kind_class(fault: Fault, topology: Topology) -> str:
    """The class of the score: "soft", "primary" (a lost primary interface that carries traffic) or "hard"."""
    if fault.kind in SOFT:
        return "soft"
    if fault.kind == "interface-down":
        first = topology.node(fault.node).interfaces[0]
        if first.name == fault.interface and not first.dummy:
            return "primary"
    return "hard"


def repairable(fault: Fault, topology: Topology, seat: str) -> bool:
    """All but node death with no other path, reboot, partition with no other path, dead agent."""
    if fault.kind in ("node-reboot", "agent-death", "partition") or away(fault, topology, seat):
        return False
    if fault.kind == "node-death":
        rest = [node.name for node in topology.nodes if node.name != fault.node]
        return len(rest) > 1 and len(topology.reachable(rest[0], dead={fault.node})) == len(rest)
    return True


def record(fault: Fault, topology: Topology, seat: str) -> FaultRecord:
    """The fault as a run's record keeps it."""
    return FaultRecord(
        id=fault.id,
        kind=fault.kind,
        kind_class=kind_class(fault, topology),
        start=fault.at,
        end=fault.until,
        truth=truth_of(fault, topology, seat),
        repairable=repairable(fault, topology, seat),
        touches=fault.touches,
    )
