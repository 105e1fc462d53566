"""What is known about a problem: runbooks, notes and past incidents, found by name, by words and by meaning.

    >>> import asyncio
    >>> knowledge = RAGAnalyzer()
    >>> asyncio.run(knowledge.index_knowledge([Document("a", "A cold solder joint makes the radio drop out.")]))
    1
    >>> asyncio.run(knowledge.retrieve_context("radio drops out"))[0].id
    'a'

It needs no network and no language model. Finding nothing is an answer; with nothing indexed, the answer says so.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args

from x0tta6bl4.errors import ConfigError
from x0tta6bl4.knowledge import Runbook, runbooks
from x0tta6bl4.ml.retrieval.chunks import located
from x0tta6bl4.ml.retrieval.folder import Folder
from x0tta6bl4.ml.retrieval.fusion import ACCURATE, FAST
from x0tta6bl4.ml.retrieval.index import K_MAX, Index
from x0tta6bl4.ml.retrieval.learn import Learned, learn
from x0tta6bl4.ml.retrieval.minilm import sentence_vectors
from x0tta6bl4.ml.retrieval.ports import Feedback, KnowledgeStore, MemoryKnowledge
from x0tta6bl4.ml.retrieval.saved import Saved
from x0tta6bl4.ml.retrieval.segment import Where
from x0tta6bl4.ml.retrieval.values import Document, RetrievalResult
from x0tta6bl4.ml.retrieval.vectors import VectorStore
from x0tta6bl4.ml.retrieval.wordvectors import word_vectors

__all__ = [
    "Document",
    "Profile",
    "RAGAnalyzer",
    "RetrievalResult",
    "VectorStore",
    "benchmark_factory",
    "benchmark_factory_fast",
    "runbook_documents",
]

Profile = Literal["fast", "accurate"]
"""fast: words and word vectors. accurate: a small transformer too (130 MB more, milliseconds for each query)."""
_DIMS: Final[Mapping[int, Profile]] = {256: "fast", 384: "accurate"}
QUERY_MAX: Final = 200_000
RUNBOOKS: Final = "runbooks"
"""What the project's own pages are filed under."""
_HEADINGS: Final = re.compile(r"^## ([a-z]+(?:-[a-z]+)+)$", re.MULTILINE)  # of the page on actions: its kinds
EMPTIED: Final = "files, as before (is it mounted?); what was known of it stays"
_EMPTY: Final = "nothing is known yet: the knowledge base is empty"
_NOTHING: Final = "nothing fits well enough"


class RAGAnalyzer:
    """A knowledge base: index documents, retrieve passages, augment an analysis with them, learn from feedback.

    store: what keeps it; by default it ends with the process. What the store holds is loaded here. utc: the clock.
    embedding_dim: another way to say the profile, by the dimension of its vectors (256: fast, 384: accurate).
    Raises ConfigError for an unknown profile or dimension and where they contradict each other, NotSupported where a
    package is missing, StoreError from the store.
    """

    def __init__(
        self,
        profile: Profile | None = None,
        store: KnowledgeStore | None = None,
        utc: Callable[[], float] = time.time,
        *,
        embedding_dim: int | None = None,
    ) -> None:
        profile = _profile(profile, embedding_dim)
        sentences = sentence_vectors() if profile == "accurate" else None
        self._model = sentences.name if sentences else ""
        self._index = Index(word_vectors(), sentences, ACCURATE if sentences else FAST)
        self._store: KnowledgeStore = MemoryKnowledge() if store is None else store
        self._utc = utc
        self._changing = threading.Lock()  # the store and the index change together
        self.learned: Learned | None = None
        self._index.add(self._store.documents(), self._store.vectors(self._model) if sentences else None)
        if kept := self._store.learned():
            self._use(Learned.decode(kept))

    async def index_knowledge(self, entries: Iterable[Document | Mapping[str, Any]]) -> int:
        """Keep and index documents, or replace those whose ids are there; returns how many.

        entries: documents, or mappings with `id`, `content` and perhaps `metadata`. When this returns they are kept,
        and can be found. Raises ConfigError and keeps nothing where one is wrong or an id stands there twice.
        """
        documents = [_document(entry) for entry in entries]
        await asyncio.to_thread(self._put, documents)
        return len(documents)

    def _put(self, documents: Sequence[Document]) -> None:
        entries = self._index.prepare(documents)
        with self._changing:
            self._store.put(documents, entries, self._model)
            self._index.take(documents, entries)

    async def forget(self, ids: Iterable[str]) -> None:
        """Forget documents; ids that are unknown are ignored."""
        await asyncio.to_thread(self._drop, list(ids))

    def _drop(self, ids: Sequence[str]) -> None:
        with self._changing:
            self._store.drop(ids)
            self._index.remove(ids)

    async def follow(self, folder: Folder, source: str, *, emptied: bool = False) -> tuple[int, int]:
        """Make what is filed under `source` equal to a folder that was read; returns (changed, removed).

        Only what has another digest is indexed again. A file that was skipped keeps the document it had.
        Raises ConfigError for a folder that has lost all it had, which may be one that is not mounted, unless `emptied`
        says that it is meant.
        """
        had = {
            one.id: one.metadata.get("digest")
            for one in self._index.documents()
            if one.metadata.get("source") == source
        }
        changed = [one for one in folder.documents if had.get(one.id) != one.metadata["digest"]]
        there = {one.id for one in folder.documents} | {f"{source}/{path}" for path in folder.skipped}
        gone = [identity for identity in had if identity not in there]
        if gone and not (folder.documents or folder.skipped or emptied):
            raise ConfigError("knowledge.folder", f"{source}: empty, had {len(gone)}", EMPTIED)
        if changed:
            await self.index_knowledge(changed)
        if gone:
            await self.forget(gone)
        return len(changed), len(gone)

    async def retrieve_context(
        self, query: str, k: int = 5, threshold: float = 0.3, where: Where | None = None
    ) -> RetrievalResult:
        """At most `k` documents that fit a query, best first, each with the passage that spoke for it.

        threshold: [0, 1], the least similarity; a document that the query names comes first, with similarity 1.
        where: metadata that a document must have (`{"language": "ru"}`). Raises ConfigError for a bad argument.
        """
        if not isinstance(query, str) or len(query) > QUERY_MAX:
            raise ConfigError("knowledge.query", str(query)[:64], f"a text of at most {QUERY_MAX} characters")
        if not 1 <= k <= K_MAX:
            raise ConfigError("knowledge.k", k, f"a number from 1 to {K_MAX}")
        if not 0 <= threshold <= 1:
            raise ConfigError("knowledge.threshold", threshold, "a number in [0, 1]")
        if self._model:
            hits = await asyncio.to_thread(self._index.search, query, k, where)
        else:
            hits = self._index.search(query, k, where)  # shorter than handing it to a thread
        good = [located(hit, query) for hit in hits if hit.similarity >= threshold]
        note = "" if good else _NOTHING if self._index.passages else _EMPTY
        return RetrievalResult.of(query, good, self._utc(), note)

    async def augment_analysis(self, analysis: Mapping[str, Any], query: str, k: int = 5) -> dict[str, Any]:
        """The analysis with what is known about it under the key `rag`."""
        found = await self.retrieve_context(query, k)
        documents = [
            {
                "id": document.id,
                "content": document.content,
                "metadata": dict(document.metadata),
                "similarity": hit.similarity,
                "exact": hit.exact,
            }
            for document, hit in zip(found, found.hits, strict=True)
        ]
        told = {"query": query, "documents": documents, "timestamp": found.timestamp, "note": found.note}
        return {**analysis, "rag": told}

    async def say(self, feedback: Feedback) -> None:
        """Keep whether an answer helped; raises ConfigError for an unknown document."""
        if feedback.document not in self._index:
            raise ConfigError("feedback.document", feedback.document[:64], "the id of a document that is known")
        await asyncio.to_thread(self._store.say, feedback)

    async def learn(self) -> Learned | None:
        """Learn from all feedback; used from now on where it is better on what was held back. None: too little."""
        return await asyncio.to_thread(self._learn)

    def _learn(self) -> Learned | None:
        with self._changing:
            found = learn(self._index, self._store.feedback())
            if found is not None and found.better:
                self._store.learn(found.encode())
                self._use(found)
        return found

    def _use(self, learned: Learned) -> None:
        # What another profile or another model's vectors taught says nothing here; `get_stats` tells.
        if learned.model == self._index.vectors_name and (learned.weights.sentence > 0) == bool(self._model):
            self._index.weigh(learned.weights, learned.adapter)
            self.learned = learned

    def save_index(self, path: str | Path) -> None:
        """Write what is known, feedback and what was learned into one file, whole or not at all.

        Vectors are not in it. Raises StoreError where it cannot be written.
        """
        with self._changing:
            Saved(self.documents(), self._store.feedback(), self._store.learned()).write(Path(path))

    def load_index(self, path: str | Path) -> int:
        """Index what `save_index` has written beside what is known, or in its place where ids are the same.

        Returns how many documents. Raises StoreError where the file cannot be read and ProtocolError where it is
        another kind of file; then nothing is kept.
        """
        saved = Saved.read(Path(path))
        self._put(saved.documents)
        with self._changing:
            had = set(self._store.feedback())
            for feedback in saved.feedback:
                if feedback not in had:
                    self._store.say(feedback)
            if saved.learned:
                self._store.learn(saved.learned)
                self._use(Learned.decode(saved.learned))
        return len(saved.documents)

    def documents(self) -> list[Document]:
        """All that is known, in the order of their ids."""
        return sorted(self._index.documents(), key=lambda document: document.id)

    def sources(self) -> list[str]:
        """What documents are filed under (`metadata["source"]`), in order."""
        return self.facet("source")

    def facet(self, key: str) -> list[str]:
        """Every value that documents have under a key of their metadata, in order."""
        return sorted(str(value) for value in self._index.values(key))

    def document(self, identity: str) -> Document | None:
        """One document; None where it is unknown."""
        return self._index.document(identity)

    def get_stats(self) -> dict[str, Any]:
        """What there is, how it is searched, and from how many answers the weights were learned (0: as delivered)."""
        weights = self._index.weights
        return {
            "documents": len(self._index),
            "passages": self._index.passages,
            "version": self._index.version,
            "exact": self._index.exact,
            "profile": "accurate" if self._model else "fast",
            "weights": {"lexical": weights.lexical, "meaning": weights.meaning, "sentence": weights.sentence},
            "learned_from": self.learned.pairs if self.learned else 0,
        }


def runbook_documents(language: str = "en") -> list[Document]:
    """The project's own runbooks in one language, ready to be indexed, each with a digest to tell its next edition."""
    return [_page(page) for page in runbooks(language)]


def _page(page: Runbook) -> Document:
    names = (page.kind, page.code, page.aliases, page.alerts, page.language)
    content = f"# {page.title}\n\n{page.text}"
    return Document(
        f"{RUNBOOKS}/{page.path.rpartition('/')[2]}",
        content,
        {
            "kind": page.kind,
            "code": page.code,
            "aliases": list(page.aliases),
            "alerts": list(page.alerts),
            "actions": _HEADINGS.findall(page.text) if page.kind == "action" else [],
            "language": page.language,
            "source": RUNBOOKS,
            "digest": hashlib.sha256(f"{names}{content}".encode()).hexdigest(),
        },
    )


def _profile(profile: Profile | None, embedding_dim: int | None) -> Profile:
    if profile not in (None, *get_args(Profile)):
        raise ConfigError("knowledge.profile", profile, " or ".join(get_args(Profile)))
    if embedding_dim is None:
        return profile or "fast"
    found = _DIMS.get(embedding_dim)
    if found is None or profile not in (None, found):
        allowed = ", ".join(f"{dim} ({one})" for dim, one in _DIMS.items())
        raise ConfigError("knowledge.embedding_dim", embedding_dim, allowed)
    return found


def _document(entry: Document | Mapping[str, Any]) -> Document:
    if isinstance(entry, Document):
        return entry
    if not isinstance(entry, Mapping) or not {"id", "content"} <= set(entry) <= {"id", "content", "metadata"}:
        raise ConfigError("knowledge.entry", str(entry)[:64], "a Document, or a mapping of id, content, metadata")
    metadata = entry.get("metadata", {})
    if not isinstance(metadata, Mapping):
        raise ConfigError("knowledge.entry.metadata", type(metadata).__name__, "a mapping")
    return Document(entry["id"], entry["content"], metadata)


class _Benchmark:
    """An index as `score_ir.py` wants it: `index(docs)` and `search(query, k)` over (id, text)."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def index(self, documents: Iterable[tuple[str, str]]) -> None:
        """Index (id, text) pairs."""
        self._index.add(Document(str(identity), text) for identity, text in documents)

    def search(self, query: str, k: int) -> list[tuple[str, float]]:
        """(id, similarity), best first."""
        return [(hit.passage.document.id, hit.similarity) for hit in self._index.search(query, min(k, K_MAX))]


def benchmark_factory() -> _Benchmark:
    """The accurate profile, empty."""
    return _Benchmark(Index(word_vectors(), sentence_vectors(), ACCURATE))


def benchmark_factory_fast() -> _Benchmark:
    """The fast profile, empty."""
    return _Benchmark(Index(word_vectors()))
