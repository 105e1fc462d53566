"""When a run on a real kernel may end early: only where nothing could still change a setting."""

from types import SimpleNamespace

import pytest

from x0tta6bl4.lab.quiet import QUIET_S, Quiet


class Agents:
    def __init__(self):
        self.steps, self.rest = [], True

    def at_rest(self):
        return self.rest


def ended_at(change, *, alone=False, until=100):
    """When the run ends by itself, looked at every 0.1 s from 0 on; `change(now, world)` is called before."""
    world = SimpleNamespace(agents=Agents(), same=True)
    world.quiet = Quiet(0.0, lambda: world.same, world.agents, alone=alone)
    for step in range(until * 10):
        now = step / 10
        change(now, world)
        if world.quiet.ended(now):
            return now
    return None


def controller_rests(now, world):
    world.quiet.controller = True


def test_it_ends_when_all_have_been_at_rest_for_a_while():
    assert ended_at(controller_rests) == pytest.approx(QUIET_S, abs=0.2)


def test_a_controller_that_said_nothing_is_waited_for():
    assert ended_at(lambda now, world: None) is None
    assert ended_at(lambda now, world: None, alone=True) == pytest.approx(QUIET_S, abs=0.2)


@pytest.mark.parametrize("who", ["agents", "controller", "settings"])
def test_a_lease_that_is_held_while_settings_are_equal_keeps_it_going(who):
    """E.g. a mitigation that is about to be applied again: settings are equal for long in between."""

    def change(now, world):
        controller_rests(now, world)
        busy = now < 50
        world.agents.rest = not (busy and who == "agents")
        world.quiet.controller = not (busy and who == "controller")
        world.same = not (busy and who == "settings")

    assert ended_at(change) == pytest.approx(50 + QUIET_S, abs=2.3)


def test_a_relapse_between_two_looks_begins_the_wait_anew():
    def change(now, world):
        controller_rests(now, world)
        if now == 15.1:
            world.agents.steps += ["detach", "attach"]

    assert ended_at(change) == pytest.approx(15 + QUIET_S, abs=2.3)
