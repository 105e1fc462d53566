"""How the ways to compare are weighed: a convex combination of scores that all lie in [0, 1].

Bruch, Gai & Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval" (2023). The scores are divided by their
theoretical bounds, not by the best score of a query, so that a similarity means the same for every query.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import Final

from x0tta6bl4.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Weights:
    """Shares of BM25, of word vectors and of sentence vectors; they sum to one. lead: what a title's term adds.

    Raises ConfigError for a share outside [0, 1], for shares that do not sum to one, and for a lead below 0.
    """

    lexical: float
    meaning: float
    sentence: float = 0.0
    lead: float = 2.0

    def __post_init__(self) -> None:
        shares = astuple(self)[:3]
        if not all(0 <= share <= 1 for share in shares) or not math.isclose(sum(shares), 1, abs_tol=1e-6):
            raise ConfigError("retrieval.weights", shares, "three numbers in [0, 1] that sum to 1")
        if not 0 <= self.lead <= 10:
            raise ConfigError("retrieval.weights.lead", self.lead, "a number in [0, 10]")


FAST: Final = Weights(0.75, 0.25)
ACCURATE: Final = Weights(0.45, 0.2, 0.35)
