"""BM25 over numpy arrays: for each term the passages that have it, and how much each of them has of it.

Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009). Scores are divided by the
largest one that any passage could have, so that they lie in [0, 1] and mean the same for every query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from x0tta6bl4.ml.retrieval.vocabulary import Bag, Numbers
from x0tta6bl4.model import Floats

K1: Final = 1.6
B: Final = 0.65
_NOTHING: Final = 0.002  # a term that nearly every passage has: long to add up, and it decides nothing


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """What is known of all passages together when an index is built; later passages are measured by it.

    idf: float32 [terms]; a term beyond its end was in no passage. length: the mean number of terms of a passage.
    """

    idf: Floats
    rare: float
    length: float

    @classmethod
    def of(cls, bags: Sequence[Bag], terms: int, lead: float) -> Statistics:
        """Measure the passages' bags. terms: the size of the vocabulary."""
        count = len(bags)
        all_terms = np.concatenate([bag.terms for bag in bags]) if bags else np.empty(0, np.int32)
        frequency = np.bincount(all_terms, minlength=terms).astype(np.float32)
        idf = np.log1p((count - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)
        length = sum(float(_weighted(bag, lead).sum()) for bag in bags) / max(count, 1)
        return cls(idf, float(np.log1p((count + 0.5) / 0.5)), max(length, 1.0))

    def idf_of(self, terms: Numbers) -> Floats:
        """float32 [n]: how much each term tells."""
        known = np.minimum(terms, len(self.idf) - 1) if len(self.idf) else np.zeros(0, np.int32)
        if not len(self.idf):
            return np.full(len(terms), self.rare, np.float32)
        return np.where(terms < len(self.idf), self.idf[known], np.float32(self.rare))


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """The inverted index of some passages. rows, weights: sorted by term; `start[t]:start[t + 1]` is term t's part."""

    start: NDArray[np.int64]
    rows: Numbers
    weights: Floats
    count: int

    @classmethod
    def of(cls, bags: Sequence[Bag], statistics: Statistics, lead: float) -> Postings:
        """Build it; row i is `bags[i]`."""
        if not bags:
            return cls(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), 0)
        terms = np.concatenate([bag.terms for bag in bags])
        rows = np.repeat(np.arange(len(bags), dtype=np.int32), [len(bag.terms) for bag in bags])
        weights = np.concatenate([saturated(bag, statistics, lead) for bag in bags])
        order = np.argsort(terms, kind="stable")
        start = np.concatenate([[0], np.cumsum(np.bincount(terms))])
        return cls(start, rows[order], weights[order], len(bags))

    def part(self, term: int) -> slice:
        """Where a term's passages stand in `rows` and `weights`."""
        if term + 1 >= len(self.start):
            return slice(0, 0)
        return slice(int(self.start[term]), int(self.start[term + 1]))

    def scores(self, shares: Mapping[int, float]) -> Floats:
        """float32 [count] in [0, 1]. shares: what each term of the query contributes at most; they sum to one."""
        found = np.zeros(self.count, np.float32)
        for term, share in shares.items():
            if share < _NOTHING:
                continue
            part = self.part(term)
            np.add.at(found, self.rows[part], self.weights[part] * np.float32(share))
        return found


def saturated(bag: Bag, statistics: Statistics, lead: float) -> Floats:
    """float32 [n] in [0, 1): how much of each term a passage has, more of it counting ever less."""
    counts = _weighted(bag, lead)
    length = float(counts.sum()) / statistics.length
    weights: Floats = counts / (counts + np.float32(K1 * (1 - B + B * length)))
    return weights


def _weighted(bag: Bag, lead: float) -> Floats:
    counts: Floats = bag.counts + np.float32(lead) * bag.lead
    return counts
