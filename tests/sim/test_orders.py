"""What agents may not do by themselves the controller orders, over the mesh."""

from x0tta6bl4.catalog import Autonomy
from x0tta6bl4.core.controller import Controller, ControllerSettings
from x0tta6bl4.core.store.ids import Ids
from x0tta6bl4.core.wiring import LAB_LIMITS, Participants
from x0tta6bl4.lab import sim
from x0tta6bl4.lab.scenarios import load
from x0tta6bl4.lab.score import judge
from x0tta6bl4.mape_k.guards import Limits
from x0tta6bl4.mape_k.inline import InlineWorker
from x0tta6bl4.mape_k.memory import MemoryStore


def run(name, agents):
    limits = Limits(autonomy_default=agents, actions_max=40)
    return sim.run(load(name), seed=3, factory=Participants(threads=False, limits=LAB_LIMITS, agent_limits=limits))


def of(record, kind):
    return [(at, e) for at, e in record.events if e["type"] == kind]


def test_the_controller_orders_what_an_agent_leaves_to_it():
    record = run("mtu-receiver", Autonomy.APPROVE)
    confirmed = of(record, "action.confirmed")
    assert [e["origin"] for _, e in confirmed] == ["controller"]
    assert [s.what for s in record.steps] == ["mtu"]
    (fault,) = judge(record).faults
    assert fault.recovered
    assert 4 < fault.ttr_s < 7


def test_a_mitigation_that_was_ordered_is_taken_back():
    record = run("delay-200", Autonomy.APPROVE)
    assert record.settings_start == record.settings_end
    assert [s.value for s in record.steps if s.node == "n2"] == ["230", "0"]


def test_an_agent_at_advise_refuses_orders():
    record = run("mtu-receiver", Autonomy.ADVISE)
    assert record.steps == []
    refused = of(record, "action.refused")
    assert refused
    assert "not allowed on this node" in str(refused[0][1]["data"]["detail"])


class Restarted:
    """A controller that ends after a while without a word and is started again over the same store."""

    period_s = 0.05

    def __init__(self, ports, after_s):
        self.ports, self.store = ports, MemoryStore("controller")
        self.at = ports.clock.now() + after_s
        self.controller = self.start()

    def start(self):
        self.store.epoch += 1
        settings, ids = ControllerSettings(limits=LAB_LIMITS), Ids(self.ports.clock, self.ports.random)
        return Controller(self.ports, self.store, InlineWorker(), ids, settings=settings)

    def tick(self, now):
        if now >= self.at:
            self.at = float("inf")
            self.controller = self.start()
        self.controller.tick(now)

    def expect_reboot(self, seconds):
        self.controller.expect_reboot(seconds)

    def close(self):
        self.controller.close()


def test_a_restarted_controller_takes_back_what_it_had_ordered():
    crew = Participants(threads=False, limits=LAB_LIMITS, agent_limits=Limits(autonomy_default=Autonomy.APPROVE))

    class Crew:
        agent = staticmethod(crew.agent)
        controller = staticmethod(lambda ports: Restarted(ports, 40.0))

    record = sim.run(load("delay-200"), seed=3, factory=Crew())
    assert judge(record).drift == ()
    assert [s.value for s in record.steps if s.node == "n3"] == ["230", "0"]
    last = [e["data"]["detail"] for _, e in of(record, "action.undone")][-1]
    assert last == "no longer needed"
