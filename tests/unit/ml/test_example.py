"""The example heals a real process, and what the how-to page shows is what happens."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/how-to/heal-your-own-service.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.mark.slow
def test_a_real_service_that_leaks_is_healed():
    done = run("examples/service_that_leaks.py", "--leaks", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    before, after = (float(value) for value in re.search(r"memory_mb\s+([\d.]+)\s+([\d.]+)", done.stdout).groups())
    assert before > 120 > after
    assert done.stdout.index("-> clear_cache: cleared") < done.stdout.index("-> restart: a new worker")
    assert "learned: clear_cache helped 0 of 1, restart helped 1 of 1" in done.stdout


@pytest.mark.parametrize(("code", "printed"), SHOWN, ids=range(len(SHOWN)))
def test_the_page_shows_what_happens(code, printed):
    done = run("-c", code)
    assert (done.stdout, done.stderr) == (printed, "")


def test_every_block_of_the_page_is_run():
    assert len(SHOWN) == PAGE.count("```python") == 3
