"""Alerts: what we send out, and what other systems send in."""

from __future__ import annotations

import time
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from x0tta6bl4.core import alerts
from x0tta6bl4.core.api.requests import asked
from x0tta6bl4.core.api.shapes import Cursor, Limit, Page, Shape, after, eg, operation, page, snapshot_of
from x0tta6bl4.core.state import State
from x0tta6bl4.mape_k import commands
from x0tta6bl4.model import IncidentState

Label = Annotated[str, Field(max_length=1024)]
Labels = Annotated[dict[Label, Label], Field(max_length=64)]
Stamp = Annotated[str, Field(max_length=64, examples=["2026-01-01T00:00:00Z"])]
LABELS = {"alertname": "link-lossy", "component": "adjacency/n2:v2-3<>n3:v3-2", "severity": "major"}


class Receiver(Shape):
    """Who gets it."""

    name: str = eg("x0tta6bl4")


class AlertStatus(Shape):
    """Silences and inhibitions are Alertmanager's business."""

    state: str = eg("active")
    inhibitedBy: list[str] = eg([])  # noqa: N815  # Alertmanager's names
    silencedBy: list[str] = eg([])  # noqa: N815


class Alert(Shape):
    """An alert as Alertmanager's API v2 lists it."""

    fingerprint: str = eg("9f86d081884c7d65")
    labels: dict[str, str] = eg(LABELS)
    annotations: dict[str, str] = eg({"summary": "link-lossy at adjacency/n2:v2-3<>n3:v3-2"})
    startsAt: str = eg("2026-01-01T00:00:00.000Z")  # noqa: N815
    endsAt: str = eg("2026-01-01T00:05:00.000Z")  # noqa: N815
    updatedAt: str = eg("2026-01-01T00:00:10.000Z")  # noqa: N815
    generatorURL: str = eg(  # noqa: N815
        "/v1/incidents/019a5b3e-8c1d-7000-8000-000000000001", "Of an own one a path of this API; it is not sent out."
    )
    receivers: list[Receiver]
    status: AlertStatus
    source: str = eg("own", "own: an open incident; external: another system sent it in.")


class Delivery(Shape):
    """How sending to `alerts.url` goes."""

    configured: bool = eg(True)
    sent: int = eg(12)
    failed: int = eg(0)
    dropped: int = eg(0)
    error: str = eg("", "Why the last one failed.")


class AlertPage(Page[Alert]):
    """A page of alerts, and how the sending goes."""

    delivery: Delivery


class Received(Shape):
    """How many alerts began or ended by it; those that are known already change nothing."""

    firing: int = eg(1)
    resolved: int = eg(0)


class IncomingAlert(BaseModel):
    """One alert of Alertmanager's webhook."""

    model_config = ConfigDict(extra="ignore")

    status: Annotated[Literal["firing", "resolved"], Field(examples=["firing"])]
    fingerprint: Annotated[str, Field(pattern="^[0-9a-zA-Z._-]{1,64}$", examples=["9f86d081884c7d65"])]
    labels: Annotated[Labels, Field(examples=[{"alertname": "HostDown"}])]
    annotations: Labels = Field(default_factory=dict)
    startsAt: Stamp = ""  # noqa: N815
    endsAt: Stamp = ""  # noqa: N815
    generatorURL: Annotated[str, Field(max_length=2048)] = ""  # noqa: N815


class Webhook(BaseModel):
    """What Alertmanager posts to a webhook receiver; what is not named here is not looked at."""

    model_config = ConfigDict(extra="ignore")

    version: Annotated[Literal["4"], Field(examples=["4"])] = "4"
    alerts: Annotated[list[IncomingAlert], Field(max_length=1000)]


def routes(state: State) -> APIRouter:
    """The operations."""
    router = APIRouter(tags=["alerts"])

    def found(source: str, utc: float) -> list[alerts.Alert]:
        own = [
            alerts.shown(alerts.outgoing(file.incident, utc, state.settings.explanation.language), alerts.OWN, utc)
            for file in state.readers.incidents()
            if file.incident.state is not IncidentState.CLOSED and source in ("all", alerts.OWN)
        ]
        if source in ("all", alerts.EXTERNAL):
            own += [alerts.shown(alert, alerts.EXTERNAL, utc) for alert in state.incoming.firing()]
        return own

    @router.get("/v1/alerts", **operation("list_alerts", AlertPage, 503))
    async def list_alerts(
        source: Annotated[
            Literal["own", "external", "all"], Query(description="Own: what we send out. External: what was sent in.")
        ] = "own",
        limit: Limit = 100,
        cursor: Cursor = "",
    ) -> Response:
        """Open incidents as alerts, or other systems' alerts."""
        snapshot_of(state)

        def key(alert: alerts.Alert) -> str:
            """The key of the page."""
            return str(alert["fingerprint"])

        wanted = after(found(source, time.time()), key, cursor, limit)
        return page(wanted, key, lambda one: one, limit, delivery=state.delivery())

    @router.post("/v1/alerts", **operation("receive_alerts", Received, 409, 503))
    async def receive_alerts(request: Webhook) -> Response:
        """Take in Alertmanager's webhook: kept and shown, nothing is triggered by it."""
        changes = state.incoming.changes([alert.model_dump() for alert in request.alerts])

        def kept(_: None) -> object:
            """Shown only once it is kept."""
            state.incoming.apply(changes, alerts.rfc3339(time.time()))
            kinds = [kind for kind, _, _ in changes]
            return {"firing": kinds.count(alerts.FIRING), "resolved": kinds.count(alerts.RESOLVED)}

        return await asked(state, partial(commands.tell, events=changes), kept)

    return router
