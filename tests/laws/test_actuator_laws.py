"""What every actuator promises, whatever it acts on: `ports.Actuator`."""

from dataclasses import replace

import pytest

from fakes import FakeKernel, ManualClock, RecordingActuator
from x0tta6bl4.model import Action, Component, Did, Order, Outcome
from x0tta6bl4.network import names
from x0tta6bl4.network.actuators import NodeActuator

ACTION = Action("set-hop-penalty", names.interface("n1", "v2"), {"hop_penalty": 230})
FOREIGN = Action("fly", Component("bird", "b"))


def order(ident="o1", action=ACTION):
    return Order(ident, "c", 1, action, 10.0)


@pytest.fixture(params=["node", "node with a journal", "fake"])
def actuator(request, tmp_path):
    if request.param == "fake":
        return RecordingActuator({"set-hop-penalty"})
    journal = tmp_path / "orders.json" if "journal" in request.param else None
    return NodeActuator("n1", FakeKernel(), ManualClock(), mac_of=lambda c: "", journal=journal)


def test_the_same_order_twice_is_one(actuator):
    assert [actuator.apply(order()).did for _ in range(3)] == [Did.DONE] * 3
    assert actuator.undo("o1").did is Did.UNDONE
    assert actuator.resolve(order()).did is Did.UNDONE


def test_answers_are_outcomes_about_the_order(actuator):
    for outcome in (
        actuator.apply(order()),
        actuator.confirm("o1"),
        actuator.resolve(order()),
        actuator.undo("o1"),
        actuator.undo("unheard-of"),
        actuator.confirm("unheard-of"),
    ):
        assert isinstance(outcome, Outcome)
        assert outcome.order in ("o1", "unheard-of")


def test_what_is_unknown_is_refused(actuator):
    assert actuator.undo("unheard-of").did is Did.REFUSED
    assert actuator.confirm("unheard-of").did is Did.REFUSED


def test_what_was_done_is_found_done(actuator):
    before = actuator.apply(order()).before
    found = actuator.resolve(order())
    assert found.did is Did.DONE
    assert found.before in (before, {})


def test_two_orders_are_two(actuator):
    actuator.apply(order("o1"))
    assert actuator.apply(order("o2")).did is Did.DONE
    assert actuator.undo("o2").did is Did.UNDONE
    assert actuator.confirm("o1").did is Did.DONE
    assert actuator.undo("o1").did is Did.UNDONE


def test_kinds_are_fixed(actuator):
    assert ACTION.kind in actuator.kinds
    assert FOREIGN.kind not in actuator.kinds
    assert isinstance(actuator.kinds, frozenset)


def test_undoing_in_reverse_restores_the_first_state():
    kernel = FakeKernel()
    actuator = NodeActuator("n1", kernel, ManualClock(), mac_of=lambda c: "")
    before = kernel.state()
    actuator.apply(order("o1"))
    actuator.apply(order("o2", replace(ACTION, parameters={"hop_penalty": 99})))
    actuator.apply(order("o3", Action("detach-interface", ACTION.target)))
    for ident in ("o3", "o2", "o1"):
        assert actuator.undo(ident).did is Did.UNDONE
    assert kernel.state() == before
