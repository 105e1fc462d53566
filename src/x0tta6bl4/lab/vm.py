"""The `vm` backend: a real batman-adv in a QEMU guest. Needs no KVM and no root: QEMU's own CPU (TCG) runs it.

The guest's root is this machine's, read-only over 9p under a tmpfs overlay, so that the lab process in it is this very
Python and this very package. It has no network but one TCP port forwarded to 127.0.0.1.
"""

from __future__ import annotations

import os
import shutil
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

QEMU: Final = "qemu-system-x86_64"
MEMORY_MB: Final = 2048
CPUS: Final = 2
# The first console line comes after 3 to 15 s of CPU time; one start in nine spins and never prints it. Not by the
# clock: where guests share a machine all of them would seem to hang.
SPINS_S: Final = 40.0
ANSWER_S: Final = 180.0
STARTS: Final = 4
INSTALL: Final = "run scripts/install-lab.sh"


def directory() -> Path:
    """Where scripts/install-lab.sh puts the kernel and the initramfs."""
    chosen = os.environ.get("X0T_LAB_DIR")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "x0tta6bl4" / "lab"


def missing() -> str:
    """Why the backend cannot be used here, "" where it can."""
    if sys.platform != "linux":
        return "the guest runs this machine's own Python: it needs Linux"
    if shutil.which(QEMU) is None:
        return f"no {QEMU}: {INSTALL}"
    if not list(directory().glob("kernel/boot/vmlinuz-*")):
        return f"no guest kernel in {directory()}: {INSTALL}"
    if not (directory() / "initramfs.gz").is_file():
        return f"no initramfs in {directory()}: {INSTALL}"
    return ""


def start(
    *,
    extra_path: tuple[Path, ...] = (),
    memory_mb: int = MEMORY_MB,
    progress: Callable[[str], None] = lambda doing: None,
) -> LabProcess:
    """Boot a guest and return its lab process.

    extra_path: directories in which the guest's Python also looks for modules (a test's, a factory's). progress: told
    again and again what it is doing; what it raises ends the start, and the guest.
    Raises NotSupported where something is missing, Permanent with the console's end where no start succeeds.
    """
    reason = missing()
    if reason:
        raise NotSupported(f"lab backend vm: {reason}")
    console = ""
    for number in range(1, STARTS + 1):
        work = tempfile.TemporaryDirectory(prefix="x0t-lab-", ignore_cleanup_errors=True)
        doing = "the guest boots" + (f" (start {number} of {STARTS}: the one before hung)" if number > 1 else "")
        found = None
        try:
            found, console = _start_once(work, extra_path, memory_mb, partial(progress, doing))
        finally:
            if found is None:
                work.cleanup()
        if found is not None:
            return found
    raise Permanent(f"lab backend vm: no guest answered in {STARTS} starts; console ends: {console[-1500:]}")


def _start_once(
    work: tempfile.TemporaryDirectory[str], extra_path: tuple[Path, ...], memory_mb: int, waiting: Callable[[], None]
) -> tuple[LabProcess | None, str]:
    """(lab process or None, console text)."""
    began = time.monotonic()
    folder = Path(work.name)
    port = free_port()
    token_file, token = write_token(folder)
    console = folder / "console"
    command = _command(port, token_file, console, extra_path, memory_mb)
    with (folder / "qemu.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603 -- our own command
    found: LabProcess | None = None
    try:
        if _first_line(process, console, began + ANSWER_S, waiting):
            found = connect(port, token, process, work, deadline=began + ANSWER_S, waiting=waiting)
    finally:
        if found is None:
            process.kill()
            process.wait()
    if found is not None:
        found.boot_s = time.monotonic() - began
        return found, ""
    texts = (folder / "qemu.log", console)
    return None, "".join(path.read_text(errors="replace") for path in texts if path.is_file())


def _first_line(process: subprocess.Popen[bytes], console: Path, deadline: float, waiting: Callable[[], None]) -> bool:
    """Did the guest print anything, before it had the CPU for so long that it must be spinning?"""
    while process.poll() is None and time.monotonic() < deadline and _cpu_s(process.pid) < SPINS_S:
        waiting()
        if console.is_file() and console.stat().st_size:
            return True
        time.sleep(0.1)
    return False


def _cpu_s(pid: int) -> float:
    """CPU time that a process of ours has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime, in proc(5)


def _command(port: int, token_file: Path, console: Path, extra_path: tuple[Path, ...], memory_mb: int) -> list[str]:
    package = Path(x0tta6bl4.__file__).resolve().parent.parent
    path = ":".join(str(one.resolve()) for one in (package, *extra_path))
    kernel = min(directory().glob("kernel/boot/vmlinuz-*"))
    words = (
        f"console=ttyS0 loglevel=4 panic=-1 mitigations=off nokaslr tsc=reliable "
        f"x0t.python={sys.executable} x0t.path={path} x0t.token={token_file}"
    )
    return [
        *(QEMU, "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "Nehalem", "-m", str(memory_mb), "-smp", str(CPUS)),
        *("-display", "none", "-serial", f"file:{console}", "-monitor", "none", "-no-reboot"),
        *("-kernel", str(kernel), "-initrd", str(directory() / "initramfs.gz"), "-append", words),
        *("-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"),
        *("-nic", f"user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:7000"),
    ]
