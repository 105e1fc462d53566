"""The live graph: which links carry anything, as far as is known."""

import numpy as np
import pytest

from fakes import MeshRig
from x0tta6bl4.catalog import Carries, Catalog, Metric
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.mape_k.columns import Columns
from x0tta6bl4.mape_k.graph import Graph
from x0tta6bl4.mape_k.state import State
from x0tta6bl4.mape_k.symptoms import Symptoms
from x0tta6bl4.model import Component, Edge, Layout, Observation, Relation
from x0tta6bl4.network import names

RING = "n1-n2 n2-n3 n3-n1"


def pairs(live):
    return {"-".join(sorted((a.name, b.name))) for a, near in live.items() for b in near}


def ring(now=0.2):
    rig = MeshRig(RING)
    rig.run(0.0, now)
    return rig


def port(one, other):
    return names.interface(one, f"v{one[1:]}-{other[1:]}")


def test_what_is_measured_carries():
    rig = ring()
    assert pairs(rig.state.live(0.2)) == {"n1-n2", "n2-n3", "n1-n3"}


def test_what_nobody_measures_any_more_carries_nothing():
    rig = ring()
    assert pairs(rig.state.live(3.1)) == {"n1-n2", "n2-n3", "n1-n3"}
    assert pairs(rig.state.live(10.0)) == set()


@pytest.mark.parametrize("metric", ["attached", "up"])
def test_a_link_on_a_broken_interface_carries_nothing(metric):
    rig = ring()
    rig.set(port("n1", "n2"), **{metric: 0})
    rig.run(0.2, 0.4)
    assert pairs(rig.state.live(0.4)) == {"n2-n3", "n1-n3"}
    rig.set(port("n1", "n2"), **{metric: 1})
    rig.run(0.4, 0.6)
    assert pairs(rig.state.live(0.6)) == {"n1-n2", "n2-n3", "n1-n3"}


def test_one_silent_direction_takes_both():
    rig = ring()
    rig.silence("n1", "n2", 0.2)
    rig.run(0.2, 1.0)
    assert pairs(rig.state.live(1.0)) == {"n2-n3", "n1-n3"}


def test_it_is_made_anew_only_when_it_changed():
    rig = ring()
    live = rig.state.live(0.2)
    rig.run(0.2, 0.4)
    assert rig.state.live(0.4) is live
    view = rig.state.view(0.4)
    rig.silence("n1", "n2", 0.4)
    assert view.live() is live
    rig.run(0.4, 1.2)
    assert rig.state.live(1.2) is not live
    assert view.live() is live


PIPE, ENDS = Component("pipe", "p"), (Component("tank", "a"), Component("tank", "b"))


def pipes(**fields):
    catalog = Catalog("pipes", (Metric("pipe", "flow", "what flows"),), (), (), (), **fields)
    columns, graph = Columns(catalog), Graph()
    edges = (Edge(PIPE, Relation.FROM, ENDS[0]), Edge(PIPE, Relation.TO, ENDS[1]))
    layout = Layout((PIPE,), ("flow",), edges)
    graph.learn(layout)
    return State(catalog, columns, graph, Symptoms(catalog, columns, {})), layout


def test_a_catalogue_that_says_nothing_of_it_takes_every_link():
    state, _ = pipes()
    assert state.live(0.0) == {ENDS[0]: {ENDS[1]}, ENDS[1]: {ENDS[0]}}


def test_one_that_does_takes_what_it_names():
    state, layout = pipes(carries=(Carries("pipe", ("flow",)),))
    assert state.live(0.0) == {}
    state.columns.fold(Observation("meter", 1.0, layout, np.array([[3.0]], np.float32)))
    assert state.live(1.0) == {ENDS[0]: {ENDS[1]}, ENDS[1]: {ENDS[0]}}


@pytest.mark.parametrize("rule", [Carries("pipe", ("pressure",)), Carries("pipe", ("flow",), (("tank", "full"),))])
def test_a_catalogue_names_what_it_declares(rule):
    with pytest.raises(ConfigError, match=r"carries\.pipe"):
        pipes(carries=(rule,))


def test_who_is_behind_what_is_avoided_is_named_once_all_of_it_carries_again():
    rig, avoided = ring(), (MeshRig.link("n1", "n2"), MeshRig.link("n2", "n1"))
    here = names.node("n1")
    assert rig.state.regained(here, avoided, 0.2) == (names.node("n2"),)
    rig.silence("n2", "n1", 0.2)
    rig.run(0.3, 1.2)
    assert rig.state.regained(here, avoided, 1.2) == ()
    assert rig.state.regained(here, avoided[:1], 1.2) == (names.node("n2"),)
    rig.heal("n2", "n1")
    rig.step(1.3)
    assert rig.state.regained(here, avoided, 1.3) == ()  # its symptom may be about to clear, no more
    rig.run(1.4, 1.8)
    assert rig.state.regained(here, avoided, 1.8) == (names.node("n2"),)
    assert rig.state.regained(here, avoided, 20.0) == ()  # nobody measures it any more


def test_from_elsewhere_nobody_can_tell_who_is_reached():
    rig, avoided = ring(), (MeshRig.link("n2", "n3"), MeshRig.link("n3", "n2"))
    assert rig.state.regained(names.node("n1"), avoided, 0.2) == ()
    assert rig.state.regained(None, avoided, 0.2) == ()
    assert rig.state.regained(names.node("n1"), (), 0.2) == ()
    assert rig.state.regained(names.node("n1"), (port("n1", "n2"),), 0.2) == ()
