"""The demo: a mesh of the lab with the product's own agents and controller, and a fault every now and then."""

from __future__ import annotations

import math
import random
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from x0tta6bl4.core import wiring
from x0tta6bl4.core.controller import Controller
from x0tta6bl4.core.demo_real import RealSource
from x0tta6bl4.core.mesh_view import mesh_view
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.core.view import ClientView, FaultView, Publisher, Source
from x0tta6bl4.core.watched import Watched
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.lab import faults, scenarios
from x0tta6bl4.lab.faults import Fault
from x0tta6bl4.lab.record import PairRecord
from x0tta6bl4.lab.scenarios import Scenario
from x0tta6bl4.lab.sim.runner import Simulation
from x0tta6bl4.model import Iteration, Seconds

STEP_S: Final = 0.05  # of virtual time between two looks at the wall clock
PAIRS: Final = ("n2-n3", "n1-n3", "n4-n6", "n5-n1")
VICTIMS: Final = ("n2-n3", "n4-n5", "n5-n6", "n1-n2")
# What the demo breaks: a timeline entry without its target, and which end of the victim it hits where it hits one.
REPERTOIRE: Final[tuple[Mapping[str, Any], ...]] = (
    {"fault": "link-blackhole"},
    {"fault": "link-loss", "loss_ratio": 0.4},
    {"fault": "mtu", "mtu_bytes": 600},
    {"fault": "link-delay", "delay_ms": 200},
    {"fault": "interface-down"},
    {"fault": "link-loss", "loss_ratio": 0.5, "direction": "forward"},
)
OWN_KEYS: Final = ("fault", "id", "at", "until", "down_s")  # of an entry, which `resolve` writes itself
JUDGED_PROBES: Final = 40  # 2 s of one probe each 50 ms, the youngest 150 ms left out
YOUNG_PROBES: Final = 3
WELL_MS: Final = 150.0
WELL_SHARE: Final = 0.9


def demo(
    settings: Settings,
    *,
    backend: str = "sim",
    speed: float = 1.0,
    fault_every_s: float | None = 20.0,
    seed: int = 1,
    scenario: Scenario | None = None,
) -> Source:
    """A source over a mesh of the lab.

    speed: simulated seconds in one second (sim only). fault_every_s: None breaks nothing by itself. scenario: whose
    mesh to build, its timeline is not played; a ring of six with a chord by default.
    """
    mesh = scenario or scenarios.load("loss-40").variant(pairs=list(PAIRS))
    if backend == "sim":
        return SimSource(mesh, seed=seed, speed=speed, fault_every_s=fault_every_s)
    every = fault_every_s or math.inf
    plan = list(timeline(mesh, seed, every, 0.6 * every, 30)) if fault_every_s else []
    played = scenarios.from_document({**mesh.document, "timeline": plan}, mesh.name)
    return RealSource(played, backend=backend, seed=seed)


def timeline(mesh: Scenario, seed: int, every_s: float, lasts_s: float, count: int) -> Iterator[dict[str, Any]]:
    """`count` timeline entries, one each `every_s`, on links that the demo's clients use."""
    chance = random.Random(seed)  # noqa: S311  # which link breaks next is no secret
    known = {link.name: link for link in mesh.topology.links}
    victims: list[str] = [name for name in VICTIMS if name in known] or list(known)
    for number in range(count):
        link = known[victims[chance.randrange(len(victims))]]
        entry = dict(REPERTOIRE[number % len(REPERTOIRE)])
        key = faults.KINDS[entry["fault"]]
        target = link.name if key == "link" else f"{link.node_b}:{link.interface_b}"
        at = 0.5 * every_s + number * every_s
        yield {**entry, key: target, "at": round(at, 3), "until": round(at + lasts_s, 3), "id": f"demo-{number + 1}"}


def resolve(mesh: Scenario, kind: str, target: str, for_s: Seconds, parameters: Mapping[str, float]) -> Fault:
    """A fault that a person asked for, at time 0; raises ConfigError like a scenario does."""
    if kind not in faults.KINDS:
        raise ConfigError("kind", kind, ", ".join(sorted(faults.KINDS)))
    key = faults.KINDS[kind]
    taken = sorted(parameters.keys() & {*OWN_KEYS, *faults.KINDS.values()})
    if taken:
        raise ConfigError(f"parameters.{taken[0]}", parameters[taken[0]], "nothing: kind, target and time say it")
    numbers = {name: int(value) if value == int(value) else value for name, value in parameters.items()}
    entry: dict[str, Any] = {"fault": kind, "at": 0, **numbers, key: target.split(",") if key == "links" else target}
    entry["down_s" if kind == "node-reboot" else "until"] = for_s
    try:
        return scenarios.from_document({**mesh.document, "timeline": [entry]}, "fault").timeline[0]
    except ConfigError as error:
        name = error.field.rpartition(".")[2]
        said = {key: "target", "until": "for_s", "down_s": "for_s"}.get(name, f"parameters.{name}")
        raise ConfigError(said, error.value, error.allowed) from None


class SimSource:
    """A simulated mesh in step with the wall clock, on a thread of its own."""

    def __init__(self, mesh: Scenario, *, seed: int, speed: float, fault_every_s: float | None) -> None:
        self.title = "demo: simulated mesh"
        self._mesh = mesh.variant(timeline=[])
        self._seed, self._speed, self._every_s = seed, speed, fault_every_s
        self._wanted: deque[tuple[str, Fault]] = deque()
        self._active: list[Fault] = []
        self._unwanted: deque[str] = deque()
        self._injected = 0
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
        fault = resolve(self._mesh, kind, target, for_s, parameters)
        self._injected += 1
        ident = f"injected-{self._injected}"
        self._wanted.append((ident, fault))
        return ident

    def end(self, fault: str) -> bool:
        """End a fault at the next step; see `core.view.LabSource`."""
        now = self._now()
        known = any(f.id == fault and f.at <= now < f.until for f in self._active) and fault not in self._unwanted
        if known:
            self._unwanted.append(fault)
        return known

    def _run(self, publisher: Publisher) -> None:
        def told(controller: Controller, iteration: Iteration) -> None:
            view = mesh_view(
                controller, iteration, at=self._now(), backend="sim", clients=self._clients(), faults=self._faults()
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
        plan = self._plan()
        upcoming = next(plan, None)
        start = time.monotonic()
        while not self._stop.is_set():
            now = simulation.world.now + STEP_S
            while self._wanted:
                ident, fault = self._wanted.popleft()
                self._begin(simulation, replace(fault, id=ident, at=now, until=now + fault.until))
            while self._unwanted:
                self._finish(simulation, self._unwanted.popleft())
            if upcoming is not None and now >= upcoming.at - STEP_S:
                self._begin(simulation, upcoming)
                upcoming = next(plan, None)
            simulation.run_until(now)
            self._stop.wait(max(0.0, start + now / self._speed - time.monotonic()))

    def _begin(self, simulation: Simulation, fault: Fault) -> None:
        simulation.injector.schedule((fault,))
        self._active.append(fault)

    def _finish(self, simulation: Simulation, ident: str) -> None:
        now = simulation.world.now
        for fault in [one for one in self._active if one.id == ident and one.at <= now < one.until]:
            simulation.injector.end(fault)
            self._active.remove(fault)

    def _plan(self) -> Iterator[Fault]:
        if self._every_s is None:
            return
        for entry in timeline(self._mesh, self._seed, self._every_s, 0.6 * self._every_s, 100_000):
            yield scenarios.from_document({**self._mesh.document, "timeline": [entry]}, "demo").timeline[0]

    def _now(self) -> Seconds:
        return self._simulation.world.now if self._simulation is not None else 0.0

    def _faults(self) -> list[FaultView]:
        now = self._now()
        self._active = [fault for fault in self._active if fault.until > now]
        seat, topology = self._mesh.seat, self._mesh.topology
        return [
            FaultView(f.id, f.kind, faults.truth_of(f, topology, seat).component, now - f.at, f.until - now)
            for f in self._active
            if f.at <= now
        ]

    def _clients(self) -> list[ClientView]:
        if self._simulation is None:
            return []
        records = self._simulation.clients.records(self._simulation.truth.excused)
        return [client_view(record) for record in records]


def client_view(record: PairRecord) -> ClientView:
    """What one pair saw over the last two seconds, in the score's own words for `well`."""
    times = record.rtt_ms[-JUDGED_PROBES - YOUNG_PROBES : -YOUNG_PROBES]
    if len(times) < JUDGED_PROBES:
        return ClientView(record.source, record.target, None)
    answered = sorted(rtt for rtt in times if not math.isnan(rtt))
    quick = sum(rtt < WELL_MS for rtt in answered)
    middle = answered[len(answered) // 2] if answered else None
    well = quick >= WELL_SHARE * len(times)
    return ClientView(record.source, record.target, well, 1 - len(answered) / len(times), middle)
