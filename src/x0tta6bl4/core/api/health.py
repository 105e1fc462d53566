"""Is it alive, is it ready, which version is it; the same without `/v1` where probes look, and the metrics."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from x0tta6bl4 import __version__
from x0tta6bl4.core.api.shapes import Shape, answer, eg, operation, snapshot_of
from x0tta6bl4.core.problems import Problem
from x0tta6bl4.core.state import State

NO_TOKEN: dict[str, object] = {"security": []}


class Health(Shape):
    """The process and its loop are alive."""

    status: str = eg("ok")
    version: str = eg(__version__)


class Ready(Shape):
    """The loop has finished a pass."""

    status: str = eg("ready")
    passes: int = eg(8412, "Passes since the start.")


class Version(Shape):
    """What is running."""

    name: str = eg("x0tta6bl4")
    version: str = eg(__version__)
    api: str = eg("v1", "Version of this interface.")
    source: str = eg("demo: simulated mesh", "What the loop runs over.")


def routes(state: State) -> APIRouter:
    """The operations."""
    router = APIRouter(tags=["health"])

    @router.get("/v1/health", openapi_extra=NO_TOKEN, **operation("health", Health, 503))
    @router.get("/health", include_in_schema=False)
    @router.head("/v1/health", include_in_schema=False)
    @router.head("/health", include_in_schema=False)
    async def health() -> Response:
        """Is this process alive and its loop running?"""
        failure = state.source.failure() if state.source is not None else ""
        if failure:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"the loop has ended: {failure}")
        return answer({"status": "ok", "version": __version__})

    @router.get("/v1/ready", openapi_extra=NO_TOKEN, **operation("ready", Ready, 503))
    @router.get("/ready", include_in_schema=False)
    @router.head("/v1/ready", include_in_schema=False)
    @router.head("/ready", include_in_schema=False)
    async def ready() -> Response:
        """Has the loop finished a pass?"""
        return answer({"status": "ready", "passes": snapshot_of(state).passes})

    @router.get("/v1/version", **operation("version", Version))
    async def version() -> Response:
        """What is running."""
        source = state.source.title if state.source is not None else ""
        return answer({"name": "x0tta6bl4", "version": __version__, "api": "v1", "source": source})

    @router.get("/v1/metrics", include_in_schema=False)
    @router.get("/metrics", include_in_schema=False)
    @router.head("/v1/metrics", include_in_schema=False)
    @router.head("/metrics", include_in_schema=False)
    def metrics() -> Response:
        """Everything in Prometheus' text format."""
        state.metrics.listeners(state.stream.listeners, state.stream.dropped)
        return Response(state.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return router
