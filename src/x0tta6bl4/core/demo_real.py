"""The demo on a real kernel: plays a scenario in the lab's guest or namespaces, with the controller watched."""

from __future__ import annotations

import importlib
import threading
import time
from typing import Any

from x0tta6bl4.core import wiring
from x0tta6bl4.core.controller import Controller
from x0tta6bl4.core.mesh_view import mesh_view
from x0tta6bl4.core.runners import FACTORY
from x0tta6bl4.core.view import FaultView, Publisher
from x0tta6bl4.core.watched import Watched
from x0tta6bl4.lab import faults
from x0tta6bl4.lab.scenarios import Scenario
from x0tta6bl4.model import Iteration, Seconds


class RealSource:
    """Plays `scenario` once, in real time.

    Clients' health stays with the lab until the run has ended, so none is shown. backend: "vm" or "host".
    """

    def __init__(self, scenario: Scenario, *, backend: str, seed: int) -> None:
        self.title = f"demo: a real batman-adv mesh ({backend})"
        self._scenario, self._backend, self._seed = scenario, backend, seed
        self._failure = ""
        self._process: Any = None
        self._stopping = False
        self._first_at: Seconds | None = None
        self._thread: threading.Thread | None = None

    def start(self, publisher: Publisher) -> None:
        """Begin on a thread; booting takes a while."""
        self._thread = threading.Thread(target=self._run, args=(publisher,), name="demo", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the lab's process, and with it its mesh."""
        self._stopping = True
        if self._process is not None:
            self._process.close()
        if self._thread is not None:
            self._thread.join(10)

    def failure(self) -> str:
        """Why the run ended by itself."""
        return self._failure

    def _run(self, publisher: Publisher) -> None:
        def told(controller: Controller, iteration: Iteration) -> None:
            at = self._elapsed()
            view = mesh_view(controller, iteration, at=at, backend=self._backend, faults=self._faults(at))
            publisher.samples.take(controller.loop.columns, iteration.at)
            publisher.publish(iteration, view)

        try:
            real = importlib.import_module("x0tta6bl4.lab.real")  # late: it needs Linux
            self._process = real.start(self._backend)
            real.run(
                self._scenario,
                backend=self._backend,
                seed=self._seed,
                factory=Watched(wiring.factory, told, publisher.commands),
                factory_name=FACTORY,
                process=self._process,
            )
            self._failure = "the demo's timeline is over"
        except Exception as error:  # noqa: BLE001  # the outer edge of this thread: the reader is told
            if not self._stopping:
                self._failure = f"{type(error).__name__}: {error}"
        finally:
            if self._process is not None:
                self._process.close()

    def _elapsed(self) -> Seconds:
        now = time.monotonic()
        if self._first_at is None:
            self._first_at = now  # the lab ticks the controller from its time zero on
        return now - self._first_at

    def _faults(self, at: Seconds) -> list[FaultView]:
        topology, seat = self._scenario.topology, self._scenario.seat
        return [
            FaultView(f.id, f.kind, faults.truth_of(f, topology, seat).component, at - f.at, f.until - at)
            for f in self._scenario.timeline
            if f.at <= at < f.until
        ]
