"""How much the loop may do by itself: autonomy of each action kind, pause, kill switch."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import Field

from x0tta6bl4.catalog import Autonomy
from x0tta6bl4.core import documents
from x0tta6bl4.core.api.requests import Body, Reason, asked
from x0tta6bl4.core.api.shapes import Cursor, Limit, Page, Shape, after, answer, eg, operation, page, snapshot_of
from x0tta6bl4.core.state import State
from x0tta6bl4.core.view import PolicyView
from x0tta6bl4.mape_k import commands


class Policy(Shape):
    """How much the controller may do by itself with one kind of action."""

    kind: str = eg("set-hop-penalty")
    target: str = eg("interface", "Kind of component that it acts on.")
    title: str = eg("make BATMAN_IV avoid what is heard on an interface")
    level: str = eg("approve", "observe, advise, approve or act.")
    declared: str = eg("advise", "The level of the settings, in force again when an operator sets it.")
    risk: float = eg(0.1)
    repair: bool = eg(False, "It restores declared configuration.")
    irreversible: bool = eg(False)


class PolicySet(Shape):
    """The level that is in force now."""

    kind: str = eg("set-hop-penalty")
    level: str = eg("approve")


class Control(Shape):
    """What people switched."""

    paused: bool = eg(False, "Watches and diagnoses, plans nothing new.")
    kill_switch: bool = eg(False, "Every plan is refused; what is under way is proven or undone.")
    reason: str = eg("", "Why, in the words of who switched last.")


class PolicyRequest(Body):
    """The level from now on."""

    level: Annotated[Autonomy, Field(strict=False, examples=["approve"])]


class ControlRequest(Body):
    """What to switch; what is left out stays as it is."""

    paused: bool | None = Field(default=None, examples=[True])
    kill_switch: bool | None = Field(default=None, examples=[None])
    reason: Reason = Field(examples=["planned work on the mast"])


def _kind(policy: PolicyView) -> str:
    return policy.kind


def routes(state: State) -> APIRouter:
    """The operations."""
    router = APIRouter(tags=["control"])

    @router.get("/v1/policies/autonomy", **operation("list_policies", Page[Policy], 503))
    async def list_policies(limit: Limit = 100, cursor: Cursor = "") -> Response:
        """Every kind of action and how far the controller may go with it."""
        found = after(snapshot_of(state).view.control.policies, _kind, cursor, limit)
        return page(found, _kind, documents.plain, limit)

    @router.put("/v1/policies/autonomy/{kind}", **operation("set_policy", PolicySet, 404, 409, 503))
    async def set_policy(kind: Annotated[str, Path(max_length=255)], request: PolicyRequest) -> Response:
        """Change it at run time; it holds over restarts. Agents do no more than this, and than their own settings."""
        command = partial(commands.set_policy, kind=kind, level=request.level)
        return await asked(state, command, lambda _: {"kind": kind, "level": request.level.value})

    @router.get("/v1/control", **operation("get_control", Control, 503))
    async def get_control() -> Response:
        """Is it paused, is the kill switch on?"""
        held = snapshot_of(state).view.control
        return answer({"paused": held.paused, "kill_switch": held.kill_switch, "reason": held.reason})

    @router.put("/v1/control", **operation("set_control", Control, 409, 503))
    async def set_control(request: ControlRequest) -> Response:
        """Pause, resume, switch off: it holds over restarts, and agents are held too, as soon as they are reached.

        409, as of every write to the loop, at a node that runs an agent only: ask its seat.
        """
        command = partial(
            commands.set_control, paused=request.paused, kill_switch=request.kill_switch, reason=request.reason
        )
        return await asked(state, command, documents.plain)

    return router
