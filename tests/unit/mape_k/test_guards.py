"""Guards: each by its own property, and the laws of the chain."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import MeshRig, plain_situation
from x0tta6bl4.catalog import ActionKind, Autonomy, Proposal
from x0tta6bl4.mape_k import guards
from x0tta6bl4.mape_k.graph import reachable
from x0tta6bl4.mape_k.guards import RULES, Limits, refusal
from x0tta6bl4.model import Action, ActionRecord, ActionState, Component
from x0tta6bl4.network import names

NODES = [Component("node", f"n{i}") for i in range(6)]
LINKS = {Component("link", f"{a.name}>{b.name}"): (a, b) for i, a in enumerate(NODES) for b in NODES[i + 1 :]}
KIND = ActionKind("detach", "interface", "detach", 0.3, avoids=True, autonomy=Autonomy.ACT)
TARGET = Component("interface", "n1:v1")
SAFE = Limits(actions_max=10**6, per_target_max=10**6, blast_radius_max=1.0)


def proposal(target=TARGET, avoids=(), kind="detach"):
    return Proposal(Action(kind, target), (), avoids=tuple(avoids))


def record(at=90.0, target=TARGET, kind="detach", ident="a", **changes):
    base = ActionRecord(ident, "i", 1, Action(kind, target), ActionState.UNDONE, at, at, applied_at=at)
    return replace(base, **changes)


def live_of(links):
    live = {}
    for a, b in (LINKS[k] for k in links):
        live.setdefault(a, set()).add(b)
        live.setdefault(b, set()).add(a)
    return live


some_links = st.lists(st.sampled_from(sorted(LINKS)), unique=True, max_size=10)
records = st.lists(
    st.builds(
        record,
        at=st.floats(0, 100),
        target=st.sampled_from([TARGET, Component("interface", "n2:v1")]),
        confirmed_at=st.sampled_from([None, 95.0]),
        applied_at=st.sampled_from([None, 90.0]),
    ),
    max_size=6,
)
limits = st.builds(
    Limits,
    kill_switch=st.booleans(),
    autonomy_default=st.sampled_from([None, *Autonomy]),
    blast_radius_max=st.floats(0, 1),
    actions_max=st.integers(0, 5),
    per_target_max=st.integers(0, 5),
    irreversible_allowed=st.sampled_from([frozenset(), frozenset({"detach"})]),
)
kinds = st.builds(replace, st.just(KIND), irreversible=st.booleans(), avoids=st.booleans())


@st.composite
def situations(draw):
    return plain_situation(
        limits=draw(limits),
        live=live_of(draw(some_links)),
        ends=LINKS,
        recent=draw(records),
        age_s=draw(st.floats(0, 6)),
    )


@given(kinds, situations(), some_links, st.lists(st.sampled_from(RULES), unique=True), st.sampled_from(RULES))
def test_adding_a_guard_never_permits_more(kind, view, avoids, rules, added):
    asked = proposal(avoids=avoids)
    if refusal(asked, kind, view, rules):
        assert refusal(asked, kind, view, [*rules, added])
        assert refusal(asked, kind, view, [added, *rules])


@given(kinds, situations(), some_links)
def test_a_reason_names_its_guard_and_asking_changes_nothing(kind, view, avoids):
    asked = proposal(avoids=avoids)
    first = refusal(asked, kind, view)
    assert refusal(asked, kind, view) == first
    assert first == "" or first.split(": ")[0] in {r.__name__ for r in RULES}


@pytest.mark.parametrize(
    "target",
    [Component("interface", name) for name in ("", "*", "all")] + [Component(k, "n1:v1") for k in ("", "node", "*")],
    ids=str,
)
@given(view=situations(), rules=st.lists(st.sampled_from(RULES), unique=True))
def test_no_target_never_means_all(target, view, rules):
    assert refusal(proposal(target), KIND, view, rules).startswith("has_target: ")
    assert refusal(proposal(target), KIND, view, ()).startswith("has_target: ")


@given(situations())
def test_nothing_passes_the_kill_switch(view):
    view = replace(view, limits=replace(view.limits, kill_switch=True))
    assert refusal(proposal(), KIND, view)
    assert guards.kill_switch(proposal(), KIND, view)
    assert not guards.kill_switch(proposal(), KIND, replace(view, limits=Limits()))


@pytest.mark.parametrize("level", Autonomy)
def test_only_observe_is_not_planned(level):
    limits = Limits(autonomy={"detach": level}, autonomy_default=Autonomy.OBSERVE)
    assert bool(guards.autonomy(proposal(), KIND, plain_situation(limits=limits))) == (level is Autonomy.OBSERVE)


def test_levels_are_by_kind_then_by_default_then_by_catalogue():
    assert Limits().level(KIND) is Autonomy.ACT
    assert Limits(autonomy_default=Autonomy.APPROVE).level(KIND) is Autonomy.APPROVE
    named = Limits(autonomy_default=Autonomy.APPROVE, autonomy={"detach": Autonomy.ADVISE})
    assert named.level(KIND) is Autonomy.ADVISE


@given(st.booleans(), st.booleans())
def test_what_cannot_be_undone_needs_its_own_opt_in(irreversible, allowed):
    kind = replace(KIND, irreversible=irreversible)
    view = plain_situation(limits=Limits(irreversible_allowed=frozenset({"detach"} if allowed else {"other"})))
    assert bool(guards.reversible(proposal(), kind, view)) == (irreversible and not allowed)


@given(st.floats(0, 100), st.floats(0.1, 50))
def test_nothing_is_acted_on_that_is_stale(age, limit):
    view = plain_situation(limits=Limits(stale_after_s=limit), age_s=age)
    assert bool(guards.fresh(proposal(), KIND, view)) == (age > limit)


def connected(live):
    seen, parts = set(), 0
    for start in live:
        parts += start not in seen
        seen |= reachable(live, start)
    return parts


@given(some_links, some_links)
def test_the_mesh_is_never_parted(present, avoids):
    live = live_of(present)
    view = plain_situation(live=live, ends=LINKS)
    left = {v: set(near) for v, near in live.items()}
    for a, b in (LINKS[k] for k in avoids):
        left.get(a, set()).discard(b)
        left.get(b, set()).discard(a)
    parted = connected(left) > connected(live)
    reason = guards.keeps_connected(proposal(avoids=avoids), KIND, view)
    assert bool(reason) == parted
    assert guards.keeps_connected(proposal(avoids=avoids), replace(KIND, avoids=False), view) == ""


@given(some_links, some_links, st.floats(0, 1))
def test_a_larger_allowance_never_refuses_more(present, avoids, share):
    view = plain_situation(live=live_of(present), ends=LINKS, limits=Limits(blast_radius_max=share))
    wide = replace(view, limits=Limits(blast_radius_max=1.0))
    assert guards.blast_radius(proposal(avoids=avoids), KIND, wide) == ""
    touched = {v for k in avoids for v in LINKS[k] if view.live.get(v)}
    if len(touched) <= 2:  # one link is never too much
        assert guards.blast_radius(proposal(avoids=avoids), KIND, view) == ""
    elif len(touched) / len(view.live) > max(share, 2 / len(view.live)):
        assert "blast radius" in guards.blast_radius(proposal(avoids=avoids), KIND, view)


@given(records)
def test_the_storm_brake_counts_what_was_started_lately(recent):
    view = plain_situation(now=100.0, recent=recent, limits=Limits(actions_max=3, window_s=50.0))
    started = [r for r in recent if r.applied_at is not None and r.proposed_at > 50.0]
    assert bool(guards.storm_brake(proposal(), KIND, view)) == (len(started) >= 3)


@given(st.lists(st.floats(0, 99), min_size=1, max_size=8).map(sorted))
def test_a_target_is_left_alone_after_some_actions(times):
    recent = [record(at, confirmed_at=at) for at in times]
    view = plain_situation(recent=recent, limits=Limits(per_target_max=3, per_target_window_s=40.0))
    assert bool(guards.cool_down(proposal(), KIND, view)) == (sum(100 - at < 40 for at in times) >= 3)
    elsewhere = proposal(Component("interface", "n2:v1"))
    assert guards.cool_down(elsewhere, KIND, view) == ""


@given(st.floats(60, 100))
def test_what_did_not_help_is_not_tried_again_at_once(at):
    view = plain_situation(recent=[record(at)], limits=SAFE)
    assert bool(guards.cool_down(proposal(), KIND, view)) == (100 - at < KIND.cool_down_s)
    helped = plain_situation(recent=[record(at, confirmed_at=at)], limits=SAFE)
    assert guards.cool_down(proposal(), KIND, helped) == ""
    other = replace(KIND, kind="penalise")
    assert guards.cool_down(proposal(kind="penalise"), other, view) == ""


def test_what_could_not_be_undone_is_not_done_again():
    view = replace(plain_situation(), left=frozenset({("detach", TARGET)}))
    assert guards.none_left_behind(proposal(), KIND, view)
    assert guards.none_left_behind(proposal(Component("interface", "n2:v1")), KIND, view) == ""
    assert guards.none_left_behind(proposal(kind="penalise"), replace(KIND, kind="penalise"), view) == ""


@given(st.floats(60, 100))
def test_what_its_actuator_refused_is_not_tried_again_at_once(at):
    refused = record(at, state=ActionState.REFUSED, applied_at=None)
    view = plain_situation(recent=[refused], limits=SAFE)
    assert bool(guards.cool_down(proposal(), KIND, view)) == (100 - at < KIND.cool_down_s)


def test_a_way_that_is_already_avoided_carries_nothing():
    rig = MeshRig("n1-n2 n2-n3 n3-n1")
    rig.run(0.0, 0.2)
    asked = Proposal(Action("detach-interface", names.interface("n1", "v1-2")), (), avoids=(rig.link("n1", "n2"),))
    kind = rig.catalog.action["detach-interface"]
    assert guards.keeps_connected(asked, kind, rig.situation()) == ""
    assert "n1-n2" in guards.keeps_connected(asked, kind, rig.situation(avoided=[rig.link("n3", "n1")]))
    rig.set(names.interface("n3", "v3-1"), up=0)
    rig.run(0.3, 0.5)
    assert "only way" in guards.keeps_connected(asked, kind, rig.situation())


def test_a_dead_link_carries_nothing_and_its_avoidance_parts_nothing():
    rig = MeshRig("n1-n2 n2-n3")
    rig.run(0.0, 0.2)
    for a, b in (("n2", "n3"), ("n3", "n2")):
        rig.silence(a, b, 0.2)
    rig.run(0.3, 1.0)
    situation = rig.situation()
    asked = Proposal(Action("detach-interface", names.interface("n2", "v2-3")), (), avoids=(rig.link("n2", "n3"),))
    assert refusal(asked, rig.catalog.action["detach-interface"], situation) == ""
    assert situation.age_s(names.interface("n2", "v2-3")) == 0.0
    assert situation.age_s(Component("interface", "unheard-of")) == float("inf")
    assert situation.age_s(Component("ghost", "g")) == float("inf")
