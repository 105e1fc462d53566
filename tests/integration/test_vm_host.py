"""The lab's `host` backend, in the guest: a machine whose kernel has batman-adv, and which is root's."""

from pathlib import Path

import pytest

from x0tta6bl4.lab import vm

HERE = Path(__file__).resolve().parent
pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]

RING = """name: nested
title: A dead link in a ring
topology: {nodes: 4, links: [n1-n2, n2-n3, n3-n4, n4-n1]}
seat: n1
background: {loss_ratio: [0, 0]}
pairs: [n2-n3]
timeline: [{fault: link-blackhole, link: n2-n3, at: 4, until: 24}]
"""


@pytest.fixture(scope="module")
def guest():
    if reason := vm.missing():
        pytest.skip(reason)
    with vm.start(extra_path=(HERE,)) as process:
        yield process


def test_a_mesh_of_this_machine_is_built_broken_healed_and_removed(guest):
    done = guest.call("call", wait_s=500, target="nested:run", args={"text": RING})
    (fault,) = done["faults"]
    assert fault["hurt_pairs"]
    assert (fault["detected"], fault["cause_top1"], fault["recovered"]) == (True, True, True), fault
    assert done["left"] == []


def test_a_machine_has_one_lab_at_a_time(guest):
    done = guest.call("call", wait_s=400, target="nested:twice", args={})
    assert "another lab runs on this machine" in done["refused"]
    assert done["answers"]
