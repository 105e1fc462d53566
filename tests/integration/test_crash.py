"""The crash benchmark, short: five kills of the real agent, and nothing that it said or did is lost or left."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "crash.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="kills and waits as Linux does")
def test_five_kills_lose_nothing_and_leave_nothing(tmp_path):
    command = [sys.executable, str(BENCHMARK), "--kills", "5", "--json", str(tmp_path / "crash.json")]
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert told.returncode == 0, told.stdout + told.stderr
    figures = json.loads((tmp_path / "crash.json").read_text())
    for key in ("lost", "issued_twice", "left_unproven", "commits_refused", "numbers_used_twice"):
        assert figures[key] == 0, key
    assert figures["acknowledged_incidents"] >= 1
    assert figures["acknowledged_outcomes"] >= 1
    assert figures["kills"] == 5


def test_a_wrong_number_of_kills_is_refused():
    told = subprocess.run(
        [sys.executable, str(BENCHMARK), "--kills", "0"], capture_output=True, text=True, check=False, timeout=60
    )
    assert told.returncode == 2
    assert "--kills: got 0" in told.stderr
