"""Incidents: what broke and why, the evidence, what was done, and what people say about it."""

# ruff: noqa: FAST003  # the parameter `id` has an alias (shapes.Ident)
from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from x0tta6bl4.core import documents
from x0tta6bl4.core.api.requests import Body, Reason, Text, asked
from x0tta6bl4.core.api.shapes import (
    Cursor,
    Document,
    Ident,
    Limit,
    Page,
    Shape,
    answer,
    eg,
    operation,
    page,
    snapshot_of,
)
from x0tta6bl4.core.archive import IncidentFilter, behind
from x0tta6bl4.core.problems import Problem
from x0tta6bl4.core.readers import IncidentFile, Numbered
from x0tta6bl4.core.state import State
from x0tta6bl4.mape_k import commands
from x0tta6bl4.model import IncidentState

COMPONENT = "adjacency/n2:v2-3<>n3:v3-2"
INCIDENT = "019a5b3e-8c1d-7000-8000-000000000001"
ACTION = "019a5b3e-8c1d-7000-8000-000000000002"
PLAN = "019a5b3e-8c1d-7000-8000-000000000003"
PARAMETERS = {"hop_penalty": 200.0}


class Symptom(Shape):
    """An indication of a problem."""

    code: str = eg("link-lossy")
    component: str = eg("link/n2:v2-3>n3:v3-2")
    value: float | None = eg(0.41)
    threshold: float | None = eg(0.2)
    metric: str = eg("loss_ratio")
    severity: str = eg("major")
    since_age_s: float = eg(3.2, "Since the evidence for it began.")


class IncidentRow(Shape):
    """One line of the list of incidents."""

    id: str = eg(INCIDENT)
    origin: str = eg("controller")
    state: str = eg("mitigated", "open, mitigated or closed.")
    cause: str = eg("link-lossy")
    component: str = eg(COMPONENT)
    confidence: float = eg(0.93)
    severity: str = eg("major")
    escalated: str = eg("", "What was left behind that a person has to take back; it is open until one closes it.")
    age_s: float = eg(12.4, "Since it was opened.")
    detect_s: float = eg(0.7, "From the first evidence to its opening.")
    open_s: float = eg(12.4, "For how long it was open, or is.")
    acknowledged: bool = eg(False)
    action: str | None = eg("set-hop-penalty", "What it called for first.")
    action_target: str | None = eg("interface/n2:v2-3")
    action_state: str | None = eg("confirmed")
    proof: str | None = eg("30 of 30 probes answered")


class Evidence(Shape):
    """What the verdict rests on."""

    detail: str = eg("both ends miss hellos")
    symptoms: list[Symptom]
    contradicted_by: list[str] = eg([])


class Cause(Shape):
    """One explanation."""

    code: str = eg("link-lossy")
    component: str = eg(COMPONENT)
    confidence: float = eg(0.93)
    detail: str = eg("both ends miss hellos")


class ActionDetail(Shape):
    """One action as it stands."""

    id: str = eg(ACTION)
    incident: str = eg(INCIDENT)
    kind: str = eg("set-hop-penalty")
    target: str = eg("interface/n2:v2-3")
    parameters: dict[str, float | str] = eg(PARAMETERS)
    state: str = eg("confirmed", "See docs/explanation/actions.md.")
    attempt: int = eg(1)
    age_s: float = eg(11.9, "Since it was proposed.")
    changed_age_s: float = eg(7.1, "Since its state changed last.")
    lease: bool = eg(True, "A mitigation that will be reverted.")
    before: dict[str, float | str] = eg({"hop_penalty": 0.0}, "What undo restores.")
    detail: str = eg("30 of 30 probes answered")
    origin: str = eg("n2", "Who carries it out: a node's agent, or the controller.")


class PlannedAction(Shape):
    """What a candidate would do."""

    kind: str = eg("set-hop-penalty")
    target: str = eg("interface/n2:v2-3")
    parameters: dict[str, float | str] = eg(PARAMETERS)


class Candidate(Shape):
    """One action that was considered."""

    action: PlannedAction
    score: float | None = eg(0.8)
    risk: float | None = eg(0.1)
    success_rate: float | None = eg(0.9, "Posterior mean of success against this cause.")
    trials: int = eg(10)
    refused_by: str = eg("", "The guard that refused it, and why.")
    reason: str = eg("traffic goes around the lossy link")


class PlanDetail(Shape):
    """All that was considered for an incident in one pass, and what was chosen."""

    id: str = eg(PLAN)
    incident: str = eg(INCIDENT)
    state: str = eg("confirmed", "refused, advised, or the state of the action that it became.")
    action: str | None = eg(ACTION, "The action that it became.")
    age_s: float = eg(11.9)
    candidates: list[Candidate]
    chosen: list[PlannedAction]
    probability: float = eg(1.0, "With which this choice was made.")
    context: dict[str, float | str] = eg({"cause": "link-lossy", "confidence": 0.93})
    context_version: int = eg(1)


class EventDetail(Shape):
    """Something that happened; the same shape in a timeline and in the event stream."""

    number: int = eg(4711, "Place in the stream of this process, or the store's count.")
    type: str = eg("action.confirmed")
    origin: str = eg("n2")
    seq: int = eg(0, "The origin's own count.")
    age_s: float = eg(7.1)
    incident: str = eg(INCIDENT)
    component: str = eg("interface/n2:v2-3")
    data: Document = eg({"kind": "set-hop-penalty", "state": "confirmed"})


class IncidentDetail(IncidentRow):
    """One incident from its evidence to its end."""

    opened_utc: float | None = eg(1_790_000_000.0)
    acknowledged_utc: float | None = eg(None)
    acknowledged_by: str = eg("")
    reopened: int = eg(0)
    note: str = eg("")
    evidence: Evidence
    causes: list[Cause]
    plans: list[PlanDetail]
    actions: list[ActionDetail]
    timeline: list[EventDetail]


class IncidentEvidence(Evidence):
    """The evidence for an incident, and all explanations that were weighed."""

    incident: str = eg(INCIDENT)
    causes: list[Cause]


class AcknowledgeRequest(Body):
    """Who has seen it."""

    by: Text = Field(default="", examples=["maria"])
    note: Text = Field(default="", examples=["looking at the antenna"])


class CloseRequest(Body):
    """Why it is over."""

    reason: Reason = Field(examples=["antenna was replaced"])


State_ = Literal["all", "open", "mitigated", "closed"]


def incident_file(state: State, ident: str) -> IncidentFile:
    """All that is known of an incident; raises a 404 problem where that is nothing."""
    file = state.archive.incident(ident)
    if file is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"no incident {ident!r} is remembered")
    return file


def routes(state: State) -> APIRouter:
    """The operations."""
    router = APIRouter(tags=["incidents"])

    def now() -> float:
        return snapshot_of(state).iteration.at

    known = partial(incident_file, state)

    @router.get("/v1/incidents", **operation("list_incidents", Page[IncidentRow], 503))
    def list_incidents(
        *,
        which: Annotated[State_, Query(alias="state")] = "all",
        cause: Annotated[str, Query(max_length=255, description="Code of the verdict.")] = "",
        component: Annotated[str, Query(max_length=512, description="KIND/NAME of the verdict.")] = "",
        acknowledged: bool | None = None,
        limit: Limit = 100,
        cursor: Cursor = "",
    ) -> Response:
        """Incidents, newest first."""
        at = now()
        wanted = IncidentFilter(None if which == "all" else IncidentState(which), cause, component, acknowledged)
        files = state.archive.incidents(wanted, cursor, limit + 1)
        return page(files, lambda file: file.incident.id, lambda file: documents.incident_row(file, at), limit)

    @router.get("/v1/incidents/{id}", **operation("get_incident", IncidentDetail, 404, 503))
    def get_incident(ident: Ident) -> Response:
        """One incident with its evidence, plans, actions and timeline."""
        return answer(documents.incident(known(ident), now()))

    @router.get("/v1/incidents/{id}/timeline", **operation("incident_timeline", Page[EventDetail], 404, 503))
    def incident_timeline(ident: Ident, limit: Limit = 100, cursor: Cursor = "") -> Response:
        """What happened in it, oldest first."""
        at = now()

        def number(one: Numbered) -> str:
            """The key of the page."""
            return str(one.number)

        events = behind(known(ident).events, number, cursor, limit + 1)
        return page(events, number, lambda one: documents.event(one, at), limit)

    @router.get("/v1/incidents/{id}/evidence", **operation("incident_evidence", IncidentEvidence, 404, 503))
    def incident_evidence(ident: Ident) -> Response:
        """What its verdict rests on, and what else it could have been."""
        told = documents.incident(known(ident), now())
        return answer({"incident": ident, **told["evidence"], "causes": told["causes"]})

    changed = operation("acknowledge_incident", IncidentDetail, 404, 409, 503)

    @router.post("/v1/incidents/{id}/acknowledge", **changed)
    async def acknowledge_incident(ident: Ident, request: AcknowledgeRequest) -> Response:
        """Say that somebody has seen it; the loop goes on healing."""
        command = partial(commands.acknowledge, incident=ident, by=request.by, note=request.note)
        return await asked(state, command, lambda _: documents.incident(known(ident), now()), over=ident)

    @router.post("/v1/incidents/{id}/close", **operation("close_incident", IncidentDetail, 404, 409, 503))
    async def close_incident(ident: Ident, request: CloseRequest) -> Response:
        """Close it by hand. Symptoms that go on open another one; 409 while an action on it is under way."""
        command = partial(commands.close, incident=ident, reason=request.reason)
        return await asked(state, command, lambda _: documents.incident(known(ident), now()), over=ident)

    return router
