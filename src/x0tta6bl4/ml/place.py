"""Where in the graph a component stands: its part in keeping the mesh together, its degree, its way from the seat."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from x0tta6bl4.mape_k.graph import Neighbours, cut_points
from x0tta6bl4.model import Component


class Role(StrEnum):
    """What would be lost with a component."""

    PRIMARY = "primary interface"  # gives its node its name in the mesh
    BRIDGE = "bridge link"  # the only way between two parts
    CUT_VERTEX = "cut vertex"  # the mesh falls apart without it
    LEAF = "leaf"  # has one neighbour
    SEAT = "seat"  # the controller sits there


@dataclass(frozen=True, slots=True)
class Place:
    """A component's place. degree: of its best connected vertex; hops: of its nearest vertex from the seat.

    ring: it lies on a cycle, so that there is another way around it. None is unknown.
    """

    roles: frozenset[Role] = frozenset()
    degree: int | None = None
    hops: int | None = None
    ring: bool | None = None

    def near(self, other: Place) -> float:
        """[0, 1]: the share of degree, hops and ring that is the same."""
        return ((self.degree == other.degree) + (self.hops == other.hops) + (self.ring == other.ring)) / 3


class Places:
    """Places in one graph; what concerns the whole of it is computed once."""

    def __init__(self, neighbours: Neighbours, seat: Component | None = None) -> None:
        self._neighbours, self._seat = neighbours, seat
        self._cut_vertices, self._bridges = cut_points(neighbours)
        self._hops = _distances(neighbours, seat) if seat is not None else {}

    def part(self, vertices: Sequence[Component], *, primary: bool = False) -> Place:
        """The place of one vertex, or of a part of the graph. primary: it is, or holds, a primary interface."""
        ring = any(self._on_ring(vertex) for vertex in vertices if vertex in self._neighbours)
        return self._place(vertices, {Role.PRIMARY} if primary else set(), ring=ring)

    def link(self, one: Component, other: Component, *, primary: bool = False) -> Place:
        """The place of what joins two vertices. primary: an end of it is a primary interface."""
        bridge = frozenset((one, other)) in self._bridges
        roles = ({Role.PRIMARY} if primary else set()) | ({Role.BRIDGE} if bridge else set())
        return self._place((one, other), roles, ring=not bridge)

    def _place(self, vertices: Sequence[Component], roles: set[Role], *, ring: bool) -> Place:
        known = [vertex for vertex in vertices if vertex in self._neighbours]
        if not known:
            return Place(frozenset(roles))
        degrees = [len(self._neighbours[vertex]) for vertex in known]
        also = {
            Role.CUT_VERTEX: not self._cut_vertices.isdisjoint(known),
            Role.LEAF: 1 in degrees,
            Role.SEAT: self._seat in known,
        }
        roles = roles | {role for role, there in also.items() if there}
        hops = min((self._hops[vertex] for vertex in known if vertex in self._hops), default=None)
        return Place(frozenset(roles), max(degrees), hops, ring)

    def _on_ring(self, vertex: Component) -> bool:
        return any(frozenset((vertex, near)) not in self._bridges for near in self._neighbours[vertex])


def _distances(neighbours: Neighbours, start: Component) -> dict[Component, int]:
    """Hops from one vertex to every other that it reaches."""
    found, todo = {start: 0}, deque([start])
    while todo:
        vertex = todo.popleft()
        for near in neighbours.get(vertex, ()):
            if near not in found:
                found[near] = found[vertex] + 1
                todo.append(near)
    return found
