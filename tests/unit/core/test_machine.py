"""This machine's participants start again where their stores end."""

import itertools
import random
import sqlite3
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from x0tta6bl4.core import wiring
from x0tta6bl4.core.controller import Controller
from x0tta6bl4.core.machine import REBOOT_S, MachineSource, going_down, leave, withdraw
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.core.state import State
from x0tta6bl4.core.store import Blocks, SqlStore
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.lab import scenarios
from x0tta6bl4.lab.participants import CONTROLLER, ControllerPorts
from x0tta6bl4.lab.sim.runner import Simulation
from x0tta6bl4.mape_k.commands import Conflict
from x0tta6bl4.mape_k.inline import InlineWorker
from x0tta6bl4.model import Action, Component, Did, Order
from x0tta6bl4.network.actuators import NodeActuator
from x0tta6bl4.network.kernel import Mesh

NODES = [
    {"name": n, "ip": f"10.9.0.{i}", "interfaces": [{"name": "v1", "mac": f"02:00:00:00:00:0{i}"}]}
    for i, n in ((1, "n1"), (2, "n2"))
]


class Hand:
    """A clock set by hand."""

    def __init__(self):
        self.at = 1000.0

    def now(self):
        return self.at

    def utc(self):
        return self.at + 1_800_000_000.0


class Nobody:
    """A transport over which no report ever comes."""

    def send(self, to, payload):
        pass

    def receive(self):
        return ()


def settings(directory, nodes=NODES, **store):
    return Settings(mesh={"node": "n1", "inventory": nodes}, store={"directory": str(directory), **store})


def ran(directory, clock, seconds, made=None):
    """One life of the controller: the events it said."""
    source = MachineSource(made or settings(directory))
    source._clock = clock
    said, identities = [], (f"{clock.at:.0f}-{n}" for n in itertools.count())

    def build(stack, store, blocks):
        ports = ControllerPorts(Nobody(), clock, random.Random(1), source.nodes, "n1", said.append)
        return Controller(ports, store, InlineWorker(), lambda: next(identities))

    with ExitStack() as stack:
        participant, recorder = source._member(stack, CONTROLLER, build)
        end = clock.at + seconds
        while clock.at < end:
            clock.at += 0.5
            participant.tick(clock.at)
            recorder.see(participant.last)
            while recorder._flying:  # virtual seconds pass faster than a disk writes
                recorder._collect()
                time.sleep(0.001)
    assert participant.loop.errors == {}
    return said


def kept(directory):
    with closing(sqlite3.connect(directory / "decisions.db")) as database:
        events = database.execute("SELECT number FROM events ORDER BY number").fetchall()
        return [n for (n,) in events], database.execute("SELECT count(*) FROM iterations").fetchone()[0]


def test_a_controller_that_starts_again_counts_on_and_keeps_its_passes(tmp_path):
    clock = Hand()
    first = ran(tmp_path, clock, 70.0)
    assert {event.type for event in first} >= {"incident.opened"}
    events, passes = kept(tmp_path)
    assert events == [event.seq for event in first] == list(range(1, len(first) + 1))
    assert passes > 0
    second = ran(tmp_path, clock, 200.0)
    assert second, "the second life must say something, or this shows nothing"
    assert kept(tmp_path)[0] == list(range(1, len(first) + len(second) + 1))
    assert kept(tmp_path)[1] > passes


def test_the_inventory_is_kept_and_taken_up_where_no_node_is_declared(tmp_path):
    def build(stack, store, blocks):
        return SimpleNamespace(loop=SimpleNamespace(columns=None), close=lambda: None)

    with pytest.raises(ConfigError, match="declare your nodes first"):
        MachineSource(settings(tmp_path, ()))
    first = MachineSource(settings(tmp_path))
    with ExitStack() as stack:
        first._member(stack, first.me, build)
    again = MachineSource(settings(tmp_path, ()))
    assert (again.nodes, again._peers, again.seat) == (first.nodes, first._peers, "n1")
    assert again.nodes[1].interfaces[0].mac == "02:00:00:00:00:02"
    with ExitStack() as stack:
        again._member(stack, again.me, build)
    one = MachineSource(settings(tmp_path, NODES[:1]))  # what is declared now counts
    with ExitStack() as stack:
        one._member(stack, one.me, build)
        one._member(stack, CONTROLLER, build)
    assert [node.name for node in MachineSource(settings(tmp_path, ())).nodes] == ["n1"]
    with SqlStore(f"sqlite:///{tmp_path}/decisions.db", "c", clock=Hand(), random=random.Random(1)) as store:
        assert list(store.inventory()) == [Component("node", "n1")]


def test_an_inventory_of_another_version_is_none(tmp_path):
    with SqlStore(f"sqlite:///{tmp_path}/agent.db", "n1", clock=Hand(), random=random.Random(1)) as store:
        store.keep_inventory({Component("node", "n1"): {"name": "n1", "colour": "red"}})
    with pytest.raises(ConfigError, match="declare your nodes first"):
        MachineSource(settings(tmp_path, ()))


def test_a_controller_prunes_what_its_settings_keep_no_longer(tmp_path, monkeypatch):
    monkeypatch.setattr("x0tta6bl4.core.store.recorder.PRUNE_EVERY_S", 5.0)
    clock = Hand()
    ran(tmp_path, clock, 70.0)
    assert kept(tmp_path)[1] > 0
    clock.at += 3 * 3600.0
    with closing(sqlite3.connect(tmp_path / "decisions.db")) as database:
        old = database.execute("SELECT max(at_utc) FROM iterations").fetchone()[0]
        ran(tmp_path, clock, 10.0, settings(tmp_path, keep_passes_days=0.1))
        assert database.execute("SELECT count(*) FROM iterations WHERE at_utc <= ?", [old]).fetchone() == (0,)


def test_readings_lie_in_blocks(tmp_path):
    clock = Hand()
    ran(tmp_path, clock, 10.0)
    folder = Path(tmp_path) / f"readings-{CONTROLLER}"
    blocks = Blocks(folder)
    series = blocks.series(Component("node", "n2"), "absent_s", 0.0, 3e9)
    blocks.close()
    assert len(series.mean) >= 5
    assert series.mean[-1] > series.mean[0]


@dataclass(frozen=True)
class Showing(wiring.Participants):
    """The simulator's participants, the agent of one node shown to people as `x0t run` shows it."""

    show: object = None

    def agent(self, ports):
        made = super().agent(ports)
        self.show(made)
        return made


def test_a_node_that_is_no_seat_shows_what_its_agent_sees_and_sends_people_to_the_seat(tmp_path):
    mesh = scenarios.load("blackhole")
    (fault,) = mesh.timeline
    me = fault.links[0].node_a
    declared = [
        {"name": node.name, "ip": node.ip, "interfaces": [{"name": i.name, "mac": i.mac} for i in node.interfaces]}
        for node in mesh.topology.nodes
    ]
    seat = next(node["name"] for node in declared if node["name"] != me)
    source = MachineSource(
        Settings(mesh={"node": me, "seat": seat, "inventory": declared}, store={"directory": str(tmp_path)})
    )
    assert source.title == f"mesh bat0 of {me}, agent; the controller is at {seat}"
    state = State(log=False)
    with ExitStack() as stack:
        store, blocks = source._store(stack, me), stack.enter_context(closing(Blocks(tmp_path / "readings")))

        def show(agent):
            if agent.ports.name == me:
                source._show(agent, store, blocks, state)

        sim = Simulation(mesh, 1, Showing(threads=False, show=show), checks=False)
        sim.run_until(fault.at - 1.0)
        before = state.readers.snapshot()
        sim.run_until(fault.at + 5.0)
        sim.crew.close()
        states = {node.name: node.state for node in before.view.nodes}
        assert states == {name: "well" if name == me else "unknown" for name in states}
        assert before.view.backend == "mesh"
        mine = [link for link in before.view.links if link.source == me]
        assert mine
        assert {link.state for link in mine} == {"well"}
        assert "link-down" in {file.incident.cause.code for file in state.readers.incidents()}
        assert "avoided" in {link.state for link in state.readers.snapshot().view.links}
        asked = state.commands.post(lambda loop, now: None)
        with pytest.raises(Conflict, match=f"ask the controller at {seat} "):
            asked.result(1)
        assert not state.commands.waiting


class Option:
    """As much of a kernel as one option of the mesh."""

    def __init__(self):
        self.interval_ms = 1000

    def mesh(self):
        return Mesh("bat0", "BATMAN_IV", "", self.interval_ms, 30, "off", False, False)

    def set_mesh(self, option, value):
        self.interval_ms = value


def test_a_stop_takes_back_what_is_not_proven_and_keeps_what_is():
    kernel, clock = Option(), Hand()
    actuator = NodeActuator("n1", kernel, clock, mac_of=lambda component: "")
    for identity, interval in (("a", 500), ("b", 200)):
        action = Action("set-orig-interval", Component("node", "n1"), {"orig_interval_ms": interval})
        assert actuator.apply(Order(identity, "n1", 1, action, 10.0)).did is Did.DONE
    actuator.confirm("a")
    withdraw(SimpleNamespace(actuator=actuator))
    assert kernel.interval_ms == 500
    assert list(actuator.applied) == ["a"]


@pytest.mark.parametrize(("says", "down"), [("stopping", True), ("running", False), ("degraded", False)])
def test_the_system_says_that_it_goes_down(tmp_path, says, down):
    program = tmp_path / "system"
    program.write_text(f"#!/bin/sh\necho {says}\nexit 1\n")  # as systemctl exits for all but running
    program.chmod(0o755)
    assert going_down([str(program)]) == down
    assert not going_down([str(tmp_path / "none")])


@pytest.mark.parametrize("down", [True, False])
def test_an_agent_says_goodbye_where_its_machine_goes_down(down):
    said = []
    agent = SimpleNamespace(expect_reboot=said.append, actuator=SimpleNamespace(applied={}))
    leave(agent, lambda: down)
    assert said == ([REBOOT_S] if down else [])
