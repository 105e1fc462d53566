"""Laws of what decides: guards, rankers, detectors. They are pure: the same question has the same answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from x0tta6bl4.catalog import ActionKind, Proposal
from x0tta6bl4.mape_k.guards import RULES, Rule, Situation, refusal
from x0tta6bl4.model import Floats
from x0tta6bl4.ports import Detector, Ranker
from x0tta6bl4.testing.samples import candidates, proposal, situations

Case = tuple[Proposal, ActionKind, Situation]


def guard_laws(rule: Rule, cases: Sequence[Case] = ()) -> None:
    """Laws of a guard, tried on situations at the edges and on `cases` of your own."""
    assert rule.__name__.isidentifier(), "a guard is a named function: its name stands in every refusal"
    assert rule.__doc__, "a guard says in its docstring what it refuses"
    for asked, kind, view in (*((*proposal(), view) for view in situations()), *cases):
        before = repr((asked, kind, view))
        answer = rule(asked, kind, view)
        assert isinstance(answer, str), f'a guard answers with its reason or "", not {answer!r}'
        assert "\n" not in answer, "a reason is one line"
        assert rule(asked, kind, view) == answer, "a guard is pure: asked again it answers the same"
        assert repr((asked, kind, view)) == before, "a guard changes nothing"
        if refusal(asked, kind, view, RULES):
            assert refusal(asked, kind, view, (rule, *RULES)), "a guard never permits what others refuse"


def ranker_laws(make: Callable[[], Ranker]) -> None:
    """Laws of `ports.Ranker`: a total order, pure, that neither drops nor adds nor changes a candidate."""
    context: dict[str, float | str] = {"cause": "link-lossy", "confidence": 0.8}
    offered = candidates()
    for some in ([], offered[:1], offered, offered[::-1]):
        before = list(some)
        ranked = list(make().rank(some, dict(context)))
        assert some == before, "a ranker leaves its input as it was"
        same = sorted(map(id, ranked)) == sorted(map(id, some))
        assert same, "a ranker returns the very candidates it was given, each once"
        assert list(make().rank(some, dict(context))) == ranked, "a ranker is pure"
        place = {id(candidate): number for number, candidate in enumerate(ranked)}
        for one, other in combinations(some, 2):
            pair = list(make().rank([one, other], dict(context)))
            assert (pair[0] is one) == (place[id(one)] < place[id(other)]), (
                f"a total order: {one.action.kind} and {other.action.kind} alone stand as they do among others"
            )


def detector_laws(make: Callable[[], Detector]) -> None:
    """Laws of `ports.Detector`: batched, scores in [0, 1], NaN scores 0, inputs are left as they were."""
    detector = make()
    assert isinstance(detector.name, str), "a detector's name is text"
    assert detector.name, "a detector has a name; its version is part of it"
    random = np.random.default_rng(1)
    for slots in (0, 1, 5):
        detector, again = make(), make()
        for now in range(30):
            values = random.normal(10.0, 1.0, (3, slots)).astype(np.float32)
            values[0, : slots // 2] = np.nan
            scores = _scored(detector, values, float(now))
            same = np.array_equal(scores, _scored(again, values, float(now)))
            assert same, "the same history gives the same scores"


def _scored(detector: Detector, values: Floats, now: float) -> Floats:
    """The scores of one pass, which is then learned from."""
    mask = ~np.isnan(values)
    kept = values.copy(), mask.copy()
    scores = np.asarray(detector.score(values, now))
    detector.learn(values, mask, now)
    unchanged = np.array_equal(values, kept[0], equal_nan=True) and np.array_equal(mask, kept[1])
    assert unchanged, "a detector leaves its inputs as they were"
    assert scores.shape == values.shape, f"scores have the readings' shape {values.shape}, not {scores.shape}"
    assert ((scores >= 0) & (scores <= 1)).all(), "scores lie in [0, 1]"
    assert (scores[np.isnan(values)] == 0).all(), "what was not measured scores 0"
    return scores
