"""What people set at the controller binds the agents too: pause, kill switch, autonomy."""

from functools import partial

import pytest

from x0tta6bl4.catalog import Autonomy
from x0tta6bl4.core.wiring import LAB_LIMITS, Participants, sim_factory
from x0tta6bl4.lab import sim
from x0tta6bl4.lab.scenarios import load
from x0tta6bl4.mape_k import commands
from x0tta6bl4.mape_k.guards import Limits


def run(*asked, agents=LAB_LIMITS):
    """A delayed link, with commands given to the controller before the fault."""
    factory = Participants(threads=False, agent_limits=agents)

    class Asked:
        agent = staticmethod(factory.agent)

        @staticmethod
        def controller(ports):
            built = factory.controller(ports)
            for command in asked:
                built.loop.commands.post(command)
            return built

    return sim.run(load("delay-200"), seed=3, factory=Asked(), until=50.0)


def acted(record):
    return [step for step in record.steps if step.what != "orig_interval_ms"]


def test_without_a_restraint_an_agent_acts():
    record = sim.run(load("delay-200"), seed=3, factory=sim_factory, until=50.0)
    assert acted(record)


@pytest.mark.parametrize(
    "command",
    [
        partial(commands.set_control, paused=None, kill_switch=True, reason="drill"),
        partial(commands.set_control, paused=True, kill_switch=None, reason="drill"),
    ],
    ids=["kill switch", "pause"],
)
def test_nothing_is_touched_on_any_node(command):
    record = run(command)
    assert record.steps == []
    assert any(e["type"] == "incident.opened" for _, e in record.events), "it still watches and says what is wrong"


def test_an_action_kind_that_is_only_advised_is_not_done_by_anybody():
    record = run(partial(commands.set_policy, kind="set-hop-penalty", level=Autonomy.ADVISE))
    assert not [step for step in record.steps if step.what == "hop_penalty"]


def test_a_policy_never_allows_more_than_the_node_s_own_settings():
    own = Limits(autonomy_default=Autonomy.ADVISE, actions_max=40)
    record = run(partial(commands.set_policy, kind="set-hop-penalty", level=Autonomy.ACT), agents=own)
    assert record.steps == []


def test_what_was_restrained_is_allowed_again():
    record = run(
        partial(commands.set_control, paused=True, kill_switch=True, reason="drill"),
        partial(commands.set_control, paused=False, kill_switch=False, reason="over"),
    )
    assert acted(record)
