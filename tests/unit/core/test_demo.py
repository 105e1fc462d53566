"""The demo: the product's own loop over a simulated mesh, as its readers see it."""

import sys
import threading
import time

import pytest

from x0tta6bl4.core import demo, demo_faults, machine
from x0tta6bl4.core.demo_real import RealSource
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.core.state import State
from x0tta6bl4.core.view import LabSource
from x0tta6bl4.errors import ConfigError, Temporary
from x0tta6bl4.lab import real, scenarios
from x0tta6bl4.lab.record import PairRecord
from x0tta6bl4.lab.sim.runner import Simulation


def played(source, until, limit_s=40.0):
    """Run `source` until `until(state)`; fails where it takes longer than `limit_s` or the source ends."""
    state = State(log=False, source=source)
    source.start(state)
    end = time.monotonic() + limit_s
    try:
        while not until(state):
            assert source.failure() == ""
            assert time.monotonic() < end, "it took too long"
            time.sleep(0.02)
    finally:
        source.stop()
    return state


def settled(state):
    """A fault was shown, its clients were hurt, an incident was opened, acted on, and the clients are well again."""
    snapshot = state.readers.snapshot()
    files = state.readers.incidents()
    healed = any(a.state.value == "confirmed" for file in files for a in file.actions)
    return snapshot is not None and healed and all(client.well for client in snapshot.view.clients)


def test_a_fault_is_named_and_healed_in_front_of_a_reader():
    source = demo.demo(Settings(), speed=30.0, fault_every_s=20.0)
    assert isinstance(source, LabSource)
    state = played(source, settled)
    (first, *_) = reversed(state.readers.incidents())
    assert first.incident.cause.code == "link-down"
    snapshot = state.readers.snapshot()
    assert [node.name for node in snapshot.view.nodes] == ["n1", "n2", "n3", "n4", "n5", "n6"]
    assert {node.state for node in snapshot.view.nodes} == {"well"}
    assert len(snapshot.view.links) == 14
    assert snapshot.view.nodes[0].interfaces[0].mtu == 1560
    assert any(event.event.type == "action.confirmed" for event in state.readers.events(0)[0])


def test_a_person_injects_a_fault_and_sees_it():
    source = demo.demo(Settings(), speed=20.0, fault_every_s=None)

    def shown(state):
        snapshot = state.readers.snapshot()
        if snapshot is not None and not source.asked:
            source.asked = source.inject("link-blackhole", "n2-n3", 30.0, {})
        return snapshot is not None and snapshot.view.faults and settled(state)

    source.asked = ""
    state = played(source, shown)
    assert source.asked == "injected-1"
    fault = state.readers.snapshot().view.faults[0]
    assert (fault.id, fault.kind, fault.component) == ("injected-1", "link-blackhole", "adjacency/n2:v2-3<>n3:v3-2")


@pytest.mark.parametrize(
    ("kind", "target", "parameters"),
    [
        ("flood", "n1", {}),
        ("link-loss", "n2-n9", {"loss_ratio": 0.4}),
        ("link-loss", "n2-n3", {}),
        ("link-loss", "n2-n3", {"loss_ratio": 4}),
        ("mtu", "n2:v2-9", {"mtu_bytes": 600}),
        ("node-death", "n1", {"odd": 1}),
    ],
)
def test_wrong_faults_are_refused(kind, target, parameters):
    with pytest.raises(ConfigError):
        demo.demo(Settings()).inject(kind, target, 10.0, parameters)


@pytest.mark.parametrize(
    ("kind", "target", "parameters"),
    [
        ("mtu", "n2:v2-3", {"mtu_bytes": 600.0}),
        ("node-reboot", "n4", {}),
        ("partition", "n4-n5,n6-n1", {}),
        ("link-flap", "n2-n3", {"period_s": 4.0, "duty": 0.5}),
    ],
)
def test_every_sort_of_target_can_be_injected(kind, target, parameters):
    mesh = scenarios.load("loss-40")
    fault = demo_faults.fault_of(mesh, demo_faults.asked(kind, target, 10.0, parameters))
    assert (fault.kind, fault.at, fault.until) == (kind, 0, 10)


def test_the_timeline_is_the_same_for_the_same_seed_and_valid():
    mesh = scenarios.load("loss-40")
    first = list(demo_faults.timeline(mesh, 1, 20.0, 12.0, 12))
    assert first == list(demo_faults.timeline(mesh, 1, 20.0, 12.0, 12))
    assert first != list(demo_faults.timeline(mesh, 2, 20.0, 12.0, 12))
    made = scenarios.from_document({**mesh.document, "timeline": first}, "demo")
    assert [fault.until - fault.at for fault in made.timeline] == [12.0] * 12


def test_client_views_use_the_words_of_the_score():
    def view(rtts):
        return demo_faults.client_view(PairRecord("n1", "n2", [0.0] * len(rtts), rtts, []))

    lost = float("nan")
    assert view([1.0] * 20).well is None
    assert view([1.0] * 43).well is True
    assert view([1.0] * 36 + [lost] * 4 + [lost] * 3).well is True
    assert view([1.0] * 35 + [lost] * 5 + [lost] * 3).well is False
    slow = view([160.0] * 43)
    assert (slow.well, slow.loss_ratio, slow.rtt_ms) == (False, 0.0, 160.0)
    assert view([lost] * 43).rtt_ms is None


def test_a_simulation_that_breaks_says_so():
    source = demo.SimSource(scenarios.load("loss-40"), seed=1, speed=30.0, fault_every_s=None)

    class Broken(State):
        def publish(self, iteration, view):
            raise ValueError("no room")

    source.start(Broken())
    end = time.monotonic() + 20
    while not source.failure() and time.monotonic() < end:
        time.sleep(0.02)
    source.stop()
    assert source.failure() == "the simulation ended: ValueError: no room"


class Guest:
    """Stands for `lab.real` and its process: the mesh that is kept up is a simulated one, in a hurry."""

    def __init__(self, monkeypatch, *, boots=True, breaks=""):
        self.told, self.boots, self.breaks = [], boots, breaks
        self.closed = threading.Event()
        for name in ("start", "keep", "inject", "mend"):
            monkeypatch.setattr(real, name, getattr(self, name))

    def close(self):
        self.closed.set()

    def start(self, backend, progress):
        progress("the guest boots")
        while not self.boots:
            progress("the guest boots (start 2 of 4)")
            time.sleep(0.01)
        return self

    def keep(self, scenario, *, seed, factory, factory_name, process, seen):
        assert scenario.timeline == ()
        seen([PairRecord(*pair, [], [1.0] * 60, []) for pair in scenario.pairs])
        simulation = Simulation(scenario, seed, factory, checks=False)
        while not self.closed.is_set() and not self.breaks:
            simulation.run_until(simulation.world.now + 0.5)
            time.sleep(0.02)
        simulation.crew.close()
        if self.closed.is_set():
            raise Temporary("lab process: the other end closed it")
        return self.breaks

    def inject(self, process, ident, entry):
        self.told.append((ident, entry["fault"], entry.get("link")))

    def mend(self, process, ident):
        self.told.append((ident, "mended"))


def test_a_real_mesh_is_kept_up_and_broken_on_request(monkeypatch):
    guest = Guest(monkeypatch)
    source = demo.demo(Settings(), backend="vm", fault_every_s=None)
    assert isinstance(source, RealSource)
    assert isinstance(source, LabSource)

    def done(state):
        snapshot = state.readers.snapshot()
        if snapshot is not None and not source.asked:
            source.asked = source.inject("link-blackhole", "n2-n3", 30.0, {})
        if snapshot is not None and snapshot.view.faults:
            assert [fault.component for fault in snapshot.view.faults] == ["adjacency/n2:v2-3<>n3:v3-2"]
            source.ended = source.end(source.asked) or source.ended
        return source.ended and not snapshot.view.faults

    source.asked, source.ended = "", False
    state = played(source, done)
    assert guest.told == [("injected-1", "link-blackhole", "n2-n3"), ("injected-1", "mended")]
    assert [client.well for client in state.readers.snapshot().view.clients] == [True] * 4
    assert guest.closed.is_set()
    assert source.failure() == ""
    with pytest.raises(ConfigError):
        source.inject("flood", "n1", 10.0, {})


def test_a_real_demo_goes_on_breaking_things(monkeypatch):
    guest = Guest(monkeypatch)
    source = demo.demo(Settings(), backend="vm", fault_every_s=0.4)
    played(source, lambda state: len(guest.told) >= 4)
    assert [what[1] for what in guest.told[:4]] == ["link-blackhole", "link-loss", "mtu", "link-delay"]


def test_a_real_mesh_that_breaks_says_why(monkeypatch):
    Guest(monkeypatch, breaks="timeline: no netem")
    source = demo.demo(Settings(), backend="vm", fault_every_s=None)
    source.start(State(log=False))
    end = time.monotonic() + 10
    while not source.failure() and time.monotonic() < end:
        time.sleep(0.01)
    source.stop()
    assert source.failure() == "timeline: no netem"


def test_a_guest_that_boots_is_given_up(monkeypatch):
    Guest(monkeypatch, boots=False)
    source = demo.demo(Settings(), backend="vm")
    source.start(State(log=False))
    end = time.monotonic() + 10
    while "start 2" not in source.progress() and time.monotonic() < end:
        time.sleep(0.01)
    source.stop()
    assert source.progress() == "the guest boots (start 2 of 4)"
    assert not source._thread.is_alive()
    assert source.failure() == ""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
def test_a_machine_without_a_mesh_has_no_source():
    assert machine.this_machine(Settings(mesh={"interface": "x0t-none"})) is None
    assert machine.present("x0t-none") is False
    assert machine.present("lo") is False  # there, and no mesh; one that is: tests/integration/test_vm_run.py


def test_a_machine_with_a_mesh_must_be_declared():
    with pytest.raises(ConfigError, match=r"mesh\.node"):
        machine.this_machine(Settings(), lambda interface: interface == "bat0")


NODES = [{"name": "n1", "ip": "10.9.0.1"}, {"name": "n2", "ip": "10.9.0.2"}]


def test_the_inventory_says_who_this_machine_is():
    found = machine.inventory(Settings(mesh={"node": "n2", "seat": "n1", "inventory": NODES}))
    assert found[:2] == ("n2", "n1")
    assert found[3] == {"n1": "10.9.0.1", "n2": "10.9.0.2"}


@pytest.mark.parametrize(
    ("mesh", "field"),
    [
        ({"node": "n9", "inventory": NODES}, "mesh.node"),
        ({"node": "n1", "seat": "n9", "inventory": NODES}, "mesh.seat"),
        ({"node": "n1", "inventory": [{"name": "n1"}]}, "mesh.inventory.n1.ip"),
    ],
)
def test_an_inventory_that_does_not_fit_is_refused(mesh, field):
    with pytest.raises(ConfigError) as caught:
        machine.inventory(Settings(mesh=mesh))
    assert caught.value.field == field


def test_a_loop_that_cannot_start_says_why(tmp_path):
    source = machine.MachineSource(
        Settings(mesh={"node": "n1", "interface": "x0t-none0", "inventory": NODES}, store={"directory": str(tmp_path)})
    )
    source.start(State(log=False))
    end = time.monotonic() + 10
    while not source.failure() and time.monotonic() < end:
        time.sleep(0.02)
    source.stop()
    assert source.failure()
    assert "\n" not in source.failure()
