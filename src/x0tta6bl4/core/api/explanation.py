"""An incident in sentences, each with what it rests on."""

# ruff: noqa: FAST003  # the parameter `id` has an alias (shapes.Ident)
from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Response
from starlette.concurrency import run_in_threadpool

from x0tta6bl4.core import documents, explaining
from x0tta6bl4.core.api.incidents import COMPONENT, INCIDENT, incident_file
from x0tta6bl4.core.api.shapes import Ident, Shape, answer, eg, operation, snapshot_of
from x0tta6bl4.core.state import State

Language = Annotated[
    Literal["en", "ru"] | None,
    Query(description="Goes before `Accept-Language`, and that before `explanation.language`.", examples=["ru"]),
]
Rewritten = Annotated[
    bool,
    Query(description="Ask the model at `explanation.endpoint` for its words, and drop what does not check."),
]
Accepted = Annotated[str, Header(max_length=512, description="RFC 9110, 12.5.4.", examples=["ru, en;q=0.5"])]


class Sentence(Shape):
    """One claim of an explanation."""

    section: str = eg("why", "wrong, why, before, done, by_hand or uncertain.")
    text: str = eg("loss_ratio on link n2:v2-3>n3:v3-2 is 0.41, expected: below 0.2.")
    citations: list[int] = eg([1], "Numbers of what it rests on; at least one.")


class Citation(Shape):
    """Where to look something up."""

    number: int = eg(1, "As in the text.")
    source: str = eg("reading", "reading, passage, incident, action or event.")
    id: str = eg("link/n2:v2-3>n3:v3-2/loss_ratio")


class Similar(Shape):
    """A past incident that resembles this one."""

    incident: str = eg("019a4f00-1111-7000-8000-000000000001")
    repeat: bool = eg(True, "The same cause at the same component.")
    score: float = eg(1.0, "How alike, in [0, 1].")
    cause: str = eg("link-lossy")
    component: str = eg(COMPONENT)
    ended_utc: float = eg(1_789_900_000.0)


class Rewrite(Shape):
    """What became of asking a language model for its words."""

    used: bool = eg(True, "Are the sentences the model's?")
    dropped: int = eg(2, "Sentences of its answer that do not rest on what they cite.")
    problem: str = eg("", "Why the sentences are not the model's.")


class Explanation(Shape):
    """An incident in sentences: what is wrong and why, what was seen before, what was done, what to do by hand."""

    incident: str = eg(INCIDENT)
    language: str = eg("en")
    summary: str = eg("link-lossy at link n2:v2-3<>n3:v3-2: a link loses packets in both directions.")
    sentences: list[Sentence]
    citations: list[Citation]
    similar: list[Similar]
    text: str = eg("What is wrong\n- link-lossy at link n2:v2-3<>n3:v3-2. [1]\n", "All of it, with its sources.")
    runbook: str | None = eg(None, "The page of the runbook on the cause (Markdown), where there is one.")
    rewrite: Rewrite | None = eg(None, "null where no model was asked.")


def routes(state: State) -> APIRouter:
    """The operation."""
    router = APIRouter(tags=["incidents"])

    @router.get("/v1/incidents/{id}/explanation", **operation("explain_incident", Explanation, 404, 503))
    async def explain_incident(
        ident: Ident, *, language: Language = None, rewrite: Rewritten = False, accept_language: Accepted = ""
    ) -> Response:
        """It in sentences, each with what it rests on."""
        snapshot = snapshot_of(state)
        file = await run_in_threadpool(incident_file, state, ident)
        known = await explaining.remembered(file.incident, state.knowledge, state.incoming.firing())
        facts = await run_in_threadpool(explaining.facts_of, file, state.archive, snapshot, known)
        default = state.settings.explanation.language
        told = explaining.explained(facts, language or explaining.language_of(accept_language, default))
        rewritten = None
        if rewrite:
            told, rewritten = await explaining.rewritten(told, state.endpoint, snapshot)
            state.metrics.rewritten(rewritten.dropped)
        return answer(documents.explanation(told, facts, rewritten))

    return router
