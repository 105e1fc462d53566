"""The product's own agents and controller over every built-in scenario, judged by the lab."""

import pytest

from x0tta6bl4.core.wiring import sim_factory
from x0tta6bl4.lab import sim
from x0tta6bl4.lab.scenarios import builtin, load
from x0tta6bl4.lab.score import judge

SEED = 11
SCENARIOS = sorted(builtin())


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_fault_is_named_healed_and_left_behind(name):
    score = judge(sim.run(load(name), seed=SEED, factory=sim_factory))
    for fault in score.faults:
        assert fault.detected
        assert fault.cause_top1
        assert fault.recovered is not False or not fault.repairable  # None: healed before anybody was hurt
        assert fault.ttd_s < 3.0
    assert score.false_incidents == ()
    assert score.drift == ()


@pytest.mark.slow
def test_the_product_keeps_its_history_to_the_byte():
    one, two = (sim.run(load("blackhole"), seed=SEED, factory=sim_factory) for _ in range(2))
    assert one == two


@pytest.mark.slow
def test_a_quiet_hour_with_reboots_opens_nothing():
    scenario = load("blackhole")
    busy = scenario.variant(background={**scenario.document.get("background", {}), "reboots_per_day": 100})
    record = sim.healthy(0.25, SEED, factory=sim_factory, scenario=busy)
    assert record.touched  # a node was rebooted on purpose
    assert [e for _, e in record.events if e["type"] == "incident.opened"] == []


@pytest.mark.slow
def test_an_agent_that_is_killed_while_it_acts_takes_it_back_when_it_is_there_again():
    fault = {"fault": "link-blackhole", "link": "n2-n3", "at": 20, "until": 60}
    killed = {"fault": "agent-death", "node": "n2", "at": 26, "until": 41}
    record = sim.run(load("blackhole").variant(timeline=[fault, killed]), seed=SEED, factory=sim_factory)
    score = judge(record)
    assert {step.what for step in record.steps if step.node == "n2" and step.at < 26} >= {"detach", "orig_interval_ms"}
    assert score.drift == ()
    assert score.false_incidents == ()
    assert all(one.cause_top1 for one in score.faults)
    assert all(one.recovered for one in score.faults if one.repairable)


@pytest.mark.slow
def test_an_incident_closes_though_another_one_heard_of_its_actions_end():
    """Two incidents of one partition; the second fault, on a link of the first, is named only if both were closed."""
    grid = [(n, n + 1) for n in range(1, 16) if n % 4] + [(n, n + 4) for n in range(1, 13)]
    cut = ["n3-n7", "n4-n8", "n6-n7", "n7-n11", "n8-n12"]
    scenario = load("partition").variant(
        algorithm="BATMAN_V",
        topology={"nodes": 16, "links": [f"n{a}-n{b}" for a, b in sorted(grid)]},
        seat="n3",
        pairs=["n7-n8", "n3-n12", "n7-n11"],
        timeline=[
            {"fault": "partition", "links": cut, "at": 20, "until": 60},
            {"fault": "link-blackhole", "link": "n7-n11", "at": 90, "until": 110},
        ],
    )
    record = sim.run(scenario, seed=1, factory=sim_factory, until=150.0)
    opened = {e["incident"] for _, e in record.events if e["type"] == "incident.opened"}
    closed = {e["incident"] for _, e in record.events if e["type"] == "incident.closed"}
    assert opened == closed
    assert [fault.detected for fault in judge(record).faults] == [True, True]


def test_a_dead_interface_explains_that_the_far_node_is_not_heard():
    links = ["n1-n2", "n2-n3", "n2-n7", "n3-n4", "n4-n5", "n5-n6", "n6-n7", "n7-n1"]
    fault = {"fault": "interface-down", "interface": "n3:v3-2", "at": 20, "until": 60}
    topology = {"nodes": 7, "links": links}
    scenario = load("interface-down-primary").variant(topology=topology, seat="n3", pairs=["n2-n3"], timeline=[fault])
    record = sim.run(scenario, seed=49, factory=sim_factory, until=40.0)
    said = [
        (e["type"], e["component"]) for _, e in record.events if e["type"] in ("incident.opened", "incident.updated")
    ]
    assert said == [("incident.opened", "interface/n3:v3-2")]
