"""Every block of every document is run as printed, or checked in another way that is printed; none is skipped."""

import configparser
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from elsewhere import ELSEWHERE, ELSEWHERE_X0T
from pages import PAGES, ROOT, blocks, name
from stage import Stage

from x0tta6bl4.core.settings import Settings, load
from x0tta6bl4.lab import scenarios

CHECKED_HERE = ("sh", "python", "toml", "yaml", "json", "ini", "text", "")
API = ROOT / "docs/reference/API_ENDPOINTS_REFERENCE.md"  # its blocks: test_api_page.py
X0T = [sys.executable, "-m", "x0tta6bl4"]
DRIVER = """
import contextlib, io, json, sys
space = {"__name__": "page"}
for text in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as told:
        exec(compile(text, "block", "exec"), space)
    print(json.dumps(told.getvalue()))
"""


def with_blocks(*languages):
    return [page for page in PAGES if page != API and {one.language for one in blocks(page)} & set(languages)]


def of(page, *languages):
    return [one for one in blocks(page) if one.language in languages]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_is_of_a_kind_that_is_checked(page):
    if page != API:
        assert [(one.line, one.language) for one in blocks(page) if one.language not in CHECKED_HERE] == []


@pytest.mark.parametrize("page", with_blocks("python"), ids=name)
def test_the_python_blocks_of_a_page_run_one_after_the_other(page, tmp_path):
    listed = of(page, "python")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", DRIVER], input=json.dumps([one.text for one in listed]),
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    for one, told in zip(listed, map(json.loads, done.stdout.splitlines()), strict=True):
        assert one.output in (None, told), f"line {one.line}"


@pytest.mark.parametrize("page", with_blocks("toml", "yaml", "ini", "json"), ids=name)
def test_files_that_a_page_shows_are_valid(page, tmp_path):
    for one in of(page, "toml"):
        document = tomllib.loads(one.text)
        if set(document) <= set(Settings.model_fields):
            (tmp_path / "x0tta6bl4.toml").write_text(one.text, encoding="utf-8")
            assert load(tmp_path / "x0tta6bl4.toml", dotenv=None)
        else:
            assert list(document) == ["project"], f"line {one.line}: neither settings nor a project"
    for one in of(page, "yaml"):
        document = yaml.safe_load(one.text)
        if "topology" in document:
            assert scenarios.from_document(document).title
        else:
            assert all(job["job_name"] for job in document["scrape_configs"]), f"line {one.line}: what is it?"
    for one in of(page, "ini"):
        unit = configparser.ConfigParser()
        unit.read_string(one.text)
        program, _, arguments = unit["Service"]["ExecStart"].partition(" ")
        assert Path(program).name == "x0t"
        options_exist(X0T, arguments)
    for one in of(page, "json"):
        json.loads(one.text)


@pytest.mark.slow
@pytest.mark.parametrize("page", with_blocks("sh"), ids=name)
def test_the_shell_blocks_of_a_page_run_one_after_the_other(page, tmp_path, capsys):
    listed = of(page, "sh")
    with Stage(tmp_path / "stage") as stage:
        stage.prepare("".join(one.text for one in listed))
        for one in listed:
            code, told, errors = stage.run(one.text)
            assert code == 0, f"{name(page)}:{one.line}: exit code {code}\n{told}{errors}"
            if one.output is not None:
                assert shape(one.output) in map(shape, told.splitlines()), f"{name(page)}:{one.line}: printed\n{told}"
        for program, arguments in stage.noted():
            why = checked_elsewhere(program, arguments)
            with capsys.disabled():
                print(f"\n{name(page)}: not run: {program} {arguments} ({why})", end="")


def shape(text):
    """The first line without its numbers, ids and spacing."""
    words = next(iter(text.strip().splitlines()), "").split()
    return " ".join(re.sub(r"[0-9a-f]*\d[0-9a-f]*", "#", word) for word in words)


def checked_elsewhere(program, arguments):
    """Check what was noted as far as it can be; returns why it was not run."""
    if program == "x0t":
        options_exist(X0T, arguments)
        return "needs " + next(why for pattern, why in ELSEWHERE_X0T.items() if re.search(pattern, arguments))
    if program == "python":
        script, _, rest = arguments.partition(" ")
        options_exist([sys.executable, str(ROOT / script)], rest)
        return "takes minutes"
    if program.startswith("scripts/"):
        script = ROOT / program
        assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
        text = script.read_text(encoding="utf-8")
        assert all(option in text for option in re.findall(r"--[a-z-]+", arguments) if program != "scripts/start.sh")
        return "changes this machine"
    if arguments.startswith("x0t "):  # sudo x0t ...
        options_exist(X0T, arguments.removeprefix("x0t "))
    return f"needs {ELSEWHERE[program]}"


def options_exist(command, arguments):
    """`--help` of the command that `arguments` begins with lists all options in it."""
    words = re.match(r"(?:[a-z]+ ?){0,2}", arguments)[0].split() if command == X0T else []
    while True:
        done = subprocess.run([*command, *words, "--help"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        assert words, f"{command}: no --help"
        words.pop()
    for option in re.findall(r"--[a-z-]+", arguments):
        assert option in done.stdout, f"{' '.join(words)} has no {option}"


def test_nothing_is_listed_as_not_runnable_that_no_document_uses():
    shown = "\n".join(one.text for page in PAGES for one in of(page, "sh"))
    assert [program for program in ELSEWHERE if not re.search(rf"(?<![\w.-]){re.escape(program)} ", shown)] == []


def test_the_stage_notices_what_is_wrong(tmp_path):
    with Stage(tmp_path / "stage") as stage:
        assert stage.run("x0t no-such-command")[0] == 2
        assert stage.run("false\ntrue")[0] == 1
        assert stage.run("scripts/no-such-script.sh")[0] == 127
        assert stage.run("docker run x | cat")[0] == 0
        assert stage.noted() == [("docker", "run x")]
    with pytest.raises(AssertionError, match="--no-such"):
        checked_elsewhere("x0t", "run --no-such")
    with pytest.raises(AssertionError):
        checked_elsewhere("scripts/none.sh", "")
