"""A real batman-adv in the lab's guest: tables, settings, faults, and a whole run with the smallest participants."""

import time
from pathlib import Path

import pytest
import toy

from x0tta6bl4.errors import Permanent
from x0tta6bl4.lab import real, scenarios, vm
from x0tta6bl4.lab.netlab import Blueprint

HERE = Path(__file__).resolve().parent
pytestmark = [pytest.mark.vm, pytest.mark.timeout(300)]

RING = "topology: {nodes: 4, links: [n1-n2, n2-n3, n3-n4, n4-n1]}\nseat: n1\nbackground: {loss_ratio: [0, 0]}\n"


def scenario(timeline, algorithm="BATMAN_IV", pairs="[n2-n3, n1-n3]", tuning="default"):
    text = f"name: test\ntitle: Test\n{RING}algorithm: {algorithm}\ntuning: {tuning}\npairs: {pairs}\n"
    return scenarios.parse(f"{text}timeline: [{', '.join(timeline)}]\n")


@pytest.fixture(scope="module")
def guest():
    """One guest for all tests of this file."""
    reason = vm.missing()
    if reason:
        pytest.skip(reason)
    with vm.start(extra_path=(HERE,)) as process:
        yield process


def build(guest, algorithm, interval_ms=200):
    made = scenario([], algorithm)
    guest.call("build", blueprint=Blueprint(made.topology, algorithm, interval_ms).document())
    time.sleep(4)


def kernel(guest, node, method, *args):
    return guest.call("kernel", node=node, method=method, args=list(args))


@pytest.mark.parametrize("algorithm", ["BATMAN_IV", "BATMAN_V"])
def test_a_ring_is_read_and_changed_through_our_client(guest, algorithm):
    build(guest, algorithm)
    mesh = kernel(guest, "n1", "mesh")
    assert (mesh["algorithm"], mesh["orig_interval_ms"], mesh["bridge_loop_avoidance"]) == (algorithm, 200, False)
    assert {one["interface"] for one in kernel(guest, "n1", "neighbours")} == {"v1-2", "v1-4"}
    best = [one["mac"] for one in kernel(guest, "n1", "originators") if one["best"]]
    assert {"02:01:00:02:00:00", "02:01:00:03:00:00", "02:01:00:04:00:00"} <= set(best)
    kernel(guest, "n1", "set_hardif", "v1-2", "hop_penalty", 77)
    kernel(guest, "n1", "set_mesh", "gw_mode", "server")
    found = {one["name"]: one for one in kernel(guest, "n1", "interfaces")}
    assert found["v1-2"]["hop_penalty"] == 77
    assert found["dum0"]["primary"]
    assert found["dum0"]["dummy"]
    assert kernel(guest, "n1", "mesh")["gw_mode"] == "server"
    assert kernel(guest, "n1", "boot_id") != kernel(guest, "n2", "boot_id")


def test_an_interface_is_detached_and_attached_again(guest):
    build(guest, "BATMAN_IV")
    for _ in range(2):  # twice is once
        kernel(guest, "n1", "detach", "v1-2")
    found = {one["name"]: one for one in kernel(guest, "n1", "interfaces")}["v1-2"]
    assert (found["attached"], found["active"], found["up"], found["hop_penalty"]) == (False, False, True, None)
    assert {one["interface"] for one in kernel(guest, "n1", "neighbours")} == {"v1-4"}
    for _ in range(2):
        kernel(guest, "n1", "attach", "v1-2")
    found = {one["name"]: one for one in kernel(guest, "n1", "interfaces")}["v1-2"]
    assert (found["attached"], found["active"]) == (True, True)


def test_a_blocked_neighbour_is_seen_no_more_until_unblocked(guest):
    build(guest, "BATMAN_IV")
    kernel(guest, "n1", "block", "v1-2", "02:01:00:02:00:01", True)
    time.sleep(1.5)
    seen = {one["interface"]: one["last_seen_ms"] for one in kernel(guest, "n1", "neighbours")}
    assert seen.get("v1-2", 9999) > 1000
    assert seen["v1-4"] < 1000
    found = {one["name"]: one["blocked"] for one in kernel(guest, "n1", "interfaces")}
    assert found["v1-2"] == ["02:01:00:02:00:01"]
    kernel(guest, "n1", "block", "v1-2", "02:01:00:02:00:01", False)
    time.sleep(1.5)
    seen = {one["interface"]: one["last_seen_ms"] for one in kernel(guest, "n1", "neighbours")}
    assert seen["v1-2"] < 1000


def test_what_is_not_declared_or_does_not_exist_is_refused(guest):
    build(guest, "BATMAN_IV")
    with pytest.raises(Permanent, match="eth0"):
        kernel(guest, "n1", "detach", "eth0")
    with pytest.raises(Permanent, match=r"0\.\.255"):
        kernel(guest, "n1", "set_hardif", "v1-2", "hop_penalty", 999)


def share(pair, start, end):
    """Of the probes sent in [start, end), the share answered under 150 ms."""
    good = [rtt < 150 for at, rtt in zip(pair.sent, pair.rtt_ms, strict=True) if start <= at < end]
    return sum(good) / len(good)


def test_a_blackhole_hurts_and_heals_and_the_guest_tells_its_time(guest):
    made = scenario(["{fault: link-blackhole, link: n2-n3, at: 4, until: 14}"])
    record = real.run(made, process=guest)
    pair = next(one for one in record.pairs if (one.source, one.target) == ("n2", "n3"))
    assert share(pair, 0, 3.9) > 0.95
    assert share(pair, 4.5, 6) < 0.05  # no protocol is so fast at an interval of 1 s
    assert share(pair, 18, 25) > 0.95
    assert record.settings_start == record.settings_end
    assert not record.events
    assert not record.steps
    assert [round(at) for at, _nodes in record.touched] == [4, 14]
    assert record.notes["timer_lag_ms"] > 0


def test_participants_hear_each_other_act_and_are_recorded(guest):
    made = scenario(["{fault: node-reboot, node: n3, at: 4, down_s: 6}"], pairs="[n1-n2]", tuning="tuned")
    record = real.run(made, process=guest, factory=toy.Factory(), factory_name="toy:Factory", tail_s=13)
    first = {event["component"] for _at, event in record.events if event["type"] == "toy.first"}
    assert first == {"node/n1", "node/n2", "node/n3", "node/n4"}
    silent = [at for at, event in record.events if event["type"] == "toy.silent" and event["component"] == "node/n3"]
    back = [at for at, event in record.events if event["type"] == "toy.back" and event["component"] == "node/n3"]
    assert 4.9 < silent[0] < 8
    assert 10 < back[-1] < 20
    assert {(step.what, step.value) for step in record.steps} == {("hop_penalty", "9")}
    assert {step.node for step in record.steps} == {"n1", "n2", "n3", "n4"}
    assert record.settings_end["n1"] != record.settings_start["n1"]  # what the toy did, nobody took back


def test_a_lost_primary_interface_stays_down_whatever_the_node_does(guest):
    made = scenario(["{fault: interface-down, interface: 'n1:v1-2', at: 2, until: 6}"], pairs="[n1-n2]")
    number = guest.start(
        "run", request={"document": made.document, "seed": 1, "factory": "toy_up:Factory", "tail_s": 3}
    )
    ended, result = guest.finish(number, 200)
    assert ended
    tried = [step for step in result["steps"] if step["what"] == "set_up"]
    assert len(tried) > 3
    assert result["settings_end"]["n1"]["v1-2.up"] == "True"
    assert result["settings_start"] == result["settings_end"]
