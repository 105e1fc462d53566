"""The OpenAPI document: what FastAPI makes of the routes, plus the token, problem documents and idempotency keys."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi

from x0tta6bl4.core.api.shapes import EXAMPLES, problem_response
from x0tta6bl4.core.encoding import encoded
from x0tta6bl4.core.state import State

WRITES: Final = ("post", "put", "delete")
DESCRIPTION: Final = (
    "Times are ages in seconds, counted back from the last pass: clocks of two machines are never compared. "
    "Lists have `items` and `next`; send `next` as `cursor` for the page after. Writes take an `Idempotency-Key`."
)
KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and request again get the first answer's bytes, without doing it twice; the same key "
    "with another request is a 422.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
}
HELD: Final = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of the answer that the client has.",
    "schema": {"type": "string", "maxLength": 512},
    "example": '"4beb3e1c-8412"',
}
SAMPLES: Final[dict[str, Any]] = {  # examples of parameters, where the answer's own example has none of that name
    "id": "019a5b3e-8c1d-7000-8000-000000000001",
    "cursor": "019a5b3e-8c1d-7000-8000-000000000001",
    "incident": "019a5b3e-8c1d-7000-8000-000000000001",
    "source": "n2",
    "target": "n3",
    "node": "n1",
    "name": "n1",
    "metric": "report_age_ms",
    "component": "adjacency/n2:v2-3<>n3:v3-2",
    "cause": "link-lossy",
    "state": "confirmed",
    "acknowledged": True,
    "kind": "set-hop-penalty",
    "at": 1_790_000_000.0,
    "last-event-id": "5f0c-4711",
    "q": "a link loses packets",
    "search_knowledge kind": "runbook",
    "list_passages kind": "runbook",
    "list_passages source": "runbooks",
    "language": "en",
    "tag": "batman-adv",
}
RESET: Final = {
    "title": "Reset",
    "description": "The stream cannot go on after the event that the listener had. lost: how many, null if unknown.",
    "type": "object",
    "required": ["lost"],
    "additionalProperties": False,
    "properties": {"lost": {"anyOf": [{"type": "integer"}, {"type": "null"}], "examples": [12]}},
}
PROBLEM: Final = {
    "title": "ProblemDocument",
    "description": "RFC 9457.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "examples": ["about:blank"]},
        "title": {"type": "string", "examples": ["Not Found"]},
        "status": {"type": "integer", "examples": [404]},
        "detail": {"type": "string", "examples": ["no node 'n9' in this mesh"]},
        "instance": {"type": "string", "examples": ["/v1/mesh/nodes/n9"]},
    },
}


def describe(app: FastAPI) -> None:
    """Make `app.openapi()` give the whole document, built once."""

    @cache
    def document() -> dict[str, Any]:
        made = get_openapi(
            title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, openapi_version="3.1.0"
        )
        schemas = made["components"]["schemas"]
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        schemas["ProblemDocument"], schemas["Reset"] = PROBLEM, RESET
        made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"token": []}]
        for path in made["paths"].values():
            for verb, operation in path.items():
                _complete(verb, operation)
        return made

    app.openapi = document  # type: ignore[method-assign]


def _complete(verb: str, operation: dict[str, Any]) -> None:
    """What holds for every operation."""
    common = [400, 421] + ([401] if operation.get("security") != [] else [])
    if operation.get("parameters") or "requestBody" in operation or verb in WRITES:
        common.append(422)
    if verb in WRITES:
        operation.setdefault("parameters", []).append(KEY)
        common.append(413)
    responses = operation["responses"]
    if operation["operationId"] in EXAMPLES:
        good = next(response for status, response in responses.items() if status.startswith("2"))
        good["content"]["application/json"]["example"] = EXAMPLES[operation["operationId"]]
    for one in operation.get("parameters", ()):
        if "example" not in one and not one["schema"].get("examples"):
            one["example"] = _sample(one, operation["operationId"])
    responses.update({str(code): problem_response(code) for code in common})
    if "304" in responses:
        operation.setdefault("parameters", []).append(HELD)
        responses["304"] = {"description": "It has not changed since the ETag that was sent."}
    operation["responses"] = dict(sorted(responses.items()))


def _sample(parameter: dict[str, Any], name: str) -> Any:
    """An example of a parameter: what the answer's example is of, its default, or what is usual."""
    key, known = parameter["name"], EXAMPLES.get(name)
    if parameter["required"] and isinstance(known, dict) and key in known:
        return known[key]
    default = parameter["schema"].get("default")
    if default not in ("", None):
        return default
    return SAMPLES[f"{name} {key}"] if f"{name} {key}" in SAMPLES else SAMPLES[key]


def routes(state: State) -> APIRouter:
    """The operation that gives the document itself."""
    router = APIRouter(tags=["health"])

    EXAMPLES["openapi"] = {"openapi": "3.1.0", "info": {"title": "x0tta6bl4", "version": "..."}, "paths": {}}

    @router.get("/v1/openapi", operation_id="openapi", response_model=dict[str, Any])
    async def openapi(request: Request) -> Response:
        """This document."""
        return Response(encoded(request.app.openapi()), media_type="application/json")

    return router
