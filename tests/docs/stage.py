"""Where the documents' shell blocks run: a copy of what they touch, a home, a controller, and stand-ins.

Each page gets a stage of its own. Its blocks are run as they are printed, by bash, one after the other in one
directory; only ports and the names of other machines are replaced. What cannot run on any machine is listed in
`elsewhere.py`, with the reason: a stand-in notes the call, the test checks it in another way and prints it.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import certifi
import psutil
from elsewhere import ASKS, ELSEWHERE, OWN
from pages import ROOT

COPIED = ("benchmarks", "deploy", "docs", "examples", "scripts", "README.md", "CHANGELOG.md", "pyproject.toml")
REAL_SCRIPTS = ("health-check.sh",)  # harmless, and quick
NOTE = """#!/bin/sh
echo "{name} $*" >>"$STAGE/elsewhere"
"""
START = """#!/bin/sh
echo "scripts/start.sh $*" >>"$STAGE/elsewhere"
[ -z "${X0TTA6BL4_NO_START:-}" ] || exit 0
exec x0t demo "$@"
"""
PYTHON = """#!/bin/sh
case "$1" in benchmarks/*) echo "python $*" >>"$STAGE/elsewhere" ;; *) exec "{python}" "$@" ;; esac
"""


class Stage:
    """One page's directory, environment and controller. Use it in `with`."""

    def __init__(self, folder):
        self.folder, self.home, self.work = folder, folder / "home", folder / "work"
        self.port = _free_port()
        self.elsewhere = folder / "elsewhere"
        self.token = self.home / ".local/state/x0tta6bl4/token"
        for made in (self.token.parent, self.work / ".venv/bin", folder / "bin"):
            made.mkdir(parents=True)
        self._furnish()
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("X0T_", "PYTEST"))},
            "HOME": str(self.home),
            "STAGE": str(folder),
            "STAGE_CODE": str(Path(__file__).parent),
            "PATH": f"{folder}/bin:{Path(sys.executable).parent}:/usr/bin:/bin",
            "X0T_API__PORT": str(self.port),
            "X0T_STORE__DIRECTORY": str(self.token.parent),
            "XDG_STATE_HOME": str(self.home / ".local/state"),
            "NO_COLOR": "1",
            "COLUMNS": "120",
            "no_proxy": "*",
        }

    def __enter__(self):
        return self

    def __exit__(self, *_):
        started = [int(file.stem) for file in self.folder.glob("*.pid")]
        for pid in filter(_alive, started):
            os.kill(pid, signal.SIGINT)
        end = time.monotonic() + 15
        while any(map(_alive, started)):
            assert time.monotonic() < end, "what a document starts ends with Ctrl-C"
            time.sleep(0.05)

    def run(self, text, seconds=60):
        """Run one block as printed; returns (exit code, standard output, standard error)."""
        script = "set -euo pipefail\n" + self.localised(text)
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.work, env=self.env, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL,
            check=False,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    def localised(self, text):
        """The block with this stage's port, and with this stage in the place of other machines."""
        here = f"127.0.0.1:{self.port}"
        return text.replace("127.0.0.1:8000", here).replace("https://roof.example:8443", f"http://{here}")

    def prepare(self, text):
        """Start what a page takes for granted: a controller that answers, and files that its reader has."""
        self.token.write_text(secrets.token_hex(32), encoding="ascii")
        self.token.chmod(0o600)
        shutil.copy(self.token, self.home / "roof.token")
        shutil.copy(certifi.where(), self.home / "roof-ca.pem")
        if ASKS.search(text) and not OWN.search(text):
            code, _, told = self.run("x0t demo")
            assert code == 0, told

    def noted(self):
        """Calls that were noted instead of run: (program, its arguments as one text)."""
        lines = self.elsewhere.read_text(encoding="utf-8").splitlines() if self.elsewhere.exists() else []
        return [tuple(line.partition(" ")[::2]) for line in lines]

    def _furnish(self):
        for thing in COPIED:
            source, copy = ROOT / thing, self.work / thing
            shutil.copytree(source, copy) if source.is_dir() else shutil.copy(source, copy)
        for script in (self.work / "scripts").glob("*.sh"):
            if script.name not in REAL_SCRIPTS:
                self._put(script, NOTE.format(name=f"scripts/{script.name}"))
        self._put(self.work / "scripts/start.sh", START)
        for program in ELSEWHERE:
            if program != "promtool" or shutil.which("promtool") is None:
                self._put(self.folder / "bin" / program, NOTE.format(name=program))
        self._put(self.folder / "bin/python", PYTHON.format(python=sys.executable))
        x0t = (Path(__file__).parent / "x0t_on_stage.py").read_text(encoding="utf-8")
        for place in (self.folder / "bin/x0t", self.work / ".venv/bin/x0t"):
            self._put(place, f"#!{sys.executable}\n{x0t}")

    @staticmethod
    def _put(path, text):
        path.unlink(missing_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)


def _alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
