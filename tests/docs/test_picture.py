"""The picture of the README is what its script draws, the same for the same seed, and it shows a fault healed."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from pages import ROOT

SCRIPT = ROOT / "scripts/picture.py"
WORDS = (
    "Without the controller:",
    "With the controller: found after",
    "fault: ",
    "incident opened: ",
    "action applied: ",
    "action proved: ",
    "action undone: ",
    "incident closed: ",
)


def draw(path, *arguments, hashes="1"):
    environment = {**os.environ, "PYTHONHASHSEED": hashes}
    command = [sys.executable, SCRIPT, "--into", path, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=110, check=False)


def words(svg):
    return [element.text or "" for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.slow
def test_the_picture_is_what_the_script_draws_today_whatever_the_order_of_sets(tmp_path):
    done = draw(tmp_path / "picture.svg", hashes="2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "not well again while it lasted" in done.stdout
    drawn = (tmp_path / "picture.svg").read_bytes()
    assert drawn == (ROOT / "docs/picture.svg").read_bytes(), "draw it anew: python scripts/picture.py"


def test_the_picture_says_where_it_comes_from_and_shows_what_it_promises():
    shown = words((ROOT / "docs/picture.svg").read_bytes())
    assert any("drawn by scripts/picture.py --scenario loss-40 --backend sim --seed 1" in text for text in shown)
    assert all(any(word in text for text in shown) for word in WORDS)


def test_a_wrong_scenario_is_one_line(tmp_path):
    done = draw(tmp_path / "x.svg", "--scenario", "none")
    assert done.returncode == 1
    assert done.stderr.startswith("error: scenario: got 'none', allowed: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "x.svg").exists()
