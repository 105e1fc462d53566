"""The event stream."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response

from x0tta6bl4.core.api.shapes import problem_response
from x0tta6bl4.core.problems import Problem
from x0tta6bl4.core.state import State
from x0tta6bl4.core.stream import EventResponse

STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Each event has an id, its type, and the document of an incident's timeline as data.",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'id: 5f0c-7\nevent: action.confirmed\ndata: {"number":7,"type":"action.confirmed"}\n\n',
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
