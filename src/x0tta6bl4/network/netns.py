"""Network namespaces by name from one process: switch, create, remove, without a fork (a fork costs 150 ms in a guest).

A socket belongs for ever to the namespace in which it was made, so only making it needs the switch.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from x0tta6bl4.errors import NotSupported, Permanent

RUN = Path("/run/netns")  # where iproute2 keeps them, so that `ip netns exec` works on ours
CLONE_NEWNET = 0x40000000
MS_BIND = 0x1000
MNT_DETACH = 2
_OWN = "/proc/thread-self/ns/net"


def _call(name: str, *args: object) -> None:
    """One libc call by `name`; raises Permanent with the kernel's reason, NotSupported without the privilege."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*args) == 0:
        return
    code = ctypes.get_errno()
    reason = f"{name}: {os.strerror(code)}"
    if code in (1, 38):  # EPERM, ENOSYS
        raise NotSupported(f"{reason}; network namespaces need root on Linux")
    raise Permanent(reason)


@contextmanager
def inside(netns: str | None) -> Iterator[None]:
    """Run the body with the calling thread in the namespace named `netns` (None: where it is).

    Raises Permanent where there is no such namespace, NotSupported without the privilege.
    """
    if netns is None:
        yield
        return
    try:
        home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(RUN / netns, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Permanent(f"network namespace {netns!r}: {error.strerror}") from error
    try:
        _call("setns", there, CLONE_NEWNET)
        try:
            yield
        finally:
            _call("setns", home, CLONE_NEWNET)
    finally:
        os.close(there)
        os.close(home)


def create(netns: str) -> None:
    """Make a namespace named `netns`; raises Permanent where it exists, NotSupported without the privilege."""
    RUN.mkdir(parents=True, exist_ok=True)
    path = RUN / netns
    try:
        path.touch(mode=0o444, exist_ok=False)
    except FileExistsError as error:
        raise Permanent(f"network namespace {netns!r}: exists") from error
    home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _call("unshare", CLONE_NEWNET)
        try:
            _call("mount", _OWN.encode(), str(path).encode(), b"none", ctypes.c_ulong(MS_BIND), None)
        finally:
            _call("setns", home, CLONE_NEWNET)
    except (Permanent, NotSupported):
        path.unlink()
        raise
    finally:
        os.close(home)


def remove(netns: str) -> None:
    """Remove a namespace by name, with every interface in it; nothing happens where there is none."""
    path = RUN / netns
    if not path.exists():
        return
    with suppress(Permanent):  # a file left over from a crash is not a mount
        _call("umount2", str(path).encode(), MNT_DETACH)
    path.unlink()


def names() -> list[str]:
    """Names of all namespaces, sorted."""
    return sorted(entry.name for entry in RUN.iterdir()) if RUN.is_dir() else []
