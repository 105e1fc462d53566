"""The commands as a person meets them: output, exit codes, and one line for every error."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import tomllib
from contextlib import ExitStack, aclosing
from dataclasses import replace

import pytest

from fakes import FakeKernel
from hand_made import CannedLab, event, iteration, view
from terminal import terminal
from x0tta6bl4 import cli
from x0tta6bl4.core.commands import config, lab
from x0tta6bl4.core.commands.connection import connect_async
from x0tta6bl4.core.commands.feed import remembered
from x0tta6bl4.core.commands.history import numbers
from x0tta6bl4.core.commands.output import Exit
from x0tta6bl4.core.commands.watch import serving
from x0tta6bl4.core.settings import load
from x0tta6bl4.core.state import State
from x0tta6bl4.errors import ConfigError, Permanent


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(autouse=True)
def own_settings(monkeypatch, tmp_path):
    for name in os.environ:
        if name.startswith("X0T_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("X0T_STORE__DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("X0T_API__PORT", str(free_port()))


@pytest.fixture
def controller():
    source = CannedLab()
    state = State(log=False, source=source)
    with serving(state, load()):
        source.start(state)
        yield source


def output(capsys, *arguments, code=Exit.OK):
    assert cli.run(arguments) == code
    return capsys.readouterr().out


def complaint(capsys, *arguments, code):
    assert cli.run(arguments) == code
    told = capsys.readouterr().err
    assert "Traceback" not in told
    return told


def test_status_names_what_is_not_well(capsys, controller):
    text = output(capsys, "status")
    for words in (
        "degraded",
        "1 suspect",
        "n1      n2      v1-2",
        "41 %",
        "link-lossy",
        "node/n3. add a dummy",
        "blind netlink",
    ):
        assert words in text
    assert json.loads(output(capsys, "status", "--json"))["incidents_open"][0]["id"] == "i1"


def test_incidents_and_explain(capsys, controller):
    assert "set_hop_penalty" in output(capsys, "incidents", "--state", "open")
    assert output(capsys, "incidents", "--state", "closed") == "no incidents\n"
    assert json.loads(output(capsys, "incidents", "--json"))["items"][0]["action_state"] == "applied"
    text = output(capsys, "explain", "i1")
    for words in ("90 % sure", "0.50 s after", "both ends miss hellos", "hello-loss", "or: link-down", "cut-vertex"):
        assert words in text
    assert json.loads(output(capsys, "explain", "i1", "--json"))["timeline"][0]["type"] == "incident.opened"


def test_plans_and_actions_are_shown_with_what_they_rest_on(capsys, controller):
    assert "set_hop_penalty adjacency/n1:v1-2<>n2:v2-1" in output(capsys, "plan", "list")
    text = output(capsys, "plan", "show", "p1")
    for words in ("chosen with probability 90 %", "cut-vertex", "would part the mesh", "it rested on: loss=0.41"):
        assert words in text
    assert "parameters.value  200" in output(capsys, "action", "show", "a1")
    assert json.loads(output(capsys, "action", "list", "--incident", "i1", "--json"))["items"][0]["id"] == "a1"
    assert "is remembered (404)" in complaint(capsys, "action", "show", "zz", code=Exit.FAILED)


def test_an_incident_in_parts(capsys, controller):
    assert "was done and is not proven yet" in output(capsys, "incident", "why", "i1")
    assert "against it" not in output(capsys, "incident", "evidence", "last")
    assert "incident.opened" in output(capsys, "incident", "timeline", "last")


def test_why_speaks_russian_shows_the_page_and_says_what_became_of_the_model(capsys, controller):
    text = output(capsys, "why", "i1", "--language", "ru", "--runbook", "--rewrite")
    for words in ("Что случилось", "Источники", "## Что помогает", "explanation.endpoint is empty"):
        assert words in text
    assert json.loads(output(capsys, "why", "--json"))["sentences"][0]["citations"] == [1]
    assert "language" in complaint(capsys, "why", "i1", "--language", "de", code=Exit.FAILED)


def test_top_shows_the_mesh_and_outlives_its_controller():
    source = CannedLab()
    state = State(log=False, source=source)
    with ExitStack() as stack:
        stack.enter_context(serving(state, load()))
        source.start(state)
        threading.Timer(1.0, stack.close).start()
        with terminal() as shown:
            assert cli.run(["top", "--seconds", "3"]) == Exit.OK
    text = b"".join(shown).decode()
    for words in ("set_hop_penalty", "incident opened: link-lossy", "trying again"):
        assert words in text


def test_events_are_followed():
    source = CannedLab()
    state = State(log=False, source=source)
    news = threading.Timer(0.5, lambda: state.publish(iteration(2, events=(event(3, "incident.closed"),)), view(12.0)))

    async def first(count):
        async with connect_async() as client, aclosing(remembered(client, follow=True)) as stream:
            return [(await anext(stream)).type for _ in range(count)]

    with serving(state, load()):
        source.start(state)
        news.start()
        assert asyncio.run(first(4)) == ["reset", "incident.opened", "action.applied", "incident.closed"]
    news.join()


def test_unknown_incident_is_one_line(capsys, controller):
    told = complaint(capsys, "explain", "nosuch", code=Exit.FAILED)
    assert told == "error: no incident 'nosuch' is remembered (404)\n"


def test_wrong_state_is_told_in_the_controllers_words(capsys, controller):
    assert "query.state" in complaint(capsys, "incidents", "--state", "odd", code=Exit.FAILED)


def test_inject_reaches_the_lab(capsys, controller):
    wanted = ("lab", "inject", "link-loss", "n2-n3", "--for", "5", "--set", "loss_ratio=0.4")
    assert "Break n2-n3 (link-loss) for 5 s?" in complaint(capsys, *wanted, code=Exit.USAGE)  # nobody can be asked
    assert controller.injected == []
    text = output(capsys, *wanted, "--yes")
    assert text == "f1: link-loss at n2-n3 for 5 s\n"
    assert controller.injected == [("link-loss", "n2-n3", 5.0, {"loss_ratio": 0.4})]
    assert "kind: got 'odd'" in complaint(capsys, "lab", "inject", "odd", "n1", "--yes", code=Exit.FAILED)


@pytest.mark.parametrize("text", ["x", "x=", "=1", "x=y", "x=nan", "x=inf", "x=1e999"])
def test_wrong_parameters_are_refused(text):
    with pytest.raises(ConfigError, match="KEY=NUMBER"):
        numbers([text], "--set")


def test_no_controller_is_exit_code_3(capsys, tmp_path):
    assert "no token in" in complaint(capsys, "status", code=Exit.UNREACHABLE)
    state = tmp_path / "state"
    state.mkdir()
    (state / "token").write_text("x" * 43)
    (state / "token").chmod(0o600)
    told = complaint(capsys, "status", code=Exit.UNREACHABLE)
    assert told.startswith("error: no controller answers at http://127.0.0.1:")
    assert "x0t doctor" in told
    assert "x" * 43 not in told


def test_a_taken_address_is_told_before_anything_starts(controller):
    with pytest.raises(Permanent, match="--no-api"), serving(State(), load()):
        pass


def test_an_api_that_cannot_start_ends_the_command_with_the_reason(capsys, monkeypatch):
    monkeypatch.setenv("X0T_PLUGINS__ENABLED", '["nope"]')
    assert "nope" in complaint(capsys, "demo", "--seconds", "1", code=Exit.USAGE)
    monkeypatch.delenv("X0T_PLUGINS__ENABLED")
    monkeypatch.setenv("X0T_EXPLANATION__ENDPOINT", "https://model.example/v1")
    monkeypatch.setenv("X0T_EXPLANATION__KEY_FILE", "none")
    assert "explanation.key_file" in complaint(capsys, "demo", "--seconds", "1", code=Exit.USAGE)


def test_a_start_that_nobody_foresaw_is_told(monkeypatch):
    monkeypatch.setattr(State, "open", lambda self: 1 / 0)
    with pytest.raises(Permanent, match="could not start"), serving(State(), load()):
        pass


def test_a_server_that_is_not_ours_is_told(capsys, monkeypatch, controller, tmp_path):
    import http.server
    import threading

    class Other(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    monkeypatch.setenv("X0T_API__PORT", str(server.server_port))
    assert "not JSON" in complaint(capsys, "status", code=Exit.FAILED)
    thread.join()
    server.server_close()


def test_config_check_and_show(capsys, tmp_path, monkeypatch):
    monkeypatch.delenv("X0T_API__PORT")
    assert output(capsys, "config", "check") == "ok: defaults (no settings file)\n"
    (tmp_path / "x0tta6bl4.toml").write_text(
        "[api]\nport = 8123\n[store]\nurl = 'postgresql://me:secret@db/x'\n[safety.autonomy]\nset_mtu = 'act'\n"
        "[[mesh.inventory]]\nname = 'n1'\ninterfaces = [{name = 'v1-2', mac = '02:00:00:00:01:02'}]\n"
    )
    assert json.loads(output(capsys, "config", "check", "--json")) == {"ok": True, "file": "x0tta6bl4.toml"}
    shown = output(capsys, "config", "show")
    assert "secret" not in shown
    assert "secret" not in output(capsys, "config", "show", "--json")
    document = tomllib.loads(shown)
    assert document["api"]["port"] == 8123
    assert document["mesh"]["inventory"][0]["interfaces"][0]["mtu"] == 1560
    (tmp_path / "again.toml").write_text(shown.replace(":***@", ":secret@"))
    assert config.public(load(tmp_path / "again.toml")) == config.public(load())


def test_config_node_prints_what_the_inventory_wants(capsys, tmp_path, monkeypatch):
    kernel = FakeKernel(("dum0", "eth1", "wlan0"))
    for name, changes in (("dum0", {"dummy": True}), ("eth1", {"mtu": 1600}), ("wlan0", {"mtu": 1500})):
        kernel.table[name] = replace(kernel.table[name], **changes)
    kernel.options = replace(kernel.options, address="02:ba:00:00:00:01", algorithm="BATMAN_V", orig_interval_ms=500)
    kernel.close = lambda: None
    monkeypatch.setattr("x0tta6bl4.network.linux.LinuxKernel", lambda interface, declared: kernel)
    monkeypatch.setattr(config, "address_of", lambda interface: {"bat7": "10.7.0.1"}[interface])
    monkeypatch.setattr(config, "is_radio", lambda interface: interface.startswith("wlan"))
    told = output(capsys, "config", "node", "--interface", "bat7", "--name", "roof")
    (tmp_path / "nodes.toml").write_text(told)
    (node,) = load(tmp_path / "nodes.toml").mesh.inventory
    assert (node.name, node.ip, node.address) == ("roof", "10.7.0.1", "02:ba:00:00:00:01")
    assert (node.algorithm, node.orig_interval_ms) == ("BATMAN_V", 500)
    assert [(i.name, i.mtu, i.dummy, i.radio) for i in node.interfaces] == [
        ("dum0", 1560, True, False), ("eth1", 1600, False, False), ("wlan0", 1560, False, True),
    ]  # fmt: skip
    assert json.loads(output(capsys, "config", "node", "--interface", "bat7", "--name", "roof", "--json"))["ip"]


def test_the_machine_itself_is_asked(tmp_path):
    assert config.address_of("lo") == "127.0.0.1"
    assert config.address_of("x0t-none") == ""
    assert config.address_on_mesh("x0t-none", tmp_path) == ""
    (tmp_path / "lo").mkdir()
    (tmp_path / "bat0").mkdir()
    (tmp_path / "bat0" / "master").symlink_to("../lo")  # a port of a bridge: the bridge has the address
    assert config.address_on_mesh("bat0", tmp_path) == "127.0.0.1"
    (tmp_path / "wlan0" / "phy80211").mkdir(parents=True)
    assert config.is_radio("wlan0", tmp_path)
    assert not config.is_radio("eth0", tmp_path)


def test_wrong_config_is_exit_code_2(capsys, tmp_path):
    (tmp_path / "x0tta6bl4.toml").write_text("[apo]\nport = 1\n")
    told = complaint(capsys, "config", "check", code=Exit.USAGE)
    assert told == "error: apo: got {'port': 1}, allowed: no such group; known: 'api'?\n"


@pytest.mark.parametrize(
    "arguments",
    [["frob"], ["lab", "score"], ["lab", "score", "--json", "x", "--backend", "moon"], ["demo", "--speed", "0"]],
)
def test_wrong_arguments_are_exit_code_2(capsys, arguments):
    assert complaint(capsys, *arguments, code=Exit.USAGE)


def test_score_refuses_what_its_backend_cannot_do(capsys):
    alone = ("--controller", "on", "--jobs", "2")
    told = complaint(capsys, "lab", "score", "--json", "x.json", "--backend", "vm", *alone, code=Exit.USAGE)
    assert told.startswith("error: --jobs: got 2")
    told = complaint(
        capsys, "lab", "score", "--json", "x.json", "--backend", "vm", "--healthy-hours", "1", code=Exit.USAGE
    )
    assert told.startswith("error: --healthy-hours: got 1.0")
    assert "scenario: got 'nope'" in complaint(capsys, "lab", "score", "nope", "--json", "x.json", code=Exit.USAGE)


def test_scenarios_are_listed_with_their_truth(capsys):
    text = output(capsys, "lab", "list")
    assert "link-lossy adjacency/n2:v2-3<>n3:v3-2" in text
    rows = json.loads(output(capsys, "lab", "list", "--json"))
    assert {"name", "title", "faults"} <= set(rows[0])


def test_totals_show_a_dash_for_what_was_not_run(capsys):
    lab.print_total({"detected": 0.953, "ttd_s_p95_hard": None, "bad_s_on": 1.25, "runs": 3, "management": "inband"})
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.strip().splitlines()]
    assert [(key, value.strip()) for key, value in lines] == [
        ("detected", "95 %"),
        ("ttd_s_p95_hard", "-"),
        ("bad_s_on", "1.25 s"),
        ("runs", "3"),
        ("management", "inband"),
    ]


def test_version_and_module():
    told = subprocess.run([sys.executable, "-m", "x0tta6bl4", "--version"], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("x0tta6bl4 3.")


def test_demo_prints_events_as_json_lines(capsys):
    lines = output(
        capsys, "demo", "--no-api", "--json", "--seconds", "2", "--speed", "20", "--every", "10"
    ).splitlines()
    assert "incident.opened" in {json.loads(line)["type"] for line in lines}


def test_demo_and_lab_up_say_where_the_api_is(capsys):
    assert "API http://127.0.0.1:" in output(capsys, "demo", "--seconds", "0.5")
    assert "demo: simulated mesh" in output(capsys, "lab", "up", "--seconds", "0.5")


def test_run_without_a_mesh_offers_the_demo(capsys, monkeypatch):
    monkeypatch.setenv("X0T_MESH__INTERFACE", "x0t-none0")
    told = complaint(capsys, "run", code=Exit.UNSUPPORTED)
    assert "'x0t-none0'" in told
    assert "`x0t demo`" in told


def test_score_runs_judges_and_reports(capsys, tmp_path):
    common = ["lab", "score", "blackhole", "--json", "s.json", "--report", "page"]
    text = output(capsys, *common)
    totals = dict(line.split(maxsplit=1) for line in text.splitlines() if line.strip())
    assert totals["detected"].strip() == "100 %"
    assert totals["runs"].strip() == "2"
    assert "page/index.html" in text
    assert "<html" in (tmp_path / "page" / "index.html").read_text().lower()
    before = (tmp_path / "s.json").read_bytes()
    output(capsys, *common)  # nothing is missing, so nothing is run
    assert (tmp_path / "s.json").read_bytes() == before


def test_a_full_disk_is_one_line(capsys, tmp_path):
    (tmp_path / "page").write_text("a file where the directory should be")
    off = ["lab", "score", "blackhole", "--controller", "off", "--json", "s.json", "--report", "page"]
    told = complaint(capsys, *off, code=Exit.FAILED)
    assert told.startswith("error: ")
