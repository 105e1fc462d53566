"""What is expected to be there, and what was measured of it."""

from __future__ import annotations

from operator import attrgetter
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from x0tta6bl4.core import documents
from x0tta6bl4.core.api.requests import ComponentText
from x0tta6bl4.core.api.shapes import Cursor, Limit, Page, Shape, answer, eg, operation, snapshot_of, snapshot_page
from x0tta6bl4.core.state import State
from x0tta6bl4.model import Component

WEEK_S = 7 * 86_400.0


class DeclaredInterface(Shape):
    """A hard interface that the operator declared."""

    name: str = eg("wlan0")
    mac: str = eg("02:00:00:00:01:01")
    mtu: int = eg(1560)
    dummy: bool = eg(False)
    radio: bool = eg(False)


class Declared(Shape):
    """One expected node."""

    name: str = eg("n1")
    address: str = eg("02:00:00:00:00:01", "MAC address of its mesh interface; empty where it was not declared.")
    algorithm: str = eg("BATMAN_IV")
    orig_interval_ms: int = eg(1000)
    interfaces: list[DeclaredInterface]


class Point(Shape):
    """One reading, or a minute of them."""

    age_s: float = eg(12.0)
    value: float | None = eg(0.03, "The reading, or the mean of a minute.")
    low: float | None = eg(0.03)
    high: float | None = eg(0.03)
    raw: bool = eg(True, "False: a minute's mean, minimum and maximum.")


class Readings(Shape):
    """One metric of one component over time."""

    component: str = eg("link/n1:v1-2>n2:v2-1")
    metric: str = eg("loss_ratio")
    points: list[Point]


def routes(state: State) -> APIRouter:
    """The operations."""
    router = APIRouter(tags=["inventory"])

    @router.get("/v1/inventory", **operation("get_inventory", Page[Declared], 304, 503))
    async def get_inventory(request: Request, limit: Limit = 100, cursor: Cursor = "") -> Response:
        """The expected nodes with their interfaces, as declared; has an ETag."""
        name, listed = "inventory", attrgetter("inventory")
        return snapshot_page(state, request, name, listed, key=attrgetter("name"), limit=limit, cursor=cursor)

    @router.get("/v1/readings", **operation("get_readings", Readings, 503))
    def get_readings(
        component: Annotated[ComponentText, Query()],
        metric: Annotated[str, Query(min_length=1, max_length=64, pattern="^[a-z0-9_]+$")],
        since_s: Annotated[float, Query(gt=0, le=WEEK_S, description="How far back.")] = 300.0,
    ) -> Response:
        """One metric of one component, oldest first; no points where nothing was measured."""
        snapshot_of(state)
        points = state.archive.readings(Component.parse(component), metric, since_s)
        return answer({"component": component, "metric": metric, "points": [documents.plain(p) for p in points]})

    return router
