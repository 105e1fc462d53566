"""Runs of the score, by name: worker processes import them as "x0tta6bl4.core.runners:NAME".

They hand the lab the product's own agents and controller; the lab itself never imports `core`. The lab's backends are
imported when used: `vm` and `host` need Linux, `sim` needs nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

from x0tta6bl4.lab.record import RunRecord
from x0tta6bl4.lab.scenarios import Scenario

FACTORY = "x0tta6bl4.core.wiring:factory"
"""Builds the participants for real time; the guest imports it by this name."""
SIM_FACTORY = "x0tta6bl4.core.wiring:sim_factory"
"""The same for virtual time."""


def factory(name: str = FACTORY) -> Any:
    """The product's participants (`lab.participants.Factory`): `FACTORY` for real time, `SIM_FACTORY` for virtual."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def sim(scenario: Scenario, seed: int, controller: bool, freeze_at: float | None) -> RunRecord:
    """One run in the simulator, in virtual time."""
    lab = importlib.import_module("x0tta6bl4.lab.sim")
    made = factory(SIM_FACTORY) if controller else None
    record: RunRecord = lab.run(scenario, seed=seed, factory=made, tuning=scenario.tuning, freeze_at=freeze_at)
    return record


def sim_healthy(hours: float, seed: int) -> RunRecord:
    """Hours without a fault in the simulator, the controller on."""
    lab = importlib.import_module("x0tta6bl4.lab.sim")
    record: RunRecord = lab.healthy(hours, seed, factory=factory(SIM_FACTORY))
    return record


def vm(scenario: Scenario, seed: int, controller: bool, freeze_at: float | None) -> RunRecord:
    """One run on a real batman-adv in a guest, in real time."""
    return _real("vm", scenario, seed, controller=controller)


def host(scenario: Scenario, seed: int, controller: bool, freeze_at: float | None) -> RunRecord:
    """One run on this machine's kernel in namespaces, in real time."""
    return _real("host", scenario, seed, controller=controller)


def _real(backend: str, scenario: Scenario, seed: int, *, controller: bool) -> RunRecord:
    lab = importlib.import_module("x0tta6bl4.lab.real")
    record: RunRecord = lab.run(
        scenario,
        backend=backend,
        seed=seed,
        factory_name=FACTORY if controller else None,
        factory=factory() if controller else None,
    )
    return record
