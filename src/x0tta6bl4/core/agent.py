"""The agent of one node: the same loop at node scope, beside its actuators. It heals what is local, also when the
controller or the network is away, and reports what it sees.

`tick` is called every 50 ms: take in what arrived, say hello, let dead-man timers expire, and make a pass when it is
time or when something happened (a kernel event, a neighbour falling silent, a read that ended).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import numpy as np

from x0tta6bl4.catalog import Autonomy, Scope
from x0tta6bl4.core.desk import OrderDesk
from x0tta6bl4.core.plugins import Plugged
from x0tta6bl4.errors import ProtocolError
from x0tta6bl4.lab.participants import NodePorts
from x0tta6bl4.mape_k.commands import Control
from x0tta6bl4.mape_k.guards import Limits
from x0tta6bl4.mape_k.loop import Loop
from x0tta6bl4.mape_k.parts import Parts
from x0tta6bl4.model import Component, Iteration, Layout, Observation, Seconds, Window
from x0tta6bl4.network import names, report, told
from x0tta6bl4.network.actuators import NodeActuator
from x0tta6bl4.network.catalog import mesh_catalog
from x0tta6bl4.network.hello import HURRY_MAX
from x0tta6bl4.network.journal import Journal
from x0tta6bl4.network.probe import Hellos, MeshProber, split
from x0tta6bl4.network.sensors import Declared, Inventory, KernelSensor
from x0tta6bl4.ports import Store, Worker

FACTS_EVERY_S: Final = 2.0  # routes are the largest part of a report
HURRY_S: Final = 6.0
REROUTES: Final = frozenset(("detach-interface", "set-hop-penalty", "set-throughput-override", "block-neighbour"))
REPORTED: Final = ("node", "interface", "link")  # in this order: a set's changes the bytes of a report
REPORTED_FOR_S: Final = 10.0  # what is older is no news


class ReadyWorker(Worker, Protocol):
    """A worker that says whether something ended."""

    def ready(self) -> bool:
        """Is there anything in `finished`?"""
        ...

    def close(self) -> None:
        """Stop."""
        ...


@dataclass(frozen=True)
class AgentSettings:
    """Rates of one agent, in seconds."""

    tick_s: Seconds = 0.05
    pass_s: Seconds = 0.5
    report_s: Seconds = 0.5
    hello_interval_s: Seconds = 0.05
    large_interval_s: Seconds = 0.5
    limits: Limits = field(default_factory=Limits)
    journal: Journal | None = None


def inventory_of(ports_inventory: tuple[object, ...]) -> Inventory:
    """The lab's or the settings' declared nodes as an inventory."""
    return Inventory(
        [
            Declared(node.name, i.name, i.mac, i.mtu, i.dummy, i.radio)  # type: ignore[attr-defined]
            for node in ports_inventory
            for i in node.interfaces  # type: ignore[attr-defined]
        ]
    )


class Agent:
    """One node's agent. See `lab.participants.Participant` for who calls it."""

    def __init__(
        self,
        ports: NodePorts,
        store: Store,
        worker: ReadyWorker,
        new_id: Callable[[], str],
        settings: AgentSettings | None = None,
        *,
        plugged: Plugged | None = None,
    ) -> None:
        self.settings = settings or AgentSettings()
        self.ports, self.worker = ports, worker
        self.see: Callable[[Iteration], None] = lambda iteration: None  # told of every pass
        self.period_s = self.settings.tick_s
        self.inventory = inventory_of(ports.inventory)
        self.boots = {ports.name: ports.kernel.boot_id()}
        self.hellos = Hellos(
            ports.name,
            ports.wire,
            clock=ports.clock,
            interval_s=self.settings.hello_interval_s,
            large_interval_s=self.settings.large_interval_s,
        )
        self.prober = MeshProber(ports.wire, ports.clock)
        self.actuator = NodeActuator(
            ports.name, ports.kernel, ports.clock, mac_of=self.inventory.mac_of, journal=self.settings.journal
        )
        self.actuator.recover()
        self.kernel = KernelSensor(ports.name, ports.kernel, self.inventory)
        added = plugged or Plugged(mesh_catalog(ports.name))
        self.loop = Loop(
            Parts(
                catalog=added.catalog,
                clock=ports.clock,
                store=store,
                worker=worker,
                prober=self.prober,
                new_id=new_id,
                origin=ports.name,
                scope=Scope.NODE,
                sensors=(self.kernel, *added.sensors),
                instant=(self.hellos,),
                actuators=(self.actuator, *added.actuators),
                ranker=added.ranker,
                detectors=added.detectors,
                rules=added.rules,
                limits=self.settings.limits,
                seat=names.node(ports.name),
            )
        )
        self.loop.analyzer.patience = 0.25  # a node acts on what it knows; the whole picture is the controller's
        self.desk = OrderDesk(self.actuator, self.prober, self._may_be_ordered)
        self.malformed = 0
        self.last: Iteration | None = None
        self._own_interfaces = tuple(d.name for d in self._declared() if not d.dummy)
        self._last_tick: Seconds | None = None
        self._next_pass = self._next_report = float("-inf")
        self._next_facts = float("-inf")
        self._seq = 0
        self._leaving_s = 0.0
        self._eager = False
        self._told: tuple[object, ...] = ()
        self._hurry_layout = Layout((names.node(ports.name),), ("hurry",))

    def _may_be_ordered(self, kind: str) -> bool:
        limits = self.loop.limits
        level = limits.level(self.loop.parts.catalog.action[kind])
        return level in (Autonomy.APPROVE, Autonomy.ACT) and not limits.kill_switch

    def _declared(self) -> list[Declared]:
        return [d for d in self.inventory.by_name.values() if d.node == self.ports.name]

    # -- time ---------------------------------------------------------------------------------------------------

    def tick(self, now: Seconds) -> None:
        """Take in what arrived and do what is due."""
        if self._last_tick is not None:
            self.hellos.note_lag(now - self._last_tick - self.period_s, now)
        self._last_tick = now
        self.hellos.interfaces = self._own_interfaces
        _, malformed = split(self.ports.wire.receive(), self.hellos, self.prober)
        self.malformed += malformed
        for _, at, payload in self.ports.transport.receive():
            self._hear_controller(payload, at, now)
        self.hellos.send(now)
        self.desk.tick(now)
        self.prober.tick(now)
        self.actuator.expire()
        alarmed = self.hellos.alarmed(now)
        moved = False
        if self.worker.ready():
            moved = self.loop.drain(now)
            moved, self._eager = moved or self._eager, False
        if self.ports.kernel.changed():
            moved = self._eager = True  # this pass asks the kernel, the one after its answer acts
        if alarmed or moved or now >= self._next_pass or self._look(now):
            self._pass(now, urgent=alarmed)

    def _look(self, now: Seconds) -> bool:
        look = self.loop.analyzer.next_look
        return look is not None and now >= look

    def _pass(self, now: Seconds, *, urgent: bool) -> None:
        self._next_pass = now + self.settings.pass_s
        news = self.hellos.heard_news(now)
        if news is not None:
            self.loop.senses.take(news, now)
        self._expect_neighbours(now)
        self._hurry(now)
        self.kernel.quiet = not (urgent or self._eager or self.last is None or self.last.symptoms)
        self.last = iteration = self.loop.run_once()
        self.hellos.tell(self._bad_news())
        told = (
            tuple((s.code, s.component) for s in iteration.symptoms),
            tuple((a.id, a.state) for a in self.loop.executor.ledger.recent),
        )
        urgent = urgent or told != self._told
        if urgent or now >= self._next_report:
            self._told = told
            self._next_report = now + self.settings.report_s
            self._report(now, urgent=urgent)
        self.see(iteration)

    def _hear_controller(self, payload: bytes, at: Seconds, now: Seconds) -> None:
        try:
            message = told.decode(payload)
        except ProtocolError:
            self.malformed += 1
            return
        if isinstance(message, told.Links):
            self.loop.senses.take(told.observation(self.ports.name, message, now), now)
        elif isinstance(message, told.Restraints):
            self._restrain(message)
        else:
            self.desk.take(message, at, now)
            self._next_report = now

    def _restrain(self, restraints: told.Restraints) -> None:
        """Keep to what people set at the controller; it never allows more than this node's own settings."""
        own, kinds = self.settings.limits, self.loop.parts.catalog.action
        bound = {
            kind: min(own.level(kinds[kind]), level, key=list(Autonomy).index)
            for kind, level in restraints.autonomy.items()
            if kind in kinds
        }
        self.loop.control = Control(restraints.paused, "paused at the controller" if restraints.paused else "")
        self.loop.limit(
            replace(
                own,
                kill_switch=own.kill_switch or restraints.kill_switch,
                autonomy={**own.autonomy, **bound},
            )
        )

    # -- neighbours ---------------------------------------------------------------------------------------------

    def _expect_neighbours(self, now: Seconds) -> None:
        """A neighbour that said goodbye is expected to be away for a while."""
        for peer in self.hellos.peers.values():
            if peer.leaving and peer.hello_silence_ms(now) < 1000:
                away = names.node(peer.node)
                if not any(w.component == away for w in self.loop.knowledge.windows):
                    self.loop.expect(Window(away, now, now + 120.0, "it said that it reboots"))

    def _hurry(self, now: Seconds) -> None:
        """Ask the mesh around to converge fast while this node's ways change."""
        acted = any(r.action.kind in REROUTES and now - r.at < HURRY_S for r in self.loop.executor.ledger.recent)
        opened = any(
            now - i.opened_at < HURRY_S and i.cause.code != "mesh-converging" for i in self.loop.knowledge.open.values()
        )
        self.hellos.hurry = HURRY_MAX if acted or opened else 0
        values = np.array([[float(self.hellos.hurried(now))]], np.float32)
        self.loop.senses.take(Observation("hurry", now, self._hurry_layout, values), now)

    def _bad_news(self) -> dict[str, dict[str, float]]:
        """What neighbours shall pass on: own interfaces that are down, detached or short of MTU."""
        bad: dict[str, dict[str, float]] = {}
        for i in self.kernel.interfaces:
            declared = self.inventory.by_name.get((self.ports.name, i.name))
            short = float(max(0, declared.mtu - i.mtu)) if declared is not None else 0.0
            if not i.up or not i.attached or short:
                bad[i.name] = {"up": float(i.up), "attached": float(i.attached), "mtu_short_bytes": short}
        return bad

    def at_rest(self) -> bool:
        """See `Loop.at_rest`."""
        return self.loop.at_rest

    def expect_reboot(self, seconds: Seconds) -> None:
        """Say goodbye: to neighbours in every hello, to the controller in every report."""
        self.hellos.leaving = True
        self._leaving_s = seconds
        now = self.ports.clock.now()
        self.hellos.send(now)
        self._report(now, urgent=True)

    # -- the report ---------------------------------------------------------------------------------------------

    def _report(self, now: Seconds, *, urgent: bool) -> None:
        self._seq += 1
        said = report.Report(
            node=self.ports.name,
            boot=self.boots[self.ports.name],
            seq=self._seq,
            readings=self._readings(now),
            actions=tuple(self._actions(now)),
            leaving_s=self._leaving_s,
            urgent=urgent,
            facts=self._facts(now),
            answers=self.desk.answers(now),
        )
        self.ports.transport.send("controller", report.encode(said))

    def _readings(self, now: Seconds) -> dict[str, dict[str, tuple[float, int]]]:
        readings: dict[str, dict[str, tuple[float, int]]] = {}
        for kind in REPORTED:
            table = self.loop.columns.tables[kind]
            for component, row in zip(table.components, table.readings(now, REPORTED_FOR_S), strict=True):
                if row and self._mine(component):
                    found = {name: (value, max(0, int(age * 1000))) for name, value, age in row if name != "hurry"}
                    if found:
                        readings[str(component)] = found
        return readings

    def _facts(self, now: Seconds) -> dict[str, object]:
        if now < self._next_facts:
            return {}
        self._next_facts = now + FACTS_EVERY_S
        routes = self.loop.columns.fact(names.node(self.ports.name), "routes")
        return {"routes": routes} if routes else {}

    def _mine(self, component: Component) -> bool:
        return component.kind != "node" or component.name == self.ports.name

    def _actions(self, now: Seconds) -> list[report.ActionNews]:
        news = []
        for record in self.loop.executor.ledger.recent:
            if record.id in self.loop.executor.ledger.live or now - record.at < 10.0:
                incident = self.loop.knowledge.open.get(record.incident)
                cause = f"{incident.cause.code} {incident.cause.component}" if incident is not None else ""
                news.append(
                    report.ActionNews(
                        record.id,
                        record.action.kind,
                        str(record.action.target),
                        record.state.value,
                        cause,
                        record.detail[:120],
                        record.lease,
                    )
                )
        return news[-12:]

    def close(self) -> None:
        """Stop; what is applied and unconfirmed falls to the dead-man timer."""
        self.worker.close()
