"""`x0t context` and `--context`: which controller a command talks to, and that no token is kept in the file."""

import json
import shlex
import shutil
from pathlib import Path

import certifi
import pytest

from x0tta6bl4 import cli
from x0tta6bl4.core.commands import connection, contexts
from x0tta6bl4.core.commands.output import Exit
from x0tta6bl4.errors import ConfigError

TOKEN = "k" * 43


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("X0T_STORE__DIRECTORY", str(tmp_path / "state"))
    monkeypatch.delenv("X0T_CONTEXT", raising=False)
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o600)
    return tmp_path / "config" / "x0tta6bl4" / "contexts.toml"


def called(capsys, *arguments, code=Exit.OK):
    assert cli.run(arguments) == code
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    return told.out if code == Exit.OK else told.err


def add(capsys, name="roof", url="http://127.0.0.1:1", *more, code=Exit.OK):
    return called(capsys, "context", "add", name, url, "--token-file", "token", *more, code=code)


def test_a_context_is_added_used_listed_and_removed(capsys, place, tmp_path):
    assert "added roof" in add(capsys)
    assert place.stat().st_mode & 0o777 == 0o600
    assert TOKEN not in place.read_text()
    assert str(tmp_path / "token") in place.read_text()
    assert called(capsys, "context", "use", "roof") == "commands now talk to roof\n"
    assert "*  roof   http://127.0.0.1:1" in called(capsys, "context", "list")
    rows = json.loads(called(capsys, "context", "list", "--json"))["items"]
    assert [(row["name"], row["current"]) for row in rows] == [("roof", True)]
    assert "at http://127.0.0.1:1 " in called(capsys, "status", code=Exit.UNREACHABLE)
    assert called(capsys, "context", "use", "local") == "commands now talk to local\n"
    assert "no token in" in called(capsys, "status", code=Exit.UNREACHABLE)
    assert json.loads(called(capsys, "context", "use", "roof", "--json")) == {"current": "roof"}
    called(capsys, "context", "remove", "roof")
    assert contexts.read() == contexts.Contexts()


def test_an_error_under_json_is_one_problem_object(capsys):
    told = json.loads(called(capsys, "context", "use", "nobody", "--json", code=Exit.USAGE))
    assert (told["field"], told["value"], told["exit_code"]) == ("context", "nobody", 2)
    assert told["detail"].startswith("context: got 'nobody'")
    add(capsys)
    called(capsys, "context", "use", "roof")
    told = json.loads(called(capsys, "status", "--json", code=Exit.UNREACHABLE))
    assert (told["title"], told["exit_code"]) == ("no controller answers", 3)
    assert "x0t doctor" in told["detail"]
    assert called(capsys, "status", code=Exit.UNREACHABLE).startswith("error: ")  # asked for once, not for ever


def test_the_option_wins_over_the_variable_and_that_over_the_one_in_use(capsys, monkeypatch):
    for number, name in enumerate(("used", "variable", "option"), 1):
        add(capsys, name, f"http://127.0.0.1:{number}")
    called(capsys, "context", "use", "used")
    assert ":1 " in called(capsys, "status", code=Exit.UNREACHABLE)
    monkeypatch.setenv("X0T_CONTEXT", "variable")
    assert ":2 " in called(capsys, "status", code=Exit.UNREACHABLE)
    assert ":3 " in called(capsys, "--context", "option", "status", code=Exit.UNREACHABLE)


def test_an_unknown_one_is_told_with_the_known_ones(capsys):
    add(capsys)
    assert "context: got 'attic', allowed: roof" in called(capsys, "--context", "attic", "status", code=Exit.USAGE)
    assert "got 'attic'" in called(capsys, "context", "use", "attic", code=Exit.USAGE)
    assert "got 'attic'" in called(capsys, "context", "remove", "attic", code=Exit.USAGE)


@pytest.mark.parametrize("name", ["local", "a b", "", "x" * 65, "a/b"])
def test_names_are_checked(capsys, name):
    assert "error: name: got" in add(capsys, name, code=Exit.USAGE)


def test_what_cannot_be_used_is_refused_when_it_is_added(capsys, tmp_path):
    assert "error: url: got" in add(capsys, "roof", "http://me:hush@x", code=Exit.USAGE)
    assert "PEM file" in add(capsys, "roof", "https://x", "--ca-file", "none", code=Exit.USAGE)
    (tmp_path / "token").chmod(0o644)
    assert "mode 0600" in add(capsys, code=Exit.USAGE)
    assert contexts.read().known == {}


def test_the_how_to_works_as_it_stands(capsys, monkeypatch, tmp_path):
    page = (Path(__file__).resolve().parents[3] / "docs/how-to/contexts.md").read_text(encoding="utf-8")
    block = page.split("```sh\n")[1].split("```")[0].replace("https://roof.example:8443", "https://127.0.0.1:1")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "token").rename(tmp_path / "roof.token")
    shutil.copy(certifi.where(), tmp_path / "roof-ca.pem")
    for line in block.splitlines():
        program, *arguments = shlex.split(line.replace("~", str(tmp_path)))
        assert program == "x0t"
        assert cli.run(arguments) == (Exit.UNREACHABLE if arguments == ["status"] else Exit.OK)
    assert "https://127.0.0.1:1 " in capsys.readouterr().err


def test_one_of_the_same_name_is_replaced_by_force_only(capsys):
    add(capsys)
    assert "--force" in add(capsys, "roof", "http://127.0.0.1:2", code=Exit.USAGE)
    add(capsys, "roof", "http://127.0.0.1:2", "--force")
    assert contexts.read().known["roof"].url == "http://127.0.0.1:2"


def test_clear_text_over_a_network_is_warned_of(capsys):
    arguments = ("context", "add", "far", "http://192.0.2.1:8000", "--token-file", "token")
    assert cli.run(arguments) == Exit.OK
    assert "clear text" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["odd", "[use]\ncontext = 1\n[extra]\n", "[context.a]\nurl = 'x'\n", "[context.a]\nodd = 1\n", "use = 1\n"]
)
def test_a_file_that_makes_no_sense_is_named(place, text):
    place.parent.mkdir(parents=True)
    place.write_text(text)
    place.chmod(0o600)
    with pytest.raises(ConfigError, match="contexts"):
        contexts.read()


def test_a_file_that_others_can_read_is_refused(capsys, place):
    add(capsys)
    place.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        contexts.read()


def test_a_name_with_a_dot_survives(capsys):
    add(capsys, "site.roof-1")
    assert list(contexts.read().known) == ["site.roof-1"]


def test_a_target_never_shows_its_token(capsys):
    add(capsys)
    called(capsys, "context", "use", "roof")
    assert TOKEN not in repr(connection.target())
