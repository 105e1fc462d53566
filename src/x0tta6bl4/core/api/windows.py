"""Maintenance windows: trouble that is expected, of a component and of all that is part of it."""

# ruff: noqa: FAST003  # the parameter `id` has an alias (shapes.Ident)
from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from x0tta6bl4.core import documents
from x0tta6bl4.core.api.requests import Body, ComponentText, Reason, asked
from x0tta6bl4.core.api.shapes import (
    Cursor,
    Document,
    Ident,
    Limit,
    Page,
    Shape,
    after,
    eg,
    operation,
    page,
    snapshot_of,
)
from x0tta6bl4.core.state import State
from x0tta6bl4.mape_k import commands
from x0tta6bl4.model import Component

MONTH_S = 31 * 86_400.0


class MaintenanceWindow(Shape):
    """One span of expected trouble."""

    id: str = eg("019a5b3e-8c1d-7000-8000-000000000004", "Empty: a node said itself that it reboots.")
    component: str = eg("node/n3")
    starts_in_s: float = eg(0.0, "Negative where it has begun.")
    ends_in_s: float = eg(3600.0)
    active: bool = eg(True)
    reason: str = eg("new kernel")


class WindowRequest(Body):
    """A component, a span and why."""

    component: ComponentText
    start_in_s: Annotated[float, Field(ge=0, le=MONTH_S, allow_inf_nan=False, examples=[0.0])] = 0.0
    duration_s: Annotated[float, Field(gt=0, le=MONTH_S, allow_inf_nan=False, examples=[3600.0])]
    reason: Reason = Field(examples=["new kernel"])


class Removed(Shape):
    """It is not expected any longer."""

    id: str = eg("019a5b3e-8c1d-7000-8000-000000000004")


def routes(state: State) -> APIRouter:
    """The operations."""
    router = APIRouter(tags=["maintenance"])

    @router.get("/v1/maintenance-windows", **operation("list_windows", Page[MaintenanceWindow], 503))
    async def list_windows(limit: Limit = 100, cursor: Cursor = "") -> Response:
        """Those that have not ended, and reboots that nodes announced."""
        snapshot = snapshot_of(state)
        found = [documents.window(one, snapshot.iteration.at) for one in snapshot.view.control.windows]

        def key(document: Document) -> str:
            """The key of the page: those that nodes announced have no id."""
            return f"{document['id']}{document['component']}"

        return page(after(found, key, cursor, limit), key, lambda one: one, limit)

    @router.post("/v1/maintenance-windows", **operation("add_window", MaintenanceWindow, 409, 503, status=201))
    async def add_window(request: WindowRequest) -> Response:
        """Expect trouble: its symptoms open no incidents meanwhile. It holds over restarts."""
        command = partial(
            commands.add_window,
            component=Component.parse(request.component),
            start_in_s=request.start_in_s,
            duration_s=request.duration_s,
            reason=request.reason,
        )
        return await asked(
            state, command, lambda window: documents.window(window, snapshot_of(state).iteration.at), status=201
        )

    @router.delete("/v1/maintenance-windows/{id}", **operation("remove_window", Removed, 404, 409, 503))
    async def remove_window(ident: Ident) -> Response:
        """Expect it no longer."""
        return await asked(state, partial(commands.remove_window, window=ident), lambda _: {"id": ident})

    return router
