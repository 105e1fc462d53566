"""Names of the mesh's components, made in one place and taken apart in one place.

>>> str(link("n1", "v1-2", "n2", "v2-1"))
'link/n1:v1-2>n2:v2-1'
>>> str(adjacency("n2", "v2-1", "n1", "v1-2"))
'adjacency/n1:v1-2<>n2:v2-1'
"""

from __future__ import annotations

from x0tta6bl4.model import Component, Edge, Relation


def node(name: str) -> Component:
    """A member of the mesh."""
    return Component("node", name)


def interface(owner: str, name: str) -> Component:
    """A hard interface of a node."""
    return Component("interface", f"{owner}:{name}")


def link(source: str, source_interface: str, target: str, target_interface: str) -> Component:
    """The directed link from one interface to another."""
    return Component("link", f"{source}:{source_interface}>{target}:{target_interface}")


def adjacency(one: str, one_interface: str, other: str, other_interface: str) -> Component:
    """Both links between two interfaces."""
    ends = sorted((f"{one}:{one_interface}", f"{other}:{other_interface}"))
    return Component("adjacency", "<>".join(ends))


def route(via: str, to: str) -> Component:
    """A neighbour's offer to forward towards a node, as heard by one agent."""
    return Component("route", f"{via}>{to}")


def told(one: str, other: str) -> Component:
    """A pair of neighbours somewhere in the mesh, as the controller told."""
    return Component("told", f"{one}>{other}")


def ends(component: Component) -> tuple[tuple[str, str], tuple[str, str]]:
    """((node, interface), (node, interface)) of a link or an adjacency."""
    one, other = component.name.split("<>" if component.kind == "adjacency" else ">")
    (a, _, i), (b, _, j) = one.partition(":"), other.partition(":")
    return (a, i), (b, j)


def owner(component: Component) -> str:
    """The node of an interface, or the source node of a link."""
    return component.name.split(":", 1)[0]


def link_edges(source: str, source_interface: str, target: str, target_interface: str) -> tuple[Edge, ...]:
    """All relations of one directed link."""
    this = link(source, source_interface, target, target_interface)
    here, there = interface(source, source_interface), interface(target, target_interface)
    return (
        Edge(this, Relation.FROM, node(source)),
        Edge(this, Relation.TO, node(target)),
        Edge(this, Relation.PART_OF, here),
        Edge(this, Relation.PART_OF, there),
        Edge(this, Relation.PART_OF, adjacency(source, source_interface, target, target_interface)),
        Edge(here, Relation.PART_OF, node(source)),
        Edge(there, Relation.PART_OF, node(target)),
    )
