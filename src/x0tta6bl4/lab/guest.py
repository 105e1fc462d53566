"""The lab process: builds meshes in network namespaces of the kernel it runs on and serves every node of them.

It runs in the guest (`vm`) or on this machine (`host`), alone, as root, and is driven over one TCP connection
(`lines.py`). `python -m x0tta6bl4.lab.guest --listen ADDRESS:PORT`; whoever connects first proves that it may read the
file named by X0T_LAB_TOKEN.
"""

from __future__ import annotations

import argparse
import fcntl
import gc
import hmac
import importlib
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from x0tta6bl4.errors import ConfigError, Permanent, ProtocolError, Temporary, X0tError
from x0tta6bl4.lab.lines import Lines
from x0tta6bl4.lab.netlab import Blueprint, NetLab, blueprint_from, remove_leftovers

READ_KERNEL = frozenset({"mesh", "interfaces", "neighbours", "originators", "boot_id"})
SET_KERNEL = frozenset({"attach", "detach", "set_up", "set_mtu", "set_hardif", "set_mesh", "block"})


def named(name: str) -> Any:
    """The object that "module:attribute" names; raises ConfigError where there is none."""
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ConfigError("name", name, "MODULE:ATTRIBUTE")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError("name", name, f"MODULE:ATTRIBUTE that can be imported ({error})") from error


class Session:
    """One connection and the mesh built over it."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.lab: NetLab | None = None
        self._ops: dict[str, Callable[..., object]] = {
            "clock": time.monotonic,
            "build": self.build,
            "kernel": self.kernel,
            "call": self.call,
            "run": self.run,
        }

    def close(self) -> None:
        """Remove what was built."""
        if self.lab is not None:
            self.lab.close()
            self.lab = None

    def need(self) -> NetLab:
        """The mesh; raises ConfigError where none is built."""
        if self.lab is None:
            raise ConfigError("op", "kernel", "build first")
        return self.lab

    def replace(self, blueprint: Blueprint) -> NetLab:
        """Build a mesh in place of the one that is there."""
        self.close()
        self.lab = NetLab(blueprint)
        return self.lab

    def build(self, blueprint: dict[str, object]) -> dict[str, object]:
        """Build a mesh; answers how long that took and the inventory."""
        start = time.monotonic()
        lab = self.replace(blueprint_from(blueprint))
        return {"build_s": time.monotonic() - start, "inventory": [asdict(node) for node in lab.inventory()]}

    def kernel(self, node: str, method: str, args: list[Any]) -> object:
        """One call on a node's Kernel."""
        if method not in READ_KERNEL | SET_KERNEL:
            raise ConfigError("method", method, ", ".join(sorted(READ_KERNEL | SET_KERNEL)))
        kernel = self.need().kernel(node)
        try:
            return getattr(kernel, method)(*args)
        finally:
            kernel.close()

    def call(self, target: str, args: dict[str, Any]) -> object:
        """Call "module:function" with this session and `args`: how tests and measurements run in the guest."""
        return named(target)(self, **args)

    def run(self, request: dict[str, Any]) -> object:
        """One scenario, from building to the record."""
        return named("x0tta6bl4.lab.live:run")(self, request)

    def _op(self, name: object) -> Callable[..., object]:
        op = self._ops.get(str(name))
        if op is None:
            raise ConfigError("op", name, ", ".join(self._ops))
        return op

    def answer(self, document: dict[str, Any]) -> None:
        """Carry out one request and send its answer."""
        reply: dict[str, Any] = {"id": document.get("id")}
        try:
            reply["result"] = plain(self._op(document.get("op"))(**document.get("args", {})))
        except X0tError as error:
            reply |= {"error": str(error), "kind": type(error).__name__}
        except Exception:  # noqa: BLE001 -- the server's outer edge: the driver gets the trace, the guest goes on
            reply |= {"error": traceback.format_exc(), "kind": "Crash"}
        self.lines.send(reply)


def plain(value: object) -> object:
    """As JSON can carry it: dataclasses become objects, sets sorted lists."""
    if hasattr(value, "__dataclass_fields__"):
        return plain(asdict(value))  # type: ignore[call-overload]
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(plain(one) for one in value)  # type: ignore[type-var]
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def admit(lines: Lines, token: bytes) -> None:
    """The first line must carry the token; raises ProtocolError where it does not."""
    waited = time.monotonic() + 10
    while time.monotonic() < waited:
        for document in lines.receive(1.0):
            if not hmac.compare_digest(str(document.get("token")).encode(), token):
                raise ProtocolError("lab connection: wrong token")
            lines.send({"notice": "welcome", "now": time.monotonic()})
            return
    raise ProtocolError("lab connection: no token")


def serve(address: str, port: int, token: bytes) -> None:
    """Serve one connection after the other, up to the first that asks for something.

    When that one ends, so has its driver, killed perhaps: nobody else will come.
    """
    server = socket.create_server((address, port))
    print("lab: serving", flush=True)  # noqa: T201 -- the console is what the one who boots us watches
    asked = False
    while not asked:
        connection, _peer = server.accept()
        lines = Lines(connection)
        session = Session(lines)
        try:
            admit(lines, token)
            while True:
                for document in lines.receive(3600.0):
                    if "notice" in document:
                        continue  # the controller's last words to agents of a run that has ended
                    asked = True
                    session.answer(document)
                    gc.collect()  # here, not in the middle of a run
        except (Temporary, ProtocolError) as error:
            print(f"lab: {error}", flush=True)  # noqa: T201 -- as above
        finally:
            session.close()
            lines.close()


def only_one(path: Path) -> int:
    """Hold a lock, for namespaces have fixed names; raises Permanent where another lab of this machine holds it.

    Returns the descriptor, which keeps it for as long as this process lives.
    """
    lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise Permanent(f"another lab runs on this machine: it holds {path}") from None
    return lock


def main() -> None:
    """Command line of the lab process."""
    parser = argparse.ArgumentParser(description="serve a mesh lab on this kernel")
    parser.add_argument("--listen", default="127.0.0.1:7000", help="ADDRESS:PORT")
    parser.add_argument("--lock", type=Path, help="a file to lock: it ends at once where another lab has it locked")
    words = parser.parse_args()
    address, _, port = words.listen.rpartition(":")
    token = Path(os.environ["X0T_LAB_TOKEN"]).read_bytes().strip()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())  # so that what was built is removed
    if words.lock is not None:
        only_one(words.lock)
        remove_leftovers()
    serve(address, int(port), token)


if __name__ == "__main__":
    main()
