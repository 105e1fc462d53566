"""Errors of the API as RFC 9457 problem documents."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


class Problem(HTTPException):
    """Raised by an endpoint: `status`, what is wrong in a sentence, and extra members of the document."""

    def __init__(self, status: HTTPStatus, detail: str, **members: object) -> None:
        super().__init__(status_code=status, detail=detail)
        self.members = members


def response(
    status: int, detail: str, *, instance: str = "", headers: dict[str, str] | None = None, **members: object
) -> JSONResponse:
    """A problem document as a response; `type` is about:blank, so `title` is the status in words."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **members}
    if instance:
        body["instance"] = instance
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""

    async def refused(request: Request, error: Exception) -> JSONResponse:
        """An error that names its status."""
        assert isinstance(error, HTTPException)
        members = error.members if isinstance(error, Problem) else {}
        headers = dict(error.headers) if error.headers else None
        return response(error.status_code, error.detail, instance=request.url.path, headers=headers, **members)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        """A parameter that is not what the route declares."""
        assert isinstance(error, RequestValidationError)
        errors = [{"field": ".".join(map(str, e["loc"])), "allowed": e["msg"]} for e in error.errors()]
        detail = "; ".join(f"{e['field']}: {e['allowed']}" for e in errors)
        return response(422, detail, instance=request.url.path, errors=errors)

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, invalid)
