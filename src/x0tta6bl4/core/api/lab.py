"""Breaking things on purpose; only a mesh that the lab made can be asked to."""

# ruff: noqa: FAST003  # the parameter `id` has an alias (shapes.Ident)
from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from x0tta6bl4.core import documents
from x0tta6bl4.core.api.mesh import Fault
from x0tta6bl4.core.api.requests import Body, refused
from x0tta6bl4.core.api.shapes import Cursor, Ident, Limit, Page, Shape, after, answer, eg, operation, page, snapshot_of
from x0tta6bl4.core.problems import Problem
from x0tta6bl4.core.state import State
from x0tta6bl4.core.view import FaultView, LabSource
from x0tta6bl4.errors import ConfigError

Word = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[!-~]+$")]
Number = Annotated[float, Field(allow_inf_nan=False)]


class FaultRequest(Body):
    """A fault to inject into a lab's mesh."""

    kind: Annotated[Word, Field(examples=["link-loss"])]
    target: Annotated[Word, Field(examples=["n2-n3"])]
    for_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False, examples=[20.0])] = 20.0
    parameters: Annotated[dict[Word, Number], Field(max_length=16, examples=[{"loss_ratio": 0.4}])] = Field(
        default_factory=dict
    )


class Injected(Shape):
    """The fault that began, or was ended."""

    id: str = eg("injected-1")


def _id(fault: FaultView) -> str:
    return fault.id


def routes(state: State) -> APIRouter:
    """The operations."""
    router = APIRouter(tags=["lab"])

    def lab() -> LabSource:
        if not isinstance(state.source, LabSource):
            raise Problem(HTTPStatus.CONFLICT, "this mesh is no lab: faults are never injected into it")
        return state.source

    @router.get("/v1/lab/faults", **operation("list_faults", Page[Fault], 503))
    async def list_faults(limit: Limit = 100, cursor: Cursor = "") -> Response:
        """Faults that are active now; the controller never sees this list."""
        return page(after(snapshot_of(state).view.faults, _id, cursor, limit), _id, documents.plain, limit)

    @router.post("/v1/lab/faults", **operation("inject_fault", Injected, 409, status=201))
    def inject_fault(request: FaultRequest) -> Response:
        """Break something; it ends by itself after `for_s`."""
        try:
            ident = lab().inject(request.kind, request.target, request.for_s, request.parameters)
        except ConfigError as error:
            raise refused(error) from None
        return answer({"id": ident}, HTTPStatus.CREATED)

    @router.delete("/v1/lab/faults/{id}", **operation("end_fault", Injected, 404, 409))
    def end_fault(ident: Ident) -> Response:
        """End an injected fault before its time."""
        if not lab().end(ident):
            raise Problem(HTTPStatus.NOT_FOUND, f"no injected fault {ident!r} is active")
        return answer({"id": ident})

    return router
