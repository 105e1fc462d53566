"""The same seed gives the same history to the byte, and an action shifts nobody else's noise."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict

import pytest
from crew_of_test import Crew
from driving import Lab, scenario
from hypothesis import given, settings
from hypothesis import strategies as st

from x0tta6bl4.errors import ConfigError
from x0tta6bl4.lab.sim import Simulation, healthy, run
from x0tta6bl4.lab.sim.noise import CountedRandom, key, unit_at

ORDERS = [(25.0, "n2", {"interface": "v2-3", "value": 200}), (25.0, "n3", {"interface": "v3-2", "value": 200})]


def digest(record):
    return hashlib.sha256(json.dumps(asdict(record), sort_keys=True).encode()).hexdigest()


@pytest.mark.parametrize("name", ["blackhole", "flapping", "node-reboot", "interface-down-primary"])
@pytest.mark.parametrize("algorithm", ["BATMAN_IV", "BATMAN_V"])
def test_same_seed_same_bytes(name, algorithm):
    chosen = scenario(name, algorithm=algorithm)
    assert digest(run(chosen, seed=7)) == digest(run(chosen, seed=7))
    assert digest(run(chosen, seed=7)) != digest(run(chosen, seed=8))


def test_same_seed_same_bytes_with_participants():
    chosen = scenario("loss-40")
    first, second = (run(chosen, seed=7, factory=Crew(ORDERS)) for _ in range(2))
    assert first.steps
    assert first.events
    assert digest(first) == digest(second)


def test_checks_do_not_change_what_clients_see():
    chosen = scenario("blackhole")
    with_checks, without = run(chosen, seed=7), run(chosen, seed=7, checks=False)
    assert json.dumps(asdict(with_checks.pairs[0])) == json.dumps(asdict(without.pairs[0]))


def test_an_action_does_not_shift_the_noise_of_other_links():
    def far_pair(penalise):
        lab = Lab(scenario("blackhole", timeline=[], pairs=["n5-n6", "n2-n3"]), 11)
        script = [(5.0, lambda lab: lab.kernels["n2"].set_hardif("v2-3", "hop_penalty", 200))] if penalise else []
        pairs = lab.play(script, 60.0)
        return [json.dumps(pair.rtt_ms) for pair in pairs]

    quiet, acted = far_pair(False), far_pair(True)
    assert quiet[0] == acted[0]
    assert quiet[1] != acted[1]  # it did something


def test_freezing_is_the_same_history_until_then():
    chosen = scenario("loss-40")
    full, frozen = run(chosen, seed=5, factory=Crew(ORDERS)), run(chosen, seed=5, factory=Crew(ORDERS), freeze_at=24.9)
    for a, b in zip(full.pairs, frozen.pairs, strict=True):
        until = sum(at < 24.0 for at in a.sent)
        assert json.dumps(a.rtt_ms[:until]) == json.dumps(b.rtt_ms[:until])
    assert full.steps
    assert frozen.steps == []
    assert all(at < 24.9 for at, _ in frozen.events)


def test_healthy_reboots_one_node_at_a_time_and_tells_its_agent():
    crew = Crew()
    chosen = scenario("blackhole", background={"reboots_per_day": 96})
    record = healthy(0.5, 3, factory=crew, scenario=chosen)
    told = [agent for agent in crew.agents if agent.goodbye]
    assert 1 <= len(told) <= 2
    assert len(record.touched) == 2 * len(told)
    assert record.healthy_hours == 0.5
    assert record.settings_start == record.settings_end
    assert all(agent.closed for agent in crew.agents)
    with pytest.raises(ConfigError, match="healthy-hours"):
        healthy(0, 1)


def test_a_longer_run_goes_on_where_a_shorter_one_stopped():
    one, two = (Simulation(scenario("flapping"), 4) for _ in range(2))
    one.run_until(50.0)
    for end in (3.0, 20.0, 20.05, 41.0, 50.0):
        two.run_until(end)
    assert one.world.trace == two.world.trace


@settings(deadline=None)
@given(st.integers(0, 2**32), st.floats(-1e5, 1e5))
def test_noise_is_uniform_and_a_function(seed, at):
    purpose = key(seed, "x")
    assert 0 <= unit_at(purpose, at) < 1
    assert unit_at(purpose, at) == unit_at(purpose, at)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_noise_has_the_mean_of_its_kind(seed):
    source = CountedRandom(key(seed))
    drawn = [source.random() for _ in range(2000)]
    timed = [unit_at(key(seed, "t"), number * 0.05) for number in range(2000)]
    for values in (drawn, timed):
        assert abs(sum(values) / 2000 - 0.5) < 0.05
        assert len(set(values)) == 2000


def test_the_history_does_not_depend_on_the_process():
    code = (
        "import hashlib, json; from dataclasses import asdict; from x0tta6bl4.lab.scenarios import load;"
        "from x0tta6bl4.lab.sim import run; r = asdict(run(load('two-links'), seed=9));"
        "print(hashlib.sha256(json.dumps(r, sort_keys=True).encode()).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": salt}, check=True, capture_output=True
        ).stdout
        for salt in ("1", "2")
    }
    assert seen == {digest(run(scenario("two-links"), seed=9)).encode() + b"\n"}


def test_a_fault_can_be_injected_while_it_runs():
    sim = Simulation(scenario("blackhole", timeline=[]), 4)
    sim.run_until(10.0)
    assert [round(share, 1) for _, _, share, _ in sim.clients.lately()] == [1.0, 1.0]
    entry = {"fault": "link-blackhole", "link": "n2-n3", "at": 12, "until": 20}
    sim.inject(sim.scenario.variant(timeline=[entry]).timeline[0])
    sim.run_until(14.6)
    assert sim.clients.lately()[0][2] < 0.1
    with pytest.raises(ConfigError, match="not before now"):
        sim.inject(sim.scenario.variant(timeline=[entry]).timeline[0])
