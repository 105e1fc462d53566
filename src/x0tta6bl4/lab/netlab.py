"""A real mesh in network namespaces of this machine's kernel: built, broken and read from one process, without a fork.

Each node is a namespace. Its interfaces are veth pairs whose other ends sit in one more namespace, the ether, which
nodes cannot reach: a bridge there joins the members of a segment, and netem on a port loses and delays what goes to
that port's node. A segment of two is a link; one of more is a shared radio medium with a netem for each sender.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from x0tta6bl4.errors import NotSupported, Permanent, ResourceError
from x0tta6bl4.lab.participants import DeclaredInterface, DeclaredNode
from x0tta6bl4.lab.topology import Link, NodeSpec, Topology
from x0tta6bl4.network import netns, traffic
from x0tta6bl4.network.batman import Batadv
from x0tta6bl4.network.links import IFLA_IFNAME, IFLA_NET_NS_FD, Links, change
from x0tta6bl4.network.linux import LinuxKernel
from x0tta6bl4.network.netlink import nested, number, text
from x0tta6bl4.network.traffic import netem

MESH_IF: Final = "bat0"
PREFIX: Final = "x0t-"  # of every namespace the lab makes; it touches no other
ETHER: Final = PREFIX + "ether"
ETHER_MTU: Final = 9000  # the ether never limits a frame: only the nodes' interfaces do
VETH_INFO_PEER: Final = 1
ALGO_NAME: Final = 1  # IFLA_BATADV_ALGO_NAME

End = tuple[str, str]  # (node, interface)
Ends = tuple[End, End]  # source, target


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A mesh to build."""

    topology: Topology
    algorithm: str = "BATMAN_IV"
    orig_interval_ms: int = 1000

    def document(self) -> dict[str, object]:
        """As JSON carries it; `blueprint_from` is the inverse."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Impairment:
    """What one direction of a link does to packets: loss in [0, 1], delay and its spread in ms."""

    loss: float = 0.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0

    def and_then(self, other: Impairment) -> Impairment:
        """Both, one after the other."""
        kept = (1 - self.loss) * (1 - other.loss)
        return Impairment(1 - kept, self.delay_ms + other.delay_ms, self.jitter_ms + other.jitter_ms)


SILENCE: Final = Impairment(loss=1.0)


@dataclass(slots=True)
class _Port:
    """The ether's end of a node's interface. classes: sender -> class of its netem on a radio port."""

    index: int
    classes: dict[End, int] = field(default_factory=dict)


def segments(topology: Topology) -> list[list[End]]:
    """The media of a mesh, each as its members (node, interface): a link has two, a radio segment any number."""
    found: dict[str, list[End]] = {}
    for number_, link in enumerate(topology.links):
        members = found.setdefault(link.segment or f"/{number_}", [])
        for end in ((link.node_a, link.interface_a), (link.node_b, link.interface_b)):
            if end not in members:
                members.append(end)
    return list(found.values())


class NetLab:
    """One built mesh. Raises NotSupported where the kernel lacks batman-adv, veth, bridges or netem.

    Whoever holds it calls `enforce` often (each 50 ms): a node that brings up an interface whose fault holds it
    down loses it again.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        self.blueprint = blueprint
        self.nodes: dict[str, NodeSpec] = {node.name: node for node in blueprint.topology.nodes}
        self.paths: dict[Ends, dict[str, Impairment]] = {}
        self.boot_ids = {node: str(uuid.uuid4()) for node in self.nodes}
        self._ports: dict[End, _Port] = {}
        self._links: dict[str, Links] = {}
        self._held_down: set[End] = set()
        for link in blueprint.topology.links:
            a, b = (link.node_a, link.interface_a), (link.node_b, link.interface_b)
            medium = Impairment(link.loss_ratio, link.delay_ms)
            self.paths |= {(a, b): {"medium": medium}, (b, a): {"medium": medium}}
        remove_leftovers()
        try:
            self._build()
        except (ResourceError, NotSupported):
            self.close()
            raise

    def close(self) -> None:
        """Remove the mesh with everything in it."""
        for links in self._links.values():
            links.close()
        self._links.clear()
        remove_leftovers()

    # -- building

    def _build(self) -> None:
        _make_namespace(ETHER, ipv6=False)
        self._ether = Links(ETHER)
        for name in self.nodes:
            _make_namespace(PREFIX + name, ipv6=True)
            self._links[name] = Links(PREFIX + name)
        for number_, members in enumerate(segments(self.blueprint.topology), start=1):
            self._build_segment(f"seg{number_}", members)
        for node in self.nodes.values():
            for one in node.interfaces:
                if one.dummy:
                    links = self._links[node.name]
                    links.set_up(links.create(one.name, "dummy", mtu=one.mtu, mac=one.mac), True)
            self._build_mesh(node)

    def _build_segment(self, name: str, members: list[End]) -> None:
        bridge = self._ether.create(name, "bridge", mtu=ETHER_MTU)
        self._ether.set_up(bridge, True)
        for end in members:
            index = self._plug(end)
            self._ether.set_master(index, bridge)
            self._ether.set_up(index, True)
            self._ports[end] = _Port(index)
        if len(members) > 2:
            by_mac = {self.declared(end).mac: end for end in members}
            for end in members:
                senders = [mac for mac, sender in by_mac.items() if sender != end]
                found = traffic.classes_by_source(self._ether, self._ports[end].index, senders)
                self._ports[end].classes = {by_mac[mac]: classid for mac, classid in found.items()}
        for a in members:
            for b in members:
                if a != b:
                    self.paths.setdefault((a, b), {"medium": SILENCE})  # same medium, out of each other's range
                    self._apply_path((a, b))

    def _plug(self, end: End) -> int:
        """A veth pair: the node's end carries the declared name, MAC and MTU. Returns the ether's end."""
        node, interface = end
        declared = self.declared(end)
        with (netns.RUN / (PREFIX + node)).open("rb") as there:
            peer = change(0, text(IFLA_IFNAME, interface), number(IFLA_NET_NS_FD, there.fileno()))
            name = f"p{len(self._ports) + 1}"
            port = self._ether.create(name, "veth", data=[nested(VETH_INFO_PEER, peer)], mtu=ETHER_MTU)
        links = self._links[node]
        link = links.get(interface)
        links.set_mac(link.index, declared.mac)
        links.set_mtu(link.index, declared.mtu)
        links.set_up(link.index, True)
        return port

    def _build_mesh(self, node: NodeSpec) -> None:
        """bat0 with the declared interfaces and settings, as after a boot."""
        links = self._links[node.name]
        mesh = links.create(MESH_IF, "batadv", data=[text(ALGO_NAME, self.blueprint.algorithm)], mac=node.address)
        for one in node.interfaces:
            links.set_master(links.index(one.name), mesh)
        links.add_address(mesh, node.ip, 16)
        with netns.inside(PREFIX + node.name):
            _sysctl(f"ipv6/conf/{MESH_IF}/disable_ipv6", 1)
        links.set_up(mesh, True)
        for other in self.nodes.values():
            if other is not node:
                links.add_neighbour(mesh, other.ip, other.address)
        batadv = Batadv(PREFIX + node.name)
        try:
            batadv.set_mesh(mesh, "orig_interval_ms", self.blueprint.orig_interval_ms)
            batadv.set_mesh(mesh, "bridge_loop_avoidance", 0)  # it would hold back broadcasts for 30 s
        finally:
            batadv.close()

    # -- names

    def declared(self, end: End) -> DeclaredInterface:
        """What is declared of an interface (node, name); raises KeyError."""
        return next(one for one in self.nodes[end[0]].interfaces if one.name == end[1])

    @property
    def addresses(self) -> dict[str, str]:
        """IPv4 addresses of all nodes on the mesh."""
        return {name: node.ip for name, node in self.nodes.items()}

    def inventory(self) -> tuple[DeclaredNode, ...]:
        """What an operator of this mesh would have declared."""
        return self.blueprint.topology.inventory(self.blueprint.orig_interval_ms, self.blueprint.algorithm)

    def kernel(self, node: str) -> LinuxKernel:
        """A new Kernel of one node; the caller closes it."""
        names = [one.name for one in self.nodes[node].interfaces]
        return LinuxKernel(MESH_IF, names, netns=PREFIX + node, boot_id=self.boot_ids[node])

    # -- breaking

    def impair(self, ends: Ends, why: str, impairment: Impairment | None) -> None:
        """Put an impairment named `why` on one direction of a link, or take it off (None); several add up."""
        layers = self.paths[ends]
        if impairment is None:
            if layers.pop(why, None) is None:
                return
        else:
            layers[why] = impairment
        self._apply_path(ends)

    def _apply_path(self, ends: Ends) -> None:
        source, target = ends
        total = Impairment()
        for layer in self.paths[ends].values():
            total = total.and_then(layer)
        port = self._ports[target]
        parent = port.classes.get(source, traffic.TC_ROOT)
        netem(
            self._ether, port.index, loss=total.loss, delay_ms=total.delay_ms, jitter_ms=total.jitter_ms, parent=parent
        )

    def hold_down(self, node: str, interface: str, on: bool) -> None:
        """Take a node's interface down (and its carrier), and keep it so; or give it back as it was declared."""
        port = self._ports[node, interface]
        links = self._links[node]
        links.listen()
        if on:
            self._held_down.add((node, interface))
            links.set_up(links.index(interface), False)
        else:
            self._held_down.discard((node, interface))
        self._ether.set_up(port.index, not on)
        if not on:
            links.set_up(links.index(interface), True)

    def enforce(self) -> int:
        """Take down again what a node brought up against its fault; returns how many."""
        count = 0
        for node in {node for node, _ in self._held_down}:
            with suppress(ResourceError):
                for link in self._links[node].events():
                    if link.up and (node, link.name) in self._held_down:
                        self._links[node].set_up(link.index, False)
                        count += 1
        return count

    def set_mtu(self, node: str, interface: str, mtu: int) -> None:
        """Misconfigure a node's interface; the node may put it right."""
        links = self._links[node]
        links.set_mtu(links.index(interface), mtu)

    def shut_down(self, node: str) -> None:
        """The node's mesh interface is gone, as while it reboots."""
        links = self._links[node]
        with suppress(Permanent):
            links.delete(links.index(MESH_IF))

    def boot(self, node: str) -> None:
        """The node comes back with its declared configuration and a new boot id."""
        self.shut_down(node)  # one that another fault brought back already
        self.boot_ids[node] = str(uuid.uuid4())
        links = self._links[node]
        for one in self.nodes[node].interfaces:
            link = links.get(one.name)
            links.set_mtu(link.index, one.mtu)
            for mac in traffic.blocks(links, link.index):
                traffic.unblock(links, link.index, mac)
        self._build_mesh(self.nodes[node])


def settings(kernel: LinuxKernel) -> dict[str, str]:
    """What drift compares: options, attached interfaces and their settings (not which one is primary)."""
    try:
        mesh = kernel.mesh()
        interfaces = kernel.interfaces()
    except (ResourceError, NotSupported) as error:
        return {"error": str(error)}
    found = {
        "orig_interval_ms": str(mesh.orig_interval_ms),
        "hop_penalty": str(mesh.hop_penalty),
        "gw_mode": mesh.gw_mode,
    }
    for one in interfaces:
        found |= {
            f"{one.name}.attached": str(one.attached),
            f"{one.name}.up": str(one.up),
            f"{one.name}.mtu": str(one.mtu),
            f"{one.name}.hop_penalty": str(one.hop_penalty),
            f"{one.name}.throughput_override_kbit": str(one.throughput_override_kbit),
            f"{one.name}.blocked": ",".join(sorted(one.blocked)),
        }
    return found


def blueprint_from(document: Mapping[str, Any]) -> Blueprint:
    """Inverse of `Blueprint.document` over JSON."""
    topology = document["topology"]
    nodes = tuple(
        NodeSpec(**{**node, "interfaces": tuple(DeclaredInterface(**one) for one in node["interfaces"])})
        for node in topology["nodes"]
    )
    links = tuple(Link(**link) for link in topology["links"])
    return Blueprint(Topology(nodes, links), str(document["algorithm"]), int(document["orig_interval_ms"]))


def remove_leftovers() -> None:
    """Remove every namespace of the lab: of this run, or of one that was killed."""
    for name in netns.names():
        if name.startswith(PREFIX):
            netns.remove(name)


def _sysctl(name: str, value: int) -> None:
    path = Path("/proc/sys/net") / name
    with suppress(FileNotFoundError):
        path.write_text(f"{value}\n", encoding="ascii")


def _make_namespace(name: str, *, ipv6: bool) -> None:
    netns.create(name)
    with netns.inside(name):
        for group in ("all", "default"):
            # an address must be usable at once, and nobody here routes or advertises
            _sysctl(f"ipv6/conf/{group}/accept_dad", 0)
            _sysctl(f"ipv6/conf/{group}/router_solicitations", 0)
            _sysctl(f"ipv6/conf/{group}/accept_ra", 0)
            _sysctl(f"ipv6/conf/{group}/disable_ipv6", 0 if ipv6 else 1)
    links = Links(name)
    links.set_up(links.index("lo"), True)
    links.close()
