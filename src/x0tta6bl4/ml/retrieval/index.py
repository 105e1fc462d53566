"""The index: documents in, the passages that fit a query out. Readers never wait for a writer."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from x0tta6bl4.errors import ConfigError
from x0tta6bl4.ml.retrieval.bm25 import Postings, Statistics
from x0tta6bl4.ml.retrieval.chunks import passages
from x0tta6bl4.ml.retrieval.fusion import FAST, Weights
from x0tta6bl4.ml.retrieval.minilm import SentenceVectors
from x0tta6bl4.ml.retrieval.segment import Entry, Question, Segment, Where
from x0tta6bl4.ml.retrieval.semantic import Adapter, TermVectors, fit, unit
from x0tta6bl4.ml.retrieval.text import identifiers
from x0tta6bl4.ml.retrieval.values import Document, Hit, Passage, values_of
from x0tta6bl4.ml.retrieval.vectors import top
from x0tta6bl4.ml.retrieval.vocabulary import Numbers, Vocabulary
from x0tta6bl4.ml.retrieval.wordvectors import WordVectors
from x0tta6bl4.model import Floats

K_MAX: Final = 1000
_CACHED: Final = 512
_CALLED: Final = ("title", "code", "aliases", "alerts")
_CERTAIN: Final = 2.0  # what being named adds to a score in [0, 1]
_NAMESAKES_MAX: Final = 4  # a name that more documents bear names none of them
_NOWHERE: Final = np.zeros(0, np.intp)
_REBUILD: Final = 8  # rebuilt when an eighth has changed: the statistics stay true, the cost of an addition small


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """What readers see: replaced as a whole, never changed. cache: answers of exactly this state."""

    base: Segment
    tail: Segment
    terms: TermVectors
    weights: Weights
    adapter: Adapter | None = None
    version: int = 0
    cache: dict[object, tuple[Hit, ...]] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[Segment, Segment]:
        return self.base, self.tail


class Index:
    """Documents that can be searched. Any thread may search while another adds.

    vectors: of words. sentences: the accurate profile's model, None for the fast profile. weights: see `Weights`.
    """

    def __init__(self, vectors: WordVectors, sentences: SentenceVectors | None = None, weights: Weights = FAST) -> None:
        self._vectors, self._sentences = vectors, sentences
        self._vocabulary = Vocabulary()
        self._writing = threading.Lock()
        self._state = self._built([], weights, 0)

    def __len__(self) -> int:
        """How many documents there are."""
        return sum(1 for _ in self.documents())

    def __contains__(self, document: str) -> bool:
        """Whether there is a document of this id."""
        return self.document(document) is not None

    @property
    def version(self) -> int:
        """Grows with every change."""
        return self._state.version

    @property
    def passages(self) -> int:
        """How many passages there are."""
        return sum(int(part.alive.sum()) for part in self._state.parts)

    @property
    def exact(self) -> bool:
        """Whether every passage is looked at, not only those that a graph proposes."""
        return self._state.base.nearest.exact

    def documents(self) -> Iterator[Document]:
        """The documents."""
        for part in self._state.parts:
            for rows in part.rows.values():
                if part.alive[rows.start]:
                    yield part.entries[rows.start].passage.document

    def values(self, key: str) -> set[object]:
        """Every value that documents have under a key of their metadata, of what may be removed by now too."""
        return {value for part in self._state.parts for name, value in part.facets if name == key}

    def document(self, identity: str) -> Document | None:
        """The document of this id; None where it is unknown."""
        for part in self._state.parts:
            rows = part.rows.get(identity, range(0))
            if rows and part.alive[rows.start]:
                return part.entries[rows.start].passage.document
        return None

    def add(self, documents: Iterable[Document], known: Mapping[str, Floats] | None = None) -> None:
        """Add documents, or replace those whose ids are there; they can be found when it returns.

        known: float32 [windows, dim], sentence vectors measured before, by passage id.
        Raises ConfigError where two of them have one id.
        """
        taken = list(documents)
        self.take(taken, self.prepare(taken, known))

    def prepare(self, documents: Sequence[Document], known: Mapping[str, Floats] | None = None) -> list[Entry]:
        """What `take` wants: the documents' passages, counted and measured. This is the slow part of adding."""
        ids: set[str] = set()
        for document in documents:
            if document.id in ids:
                raise ConfigError("document.id", document.id, "each id once")
            ids.add(document.id)
        with self._writing:
            return [self._entry(passage, known or {}) for document in documents for passage in passages(document)]

    def take(self, documents: Sequence[Document], entries: Sequence[Entry]) -> None:
        """Make prepared documents findable, in place of those that have their ids."""
        with self._writing:
            self._change({document.id for document in documents}, entries)

    def remove(self, ids: Collection[str]) -> None:
        """Forget documents; ids that are unknown are ignored."""
        with self._writing:
            self._change(ids, [])

    @property
    def weights(self) -> Weights:
        """The weights in use."""
        return self._state.weights

    @property
    def adapter(self) -> Adapter | None:
        """The adapter in use."""
        return self._state.adapter

    @property
    def vectors_name(self) -> str:
        """What measures words."""
        return self._vectors.name

    def weigh(self, weights: Weights, adapter: Adapter | None) -> None:
        """Use other weights and another adapter from now on."""
        with self._writing:
            self._state = self._weighed(weights, adapter)

    def variant(self, weights: Weights, adapter: Adapter | None) -> Index:
        """A second index over the same documents, to try weights on. It must not be added to."""
        other = Index(self._vectors, self._sentences, weights)
        other._vocabulary = self._vocabulary
        other._state = self._weighed(weights, adapter)
        return other

    def meaning(self, query: str) -> Floats:
        """float32 [256]: the unit vector of a query, before any adapter."""
        state = self._state
        return state.terms.query(*self._vocabulary.query(query, len(state.terms.table)), self._vectors)

    def meaning_of(self, document: str) -> Floats:
        """float32 [256]: the unit vector of a document's passages together; zeros where it is unknown."""
        found = np.zeros(self._state.base.nearest.vectors.shape[1], np.float32)
        for part in self._state.parts:
            rows = [row for row in part.rows.get(document, ()) if part.alive[row]]
            found += part.nearest.vectors[rows].sum(axis=0)
        return unit(found)

    def search(self, query: str, k: int = 10, where: Where | None = None) -> list[Hit]:
        """The best passage of each of the `k` documents that fit best, best first.

        Documents that the query names (`values.NAMED`, or by a title that is an identifier) come before all others,
        with similarity 1.
        Raises ConfigError for a k that is not in 1 to 1000.
        """
        if not 1 <= k <= K_MAX:
            raise ConfigError("retrieval.k", k, f"a number from 1 to {K_MAX}")
        state, where = self._state, where or {}
        key = (query, k, tuple((name, repr(value)) for name, value in where.items()))
        found = state.cache.get(key)
        if found is None:
            found = tuple(self._ranked(state, query, k, where))
            if len(state.cache) >= _CACHED:
                state.cache.clear()
            state.cache[key] = found
        return list(found)

    def _ranked(self, state: _State, query: str, k: int, where: Where) -> Iterator[Hit]:
        question, named = self._question(state, query), _named(state, query)
        weights = state.weights.for_terms(len(question.shares))
        found: list[tuple[Segment, Numbers]] = []
        scores: list[Floats] = []
        for part in state.parts:
            if part.entries:
                also = [row for document in named for row in part.rows.get(document, ())]
                rows, fits = part.scores(question, weights, where, k, also)
                for document, number in named.items():
                    own = part.rows.get(document, range(0))
                    places = np.flatnonzero((rows >= own.start) & (rows < own.stop)) if own else _NOWHERE
                    if len(places):  # of a document that is named the passage that is named is shown
                        fits[places[np.argmax(rows[places] == own[number])]] = _CERTAIN + fits[places].max()
                found.append((part, rows))
                scores.append(fits)
        first = len(scores[0]) if scores else 0
        seen: set[str] = set()
        for at, similarity in _falling(scores, k):
            (part, rows), place = (found[0], at) if at < first else (found[1], at - first)
            passage = part.entries[rows[place]].passage
            if passage.document.id not in seen:
                seen.add(passage.document.id)
                yield Hit(passage, min(similarity, 1.0), exact=similarity >= _CERTAIN)
                if len(seen) == k:
                    return

    def _question(self, state: _State, query: str) -> Question:
        known, unknown = self._vocabulary.query(query, len(state.terms.table))
        terms = np.fromiter(known, np.int32, len(known))
        mass = np.fromiter(known.values(), np.float32, len(known)) * state.terms.statistics.idf_of(terms)
        # Words that no passage has count against every passage: a query of unknown words fits nothing well.
        all_mass = float(mass.sum()) + sum(unknown.values()) * state.terms.statistics.rare
        shares = mass / max(all_mass, 1e-9)
        meaning = state.terms.query(known, unknown, self._vectors)
        if state.adapter is not None:
            meaning = state.adapter(meaning)
        sentence = self._sentences([query])[0] if self._sentences else None
        return Question(dict(zip(known, shares.tolist(), strict=True)), meaning, sentence)

    def _entry(self, passage: Passage, known: Mapping[str, Floats]) -> Entry:
        # What a document is called counts like the first words of each of its passages.
        called = [str(one) for key in _CALLED for one in values_of(passage.document.metadata.get(key, ()))]
        bag = self._vocabulary.bag("\n".join((*called, *passage.headings[:-1], passage.text)))
        if self._sentences is None:
            return Entry(passage, bag)
        windows = known.get(passage.id)
        return Entry(passage, bag, self._sentences.windows(passage.text) if windows is None else windows)

    def _change(self, ids: Collection[str], entries: Sequence[Entry]) -> None:
        state = self._state
        base = state.base.without(ids)
        tail = [*state.tail.without(ids).living(), *entries]
        changed = len(tail) + int((~base.alive).sum())
        if changed * _REBUILD > len(base.entries):
            built = self._built([*base.living(), *tail], state.weights, state.version + 1)
            self._state = replace(built, adapter=state.adapter)
            return
        terms = state.terms.extended(self._vocabulary.words[len(state.terms.table) :], self._vectors)
        part = self._segment(tail, terms, state.weights)
        self._state = replace(state, base=base, tail=part, terms=terms, version=state.version + 1, cache={})

    def _living(self) -> list[Entry]:
        return [entry for part in self._state.parts for entry in part.living()]

    def _weighed(self, weights: Weights, adapter: Adapter | None) -> _State:
        state, version = self._state, self._state.version + 1
        if weights.lead != state.weights.lead:
            state = self._built(self._living(), weights, version)
        return replace(state, weights=weights, adapter=adapter, version=version, cache={})

    def _built(self, entries: Sequence[Entry], weights: Weights, version: int) -> _State:
        bags = [entry.bag for entry in entries]
        statistics = Statistics.of(bags, len(self._vocabulary), weights.lead)
        postings = Postings.of(bags, statistics, weights.lead)
        terms, meanings = fit(self._vocabulary.words, bags, postings, statistics, self._vectors)
        base, tail = Segment.of(entries, postings, meanings), self._segment([], terms, weights)
        return _State(base, tail, terms, weights, version=version)

    def _segment(self, entries: Sequence[Entry], terms: TermVectors, weights: Weights) -> Segment:
        bags = [entry.bag for entry in entries]
        return Segment.of(entries, Postings.of(bags, terms.statistics, weights.lead), terms.passages(bags))


def _named(state: _State, query: str) -> dict[str, int]:
    """The documents that the query names, by id, and which passage of each."""
    found: dict[str, int] = {}
    for name in identifiers(query, state.base.phrases, state.tail.phrases):
        bearers = dict(one for part in state.parts if name in part.named for one in part.bearers(name))
        if len(bearers) <= _NAMESAKES_MAX:
            found |= bearers
    return found


def _falling(scores: Sequence[Floats], k: int) -> Iterator[tuple[int, float]]:
    """(position, score) of the scores one after the other, best first; all are sorted only where somebody asks."""
    fits = scores[0] if len(scores) == 1 else np.concatenate([np.empty(0, np.float32), *scores])
    few = top(fits, 2 * k + 16)
    yield from zip(few.tolist(), fits[few].tolist(), strict=True)
    if len(few) < len(fits):
        rest = top(fits, len(fits))[len(few) :]
        yield from zip(rest.tolist(), fits[rest].tolist(), strict=True)
