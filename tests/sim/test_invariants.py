"""Whatever is done to the mesh, in whatever order, the invariants of the simulator hold; and a broken one is seen."""

from __future__ import annotations

import contextlib

import pytest
from crew_of_test import Crew
from driving import Lab, scenario
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from x0tta6bl4.errors import Permanent
from x0tta6bl4.lab.scenarios import builtin
from x0tta6bl4.lab.sim import Simulation

RADIO = {
    "nodes": 5,
    "links": ["n1-n2", "n2-n3", "n4-n5"],
    "radio": [{"name": "air", "members": ["n1", "n3", "n4", "n5"], "pairs": {"n1-n5": 0.3, "n3-n4": 1.0}}],
}
ACTIONS = {
    "detach": lambda k, i, n: k.detach(i),
    "attach": lambda k, i, n: k.attach(i),
    "down": lambda k, i, n: k.set_up(i, False),
    "up": lambda k, i, n: k.set_up(i, True),
    "mtu": lambda k, i, n: k.set_mtu(i, 100 + n),
    "penalty": lambda k, i, n: k.set_hardif(i, "hop_penalty", n % 256),
    "override": lambda k, i, n: k.set_hardif(i, "throughput_override_kbit", n),
    "interval": lambda k, i, n: k.set_mesh("orig_interval_ms", 40 + n),
    "block": lambda k, i, n: k.block(i, k.neighbours()[n % len(k.neighbours())].mac, True) if k.neighbours() else None,
}
KINDS = st.sampled_from(sorted(ACTIONS))
DEEDS = st.lists(
    st.tuples(st.floats(0, 3), st.integers(0, 5), st.integers(0, 3), KINDS, st.integers(0, 2000)), max_size=40
)


def act(lab, deeds):
    for wait, node, port, what, number in deeds:
        lab.sim.run_until(lab.sim.world.now + wait)
        kernel = list(lab.kernels.values())[node % len(lab.kernels)]
        with contextlib.suppress(Permanent):  # the node is dead, or the interface is not attached
            ports = kernel.interfaces()
            ACTIONS[what](kernel, ports[port % len(ports)].name, number)
            kernel.originators()
            kernel.neighbours()
    lab.sim.run_until(lab.sim.world.now + 5.0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(builtin()), st.sampled_from(["BATMAN_IV", "BATMAN_V"]), st.integers(0, 99), DEEDS)
def test_invariants_hold_under_any_actions(name, algorithm, seed, deeds):
    lab = Lab(scenario(name, algorithm=algorithm), seed)
    act(lab, deeds)
    assert lab.sim.invariants.passes > 0


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["dummy", "first"]), st.sampled_from(["BATMAN_IV", "BATMAN_V"]), DEEDS)
def test_invariants_hold_on_radio_segments(primary, algorithm, deeds):
    pairs = ["n2-n5", "n1-n4"]
    lab = Lab(scenario("blackhole", topology=RADIO, primary=primary, algorithm=algorithm, pairs=pairs, timeline=[]), 5)
    act(lab, deeds)
    assert lab.sim.invariants.passes > 0


@pytest.mark.parametrize("algorithm", ["BATMAN_IV", "BATMAN_V"])
def test_a_radio_neighbour_that_goes_deaf_is_reached_through_another(algorithm):
    lab = Lab(scenario("blackhole", topology=RADIO, algorithm=algorithm, pairs=["n1-n4"], timeline=[]), 5)
    assert lab.sim.next_hop("n1", "n4") == "n4"
    for hop in lab.sim.world.hops:
        if {hop.src.node.name, hop.dst.node.name} == {"n1", "n4"}:
            hop.dead = 1
    lab.sim.run_until(30.0)
    # BATMAN_IV sees that n1 and n5 hear each other badly and takes one hop more
    assert lab.sim.next_hop("n1", "n4") == {"BATMAN_IV": "n3", "BATMAN_V": "n5"}[algorithm]
    lost = [rtt for rtt in lab.sim.record().pairs[0].rtt_ms[-100:] if rtt != rtt]  # noqa: PLR0124
    assert len(lost) < 70


def test_a_route_over_a_detached_interface_is_seen():
    lab = Lab(scenario("blackhole"), 1)
    iface = lab.sim.world.by_name["n2"].iface("v2-3")
    iface.attached = iface.active = False  # behind the protocol's back
    lab.sim.world.by_name["n2"].attached.remove(iface)
    with pytest.raises(AssertionError, match="over the detached v2-3"):
        lab.sim.invariants.each_second()


@pytest.mark.parametrize("who", ["agent", "controller", "timeline"])
def test_a_step_that_breaks_the_mesh_is_seen_at_once(who):
    """Not at the next full second, when it may be whole again."""

    class Sly(Crew):
        def agent(self, ports):
            made = super().agent(ports)
            if who == "agent" and ports.name == "n2":
                made.tick = lambda now: spoil()
            return made

        def controller(self, ports):
            made = super().controller(ports)
            if who == "controller":
                made.tick = lambda now: spoil()
            return made

    def spoil(_=None):
        if sim.world.now > 2.3:
            sim.world.by_name["n2"].iface("v2-3").active = False

    made = scenario("blackhole", timeline=[{"fault": "link-blackhole", "link": "n5-n6", "at": 2.4, "until": 9}])
    sim = Simulation(made, 1, None if who == "timeline" else Sly([]))
    if who == "timeline":
        sim.world.at(2.35, spoil, None)
    with pytest.raises(AssertionError, match="active without being attached and up, or not though"):
        sim.run_until(2.9)
    assert sim.world.now < 2.45


def test_time_that_goes_back_is_seen():
    lab = Lab(scenario("blackhole"), 1)
    lab.sim.run_until(2.0)
    lab.sim.world.at(1.0, print, None)
    with pytest.raises(AssertionError, match="time went back"):
        lab.sim.run_until(3.0)


def test_a_frame_delivered_twice_is_seen():
    lab = Lab(scenario("blackhole"), 1)
    node = lab.sim.world.by_name["n2"]
    lab.sim.forwarding._deliver(node, lambda *_: None, None, 10**9)
    with pytest.raises(AssertionError, match="delivered twice"):
        lab.sim.forwarding._deliver(node, lambda *_: None, None, 10**9)
