"""Learning from confirmed answers: which weights, and which turn of the queries' vectors, find what helped before.

A third of the feedback fits the adapter, a third chooses among candidates, a third is held back: what was learned is
used only where it finds the held-back answers better than what is in use, by more than chance gives: the lower bound of
the gain (paired bootstrap, one-sided 99 %) is above zero. It learns nothing from fewer than 24 answers, or where fewer
than 8 are held back.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from x0tta6bl4.errors import ProtocolError
from x0tta6bl4.ml.retrieval.fusion import Weights
from x0tta6bl4.ml.retrieval.index import Index
from x0tta6bl4.ml.retrieval.ports import Feedback
from x0tta6bl4.ml.retrieval.semantic import Adapter

PAIRS_MIN: Final = 24
HELD_MIN: Final = 8
_DRAWS: Final = 2000
_CHANCE: Final = 0.01
_RANK: Final = 8
_DAMPING: Final = 10.0
_DEPTH: Final = 10
_SHARES: Final = (0.35, 0.5, 0.65, 0.8)
_LEADS: Final = (0.5, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned. before, after: mean reciprocal rank of the held-back answers. model: whose vectors it turns.

    least: the lower bound of the gain.
    """

    weights: Weights
    adapter: Adapter | None
    pairs: int
    before: float
    after: float
    model: str
    least: float = 0.0

    @property
    def better(self) -> bool:
        """Whether it is worth using."""
        return self.least > 0

    def encode(self) -> bytes:
        """As bytes (npz without pickles), for a store."""
        told = {"weights": asdict(self.weights), "pairs": self.pairs, "before": self.before, "after": self.after}
        arrays = {"told": np.array(json.dumps({**told, "model": self.model, "least": self.least}))}
        if self.adapter is not None:
            arrays |= {"down": self.adapter.down, "up": self.adapter.up}
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **arrays)
        return file.getvalue()

    @classmethod
    def decode(cls, data: bytes) -> Learned:
        """Inverse of `encode`; raises ProtocolError where the bytes are not that."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                told = json.loads(str(file["told"]))
                adapter = Adapter(file["down"], file["up"]) if "down" in file else None
            weights = Weights(**told.pop("weights"))
            return cls(weights, adapter, **told)
        except (ValueError, KeyError, TypeError, OSError, EOFError, BadZipFile) as error:
            raise ProtocolError(f"retrieval: what was learned cannot be read: {error}") from error


def learn(index: Index, feedback: Sequence[Feedback]) -> Learned | None:
    """What the feedback teaches about this index; None where there is too little of it (see `PAIRS_MIN`).

    Only answers that helped, with documents that are still there, count.
    """
    there = {document.id for document in index.documents()}
    pairs = list(dict.fromkeys((one.query, one.document) for one in feedback if one.helped and one.document in there))
    fitted, choosing, held = ([pair for pair in pairs if _third(pair[0]) == third] for third in range(3))
    if len(pairs) < PAIRS_MIN or len(held) < HELD_MIN or not (fitted and choosing):
        return None
    best = max(_candidates(index, fitted), key=lambda one: ranks(one, choosing).mean())
    before, after = ranks(index, held), ranks(best, held)
    means = float(before.mean()), float(after.mean())
    return Learned(best.weights, best.adapter, len(pairs), *means, best.vectors_name, _least(after - before))


def _least(gains: NDArray[np.float64]) -> float:
    """The lower bound of the mean gain: of draws with replacement, all but one in a hundred lie above it."""
    drawn = np.random.default_rng(1).integers(len(gains), size=(_DRAWS, len(gains)))
    return float(np.quantile(gains[drawn].mean(axis=1), _CHANCE))


def _third(query: str) -> int:
    """Which third a query belongs to, the same each time: one query is never in two."""
    return hashlib.sha256(query.encode(errors="replace")).digest()[0] % 3


def _candidates(index: Index, fitted: Sequence[tuple[str, str]]) -> Iterator[Index]:
    yield index
    turned = (None, _adapter(index, fitted))
    for lead in _LEADS:
        # Another lead means other postings; the rest is cheap on top of them.
        base = index.variant(replace(index.weights, lead=lead), None)
        for share in _SHARES:
            for adapter in turned:
                yield base.variant(base.weights.with_lexical(share), adapter)


def _adapter(index: Index, fitted: Sequence[tuple[str, str]]) -> Adapter:
    """The map of low rank that brings queries nearest to what helped: ridge regression, then its largest parts."""
    queries = np.array([index.meaning(query) for query, _ in fitted])
    answers = np.array([index.meaning_of(document) for _, document in fitted])
    gram = queries.T @ queries + _DAMPING * np.eye(queries.shape[1], dtype=np.float32)
    whole = np.linalg.solve(gram, queries.T @ (answers - queries))
    left, sizes, right = np.linalg.svd(whole)
    return Adapter((left[:, :_RANK] * sizes[:_RANK]).astype(np.float32), right[:_RANK].astype(np.float32))


def ranks(index: Index, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
    """float64 [pairs]: the reciprocal rank of each document that helped, 0 where it is not within the first ten."""
    found = [[hit.passage.document.id for hit in index.search(query, _DEPTH)] for query, _ in pairs]
    places = zip(found, pairs, strict=True)
    return np.array([1 / (1 + ids.index(document)) if document in ids else 0.0 for ids, (_, document) in places])
