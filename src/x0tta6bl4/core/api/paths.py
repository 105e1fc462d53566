"""The mesh as a graph: the way between two nodes, the topology, where it would part."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from x0tta6bl4.core import documents, netjson, routing
from x0tta6bl4.core.api.mesh import no_node
from x0tta6bl4.core.api.shapes import Document, Shape, eg, operation, snapshot_of
from x0tta6bl4.core.state import State

Name = Annotated[str, Query(min_length=1, max_length=255, description="Name of a node.")]


class Hop(Shape):
    """One link of a way."""

    source: str = eg("n1")
    target: str = eg("n2")
    interface: str = eg("v1-2")
    state: str = eg("well")
    loss_ratio: float | None = eg(0.01)
    rtt_ms: float | None = eg(1.8)


class Route(Shape):
    """The way from one node to another."""

    source: str = eg("n1")
    target: str = eg("n3")
    found: bool = eg(True)
    basis: str = eg(
        "routing tables", "`routing tables`: as the nodes themselves forward now. `link quality`: the best way over "
        "links that carry something, where a table is not known."
    )  # fmt: skip
    path: list[str] = eg(["n1", "n2", "n3"], "Nodes in order; empty where there is no way.")
    hops: list[Hop]
    latency_ms: float | None = eg(1.8, "Expected one way: half the round trips; null where one is not known.")
    loss_ratio: float | None = eg(0.02, "Expected over the whole way; null where one is not known.")
    detail: str = eg("", "Why there is no way, or what is wrong with it.")


class TopologyNode(Shape):
    """One vertex."""

    name: str = eg("n1")
    state: str = eg("well")


class TopologyLink(Shape):
    """One edge: two neighbours and the state of both directions."""

    nodes: list[str] = eg(["n1", "n2"])
    states: list[str] = eg(["well", "suspect"], "From the first to the second, and back; unknown where not seen.")
    carries: bool = eg(True, "At least one direction is not down.")


class Topology(Shape):
    """Nodes and the pairs of neighbours."""

    seat: str = eg("n1")
    nodes: list[TopologyNode]
    links: list[TopologyLink]


class NetJsonNode(Shape):
    """A node of NetJSON."""

    id: str = eg("n1")
    label: str = eg("n1")
    local_addresses: list[str] = eg(["02:00:00:00:00:01"])
    properties: Document = eg({"state": "well"})


class NetJsonLink(Shape):
    """A link of NetJSON, worse direction first."""

    source: str = eg("n1")
    target: str = eg("n2")
    cost: float = eg(1.02)
    cost_text: str = eg("TQ 250/255")
    properties: Document = eg({"state": "well"})


class NetworkGraph(Shape):
    """https://netjson.org/rfc.html#name-networkgraph."""

    type: str = eg("NetworkGraph")
    protocol: str = eg("batman-adv")
    version: str | None = eg(None)
    metric: str | None = eg("TQ")
    label: str = eg("mesh")
    nodes: list[NetJsonNode]
    links: list[NetJsonLink]


class CutVertices(Shape):
    """What holds the mesh together alone."""

    vertices: list[str] = eg(["n3"], "Nodes whose loss would part the mesh.")
    bridges: list[list[str]] = eg([["n3", "n7"]], "Pairs of neighbours whose link is the only way.")
    parts: list[list[str]] = eg([["n1", "n2", "n3"]], "What is connected now; more than one where it is parted.")


def routes(state: State) -> APIRouter:
    """The operations."""
    router = APIRouter(tags=["mesh"])

    @router.get("/v1/mesh/routes", **operation("get_routes", Route, 304, 404, 503))
    async def get_routes(request: Request, source: Name, target: Name) -> Response:
        """The way that packets take from one node to another, and what to expect of it; has an ETag."""

        def way() -> object:
            """It, or a 404 where a name is unknown."""
            view = snapshot_of(state).view
            known = {node.name for node in view.nodes}
            for name in (source, target):
                if name not in known:
                    raise no_node(view, name)
            return documents.plain(routing.route(view, source, target))

        return state.snapshots.answer(f"route {source!r} {target!r}", request, way)

    @router.get("/v1/mesh/topology", **operation("get_topology", Topology, 304, 503))
    async def get_topology(request: Request) -> Response:
        """Nodes and pairs of neighbours; has an ETag."""
        return state.snapshots.answer("topology", request, lambda: routing.topology(snapshot_of(state).view))

    @router.get("/v1/mesh/topology/netjson", **operation("get_netjson", NetworkGraph, 304, 503))
    async def get_netjson(request: Request) -> Response:
        """The topology as a NetJSON NetworkGraph, which mesh tools read; has an ETag."""
        return state.snapshots.answer("netjson", request, lambda: netjson.graph(snapshot_of(state).view))

    @router.get("/v1/mesh/cut-vertices", **operation("cut_vertices", CutVertices, 304, 503))
    async def cut_vertices(request: Request) -> Response:
        """Nodes and links that the mesh cannot lose, over links that carry something now; has an ETag."""
        return state.snapshots.answer("cuts", request, lambda: routing.cuts(snapshot_of(state).view))

    return router
