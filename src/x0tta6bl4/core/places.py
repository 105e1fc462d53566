"""Where components stand in the mesh, and which of them is a part of which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from x0tta6bl4.ml.place import Place, Places
from x0tta6bl4.model import Component
from x0tta6bl4.network import names

if TYPE_CHECKING:  # it imports the knowledge base, which needs this
    from x0tta6bl4.core.view import MeshView


class MeshPlaces:
    """Where components stand in the mesh as it is seen now."""

    def __init__(self, view: MeshView) -> None:
        neighbours: dict[Component, set[Component]] = {}
        for link in view.links:
            one, other = names.node(link.source), names.node(link.target)
            neighbours.setdefault(one, set()).add(other)
            neighbours.setdefault(other, set()).add(one)
        self._places = Places(neighbours, names.node(view.seat))
        self._primaries = {f"{n.name}:{i.name}" for n in view.nodes for i in n.interfaces if i.primary}

    def of(self, component: Component) -> Place:
        """The place of a component; a part of the mesh is all of its nodes."""
        match component.kind:
            case "link" | "adjacency":
                ends = names.ends(component)
                primary = any(f"{node}:{interface}" in self._primaries for node, interface in ends)
                return self._places.link(*(names.node(node) for node, _ in ends), primary=primary)
            case "interface":
                owner = names.node(names.owner(component))
                return self._places.part([owner], primary=component.name in self._primaries)
            case _:
                return self._places.part([names.node(name) for name in nodes(component)])


def nodes(component: Component) -> tuple[str, ...]:
    """The names of the nodes that a component is on or between; a part of the mesh is all of its nodes."""
    match component.kind:
        case "link" | "adjacency":
            return tuple(node for node, _ in names.ends(component))
        case "interface":
            return (names.owner(component),)
        case _:
            return tuple(component.name.split(","))


def part_of(component: Component, whole: Component) -> bool:
    """Whether a component breaks with another: a link with its adjacency, both with an interface, all with a node.

    >>> link, pair = names.link("n1", "a", "n2", "b"), names.adjacency("n1", "a", "n2", "b")
    >>> part_of(link, pair), part_of(pair, names.interface("n2", "b")), part_of(pair, link)
    (True, True, False)
    """
    if component == whole:
        return False
    match whole.kind:
        case "adjacency":
            return component.kind == "link" and set(names.ends(component)) == set(names.ends(whole))
        case "interface":
            place = (names.owner(whole), whole.name.partition(":")[2])
            return component.kind in ("link", "adjacency") and place in names.ends(component)
        case "node" | "partition":
            inner = ("link", "adjacency", "interface", *(("node",) if whole.kind == "partition" else ()))
            return component.kind in inner and bool(set(nodes(component)) & set(nodes(whole)))
        case _:
            return False
