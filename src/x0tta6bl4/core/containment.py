"""Plugins' parts inside a running loop, which they cannot stop.

A guard that fails refuses, since what cannot be judged is not done; a remedy that fails proposes nothing; a ranker
that fails leaves the order as it was; a detector that fails finds nothing unusual. The log says so, once for each
reason.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from x0tta6bl4.catalog import Catalog
from x0tta6bl4.mape_k.guards import Rule
from x0tta6bl4.model import Candidate, Floats, Seconds
from x0tta6bl4.ports import Detector, Ranker

log = logging.getLogger("x0tta6bl4.plugins")


class Contained:
    """A plugin's function: where it raises or breaks its law, `instead` answers and the log says why.

    lawful: is this answer (its first argument) one that may be given to those arguments?
    """

    def __init__(
        self, plugin: str, call: Callable[..., Any], lawful: Callable[..., bool], instead: Callable[..., Any]
    ) -> None:
        self.__name__ = getattr(call, "__name__", type(call).__name__)
        self._plugin, self._call, self._lawful, self._instead = plugin, call, lawful, instead
        self._said = ""

    def __call__(self, *arguments: Any) -> Any:
        """What it answers."""
        try:
            answer = self._call(*arguments)
            if self._lawful(answer, *arguments):
                return answer
            why = f"answered {answer!r}"[:200]
        except Exception as error:  # noqa: BLE001  # foreign code at its outer edge: the loop goes on
            why = f"raised {type(error).__name__}: {error}"
        if why != self._said:  # once, not in every pass
            self._said = why
            log.warning("plugin %s: %s %s", self._plugin, self.__name__, why)
        return self._instead(why, *arguments)


def rules(plugin: str, given: Sequence[Rule]) -> tuple[Rule, ...]:
    """Guards."""
    return tuple(
        Contained(plugin, rule, lambda said, *_: isinstance(said, str), lambda why, *_: f"it {why}") for rule in given
    )


def catalog(plugin: str, given: Catalog) -> Catalog:
    """A catalogue with its remedies."""
    remedies = {
        code: Contained(plugin, remedy, lambda said, *_: isinstance(said, Sequence), lambda why, *_: ())
        for code, remedy in given.remedies.items()
    }
    return replace(given, remedies=remedies)


@dataclass(frozen=True, slots=True)
class _Ranker:
    """`ports.Ranker` over a contained method."""

    rank: Callable[..., Any]


def ranker(plugin: str, given: Ranker) -> Ranker:
    """A ranker."""
    return _Ranker(Contained(plugin, given.rank, _same_candidates, lambda why, some, context: some))


def _same_candidates(said: Any, some: Sequence[Candidate], context: object) -> bool:
    return isinstance(said, Sequence) and sorted(map(id, said)) == sorted(map(id, some))


@dataclass(slots=True)
class _Detector:
    """`ports.Detector` over contained methods."""

    name: str
    score: Callable[..., Any]
    learn: Callable[..., Any]


def detector(plugin: str, given: Detector) -> Detector:
    """A detector."""
    return _Detector(
        given.name,
        Contained(plugin, given.score, _scores, lambda why, values, now: np.zeros_like(values)),
        Contained(plugin, given.learn, lambda *_: True, lambda *_: None),
    )


def _scores(said: Any, values: Floats, now: Seconds) -> bool:
    return np.shape(said) == values.shape and bool(np.all((np.asarray(said) >= 0) & (np.asarray(said) <= 1)))
