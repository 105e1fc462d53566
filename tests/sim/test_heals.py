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
        assert fault.recovered or not fault.repairable
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
