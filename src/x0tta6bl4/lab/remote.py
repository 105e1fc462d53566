"""The driver's end of a lab process: requests, notices, and the guest's clock in our own time."""

from __future__ import annotations

import os
import queue
import secrets
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from x0tta6bl4 import errors
from x0tta6bl4.errors import Permanent, ProtocolError, Temporary
from x0tta6bl4.lab.lines import Lines

CLOCK_TRIPS = 15
CALL_S = 120.0


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_token(directory: Path) -> tuple[Path, str]:
    """A fresh token in a file that only this user reads."""
    token, path = secrets.token_hex(16), directory / "token"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token)
    return path, token


class LabProcess:
    """A lab process that answered. Close it, or use it in `with`.

    process: what to end at the close (QEMU, or the local process); directory: removed then.
    """

    def __init__(
        self, lines: Lines, process: subprocess.Popen[bytes], directory: tempfile.TemporaryDirectory[str], boot_s: float
    ) -> None:
        self.boot_s = boot_s
        self.offset = 0.0  # their monotonic clock minus ours
        self._lines, self._process, self._directory = lines, process, directory
        self._sending = threading.Lock()
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._number = 0
        self._dead = ""
        self._closing = False
        self.on_notice: Callable[[dict[str, Any]], None] = lambda notice: None
        self._reader = threading.Thread(target=self._read, name="lab-reader", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Process id of QEMU, or of the local lab process."""
        return self._process.pid

    def close(self) -> None:
        """End the lab process and everything in it."""
        self._closing = True
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._reader.join(5)
        self._lines.close()
        self._directory.cleanup()

    def _read(self) -> None:
        while not self._closing:
            try:
                documents = self._lines.receive(0.5)
            except (Temporary, ProtocolError) as error:
                self._dead = str(error)
                self._answers.put({"id": None, "error": self._dead, "kind": "Temporary"})
                return
            for document in documents:
                if "notice" in document:
                    self.on_notice(document)
                else:
                    self._answers.put(document)

    def notify(self, document: dict[str, Any]) -> None:
        """Send a notice; lost where the process is gone."""
        with self._sending:
            self._lines.send(document)

    def start(self, op: str, **args: object) -> int:
        """Send a request; returns its number for `finish`."""
        if self._dead:
            raise Temporary(f"lab process: {self._dead}")
        self._number += 1
        self.notify({"id": self._number, "op": op, "args": args})
        return self._number

    def finish(self, number: int, wait_s: float) -> tuple[bool, Any]:
        """(True, result) of a started request, or (False, None) where it did not end in time.

        Raises the error that the lab process answered, by its kind.
        """
        end = time.monotonic() + wait_s
        while True:
            try:
                answer = self._answers.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                return False, None
            if answer.get("id") not in (None, number):
                continue  # of a request that we gave up
            if "error" in answer:
                raise _error(answer)
            return True, answer["result"]

    def call(self, op: str, *, wait_s: float = CALL_S, **args: object) -> Any:
        """Send a request and wait for its result; raises Temporary where none comes within `wait_s`."""
        number = self.start(op, **args)
        ended, result = self.finish(number, wait_s)
        if not ended:
            raise Temporary(f"lab process: no answer to {op} within {wait_s:.0f} s")
        return result

    def measure_clock(self) -> float:
        """Set `offset` from the fastest of several round trips; returns that trip in seconds."""
        best = float("inf")
        for _ in range(CLOCK_TRIPS):
            before = time.monotonic()
            theirs = float(self.call("clock"))
            after = time.monotonic()
            if after - before < best:
                best, self.offset = after - before, theirs - (before + after) / 2
        return best


def _error(answer: Mapping[str, Any]) -> Exception:
    kind = getattr(errors, str(answer.get("kind")), None)
    text = str(answer.get("error"))
    if kind is errors.ConfigError or not (isinstance(kind, type) and issubclass(kind, errors.X0tError)):
        return Permanent(f"lab process: {text}")
    return kind(text)


def connect(
    port: int,
    token: str,
    process: subprocess.Popen[bytes],
    directory: tempfile.TemporaryDirectory[str],
    *,
    deadline: float,
    waiting: Callable[[], None] = lambda: None,
) -> LabProcess | None:
    """A LabProcess where one answers on 127.0.0.1:port before `deadline` (monotonic), None where not.

    waiting: called meanwhile; what it raises ends the wait.
    """
    began = time.monotonic()
    while time.monotonic() < deadline and process.poll() is None:
        waiting()
        try:
            sock = socket.create_connection(("127.0.0.1", port), 2.0)
        except OSError:
            time.sleep(0.1)
            continue
        lines = Lines(sock)
        try:
            lines.send({"token": token})
            until = min(deadline, time.monotonic() + 3.0)
            while time.monotonic() < until:
                if any(document.get("notice") == "welcome" for document in lines.receive(0.5)):
                    return LabProcess(lines, process, directory, time.monotonic() - began)
        except (Temporary, ProtocolError):
            pass  # QEMU accepts before the guest listens, and then resets
        lines.close()
        time.sleep(0.2)
    return None
