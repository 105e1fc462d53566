"""The routes of the API. Everything is read from the last snapshot; nothing here changes the mesh."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header, Query, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field

from x0tta6bl4 import __version__
from x0tta6bl4.core import documents
from x0tta6bl4.core.problems import Problem
from x0tta6bl4.core.readers import Snapshot
from x0tta6bl4.core.state import State
from x0tta6bl4.core.stream import EventResponse
from x0tta6bl4.core.view import LabSource
from x0tta6bl4.errors import ConfigError


def _snapshot(state: State) -> Snapshot:
    snapshot = state.readers.snapshot()
    if snapshot is None:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "the loop has not finished its first pass yet")
    return snapshot


def install(app: FastAPI, state: State) -> None:
    """Add every route to `app`."""
    _health_routes(app, state)
    _mesh_routes(app, state)
    _incident_routes(app, state)
    _lab_routes(app, state)


def _health_routes(app: FastAPI, state: State) -> None:
    @app.get("/health")
    def health() -> dict[str, str]:
        """Is this process alive and its loop running?"""
        failure = state.source.failure() if state.source is not None else ""
        if failure:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"the loop has ended: {failure}")
        return {"status": "ok", "version": __version__}

    @app.get("/ready")
    def ready() -> dict[str, object]:
        """Has the loop finished a pass?"""
        return {"status": "ready", "passes": _snapshot(state).passes}

    @app.get("/metrics")
    def metrics() -> Response:
        """Everything in Prometheus' text format."""
        state.metrics.listeners(state.stream.listeners, state.stream.dropped)
        return Response(state.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _mesh_routes(app: FastAPI, state: State) -> None:
    @app.get("/v1/mesh/status")
    def status() -> dict[str, Any]:
        """The mesh at a glance: nodes, links, open incidents, latent risks."""
        return documents.status(_snapshot(state), state.readers.incidents())

    @app.get("/v1/mesh/nodes/{name}")
    def node(name: str) -> dict[str, Any]:
        """One node by its inventory name."""
        snapshot = _snapshot(state)
        found = documents.node(snapshot, name, state.readers.incidents())
        if found is None:
            known = sorted(node.name for node in snapshot.view.nodes)[:100]
            raise Problem(HTTPStatus.NOT_FOUND, f"no node {name!r} in this mesh", known=known)
        return found


def _incident_routes(app: FastAPI, state: State) -> None:
    @app.get("/v1/incidents")
    def incidents(
        which: Annotated[Literal["all", "open", "mitigated", "closed"], Query(alias="state")] = "all",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> dict[str, Any]:
        """Incidents, newest first."""
        now = _snapshot(state).iteration.at
        rows = [documents.incident_row(file, now) for file in state.readers.incidents()]
        return {"incidents": [row for row in rows if which in ("all", row["state"])][:limit]}

    @app.get("/v1/incidents/{incident_id:path}")
    def incident(incident_id: str) -> dict[str, Any]:
        """One incident with its evidence, plans, actions and timeline."""
        now = _snapshot(state).iteration.at
        file = state.readers.incident(incident_id)
        if file is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"no incident {incident_id!r} is remembered")
        return documents.incident(file, now)

    @app.get("/v1/events", response_class=Response)
    async def events(last_event_id: Annotated[str, Header(max_length=64)] = "") -> Response:
        """The event stream (server-sent). Send `Last-Event-ID` to go on where you stopped."""
        if state.stream.listeners >= state.settings.api.listeners_max:
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "all places for listeners are taken (api.listeners_max)")
        return EventResponse(state.stream, last_event_id)


class FaultRequest(BaseModel):
    """A fault to inject into a lab's mesh."""

    model_config = ConfigDict(extra="forbid")

    kind: str
    target: str
    for_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = 20.0
    parameters: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = {}


def _lab_routes(app: FastAPI, state: State) -> None:
    @app.post("/v1/lab/faults", status_code=HTTPStatus.CREATED)
    def inject(fault: FaultRequest) -> dict[str, str]:
        """Break something on purpose; only a mesh that the lab made can be asked to."""
        if not isinstance(state.source, LabSource):
            raise Problem(HTTPStatus.CONFLICT, "this mesh is no lab: faults are never injected into it")
        try:
            return {"id": state.source.inject(fault.kind, fault.target, fault.for_s, fault.parameters)}
        except ConfigError as error:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), field=error.field) from None
