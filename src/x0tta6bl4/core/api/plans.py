"""Plans: what was considered, what was chosen, and a person's yes or no to what waits for one."""

# ruff: noqa: FAST003  # the parameter `id` has an alias (shapes.Ident)
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from x0tta6bl4.core import documents
from x0tta6bl4.core.api.incidents import PlanDetail
from x0tta6bl4.core.api.requests import Body, Reason, Text, asked
from x0tta6bl4.core.api.shapes import Cursor, Ident, Limit, Page, answer, operation, page, snapshot_of
from x0tta6bl4.core.archive import PlanFile, PlanState
from x0tta6bl4.core.problems import Problem
from x0tta6bl4.core.state import State
from x0tta6bl4.mape_k import commands


class ApproveRequest(Body):
    """Why it may be done."""

    reason: Text = Field(default="", examples=["checked with the site"])


class RejectRequest(Body):
    """Why it must not be done."""

    reason: Reason = Field(examples=["that link carries the uplink"])


def routes(state: State) -> APIRouter:
    """The operations."""
    router = APIRouter(tags=["plans"])

    def known(ident: str) -> PlanFile:
        file = state.archive.plan(ident)
        if file is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"no plan {ident!r} is remembered")
        return file

    def document(file: PlanFile) -> object:
        return documents.plan(file, snapshot_of(state).iteration.at)

    async def decide(ident: str, command: Callable[..., object]) -> Response:
        """Ask the loop about the action that a plan became."""
        file = await run_in_threadpool(known, ident)
        if file.action is None:
            raise Problem(HTTPStatus.CONFLICT, f"plan {ident!r} was {file.state}: nothing waits for a decision")
        return await asked(state, partial(command, action=file.action.id), lambda _: document(known(ident)))

    @router.get("/v1/plans", **operation("list_plans", Page[PlanDetail], 503))
    def list_plans(
        which: Annotated[PlanState | None, Query(alias="state", description="Only those in this state.")] = None,
        limit: Limit = 100,
        cursor: Cursor = "",
    ) -> Response:
        """Plans, newest first; those that wait for a person are `awaiting approval`."""
        snapshot_of(state)
        files = state.archive.plans(which or "", cursor, limit + 1)
        return page(files, lambda file: file.plan.id, document, limit)

    @router.get("/v1/plans/{id}", **operation("get_plan", PlanDetail, 404, 503))
    def get_plan(ident: Ident) -> Response:
        """One plan with all its candidates."""
        return answer(document(known(ident)))

    @router.post("/v1/plans/{id}/approve", **operation("approve_plan", PlanDetail, 404, 409, 503))
    async def approve_plan(ident: Ident, request: ApproveRequest) -> Response:
        """Say yes. The guards judge it again: 409 where the mesh has changed, or somebody has decided already."""
        return await decide(ident, partial(commands.approve, reason=request.reason))

    @router.post("/v1/plans/{id}/reject", **operation("reject_plan", PlanDetail, 404, 409, 503))
    async def reject_plan(ident: Ident, request: RejectRequest) -> Response:
        """Say no; the same is not proposed again for ten minutes."""
        return await decide(ident, partial(commands.reject, reason=request.reason))

    return router
