"""Ways through the mesh, out of one view of it: what the routing tables say, and what the links would allow."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from x0tta6bl4.core.view import LinkView, MeshView
from x0tta6bl4.mape_k.graph import cut_points, reachable
from x0tta6bl4.model import Component

TABLES, QUALITY = "routing tables", "link quality"
HOP_COST: Final = 0.05  # what a hop costs besides its quality: of two ways as good, the shorter one
WORST: Final = 0.01  # the least quality that a link which carries something is believed to have


@dataclass(frozen=True, slots=True)
class Hop:
    """One link of a way."""

    source: str
    target: str
    interface: str
    state: str
    loss_ratio: float | None
    rtt_ms: float | None


@dataclass(frozen=True, slots=True)
class Route:
    """The way from one node to another; `found` is False where there is none, and `detail` says why."""

    source: str
    target: str
    found: bool
    basis: str
    path: tuple[str, ...] = ()
    hops: tuple[Hop, ...] = ()
    latency_ms: float | None = None
    loss_ratio: float | None = None
    detail: str = ""


def route(view: MeshView, source: str, target: str) -> Route:
    """The way by the nodes' own routing tables; by the quality of links where a table on the way is not known."""
    path, why = _by_tables(view.routes, source, target)
    if path:
        return _judged(view.links, path, TABLES)
    if why:
        return Route(source, target, False, TABLES, detail=why)
    best = _by_quality(view.links, source, target)
    if best:
        return _judged(view.links, best, QUALITY)
    return Route(source, target, False, QUALITY, detail=f"no links that carry anything lead from {source} to {target}")


def _by_tables(routes: Mapping[str, Mapping[str, str]], source: str, target: str) -> tuple[list[str], str]:
    """(nodes in order, why there is no way); both empty where a table is not known."""
    path = [source]
    while path[-1] != target:
        table = routes.get(path[-1])
        if table is None:
            return [], ""
        via = table.get(target)
        if via is None:
            return [], f"{path[-1]} has no route to {target}"
        if via in path:
            return [], f"a loop: {' > '.join([*path, via])}"
        path.append(via)
    return path, ""


def _cost(link: LinkView) -> float:
    quality = link.quality if link.quality is not None else 1.0 - (link.loss_ratio or 0.0)
    return HOP_COST - math.log(max(WORST, min(1.0, quality)))


def _by_quality(links: Iterable[LinkView], source: str, target: str) -> list[str]:
    """Dijkstra over -log(quality): the way with the best product of qualities."""
    onward: dict[str, list[tuple[str, float]]] = {}
    for link in links:
        if _carries(link):
            onward.setdefault(link.source, []).append((link.target, _cost(link)))
    heap: list[tuple[float, str, tuple[str, ...]]] = [(0.0, source, (source,))]
    done: set[str] = set()
    while heap:
        cost, node, path = heapq.heappop(heap)
        if node == target:
            return list(path)
        if node in done:
            continue
        done.add(node)
        for following, step in onward.get(node, ()):
            if following not in done:
                heapq.heappush(heap, (cost + step, following, (*path, following)))
    return []


def _carries(link: LinkView) -> bool:
    return link.state != "down"


def _judged(links: Sequence[LinkView], path: Sequence[str], basis: str) -> Route:
    """What to expect of a way: losses multiply, half round trips add up."""
    hops = [_hop(links, a, b) for a, b in pairwise(path)]
    losses, trips = [hop.loss_ratio for hop in hops], [hop.rtt_ms for hop in hops]
    passed = None if None in losses else math.prod(1.0 - loss for loss in losses if loss is not None)
    down = [f"{hop.source} > {hop.target}" for hop in hops if hop.state == "down"]
    return Route(
        path[0],
        path[-1],
        True,
        basis,
        tuple(path),
        tuple(hops),
        None if None in trips else round(sum(trip / 2 for trip in trips if trip is not None), 3),
        None if passed is None else round(1.0 - passed, 6),
        f"on the way is down: {', '.join(down)}" if down else "",
    )


def _hop(links: Sequence[LinkView], source: str, target: str) -> Hop:
    """The best link between two neighbours; one that is not known is said to be so."""
    between = [link for link in links if (link.source, link.target) == (source, target)]
    best = min(between, key=lambda link: (not _carries(link), _cost(link)), default=None)
    if best is None:
        return Hop(source, target, "", "unknown", None, None)
    return Hop(source, target, best.interface, best.state, best.loss_ratio, best.rtt_ms)


def pairs(links: Iterable[LinkView]) -> dict[tuple[str, str], list[LinkView]]:
    """Pairs of neighbours (names in order) with all their directed links."""
    found: dict[tuple[str, str], list[LinkView]] = {}
    for link in links:
        one, other = sorted((link.source, link.target))
        found.setdefault((one, other), []).append(link)
    return found


def topology(view: MeshView) -> dict[str, Any]:
    """Nodes and pairs of neighbours."""

    def state(links: Sequence[LinkView], source: str) -> str:
        """The best state of what leaves `source`."""
        order = ("well", "suspect", "avoided", "down", "unknown")
        return min((link.state for link in links if link.source == source), key=order.index, default="unknown")

    return {
        "seat": view.seat,
        "nodes": [{"name": node.name, "state": node.state} for node in view.nodes],
        "links": [
            {"nodes": [a, b], "states": [state(links, a), state(links, b)], "carries": any(map(_carries, links))}
            for (a, b), links in sorted(pairs(view.links).items())
        ],
    }


def cuts(view: MeshView) -> dict[str, Any]:
    """Cut vertices, bridges and parts, over neighbours with at least one link that carries something."""
    near: dict[Component, set[Component]] = {Component("node", node.name): set() for node in view.nodes}
    for (a, b), links in pairs(view.links).items():
        if any(map(_carries, links)):
            one, other = Component("node", a), Component("node", b)
            near.setdefault(one, set()).add(other)
            near.setdefault(other, set()).add(one)
    vertices, bridges = cut_points(near)
    return {
        "vertices": sorted(vertex.name for vertex in vertices),
        "bridges": sorted(sorted(vertex.name for vertex in bridge) for bridge in bridges),
        "parts": _parts(near),
    }


def _parts(near: Mapping[Component, set[Component]]) -> list[list[str]]:
    left, parts = set(near), []
    while left:
        part = reachable(near, min(left))
        left -= part
        parts.append(sorted(vertex.name for vertex in part))
    return sorted(parts, key=lambda part: (-len(part), part))
