"""What the analysis asks a knowledge base, and what it takes from the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from x0tta6bl4.ml.actions import ask
from x0tta6bl4.ml.results import Passage, Ran

PASSAGES: Final = 5
ANSWER_S: Final = 2.0  # healing does not wait longer for documents


class Retrieved(Protocol):
    """Documents, best first, with a similarity each."""

    @property
    def documents(self) -> Sequence[Document]:
        """The documents."""
        ...

    @property
    def similarities(self) -> Sequence[float]:
        """One for each document."""
        ...


class Document(Protocol):
    """One document of a knowledge base."""

    @property
    def id(self) -> str:
        """Its name."""
        ...

    @property
    def content(self) -> str:
        """Its text."""
        ...


class Retriever(Protocol):
    """A knowledge base. Laws: best first; never blocks the event loop."""

    async def retrieve_context(self, query: str, k: int = ..., threshold: float = ...) -> Retrieved:
        """At most `k` documents that are at least so similar."""
        ...


async def retrieve(retriever: Retriever, query: str, k: int = PASSAGES) -> tuple[tuple[Passage, ...], str]:
    """(passages, why there are none): a knowledge base that raises or hangs holds no healing back."""

    async def passages() -> tuple[Passage, ...]:
        """What it found, as values of ours."""
        found = await retriever.retrieve_context(query, k)
        return tuple(
            Passage(document.id, document.content, float(similarity))
            for document, similarity in zip(found.documents, found.similarities, strict=True)
        )

    answer = await ask(passages, ANSWER_S)
    if answer.ran is not Ran.DONE:
        return (), answer.detail
    assert isinstance(answer.value, tuple)
    return answer.value, ""
