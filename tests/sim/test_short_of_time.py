"""Processes that get a fraction of the time they need name what is broken, and blame nobody for their lateness."""

import random

import pytest

from x0tta6bl4.core.wiring import sim_factory
from x0tta6bl4.lab import sim
from x0tta6bl4.lab.judge import judge
from x0tta6bl4.lab.scenarios import load


class Late:
    """A participant that does its work now and then: `most_s` is the longest time between two rounds."""

    def __init__(self, of, name, most_s):
        self.of, self.period_s = of, of.period_s
        self._chance, self._most_s, self._next = random.Random(name), most_s, 0.0

    def tick(self, now):
        if now >= self._next:
            self._next = now + self._chance.uniform(0.05, self._most_s)
            self.of.tick(now)

    def __getattr__(self, name):
        return getattr(self.of, name)


class LateFactory:
    """All agents, and the controller, are late."""

    def __init__(self, seed, most_s):
        self.seed, self.most_s = seed, most_s

    def agent(self, ports):
        return Late(sim_factory.agent(ports), f"{ports.name} {self.seed}", self.most_s)

    def controller(self, ports):
        return Late(sim_factory.controller(ports), f"controller {self.seed}", self.most_s)


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [("blackhole", "BATMAN_IV"), ("loss-40", "BATMAN_IV"), ("loss-one-way", "BATMAN_V"), ("node-death", "BATMAN_V")],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_late_processes_name_what_is_broken_and_heal_it(name, algorithm, seed):
    record = sim.run(load(name).variant(algorithm=algorithm), seed=seed, factory=LateFactory(seed, most_s=0.6))
    judged = judge(record)
    (fault,) = judged.faults
    assert fault.cause_top1, fault.verdict
    assert fault.recovered
    assert judged.false_incidents == ()
