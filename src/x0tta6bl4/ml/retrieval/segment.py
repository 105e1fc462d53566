"""A frozen part of an index: its passages, and everything that compares a query with them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from x0tta6bl4.ml.retrieval.bm25 import Postings
from x0tta6bl4.ml.retrieval.fusion import Weights
from x0tta6bl4.ml.retrieval.semantic import dots
from x0tta6bl4.ml.retrieval.text import TOKEN, expand, name
from x0tta6bl4.ml.retrieval.values import NAMED, Passage, values_of
from x0tta6bl4.ml.retrieval.vectors import Mask, Nearest, top
from x0tta6bl4.ml.retrieval.vocabulary import Bag, Numbers
from x0tta6bl4.model import Floats

_HOT: Final = 0.25  # what has less of the words than this share of the best is left to the vectors
_BY_WORDS: Final = 400  # many passages can have the same words: then the meaning decides
_BY_MEANING: Final = 60
_NO_ROWS: Final = np.empty(0, np.int32)
UNSEARCHED: Final = ("fingerprint", "digest")  # metadata that no filter asks for
Where = Mapping[str, object]
"""Metadata that a document must have: each key with the value, or with a collection of values of which any will do."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A passage made ready. windows: float32 [n, dim] of its sentence vectors, None where there is no model."""

    passage: Passage
    bag: Bag
    windows: Floats | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A query made ready. shares: see `Postings.scores`. meaning, sentence: unit vectors."""

    shares: Mapping[int, float]
    meaning: Floats
    sentence: Floats | None


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Row i of everything is `entries[i]`; what was removed stays as a row that is not alive."""

    entries: Sequence[Entry]
    alive: Mask
    whole: bool  # all are alive
    postings: Postings
    nearest: Nearest  # over the meanings, float32 [rows, 256]
    windows: Floats | None
    first: NDArray[np.int64]  # the row of each passage's first window
    rows: Mapping[str, range]  # document id -> its passages
    named: Mapping[str, tuple[tuple[str, int], ...]]  # a name as `text.name` spells it -> document ids, passages
    facets: Mapping[tuple[str, object], Numbers]
    phrases: Mapping[str, Collection[int]]  # the first word of a name of several words -> how many such names have

    @classmethod
    def of(cls, entries: Sequence[Entry], postings: Postings, meanings: Floats) -> Self:
        """Freeze them. Entries of one document stand together."""
        windows = [entry.windows for entry in entries if entry.windows is not None]
        lengths = [len(one) for one in windows]
        first = np.cumsum([0, *lengths[:-1]], dtype=np.int64)
        stack = np.concatenate(windows) if windows else None
        rows = _rows(entries)
        alive, nearest = np.ones(len(entries), np.bool_), Nearest(meanings)
        named, facets = _metadata(entries, rows)
        phrases: dict[str, set[int]] = {}
        for words in map(str.split, named):
            if len(words) > 1:
                phrases.setdefault(words[0], set()).add(len(words))
        return cls(entries, alive, True, postings, nearest, stack, first, rows, named, facets, phrases)

    def without(self, documents: Collection[str]) -> Self:
        """The same with those documents dead."""
        alive = self.alive.copy()
        for document in documents:
            alive[self.rows.get(document, range(0))] = False
        return replace(self, alive=alive, whole=bool(alive.all()))

    def living(self) -> list[Entry]:
        """The entries that are alive, in order."""
        return [entry for entry, alive in zip(self.entries, self.alive, strict=True) if alive]

    def bearers(self, name: str) -> list[tuple[str, int]]:
        """The documents that bear a name, but for those that are dead, and which passage of each it is."""
        return [(document, number) for document, number in self.named[name] if self.alive[self.rows[document].start]]

    def scores(
        self, question: Question, weights: Weights, where: Where, k: int, also: Sequence[int] = ()
    ) -> tuple[Numbers, Floats]:
        """Rows worth looking at, int32 [n], and how well each fits in [0, 1].

        All rows that are alive and match `where`; of a segment that is searched by a graph those that the words or
        the vectors propose, at least `k` where there are so many, and those of `also` that match.
        """
        lexical = self.postings.scores(question.shares)
        mask = self._mask(where)
        if self.nearest.exact:
            rows = np.arange(len(lexical), dtype=np.int32) if mask is None else np.flatnonzero(mask).astype(np.int32)
        else:
            wanted = [row for row in also if mask is None or mask[row]]
            rows = np.union1d(self._proposed(question, lexical, mask, k), np.array(wanted, np.int32))
        fits = lexical[rows] * np.float32(weights.lexical)
        fits += np.float32(weights.meaning) * np.maximum(self._meant(question.meaning, rows), 0)
        if question.sentence is not None and self.windows is not None:
            fits += np.float32(weights.sentence) * self._told(question.sentence, rows)
        return rows, fits

    def _meant(self, meaning: Floats, rows: Numbers) -> Floats:
        """How near in meaning some rows are, float32 [rows]."""
        vectors = self.nearest.vectors
        if len(rows) * 4 > len(vectors):  # to copy that many is slower than to look at all
            return dots(vectors, meaning)[rows]
        return dots(vectors[rows], meaning)

    def _told(self, sentence: Floats, rows: Numbers) -> Floats:
        """How well the sentences of some rows fit, float32 [rows] in [0, 1]."""
        assert self.windows is not None
        if len(rows) == len(self.first):
            each, first = dots(self.windows, sentence), self.first
        else:
            ends = np.append(self.first[1:], len(self.windows))
            counts = (ends - self.first)[rows]
            first = np.cumsum(counts) - counts
            # The windows of a row stand together: each row's start, repeated, plus 0, 1, 2, ...
            wanted = np.repeat(self.first[rows] - first, counts) + np.arange(counts.sum())
            each = dots(self.windows[wanted], sentence)
        # The start says what a passage is about; the best window, whether it says what was asked.
        pair = each[first] + np.maximum.reduceat(each, first) if len(first) else np.zeros(0, np.float32)
        return np.maximum(pair / 2, 0)

    def _proposed(self, question: Question, lexical: Floats, mask: Mask | None, k: int) -> Numbers:
        """The rows that have the most of the words, and those that are nearest in meaning."""
        told = lexical if mask is None else lexical * mask
        hot = np.flatnonzero(told > _HOT * told.max())
        hot = hot[top(told[hot], max(_BY_WORDS, 8 * k))].astype(np.int32)
        return np.union1d(hot, self.nearest.rows(question.meaning, max(_BY_MEANING, 4 * k), mask))

    def _mask(self, where: Where) -> Mask | None:
        """Which rows are alive and have that metadata, bool [rows]; None where that is all of them."""
        mask = None if self.whole else self.alive
        for key, wanted in where.items():
            has = np.zeros(len(self.alive), np.bool_)
            for value in values_of(wanted):
                has[self.facets.get((key, value), _NO_ROWS)] = True
            mask = has if mask is None else mask & has
        return mask


def _rows(entries: Sequence[Entry]) -> dict[str, range]:
    rows: dict[str, range] = {}
    for row, entry in enumerate(entries):
        document = entry.passage.document.id
        rows[document] = range(rows[document].start if document in rows else row, row + 1)
    return rows


def _metadata(
    entries: Sequence[Entry], rows: Mapping[str, range]
) -> tuple[dict[str, tuple[tuple[str, int], ...]], dict[tuple[str, object], Numbers]]:
    named: dict[str, tuple[tuple[str, int], ...]] = {}
    facets: dict[tuple[str, object], list[int]] = {}
    for document, own in rows.items():
        passage = entries[own.start].passage
        for called in dict.fromkeys(_names(passage)):
            number = _section(called, [entries[row].passage for row in own]) if len(own) > 1 else 0
            named[called] = (*named.get(called, ()), (document, number))
        for key, value in passage.document.metadata.items():
            for one in values_of(value) if key not in UNSEARCHED else ():
                facets.setdefault((key, one), []).extend(own)
    return named, {key: np.array(found, np.int32) for key, found in facets.items()}


def _names(passage: Passage) -> list[str]:
    """What names a document exactly: its metadata, the id it is filed under (a path), a title that is an identifier."""
    metadata = passage.document.metadata
    names = [str(value) for key in NAMED for value in values_of(metadata.get(key, ()))]
    if "/" in passage.document.id:
        names.append(passage.document.id)
    title = passage.text.lstrip("# \n").split("\n", 1)[0].strip(" #`*")
    if TOKEN.fullmatch(title) and len(expand(title)) > 1:
        names.append(title)
    return [spelled for one in names if (spelled := name(one))]


def _section(called: str, passages: Sequence[Passage]) -> int:
    """The passage that has a section of that name; the first where none has."""
    for number, passage in enumerate(passages):
        paths = [path for path, _ in passage.sections] or [passage.headings]
        if number and any(path and name(path[-1]) == called for path in paths):
            return number
    return 0
