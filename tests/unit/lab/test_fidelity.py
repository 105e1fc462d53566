"""Simulator against kernel: the verdict and the medians, by hand."""

from dataclasses import replace

import pytest
from lab_records import pair, run

from x0tta6bl4.lab.fidelity import as_text, compare
from x0tta6bl4.lab.score import judge


def off(backend, heals_after, *, seed=0, **fields):
    """A run without controller that is well again `heals_after` s into the fault (None: never)."""
    until = 70 if heals_after is None else 20 + heals_after + 0.2
    lost = [] if heals_after == 0 else [(20, until)]
    return judge(run([pair(lost=lost)], backend=backend, controller=False, seed=seed, **fields))


def several(backend, *times):
    return [off(backend, time, seed=seed) for seed, time in enumerate(times)]


@pytest.mark.parametrize(
    ("sim", "vm", "ok"),
    [
        ((5.0, 5.0), (4.5, 5.0, 5.5), True),
        ((3.1,), (5.0, 5.0, 5.0), True),  # 1.9 s apart: within 2 s
        ((2.5,), (5.0, 5.0, 5.0), True),  # 2.5 s apart: half of it is 2.5 s
        ((2.4,), (5.0, 5.0, 5.0), False),
        ((11.0,), (20.0, 20.0, 20.0), True),
        ((31.0,), (20.0, 20.0, 20.0), False),
        ((0,), (1.5, 0, 1.5), True),
        ((None,), (None, None, None), True),
        ((None,), (5.0, 5.0, 5.0), False),
        ((5.0,), (None, None, None), False),
        ((5.0, None), (5.0, 5.0, 5.0), False),
        ((5.0,), (5.0, None, 5.0), None),  # the kernel itself is not of one mind
        ((5.0,), (5.0, 5.0), None),
        ((), (5.0, 5.0, 5.0), None),
        ((5.0,), (), None),
    ],
)
def test_a_fault_compares_by_verdict_and_median(sim, vm, ok):
    (row,) = compare(several("sim", *sim), several("vm", *vm))
    assert row.ok is ok
    assert (row.sim_runs, row.vm_runs) == (len(sim), len(vm))


def test_runs_with_a_controller_and_invalid_ones_say_nothing():
    with_controller = replace(off("vm", None), controller=True)
    invalid = replace(off("vm", None), invalid="lag")
    (row,) = compare(several("sim", 5.0), [*several("vm", 5.0, 5.0, 5.0), with_controller, invalid])
    assert (row.vm, row.vm_runs, row.ok) == ("heals", 3, True)


def test_algorithms_are_compared_each_for_itself():
    five = [replace(one, algorithm="BATMAN_V") for one in several("vm", None, None, None)]
    rows = compare(several("sim", 5.0), several("vm", 5.0, 5.0, 5.0) + five)
    assert [(row.algorithm, row.ok) for row in rows] == [("BATMAN_IV", True), ("BATMAN_V", None)]


def test_the_table_prints_what_differs():
    text = as_text(compare(several("sim", 2.4), several("vm", 5.0, 5.0, 5.0)))
    head, row, summary = text.splitlines()
    assert head.split()[:4] == ["scenario", "algorithm", "tuning", "fault"]
    assert row.split() == [
        "blackhole",
        "BATMAN_IV",
        "default",
        "f1",
        "heals",
        "(1)",
        "heals",
        "(3)",
        "2.40",
        "5.00",
        "NO",
    ]
    assert summary == "0 the same, 1 different, 0 open"
    assert as_text([]).splitlines()[-1] == "0 the same, 0 different, 0 open"
