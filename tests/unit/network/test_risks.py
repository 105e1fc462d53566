"""Latent risks, each with what an operator would do about it."""

import numpy as np
import pytest

from fakes import MeshRig
from x0tta6bl4.mape_k.baseline import Baseline
from x0tta6bl4.mape_k.columns import Columns
from x0tta6bl4.mape_k.detection import Detection
from x0tta6bl4.mape_k.graph import Graph
from x0tta6bl4.mape_k.state import State
from x0tta6bl4.mape_k.symptoms import Symptoms
from x0tta6bl4.model import Layout, Observation
from x0tta6bl4.network import names
from x0tta6bl4.network.airtime import SHARE_MAX, STEPS_MS, fastest_interval_ms, share
from x0tta6bl4.network.catalog import mesh_catalog
from x0tta6bl4.network.risks import RULES, single_ways

SOUND = {
    "primary_dummy": 1.0,
    "mesh_interfaces": 3.0,
    "orig_interval_ms": 200.0,
    "hop_penalty": 30.0,
    "bridge_loop_avoidance": 1.0,
    "bridged": 1.0,
    "algorithm_v": 0.0,
}
PORT = {"mtu_bytes": 1560.0, "attached": 1.0, "dummy": 0.0}


def found(nodes=3, changes=None, port=None, **other):
    """Codes and components of `risks`."""
    return [(r.code, str(r.component)) for r in risks(nodes, changes, port, **other)]


def risks(nodes=3, changes=None, port=None, *, now=0.0, heard=(), far=None):
    """Risks of a mesh of sound nodes; n2 is changed, and one interface of it has `port`.

    heard: nodes that n2 hears on that interface; theirs are like `far`.
    """
    columns = Columns(mesh_catalog())
    names_ = [f"n{i + 1}" for i in range(nodes)]
    readings = [{**SOUND, **(changes or {})} if n == "n2" else SOUND for n in names_]
    values = np.array([[np.nan if r[m] is None else r[m] for m in SOUND] for r in readings], np.float32)
    columns.fold(Observation("s", 0.0, Layout(tuple(map(names.node, names_)), tuple(SOUND)), values))
    ports = {"n2": {**PORT, **(port or {})}, **{n: {**PORT, **(far or {})} for n in heard}}
    layout = Layout(tuple(names.interface(n, "v1") for n in ports), tuple(PORT))
    columns.fold(Observation("i", 0.0, layout, np.array([list(p.values()) for p in ports.values()], np.float32)))
    edges = tuple(edge for n in heard for edge in names.link_edges(n, "v1", "n2", "v1"))
    links = Layout(tuple(names.link(n, "v1", "n2", "v1") for n in heard), ("loss_ratio",), edges)
    columns.fold(Observation("l", 0.0, links, np.zeros((len(heard), 1), np.float32)))
    catalog = mesh_catalog()
    graph = Graph()
    graph.learn(links)
    symptoms = Symptoms(catalog, columns, {kind: Detection(Baseline(table)) for kind, table in columns.tables.items()})
    view = State(catalog, columns, graph, symptoms).view(now)
    return [risk for rule in RULES for risk in rule(view)]


def test_a_sound_mesh_has_none():
    assert found() == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"primary_dummy": 0.0}, "fragile-primary"),
        ({"bridged": 0.0}, "loop-avoidance-without-bridge"),
        ({"hop_penalty": 60.0}, "different-settings"),
        ({"bridge_loop_avoidance": 0.0}, "different-settings"),
    ],
)
def test_one_odd_node(changes, code):
    assert found(changes=changes) == [(code, "node/n2")]


@pytest.mark.parametrize(
    "changes",
    [
        {"primary_dummy": 0.0, "mesh_interfaces": 1.0},  # a single interface is no less fragile than any other way
        {"primary_dummy": None},
        {"bridged": 0.0, "bridge_loop_avoidance": 0.0},
        {"hop_penalty": None},
    ],
)
def test_what_is_no_risk(changes):
    assert found(changes=changes) == []


SLOW = ("slow-originator-interval", "node/n2")


@pytest.mark.parametrize("v", [0.0, 1.0])
@pytest.mark.parametrize(
    ("nodes", "interval_ms", "slow"),
    [(3, 1000.0, True), (3, 400.0, False), (3, 401.0, True), (101, 2000.0, False), (101, 2001.0, True)],
)
def test_a_slow_interval_where_the_airtime_allows_a_faster_one(nodes, interval_ms, slow, v):
    assert (SLOW in found(nodes, {"orig_interval_ms": interval_ms, "algorithm_v": v})) == slow


def test_a_crowded_channel_allows_less():
    six = tuple(f"n{i}" for i in range(3, 9))
    one = [r for r in risks(30, {"orig_interval_ms": 1000.0}) if r.code == SLOW[0]]
    assert one[0].remedy == "batctl orig_interval 200 (on every node)"
    assert SLOW not in found(30, {"orig_interval_ms": 1000.0}, heard=six)
    busy = [r for r in risks(30, {"orig_interval_ms": 3000.0}, heard=six) if r.code == SLOW[0]]
    assert busy[0].remedy == "batctl orig_interval 1000 (on every node)"
    assert "30 nodes, 7 of them on one medium" in busy[0].evidence


def test_what_is_not_known_of_an_interval_is_no_risk():
    for unknown in ("orig_interval_ms", "algorithm_v"):
        assert SLOW not in found(changes={"orig_interval_ms": 1000.0, unknown: None})


def test_the_share_is_counted_from_the_messages_of_all_nodes():
    assert share(6, 2, 1000, v=False) == pytest.approx(6 * 2 * 74 * 8 / 10e6)
    assert share(6, 2, 1000, v=True) == pytest.approx(6 * 2 * 70 * 8 / 10e6)
    for nodes in (1, 40, 400):
        step = fastest_interval_ms(nodes, 2, v=False)
        assert share(nodes, 2, step, v=False) <= SHARE_MAX
        faster = STEPS_MS[: STEPS_MS.index(step)]
        assert all(share(nodes, 2, one, v=False) > SHARE_MAX for one in faster)
    assert fastest_interval_ms(100_000, 2, v=False) is None


def test_an_mtu_unlike_a_neighbour_s():
    odd = [("different-settings", "interface/n2:v1")]
    assert found(heard=("n1", "n3"), far={"mtu_bytes": 2000.0}) == odd
    assert found(heard=("n1",), port={"mtu_bytes": 2000.0}) == []  # theirs is the smaller: it is named by who hears n2
    assert found(heard=("n1",), far={"mtu_bytes": 2000.0, "attached": 0.0}) == []
    assert found(heard=("n1",), port={"mtu_bytes": 1500.0}) == [("small-mtu", "interface/n2:v1")]


def test_nodes_without_a_bridge_need_no_loop_avoidance():
    assert found(changes={"bridge_loop_avoidance": 0.0, "bridged": 0.0}) == []


def test_a_small_mtu():
    assert found(port={"mtu_bytes": 1559.0}) == [("small-mtu", "interface/n2:v1")]
    assert found(port={"mtu_bytes": 1500.0, "dummy": 1.0}) == []
    assert found(port={"mtu_bytes": 1500.0, "attached": 0.0}) == []


def test_what_is_not_known_any_more_is_no_risk():
    assert found(changes={"primary_dummy": 0.0}, now=61.0) == []


def test_single_ways_are_named():
    rig = MeshRig("n1-n2 n2-n3 n3-n1 n3-n4")
    rig.run(0.0, 0.2)
    risks = single_ways(rig.state.view(0.2))
    assert [(r.code, str(r.component)) for r in risks] == [("cut-vertex", "node/n3"), ("bridge", "node/n3")]
    assert "n3-n4" in risks[1].title
    assert all(r.remedy for r in risks)


def test_a_link_that_died_makes_the_other_ways_single():
    rig = MeshRig("n1-n2 n2-n3 n3-n1")
    rig.run(0.0, 0.2)
    assert single_ways(rig.state.view(0.2)) == []
    rig.silence("n1", "n2", 0.2)
    rig.silence("n2", "n1", 0.2)
    rig.run(0.2, 1.0)
    risks = single_ways(rig.state.view(1.0))
    assert [(r.code, str(r.component)) for r in risks if r.code == "cut-vertex"] == [("cut-vertex", "node/n3")]
    assert len(risks) == 3
