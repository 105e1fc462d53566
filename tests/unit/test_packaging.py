"""What a person installs: names, metadata, scripts."""

import os
import re
import subprocess
import tomllib
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

import x0tta6bl4

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SCRIPTS = sorted([*ROOT.glob("scripts/*.sh"), ROOT / ".ci" / "run"])


def test_version_is_the_projects():
    assert x0tta6bl4.__version__ == version("x0tta6bl4") == PROJECT["version"]


def test_both_commands_lead_to_main():
    found = {point.name: point.value for point in entry_points(group="console_scripts") if "x0t" in point.name}
    assert found == {"x0t": "x0tta6bl4.cli:main", "x0tta6bl4": "x0tta6bl4.cli:main"}


def test_the_package_says_that_it_is_typed():
    assert (Path(x0tta6bl4.__file__).parent / "py.typed").is_file()


def test_the_control_process_needs_no_torch():
    names = {re.split(r"[<>=;\[ ]", line)[0] for line in PROJECT["dependencies"]}
    assert not names & {"torch", "onnxruntime"}
    assert not any("torch" in line for line in PROJECT["optional-dependencies"]["ml"])


def test_the_lock_pins_what_the_project_needs_and_names_no_host():
    lines = (ROOT / "requirements-ci.lock").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", name) for name in pins)
    normal = {re.sub(r"[-_.]+", "-", name).lower() for name in pins}
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    missing = {re.sub(r"[-_.]+", "-", re.split(r"[<>=;\[ ]", line)[0]).lower() for line in wanted} - normal
    assert missing == set()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse(script):
    subprocess.run(["bash", "-n", str(script)], check=True)
    if script.name != "venv.sh":
        assert os.access(script, os.X_OK)
        assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")


def test_core_imports_without_linux_and_without_the_lab():
    code = (
        "import sys\n"
        "sys.modules['pyroute2'] = None\n"
        "import x0tta6bl4.model, x0tta6bl4.ports, x0tta6bl4.catalog, x0tta6bl4.mape_k\n"
        "import x0tta6bl4.core.app, x0tta6bl4.cli\n"
        "assert not any(name.startswith(('torch', 'onnxruntime', 'pyroute2.')) for name in sys.modules)\n"
    )
    subprocess.run([os.sys.executable, "-c", code], check=True)
