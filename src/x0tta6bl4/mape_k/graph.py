"""Questions to the graph: who is part of whom, who reaches whom, what would part it.

Relations come with layouts and stay (a component that vanished is stale, not unrelated). A link joins two vertices
by one `FROM` and one `TO` edge. Connectivity is asked over the links that carry something ("live").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from x0tta6bl4.model import Component, Edge, Layout, Relation

Neighbours = Mapping[Component, AbstractSet[Component]]


class Graph:
    """Components and their relations, with an index in both directions; `version` changes when it does."""

    def __init__(self) -> None:
        self._out: dict[tuple[Component, Relation], list[Component]] = {}
        self._in: dict[tuple[Component, Relation], list[Component]] = {}
        self._seen: set[Edge] = set()
        self._layouts: dict[int, Layout] = {}
        self.links: dict[Component, None] = {}  # everything with a FROM edge, in order of appearance
        self.version = 0
        self._ends: dict[Component, tuple[Component, Component]] = {}
        self._neighbours: dict[Component, set[Component]] = {}

    def learn(self, layout: Layout) -> None:
        """Take in the relations of a layout (nothing to do for one that is known)."""
        if self._layouts.get(id(layout)) is layout:
            return
        if len(self._layouts) > 20_000:
            self._layouts.clear()
        self._layouts[id(layout)] = layout
        self.add(layout.edges)

    def add(self, edges: Iterable[Edge]) -> None:
        """Add relations; one that is known is not added twice."""
        for edge in edges:
            if edge not in self._seen:
                self._seen.add(edge)
                self._out.setdefault((edge.source, edge.relation), []).append(edge.target)
                self._in.setdefault((edge.target, edge.relation), []).append(edge.source)
                if edge.relation is Relation.FROM:
                    self.links[edge.source] = None
                if edge.relation is not Relation.PART_OF and (ends := self.ends(edge.source)) is not None:
                    self._neighbours.setdefault(ends[0], set()).add(ends[1])
                    self._neighbours.setdefault(ends[1], set()).add(ends[0])
                self.version += 1

    def walk(self, start: Component, path: Sequence[tuple[Relation, bool]]) -> list[Component]:
        """Components reached from `start`; each step is (relation, backwards). An empty path is `start` itself."""
        reached = [start]
        for relation, backwards in path:
            index = self._in if backwards else self._out
            reached = [found for component in reached for found in index.get((component, relation), ())]
        return list(dict.fromkeys(reached)) if len(path) > 1 else reached

    def ends(self, link: Component) -> tuple[Component, Component] | None:
        """(from, to) vertices of a link, None where one is unknown."""
        known = self._ends.get(link)
        if known is None:
            start, end = self._out.get((link, Relation.FROM)), self._out.get((link, Relation.TO))
            if not (start and end):
                return None
            known = self._ends[link] = (start[0], end[0])
        return known

    def adjacency(self, links: Iterable[Component]) -> dict[Component, set[Component]]:
        """Undirected neighbours over the given links: a pair counts when at least one direction is among them."""
        neighbours: dict[Component, set[Component]] = {}
        for link in links:
            ends = self.ends(link)
            if ends is not None:
                neighbours.setdefault(ends[0], set()).add(ends[1])
                neighbours.setdefault(ends[1], set()).add(ends[0])
        return neighbours

    def neighbours(self) -> dict[Component, set[Component]]:
        """Undirected neighbours over all links, alive or not (kept up to date; do not change it)."""
        return self._neighbours


def reachable(
    neighbours: Neighbours, start: Component, without: frozenset[frozenset[Component]] = frozenset()
) -> set[Component]:
    """Every vertex that `start` reaches, itself included, over adjacencies that are not in `without`."""
    touched = {vertex for pair in without for vertex in pair}
    seen, todo = {start}, [start]
    while todo:
        vertex = todo.pop()
        for found in neighbours.get(vertex, ()):
            if found not in seen and not (
                vertex in touched and found in touched and frozenset((vertex, found)) in without
            ):
                seen.add(found)
                todo.append(found)
    return seen


def would_part(neighbours: Neighbours, pairs: Iterable[tuple[Component, Component]]) -> bool:
    """Would taking these adjacencies away separate vertices that are connected now?"""
    gone = {frozenset((a, b)) for a, b in pairs if b in neighbours.get(a, ())}
    without = {
        vertex: {n for n in near if frozenset((vertex, n)) not in gone}
        for vertex, near in neighbours.items()
        if any(vertex in pair for pair in gone)
    }
    for pair in gone:
        one, *other = pair
        if other and not _connected(neighbours, without, one, other[0]):
            return True
    return False


def _connected(neighbours: Neighbours, instead: Neighbours, start: Component, goal: Component) -> bool:
    seen, todo = {start}, [start]
    while todo:
        vertex = todo.pop()
        if vertex == goal:
            return True
        near = instead.get(vertex)
        for found in neighbours.get(vertex, ()) if near is None else near:
            if found not in seen:
                seen.add(found)
                todo.append(found)
    return False


def cut_points(neighbours: Neighbours) -> tuple[set[Component], set[frozenset[Component]]]:
    """Cut vertices and bridges (Tarjan 1972, iterative), of every connected part.

    >>> a, b, c = (Component("node", x) for x in "abc")
    >>> vertices, bridges = cut_points({a: {b}, b: {a, c}, c: {b}})
    >>> [str(v) for v in vertices], len(bridges)
    (['node/b'], 2)
    """
    order: dict[Component, int] = {}
    low: dict[Component, int] = {}
    vertices: set[Component] = set()
    bridges: set[frozenset[Component]] = set()
    for root in neighbours:
        if root in order:
            continue
        order[root] = low[root] = len(order)
        children = 0
        stack = [(root, root, iter(neighbours[root]))]
        while stack:
            vertex, parent, rest = stack[-1]
            for found in rest:
                if found not in order:
                    order[found] = low[found] = len(order)
                    children += vertex == root
                    stack.append((found, vertex, iter(neighbours.get(found, ()))))
                    break
                if found != parent:
                    low[vertex] = min(low[vertex], order[found])
            else:
                stack.pop()
                if vertex == root:
                    continue
                low[parent] = min(low[parent], low[vertex])
                if low[vertex] > order[parent]:
                    bridges.add(frozenset((vertex, parent)))
                if parent != root and low[vertex] >= order[parent]:
                    vertices.add(parent)
        if children > 1:
            vertices.add(root)
    return vertices, bridges
