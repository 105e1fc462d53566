"""What every actuator promises, whatever it acts on: `ports.Actuator`."""

from dataclasses import replace

import pytest

from fakes import FakeKernel, ManualClock, RecordingActuator
from x0tta6bl4.model import Action, Component, Did, Order
from x0tta6bl4.network import names
from x0tta6bl4.network.actuators import NodeActuator
from x0tta6bl4.network.journal import FileJournal
from x0tta6bl4.testing import actuator_laws

ACTION = Action("set-hop-penalty", names.interface("n1", "v2"), {"hop_penalty": 230})
FOREIGN = Action("fly", Component("bird", "b"))


def order(ident="o1", action=ACTION):
    return Order(ident, "c", 1, action, 10.0)


def node(journal=None):
    return NodeActuator(
        "n1", FakeKernel(), ManualClock(), mac_of=lambda c: "", journal=journal and FileJournal(journal)
    )


def wait(actuator, seconds):
    actuator.clock.at += seconds
    actuator.expire()


@pytest.mark.parametrize(
    "action",
    [
        ACTION,
        Action("detach-interface", ACTION.target),
        Action("set-throughput-override", ACTION.target, {"throughput_override_kbit": 1}),
        Action("set-orig-interval", names.node("n1"), {"orig_interval_ms": 500}),
    ],
    ids=lambda action: action.kind,
)
def test_the_node_s_actuator(action):
    actuator_laws(node, action, state=lambda actuator: actuator.kernel.state(), wait=wait)


def test_the_node_s_actuator_with_a_journal(tmp_path):
    numbers = iter(range(100))

    def make():
        return node(tmp_path / f"orders-{next(numbers)}.json")

    actuator_laws(make, ACTION, state=lambda actuator: actuator.kernel.state(), wait=wait)


def test_the_fake():
    actuator_laws(lambda: RecordingActuator({ACTION.kind}), ACTION, state=lambda actuator: dict(actuator.on))


def test_kinds_are_fixed():
    assert FOREIGN.kind not in node().kinds
    assert node().apply(order(action=FOREIGN)).did is Did.REFUSED


def test_undoing_in_reverse_restores_the_first_state():
    actuator = node()
    before = actuator.kernel.state()
    actuator.apply(order("o1"))
    actuator.apply(order("o2", replace(ACTION, parameters={"hop_penalty": 99})))
    actuator.apply(order("o3", Action("detach-interface", ACTION.target)))
    for ident in ("o3", "o2", "o1"):
        assert actuator.undo(ident).did is Did.UNDONE
    assert actuator.kernel.state() == before
