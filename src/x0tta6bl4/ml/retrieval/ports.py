"""What retrieval asks of a store: documents, measured vectors, feedback and what was learned, kept for good."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from x0tta6bl4.ml.retrieval.values import Document
from x0tta6bl4.model import Floats

if TYPE_CHECKING:  # it needs the extra `ml`; who only gives feedback does without
    from x0tta6bl4.ml.retrieval.segment import Entry


@dataclass(frozen=True, slots=True)
class Feedback:
    """What an operator, or a closed incident, said of one answer: did this document help with that question?"""

    query: str
    document: str
    helped: bool


class KnowledgeStore(Protocol):
    """Keeps what is known. Laws: what a method was given is kept when it returns, all of it or nothing;
    a document put twice is kept once, as it was put last; raises StoreError where it cannot be kept.
    """

    def put(self, documents: Sequence[Document], entries: Sequence[Entry], model: str) -> None:
        """Keep documents, or replace those whose ids are there. model: what measured the entries' windows, "" none."""
        ...

    def drop(self, ids: Collection[str]) -> None:
        """Forget documents; ids that are unknown are ignored."""
        ...

    def documents(self) -> Sequence[Document]:
        """All documents, oldest first."""
        ...

    def vectors(self, model: str) -> Mapping[str, Floats]:
        """float32 [windows, dim] of each passage that this model measured, by passage id."""
        ...

    def say(self, feedback: Feedback) -> None:
        """Keep one feedback."""
        ...

    def feedback(self) -> Sequence[Feedback]:
        """All feedback, oldest first."""
        ...

    def learn(self, learned: bytes) -> None:
        """Keep what was learned, in place of what was learned before."""
        ...

    def learned(self) -> bytes:
        """What was learned last; empty where nothing was."""
        ...


class MemoryKnowledge:
    """A `KnowledgeStore` that ends with the process."""

    def __init__(self) -> None:
        self._documents: dict[str, Document] = {}
        self._vectors: dict[str, dict[str, Floats]] = {}
        self._feedback: list[Feedback] = []
        self._learned = b""

    def put(self, documents: Sequence[Document], entries: Sequence[Entry], model: str) -> None:
        """Keep documents until the process ends."""
        self.drop([document.id for document in documents])
        self._documents |= {document.id: document for document in documents}
        for entry in entries:
            if entry.windows is not None:
                passage = entry.passage
                self._vectors.setdefault(passage.document.id, {})[f"{model}/{passage.id}"] = entry.windows

    def drop(self, ids: Collection[str]) -> None:
        """Forget documents and their vectors."""
        for identity in ids:
            self._documents.pop(identity, None)
            self._vectors.pop(identity, None)

    def documents(self) -> Sequence[Document]:
        """All documents, oldest first."""
        return list(self._documents.values())

    def vectors(self, model: str) -> Mapping[str, Floats]:
        """Measured vectors by passage id."""
        return {
            name.removeprefix(f"{model}/"): windows
            for own in self._vectors.values()
            for name, windows in own.items()
            if name.startswith(f"{model}/")
        }

    def say(self, feedback: Feedback) -> None:
        """Keep one feedback."""
        self._feedback.append(feedback)

    def feedback(self) -> Sequence[Feedback]:
        """All feedback, oldest first."""
        return list(self._feedback)

    def learn(self, learned: bytes) -> None:
        """Keep what was learned."""
        self._learned = learned

    def learned(self) -> bytes:
        """What was learned last."""
        return self._learned
