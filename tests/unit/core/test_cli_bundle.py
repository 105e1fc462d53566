"""`x0t bundle`: what is in the archive, and that no secret is, wherever one was planted."""

import base64
import json
import os
import socket
import tarfile

import pytest

from hand_made import CannedLab, event, iteration, view
from x0tta6bl4 import cli
from x0tta6bl4.core.commands import redact
from x0tta6bl4.core.commands.output import Exit
from x0tta6bl4.core.commands.watch import serving
from x0tta6bl4.core.settings import load
from x0tta6bl4.core.state import State

URL_PASSWORD = "p@ss/w:rd-of-the-store"
QUOTED = "p%40ss%2Fw%3Ard-of-the-store"
CONTEXT_TOKEN = "context-token-" + "c" * 30
ENVIRONMENT = "environment-s3cret"
BEARER = "bearer-" + "b" * 30
PEM = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"
NOTE = "note-s3cret-value"
HOOK = "T0/B1/hook-s3cret"
HOOK_KEY = "query-s3cret"
MODEL_KEY = "sk-model-s3cret"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtYXJpYSJ9.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    for name in os.environ:
        if name.startswith("X0T_"):
            monkeypatch.delenv(name)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("X0T_API__PORT", str(probe.getsockname()[1]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("X0T_STORE__DIRECTORY", str(tmp_path / "state"))


def members(path):
    with tarfile.open(path) as archive:
        return {entry.name.split("/", 1)[1]: archive.extractfile(entry).read().decode() for entry in archive}


@pytest.fixture
def planted(monkeypatch, tmp_path):
    """A controller and an installation with a secret in every place that a bundle reads."""
    monkeypatch.setenv("X0T_STORE__URL", f"postgresql://me:{QUOTED}@127.0.0.1:1/x")
    monkeypatch.setenv("BACKUP_PASSWORD", ENVIRONMENT)
    (tmp_path / "token").write_text(CONTEXT_TOKEN)
    (tmp_path / "token").chmod(0o600)
    (tmp_path / "key").write_text(MODEL_KEY)
    (tmp_path / "key").chmod(0o600)
    monkeypatch.setenv("X0T_ALERTS__URL", f"http://127.0.0.1:1/{HOOK}?key={HOOK_KEY}")
    monkeypatch.setenv("X0T_EXPLANATION__KEY_FILE", "key")
    assert cli.run(["context", "add", "far", "http://127.0.0.1:1", "--token-file", "token"]) == Exit.OK
    pem = f"-----BEGIN PRIVATE KEY-----\n{PEM}\n-----END PRIVATE KEY-----"
    words = f"{CONTEXT_TOKEN} {URL_PASSWORD} {ENVIRONMENT} Authorization: Bearer {BEARER} token={NOTE} {JWT} {pem}"
    words += f" {MODEL_KEY} {HOOK} {HOOK_KEY}"
    source = CannedLab()
    state = State(log=False, source=source)
    settings = load()
    with serving(state, settings):
        source.start(state)
        own = settings.token_file.read_text().strip()
        said = event(
            3, "incident.updated", detail=words + own, password=NOTE, nested={"api_key": NOTE, "list": [words]}
        )
        state.publish(iteration(2, 11.0, events=(said,), errors={"netlink": f"http://me:{NOTE}@x {own}"}), view(11.0))
        yield own


def test_no_planted_secret_is_in_the_archive(planted, tmp_path, capsys):
    assert cli.run(["bundle", "b.tar.gz"]) == Exit.OK
    told = capsys.readouterr().out
    found = members(tmp_path / "b.tar.gz")
    text = "\n".join(found.values()) + told
    for secret in (
        planted,
        URL_PASSWORD,
        QUOTED,
        CONTEXT_TOKEN,
        ENVIRONMENT,
        BEARER,
        PEM,
        NOTE,
        JWT,
        HOOK,
        HOOK_KEY,
        MODEL_KEY,
    ):
        assert secret not in text, secret
        assert base64.b64encode(secret.encode()).decode() not in text
    assert '"detail": "***' in found["incidents.json"]  # it was there, and was taken out
    assert "incident.updated" in found["events.json"]


def test_it_holds_what_a_bug_report_needs(planted, tmp_path, capsys):
    assert cli.run(["bundle", "b.tar.gz", "--json"]) == Exit.OK
    told = json.loads(capsys.readouterr().out)
    found = members(tmp_path / "b.tar.gz")
    assert set(told["members"]) == set(found)
    assert {"about.json", "settings.json", "doctor.json", "incidents.json", "events.json", "metrics.txt"} <= set(found)
    assert {"controller/mesh_status.json", "controller/list_plans.json", "missing.json"} <= set(found)
    assert json.loads(found["incidents.json"])[0]["timeline"][0]["type"] == "incident.opened"
    assert "x0tta6bl4_" in found["metrics.txt"]
    assert "store.json" in json.loads(found["missing.json"])  # nothing answers at that URL, and that is told
    assert (tmp_path / "b.tar.gz").stat().st_mode & 0o777 == 0o600
    for name, content in found.items():
        if name.endswith(".json"):
            json.loads(content)


def test_without_a_controller_the_rest_is_collected(tmp_path, capsys):
    assert cli.run(["bundle", "b.tar.gz"]) == Exit.OK
    assert "without controller: no controller answers" in capsys.readouterr().out
    assert {"about.json", "settings.json", "doctor.json"} <= set(members(tmp_path / "b.tar.gz"))


def test_wrong_settings_do_not_stop_it(tmp_path, capsys):
    (tmp_path / "x0tta6bl4.toml").write_text("[store]\nurl = 7\npassword = 'hush-hush'\n")
    assert cli.run(["bundle", "b.tar.gz"]) == Exit.OK
    found = members(tmp_path / "b.tar.gz")
    assert "store." in json.loads(found["settings.json"])["error"]
    assert "hush-hush" not in "".join(found.values())


def test_a_file_is_replaced_by_force_only(tmp_path, capsys):
    (tmp_path / "b.tar.gz").write_text("mine")
    assert cli.run(["bundle", "b.tar.gz"]) == Exit.USAGE
    assert (tmp_path / "b.tar.gz").read_text() == "mine"
    assert cli.run(["bundle", "b.tar.gz", "--force"]) == Exit.OK
    assert tarfile.is_tarfile(tmp_path / "b.tar.gz")
    assert cli.run(["bundle", str(tmp_path), "--force"]) == Exit.USAGE
    assert cli.run(["bundle", "none/b.tar.gz"]) == Exit.FAILED
    assert [path.name for path in tmp_path.glob(".b.tar.gz*")] == []


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("no secrets here; hop_penalty=200", "no secrets here; hop_penalty=200"),
        ("token_file = '/var/lib/x/token'", "token_file = '/var/lib/x/token'"),
        ("api_key: abc, more", "api_key: ***, more"),
        ('{"client_secret": "a b"}', '{"client_secret": ***}'),
        ("https://me@host/x http://a:b@host", "https://me@host/x http://a:***@host"),
        ("Proxy-Authorization: Basic dXNlcjpwYXNz", "Proxy-Authorization: Basic ***"),
        ("Cookie: session=abc; theme=dark\nHost: x", "Cookie: ***\nHost: x"),
        ("Authorization: Token 0123abcd, more", "Authorization: Token ***, more"),
        ("wpa pwd=abc psk=hushhush end", "wpa pwd=*** psk=*** end"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc", "***"),
    ],
)
def test_what_looks_like_a_secret_goes_and_the_rest_stays(text, left):
    assert redact.clean(text, ()) == left


def test_of_a_webhook_only_the_host_is_shown(monkeypatch, capsys):
    monkeypatch.setenv("X0T_ALERTS__URL", f"https://hooks.example/{HOOK}?key={HOOK_KEY}")
    assert cli.run(["config", "show"]) == Exit.OK
    told = capsys.readouterr().out
    assert "https://hooks.example/***" in told
    assert HOOK not in told
    assert HOOK_KEY not in told


def test_documents_keep_their_shape():
    document = {"token": "x", "empty_token": "", "a": [{"password": 7}], "n": 1.5, "b": None, "k-hushhush": True}
    assert redact.cleaned(document, ["hushhush"]) == {
        "token": "***",
        "empty_token": "",
        "a": [{"password": "***"}],
        "n": 1.5,
        "b": None,
        "k-***": True,
    }
