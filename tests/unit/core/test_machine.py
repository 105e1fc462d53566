"""This machine's participants start again where their stores end."""

import itertools
import random
import sqlite3
import time
from contextlib import ExitStack, closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from x0tta6bl4.core.controller import Controller
from x0tta6bl4.core.machine import REBOOT_S, MachineSource, going_down, leave, withdraw
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.core.store import Blocks
from x0tta6bl4.lab.participants import CONTROLLER, ControllerPorts
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


def ran(directory, clock, seconds):
    """One life of the controller: (the events it said, the passes that its recorder has not kept)."""
    source = MachineSource(Settings(mesh={"node": "n1", "inventory": NODES}, store={"directory": str(directory)}))
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


def test_readings_lie_in_blocks(tmp_path):
    clock = Hand()
    ran(tmp_path, clock, 10.0)
    folder = Path(tmp_path) / f"readings-{CONTROLLER}"
    blocks = Blocks(folder)
    series = blocks.series(Component("node", "n2"), "absent_s", 0.0, 3e9)
    blocks.close()
    assert len(series.mean) >= 5
    assert series.mean[-1] > series.mean[0]


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
