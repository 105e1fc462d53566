"""Kernel tables to readings."""

from dataclasses import replace

import numpy as np
import pytest

from fakes import FakeKernel
from x0tta6bl4.errors import NotSupported, ProtocolError, Temporary
from x0tta6bl4.mape_k.columns import Columns
from x0tta6bl4.mape_k.graph import Graph
from x0tta6bl4.network import names
from x0tta6bl4.network.catalog import mesh_catalog
from x0tta6bl4.network.kernel import Neighbour, Originator
from x0tta6bl4.network.sensors import SLOW_EVERY, Declared, Inventory, KernelSensor

INVENTORY = Inventory(
    [
        Declared("n1", "v1", "02:00:00:00:00:01", 1560),
        Declared("n1", "v2", "02:00:00:00:00:02", 1560, radio=True),
        Declared("n2", "w1", "02:00:00:00:02:0A", 1560),
        Declared("n2", "w2", "02:00:00:00:02:02", 1560),
        Declared("n3", "x1", "02:00:00:00:03:01", 1560),
    ]
)
N2, N2B, N3 = "02:00:00:00:02:0a", "02:00:00:00:02:02", "02:00:00:00:03:01"
STRANGER = "02:00:00:00:99:01"


class Bench:
    def __init__(self):
        self.kernel = FakeKernel()
        self.sensor = KernelSensor("n1", self.kernel, INVENTORY)
        self.columns, self.graph = Columns(mesh_catalog()), Graph()
        self.now = 100.0

    def read(self, after=0.5):
        self.now += after
        seen = self.sensor.read(self.now)
        self.graph.learn(seen.layout)
        self.columns.fold(seen)
        return seen

    def value(self, component, metric):
        return self.columns.value(component, metric, self.now)


def test_the_inventory_knows_all_macs_of_a_node_in_any_case():
    assert INVENTORY.nodes == ("n1", "n2", "n3")
    assert {INVENTORY.node_of(m) for m in (N2, N2.upper(), N2B)} == {"n2"}
    assert INVENTORY.node_of(STRANGER) == STRANGER
    assert INVENTORY.mac_of(names.interface("n3", "x1")) == N3
    assert INVENTORY.mac_of(names.interface("n3", "x9")) == ""


def test_interfaces_and_options():
    bench = Bench()
    table = bench.kernel.table
    table["v2"] = replace(table["v2"], mtu=1400, attached=False, hop_penalty=None, throughput_override_kbit=None)
    bench.kernel.table["d0"] = replace(table["v1"], name="d0", dummy=True, primary=False, mac="", mtu=1500)
    seen = bench.read()
    assert seen.error == ""
    v1, v2, d0 = (names.interface("n1", i) for i in ("v1", "v2", "d0"))
    assert [bench.value(v1, m) for m in ("up", "attached", "primary", "radio", "mtu_short_bytes", "hop_penalty")] == [
        1, 1, 1, 0, 0, 15,
    ]  # fmt: skip
    assert [bench.value(v2, m) for m in ("attached", "radio", "mtu_bytes", "mtu_short_bytes")] == [0, 1, 1400, 160]
    assert bench.value(v2, "hop_penalty") is None  # missing is not zero
    assert bench.value(d0, "mtu_short_bytes") == 0  # nobody declared what it should be
    node = names.node("n1")
    assert [bench.value(node, m) for m in ("primary_up", "primary_dummy", "mesh_interfaces", "orig_interval_ms")] == [
        1, 0, 1, 1000,
    ]  # fmt: skip
    assert [bench.value(node, m) for m in ("hop_penalty", "bridge_loop_avoidance", "bridged", "algorithm_v")] == [
        30, 0, 0, 0,
    ]  # fmt: skip
    assert bench.columns.fact(node, "algorithm") == "BATMAN_IV"
    assert bench.graph.walk(v1, ()) == [v1]


def test_neighbours_are_links_towards_this_node():
    bench = Bench()
    bench.kernel.near = [
        Neighbour(N2, "v1", 120, tq=200),
        Neighbour(N3.upper(), "v2", 40, throughput_kbit=9000),
        Neighbour(STRANGER, "v1", 5, tq=255),
    ]
    bench.read()
    one, other = names.link("n2", "w1", "n1", "v1"), names.link("n3", "x1", "n1", "v2")
    assert (bench.value(one, "tq"), bench.value(one, "throughput_kbit"), bench.value(one, "last_seen_ms")) == (
        200,
        None,
        120,
    )
    assert (bench.value(other, "tq"), bench.value(other, "throughput_kbit")) == (None, 9000)
    assert bench.columns.components("link") == [one, other]
    assert bench.graph.ends(one) == (names.node("n2"), names.node("n1"))


def test_offers_and_routes_are_by_node():
    bench = Bench()
    bench.kernel.far = [
        Originator(N3, N2, "v1", 100, best=True, tq=180),
        Originator(N3, N2B, "v2", 100, best=False, tq=190),
        Originator(N3, N3, "v2", 100, best=False, throughput_kbit=5000),
        Originator("02:00:00:00:00:01", N2, "v1", 100, best=True, tq=255),
    ]
    bench.read()
    bench.read()
    via = names.route("n2", "n3")
    assert (bench.value(via, "best"), bench.value(via, "tq")) == (1.0, 190.0)
    direct = names.route("n3", "n3")
    assert (bench.value(direct, "best"), bench.value(direct, "tq")) == (0.0, 5.0)
    assert set(bench.columns.components("route")) == {via, direct}
    assert bench.columns.fact(names.node("n1"), "routes")["n3"] == "n2"
    assert bench.graph.ends(via) == (names.node("n2"), names.node("n3"))
    assert bench.graph.ends(direct) is None


@pytest.mark.parametrize("order", [1, -1])
def test_the_way_to_a_node_is_the_way_to_its_own_originator(order):
    bench = Bench()
    secondary = Originator(N2B, N2B, "v2", 30, best=True, tq=250)  # an interface of n2, which is heard directly
    own = Originator(N2, N3, "v1", 30, best=True, tq=200)
    bench.kernel.far = [secondary, own][::order]
    bench.read()
    bench.read()
    assert bench.columns.fact(names.node("n1"), "routes") == {"n2": "n3"}


def test_slow_tables_are_read_in_rotation_and_age():
    bench = Bench()
    asked = {"mesh": 0, "originators": 0}

    def counting(name):
        real = getattr(FakeKernel, name)

        def call():
            asked[name] += 1
            return real(bench.kernel)

        return call

    bench.kernel.mesh, bench.kernel.originators = counting("mesh"), counting("originators")
    bench.kernel.far = [Originator(N3, N2, "v1", 100, best=True, tq=180)]
    for _ in range(3 * SLOW_EVERY):
        seen = bench.read()
    assert asked["mesh"] == 3
    assert 3 <= asked["originators"] <= 4
    row = seen.layout.components.index(names.route("n2", "n3"))
    assert 0 < seen.age_s[row].max() <= SLOW_EVERY * 0.5


@pytest.mark.parametrize("error", [Temporary("busy"), NotSupported("old"), ProtocolError("torn")], ids=repr)
def test_a_table_that_cannot_be_read_is_an_error_and_what_was_known_ages(error):
    bench = Bench()
    bench.read()
    bench.kernel.refuse = error
    port = names.interface("n1", "v1")
    bench.kernel.table["v1"] = replace(bench.kernel.table["v1"], up=False)
    for _ in range(4):
        assert bench.read().error == str(error)
    assert bench.value(port, "up") == 1.0  # for 3 s it may still be so
    for _ in range(4):
        bench.read()
    assert bench.value(port, "up") is None
    bench.kernel.refuse = None
    assert bench.read().error == ""
    assert bench.value(port, "up") == 0.0


def test_a_kernel_that_never_answered_reads_nothing():
    bench = Bench()
    bench.kernel.refuse = Temporary("no mesh yet")
    seen = bench.read()
    assert (seen.layout.components, seen.values.size, seen.error) == ((), 0, "no mesh yet")


def test_the_layout_is_kept_while_components_stay():
    bench = Bench()
    bench.kernel.near = [Neighbour(N2, "v1", 120, tq=200)]
    first = [bench.read().layout for _ in range(3)]
    assert first[0] is first[1] is first[2]
    bench.kernel.near = []
    assert bench.read().layout is not first[0]
    assert np.isnan(bench.read().values).any()
