"""How the ways to compare are weighed: a convex combination of scores that all lie in [0, 1].

Bruch, Gai & Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval" (2023). The scores are divided by their
theoretical bounds, not by the best score of a query, so that a similarity means the same for every query.

The more words a query has, the more their match tells: three words of a heading need the vectors, the forty words of
an alert hardly do (measured: benchmarks/retrieval.py, part quality).
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, replace
from functools import lru_cache
from typing import Final

from x0tta6bl4.errors import ConfigError

SHORT_TERMS: Final = 4
LONG_TERMS: Final = 16


@dataclass(frozen=True, slots=True)
class Weights:
    """Shares of BM25, of word vectors and of sentence vectors; they sum to one. lead: what a title's term adds.

    The shares are those of a long query; a short one takes `tilt` from BM25 and gives it to the vectors.
    Raises ConfigError for a share outside [0, 1], for shares that do not sum to one, for a lead below 0 and for a tilt
    that BM25 does not have.
    """

    lexical: float
    meaning: float
    sentence: float = 0.0
    lead: float = 2.0
    tilt: float = 0.0

    def __post_init__(self) -> None:
        shares = astuple(self)[:3]
        if not all(0 <= share <= 1 for share in shares) or not math.isclose(sum(shares), 1, abs_tol=1e-6):
            raise ConfigError("retrieval.weights", shares, "three numbers in [0, 1] that sum to 1")
        if not 0 <= self.lead <= 10:
            raise ConfigError("retrieval.weights.lead", self.lead, "a number in [0, 10]")
        if not 0 <= self.tilt <= self.lexical:
            raise ConfigError("retrieval.weights.tilt", self.tilt, f"a number in [0, {self.lexical:g}]")

    def with_lexical(self, lexical: float) -> Weights:
        """With another share for BM25; the other shares keep their proportion.

        >>> Weights(0.5, 0.1, 0.4).with_lexical(0.75)
        Weights(lexical=0.75, meaning=0.05, sentence=0.2, lead=2.0, tilt=0.0)
        """
        scale = (1 - lexical) / (1 - self.lexical) if self.lexical < 1 else 0.0
        meaning = self.meaning * scale if scale else 1 - lexical
        return replace(self, lexical=lexical, meaning=meaning, sentence=self.sentence * scale)

    def for_terms(self, terms: int) -> Weights:
        """The shares for a query of so many distinct terms.

        >>> [Weights(0.75, 0.25, tilt=0.25).for_terms(n).lexical for n in (1, 4, 10, 16, 99)]
        [0.5, 0.5, 0.625, 0.75, 0.75]
        """
        return _tilted(self, min(max(terms, SHORT_TERMS), LONG_TERMS))


@lru_cache(maxsize=256)  # every query asks, and there are few answers
def _tilted(weights: Weights, terms: int) -> Weights:
    lexical = weights.lexical - weights.tilt * (LONG_TERMS - terms) / (LONG_TERMS - SHORT_TERMS)
    return weights if lexical == weights.lexical else replace(weights, tilt=0.0).with_lexical(lexical)


FAST: Final = Weights(0.75, 0.25, tilt=0.15)
ACCURATE: Final = Weights(0.65, 0.105, 0.245, tilt=0.3)
