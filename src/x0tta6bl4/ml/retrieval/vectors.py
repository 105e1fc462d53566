"""The nearest vectors: all are looked at up to 20,000; above that a graph proposes and the exact distance decides.

Malkov & Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small World
graphs" (2016). The graph is a cache: it is built from the vectors, and never kept.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from x0tta6bl4.errors import ConfigError
from x0tta6bl4.ml.retrieval.semantic import dots, unit
from x0tta6bl4.ml.retrieval.vocabulary import Numbers
from x0tta6bl4.model import Floats

_log = logging.getLogger(__name__)
EXACT_MAX: Final = 20_000  # about where the graph becomes the faster one (benchmarks/retrieval.py, scale)
_LINKS: Final = 24
_BUILD: Final = 200
_WIDTH: Final = 200  # how many the graph looks at: recall@10 above .98 (benchmarks/retrieval.py)
_OFTEN: Final = 0.15
_FEW: Final = 3_000  # so few that match a filter are looked at one by one
Mask = NDArray[np.bool_]


class Nearest:
    """Frozen unit vectors, float32 [rows, dim]; above 20,000 with a graph, where `hnswlib` is installed."""

    def __init__(self, vectors: Floats) -> None:
        self.vectors = vectors
        self._graph: Any = _graph(vectors) if len(vectors) > EXACT_MAX else None

    @property
    def exact(self) -> bool:
        """Whether every vector is looked at."""
        return self._graph is None

    def rows(self, query: Floats, k: int, mask: Mask | None = None) -> Numbers:
        """The rows nearest to a unit vector, at most `k`, best first; `mask` (bool [rows]) says which may be."""
        share = 1.0 if mask is None else float(np.count_nonzero(mask)) / max(len(self.vectors), 1)
        if mask is not None and (self.exact or share * len(self.vectors) <= _FEW):
            among = np.flatnonzero(mask).astype(np.int32)
        elif self.exact:
            among = np.arange(len(self.vectors), dtype=np.int32)
        else:
            among = self._proposed(query, k, share)
            among = among if mask is None else among[mask[among]]
        fits = dots(self.vectors if len(among) == len(self.vectors) else self.vectors[among], query)
        return among[top(fits, k)]

    def _proposed(self, query: Floats, k: int, share: float) -> Numbers:
        # A filter that lets a tenth through needs twice the width to leave as many of the nearest.
        looked = int(max(_WIDTH, 2 * k) * max(1.0, _OFTEN / share))
        self._graph.set_ef(looked)
        found: NDArray[np.uint64] = self._graph.knn_query(query, k=looked, num_threads=1)[0][0]
        return found.astype(np.int32)


def top(fits: Floats, k: int) -> NDArray[np.intp]:
    """The positions of the `k` largest, largest first; equal ones in order."""
    if k >= len(fits):
        return np.argsort(-fits, kind="stable")
    least = len(fits) - max(k, 1)
    best = np.flatnonzero(fits >= np.partition(fits, least)[least])
    return best[np.argsort(-fits[best], kind="stable")][:k]


def _graph(vectors: Floats) -> Any:
    """A graph over the vectors; None where the package for it is missing: then looking at all is slow, and right."""
    if find_spec("hnswlib") is None:
        _log.warning("%d passages: every query looks at all of them; faster with x0tta6bl4[large]", len(vectors))
        return None
    import hnswlib  # noqa: PLC0415  # compiled, and needed by few

    graph = hnswlib.Index(space="ip", dim=vectors.shape[1])
    graph.init_index(max_elements=len(vectors), M=_LINKS, ef_construction=_BUILD, random_seed=1)
    graph.add_items(vectors)
    return graph


class VectorStore:
    """Vectors by id, of one dimension; the similarity is the cosine.

    >>> store = VectorStore(2)
    >>> store.add(["north", "east"], np.array([[0, 1], [1, 0]], np.float32))
    >>> store.search(np.array([0.1, 2.0], np.float32), k=1)[0][0]
    'north'
    """

    def __init__(self, embedding_dim: int = 384) -> None:
        if embedding_dim < 1:
            raise ConfigError("vectors.embedding_dim", embedding_dim, "a number >= 1")
        self.embedding_dim = embedding_dim
        self._ids: list[str] = []
        self._rows: dict[str, int] = {}  # id -> its row; rows that no id has are dead
        self._vectors = np.zeros((0, embedding_dim), np.float32)
        self._frozen = Nearest(self._vectors)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._rows)

    def add(self, ids: Sequence[str], vectors: Floats) -> None:
        """Add vectors, float32 [ids, dim], or replace those that are there; they can be found when it returns.

        Raises ConfigError for another shape, for numbers that are not finite, and for an id that stands there twice.
        """
        if vectors.shape != (len(ids), self.embedding_dim) or not np.isfinite(vectors).all():
            raise ConfigError(
                "vectors", f"shape {vectors.shape}", f"finite numbers of shape ({len(ids)}, {self.embedding_dim})"
            )
        if len(set(ids)) < len(ids):
            raise ConfigError("vectors.ids", "one id twice", "each id once")
        self._rows |= {identity: len(self._ids) + offset for offset, identity in enumerate(ids)}
        self._ids += ids
        self._vectors = np.concatenate([self._vectors, unit(vectors.astype(np.float32))])
        if len(self._ids) > len(self._frozen.vectors) * 9 // 8:
            self._freeze()

    def remove(self, ids: Collection[str]) -> None:
        """Forget vectors; ids that are unknown are ignored."""
        for identity in ids:
            self._rows.pop(identity, None)

    def search(self, query: Floats, k: int = 10, among: Collection[str] | None = None) -> list[tuple[str, float]]:
        """(id, cosine) of the `k` nearest, best first; `among` says which ids may be, None for all.

        Raises ConfigError for a query of another shape or with numbers that are not finite.
        """
        if query.shape != (self.embedding_dim,) or not np.isfinite(query).all():
            raise ConfigError("vectors.query", f"shape {query.shape}", f"{self.embedding_dim} finite numbers")
        wanted = unit(query.astype(np.float32))
        mask = None if among is None and len(self._rows) == len(self._ids) else self._mask(among)
        size = len(self._frozen.vectors)
        late = np.arange(size, len(self._ids), dtype=np.int32)  # added since the graph was built
        rows = np.concatenate(
            [
                self._frozen.rows(wanted, k, None if mask is None else mask[:size]),
                late if mask is None else late[mask[size:]],
            ]
        )
        fits = dots(self._vectors[rows], wanted)
        return [(self._ids[rows[at]], float(fits[at])) for at in top(fits, k)]

    def _mask(self, among: Collection[str] | None) -> Mask:
        mask = np.zeros(len(self._ids), np.bool_)
        mask[[self._rows[one] for one in (self._rows if among is None else among) if one in self._rows]] = True
        return mask

    def _freeze(self) -> None:
        rows = list(self._rows.values())
        self._ids, self._vectors = [self._ids[row] for row in rows], self._vectors[rows]
        self._rows = {identity: row for row, identity in enumerate(self._ids)}
        self._frozen = Nearest(self._vectors)
