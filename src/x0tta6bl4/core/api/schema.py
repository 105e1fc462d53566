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
        schemas["ProblemDocument"] = PROBLEM
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
    responses.update({str(code): problem_response(code) for code in common})
    if "304" in responses:
        operation.setdefault("parameters", []).append(HELD)
        responses["304"] = {"description": "It has not changed since the ETag that was sent."}
    operation["responses"] = dict(sorted(responses.items()))


def routes(state: State) -> APIRouter:
    """The operation that gives the document itself."""
    router = APIRouter(tags=["health"])

    @router.get("/v1/openapi", operation_id="openapi", response_model=dict[str, Any])
    async def openapi(request: Request) -> Response:
        """This document."""
        return Response(encoded(request.app.openapi()), media_type="application/json")

    return router
