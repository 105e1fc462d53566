"""What the knowledge base learns: whether a passage helped, and how to search by that."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Final, Self

from fastapi import APIRouter, Response
from pydantic import Field, model_validator
from starlette.concurrency import run_in_threadpool

from x0tta6bl4.core.api.knowledge import PASSAGE, QUERY_MAX, Words, asked, passage_of
from x0tta6bl4.core.api.requests import Body
from x0tta6bl4.core.api.shapes import Shape, answer, eg, operation
from x0tta6bl4.core.knowledge_sources import CATALOG
from x0tta6bl4.core.problems import Problem
from x0tta6bl4.core.state import State
from x0tta6bl4.ml.retrieval.incidents import incident_question
from x0tta6bl4.ml.retrieval.ports import Feedback
from x0tta6bl4.ml.retrieval.text import clean

if TYPE_CHECKING:
    from x0tta6bl4.ml.rag import RAGAnalyzer

LEARN_S: Final = 120.0


class FeedbackKept(Shape):
    """What will be learned from."""

    query: str = eg("radio loses packets when it rains")
    document: str = eg("runbooks/link-lossy.md")
    helped: bool = eg(True)


class Lesson(Shape):
    """What was learned from all feedback."""

    used: bool = eg(True, "Found answers that were held back better than before, and is in use from now on.")
    pairs: int = eg(120, "Answers that helped; 0: too few to learn from.")
    before: float | None = eg(0.71, "Mean reciprocal rank of what was held back.")
    after: float | None = eg(0.78)
    detail: str = eg("")


class FeedbackRequest(Body):
    """Did a passage help, with an incident or with a question?"""

    incident: Annotated[str, Field(min_length=1, max_length=255)] | None = Field(default=None, examples=[None])
    query: Words | None = Field(default=None, examples=["radio loses packets when it rains"])
    passage: Annotated[str, Field(min_length=1, max_length=300)] = Field(examples=[PASSAGE])
    helped: bool = Field(examples=[True])

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.incident is None) == (self.query is None):
            raise ValueError("either `incident` or `query`")
        return self


def routes(state: State) -> APIRouter:
    """The operations."""
    router = APIRouter(tags=["knowledge"])

    @router.post("/v1/knowledge/feedback", **operation("give_feedback", FeedbackKept, 404, 503))
    async def give_feedback(request: FeedbackRequest) -> Response:
        """Say whether a passage helped; `learn_knowledge` learns from it."""
        query = request.query
        if query is None:
            file = await run_in_threadpool(state.archive.incident, request.incident or "")
            if file is None:
                raise Problem(HTTPStatus.NOT_FOUND, f"no incident {request.incident!r} is remembered")
            query = incident_question(file.incident, CATALOG)
        query = clean(query)[:QUERY_MAX]

        async def call(rag: RAGAnalyzer) -> Feedback:
            """On the knowledge base's thread."""
            said = Feedback(query, passage_of(rag, request.passage).document.id, request.helped)
            await rag.say(said)
            return said

        said = await asked(state, call)
        return answer({"query": said.query, "document": said.document, "helped": said.helped})

    @router.post("/v1/knowledge/learn", **operation("learn_knowledge", Lesson, 503))
    async def learn_knowledge() -> Response:
        """Learn from all feedback how to search; what was learned is used only where it is better."""
        found = await asked(state, lambda rag: rag.learn(), LEARN_S)
        if found is None:
            few = "too few answers that helped, or too few different questions"
            return answer({"used": False, "pairs": 0, "before": None, "after": None, "detail": few})
        detail = "" if found.better else "no better than what is in use: that stays"
        told = {"used": found.better, "pairs": found.pairs, "before": found.before, "after": found.after}
        return answer({**told, "detail": detail})

    return router
