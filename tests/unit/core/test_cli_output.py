"""What all commands share: help, exit codes, colour, asking, repeating, completion, ids, durations."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.text import Text

from terminal import terminal
from x0tta6bl4 import cli, errors
from x0tta6bl4.client import Client, Unreachable
from x0tta6bl4.core.commands import ids, output
from x0tta6bl4.core.commands.contexts import Contexts
from x0tta6bl4.core.commands.output import MEANING, Exit
from x0tta6bl4.core.commands.toml import toml
from x0tta6bl4.errors import ConfigError


def commands(app=cli.app, prefix=()):
    for command in app.registered_commands:
        yield *prefix, command.name or command.callback.__name__
    for group in app.registered_groups:
        yield from commands(group.typer_instance, (*prefix, group.name))


def test_help_is_grouped_and_names_every_exit_code(capsys):
    assert cli.run(["--help"]) == Exit.OK
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    panels = [text.index(panel) for panel in cli.PANELS]
    assert panels == sorted(panels)
    for code, words in MEANING.items():
        assert f"{code.value} {words}" in text
    assert set(MEANING) == set(Exit)


def described(app=cli.app, prefix="x0t"):
    """Every command with its first words."""
    for command in app.registered_commands:
        words = command.help if isinstance(command.help, str) else command.callback.__doc__
        yield f"{prefix} {command.name or command.callback.__name__}", words.strip().splitlines()[0]
    for group in app.registered_groups:
        yield from described(group.typer_instance, f"{prefix} {group.name}")


def test_the_page_of_the_reference_names_every_command_and_exit_code():
    page = (Path(__file__).resolve().parents[3] / "docs/reference/cli.md").read_text(encoding="utf-8")
    written = {line for line in page.splitlines() if line.startswith("| `x0t ")}
    assert written == {f"| `{name}` | {words} |" for name, words in described()}
    for code, words in MEANING.items():
        assert f"| {code.value} | {words} |" in page


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_every_command_says_what_it_does(capsys, command):
    assert cli.run([*command, "--help"]) == Exit.OK
    assert len(capsys.readouterr().out.splitlines()) > 5


def test_each_error_has_its_code():
    assert output.code_of(Unreachable("x")) is Exit.UNREACHABLE
    assert output.code_of(ConfigError("a", 1, "b")) is Exit.USAGE
    assert output.code_of(errors.NotSupported("x")) is Exit.UNSUPPORTED
    assert output.code_of(errors.StoreError("x")) is Exit.FAILED


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(capsys, shell):
    assert cli.run(["completion", shell]) == Exit.OK
    script = capsys.readouterr().out
    assert f"_X0T_COMPLETE=complete_{shell}" in script
    assert cli.run(["completion", "tcsh"]) == Exit.USAGE


def test_a_shell_gets_its_completions():
    asked = {**os.environ, "_X0T_COMPLETE": "complete_bash", "COMP_WORDS": "x0t cont", "COMP_CWORD": "1"}
    program = "import sys; sys.argv = ['x0t']; from x0tta6bl4.cli import main; main()"
    told = subprocess.run([sys.executable, "-c", program], env=asked, capture_output=True, text=True, check=False)
    assert told.stdout.split() == ["control", "context"]


@pytest.fixture
def state(tmp_path, monkeypatch):
    for name in os.environ:
        if name.startswith("X0T_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("X0T_STORE__DIRECTORY", str(tmp_path / "state"))


def test_no_is_no(state):
    with terminal(b"n\n") as shown:
        assert cli.run(["control", "kill", "--reason", "x"]) == Exit.FAILED
    assert b"Pull the kill switch of the whole mesh? [y/N]" in b"".join(shown)


def test_yes_goes_on(state):
    with terminal(b"y\n") as shown:
        assert cli.run(["control", "kill", "--reason", "x"]) == Exit.UNREACHABLE  # there is no controller here
    assert b"no controller answers" in b"".join(shown)


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_is_for_terminals_that_want_it(monkeypatch, variables, coloured):
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with terminal() as shown:
        output.console().print(Text("red", "red"))
    assert (b"\x1b[31m" in b"".join(shown)) == coloured


def test_a_terminal_is_sent_nothing_that_it_would_obey(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    hostile = "a\x1b]0;title\x07b\u202ec\x9bd\x7fe\rf"
    output.console().print(output.grid(hostile, [{hostile: hostile}], hostile), Text(hostile, "bold"), hostile)
    told = capsys.readouterr().out
    assert "\x1b[1m" in told  # its own colours
    assert not {"\x07", "\u202e", "\x9b", "\x7f", "\r"} & set(told)
    assert "\x1b]" not in told
    assert json.loads(output.dumped({"x": hostile})) == {"x": hostile}
    assert output.dumped({"x": hostile}).isprintable()


def test_repeating_on_a_terminal_stays_in_one_place():
    numbers = iter(range(2))

    def fetch():
        number = next(numbers, None)
        if number is None:
            raise KeyboardInterrupt
        return {"n": number}

    with terminal() as shown:
        output.show(fetch, output.facts, as_json=False, every_s=0.01)
    assert b"\x1b[?1049h" in b"".join(shown)  # the other screen
    assert b"\x1b[?1049l" in b"".join(shown)  # and back


def test_repeating_prints_again_until_it_is_interrupted(capsys):
    numbers = itertools.count(1)

    def fetch():
        number = next(numbers)
        if number > 3:
            raise KeyboardInterrupt
        return {"n": number}

    output.show(fetch, output.facts, as_json=True, every_s=0.01)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [{"n": 1}, {"n": 2}, {"n": 3}]
    numbers = itertools.count(1)
    output.show(fetch, output.facts, as_json=False, every_s=0.01)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [["n", "1"], ["n", "2"], ["n", "3"]]


def test_members_of_members_have_dotted_names(capsys):
    output.console().print(output.facts({"a": {"b": {"c": 1.0}, "d": []}, "e": None}))
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [["a.b.c", "1"], ["a.d", "-"], ["e", "-"]]


def test_risks_that_say_the_same_are_said_once():
    same = [{"title": "t", "remedy": "r", "component": f"node/n{n}"} for n in range(1, 6)]
    assert [where for _, where in output.alike([*same, {**same[0], "title": "u"}])] == [
        "node/n1, node/n2, node/n3 and 2 more",
        "node/n1",
    ]


class Lists(Client):
    """Gives ids instead of asking for them."""

    def __init__(self, *rows):
        super().__init__("http://127.0.0.1:1")
        self.rows = rows

    def list_plans(self, *, limit=None, cursor=None):
        return {"items": [{"id": row} for row in self.rows], "next": None}


def test_the_end_of_an_id_names_it():
    whole = "019a5b3e-8c1d-7000-8000-000000000001"
    with Lists(whole, "aa", "ba") as client:
        assert ids.plan_id(client, whole[-8:]) == whole
        assert ids.plan_id(client, "last") == whole
        assert ids.plan_id(client, "unknown") == "unknown"
        with pytest.raises(ConfigError, match="more of it, one of aa, ba"):
            ids.plan_id(client, "a")
    with Lists() as client, pytest.raises(ConfigError, match="there is none yet"):
        ids.plan_id(client, "last")


def test_toml_says_the_same():
    import tomllib

    document = {"a": {"x": 1, "y": {"k.k": 'é"\n', "z": [1, 2]}, "rows": [{"n": {"m": True}}]}}
    assert tomllib.loads(toml(document)) == document


def test_contexts_begin_empty(state):
    from x0tta6bl4.core.commands import contexts

    assert contexts.read() == Contexts()
