"""The mesh as the controller sees it: at a glance, its nodes, its links, who is whose neighbour."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from operator import attrgetter, itemgetter
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from x0tta6bl4.core import documents
from x0tta6bl4.core.api.incidents import IncidentRow, Symptom
from x0tta6bl4.core.api.shapes import (
    Cursor,
    Document,
    Limit,
    Page,
    Shape,
    eg,
    operation,
    snapshot_of,
    snapshot_page,
)
from x0tta6bl4.core.problems import Problem
from x0tta6bl4.core.state import State
from x0tta6bl4.core.view import LinkView, MeshView

NAME = attrgetter("name")
STATES = "well, suspect, down, or unknown where nothing was heard of it yet"


class Interface(Shape):
    """One hard interface of a node; null is not known."""

    name: str = eg("wlan0")
    up: bool | None = eg(True, "Switched on and with carrier.")
    attached: bool | None = eg(True, "Part of the mesh.")
    primary: bool | None = eg(True, "Gives the node its originator address.")
    mtu: int | None = eg(1560, "Bytes.")


class Node(Shape):
    """One expected node."""

    name: str = eg("n1")
    state: str = eg("well", STATES)
    report_age_s: float | None = eg(0.2, "Since its agent last reported.")
    interfaces: list[Interface]
    boot_id: str = eg("b1")


class Link(Shape):
    """One directed link."""

    id: str = eg("n1:wlan0>n2", "SOURCE:INTERFACE>TARGET.")
    source: str = eg("n1")
    target: str = eg("n2")
    interface: str = eg("wlan0", "Of the source.")
    state: str = eg("well", STATES + "; avoided under a mitigation")
    loss_ratio: float | None = eg(0.01)
    rtt_ms: float | None = eg(1.8)
    quality: float | None = eg(0.98, "0 to 1: TQ / 255, or throughput against the best.")


class Peer(Shape):
    """A neighbour of a node over one of its interfaces, with what goes out to it and what comes in from it."""

    id: str = eg("n1:wlan0>n2")
    node: str = eg("n1")
    peer: str = eg("n2")
    interface: str = eg("wlan0")
    out_state: str = eg("well")
    out_loss_ratio: float | None = eg(0.01)
    in_state: str | None = eg("well", "Null where the way back is not known.")
    in_loss_ratio: float | None = eg(0.02)
    rtt_ms: float | None = eg(1.8)
    quality: float | None = eg(0.98)


class Client(Shape):
    """What a pair of clients sees end to end; only the lab's meshes have them."""

    source: str = eg("n2")
    target: str = eg("n3")
    well: bool | None = eg(True)
    loss_ratio: float | None = eg(0.0)
    rtt_ms: float | None = eg(3.1)


class Fault(Shape):
    """A fault that the lab injected; the controller never sees it."""

    id: str = eg("injected-1")
    kind: str = eg("link-loss")
    component: str = eg("adjacency/n2:v2-3<>n3:v3-2")
    since_s: float = eg(2.5)
    remaining_s: float | None = eg(17.5)


class Risk(Shape):
    """A latent weakness: nothing hurts yet."""

    code: str = eg("fragile-primary")
    component: str = eg("node/n3")
    title: str = eg("n3 hangs on one interface")
    remedy: str = eg("add an always-up dummy as primary interface")
    evidence: str = eg("wlan0 is primary")


class Status(Shape):
    """The mesh at a glance."""

    backend: str = eg("mesh", "mesh (this machine's), sim, vm or host.")
    algorithm: str = eg("BATMAN_IV")
    seat: str = eg("n1", "Node beside which the controller sits.")
    iteration: int = eg(8412)
    passes: int = eg(8412)
    health: str = eg("degraded", "well, or degraded while an incident is open.")
    nodes: dict[str, int] = eg({"well": 6}, "How many in each state.")
    node_list: list[Node]
    links: list[Link]
    clients: list[Client]
    faults: list[Fault]
    symptoms: list[Symptom]
    incidents_open: list[IncidentRow]
    risks: list[Risk]
    sensor_errors: dict[str, str] = eg({"kernel": "timed out"}, "Sensor to why it gives nothing.")
    paused: bool = eg(False)
    kill_switch: bool = eg(False)


class NodeDetail(Node):
    """One node with all that concerns it."""

    links: list[Link]
    incidents_open: list[IncidentRow]
    risks: list[Risk]


def no_node(view: MeshView, name: str) -> Problem:
    """404 that names the nodes there are."""
    known = sorted(node.name for node in view.nodes)[:100]
    return Problem(HTTPStatus.NOT_FOUND, f"no node {name!r} in this mesh", known=known)


def peers(links: Sequence[LinkView], node: str) -> list[Document]:
    """The neighbours of one node, or of all ("")."""
    back: dict[tuple[str, str], LinkView] = {(link.source, link.target): link for link in links}
    found = []
    for link in links:
        if node in ("", link.source):
            way_back = back.get((link.target, link.source))
            found.append(
                {
                    "id": documents.link_id(link),
                    "node": link.source,
                    "peer": link.target,
                    "interface": link.interface,
                    "out_state": link.state,
                    "out_loss_ratio": documents.plain(link.loss_ratio),
                    "in_state": way_back.state if way_back else None,
                    "in_loss_ratio": documents.plain(way_back.loss_ratio) if way_back else None,
                    "rtt_ms": documents.plain(link.rtt_ms),
                    "quality": documents.plain(link.quality),
                }
            )
    return found


def routes(state: State) -> APIRouter:
    """The operations."""
    router = APIRouter(tags=["mesh"])

    @router.get("/v1/mesh/status", **operation("mesh_status", Status, 304, 503))
    async def status(request: Request) -> Response:
        """The mesh at a glance: nodes, links, open incidents, latent risks. Changes with each pass; has an ETag."""
        return state.snapshots.answer("status", request, _status)

    def _status() -> Any:
        return documents.status(snapshot_of(state), state.readers.incidents())

    @router.get("/v1/mesh/nodes", **operation("list_nodes", Page[Node], 304, 503))
    async def list_nodes(request: Request, limit: Limit = 100, cursor: Cursor = "") -> Response:
        """Every expected node, by name; has an ETag."""
        return snapshot_page(state, request, "nodes", attrgetter("nodes"), key=NAME, limit=limit, cursor=cursor)

    @router.get("/v1/mesh/nodes/{name}", **operation("get_node", NodeDetail, 304, 404, 503))
    async def get_node(request: Request, name: Annotated[str, Path(max_length=255)]) -> Response:
        """One node by its inventory name, with its links, open incidents and risks; has an ETag."""

        def node() -> Document:
            """It, or a 404."""
            snapshot = snapshot_of(state)
            found = documents.node(snapshot, name, state.readers.incidents())
            if found is None:
                raise no_node(snapshot.view, name)
            return found

        return state.snapshots.answer(f"node {name}", request, node)

    @router.get("/v1/mesh/links", **operation("list_links", Page[Link], 304, 503))
    async def list_links(request: Request, limit: Limit = 100, cursor: Cursor = "") -> Response:
        """Every directed link; has an ETag."""
        key, document = documents.link_id, documents.link
        listed = attrgetter("links")
        return snapshot_page(state, request, "links", listed, key=key, document=document, limit=limit, cursor=cursor)

    @router.get("/v1/mesh/peers", **operation("list_peers", Page[Peer], 304, 404, 503))
    async def list_peers(
        request: Request,
        node: Annotated[str, Query(max_length=255, description="Of this node only; empty: of all.")] = "",
        limit: Limit = 100,
        cursor: Cursor = "",
    ) -> Response:
        """Who is whose neighbour, and how well both directions go; has an ETag."""

        def neighbours(view: MeshView) -> list[Document]:
            """Them, or a 404."""
            if node and node not in {one.name for one in view.nodes}:
                raise no_node(view, node)
            return peers(view.links, node)

        name = f"peers {node!r}"
        return snapshot_page(state, request, name, neighbours, key=itemgetter("id"), limit=limit, cursor=cursor)

    return router
