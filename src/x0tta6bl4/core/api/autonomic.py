"""The library's facade over HTTP: one iteration of a loop over any system's numbers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field

from x0tta6bl4.core.api.requests import Body, refused
from x0tta6bl4.core.api.shapes import Document, Shape, answer, eg, operation
from x0tta6bl4.core.documents import plain
from x0tta6bl4.core.problems import Problem
from x0tta6bl4.core.state import SYSTEM, SYSTEMS_MAX, State
from x0tta6bl4.errors import ConfigError, SystemFull

Word = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
Number = Annotated[float, Field(allow_inf_nan=False)] | None


class IterationRequest(Body):
    """Numbers by metric, and the names of actions that could help; over HTTP each of them is advised, never run."""

    monitoring_data: Annotated[
        dict[Word, Number],
        Field(
            min_length=1,
            max_length=256,
            description="Metric to its number; null was not measured.",
            examples=[{"cpu": 0.5, "memory": 0.6}],
        ),
    ]
    system: Annotated[
        Word, Field(description=f"Whose numbers: each has a memory of its own, the last {SYSTEMS_MAX} are kept.")
    ] = SYSTEM
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


class Statistics(Shape):
    """What a system has seen and learned."""

    iterations: int = eg(12)
    detector: Document = eg({"name": "robust-ewma/1", "warm_up": 10, "metrics": {}, "bounds": {}}, "What is usual.")
    decisions: dict[str, dict[str, int]] = eg(
        {"restart": {"trials": 3, "successes": 2}}, "Action to judged trials and successes."
    )
    retrieval: bool = eg(True, "It asks a knowledge base.")
    adaptation_applied: bool = eg(False)
    open_incidents: int = eg(0)
    timestamp: str = eg("2026-01-01T00:00:00.000+00:00")
    source: str = eg("baseline", "What decides.")


def routes(state: State) -> APIRouter:
    """The operations."""
    router = APIRouter(tags=["autonomic"])

    @router.post("/v1/autonomic/loop", **operation("autonomic_loop", IterationAnswer))
    async def autonomic_loop(request: IterationRequest) -> Response:
        """One iteration over the numbers of any system; its memory lasts as long as this process, at most."""
        try:
            result = await state.facade(request.system).autonomic_loop_iteration(
                monitoring_data=request.monitoring_data, available_actions=request.available_actions
            )
        except SystemFull as error:
            how = "give another `system` its numbers to begin anew"
            raise refused(ConfigError(error.field, error.value, f"{error.allowed}; {how}")) from None
        except ConfigError as error:
            raise refused(error) from None
        return answer(plain(result))

    @router.get("/v1/ml/stats", **operation("ml_stats", Statistics, 404))
    async def ml_stats(
        system: Annotated[str, Query(min_length=1, max_length=128, description="Whose.")] = SYSTEM,
    ) -> Response:
        """What the loop of a system has learned so far."""
        if system != SYSTEM and not state.has_facade(system):
            raise Problem(HTTPStatus.NOT_FOUND, f"no system {system!r} is remembered")
        return answer(plain(state.facade(system).get_ml_statistics()))

    return router
