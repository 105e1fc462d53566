"""Texts as bags of term numbers: one growing table of terms that all parts of an index share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from x0tta6bl4.ml.retrieval.text import TOKEN, clean, expand
from x0tta6bl4.model import Floats

T = TypeVar("T")
Numbers = NDArray[np.int32]
LEAD_TOKENS: Final = 10
"""How many tokens at the start of a passage count `Weights.lead` times: its title and what it says first."""
QUERY_TERMS_MAX: Final = 256
"""Of a query with more distinct terms the most frequent ones count: nobody asks 100 KB."""


@dataclass(frozen=True, slots=True, eq=False)
class Bag:
    """The terms of one text. terms: int32 [n], each once; counts, lead: float32 [n], in all and at its start."""

    terms: Numbers
    counts: Floats
    lead: Floats


class Vocabulary:
    """Terms by number, in the order in which they were seen; `words` holds a plain word for each, "" for none."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.words: list[str] = []

    def __len__(self) -> int:
        return len(self.words)

    def bag(self, text: str) -> Bag:
        """The bag of a text; unseen terms are added, so one thread at a time."""
        counts: dict[int, int] = {}
        lead: dict[int, int] = {}
        for position, token in enumerate(TOKEN.findall(clean(text))):
            for term, word in expand(token):
                number = self._numbers.get(term)
                if number is None:
                    # The word comes first: a reader that sees the number must find it.
                    self.words.append(word)
                    number = self._numbers[term] = len(self.words) - 1
                counts[number] = counts.get(number, 0) + 1
                if position < LEAD_TOKENS:
                    lead[number] = lead.get(number, 0) + 1
        terms = np.fromiter(counts, np.int32, len(counts))
        leading = np.array([lead.get(number, 0) for number in counts], np.float32)
        return Bag(terms, np.fromiter(counts.values(), np.float32, len(counts)), leading)

    def query(self, text: str, size: int) -> tuple[dict[int, int], dict[str, int]]:
        """Counts of a query's terms among the first `size`, and of the plain words of all others; adds nothing."""
        known: dict[int, int] = {}
        unknown: dict[str, int] = {}
        for token in TOKEN.findall(clean(text)):
            for term, word in expand(token):
                number = self._numbers.get(term)
                if number is not None and number < size:
                    known[number] = known.get(number, 0) + 1
                elif word:
                    unknown[word] = unknown.get(word, 0) + 1
        return _most(known), _most(unknown)


def _most(counts: dict[T, int]) -> dict[T, int]:
    if len(counts) <= QUERY_TERMS_MAX:
        return counts
    return dict(sorted(counts.items(), key=lambda item: -item[1])[:QUERY_TERMS_MAX])
