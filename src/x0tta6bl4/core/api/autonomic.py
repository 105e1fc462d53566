"""The library's facade over HTTP: one iteration of a loop over any system's numbers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import Field

from x0tta6bl4.core.api.requests import Body, refused
from x0tta6bl4.core.api.shapes import Document, Shape, answer, eg, operation
from x0tta6bl4.core.documents import plain
from x0tta6bl4.core.state import State
from x0tta6bl4.errors import ConfigError

Word = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
Number = Annotated[float, Field(allow_inf_nan=False)]


class IterationRequest(Body):
    """Numbers by metric, and the names of actions that could help; over HTTP each of them is advised, never run."""

    monitoring_data: Annotated[
        dict[Word, Number], Field(min_length=1, max_length=256, examples=[{"cpu": 0.5, "memory": 0.6}])
    ]
    available_actions: Annotated[list[Word], Field(max_length=64, examples=[["scale_up", "restart"]])] = Field(
        default_factory=list
    )


class IterationAnswer(Shape):
    """What the iteration saw, thought and advised (docs: `MLEnhancedMAPEK.autonomic_loop_iteration`)."""

    monitoring: Document = eg({"anomaly_detected": False})
    analysis: Document = eg({"confidence": 0.0})
    planning: Document = eg({"selected_action": None})
    execution: Document = eg({"execution_success": None})
    knowledge_update: Document = eg({})
    overall_success: Any = eg(None, "Judged by later iterations; null until then.")
    timestamp: Any = eg("2026-01-01T00:00:00Z")


def routes(state: State) -> APIRouter:
    """The operations."""
    router = APIRouter(tags=["autonomic"])

    @router.post("/v1/autonomic/loop", **operation("autonomic_loop", IterationAnswer))
    async def autonomic_loop(request: IterationRequest) -> Response:
        """One iteration over the numbers of any system; its memory lasts as long as this process."""
        try:
            result = await state.facade().autonomic_loop_iteration(
                monitoring_data=request.monitoring_data, available_actions=request.available_actions
            )
        except ConfigError as error:
            raise refused(error) from None
        return answer(plain(result))

    @router.get("/v1/ml/stats", operation_id="ml_stats", response_model=dict[str, Any])
    async def ml_stats() -> Response:
        """What the facade has learned so far."""
        return answer(plain(state.facade().get_ml_statistics()))

    return router
