"""Time travel: what the loop saw, thought and did in a pass that decided something."""

# ruff: noqa: FAST003  # the parameter `id` has an alias
from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from x0tta6bl4.core import documents
from x0tta6bl4.core.api.incidents import Symptom
from x0tta6bl4.core.api.shapes import Cursor, Limit, Page, Shape, answer, eg, operation, page, snapshot_of
from x0tta6bl4.core.problems import Problem
from x0tta6bl4.core.state import State

PassIdent = Annotated[
    str,
    Path(
        alias="id",
        pattern="^([0-9]{1,9}-)?[0-9]{1,18}$",
        description="EPOCH-NUMBER, as `id` has it; NUMBER alone is the newest of that number.",
        examples=["1-8412"],
    ),
]


class Verdict(Shape):
    """What was believed of an incident in that pass."""

    incident: str = eg("019a5b3e-8c1d-7000-8000-000000000001")
    state: str = eg("open")
    cause: str = eg("link-lossy")
    component: str = eg("adjacency/n2:v2-3<>n3:v3-2")
    confidence: float | None = eg(0.93)


class Step(Shape):
    """An action that changed in that pass."""

    id: str = eg("019a5b3e-8c1d-7000-8000-000000000002")
    state: str = eg("applied")


class IterationDetail(Shape):
    """One pass."""

    id: str = eg("1-8412", "EPOCH-NUMBER.")
    number: int = eg(8412)
    epoch: int = eg(1, "Grows with each process; numbers begin anew with it.")
    at_utc: float = eg(1_790_000_000.0, "By the wall clock of the controller's machine.")
    readings: int = eg(120, "Values that were folded.")
    phase_s: dict[str, float] = eg({"monitor": 0.001}, "How long each phase took.")
    errors: dict[str, str] = eg({}, "Sensor to why it gave nothing.")
    symptoms: list[Symptom]
    verdicts: list[Verdict]
    plans: list[str] = eg(["019a5b3e-8c1d-7000-8000-000000000003"])
    actions: list[Step]
    events: list[int] = eg([4711], "Numbers of its events in the loop's own count.")
    anomalies: int = eg(2)
    risks: int = eg(1)


def routes(state: State) -> APIRouter:
    """The operations."""
    router = APIRouter(tags=["iterations"])

    @router.get("/v1/iterations", **operation("list_iterations", Page[IterationDetail], 503))
    def list_iterations(
        at: Annotated[
            float | None, Query(ge=0, le=1e11, description="UTC seconds: begin with the last pass at or before it.")
        ] = None,
        limit: Limit = 20,
        cursor: Cursor = "",
    ) -> Response:
        """Passes that decided something, newest first."""
        snapshot_of(state)
        found = state.archive.passes(at, cursor, limit + 1)
        return page(found, lambda one: one.id, documents.iteration, limit)

    @router.get("/v1/iterations/{id}", **operation("get_iteration", IterationDetail, 404, 503))
    def get_iteration(ident: PassIdent) -> Response:
        """One pass by its id, or the newest of a number; 404 where it decided nothing or is forgotten."""
        epoch, _, number = ident.rpartition("-")
        found = state.archive.one_pass(int(number), int(epoch) if epoch else None)
        if found is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"pass {ident} decided nothing, or is forgotten")
        return answer(documents.iteration(found))

    return router
