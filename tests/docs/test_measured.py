"""The README's tables of the real kernel are what their scores say, and those are whole: nothing in it is typed in."""

import json
import shutil
import subprocess
import sys

import pytest
from pages import ROOT

from x0tta6bl4.lab import scenarios

TABLES = {"vm": ["vm-iv.json", "vm-v.json"], "tuned": ["vm-tuned.json"]}
MESHES = {"vm": {("BATMAN_IV", "default"), ("BATMAN_V", "default")}, "tuned": {("BATMAN_IV", "tuned")}}


def scores(table):
    return [ROOT / "benchmarks/results" / name for name in TABLES[table]]


@pytest.mark.parametrize("table", TABLES)
def test_a_table_of_the_real_kernel_is_what_its_scores_say(table, tmp_path):
    page = tmp_path / "README.md"
    shutil.copy(ROOT / "README.md", page)
    command = [sys.executable, ROOT / "benchmarks/table.py", *scores(table), "--into", page, "--name", table]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert page.read_text() == (ROOT / "README.md").read_text()


@pytest.mark.parametrize("table", TABLES)
def test_every_scenario_was_run_on_the_real_kernel_both_ways(table):
    documents = [json.loads(path.read_text()) for path in scores(table)]
    runs = [run for one in documents for run in (*one["runs"], *one["other_runs"])]
    assert {run["backend"] for run in runs} == {"vm"}
    done = {(run["scenario"], run["algorithm"], run["tuning"], run["controller"]) for run in runs if not run["invalid"]}
    assert done == {(name, *mesh, on) for name in scenarios.builtin() for mesh in MESHES[table] for on in (True, False)}
