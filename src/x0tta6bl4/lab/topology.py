"""A mesh as it is declared: nodes, their hard interfaces, links between two of them, and radio segments.

A point-to-point link has an interface of its own at each end; a radio segment is one interface for each member
and a link between each two members that hear each other, so that an action on one interface touches them all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from x0tta6bl4.lab.participants import DeclaredInterface, DeclaredNode

DUMMY = "dum0"
MTU_BYTES = 1560


@dataclass(frozen=True, slots=True)
class Link:
    """An undirected pair of interfaces that hear each other.

    delay_ms, loss_ratio: what the medium itself does in each direction, without fault or background.
    segment: the radio segment it belongs to, "" for a point-to-point link.
    """

    name: str
    node_a: str
    interface_a: str
    node_b: str
    interface_b: str
    delay_ms: float = 1.0
    loss_ratio: float = 0.0
    segment: str = ""

    @property
    def nodes(self) -> tuple[str, str]:
        """Both ends."""
        return (self.node_a, self.node_b)

    @property
    def adjacency(self) -> str:
        """The component of both directions, as text."""
        ends = sorted((f"{self.node_a}:{self.interface_a}", f"{self.node_b}:{self.interface_b}"))
        return f"adjacency/{ends[0]}<>{ends[1]}"

    def directed(self, source: str) -> str:
        """The component of the direction that leaves `source` (one of the two nodes), as text."""
        a, b = f"{self.node_a}:{self.interface_a}", f"{self.node_b}:{self.interface_b}"
        return f"link/{a}>{b}" if source == self.node_a else f"link/{b}>{a}"


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One node with its hard interfaces in the order in which they are attached (the first is primary)."""

    name: str
    interfaces: tuple[DeclaredInterface, ...]
    address: str  # MAC of bat0
    ip: str  # of bat0


@dataclass(frozen=True, slots=True)
class Topology:
    """Nodes and links; names are unique."""

    nodes: tuple[NodeSpec, ...]
    links: tuple[Link, ...]

    def node(self, name: str) -> NodeSpec:
        """The node called `name`; raises KeyError."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def link(self, name: str) -> Link:
        """The link called `name`, or between the two nodes of "a-b" in either order; raises KeyError."""
        for link in self.links:
            if link.name == name:
                return link
        for link in self.links:
            if name in (f"{link.node_b}-{link.node_a}", f"{link.node_a}-{link.node_b}"):
                return link
        raise KeyError(name)

    def links_of(self, node: str, interface: str | None = None) -> tuple[Link, ...]:
        """The links of a node, or of one of its interfaces."""
        return tuple(
            link
            for link in self.links
            if (link.node_a == node and interface in (None, link.interface_a))
            or (link.node_b == node and interface in (None, link.interface_b))
        )

    def reachable(self, start: str, *, without: Collection[str] = (), dead: Collection[str] = ()) -> set[str]:
        """Nodes that `start` can reach when the links named in `without` and the nodes in `dead` are gone."""
        seen = {start}
        todo = [start]
        while todo:
            here = todo.pop()
            for link in self.links_of(here):
                there = link.node_b if link.node_a == here else link.node_a
                if link.name in without or there in dead or there in seen:
                    continue
                seen.add(there)
                todo.append(there)
        return seen

    def inventory(self, orig_interval_ms: int, algorithm: str) -> tuple[DeclaredNode, ...]:
        """The declared nodes as participants get them."""
        return tuple(
            DeclaredNode(node.name, node.interfaces, node.address, orig_interval_ms, algorithm) for node in self.nodes
        )


def client_mac(index: int) -> str:
    """MAC of bat0 of the node at `index` (1-based)."""
    return f"02:00:00:00:{index >> 8:02x}:{index & 255:02x}"


def port_mac(node: int, port: int) -> str:
    """MAC of the hard interface number `port` of the node at `node` (1-based)."""
    return f"02:01:{node >> 8:02x}:{node & 255:02x}:00:{port & 255:02x}"


def build(nodes: Iterable[str], links: Iterable[Link], *, dummy_primary: bool) -> Topology:
    """Give every node its interfaces: a dummy first where it is to be primary, then in the order of the links."""
    names = tuple(nodes)
    pairs = tuple(links)
    ports: dict[str, dict[str, bool]] = {name: {} for name in names}  # interface -> is it radio
    for link in pairs:
        ports[link.node_a].setdefault(link.interface_a, bool(link.segment))
        ports[link.node_b].setdefault(link.interface_b, bool(link.segment))
    specs = []
    for index, name in enumerate(names, start=1):
        declared = [DeclaredInterface(DUMMY, port_mac(index, 0), MTU_BYTES, dummy=True)] if dummy_primary else []
        declared += [
            DeclaredInterface(port, port_mac(index, number), MTU_BYTES, radio=radio)
            for number, (port, radio) in enumerate(ports[name].items(), start=1)
        ]
        ip = f"10.9.{index >> 8}.{index & 255}"
        specs.append(NodeSpec(name, tuple(declared), client_mac(index), ip))
    return Topology(tuple(specs), pairs)
