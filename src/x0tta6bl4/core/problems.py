"""Errors of the API as RFC 9457 problem documents."""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from x0tta6bl4.core.encoding import encoded
from x0tta6bl4.errors import ConfigError, StoreError

MEDIA_TYPE = "application/problem+json"
ERRORS_MAX = 20  # fields named in one answer

log = logging.getLogger("x0tta6bl4.api")


class Problem(HTTPException):
    """Raised by an endpoint: `status`, what is wrong in a sentence, and extra members of the document."""

    def __init__(self, status: HTTPStatus, detail: str, **members: object) -> None:
        super().__init__(status_code=status, detail=detail)
        self.members = members


def response(
    status: int, detail: str, *, instance: str = "", headers: dict[str, str] | None = None, **members: object
) -> Response:
    """A problem document as a response; `type` is about:blank, so `title` is the status in words."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **members}
    if instance:
        body["instance"] = instance
    return Response(encoded(body), status_code=status, media_type=MEDIA_TYPE, headers=headers)


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""

    async def refused(request: Request, error: Exception) -> Response:
        """An error that names its status."""
        assert isinstance(error, HTTPException)
        members = error.members if isinstance(error, Problem) else {}
        headers = dict(error.headers) if error.headers else None
        return response(error.status_code, error.detail, instance=request.url.path, headers=headers, **members)

    async def invalid(request: Request, error: Exception) -> Response:
        """A parameter that is not what the route declares."""
        assert isinstance(error, RequestValidationError)
        errors = [{"field": ".".join(map(str, e["loc"])), "allowed": e["msg"]} for e in error.errors()[:ERRORS_MAX]]
        detail = "; ".join(f"{e['field']}: {e['allowed']}" for e in errors)
        return response(422, detail, instance=request.url.path, errors=errors)

    async def not_allowed(request: Request, error: Exception) -> Response:
        """A value that something below the routes refuses."""
        assert isinstance(error, ConfigError)
        return response(422, str(error), instance=request.url.path, field=error.field)

    async def store_failed(request: Request, error: Exception) -> Response:
        """History that cannot be read now."""
        log.warning("history could not be read: %s", error)
        return response(503, str(error), instance=request.url.path)

    async def failed(request: Request, error: Exception) -> Response:
        """A mistake of ours: the log has the traceback, the client a plain word."""
        return response(500, "this should not have happened; the log says more", instance=request.url.path)

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(ConfigError, not_allowed)
    app.add_exception_handler(StoreError, store_failed)
    app.add_exception_handler(Exception, failed)
