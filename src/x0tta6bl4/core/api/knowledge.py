"""What is known: runbooks, past incidents, notes and pages, searched and listed."""

# ruff: noqa: FAST003  # the parameter `id` has an alias
from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Path, Query, Response
from pydantic import StringConstraints
from starlette.convertors import PathConvertor, register_url_convertor

from x0tta6bl4.core.api.shapes import Cursor, Document, Limit, Page, Shape, answer, eg, operation, page
from x0tta6bl4.core.knowledge_base import ANSWER_S
from x0tta6bl4.core.problems import Problem
from x0tta6bl4.core.state import State
from x0tta6bl4.errors import ConfigError, NotSupported, Temporary
from x0tta6bl4.knowledge import LANGUAGES
from x0tta6bl4.ml.results import Passage as ForeignPassage
from x0tta6bl4.ml.retrieval.chunks import passages
from x0tta6bl4.ml.retrieval.text import clean
from x0tta6bl4.ml.retrieval.values import Hit, RetrievalResult, values_of
from x0tta6bl4.ml.retrieval.values import Passage as KnownPassage

if TYPE_CHECKING:
    from x0tta6bl4.ml.rag import RAGAnalyzer

T = TypeVar("T")
QUERY_MAX: Final = 4000
KINDS: Final = ("action", "cause", "incident", "note", "page", "risk", "symptom")
SHOWN: Final = 40  # tags that are named where an unknown one was asked for
FOREIGN_MAX: Final = 20_000  # characters of a passage that a plugin found
PASSAGE: Final = "runbooks/link-lossy.md#0"
TEXT: Final = "# A link loses packets\n\n## What it looks like\n..."
_ENDS = re.compile(r"(.+)#(\d{1,6})", re.DOTALL)

Words = Annotated[str, StringConstraints(min_length=1, max_length=QUERY_MAX)]
Facet = Annotated[str, Query(max_length=64)]
Named = Annotated[str, Path(alias="id", min_length=1, max_length=300, description="Its id; it may hold slashes.")]


class _AnyPath(PathConvertor):
    """A path with whatever is in it: Starlette's own stops at a line break, and the request finds no operation."""

    regex = r"[\s\S]*"


register_url_convertor("any_path", _AnyPath())


class Passage(Shape):
    """A part of a document that is short enough to be read and cited."""

    id: str = eg(PASSAGE, "DOCUMENT#NUMBER.")
    document: str = eg("runbooks/link-lossy.md")
    title: str = eg("A link loses packets")
    headings: list[str] = eg(["A link loses packets"], "The path of headings to it, outermost first.")
    kind: str = eg("cause", "cause, symptom, risk or action (a runbook); incident, note or page.")
    language: str = eg("en")
    source: str = eg("runbooks", "runbooks, incidents, notes, pages/FOLDER, a followed folder's name, or plugin NAME.")
    tags: list[str] = eg([])
    at_utc: float | None = eg(1_790_000_000.0, "When it was taken in; of an incident, when that ended.")
    digest: str = eg("9f86d081884c7d65", "Of the file that it is a copy of; empty for what is none.")


class PassageDetail(Passage):
    """A passage with its text."""

    text: str = eg(TEXT)


class FoundPassage(PassageDetail):
    """The best passage of a document that fits."""

    similarity: float = eg(1.0, "How well it fits, in [0, 1].")
    exact: bool = eg(True, "The query names the document.")


class Standing(Shape):
    """How the knowledge base stands."""

    documents: int = eg(34)
    passages: int = eg(44)
    profile: str = eg("fast")
    learned_from: int = eg(0, "Confirmed answers that taught the weights in use; 0: as delivered.")
    waiting: int = eg(0, "Closed incidents that are not taken in yet.")
    dropped: int = eg(0, "Those that found the queue full; the next start takes them in.")
    problems: list[str] = eg([], "What cannot be taken in now, and why.")


class PassagePage(Page[Passage]):
    """A page of passages, and how the knowledge base stands."""

    base: Standing


class SearchAnswer(Shape):
    """What fits a query, best first; one passage of each document."""

    query: str = eg("link-lossy", "As it was searched: without control characters.")
    items: list[FoundPassage]
    note: str = eg("", "Why there is nothing.")
    problems: list[str] = eg([], "Retrievers of plugins that were left out, and why.")


def row(passage: KnownPassage) -> Document:
    """A passage without its text."""
    document, facts = passage.document, passage.document.metadata
    tags = facts.get("tags", ())
    return {
        "id": passage.id,
        "document": document.id,
        "title": clean(str(facts.get("title") or (passage.headings[0] if passage.headings else document.id))),
        "headings": list(passage.headings),
        "kind": clean(str(facts.get("kind", ""))),
        "language": clean(str(facts.get("language", ""))),
        "source": str(facts.get("source", "")),
        "tags": [str(tag) for tag in tags] if isinstance(tags, list | tuple) else [],
        "at_utc": document.timestamp or None,
        "digest": str(facts.get("digest", "")),
    }


def _found(hit: Hit) -> Document:
    """An answer with its text, and the path to the section of it that fits best."""
    said = {"text": hit.passage.text, "similarity": round(hit.similarity, 4), "exact": hit.exact}
    return {**row(hit.passage), "headings": list(hit.headings), **said}


def foreign(retriever: str, passage: ForeignPassage) -> Document:
    """What a retriever of a plugin found; of its document no more is known."""
    ident = clean(passage.id)[:300]
    return {
        "id": ident,
        "document": ident,
        "title": ident,
        "headings": [],
        "kind": "",
        "language": "",
        "tags": [],
        "source": f"plugin {retriever}",
        "at_utc": None,
        "digest": "",
        "text": clean(passage.content)[:FOREIGN_MAX],
        "similarity": round(min(1.0, max(0.0, passage.similarity)), 4),
        "exact": False,
    }


def passage_of(rag: RAGAnalyzer, ident: str) -> KnownPassage:
    """A passage by its id, or a document's first by the document's; raises a 404 problem."""
    named = _ENDS.fullmatch(ident)
    document = rag.document(ident) or (rag.document(named[1]) if named else None)
    found = passages(document) if document is not None else []
    number = int(named[2]) if named and document is not None and document.id == named[1] else 0
    if number >= len(found):
        raise Problem(HTTPStatus.NOT_FOUND, f"no passage {ident[:300]!r} is known")
    return found[number]


def _known(rag: RAGAnalyzer, wanted: Mapping[str, str]) -> None:
    """Raises ConfigError, with what there is, for a filter that nothing can have."""
    for key, always in (("kind", KINDS), ("language", LANGUAGES), ("tags", ())):
        there = sorted({*always, *rag.facet(key)})
        if key in wanted and wanted[key] not in there:
            what = " or ".join(there[:SHOWN]) or "nothing: no document has any"
            raise ConfigError(key.removesuffix("s"), wanted[key], what)


def listed(rag: RAGAnalyzer, wanted: dict[str, str], cursor: str, limit: int) -> list[KnownPassage]:
    """Passages of documents with that metadata, in the order of their ids, one more than `limit`."""
    return [passage for _, passage in zip(range(limit + 1), _behind(rag, wanted, cursor), strict=False)]


def _behind(rag: RAGAnalyzer, wanted: dict[str, str], cursor: str) -> Iterator[KnownPassage]:
    named = _ENDS.fullmatch(cursor)
    if cursor and named is None:
        raise ConfigError("cursor", cursor[:64], "`next` of a page of this list")
    begin = (named[1], int(named[2])) if named else ("", -1)
    for document in rag.documents():
        if document.id >= begin[0] and all(
            value in values_of(document.metadata.get(key)) for key, value in wanted.items()
        ):
            for passage in passages(document):
                if (document.id, passage.number) > begin:
                    yield passage


async def asked(state: State, call: Callable[[RAGAnalyzer], Coroutine[Any, Any, T]], within_s: float = ANSWER_S) -> T:
    """What the knowledge base answers; raises a 503 problem with the reason where there is none, or none yet."""
    try:
        return await state.knowledge.ask(call, within_s)
    except (NotSupported, Temporary) as error:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from None


def routes(state: State) -> APIRouter:
    """The operations."""
    router = APIRouter(tags=["knowledge"])

    @router.get("/v1/knowledge/search", **operation("search_knowledge", SearchAnswer, 503))
    async def search_knowledge(
        *,
        q: Annotated[Words, Query(description="A question, a symptom in words, an alert's name, a code.")],
        k: Annotated[int, Query(ge=1, le=100, description="How many documents at most.")] = 5,
        threshold: Annotated[float, Query(ge=0, le=1, description="The least similarity.")] = 0.3,
        kind: Facet = "",
        language: Facet = "",
        tag: Facet = "",
    ) -> Response:
        """What fits a query: by the names in it, by its words and by its meaning."""
        given = (("kind", kind), ("language", language), ("tags", tag))
        where = {name: value for name, value in given if value}
        query = clean(q)

        async def call(rag: RAGAnalyzer) -> RetrievalResult:
            """On the knowledge base's thread."""
            _known(rag, where)
            return await rag.retrieve_context(query, k, threshold, where)

        found = await asked(state, call)
        items = [_found(hit) for hit in found.hits]
        others, problems = await state.knowledge.elsewhere(query, k) if not where else ([], [])
        items += [foreign(name, one) for name, one in others if one.similarity >= threshold]
        items.sort(key=lambda item: (not item["exact"], -item["similarity"]))
        note = "" if items else found.note
        return answer({"query": query, "items": items[:k], "note": note, "problems": problems})

    @router.get("/v1/knowledge/passages", **operation("list_passages", PassagePage, 503))
    async def list_passages(
        *,
        kind: Facet = "",
        language: Facet = "",
        tag: Facet = "",
        source: Facet = "",
        limit: Limit = 100,
        cursor: Cursor = "",
    ) -> Response:
        """All that is known, in parts, in the order of their ids."""
        given = (("kind", kind), ("language", language), ("tags", tag), ("source", source))
        wanted = {name: value for name, value in given if value}

        async def call(rag: RAGAnalyzer) -> tuple[list[KnownPassage], dict[str, Any]]:
            """On the knowledge base's thread."""
            _known(rag, wanted)
            return await asyncio.to_thread(listed, rag, wanted, cursor, limit), state.knowledge.standing(rag)

        items, base = await asked(state, call)
        return page(items, lambda passage: passage.id, row, limit, base=base)

    @router.get("/v1/knowledge/passages/{id:any_path}", **operation("get_passage", PassageDetail, 404, 503))
    async def get_passage(ident: Named) -> Response:
        """One passage; of a document the first."""

        async def call(rag: RAGAnalyzer) -> KnownPassage:
            """On the knowledge base's thread."""
            return passage_of(rag, ident)

        found = await asked(state, call)
        return answer({**row(found), "text": found.text})

    return router
