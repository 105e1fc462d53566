"""The demo on a real kernel: a mesh in the lab's guest or namespaces, kept up with the controller watched."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from x0tta6bl4.core import wiring
from x0tta6bl4.core.controller import Controller
from x0tta6bl4.core.demo_faults import Breakage, client_view
from x0tta6bl4.core.mesh_view import mesh_view
from x0tta6bl4.core.runners import FACTORY
from x0tta6bl4.core.view import Publisher
from x0tta6bl4.core.watched import Watched
from x0tta6bl4.errors import Temporary
from x0tta6bl4.lab.record import PairRecord
from x0tta6bl4.lab.scenarios import Scenario
from x0tta6bl4.model import Iteration, Seconds

START_S: Final = 320.0  # four starts of which three hung (80 s), the lab process answers (180 s), the mesh warms up


class RealSource:
    """A mesh on a real kernel in real time, until it is stopped. backend: "vm" or "host"."""

    start_s: Seconds = START_S

    def __init__(self, mesh: Scenario, *, backend: str, seed: int, fault_every_s: float | None) -> None:
        self.title = f"demo: a real batman-adv mesh ({backend})"
        self._mesh, self._backend, self._seed = mesh.variant(timeline=[]), backend, seed
        self._breakage = Breakage(self._mesh, seed, fault_every_s)
        self._clients: Sequence[PairRecord] = ()
        self._failure = self._doing = ""
        self._process: Any = None
        self._stopping = False
        self._first_at: Seconds | None = None
        self._thread: threading.Thread | None = None

    def start(self, publisher: Publisher) -> None:
        """Begin on a thread; booting takes a while."""
        self._thread = threading.Thread(target=self._run, args=(publisher,), name="demo", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the lab's process, and with it its mesh; a guest that boots is given up."""
        self._stopping = True
        if self._process is not None:
            self._process.close()
        if self._thread is not None:
            self._thread.join(15)

    def failure(self) -> str:
        """Why the run ended by itself."""
        return self._failure

    def progress(self) -> str:
        """What it is doing before the first pass."""
        return self._doing

    def inject(self, kind: str, target: str, for_s: Seconds, parameters: Mapping[str, float]) -> str:
        """Begin a fault at the next pass; see `core.view.LabSource`."""
        return self._breakage.inject(kind, target, for_s, parameters)

    def end(self, fault: str) -> bool:
        """End a fault at the next pass; see `core.view.LabSource`."""
        return self._breakage.end(fault, self._now())

    def _run(self, publisher: Publisher) -> None:
        real = importlib.import_module("x0tta6bl4.lab.real")  # late: it needs Linux

        def told(controller: Controller, iteration: Iteration) -> None:
            at = self._now(begin=True)
            for fault in self._breakage.unwanted(at):
                real.mend(self._process, fault.id)
            for entry, fault in self._breakage.due(at):
                real.inject(self._process, fault.id, entry)
            clients = [client_view(one) for one in self._clients]
            faults = self._breakage.views(at)
            view = mesh_view(controller, iteration, at=at, backend=self._backend, clients=clients, faults=faults)
            publisher.samples.take(controller.loop.columns, iteration.at)
            publisher.publish(iteration, view)

        try:
            self._process = real.start(self._backend, self._booting)
            self._booting("the mesh is built and warms up")
            self._failure = real.keep(
                self._mesh,
                seed=self._seed,
                factory=Watched(wiring.factory, told, publisher.commands),
                factory_name=FACTORY,
                process=self._process,
                seen=self._see,
            )
        except Exception as error:  # noqa: BLE001  # the outer edge of this thread: the reader is told
            if not self._stopping:
                self._failure = f"{type(error).__name__}: {error}"
        finally:
            if self._process is not None:
                self._process.close()

    def _booting(self, doing: str) -> None:
        """Called again and again while the lab starts; giving it up is an error here."""
        self._doing = doing
        if self._stopping:
            raise Temporary("stopped")

    def _see(self, clients: Sequence[PairRecord]) -> None:
        self._clients = clients

    def _now(self, *, begin: bool = False) -> Seconds:
        """Seconds since the first pass; `begin`: this is one."""
        now = time.monotonic()
        if begin and self._first_at is None:
            self._first_at = now
        return now - self._first_at if self._first_at is not None else 0.0
