"""Actions, and the mitigations among them that hold a lease."""

# ruff: noqa: FAST003  # the parameter `id` has an alias (shapes.Ident)
from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Response

from x0tta6bl4.core import documents
from x0tta6bl4.core.api.incidents import ActionDetail
from x0tta6bl4.core.api.shapes import Cursor, Ident, Limit, Page, Shape, after, answer, eg, operation, page, snapshot_of
from x0tta6bl4.core.archive import ActionFilter
from x0tta6bl4.core.problems import Problem
from x0tta6bl4.core.state import State
from x0tta6bl4.model import ActionState


class Mitigation(Shape):
    """A confirmed change that departs from the declared configuration and will be reverted."""

    id: str = eg("019a5b3e-8c1d-7000-8000-000000000002", "The id of its action.")
    incident: str = eg("019a5b3e-8c1d-7000-8000-000000000001")
    kind: str = eg("set-hop-penalty")
    target: str = eg("interface/n2:v2-3")
    origin: str = eg("n2", "Who holds it: a node's agent, or the controller.")
    age_s: float = eg(11.9, "Since it was proposed.")
    avoids: list[str] = eg(["link/n2:v2-3>n3:v3-2"], "What must be well, out of path; empty: only its holder knows.")
    hold_s: float | None = eg(10.0, "For how long that must be well; null: only its holder knows.")
    well_s: float | None = eg(None, "For how long it has been; null while it is not.")
    held_until_s: float | None = eg(None, "Seconds until it is reverted if all stays well; null while that is open.")


def routes(state: State) -> APIRouter:
    """The operations."""
    router = APIRouter(tags=["actions"])

    @router.get("/v1/actions", **operation("list_actions", Page[ActionDetail], 503))
    def list_actions(
        incident: Annotated[str, Query(max_length=255, description="Of this incident only.")] = "",
        which: Annotated[ActionState | None, Query(alias="state", description="Only those in this state.")] = None,
        kind: Annotated[str, Query(max_length=255, description="Of this kind only.")] = "",
        limit: Limit = 100,
        cursor: Cursor = "",
    ) -> Response:
        """Actions, newest first. Agents' actions are listed as far as this process remembers them."""
        at = snapshot_of(state).iteration.at
        found = state.archive.actions(ActionFilter(incident, which, kind), cursor, limit + 1)
        return page(found, lambda record: record.id, lambda record: documents.action(record, at), limit)

    @router.get("/v1/actions/{id}", **operation("get_action", ActionDetail, 404, 503))
    def get_action(ident: Ident) -> Response:
        """One action as it stands."""
        at = snapshot_of(state).iteration.at
        record = state.archive.action(ident)
        if record is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"no action {ident!r} is remembered")
        return answer(documents.action(record, at))

    @router.get("/v1/mitigations", **operation("list_mitigations", Page[Mitigation], 503))
    async def list_mitigations(limit: Limit = 100, cursor: Cursor = "") -> Response:
        """Leases that are held now: the controller's own, and those that agents told of."""
        snapshot = snapshot_of(state)
        held = {record.id: record for record in state.readers.leases()}
        held.update({record.id: record for record in snapshot.view.control.leases})  # it knows more of its own

        def ident(document: dict[str, object]) -> str:
            """The key of the page."""
            return str(document["id"])

        found = [documents.mitigation(record, snapshot.iteration.at) for record in held.values()]
        return page(after(found, ident, cursor, limit), ident, lambda one: one, limit)

    return router
