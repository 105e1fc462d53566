"""The participants of a run: builds them with simulated ports, ticks them, and lets them die and start again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from x0tta6bl4.lab.participants import CONTROLLER, ControllerPorts, Factory, NodePorts, Participant
from x0tta6bl4.lab.record import Step
from x0tta6bl4.lab.scenarios import Scenario
from x0tta6bl4.lab.sim.checks import Invariants
from x0tta6bl4.lab.sim.frames import Forwarding
from x0tta6bl4.lab.sim.kernel import SimKernel
from x0tta6bl4.lab.sim.noise import CountedRandom, key, unit_at
from x0tta6bl4.lab.sim.routing import Routing
from x0tta6bl4.lab.sim.state import Node
from x0tta6bl4.lab.sim.wire import Office, SimClock, SimTransport, SimWire
from x0tta6bl4.model import Event

CLOCK_SPREAD_S = 50_000.0


@dataclass(slots=True)
class _Running:
    participant: Participant
    clock: SimClock
    kernel: SimKernel | None
    node: Node | None
    alive: bool = True


class Crew:
    """Agents and controller; `events` are stamped with the lab's time, `steps` are what their kernels were told."""

    def __init__(
        self,
        scenario: Scenario,
        routing: Routing,
        forwarding: Forwarding,
        factory: Factory,
        freeze_at: float,
        *,
        invariants: Invariants | None = None,
    ) -> None:
        self._invariants = invariants
        self._scenario, self._routing, self._world = scenario, routing, routing.world
        self._forwarding, self._factory, self._freeze_at = forwarding, factory, freeze_at
        seat = self._world.by_name[scenario.seat]
        self._office = Office(forwarding, seat, inband=scenario.management == "inband")
        self._wires: dict[int, SimWire] = {}
        self._agents: dict[int, _Running] = {}
        self._all: list[_Running] = []
        self._starts = 0
        self._kept: dict[tuple[str, int], dict[str, Any]] = {}  # by node and boot
        self._inventory = scenario.topology.inventory(scenario.orig_interval_ms, scenario.algorithm)
        self.events: list[tuple[float, dict[str, object]]] = []
        self.steps: list[Step] = []

    def start(self) -> None:
        """Start the controller and every node's agent now."""
        clock = self._clock(CONTROLLER)
        self._office.open(CONTROLLER)
        ports = ControllerPorts(
            transport=SimTransport(self._office, CONTROLLER, clock),
            clock=clock,
            random=CountedRandom(key(self._world.seed, CONTROLLER)),
            inventory=self._inventory,
            seat=self._scenario.seat,
            emit=self._emit,
        )
        self._launch(_Running(self._factory.controller(ports), clock, None, None))
        for node in self._world.nodes:
            self.agent(node, running=True)

    def agent(self, node: Node, running: bool) -> None:
        """A node's agent starts, or is killed without a word (as its node is)."""
        old = self._agents.pop(node.idx, None)
        if old is not None:
            old.alive = False
            if old.kernel is not None:
                old.kernel.power_off()
        self._wires.pop(node.idx, None)
        self._office.close(node.name)
        if not running or node.agent_dead or not node.alive or self._world.now >= self._freeze_at:
            return
        self._starts += 1
        clock = self._clock(f"{node.name}#{node.boots}")
        kernel = SimKernel(self._routing, node, self.steps.append)
        wire = self._wires[node.idx] = SimWire(self._forwarding, node, clock, self._wires)
        self._office.open(node.name)
        node.changes.clear()
        ports = NodePorts(
            name=node.name,
            kernel=kernel,
            wire=wire,
            transport=SimTransport(self._office, node.name, clock),
            clock=clock,
            random=CountedRandom(key(self._world.seed, "agent", node.name, self._starts)),
            inventory=self._inventory,
            seat=self._scenario.seat,
            kept=self._kept.setdefault((node.name, node.boots), {}),
        )
        running_agent = _Running(self._factory.agent(ports), clock, kernel, node)
        self._agents[node.idx] = running_agent
        self._launch(running_agent)

    def expect_reboot(self, node: Node, seconds: float) -> None:
        """Tell a node's agent that it is going to be shut down."""
        running = self._agents.get(node.idx)
        if running is not None and self._world.now < self._freeze_at:
            running.participant.expect_reboot(seconds)

    def close(self) -> None:
        """End all of them, those that died included: they may hold files."""
        for running in self._all:
            running.participant.close()

    def _clock(self, who: str) -> SimClock:
        return SimClock(self._world, 1000 + CLOCK_SPREAD_S * unit_at(key(self._world.seed, "clock", who), 0.0))

    def _launch(self, running: _Running) -> None:
        self._all.append(running)
        period = running.participant.period_s
        phase = period * unit_at(key(self._world.seed, "phase", len(self._all)), 0.0)
        self._world.at(self._world.now + phase, self._tick, running)

    def _tick(self, running: _Running) -> None:
        if running.alive and self._world.now < self._freeze_at:
            done = len(self.steps)
            running.participant.tick(self._world.now + running.clock.offset)
            if self._invariants is not None:
                self._invariants.ticked(running.node, changed=len(self.steps) > done)
            self._world.at(self._world.now + running.participant.period_s, self._tick, running)

    def _emit(self, event: Event) -> None:
        body: dict[str, object] = {
            "type": event.type,
            "incident": event.incident,
            "component": event.component,
            "data": dict(event.data),
            "origin": event.origin,
        }
        self.events.append((self._world.now, body))
