"""The README's table of the real kernel is what its scores say, and they are whole: nothing in it is typed in."""

import json
import shutil
import subprocess
import sys

from pages import ROOT

from x0tta6bl4.lab import scenarios

RESULTS = ROOT / "benchmarks/results"
SCORES = [RESULTS / "vm-iv.json", RESULTS / "vm-v.json"]


def test_the_table_of_the_real_kernel_is_what_its_scores_say(tmp_path):
    page = tmp_path / "README.md"
    shutil.copy(ROOT / "README.md", page)
    command = [sys.executable, ROOT / "benchmarks/table.py", *SCORES, "--into", page, "--name", "vm"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert page.read_text() == (ROOT / "README.md").read_text()


def test_every_scenario_was_run_on_the_real_kernel_both_ways_with_both_algorithms():
    runs = [run for path in SCORES for run in json.loads(path.read_text())["runs"]]
    assert {run["backend"] for run in runs} == {"vm"}
    done = {(run["scenario"], run["algorithm"], run["controller"]) for run in runs if not run["invalid"]}
    assert done == {
        (name, algorithm, controller)
        for name in scenarios.builtin()
        for algorithm in ("BATMAN_IV", "BATMAN_V")
        for controller in (True, False)
    }
