"""The words of retrieval: documents, the passages they are cut into, and what a search answers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from x0tta6bl4.errors import ConfigError
from x0tta6bl4.model import NOTHING, Floats

_SURROGATE = re.compile("[\ud800-\udfff]")
_PLAIN = str | int | float | None
NAMED = ("code", "runbook_url", "aliases", "alerts", "actions")
"""Metadata that names a document exactly: a query that says one of these gets that document first."""
BYTES_MAX = 4_000_000
"""The largest document that is taken in: a page for people is never near it."""
ID_MAX = 255


@dataclass(frozen=True, slots=True)
class Document:
    """One text that is known: a page, a closed incident, an operator's note.

    metadata: facts to filter by (`kind`, `language`, `source`) and names (`NAMED`): plain values, or lists of them.
    embedding: float32 [dim] where somebody has measured one. timestamp: seconds since 1970, 0 for unknown.
    Raises ConfigError for an empty or overlong id, for content that is no text or too much, and for other metadata.
    """

    id: str
    content: str
    metadata: Mapping[str, object] = field(default_factory=lambda: NOTHING)
    embedding: Floats | None = field(default=None, compare=False)
    timestamp: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not 0 < len(self.id) <= ID_MAX:
            raise ConfigError("document.id", self.id, f"a text of 1 to {ID_MAX} characters")
        if not isinstance(self.content, str):
            raise ConfigError("document.content", type(self.content).__name__, "text")
        if len(self.content) > BYTES_MAX:
            raise ConfigError("document.content", f"{len(self.content)} characters", f"at most {BYTES_MAX}")
        if "\0" in self.content or _SURROGATE.search(self.content) or _SURROGATE.search(self.id):
            raise ConfigError(
                "document.content", f"binary data in {self.id!r}", "text that UTF-8 can hold, without NUL"
            )
        for key, value in self.metadata.items():
            parts = value if isinstance(value, list | tuple) else (value,)
            if not isinstance(key, str) or not all(isinstance(part, _PLAIN) for part in parts):
                raise ConfigError(f"document.metadata.{key}", value, "a text, number, truth value or a list of them")


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document that is short enough to be read and cited. headings: the path to it, outermost first.

    sections: where it is made of several, the path to each and where in the text it begins.
    """

    document: Document
    number: int
    headings: tuple[str, ...]
    text: str
    sections: tuple[tuple[tuple[str, ...], int], ...] = ()

    @property
    def id(self) -> str:
        """The document's id and the passage's number in it."""
        return f"{self.document.id}#{self.number}"


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer: the best passage of a document. similarity: [0, 1]. exact: the query named the document.

    section: which of `passage.sections` fits best.
    """

    passage: Passage
    similarity: float
    exact: bool = False
    section: int = 0

    @property
    def headings(self) -> tuple[str, ...]:
        """The path to the section that fits best, outermost first."""
        return self.passage.sections[self.section][0] if self.passage.sections else self.passage.headings

    @property
    def text(self) -> str:
        """The section that fits best, without its heading."""
        starts = [start for _, start in self.passage.sections] or [0]
        end = starts[self.section + 1] if self.section + 1 < len(starts) else len(self.passage.text)
        lines = self.passage.text[starts[self.section] : end].strip().splitlines()
        return "\n".join(lines[1:] if len(lines) > 1 and lines[0].startswith("#") else lines).strip()


class RetrievalResult(list[Document]):
    """The documents found, best first, with the passage that spoke for each and how similar it is.

    A list of `Document` whose `content` is the passage; `similarities` and `hits` run beside it.
    Raises ConfigError where there are not as many similarities as documents.
    """

    def __init__(
        self, documents: Iterable[Document] = (), similarities: Sequence[float] = (), query: str = "",
        timestamp: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(documents)
        if len(similarities) != len(self):
            raise ConfigError("retrieval.similarities", len(similarities), f"{len(self)}, one for each document")
        hits = zip(self, similarities, strict=True)
        self.hits = tuple(Hit(Passage(document, 0, (), document.content), fits) for document, fits in hits)
        self.query, self.timestamp, self.note = query, timestamp, ""

    @classmethod
    def of(cls, query: str, hits: Sequence[Hit], timestamp: float, note: str = "") -> Self:
        """What these hits answer to a query. note: why there are none."""
        documents = (
            Document(
                hit.passage.document.id,
                hit.passage.text,
                {**hit.passage.document.metadata, "passage": hit.passage.id, "headings": list(hit.headings)},
                timestamp=hit.passage.document.timestamp,
            )
            for hit in hits
        )
        found = cls(documents, [hit.similarity for hit in hits], query, timestamp)
        found.hits, found.note = tuple(hits), note
        return found

    @property
    def documents(self) -> Sequence[Document]:
        """The documents, best first: this list."""
        return self

    @property
    def similarities(self) -> tuple[float, ...]:
        """How similar each document is, in [0, 1]."""
        return tuple(hit.similarity for hit in self.hits)


def values_of(value: object) -> Collection[object]:
    """One value as a collection of one; a collection as it is, of what can be looked up."""
    several = value if isinstance(value, list | tuple | set | frozenset) else (value,)
    return [one for one in several if isinstance(one, str | int | float | bool)]
