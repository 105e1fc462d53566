"""Plans: ranked by measured success and declared risk, said once."""

import pytest

from fakes import counted, plain_situation
from x0tta6bl4.catalog import ActionKind, Autonomy, Catalog, CauseRule, Proposal, Scope
from x0tta6bl4.mape_k.guards import Limits
from x0tta6bl4.mape_k.planner import RETRY_S, Planner
from x0tta6bl4.model import Action, Cause, Component, Diagnosis, Incident

BOX = Component("box", "b")
KINDS = tuple(
    ActionKind(kind, "box", kind, risk, autonomy=Autonomy.ACT) for kind, risk in (("bold", 0.6), ("safe", 0.1))
)


def catalog(scope=Scope.NODE, remedies=None, kinds=KINDS):
    proposals = [Proposal(Action(k.kind, BOX), (), reason=f"why {k.kind}") for k in kinds]
    return Catalog(
        "plant",
        (),
        (),
        (CauseRule("stuck", "box", "stuck", (), 0.5, scope=scope),),
        kinds,
        {"stuck": lambda cause, view: proposals} if remedies is None else remedies,
    )


def incident(code="stuck"):
    return Incident("i1", "c", 1, 90.0, Diagnosis((Cause(code, BOX, 0.8, ()),), 90.0))


def ask(plans, at, limits=None, code="stuck"):
    """As the loop asks: a plan only where one is wanted; None where there is nothing new to say."""
    asked = incident(code)
    return only(plans.plan(asked, None, plain_situation(at, limits), {}) if plans.wants(asked, at) else [])


def only(made):
    assert len(made) <= 1
    return made[0] if made else None


def decide(plans, statistics=None):
    return only(plans.plan(incident(), None, plain_situation(), statistics or {}))


def planner(given=None, scope=Scope.NODE, **options):
    return Planner(given or catalog(), scope=scope, new_id=counted("p"), **options)


def test_the_less_risky_comes_first_until_success_is_measured():
    made = decide(planner())
    assert made.plan.chosen == (Action("safe", BOX),)
    assert made.proposal.reason == "why safe"
    assert [(c.action.kind, c.score, c.success_rate) for c in made.plan.candidates] == [
        ("safe", 0.45, 0.5),
        ("bold", 0.2, 0.5),
    ]
    assert made.plan.probability == 1.0
    assert made.plan.context == {"cause": "stuck", "confidence": 0.8}
    learned = decide(planner(), {("stuck", "safe"): (9, 0), ("stuck", "bold"): (8, 8)})
    assert learned.plan.chosen == (Action("bold", BOX),)
    assert learned.plan.candidates[0].trials == 8


def test_statistics_of_another_cause_do_not_count():
    made = decide(planner(), {("other", "bold"): (99, 99)})
    assert made.plan.chosen == (Action("safe", BOX),)


def test_a_ranker_of_ones_own_decides():
    class Reversed:
        def rank(self, candidates, context):
            return sorted(candidates, key=lambda c: c.score)

    made = decide(planner(ranker=Reversed()))
    assert made.plan.chosen == (Action("bold", BOX),)


def test_the_best_that_is_not_refused_is_chosen():
    def no_safe(proposal, kind, view):
        return "not today" if kind.kind == "safe" else ""

    made = decide(planner(rules=(no_safe,)))
    assert made.plan.chosen == (Action("bold", BOX),)
    assert made.plan.candidates[0].refused_by == "no_safe: not today"


def test_what_was_refused_is_said_once_and_judged_again_later():
    plans = planner()
    stopped = Limits(kill_switch=True)
    said = ask(plans, 100.0, stopped)
    assert said.plan.chosen == ()
    assert said.proposal is None
    assert all(c.refused_by.startswith("kill_switch") for c in said.plan.candidates)
    assert ask(plans, 100.1) is None  # rests
    assert ask(plans, 100.1 + RETRY_S, stopped) is None  # nothing new
    assert ask(plans, 100.2 + 2 * RETRY_S).proposal is not None


def test_forgetting_says_it_again():
    plans = planner()
    stopped = Limits(kill_switch=True)
    ask(plans, 100.0, stopped)
    plans.forget("i1")
    assert ask(plans, 100.0, stopped) is not None


def test_an_advice_is_given_once():
    plans = planner()
    advise = Limits(autonomy_default=Autonomy.ADVISE)
    said = ask(plans, 100.0, advise)
    assert said.plan.chosen == (Action("safe", BOX),)
    assert said.proposal is None
    later = [ask(plans, 100.0 + 2 * i, advise) for i in range(1, 30)]
    assert later == [None] * 29
    assert ask(plans, 200.0).proposal is not None  # allowed at last


@pytest.mark.parametrize(
    ("given", "scope", "code"),
    [
        (catalog(Scope.MESH), Scope.NODE, "stuck"),
        (catalog(), Scope.NODE, "unheard-of"),
        (catalog(remedies={}), Scope.NODE, "stuck"),
        (catalog(remedies={"stuck": lambda cause, view: ()}), Scope.NODE, "stuck"),
    ],
    ids=["mesh scope", "unknown cause", "no remedy", "no proposal"],
)
def test_nothing_to_propose(given, scope, code):
    assert ask(planner(given, scope), 100.0, code=code) is None


def test_the_whole_mesh_may_act_on_what_is_local():
    for scope in Scope:
        assert ask(planner(catalog(scope), Scope.MESH), 100.0) is not None


def sided(*proposals):
    """Proposals by (kind, scope, side)."""
    found = [Proposal(Action(kind, BOX), (), scope=scope, side=side) for kind, scope, side in proposals]
    return catalog(remedies={"stuck": lambda cause, view: found})


def test_the_best_of_each_side_is_chosen():
    given = sided(("safe", Scope.NODE, "a"), ("bold", Scope.NODE, "a"), ("bold", Scope.NODE, "b"))
    made = planner(given, Scope.MESH).plan(incident(), None, plain_situation(), {})
    assert [d.plan.chosen[0].kind for d in made] == ["safe", "bold"]
    assert len({d.plan.id for d in made}) == 2


def test_what_only_the_whole_may_do_is_not_left_to_others_first():
    here = Limits(autonomy_default=Autonomy.ACT)
    alone, both = sided(("safe", Scope.MESH, "")), sided(("bold", Scope.NODE, ""), ("safe", Scope.MESH, ""))
    assert ask(planner(alone, Scope.NODE), 91.0, here) is None
    assert ask(planner(both, Scope.NODE), 91.0, here).plan.chosen[0].kind == "bold"
    assert ask(planner(alone, Scope.MESH, patience_s=4.0), 91.0, here).plan.chosen[0].kind == "safe"
    assert ask(planner(both, Scope.MESH, patience_s=4.0), 91.0, here) is None
    assert ask(planner(both, Scope.MESH, patience_s=4.0), 94.0, here).plan.chosen[0].kind == "safe"
