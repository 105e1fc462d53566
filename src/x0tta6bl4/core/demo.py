"""The demo: a mesh of the lab with the product's own agents and controller, and a fault every now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Final

from x0tta6bl4.core import wiring
from x0tta6bl4.core.controller import Controller
from x0tta6bl4.core.demo_faults import Breakage, client_view
from x0tta6bl4.core.demo_real import RealSource
from x0tta6bl4.core.mesh_view import mesh_view
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.core.view import ClientView, LabSource, Publisher
from x0tta6bl4.core.watched import Watched
from x0tta6bl4.lab import scenarios
from x0tta6bl4.lab.scenarios import Scenario
from x0tta6bl4.lab.sim.runner import Simulation
from x0tta6bl4.model import Iteration, Seconds

STEP_S: Final = 0.05  # of virtual time between two looks at the wall clock
PAIRS: Final = ("n2-n3", "n1-n3", "n4-n6", "n5-n1")


def demo(
    settings: Settings,
    *,
    backend: str = "sim",
    speed: float = 1.0,
    fault_every_s: float | None = 20.0,
    seed: int = 1,
    scenario: Scenario | None = None,
) -> LabSource:
    """A source over a mesh of the lab.

    speed: simulated seconds in one second (sim only). fault_every_s: None breaks nothing by itself. scenario: whose
    mesh to build, its timeline is not played; a ring of six with a chord by default.
    """
    mesh = scenario or scenarios.load("loss-40").variant(pairs=list(PAIRS))
    if backend == "sim":
        return SimSource(mesh, seed=seed, speed=speed, fault_every_s=fault_every_s)
    return RealSource(mesh, backend=backend, seed=seed, fault_every_s=fault_every_s)


class SimSource:
    """A simulated mesh in step with the wall clock, on a thread of its own."""

    def __init__(self, mesh: Scenario, *, seed: int, speed: float, fault_every_s: float | None) -> None:
        self.title = "demo: simulated mesh"
        self._mesh = mesh.variant(timeline=[])
        self._seed, self._speed = seed, speed
        self._breakage = Breakage(self._mesh, seed, fault_every_s)
        self._stop = threading.Event()
        self._failure = ""
        self._thread: threading.Thread | None = None
        self._simulation: Simulation | None = None

    def start(self, publisher: Publisher) -> None:
        """Begin on a thread."""
        self._thread = threading.Thread(target=self._run, args=(publisher,), name="demo", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; nothing outside this process was touched."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)

    def failure(self) -> str:
        """Why the simulation ended by itself."""
        return self._failure

    def inject(self, kind: str, target: str, for_s: Seconds, parameters: Mapping[str, float]) -> str:
        """Begin a fault at the next step; see `core.view.LabSource`."""
        return self._breakage.inject(kind, target, for_s, parameters)

    def end(self, fault: str) -> bool:
        """End a fault at the next step; see `core.view.LabSource`."""
        return self._breakage.end(fault, self._now())

    def _run(self, publisher: Publisher) -> None:
        def told(controller: Controller, iteration: Iteration) -> None:
            at = self._now()
            view = mesh_view(
                controller, iteration, at=at, backend="sim", clients=self._clients(), faults=self._breakage.views(at)
            )
            publisher.samples.take(controller.loop.columns, iteration.at)
            publisher.publish(iteration, view)

        try:
            factory = Watched(wiring.sim_factory, told, publisher.commands)
            self._simulation = Simulation(self._mesh, self._seed, factory, checks=False, utc_start=time.time())
            self._play(self._simulation)
            if self._simulation.crew is not None:
                self._simulation.crew.close()
        except Exception as error:  # noqa: BLE001  # the outer edge of this thread: the reader is told
            self._failure = f"the simulation ended: {type(error).__name__}: {error}"

    def _play(self, simulation: Simulation) -> None:
        start = time.monotonic()
        while not self._stop.is_set():
            for fault in self._breakage.unwanted(simulation.world.now):
                simulation.injector.end(fault)
            now = simulation.world.now + STEP_S
            simulation.injector.schedule(tuple(fault for _, fault in self._breakage.due(now, STEP_S)))
            simulation.run_until(now)
            self._stop.wait(max(0.0, start + now / self._speed - time.monotonic()))

    def _now(self) -> Seconds:
        return self._simulation.world.now if self._simulation is not None else 0.0

    def _clients(self) -> list[ClientView]:
        if self._simulation is None:
            return []
        truth = self._simulation.truth
        return [client_view(record) for record in self._simulation.clients.records(truth.excused, truth.touched)]
