"""What people add to the knowledge base, and take away again: notes and copies of files."""

# ruff: noqa: FAST003  # the parameter `id` has an alias (api.knowledge.Named)
from __future__ import annotations

import time
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Response
from pydantic import Field, StringConstraints

from x0tta6bl4.core.api.knowledge import TEXT, Named, asked, passage_of
from x0tta6bl4.core.api.requests import Body, Text
from x0tta6bl4.core.api.shapes import Shape, answer, eg, operation
from x0tta6bl4.core.knowledge_sources import NOTES, PAGES
from x0tta6bl4.core.problems import Problem
from x0tta6bl4.core.state import State
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.ml.retrieval import folder
from x0tta6bl4.ml.retrieval.chunks import passages
from x0tta6bl4.ml.retrieval.text import clean
from x0tta6bl4.ml.retrieval.values import Document

if TYPE_CHECKING:
    from x0tta6bl4.ml.rag import RAGAnalyzer

TEXT_MAX: Final = 200_000

Content = Annotated[str, StringConstraints(min_length=1, max_length=TEXT_MAX)]
Tag = Annotated[Text, StringConstraints(min_length=1, max_length=64)]
LanguageCode = Annotated[str, StringConstraints(pattern="^[a-z]{2}$")]


class Kept(Shape):
    """What was kept; it can be found from now on."""

    id: str = eg("notes/8e03978e-40d5-43dd-bc93-6894a57f9324", "Id of the document.")
    passages: int = eg(1)


class Forgotten(Shape):
    """It is known no more."""

    id: str = eg("notes/8e03978e-40d5-43dd-bc93-6894a57f9324", "Id of the document.")


class NoteRequest(Body):
    """What an operator knows."""

    title: Text = Field(default="", examples=["Roof of the school"])
    text: Content = Field(examples=["The pipe to Anna is weak when it rains; the feeder was replaced in May."])
    language: LanguageCode = Field(default="en", examples=["en"])
    tags: Annotated[list[Tag], Field(max_length=16)] = Field(default=[], examples=[["roof"]])


class PageRequest(Body):
    """A file's text; its front matter (code, title, aliases, alerts) counts."""

    text: Content = Field(examples=[TEXT])


async def kept(state: State, document: Document) -> Response:
    """The answer once a document is kept and can be found."""

    async def call(rag: RAGAnalyzer) -> int:
        """On the knowledge base's thread."""
        return await rag.index_knowledge([document])

    await asked(state, call)
    return answer({"id": document.id, "passages": len(passages(document))}, HTTPStatus.CREATED)


def routes(state: State) -> APIRouter:
    """The operations."""
    router = APIRouter(tags=["knowledge"])

    @router.post("/v1/knowledge", **operation("add_knowledge", Kept, 503, status=201))
    async def add_knowledge(request: NoteRequest) -> Response:
        """Keep a note of an operator."""
        text = clean(request.text)
        if not text.strip():
            raise ConfigError("text", request.text[:64], "words")
        facts = {"kind": "note", "source": NOTES, "language": request.language, "tags": list(request.tags)}
        title = {"title": request.title} if request.title else {}
        note = Document(f"{NOTES}/{uuid.uuid4()}", text, {**facts, **title}, timestamp=time.time())
        return await kept(state, note)

    @router.put("/v1/knowledge/pages/{id:any_path}", **operation("put_page", Kept, 503, status=201))
    async def put_page(ident: Named, request: PageRequest) -> Response:
        """Keep a copy of a file, in place of the one that has this name. id: FOLDER/PATH."""
        name, _, relative = ident.partition("/")
        if not name or not name.isprintable():
            raise ConfigError("id", ident[:64], "FOLDER/PATH in printable characters")
        made = folder.page(f"{PAGES}/{name}", relative, request.text)
        return await kept(state, Document(made.id, made.content, made.metadata, timestamp=time.time()))

    @router.delete("/v1/knowledge/passages/{id:any_path}", **operation("forget_knowledge", Forgotten, 404, 409, 503))
    async def forget_knowledge(ident: Named) -> Response:
        """Forget the note or the page that a passage is of; 409 for what would come back or is history."""

        async def call(rag: RAGAnalyzer) -> str:
            """On the knowledge base's thread."""
            document = passage_of(rag, ident).document
            source = str(document.metadata.get("source"))
            if source != NOTES and not source.startswith(f"{PAGES}/"):
                raise Problem(
                    HTTPStatus.CONFLICT, f"{document.id!r} is of {source}: only notes and pages are forgotten"
                )
            await rag.forget([document.id])
            return document.id

        return answer({"id": await asked(state, call)})

    return router
