"""The event stream."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response

from x0tta6bl4.core.api.incidents import EventDetail
from x0tta6bl4.core.api.shapes import example_of, problem_response
from x0tta6bl4.core.encoding import encoded
from x0tta6bl4.core.problems import Problem
from x0tta6bl4.core.state import State
from x0tta6bl4.core.stream import EventResponse

EVENT = example_of(EventDetail)
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Each event has an id, its type, and the document of an incident's timeline as data (schema "
        "`EventDetail`); an event `reset` has `Reset`, and no id.",
        "content": {
            "text/event-stream": {
                "schema": {
                    "type": "string",
                    "x-data": {
                        "default": {"$ref": "#/components/schemas/EventDetail"},
                        "reset": {"$ref": "#/components/schemas/Reset"},
                    },
                },
                "example": f"id: 5f0c-{EVENT['number']}\nevent: {EVENT['type']}\ndata: {encoded(EVENT).decode()}\n\n",
            }
        },
    },
    429: problem_response(429),
}


def routes(state: State) -> APIRouter:
    """The operations."""
    router = APIRouter(tags=["events"])

    @router.get("/v1/events", operation_id="events", response_class=Response, responses=STREAM)
    async def events(last_event_id: Annotated[str, Header(max_length=64)] = "") -> Response:
        """Server-sent events. Send `Last-Event-ID` to go on where you stopped."""
        if state.stream.listeners >= state.settings.api.listeners_max:
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "all places for listeners are taken (api.listeners_max)")
        return EventResponse(state.stream, last_event_id)

    return router
