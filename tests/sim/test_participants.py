"""What agents and a controller get from the lab: hellos beside the mesh, in-band reports, death and return."""

from __future__ import annotations

from crew_of_test import Crew
from driving import FAULT_S, scenario

from x0tta6bl4.lab.sim import Simulation, run


def play(name, until, orders=(), **changes):
    crew = Crew(orders)
    sim = Simulation(scenario(name, **changes), 3, crew)
    sim.run_until(until)
    return sim, crew


def silence_s(agent, payload, interface, now):
    """How long ago a hello last came in on an interface."""
    return now - max(at for (port, _, what), at in agent.heard.items() if port == interface and what == payload)


def test_hellos_tell_a_dead_link_and_a_live_one():
    _, crew = play("blackhole", 30.0)
    n2 = next(agent for agent in crew.agents if agent.ports.name == "n2")
    now = n2.ports.clock.now()
    assert silence_s(n2, b"hellon1", "v2-1", now) < 0.5
    assert 9.5 < silence_s(n2, b"hellon3", "v2-3", now) < 10.5


def test_hellos_go_on_beside_the_mesh_when_the_interface_is_detached():
    sim, crew = play("blackhole", 5.0, timeline=[])
    agents = {agent.ports.name: agent for agent in crew.agents}
    agents["n2"].ports.kernel.detach("v2-3")
    sim.run_until(10.0)
    assert silence_s(agents["n3"], b"hellon2", "v3-2", agents["n3"].ports.clock.now()) < 0.5


def test_a_dead_agent_is_silent_but_its_kernel_answers():
    sim, crew = play("agent-death", 42.0)
    agents = {agent.ports.name: agent for agent in crew.agents}
    n3 = agents["n3"]
    now = n3.ports.clock.now()
    assert silence_s(n3, b"hellon4", "v3-4", now) > 19.0
    mac = next(i.mac for i in sim.crew._inventory[3].interfaces if i.name == "v4-3")
    n3.ports.wire.echo("v3-4", "fe80::" + mac, b"alive?")
    n3.ports.wire.send_mesh("n4", b"anyone?")
    sim.run_until(42.5)
    assert any(payload == b"alive?" for _, _, payload in n3.heard)
    assert n3.ports.wire.mac_of("fe80::" + mac) == mac
    assert n3.ports.wire.mac_of("n4") == ""
    sim.run_until(81.0)
    assert [agent.ports.name for agent in crew.agents].count("n4") == 2  # it was started again


def test_reports_pass_in_band_only_while_the_mesh_carries_them():
    _, crew = play("partition", 50.0)
    late = {sender for at, sender in crew.controllers[0].reports if at > FAULT_S + 0.5}
    assert late == {"n1", "n2", "n3", "n4", "n5"}
    _, crew = play("partition", 50.0, management="oob")
    late = {sender for at, sender in crew.controllers[0].reports if at > FAULT_S + 0.5}
    assert late == {"n1", "n2", "n3", "n4", "n5", "n6", "n7"}


def test_orders_reach_the_kernel_and_the_record():
    record = run(scenario("blackhole"), seed=3, factory=Crew([(10.0, "n2", {"interface": "v2-3", "value": 77})]))
    assert [(step.node, step.component, step.what, step.value) for step in record.steps] == [
        ("n2", "interface/n2:v2-3", "hop_penalty", "77")
    ]
    assert 10.0 <= record.steps[0].at < 10.5
    assert record.settings_end["n2"]["v2-3.hop_penalty"] == "77"
    assert record.settings_start["n2"]["v2-3.hop_penalty"] == "0"
    assert record.controller
    assert record.duration == 180.0
    assert record.events[0][1]["type"] == "incident.opened"


def test_a_rebooted_node_gets_a_new_agent_with_a_new_clock():
    _, crew = play("node-reboot", 60.0)
    first, second = (agent for agent in crew.agents if agent.ports.name == "n4")
    assert first.ports.clock.now() != second.ports.clock.now()
    assert len(first.ticks) < 410
    assert len(second.ticks) > 390


def test_clocks_of_two_nodes_differ():
    _, crew = play("blackhole", 1.0)
    assert len({round(agent.ports.clock.now(), 3) for agent in crew.agents}) == len(crew.agents)


def test_excused_is_only_what_is_physically_cut_off():
    for name, pair, expected in [
        ("partition", "n1-n6", [(20.0, 60.0)]),
        ("partition", "n1-n5", []),
        ("partition", "n6-n7", []),
        ("node-death", "n4-n5", [(20.0, 60.0)]),
        ("node-death", "n3-n5", []),
        ("interface-down-primary", "n2-n3", []),
        ("blackhole", "n2-n3", []),
    ]:
        record = run(scenario(name, pairs=[pair]), seed=1)
        assert record.pairs[0].excused == expected, (name, pair)


def test_faults_that_change_a_link_are_noted_as_touching_it():
    flaps = run(scenario("flapping"), seed=1).touched
    assert [at for at, _ in flaps] == [20.0 + 2 * step for step in range(20)]
    assert {nodes for _, nodes in flaps} == {("n2", "n3")}
    for pair, times in [("n2-n3", True), ("n5-n6", False)]:  # the flapping link carries the first pair only
        touched = run(scenario("flapping", pairs=[pair]), seed=1).pairs[0].path_touched
        assert (20.0 in touched, set(touched) <= {at for at, _ in flaps}) == (times, True)
        assert bool(touched) is times
    dead_agent = [{"fault": "agent-death", "node": "n4", "at": 20, "until": 60}]
    assert run(scenario("agent-death", timeline=dead_agent), seed=1).touched == []
