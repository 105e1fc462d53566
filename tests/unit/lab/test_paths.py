"""Which timeline events count as touching a pair's path on a real kernel; the ring has six nodes and a chord 1-4."""

import pytest
from test_injection import scenario

from x0tta6bl4.lab.paths import path_touched, shortest

MESH = scenario(["{fault: agent-death, node: n3, at: 1, until: 4}"]).topology


@pytest.mark.parametrize(
    ("pair", "without", "links"),
    [
        (("n2", "n3"), (), {"n2-n3"}),
        (("n2", "n3"), ("n2-n3",), {"n1-n2", "n1-n4", "n3-n4"}),
        (("n1", "n3"), (), {"n1-n2", "n2-n3", "n1-n4", "n3-n4"}),  # two of the same length: either may be used
        (("n2", "n3"), ("n2-n3", "n1-n2"), set()),
    ],
)
def test_the_shortest_paths_of_a_pair(pair, without, links):
    assert shortest(MESH, pair, without) == links


@pytest.mark.parametrize(
    ("entry", "times"),
    [
        ("{fault: link-blackhole, link: n2-n3, at: 20, until: 60}", [20]),  # when it ends, the pair is elsewhere
        ("{fault: link-loss, link: n2-n3, loss_ratio: 0.4, at: 20, until: 60}", [20, 60]),  # it may have stayed on it
        ("{fault: link-blackhole, link: n5-n6, at: 20, until: 60}", []),
        ("{fault: link-flap, link: n5-n6, period_s: 4, duty: 0.5, at: 20, until: 60}", []),
        ("{fault: agent-death, node: n3, at: 20, until: 60}", []),
        ("{fault: node-death, node: n3, at: 20, until: 60}", [20]),
        ('{fault: mtu, interface: "n3:v3-2", mtu_bytes: 600, at: 20, until: 60}', [20, 60]),
        ('{fault: mtu, interface: "n3:v3-4", mtu_bytes: 600, at: 20, until: 60}', []),
    ],
)
def test_an_event_touches_what_may_carry_the_pair(entry, times):
    assert path_touched(scenario([entry]), ("n2", "n3")) == times


def test_a_second_fault_on_the_way_round_the_first_touches_the_pair():
    first = "{fault: link-loss, link: n2-n3, loss_ratio: 0.4, at: 20, until: 60}"
    second = "{fault: link-loss, link: n1-n4, loss_ratio: 0.4, at: 70, until: 90}"
    assert path_touched(scenario([first, second]), ("n2", "n3")) == [20, 60, 70, 90]
    assert path_touched(scenario([second]), ("n2", "n3")) == []


def test_losing_the_primary_interface_touches_every_path_of_its_node():
    made = scenario(['{fault: interface-down, interface: "n3:v3-4", at: 20, until: 60}']).variant(primary="first")
    assert made.topology.node("n3").interfaces[0].name == "v3-2"
    assert path_touched(made, ("n2", "n3")) == []
    made = scenario(['{fault: interface-down, interface: "n3:v3-2", at: 20, until: 60}']).variant(primary="first")
    assert 20 in path_touched(made, ("n3", "n4"))
