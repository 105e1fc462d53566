"""Meaning without a model at run time: word vectors, moved towards the company that the words keep in this corpus.

A passage is the sum of its words' vectors, weighted by count and by the root of the inverse document frequency (Arora
et al., "A simple but tough-to-beat baseline for sentence embeddings", 2017). Then each word moves a little towards the
mean of the passages that have it, and the passages are summed again: what "uplink" means in a corpus is learned from it
without any labels. It does not know negation or word order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from x0tta6bl4.ml.retrieval.bm25 import Postings, Statistics
from x0tta6bl4.ml.retrieval.vocabulary import Bag
from x0tta6bl4.ml.retrieval.wordvectors import DIM, WordVectors
from x0tta6bl4.model import Floats

CONTEXT: Final = 0.3
"""How far a word moves towards its company, as a share of its own length."""
_BLOCK: Final = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """A turn of queries' vectors, learned from confirmed answers. down: float32 [256, rank]; up: [rank, 256]."""

    down: Floats
    up: Floats

    def __call__(self, query: Floats) -> Floats:
        """The turned unit vector."""
        return unit(query + (query @ self.down) @ self.up)


@dataclass(frozen=True, slots=True, eq=False)
class TermVectors:
    """A vector for each term of a vocabulary. table: float16 [terms, 256]: half the memory, and the ranks stay."""

    table: NDArray[np.float16]
    statistics: Statistics

    @classmethod
    def plain(cls, words: Sequence[str], vectors: WordVectors, statistics: Statistics) -> TermVectors:
        """The words' own vectors. words: "" for a term that has no plain word."""
        table = np.empty((len(words), DIM), np.float16)
        for start in range(0, len(words), _BLOCK):
            table[start : start + _BLOCK] = vectors(words[start : start + _BLOCK])
        vectors.release()
        return cls(table, statistics)

    def extended(self, words: Sequence[str], vectors: WordVectors) -> TermVectors:
        """With further terms at the end."""
        more = vectors(words).astype(np.float16)
        return TermVectors(np.concatenate([self.table, more]), self.statistics)

    def in_context(self, postings: Postings, passages: Floats) -> TermVectors:
        """Each term moved towards the passages that have it. passages: float32 [rows of postings, 256]."""
        centred = passages - passages.mean(axis=0)
        table = np.empty_like(self.table)
        for term in range(len(table)):
            part = postings.part(term)
            own = self.table[term].astype(np.float32)
            company = summed(postings.weights[part], centred[postings.rows[part]])
            size = float(np.linalg.norm(company))
            table[term] = own + company * (CONTEXT * float(np.linalg.norm(own)) / size) if size else own
        return TermVectors(table, self.statistics)

    def passages(self, bags: Sequence[Bag]) -> Floats:
        """float32 [bags, 256]: unit vectors, zeros where a bag has no word with a vector."""
        found = np.zeros((len(bags), DIM), np.float32)
        for row, bag in enumerate(bags):
            weights = bag.counts * np.sqrt(self.statistics.idf_of(bag.terms))
            found[row] = summed(weights, self.table[bag.terms].astype(np.float32))
        return unit(found)

    def query(self, known: Mapping[int, int], unknown: Mapping[str, int], vectors: WordVectors) -> Floats:
        """float32 [256]: the unit vector of a query."""
        terms = np.fromiter(known, np.int32, len(known))
        weights = np.fromiter(known.values(), np.float32, len(known)) * np.sqrt(self.statistics.idf_of(terms))
        found = summed(weights, self.table[terms].astype(np.float32))
        if unknown:
            counts = np.fromiter(unknown.values(), np.float32, len(unknown))
            found = found + summed(counts, vectors(list(unknown))) * self.statistics.rare**0.5
        return unit(found)


def fit(words: Sequence[str], bags: Sequence[Bag], postings: Postings, statistics: Statistics,
        vectors: WordVectors) -> tuple[TermVectors, Floats]:  # fmt: skip
    """Terms in the context of the passages, and the passages' vectors by them."""
    plain = TermVectors.plain(words, vectors, statistics)
    if not bags:
        return plain, np.zeros((0, DIM), np.float32)
    terms = plain.in_context(postings, plain.passages(bags))
    return terms, terms.passages(bags)


# Not `@`: BLAS hands a product of this size to threads, and where cores are busy or few, waiting for them takes
# milliseconds. A process cannot be asked to set the threads of its BLAS for our sake; row by row one core does as well.
def dots(vectors: Floats, one: Floats) -> Floats:
    """float32 [rows]: the product of each row with one vector."""
    found: Floats = np.vecdot(vectors, one)
    return found


def summed(weights: Floats, vectors: Floats) -> Floats:
    """float32 [dim]: the weighted sum of the rows."""
    found: Floats = np.einsum("i,ij->j", weights, vectors)
    return found


def unit(vectors: NDArray[np.floating[Any]]) -> Floats:
    """Each row at length one, as float32; zeros stay zeros."""
    sizes = np.sqrt(np.vecdot(vectors, vectors))[..., np.newaxis]
    scaled: Floats = (vectors / np.maximum(sizes, 1e-9)).astype(np.float32)
    return scaled
