"""The `host` backend: the same namespaces on this machine's kernel, where that has batman-adv. Needs root."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import x0tta6bl4
from x0tta6bl4.errors import NotSupported, Permanent
from x0tta6bl4.lab.remote import LabProcess, connect, free_port, write_token

ANSWER_S: Final = 60.0  # for a machine that is slow or busy; one that ends is not waited for
LOCK: Final = Path("/run/x0tta6bl4-lab.lock")
MODULE: Final = Path("/sys/module/batman_adv")


def missing() -> str:
    """Why the backend cannot be used here, "" where it can."""
    if sys.platform != "linux":
        return f"network namespaces are Linux's, this is {sys.platform}"
    if os.geteuid() != 0:
        return "needs root for network namespaces"
    if not MODULE.is_dir():
        try:
            subprocess.run(["modprobe", "-q", "batman-adv"], check=False, capture_output=True)  # noqa: S607 -- the system's
        except FileNotFoundError:
            return "no modprobe here"
    if not MODULE.is_dir():
        return f"this kernel ({os.uname().release}) has no batman-adv: use the vm backend (scripts/install-lab.sh)"
    return ""


def start(*, extra_path: tuple[Path, ...] = (), progress: Callable[[str], None] = lambda doing: None) -> LabProcess:
    """Start a lab process on this machine; raises NotSupported with what is missing, Permanent where it fails.

    progress: as of `vm.start`.
    """
    reason = missing()
    if reason:
        raise NotSupported(f"lab backend host: {reason}")
    began = time.monotonic()
    work = tempfile.TemporaryDirectory(prefix="x0t-lab-", ignore_cleanup_errors=True)
    token_file, token = write_token(Path(work.name))
    package = Path(x0tta6bl4.__file__).resolve().parent.parent
    path = os.pathsep.join(str(one) for one in (package, *extra_path))
    environment = os.environ | {"X0T_LAB_TOKEN": str(token_file), "PYTHONPATH": path}
    port = free_port()
    log = Path(work.name) / "log"
    command = [sys.executable, "-u", "-m", "x0tta6bl4.lab.guest", "--listen", f"127.0.0.1:{port}", "--lock", str(LOCK)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)  # noqa: S603 -- our own command
    found = None
    try:
        waiting = partial(progress, "the lab's process starts")
        found = connect(port, token, process, work, deadline=began + ANSWER_S, waiting=waiting)
    finally:
        if found is None:
            process.kill()
            process.wait()
            text = log.read_text(errors="replace")
            work.cleanup()
    if found is None:
        raise Permanent(f"lab backend host: its process did not answer: {text[-1500:]}")
    return found
