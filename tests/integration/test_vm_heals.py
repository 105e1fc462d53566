"""Faults that batman-adv alone never heals, healed on a real kernel; and a death around which a node of BATMAN_V must
go on forwarding, which it does not once an interface has left it (ADR 3). The full score is a command.

Shorter than the built-in scenarios: the fault begins after 5 s and lasts 20 s. The loss of a primary interface comes
later: a stand-in begins with another sequence number, which a mesh younger than 30 s does not believe
(BATADV_RESET_PROTECTION_MS).
"""

import statistics

import pytest

from x0tta6bl4.core.wiring import factory
from x0tta6bl4.errors import NotSupported
from x0tta6bl4.lab import real, vm
from x0tta6bl4.lab.scenarios import load
from x0tta6bl4.lab.score import judge

pytestmark = [pytest.mark.vm, pytest.mark.timeout(300)]
EARLY = {"at": 5, "until": 25}
LATE = {"at": 20, "until": 40}
FAULTS = {
    ("loss-40", "BATMAN_V"): ({"fault": "link-loss", "link": "n2-n3", "loss_ratio": 0.4}, 8.0),
    ("mtu-receiver", "BATMAN_IV"): ({"fault": "mtu", "interface": "n3:v3-2", "mtu_bytes": 600}, 5.0),
    ("interface-down-primary", "BATMAN_IV"): ({"fault": "interface-down", "interface": "n3:v3-2", **LATE}, 10.0),
    ("delay-200", "BATMAN_V"): ({"fault": "link-delay", "link": "n2-n3", "delay_ms": 200}, 8.0),
    ("node-death", "BATMAN_V"): ({"fault": "node-death", "node": "n4"}, 5.0),
}


@pytest.fixture(scope="module")
def guest():
    try:
        process = vm.start()
    except NotSupported as reason:
        pytest.skip(str(reason))
    with process:
        yield process


def measured(guest, scenario):
    """How the fault went in a run that counts."""
    for _ in range(2):  # a guest that was held up by its host measured nothing
        record = real.run(
            scenario,
            backend="vm",
            seed=1,
            factory=factory,
            factory_name="x0tta6bl4.core.wiring:factory",
            process=guest,
            tail_s=3.0,
        )
        if not record.invalid:
            (fault,) = judge(record).faults
            return fault
    pytest.skip(f"the machine is too busy to measure: {record.invalid}")


def healed_s(fault):
    """How long clients suffered from a fault that was recovered: not at all where it was healed before they noticed."""
    return fault.ttr_s if fault.hurt_pairs else 0.0


@pytest.mark.parametrize(("name", "algorithm"), FAULTS)
def test_a_fault_is_healed(guest, name, algorithm):
    """By the median of three runs, as the project promises; where the first is within the limit, one is enough."""
    fault, within_s = FAULTS[name, algorithm]
    scenario = load(name).variant(algorithm=algorithm, timeline=[{**EARLY, **fault}])
    runs = [measured(guest, scenario)]
    if runs[0].recovered is False or healed_s(runs[0]) > within_s:
        runs += [measured(guest, scenario) for _ in range(2)]
    assert all(run.detected and run.cause_top1 and run.recovered is not False for run in runs), runs
    assert all(run.bad_s <= within_s for run in runs), runs
    assert statistics.median(map(healed_s, runs)) <= within_s, runs
