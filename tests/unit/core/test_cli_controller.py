"""Every command over a running controller: the simulated mesh, faster than the clock, with faults of its own."""

import json
import os
import re
import socket
import subprocess
import sys
import time

import pytest

from x0tta6bl4 import cli
from x0tta6bl4.core.commands.output import Exit
from x0tta6bl4.core.commands.watch import serving
from x0tta6bl4.core.demo import demo
from x0tta6bl4.core.settings import load
from x0tta6bl4.core.state import State
from x0tta6bl4.model import IncidentState

START_S = 30


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """What a command line needs to reach the controller."""
    directory = tmp_path_factory.mktemp("controller")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("X0T_"):
                patch.delenv(name)
        patch.setenv("X0T_STORE__DIRECTORY", str(directory))
        patch.setenv("X0T_API__PORT", str(port))
        patch.setenv("XDG_CONFIG_HOME", str(directory / "config"))
        patch.chdir(directory)
        yield


@pytest.fixture(scope="module")
def controller(environment):
    settings = load(dotenv=None)
    source = demo(settings, speed=5, fault_every_s=8)
    state = State(settings=settings, log=False, source=source)
    with serving(state, settings):
        source.start(state)
        end = time.monotonic() + START_S
        while sum(file.incident.state is IncidentState.CLOSED for file in state.readers.incidents()) < 1:
            assert time.monotonic() < end, source.failure()
            time.sleep(0.1)
        yield
        source.stop()


@pytest.fixture
def x0t(controller, capsys):
    def call(*arguments, code=Exit.OK):
        assert cli.run(arguments) == code, capsys.readouterr()
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return told.out if code == Exit.OK else told.err

    return call


def newest(x0t):
    return json.loads(x0t("incidents", "--json", "-n", "1"))["items"][0]["id"]


READS = {
    "api health": "status   ok",
    "api ready": "passes",
    "api version": "demo: simulated mesh",
    "mesh nodes": "dum0*",
    "mesh node n1": "interfaces",
    "mesh links": "quality",
    "mesh peers n1": "v1-2",
    "mesh route n1 n4": "one way",
    "mesh topology": "seat n1",
    "mesh cuts": "links it cannot lose",
    "mesh inventory": "BATMAN_IV",
    "mesh readings node/n1 report_age_ms": "report_age_ms of node/n1",
    "incident list": "cause",
    "incident why last": "What is wrong",
    "incident evidence last": "symptom",
    "incident timeline last": "incident.opened",
    "why last": "Sources",
    "plan list": "",
    "action list": "confirmed",
    "action show last": "target",
    "action mitigations": "",
    "iteration list": "verdicts",
    "alert list --source all": "alerts.url is not set",
    "policy list": "restore-mtu",
    "control show": "kill_switch  no",
    "maintenance list": "",
    "lab faults": "",
    "ml stats": "source",
    "knowledge search link-lossy": "named",
    "knowledge list": "runbooks/actions.md#0",
    "knowledge show runbooks/link-lossy.md": "What it looks like",
    "events": "incident opened",
    "top": "incidents",
    "status": "sim BATMAN_IV  nodes: ",
}


def test_status_counts_every_node_whatever_state_it_is_in(x0t):
    counted = re.search(r"nodes: (.+?)  links", x0t("status"))[1]
    assert sum(int(number) for number in re.findall(r"\d+", counted)) == 6


@pytest.mark.parametrize("line", READS)
def test_what_is_read_is_drawn_for_people(x0t, line):
    text = x0t(*line.split())
    assert text.strip()
    assert READS[line] in text


@pytest.mark.parametrize("line", [line for line in READS if line not in ("top", "events")])
def test_what_is_read_is_one_json_document(x0t, line):
    assert isinstance(json.loads(x0t(*line.split(), "--json")), dict)


def test_events_are_json_lines(x0t):
    assert {"type", "number", "data"} <= set(json.loads(x0t("events", "--json").splitlines()[0]))


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_who_reads_events_may_have_enough(x0t, options):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "x0tta6bl4", "events", *options]
    try:
        ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (Exit.OK, "")


@pytest.mark.parametrize(
    "line",
    [
        ["lab", "inject", "link-loss", "n2-n3", "--set", "loss_ratio=nan", "--yes"],
        ["lab", "inject", "link-loss", "n2-n3", "--for", "nan", "--yes"],
        ["status", "--watch", "nan"],
        ["iteration", "list", "--at", "nan"],
        ["mesh", "readings", "node/n1", "--since", "nan"],
    ],
    ids=" ".join,
)
def test_numbers_are_finite(x0t, line):
    x0t(*line, code=Exit.USAGE)


def test_other_tools_documents(x0t):
    assert json.loads(x0t("mesh", "topology", "--netjson"))["type"] == "NetworkGraph"
    assert json.loads(x0t("api", "openapi"))["openapi"].startswith("3.1")


def test_an_end_of_an_id_is_enough(x0t):
    whole = newest(x0t)
    assert json.loads(x0t("explain", whole[-8:], "--json"))["id"] == whole
    assert "is remembered (404)" in x0t("explain", "zz", code=Exit.FAILED)


def test_pages_follow_each_other(x0t):
    first = json.loads(x0t("mesh", "nodes", "-n", "2", "--json"))
    assert "there is more: --cursor n2" in x0t("mesh", "nodes", "-n", "2")
    second = json.loads(x0t("mesh", "nodes", "-n", "2", "--cursor", first["next"], "--json"))
    assert [row["name"] for row in first["items"] + second["items"]] == ["n1", "n2", "n3", "n4"]


def test_pause_and_the_kill_switch(x0t):
    assert "--yes" in x0t("control", "pause", "--reason", "work", code=Exit.USAGE)
    assert x0t("control", "pause", "--reason", "work", "--yes") == "paused, kill switch off\n"
    assert "--yes" in x0t("control", "kill", "--reason", "storm", code=Exit.USAGE)
    assert x0t("control", "kill", "--reason", "storm", "--yes") == "paused, kill switch on\n"
    time.sleep(0.3)  # a pass of the loop later
    text = x0t("status")
    assert "the kill switch is on" in text
    assert "paused: it watches" in text
    assert "--yes" in x0t("control", "resume", "--reason", "done", code=Exit.USAGE)
    assert x0t("control", "resume", "--reason", "done", "--yes") == "running, kill switch on\n"
    assert x0t("control", "release", "--reason", "calm", "--yes") == "running, kill switch off\n"


def test_policies(x0t):
    assert x0t("policy", "set", "restore-mtu", "approve") == "restore-mtu: approve\n"
    assert "--yes" in x0t("policy", "set", "restore-mtu", "act", code=Exit.USAGE)
    assert x0t("policy", "set", "restore-mtu", "act", "--yes") == "restore-mtu: act\n"
    assert "(404)" in x0t("policy", "set", "dance", "observe", code=Exit.FAILED)
    assert "observe" in x0t("policy", "set", "restore-mtu", "sometimes", code=Exit.USAGE)


def test_maintenance(x0t):
    added = json.loads(
        x0t("maintenance", "add", "node/n6", "--for", "30m", "--reason", "new kernel", "--yes", "--json")
    )
    assert added["component"] == "node/n6"
    assert "new kernel" in x0t("maintenance", "list")
    asked = x0t("maintenance", "add", "node/n6", "--reason", "x", code=Exit.USAGE)
    assert asked.strip().endswith("for 1 h? Nobody can be asked here: say --yes to do it")
    assert x0t("maintenance", "remove", added["id"][-8:]) == f"removed {added['id'][-8:]}\n"
    assert "--for: got 'soon'" in x0t(
        "maintenance", "add", "node/n6", "--for", "soon", "--reason", "x", code=Exit.USAGE
    )


def test_faults_are_injected_listed_and_ended(x0t):
    told = json.loads(
        x0t("lab", "inject", "link-loss", "n5-n6", "--for", "600", "--set", "loss_ratio=0.4", "--yes", "--json")
    )
    time.sleep(0.5)
    assert told["id"] in x0t("lab", "faults")
    assert x0t("lab", "end", told["id"]) == f"ended {told['id']}\n"
    assert "(404)" in x0t("lab", "end", "none", code=Exit.FAILED)
    problem = json.loads(x0t("lab", "end", "none", "--json", code=Exit.FAILED))
    assert (problem["status"], problem["exit_code"]) == (404, 1)


def test_faults_that_cannot_be_are_refused(x0t):
    broken = ("lab", "inject", "link-loss", "n2-n3", "--yes")
    assert "--set loss_ratio=NUMBER" in x0t(*broken, code=Exit.FAILED)
    for name in ("link", "until", "at", "id", "node"):
        told = x0t(*broken, "--set", "loss_ratio=0.4", "--set", f"{name}=3", code=Exit.FAILED)
        assert f"parameters.{name}: got 3" in told


@pytest.mark.parametrize(
    "line",
    [
        ["policy", "list"], ["iteration", "show", "1"], ["incident", "evidence", "last"],
        ["mesh", "inventory"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_can_change_can_be_watched(x0t, monkeypatch, line):
    def enough(seconds):
        raise KeyboardInterrupt

    if line[0] == "iteration":
        line = ["iteration", "show", json.loads(x0t("iteration", "list", "-n", "1", "--json"))["items"][0]["id"]]
    monkeypatch.setattr("x0tta6bl4.core.commands.output.time.sleep", enough)
    assert json.loads(x0t(*line, "--watch", "1", "--json"))
    assert "--watch" in x0t("plan", "show", "--help")


def test_refusals_say_what_there_is(x0t):
    assert "known: n1, n2, n3, n4" in x0t("mesh", "route", "n1", "n9", code=Exit.FAILED)
    assert "an id, its end, or `last`" in x0t("incident", "show", "", code=Exit.USAGE)


def test_incidents_are_acknowledged_and_closed_where_that_can_be(x0t):
    closed = json.loads(x0t("incidents", "--state", "closed", "--json"))["items"][0]["id"]
    assert "is closed (409)" in x0t("incident", "ack", closed, "--by", "maria", code=Exit.FAILED)
    assert "is closed (409)" in x0t("incident", "close", closed, "--reason", "over", "--yes", code=Exit.FAILED)
    assert "Nobody can be asked" in x0t("incident", "close", closed, "--reason", "over", code=Exit.USAGE)


def test_plans_that_are_unknown_cannot_be_decided(x0t):
    assert "(404)" in x0t("plan", "approve", "p", "--yes", code=Exit.FAILED)
    assert "(404)" in x0t("plan", "reject", "p", "--reason", "no", code=Exit.FAILED)
    assert "(404)" in x0t("plan", "show", "p", code=Exit.FAILED)


def test_alerts_of_others_are_handed_in(x0t, tmp_path):
    alert = {"status": "firing", "fingerprint": "f1", "labels": {"alertname": "HostDown"}}
    (tmp_path / "alerts.json").write_text(json.dumps({"version": "4", "alerts": [alert]}))
    assert x0t("alert", "receive", str(tmp_path / "alerts.json")) == "1 began, 0 ended\n"
    assert "HostDown" in x0t("alert", "list", "--source", "external")
    odd = {"fingerprint": "f2", "labels": {"alertname": "\x1b[2J\u202egone\x9b1m", "x": "\u2066"}}
    (tmp_path / "hostile.json").write_text(json.dumps({"alerts": [{**alert, **odd}]}))
    x0t("alert", "receive", str(tmp_path / "hostile.json"))
    assert "�[2J�gone�1m" in x0t("alert", "list", "--source", "external")
    told = x0t("alert", "list", "--source", "external", "--json")
    assert "\\u202egone\\u009b1m" in told
    assert told.isprintable() or set(told) & {"\x1b", "\u202e", "\x9b", "\u2066"} == set()
    assert json.loads(told)["items"][-1]["labels"]["x"] == "\u2066"
    (tmp_path / "odd.json").write_text("[]")
    assert "webhook" in x0t("alert", "receive", str(tmp_path / "odd.json"), code=Exit.USAGE)


def test_time_travel(x0t):
    first = json.loads(x0t("iteration", "list", "-n", "1", "--json"))["items"][0]
    assert first["id"] in x0t("iteration", "show", str(first["number"]))
    assert first["id"] in x0t("iteration", "show", first["id"])
    row = json.loads(x0t("incidents", "--json"))["items"][0]
    opened = json.loads(x0t("explain", row["id"], "--json"))["opened_utc"]
    assert abs(opened - time.time()) < 3600  # the demo's day is today
    then = json.loads(x0t("iteration", "list", "--at", str(opened + 5), "--json"))["items"]
    assert then
    assert all(one["at_utc"] <= opened + 5 for one in then)
    past = json.loads(x0t("iteration", "list", "--at", "1970-01-02T00:00:00", "--json"))
    assert past["items"] == []
    assert "--at: got 'noon'" in x0t("iteration", "list", "--at", "noon", code=Exit.USAGE)


def test_the_librarys_loop(x0t):
    text = x0t("ml", "loop", "cpu=0.5", "--action", "restart")
    assert "decision" in text
    assert "anomaly    no" in text
    assert "KEY=NUMBER" in x0t("ml", "loop", "cpu", code=Exit.USAGE)
    assert "finite" in x0t("ml", "loop", "cpu=nan", code=Exit.USAGE)
    x0t("ml", "loop", "cpu=0.5", "--system", "mine")
    assert json.loads(x0t("ml", "stats", "--system", "mine", "--json"))["iterations"] == 1
