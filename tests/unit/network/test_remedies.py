"""What helps against which cause, at whose end, and who proves it."""

import itertools

import pytest

from x0tta6bl4.catalog import Scope
from x0tta6bl4.mape_k.graph import Graph
from x0tta6bl4.model import Action, Cause, Layout
from x0tta6bl4.network import names
from x0tta6bl4.network.remedies import (
    BAD,
    FAST_INTERVAL_MS,
    FAST_NODES_MAX,
    HOPS_MAX,
    OVERRIDE_KBIT,
    PENALTY,
    Remedies,
    for_any_node,
)

PORT, SECOND = names.interface("n1", "v2"), names.interface("n1", "v6")
PAIR = names.adjacency("n1", "v2", "n2", "v1")
OUT, BACK = names.link("n1", "v2", "n2", "v1"), names.link("n2", "v1", "n1", "v2")
OTHER = names.link("n6", "v1", "n1", "v6")
NODE = names.node("n1")
ROUTES = {"n2": "n2", "n3": "n2", "n4": "n2", "n5": "n6", "n6": "n6"}
OFFERS = [names.route("n6", to) for to in ("n2", "n3", "n4", "n5")]


class Here:
    """A view made by hand: n1 between n2 and n6, all nodes of a ring offered by n6 too."""

    now = 0.0

    def __init__(self):
        self.values = {}
        for port, primary in ((PORT, 0.0), (SECOND, 1.0)):
            for metric, value in (("up", 1.0), ("attached", 1.0), ("primary", primary), ("radio", 0.0)):
                self.values[port, metric] = value
        for offer in OFFERS:
            self.values[offer, "tq"] = 150.0
        self.values[NODE, "algorithm_v"], self.values[NODE, "orig_interval_ms"] = 0.0, 1000.0
        self.facts = {(NODE, "routes"): dict(ROUTES)}
        self.raised = set()
        graph = Graph()
        edges = names.link_edges("n1", "v2", "n2", "v1") + names.link_edges("n2", "v1", "n1", "v2")
        graph.learn(Layout((OUT, BACK), (), edges))
        graph.learn(Layout((OTHER,), (), names.link_edges("n6", "v1", "n1", "v6")))
        self.values[OTHER, "silence_ms"] = 20.0
        self.graph = graph

    def set(self, component, **values):
        self.values.update({(component, metric): value for metric, value in values.items()})
        return self

    def value(self, component, metric):
        return self.values.get((component, metric))

    def related(self, component, path):
        from x0tta6bl4.mape_k.state import _STEPS

        return self.graph.walk(component, [_STEPS[step] for step in path])

    def fact(self, component, name):
        return self.facts.get((component, name))

    def active(self, code, component):
        return (code, component) in self.raised

    def live(self):
        """As a controller would see the pairs of which it told an agent."""
        near = {}
        for pair in self.components("told"):
            one, other = map(names.node, pair.name.split(">"))
            near.setdefault(one, set()).add(other)
            near.setdefault(other, set()).add(one)
        return near

    def components(self, kind):
        return list(dict.fromkeys(c for c, _ in self.values if c.kind == kind))


def propose(code, component, view, own="n1", whole=False):
    return Remedies(own, whole=whole).by_cause()[code](Cause(code, component, 0.9, ()), view)


def kinds(proposals):
    return [p.action.kind for p in proposals]


def test_a_dummy_stands_in_for_a_dead_primary_interface_and_nobody_elses():
    proposal, second = propose("interface-down", SECOND, Here().set(SECOND, up=0.0))
    assert proposal.action == Action("stand-in-primary", SECOND)
    assert second.action == Action("detach-interface", SECOND)
    assert proposal.watch[0] == SECOND
    assert proposal.witnesses
    assert propose("interface-down", SECOND, Here(), own="n9") == ()
    assert propose("interface-down", PORT, Here().set(PORT, up=0.0)) == ()  # batman-adv leaves it by itself
    assert propose("interface-down", SECOND, Here().set(SECOND, attached=0.0)) == ()


@pytest.mark.parametrize("metric", ["up", "attached"])
def test_the_only_interface_is_not_detached(metric):
    assert propose("interface-down", SECOND, Here().set(PORT, **{metric: 0.0})) == ()


def test_the_declared_mtu_is_restored():
    view = Here().set(PORT, mtu_bytes=1400.0, mtu_short_bytes=160.0)
    (proposal,) = propose("interface-mtu-low", PORT, view)
    assert proposal.action == Action("restore-mtu", PORT, {"mtu_bytes": 1560})
    assert proposal.watch == (PORT,)
    assert propose("interface-mtu-low", PORT, view, own="n2") == ()
    assert propose("interface-mtu-low", PORT, view.set(PORT, mtu_short_bytes=0.0)) == ()
    assert propose("interface-mtu-low", PORT, Here()) == ()


def test_a_dead_link_is_left_at_once():
    (proposal,) = propose("link-down", PAIR, Here())
    assert proposal.action == Action("detach-interface", PORT)
    assert set(proposal.avoids) == set(proposal.watch) == {OUT, BACK}
    assert proposal.witnesses == (names.node("n3"), names.node("n4"))  # behind n2, and offered by n6


def test_on_the_primary_interface_a_dead_links_neighbour_is_ignored():
    view = Here().set(PORT, primary=1.0).set(SECOND, primary=0.0)
    ignore, bounce = propose("link-down", PAIR, view)
    assert (ignore.action, bounce.action) == (Action("block-neighbour", BACK), Action("bounce-interface", PORT))
    assert set(ignore.avoids) == {OUT, BACK}


@pytest.mark.parametrize("trouble", [{"up": 0.0}, {"attached": 0.0}, {"radio": 1.0}, {"up": None}], ids=str)
def test_where_a_dead_link_is_not_detached(trouble):
    assert propose("link-down", PAIR, Here().set(PORT, **trouble)) == ()


def with_third(**third):
    view = Here().set(names.interface("n1", "v7"), up=1.0, attached=1.0, primary=0.0, radio=0.0)
    return view.set(names.interface("n1", "v7"), **third)


def test_a_node_of_batman_v_that_forwards_between_others_leaves_no_link():
    for code in ("link-down", "link-slow"):
        assert kinds(propose(code, PAIR, with_third().set(NODE, algorithm_v=1.0))) == ["set-throughput-override"]


@pytest.mark.parametrize("view", [with_third(), with_third(dummy=1.0).set(NODE, algorithm_v=1.0),
                                  with_third(up=0.0).set(NODE, algorithm_v=1.0)])  # fmt: skip
def test_any_other_node_leaves_a_dead_link(view):
    assert kinds(propose("link-down", PAIR, view)) == ["detach-interface"]
    view.set(names.told("n6", "n2"), carries=1.0)
    assert "detach-interface" in kinds(propose("link-slow", PAIR, view, whole=True))


def test_a_dead_link_that_is_the_only_way_is_kept():
    view = Here()
    for offer in OFFERS:
        view.set(offer, tq=None)
    assert propose("link-down", PAIR, view) == ()
    for pair in (("n6", "n5"), ("n5", "n4"), ("n4", "n3")):
        view.set(names.told(*pair), carries=1.0)  # the controller knows of a way round
    assert [w.name for w in propose("link-down", PAIR, view)[0].witnesses] == ["n3", "n4"]
    view.set(names.told("n6", "n5"), carries=None)
    assert propose("link-down", PAIR, view) == ()


def test_who_hears_nobody_else_leaves_nothing():
    assert propose("link-down", PAIR, Here().set(OTHER, silence_ms=5000.0)) == ()  # its own ears may be the fault
    back = Here()
    back.raised.add(("link-silent", OTHER))  # heard again this moment: who comes back last may be this one
    assert propose("link-down", PAIR, back) == ()


def test_strangers_do_not_act():
    for code in ("link-down", "link-lossy", "link-slow"):
        assert propose(code, PAIR, Here(), own="n9") == ()


def test_a_bad_link_is_penalised_on_ones_own_side():
    proposals = propose("link-lossy", PAIR, round_of(HOPS_MAX), whole=True)
    assert kinds(proposals) == ["set-hop-penalty", "detach-interface"]
    assert proposals[0].action == Action("set-hop-penalty", PORT, {"hop_penalty": PENALTY})
    assert all(set(p.avoids) == {OUT, BACK} for p in proposals)
    fast = propose("link-slow", PAIR, Here().set(NODE, algorithm_v=1.0))
    assert fast[0].action == Action("set-throughput-override", PORT, {"throughput_override_kbit": OVERRIDE_KBIT})
    other = propose("link-lossy", PAIR, Here(), own="n2")
    assert all(p.action.target == names.interface("n2", "v1") for p in other)


def test_the_primary_interface_is_penalised_but_not_detached():
    assert kinds(propose("link-lossy", PAIR, round_of(2).set(PORT, primary=1.0), whole=True)) == ["set-hop-penalty"]


def test_one_direction_concerns_the_end_that_sends():
    for code in ("link-lossy", "link-clipped"):
        gentle, leave = propose(code, OUT, round_of(2), whole=True)
        assert (gentle.action.kind, leave.action.kind) == ("set-hop-penalty", "detach-interface")
        assert gentle.avoids == leave.avoids == (OUT,)
        assert propose(code, BACK, Here()) == ()
    (leave,) = propose("link-down", OUT, Here())
    assert (leave.action.kind, leave.avoids) == ("detach-interface", (OUT,))
    assert propose("link-down", BACK, Here()) == ()


def round_of(hops):
    """The only other way to n2 is that long; the controller told of it."""
    view = Here()
    way = ["n6", *(f"m{i}" for i in range(hops - 2)), "n2"]
    for one, other in itertools.pairwise(way):
        view.set(names.told(one, other), carries=1.0)
    return view


def leaving(view, component=PAIR):
    """What the controller would order."""
    return propose("link-lossy", component, view, whole=True)


def test_where_the_way_round_is_long_a_penalty_would_change_nothing():
    assert kinds(leaving(round_of(HOPS_MAX))) == ["set-hop-penalty", "detach-interface"]
    assert kinds(leaving(round_of(HOPS_MAX + 1))) == ["detach-interface"]
    assert kinds(leaving(round_of(HOPS_MAX + 1), OUT)) == ["detach-interface"]
    primary = round_of(HOPS_MAX + 1).set(PORT, primary=1.0)
    assert [p.action for p in leaving(primary)] == [Action("block-neighbour", BACK)]
    assert kinds(leaving(round_of(HOPS_MAX + 1).set(NODE, algorithm_v=1.0))) == ["detach-interface"]


@pytest.mark.parametrize("changes", [{}, {"primary": 1.0}, {"radio": 1.0}], ids=str)
@pytest.mark.parametrize("hops", [HOPS_MAX, HOPS_MAX + 1])
def test_only_the_controller_leaves_a_link_that_still_carries(hops, changes):
    view = round_of(hops).set(PORT, **changes)
    assert set(kinds(propose("link-lossy", PAIR, view))) <= {"set-hop-penalty"}
    for proposal in leaving(view):
        assert proposal.scope is (Scope.NODE if proposal.action.kind == "set-hop-penalty" else Scope.MESH)
    for proposal in propose("link-down", PAIR, Here().set(PORT, **changes)):
        assert proposal.scope is Scope.NODE  # nothing is lost with a dead one


@pytest.mark.parametrize("code", BAD)
def test_no_link_is_left_for_a_way_that_is_bad_itself(code):
    view = round_of(HOPS_MAX + 1)
    beyond = names.link("m0", "a", "m1", "b")
    view.graph.learn(Layout((beyond,), (), names.link_edges("m0", "a", "m1", "b")))
    assert kinds(leaving(view)) == ["detach-interface"]
    view.raised = {(code, beyond)}
    assert leaving(view) == []


def test_the_controller_sees_itself_how_long_the_way_round_is():
    for hops, first in ((HOPS_MAX, "set-hop-penalty"), (HOPS_MAX + 1, "detach-interface")):
        assert kinds(propose("link-lossy", PAIR, round_of(hops), whole=True))[0] == first


def test_a_dead_node_is_left_by_each_neighbour():
    found = for_any_node()["node-down"](Cause("node-down", names.node("n2"), 0.9, ()), Here())
    assert [(p.side, p.action) for p in found] == [("n1", Action("detach-interface", PORT))]


def test_a_detached_interface_is_left_alone():
    assert propose("link-lossy", PAIR, Here().set(PORT, attached=0.0)) == ()


def test_without_a_route_over_the_neighbour_nothing_can_be_proven():
    view = Here()
    view.facts = {}
    assert propose("link-lossy", PAIR, view) == ()
    view.facts = {(NODE, "routes"): {"n5": "n6"}}
    assert propose("link-lossy", PAIR, view) == ()


def test_the_neighbour_itself_proves_where_nobody_is_behind_it():
    view = Here()
    view.facts = {(NODE, "routes"): {"n2": "n2", "n5": "n6"}}
    assert [w.name for w in propose("link-lossy", PAIR, view)[0].witnesses] == ["n2"]


def test_on_a_radio_only_the_one_neighbour_is_ignored():
    proposals = leaving(round_of(2).set(PORT, radio=1.0))
    assert [p.action for p in proposals] == [Action("block-neighbour", BACK)]


def test_the_mesh_converges_fast_for_a_while():
    (proposal,) = propose("mesh-converging", NODE, Here())
    assert proposal.action == Action("set-orig-interval", NODE, {"orig_interval_ms": FAST_INTERVAL_MS})
    assert propose("mesh-converging", NODE, Here().set(NODE, orig_interval_ms=float(FAST_INTERVAL_MS))) == ()
    assert propose("mesh-converging", NODE, Here().set(NODE, orig_interval_ms=None)) == ()
    crowded = Here()
    crowded.facts[NODE, "routes"] = {f"m{i}": "n2" for i in range(FAST_NODES_MAX + 1)}
    assert propose("mesh-converging", NODE, crowded) == ()


def test_the_controller_proposes_for_every_node_concerned():
    table = for_any_node()
    targets = [p.action.target for p in table["link-lossy"](Cause("link-lossy", PAIR, 0.9, ()), Here())]
    assert {names.owner(t) for t in targets} <= {"n1", "n2"}
    assert PORT in targets
    assert {p.side for p in table["link-lossy"](Cause("link-lossy", PAIR, 0.9, ()), Here())} <= {"n1", "n2"}
    view = Here().set(PORT, mtu_bytes=1400.0, mtu_short_bytes=160.0)
    low = table["interface-mtu-low"](Cause("interface-mtu-low", PORT, 0.9, ()), view)
    assert kinds(low) == ["restore-mtu"]
    one_way = table["link-slow"](Cause("link-slow", OUT, 0.9, ()), Here())
    assert {p.action.target for p in one_way} == {PORT}
