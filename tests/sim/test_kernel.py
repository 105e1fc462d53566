"""The semantic fake of the kernel obeys the port: what is refused, what is idempotent, what each setter changes."""

from __future__ import annotations

import math

import pytest
from driving import Lab, scenario

from x0tta6bl4.errors import NotSupported, Permanent


@pytest.fixture
def lab():
    return Lab(scenario("blackhole", timeline=[]), 1)


def by_name(kernel):
    return {interface.name: interface for interface in kernel.interfaces()}


def test_a_warm_mesh_has_full_tables(lab):
    kernel = lab.kernels["n1"]
    assert kernel.mesh().originator == by_name(kernel)["dum0"].mac
    assert {neighbour.interface for neighbour in kernel.neighbours()} == {"v1-2", "v1-4", "v1-6"}
    assert min(neighbour.tq for neighbour in kernel.neighbours()) > 240
    best = [row for row in kernel.originators() if row.best]
    assert len(best) == 5 + 3  # every other node, and the neighbours' own interfaces
    assert all(0 <= row.tq <= 255 and row.throughput_kbit is None for row in best)


def test_v_speaks_of_throughput():
    kernel = Lab(scenario("blackhole", algorithm="BATMAN_V"), 1).kernels["n1"]
    best = {row.mac: row for row in kernel.originators() if row.best}
    assert len(best) == 5
    assert {row.throughput_kbit for row in best.values()} == {10_000_000, 8_823_500, 7_785_400} - (
        {7_785_400} if all(row.throughput_kbit != 7_785_400 for row in best.values()) else set()
    )
    assert all(row.tq is None for row in kernel.neighbours())


def test_primary_first_is_the_first_interface():
    lab = Lab(scenario("interface-down-primary"), 1)
    assert [interface.name for interface in lab.kernels["n3"].interfaces() if interface.primary] == ["v3-2"]
    lab.kernels["n3"].detach("v3-2")
    assert [interface.name for interface in lab.kernels["n3"].interfaces() if interface.primary] == ["v3-4"]
    lab.kernels["n3"].attach("v3-2")
    assert [interface.name for interface in lab.kernels["n3"].interfaces() if interface.primary] == ["v3-4"]


def test_setters_are_idempotent_and_recorded(lab):
    kernel = lab.kernels["n2"]
    for _ in range(2):
        kernel.detach("v2-3")
    assert not by_name(kernel)["v2-3"].attached
    assert by_name(kernel)["v2-3"].up
    for _ in range(2):
        kernel.attach("v2-3")
    assert by_name(kernel)["v2-3"].active
    kernel.block("v2-3", "02:01:00:03:00:01", True)
    assert by_name(kernel)["v2-3"].blocked == {"02:01:00:03:00:01"}
    kernel.block("v2-3", "02:01:00:03:00:01", False)
    kernel.block("v2-3", "02:01:00:03:00:01", False)
    assert not by_name(kernel)["v2-3"].blocked
    kernel.restart_service("babeld")
    assert [step.what for step in lab.steps] == [
        *("detach", "detach", "attach", "attach"), *("block", "unblock", "unblock"), "restart",
    ]  # fmt: skip
    assert lab.steps[0].component == "interface/n2:v2-3"


def test_no_route_survives_a_detach(lab):
    kernel = lab.kernels["n2"]
    assert any(row.interface == "v2-3" for row in kernel.originators())
    kernel.detach("v2-3")
    assert not any(row.interface == "v2-3" for row in kernel.originators())
    assert not any(row.interface == "v2-3" for row in kernel.neighbours())


def test_announcements_arrive_a_little_later(lab):
    kernel = lab.kernels["n2"]
    kernel.set_mtu("v2-3", 1500)
    assert not kernel.changed()
    lab.sim.run_until(0.1)
    assert kernel.changed()
    assert not kernel.changed()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda k: k.detach("v9-9"), Permanent),
        (lambda k: k.set_mtu("v2-3", 10), Permanent),
        (lambda k: k.set_hardif("v2-3", "hop_penalty", 256), Permanent),
        (lambda k: k.set_hardif("v2-3", "elp_interval", 1), NotSupported),
        (lambda k: k.set_mesh("fragmentation", 1), NotSupported),
        (lambda k: k.set_mesh("gw_mode", "both"), Permanent),
        (lambda k: k.set_mesh("orig_interval_ms", 1), Permanent),
    ],
)
def test_refusals(lab, call, error):
    before = lab.sim.settings()
    with pytest.raises(error):
        call(lab.kernels["n2"])
    assert lab.sim.settings() == before


def test_a_detached_interface_has_no_hop_penalty_to_set(lab):
    lab.kernels["n2"].detach("v2-3")
    with pytest.raises(Permanent):
        lab.kernels["n2"].set_hardif("v2-3", "hop_penalty", 10)
    assert by_name(lab.kernels["n2"])["v2-3"].hop_penalty is None


def test_the_lab_holds_a_broken_interface_down():
    lab = Lab(scenario("interface-down-other"), 1)
    lab.sim.run_until(21.0)
    assert not by_name(lab.kernels["n2"])["v2-3"].up
    lab.kernels["n2"].set_up("v2-3", True)
    assert not by_name(lab.kernels["n2"])["v2-3"].up
    lab.sim.run_until(61.0)
    assert by_name(lab.kernels["n2"])["v2-3"].active


def test_a_rebooted_node_has_its_declared_configuration_and_another_boot_id():
    lab = Lab(scenario("node-reboot"), 1)
    kernel, declared = lab.kernels["n4"], lab.sim.settings()["n4"]
    before = kernel.boot_id()
    kernel.set_hardif("v4-5", "hop_penalty", 99)
    kernel.detach("v4-3")
    lab.sim.run_until(25.0)
    with pytest.raises(Permanent):
        kernel.interfaces()
    lab.sim.run_until(60.0)
    assert kernel.boot_id() != before
    assert lab.sim.settings()["n4"] == declared
    assert any(row.best for row in kernel.originators())


def test_blocking_a_neighbour_at_both_ends_takes_the_link_out_but_spares_the_others():
    radio = {
        "nodes": 3,
        "links": ["n1-n2", "n2-n3"],
        "radio": [{"name": "air", "members": ["n1", "n2", "n3"], "loss_ratio": 0.01}],
    }
    lab = Lab(scenario("blackhole", topology=radio, timeline=[], pairs=["n1-n3", "n1-n2"]), 1)
    assert lab.sim.next_hop("n1", "n3") == "n3"
    macs = {name: by_name(kernel)["radio0"].mac for name, kernel in lab.kernels.items()}
    lab.kernels["n1"].block("radio0", macs["n3"], True)
    lab.kernels["n3"].block("radio0", macs["n1"], True)
    lab.sim.run_until(20.0)
    assert lab.sim.next_hop("n1", "n3") == "n2"
    lost = [rtt for rtt in lab.sim.record().pairs[1].rtt_ms if math.isnan(rtt)]
    assert len(lost) <= 8  # of 400: only noise
