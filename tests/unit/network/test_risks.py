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
from x0tta6bl4.network.catalog import mesh_catalog
from x0tta6bl4.network.risks import AIRTIME_NODES_MAX, RULES, single_ways

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


def found(nodes=3, changes=None, port=None, now=0.0):
    """Risks of a mesh of sound nodes; n2 is changed, and one interface of it has `port`."""
    columns = Columns(mesh_catalog())
    names_ = [f"n{i + 1}" for i in range(nodes)]
    readings = [{**SOUND, **(changes or {})} if n == "n2" else SOUND for n in names_]
    values = np.array([[np.nan if r[m] is None else r[m] for m in SOUND] for r in readings], np.float32)
    columns.fold(Observation("s", 0.0, Layout(tuple(map(names.node, names_)), tuple(SOUND)), values))
    layout = Layout((names.interface("n2", "v1"),), tuple(PORT))
    columns.fold(Observation("i", 0.0, layout, np.array([list({**PORT, **(port or {})}.values())], np.float32)))
    catalog = mesh_catalog()
    graph = Graph()
    symptoms = Symptoms(catalog, columns, {kind: Detection(Baseline(table)) for kind, table in columns.tables.items()})
    view = State(catalog, columns, graph, symptoms).view(now)
    return [(r.code, str(r.component)) for rule in RULES for r in rule(view)]


def test_a_sound_mesh_has_none():
    assert found() == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"primary_dummy": 0.0}, "fragile-primary"),
        ({"bridged": 0.0}, "loop-avoidance-without-bridge"),
        ({"hop_penalty": 60.0}, "different-settings"),
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


def test_a_slow_interval_where_the_airtime_allows_a_faster_one():
    slow = {"orig_interval_ms": 1000.0}
    assert set(found(changes=slow)) == {("slow-originator-interval", "node/n2"), ("different-settings", "node/n2")}
    assert found(AIRTIME_NODES_MAX + 1, slow) == [("different-settings", "node/n2")]
    other = set(found(changes={**slow, "algorithm_v": 1.0}))
    assert other == {("different-settings", "node/n2")}


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
