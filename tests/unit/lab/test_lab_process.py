"""The connection to a lab process, the process's own server, and what the backends say where something is missing."""

import math
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

import pytest

from x0tta6bl4.errors import ConfigError, NotSupported, Permanent, ProtocolError, Temporary
from x0tta6bl4.lab import guest, host, real, scenarios, vm
from x0tta6bl4.lab.clients import PAYLOAD_BYTES, ClientPair, checksum
from x0tta6bl4.lab.lines import Lines
from x0tta6bl4.lab.relay import Mailbox, Outband, payload_of
from x0tta6bl4.lab.remote import connect, free_port, write_token

TOKEN = b"secret"


def double(session, value):
    """Called through the connection."""
    return {"twice": value * 2, "set": {3, 1, 2}}


def slow(session):
    time.sleep(0.5)


def crash(session):
    raise ValueError("boom")


@pytest.fixture
def ends():
    a, b = socket.socketpair()
    found = Lines(a), Lines(b)
    yield found
    for one in found:
        one.close()


@pytest.fixture
def process():
    """A LabProcess whose server runs in a thread here."""
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]

    def serve():
        connection, _ = server.accept()
        lines = Lines(connection)
        session = guest.Session(lines)
        try:
            guest.admit(lines, TOKEN)
            while True:
                for document in lines.receive(5.0):
                    session.answer(document)
        except (Temporary, ProtocolError):
            lines.close()

    thread = threading.Thread(target=serve)
    thread.start()
    sleeper = subprocess.Popen(["sleep", "100"])
    found = connect(port, TOKEN.decode(), sleeper, tempfile.TemporaryDirectory(), deadline=time.monotonic() + 5)
    yield found
    found.close()
    thread.join(5)
    server.close()


def test_documents_pass_whole_and_in_order(ends):
    a, b = ends
    sent = [{"n": number, "text": "x" * 100} for number in range(50)]
    for one in sent:
        a.send(one)
    got = []
    while len(got) < len(sent):
        got += b.receive(1.0)
    assert got == sent
    assert b.receive(0.0) == []


def test_nonsense_and_a_closed_end_are_told(ends):
    a, b = ends
    a._socket.sendall(b"not json\n")
    with pytest.raises(ProtocolError, match="not JSON"):
        b.receive(1.0)
    a._socket.sendall(b"[1]\n")
    with pytest.raises(ProtocolError, match="not an object"):
        b.receive(1.0)
    a.close()
    with pytest.raises(Temporary, match="closed"):
        b.receive(1.0)


def test_a_wrong_token_is_refused(ends):
    a, b = ends
    a.send({"token": "guess"})
    with pytest.raises(ProtocolError, match="wrong token"):
        guest.admit(b, TOKEN)


def test_calls_come_back_as_json_can_carry_them(process):
    here = f"{__name__}:double"
    assert process.call("call", target=here, args={"value": 21}) == {"twice": 42, "set": [1, 2, 3]}


def test_errors_come_back_by_their_kind(process):
    with pytest.raises(Permanent, match="build first"):
        process.call("kernel", node="n1", method="mesh", args=[])
    with pytest.raises(Permanent, match="allowed: clock, build"):
        process.call("dance")
    with pytest.raises(Permanent, match="boom"):
        process.call("call", target=f"{__name__}:crash", args={})
    with pytest.raises(Permanent, match="MODULE:ATTRIBUTE"):
        process.call("call", target="nothing", args={})
    with pytest.raises(Permanent, match="restart_service"):
        process.call("kernel", node="n1", method="restart_service", args=["x"])
    assert process.call("clock") > 0  # and it goes on


def test_the_clock_of_the_same_machine_has_no_offset(process):
    trip = process.measure_clock()
    assert 0 < trip < 1
    assert abs(process.offset) <= trip


def test_an_answer_that_does_not_come_is_temporary(process):
    with pytest.raises(Temporary, match="no answer to call"):
        process.call("call", wait_s=0.05, target=f"{__name__}:slow", args={})


def test_nobody_there_is_none():
    sleeper = subprocess.Popen(["true"])
    sleeper.wait()
    work = tempfile.TemporaryDirectory()
    assert connect(free_port(), "x", sleeper, work, deadline=time.monotonic() + 1) is None
    work.cleanup()


def test_the_token_is_for_its_owner_only(tmp_path):
    path, token = write_token(tmp_path)
    assert path.read_text() == token
    assert len(token) == 32
    assert path.stat().st_mode & 0o777 == 0o600


def test_mailboxes_carry_both_ways():
    up = []
    outband = Outband(lambda node, payload: up.append((node, payload)))
    first, second = outband.box("n1"), outband.box("n2")
    first.send("controller", b"report")
    first.send("n2", b"hi")
    outband.deliver("n1", "controller", b"order")
    outband.deliver("n9", "controller", b"lost")
    assert up == [("n1", b"report")]
    assert [(who, what) for who, _at, what in second.receive()] == [("n1", b"hi")]
    assert [(who, what) for who, _at, what in first.receive()] == [("controller", b"order")]
    assert list(first.receive()) == []
    assert isinstance(first, Mailbox)


@pytest.mark.parametrize("document", [{}, {"peer": "n1"}, {"peer": "n1", "data": "%%%"}, {"peer": "n1", "data": 5}])
def test_a_malformed_datagram_is_a_protocol_error(document):
    with pytest.raises(ProtocolError, match="malformed"):
        payload_of(document)


def test_client_requests_have_the_right_checksum_for_every_number():
    class Sink:
        def sendto(self, data, address):
            assert checksum(data) == 0
            self.data = data

    pair, sink = ClientPair("n1", "n2", "10.9.0.2", 3), Sink()
    for number in (0, 1, 65535, 65536, 70001):
        pair.sent, pair.rtt_ms = [0.0] * number, [math.nan] * number
        pair.send(sink, 5.0)
        assert len(sink.data) == PAYLOAD_BYTES + 8
        assert pair.sent[-1] == 5.0


def test_only_answers_in_time_count_and_only_once():
    pair = ClientPair("n1", "n2", "10.9.0.2", 1)
    pair.sent, pair.rtt_ms = [1.0, 1.05], [math.nan, math.nan]
    pair.answered(0, 1.02)
    pair.answered(0, 1.9)
    pair.answered(1, 3.2)
    pair.answered(7, 1.2)
    assert pair.rtt_ms[0] == pytest.approx(20.0)
    assert math.isnan(pair.rtt_ms[1])


def test_old_probes_are_forgotten_and_late_answers_to_them_too():
    pair = ClientPair("n1", "n2", "10.9.0.2", 1)
    pair.sent, pair.rtt_ms = [1.0, 1.05, 1.1], [math.nan] * 3
    pair.forget(2)
    pair.answered(0, 1.2)
    pair.answered(2, 1.12)
    assert pair.sent == [1.05, 1.1]
    assert math.isnan(pair.rtt_ms[0])
    assert pair.rtt_ms[1] == pytest.approx(20.0)


def test_vm_says_what_is_missing_and_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("X0T_LAB_DIR", str(tmp_path))
    assert "scripts/install-lab.sh" in vm.missing()
    with pytest.raises(NotSupported, match="install-lab"):
        vm.start()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert vm.missing() == "no qemu-system-x86_64: run scripts/install-lab.sh"


def test_vm_looks_in_the_cache_directory(monkeypatch, tmp_path):
    monkeypatch.delenv("X0T_LAB_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert vm.directory() == tmp_path / "x0tta6bl4" / "lab"


def test_vm_gives_the_guest_no_network_but_one_port(monkeypatch, tmp_path):
    (tmp_path / "kernel" / "boot").mkdir(parents=True)
    (tmp_path / "kernel" / "boot" / "vmlinuz-1").touch()
    monkeypatch.setenv("X0T_LAB_DIR", str(tmp_path))
    words = vm._command(4711, tmp_path / "token", tmp_path / "console", (), 512)
    nic = words[words.index("-nic") + 1]
    assert "restrict=on" in nic
    assert nic.count("hostfwd") == 1
    assert "tcp:127.0.0.1:4711-" in nic
    assert "readonly=on" in words[words.index("-virtfs") + 1]


def test_a_start_that_spins_and_never_prints_is_given_up(monkeypatch):
    monkeypatch.setattr(vm, "missing", lambda: "")
    monkeypatch.setattr(vm, "_command", lambda *args: [sys.executable, "-c", "while True: pass"])
    monkeypatch.setattr(vm, "SPINS_S", 0.2)
    with pytest.raises(Permanent, match="no guest answered in 4 starts"):
        vm.start()


def test_a_start_that_waits_for_the_cpu_is_not_given_up(monkeypatch):
    """Guests that share a machine take their time: only one that had it spins."""
    monkeypatch.setattr(vm, "missing", lambda: "")
    monkeypatch.setattr(vm, "_command", lambda *args: ["sleep", "0.4"])
    monkeypatch.setattr(vm, "SPINS_S", 0.1)
    began = time.monotonic()
    with pytest.raises(Permanent, match="no guest answered"):
        vm.start()
    assert time.monotonic() - began >= vm.STARTS * 0.4  # each until it ended by itself


def test_a_start_can_be_given_up(monkeypatch):
    monkeypatch.setattr(vm, "missing", lambda: "")
    monkeypatch.setattr(vm, "_command", lambda *args: ["sleep", "30"])
    said = []

    def progress(doing):
        said.append(doing)
        if len(said) > 2:
            raise Temporary("stopped")

    began = time.monotonic()
    with pytest.raises(Temporary, match="stopped"):
        vm.start(progress=progress)
    assert time.monotonic() - began < 5
    assert said == ["the guest boots"] * 3


def test_host_says_why_it_cannot(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NotSupported, match="root"):
        host.start()


def test_a_lab_process_ends_with_its_driver(tmp_path):
    port, (path, token) = free_port(), write_token(tmp_path)
    command = [sys.executable, "-m", "x0tta6bl4.lab.guest", "--listen", f"127.0.0.1:{port}"]
    process = subprocess.Popen(command, env=os.environ | {"X0T_LAB_TOKEN": str(path)})
    for asks in (False, True):  # one that never got round to asking was not it
        work = tempfile.TemporaryDirectory()
        driver = connect(port, token, process, work, deadline=time.monotonic() + 30)
        if asks:
            assert driver.call("clock") > 0
        else:
            assert process.poll() is None
        driver._closing = True
        driver._reader.join()
        driver._lines.close()
        work.cleanup()
    assert process.wait(10) == 0


def test_one_lab_runs_on_a_machine(tmp_path):
    held = guest.only_one(tmp_path / "lock")
    with pytest.raises(Permanent, match="another lab runs on this machine"):
        guest.only_one(tmp_path / "lock")
    os.close(held)
    os.close(guest.only_one(tmp_path / "lock"))


def test_a_run_wants_both_factories_or_neither():
    made = scenarios.load("blackhole")
    with pytest.raises(ConfigError, match="factory_name"):
        real.run(made, factory_name="module:attribute")
    with pytest.raises(ConfigError, match="backend"):
        real.run(made, backend="moon")


class Backend:
    """A lab process that answers a run with no mesh at all, or is lost."""

    offset = 0.0

    def __init__(self, answers):
        self.answers, self.closed = answers, 0

    def measure_clock(self):
        return 0.001

    def start(self, op, *, request):
        self.seed = request["seed"]
        return 1

    def finish(self, number, wait_s):
        if (answer := self.answers[self.seed]) is None:
            raise Temporary("lab process: lost")
        empty = {"duration": 1.0, "pairs": [], "steps": [], "touched": [], "settings_start": {}, "settings_end": {}}
        return True, {**empty, "invalid": answer, "notes": {}}

    def close(self):
        self.closed += 1

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


@pytest.fixture
def booted(monkeypatch):
    """The backends that were started; every one is lost in a run with seed 3."""
    found = []

    def start(backend):
        found.append(Backend({1: "", 2: "guest timer lag 200 ms", 3: None}))
        return found[-1]

    monkeypatch.setattr(real, "start", start)
    yield found
    real._guest.close()


def test_a_guest_is_kept_for_the_next_run(booted):
    made = scenarios.load("blackhole")
    assert [real.run(made, seed=seed).invalid for seed in (1, 2, 1)] == ["", "guest timer lag 200 ms", ""]
    assert [one.closed for one in booted] == [0]
    real._guest.close()
    assert [one.closed for one in booted] == [1]


def test_a_guest_that_was_lost_is_started_anew(booted):
    made = scenarios.load("blackhole")
    real.run(made, seed=1)
    with pytest.raises(Temporary):
        real.run(made, seed=3)
    real.run(made, seed=2)
    assert [one.closed for one in booted] == [1, 0]


def test_a_lab_of_this_machine_ends_with_its_run(booted):
    made = scenarios.load("blackhole")
    real.run(made, backend="host", seed=1)
    real.run(made, backend="host", seed=2)
    assert [one.closed for one in booted] == [1, 1]
