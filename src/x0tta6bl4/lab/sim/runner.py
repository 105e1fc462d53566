"""One run of one scenario in virtual time, from a warm mesh to the record that the score reads."""

from __future__ import annotations

import math

from x0tta6bl4.errors import ConfigError
from x0tta6bl4.lab.faults import Fault
from x0tta6bl4.lab.participants import Factory
from x0tta6bl4.lab.record import RunRecord
from x0tta6bl4.lab.scenarios import Scenario, load
from x0tta6bl4.lab.sim.batman_iv import BatmanIV
from x0tta6bl4.lab.sim.batman_v import BatmanV
from x0tta6bl4.lab.sim.checks import Invariants
from x0tta6bl4.lab.sim.clients import Clients
from x0tta6bl4.lab.sim.crew import Crew
from x0tta6bl4.lab.sim.frames import Forwarding
from x0tta6bl4.lab.sim.inject import Injector, Truthkeeper
from x0tta6bl4.lab.sim.noise import key, unit_at
from x0tta6bl4.lab.sim.routing import Routing
from x0tta6bl4.lab.sim.state import Node
from x0tta6bl4.lab.sim.world import UTC_START, World

SETTLE_INTERVALS = 12  # routes need a few intervals to spread; link windows are warm from the start
OFF_TAIL_S = 11.0  # after the last fault's end, without a controller
SETTINGS_AFTER_S = 120.0  # hold cap 90 s + 30 s
SHUTDOWN_S = 2.0  # between the word that a reboot is coming and the node's going
HASH_BITS = (1 << 53) - 1  # what a float keeps exactly


class Simulation:
    """A warm mesh at time 0 with its clients, timeline and (with a factory) participants; `run_until` moves it on.

    The demo and the tests drive it directly; `run` is the way to a record.
    utc_start: its wall clock at time 0, the same each time so that a run repeats itself.
    """

    def __init__(
        self, scenario: Scenario, seed: int, factory: Factory | None = None, *,
        freeze_at: float = math.inf, checks: bool = True, clients_until: float = math.inf,
        utc_start: float = UTC_START,
    ) -> None:  # fmt: skip
        self.scenario, self.seed = scenario, seed
        self.world = World(scenario, seed, utc_start)
        self.routing: Routing = (BatmanIV if scenario.algorithm == "BATMAN_IV" else BatmanV)(self.world)
        self.forwarding = Forwarding(self.routing, checks=checks)
        self.invariants = Invariants(self.routing)
        self._settle()
        pairs = [(self.world.by_name[a], self.world.by_name[b]) for a, b in scenario.pairs]
        self.truth = Truthkeeper(self.routing, pairs)
        seen = self.invariants if checks else None
        self.crew: Crew | None = None
        if factory is not None:
            self.crew = Crew(scenario, self.routing, self.forwarding, factory, freeze_at, invariants=seen)
        self.injector = Injector(self.routing, self.truth, self._agents, seen)
        self.clients = Clients(self.forwarding, pairs, clients_until)
        self.settings_start = self.settings()
        if checks:
            self.invariants.each_second()
        self.world.day()
        if clients_until > 0:
            self.clients.start()
        if self.crew is not None:
            self.crew.start()
        self.injector.schedule(scenario.timeline)

    def run_until(self, end: float) -> None:
        """Move virtual time on to `end` seconds."""
        self.world.run_until(end)

    def inject(self, fault: Fault) -> None:
        """Add a fault to the timeline (`scenario.variant(timeline=[entry]).timeline[0]` makes one from a document).

        Raises ConfigError where it would have begun already.
        """
        if fault.at < self.world.now:
            raise ConfigError(f"{fault.id}.at", fault.at, f"not before now ({self.world.now})")
        self.injector.schedule((fault,))

    def expect_reboot(self, node: str, down_s: float) -> None:
        """An expected reboot: the agent is told, then the node goes away for `down_s`."""
        member = self.world.by_name[node]
        if self.crew is not None and member.alive:
            self.crew.expect_reboot(member, down_s + SHUTDOWN_S)
        self.world.at(self.world.now + SHUTDOWN_S, self._shutdown, (member, down_s))

    def settings(self) -> dict[str, dict[str, str]]:
        """Every setting that an actuator can change, by node; which interface is primary is not among them."""
        return {node.name: _settings(node) for node in self.world.nodes}

    def next_hop(self, source: str, target: str) -> str:
        """The node that `source` now sends to on the way to `target`; "" where it has no route."""
        table = self.world.by_name[source].tables[self.world.by_name[target].idx]
        return table.router.link.src.node.name if table.router else ""

    def record(self, *, healthy_hours: float = 0.0, invalid: str = "") -> RunRecord:
        """The run so far."""
        self.truth.finish()
        scenario, crew = self.scenario, self.crew
        return RunRecord(
            scenario=scenario.name,
            backend="sim",
            algorithm=scenario.algorithm,
            tuning=scenario.tuning,
            management=scenario.management,
            seed=self.seed,
            controller=crew is not None,
            duration=self.world.now,
            faults=scenario.fault_records(),
            pairs=self.clients.records(self.truth.excused, self.truth.touched),
            events=crew.events if crew else [],
            steps=crew.steps if crew else [],
            touched=self.injector.touched,
            settings_start=self.settings_start,
            settings_end=self.settings(),
            invalid=invalid,
            healthy_hours=healthy_hours,
            notes={"history": float(self.world.trace & HASH_BITS), "events": float(self.world.count)},
        )

    def _settle(self) -> None:
        lead = SETTLE_INTERVALS * self.scenario.orig_interval_ms / 1000
        self.world.now = -lead
        self.routing.start()
        self.world.run_until(0.0)

    def _agents(self, node: Node, running: bool) -> None:
        if self.crew is not None:
            self.crew.agent(node, running)

    def _shutdown(self, argument: tuple[Node, float]) -> None:
        node, down_s = argument
        if node.alive:
            self.injector.reboot(node, down_s)


def run(
    scenario: Scenario,
    *,
    seed: int,
    factory: Factory | None = None,
    tuning: str | None = None,
    freeze_at: float | None = None,
    checks: bool = True,
    until: float | None = None,
) -> RunRecord:
    """Run a scenario to 120 s after its last fault (hold cap + 30 s); without a factory the mesh is on its own.

    freeze_at: from then on no participant is ticked (the replay that judges harm). until: stop earlier.
    Raises ConfigError for a wrong tuning and AssertionError where an invariant of the simulator breaks.
    """
    chosen = scenario.variant(tuning=tuning)
    end = chosen.ends + (SETTINGS_AFTER_S if factory else OFF_TAIL_S)
    simulation = Simulation(
        chosen, seed, factory, freeze_at=math.inf if freeze_at is None else freeze_at, checks=checks, clients_until=end
    )
    simulation.run_until(end if until is None else min(until, end))
    return _closed(simulation)


def healthy(
    hours: float,
    seed: int,
    *,
    factory: Factory | None = None,
    scenario: Scenario | None = None,
    tuning: str | None = None,
    checks: bool = True,
) -> RunRecord:
    """A mesh without faults: background and expected reboots only, and no client probes."""
    if not (0 < hours <= 24 * 366):
        raise ConfigError("healthy-hours", hours, "more than 0 hours, at most a year")
    base = (scenario or load("blackhole")).variant(tuning=tuning, name="healthy", timeline=[])
    simulation = Simulation(base, seed, factory, checks=checks, clients_until=0.0)
    end = hours * 3600
    for at, node, down_s in _reboots(base, seed, end):
        simulation.run_until(at)
        simulation.expect_reboot(node, down_s)
    simulation.run_until(end)
    return _closed(simulation, hours)


def _closed(simulation: Simulation, hours: float = 0.0) -> RunRecord:
    record = simulation.record(healthy_hours=hours)
    if simulation.crew is not None:
        simulation.crew.close()
    return record


def _reboots(scenario: Scenario, seed: int, end: float) -> list[tuple[float, str, float]]:
    """When which node is rebooted on purpose, one at a time; never the node of the controller's seat."""
    background = scenario.background
    if not background.reboots_per_day:
        return []
    names = [node.name for node in scenario.topology.nodes if node.name != scenario.seat]
    slot = 86_400 / background.reboots_per_day
    planned = []
    for number in range(math.ceil(end / slot)):
        purpose = key(seed, "reboot", number)
        at = number * slot + (0.1 + 0.8 * unit_at(purpose, 1.0)) * slot
        if at + background.reboot_s + SHUTDOWN_S < end:
            node = names[int(unit_at(purpose, 2.0) * len(names))]
            planned.append((at, node, background.reboot_s * (0.5 + 0.5 * unit_at(purpose, 3.0))))
    return planned


def _settings(node: Node) -> dict[str, str]:
    found = {option: str(value) for option, value in sorted(node.options.items())}
    found["attached"] = ",".join(sorted(iface.name for iface in node.ifaces if iface.attached))
    for iface in node.ifaces:
        found[f"{iface.name}.up"] = str(int(iface.admin))
        found[f"{iface.name}.mtu"] = str(iface.mtu)
        found[f"{iface.name}.hop_penalty"] = str(iface.hop_penalty)
        found[f"{iface.name}.throughput_override_kbit"] = str(iface.override_kbit)
        found[f"{iface.name}.blocked"] = ",".join(sorted(iface.blocked))
    return found
