"""Shared by the simulator's tests: a run with scripted actions, and when a client pair became well again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from x0tta6bl4.lab.record import PairRecord
from x0tta6bl4.lab.scenarios import Scenario, load
from x0tta6bl4.lab.sim import Simulation
from x0tta6bl4.lab.sim.kernel import SimKernel

NEVER = float("inf")
FAULT_S, END_S = 20.0, 60.0

Script = list[tuple[float, Callable[["Lab"], None]]]


class Lab:
    """A simulation and the kernels of its nodes, for tests that act by hand."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.sim = Simulation(scenario, seed)
        self.steps = []
        self.kernels = {
            node.name: SimKernel(self.sim.routing, node, self.steps.append) for node in self.sim.world.nodes
        }

    def play(self, script: Script, until: float = END_S) -> list[PairRecord]:
        for at, act in script:
            self.sim.run_until(at)
            act(self)
        self.sim.run_until(until)
        return self.sim.record().pairs


def scenario(name: str, **changes: object) -> Scenario:
    return load(name).variant(**changes)


def healed_s(pair: PairRecord, since: float = FAULT_S, until: float = END_S) -> float:
    """Seconds from `since` to the first 2 s window (40 probes) with >= 90 % answered under 150 ms; NEVER if none."""
    sent = np.array(pair.sent)
    inside = (sent >= since) & (sent < until)
    good = np.array(pair.rtt_ms)[inside] < 150  # NaN is not
    sums = np.convolve(good, np.ones(40, dtype=int), "valid")
    well = np.flatnonzero(sums >= 36)
    return float(sent[inside][well[0]] - since) if len(well) else NEVER


def stays_s(pair: PairRecord, since: float = FAULT_S, until: float = END_S) -> float:
    """Seconds from `since` to the start of the windows that are well until `until`; NEVER if the last one is not."""
    sent = np.array(pair.sent)
    inside = (sent >= since) & (sent < until)
    good = np.array(pair.rtt_ms)[inside] < 150
    bad = np.flatnonzero(np.convolve(good, np.ones(40, dtype=int), "valid") < 36)
    if not len(bad):
        return 0.0
    last = bad[-1] + 1
    return float(sent[inside][last] - since) if last < inside.sum() - 39 else NEVER
