"""`x0t lab up --backend vm`: a real mesh stays up until it is stopped, is broken on request, and heals."""

import subprocess
import time

import pytest

from x0tta6bl4.core import demo
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.core.state import State
from x0tta6bl4.errors import NotSupported
from x0tta6bl4.lab import vm

pytestmark = [pytest.mark.vm, pytest.mark.timeout(400)]
EARLY_END_S = 34.0  # a run with nothing to wait for ends before


@pytest.fixture
def lab():
    if reason := vm.missing():
        pytest.skip(str(NotSupported(reason)))
    source = demo.demo(Settings(), backend="vm", fault_every_s=None)
    state = State(log=False, source=source)
    source.start(state)
    yield source, state
    source.stop()
    assert not source._thread.is_alive()


def until(lab, seen, limit_s):
    """Wait until `seen(view, incidents)` of what a reader is shown."""
    source, state = lab
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        assert source.failure() == ""
        snapshot = state.readers.snapshot()
        if snapshot is not None and seen(snapshot.view, state.readers.incidents()):
            return snapshot.view
        time.sleep(0.1)
    shown = (
        None if snapshot is None else [(client.source, client.target, client.well) for client in snapshot.view.clients]
    )
    found = [
        (str(file.incident.cause), [(a.action.kind, a.state) for a in file.actions])
        for file in state.readers.incidents()
    ]
    raise AssertionError(f"not within {limit_s} s; {source.progress()}; clients {shown}; incidents {found}")


def all_well(view):
    return bool(view.clients) and all(client.well for client in view.clients)


def test_a_mesh_that_is_kept_up_heals_what_is_injected_and_goes_on(lab):
    source, _state = lab
    until(lab, lambda view, _: all_well(view), source.start_s)
    first = source.inject("link-blackhole", "n2-n3", 60.0, {})
    until(lab, lambda view, _: any(client.well is False for client in view.clients), 10.0)
    healed = until(
        lab,
        lambda view, files: all_well(view) and any(f.incident.cause.code == "link-down" and f.actions for f in files),
        30.0,
    )
    assert [fault.id for fault in healed.faults] == [first]  # it is healed while it lasts
    assert source.end(first)
    until(lab, lambda view, _: view.at > EARLY_END_S and not view.faults, 60.0)
    second = source.inject("mtu", "n6:v6-5", 3.0, {"mtu_bytes": 600})
    until(lab, lambda view, _: [fault.id for fault in view.faults] == [second], 5.0)
    until(lab, lambda view, _: not view.faults, 10.0)
    guest = source._process.pid
    source.stop()
    assert subprocess.run(["ps", "-p", str(guest)], capture_output=True, check=False).returncode == 1
