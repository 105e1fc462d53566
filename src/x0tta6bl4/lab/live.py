"""One scenario on a real mesh, from building to the record. Runs inside the lab process (`guest.py`).

Two threads: the lab's own sends the client probes, works off the timeline and watches its timer; the main one ticks the
agents and passes datagrams to the controller outside. An agent that is slow delays other agents, never the measurement.
"""

from __future__ import annotations

import gc
import math
import queue
import random
import select
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, cast

from x0tta6bl4.errors import X0tError
from x0tta6bl4.lab import injection, relay
from x0tta6bl4.lab.clients import PERIOD_S, Clients
from x0tta6bl4.lab.lines import Lines
from x0tta6bl4.lab.netlab import MESH_IF, PREFIX, Blueprint, NetLab, settings
from x0tta6bl4.lab.participants import CONTROLLER, Factory, NodePorts, Participant
from x0tta6bl4.lab.record import Step
from x0tta6bl4.lab.scenarios import Scenario, from_document
from x0tta6bl4.network.linux import LinuxKernel
from x0tta6bl4.network.sockets import LinuxTransport, LinuxWire
from x0tta6bl4.ports import Transport

if TYPE_CHECKING:
    from x0tta6bl4.lab.guest import Session

WARM_INTERVAL_MS: Final = 100  # TQ is a window of 64 intervals: it fills faster when they are short
WARM_S: Final = 9.0
SETTLE_S: Final = 6.0  # at the declared interval, agents running, before time zero
OFF_TAIL_S: Final = 12.0  # after the last fault's end, without a controller
TAIL_S: Final = 120.0  # the longest hold of a mitigation (90 s) and 30 s: then nothing may differ from the start
QUIET_S: Final = 20.0  # settings as at the start for so long end a run early
LAG_MAX_S: Final = 0.1
AGENT_TICK_S: Final = 0.05


class WallClock:
    """The Clock of everyone in this process."""

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def utc(self) -> float:
        """Seconds since 1970."""
        return time.time()


class RecordingKernel(LinuxKernel):
    """A node's kernel that notes every change it was told to make."""

    note: Callable[[str, str, str], None]

    def attach(self, interface: str) -> None:
        """As the kernel does."""
        self.note(interface, "attach", "1")
        super().attach(interface)

    def detach(self, interface: str) -> None:
        """As the kernel does."""
        self.note(interface, "detach", "1")
        super().detach(interface)

    def stand_in(self, interface: str, on: bool) -> None:
        """As the kernel does."""
        self.note(interface, "stand_in", str(int(on)))
        super().stand_in(interface, on)

    def set_up(self, interface: str, up: bool) -> None:
        """As the kernel does."""
        self.note(interface, "set_up", str(int(up)))
        super().set_up(interface, up)

    def set_mtu(self, interface: str, mtu: int) -> None:
        """As the kernel does."""
        self.note(interface, "set_mtu", str(mtu))
        super().set_mtu(interface, mtu)

    def set_hardif(self, interface: str, option: str, value: int) -> None:
        """As the kernel does."""
        self.note(interface, option, str(value))
        super().set_hardif(interface, option, value)

    def set_mesh(self, option: str, value: int | str) -> None:
        """As the kernel does."""
        self.note("", option, str(value))
        super().set_mesh(option, value)

    def block(self, interface: str, mac: str, on: bool) -> None:
        """As the kernel does."""
        self.note(interface, "block" if on else "unblock", mac)
        super().block(interface, mac, on)


class Field:
    """The lab's own thread: client probes, the timeline, faults held in force, and how late its timer was."""

    def __init__(
        self, lab: NetLab, scenario: Scenario, seed: int, tail_s: float, agents: Callable[[str, bool], None]
    ) -> None:
        self.lab, self.scenario = lab, scenario
        self.probes_end = scenario.ends + tail_s
        self.touched: list[tuple[float, tuple[str, ...]]] = []
        self.lag_s = 0.0
        self.start = 0.0
        self.failure = ""
        self._changes = injection.changes(lab, scenario, seed, self.probes_end, agents)
        namespaces = {node: PREFIX + node for node in lab.nodes}
        self.clients = Clients(scenario.pairs, namespaces, lab.addresses)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="field", daemon=True)

    def go(self, start: float) -> None:
        """Begin; `start` is time zero on the monotonic clock."""
        self.start = start
        self._thread.start()

    def close(self) -> None:
        """Stop and release the sockets."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)
        self.clients.close()

    def _run(self) -> None:
        try:
            self._loop()
        except X0tError as error:
            self.failure = f"timeline: {error}"

    def _loop(self) -> None:
        due, changes = self.start, list(self._changes)
        while not self._stop.is_set():
            now = time.monotonic()
            while changes and self.start + changes[0].at <= now:
                change = changes.pop(0)
                change.do()
                if change.touches:
                    self.touched.append((time.monotonic() - self.start, change.touches))
            self.lab.enforce()
            if now >= due:
                if now - self.start <= self.probes_end:
                    self.lag_s = max(self.lag_s, now - due)
                    self.clients.send()
                due += PERIOD_S * max(1, math.floor((now - due) / PERIOD_S))  # one that is far too late is left out
            self.clients.receive()
            then = min(due, self.start + changes[0].at if changes else due, now + 0.02)
            self._stop.wait(max(0.001, then - time.monotonic()))


class Agents:
    """The agents of all nodes, ticked by the main thread; `factory` None makes none."""

    def __init__(
        self, session: Session, lab: NetLab, scenario: Scenario, factory: Factory | None, request: Mapping[str, Any]
    ) -> None:
        self._lab, self._scenario, self._factory = lab, scenario, factory
        self._seed = int(request["seed"])
        self._settings: Mapping[str, object] = request.get("settings") or {}
        self._living: dict[str, Participant] = {}
        self._held: dict[str, list[RecordingKernel | LinuxWire | LinuxTransport]] = {}
        self._due: dict[str, float] = {}
        self._orders: queue.SimpleQueue[tuple[str, bool]] = queue.SimpleQueue()
        self.steps: list[Step] = []
        self.start = 0.0
        self.lag_s = 0.0
        self.busy_s = 0.0
        self.failures: list[str] = []
        self._outband: relay.Outband | None = None
        self.bridge: LinuxTransport | None = None
        send = session.lines.send
        if scenario.management == "oob":
            self._outband = relay.Outband(lambda node, data: send(relay.notice(relay.TO_CONTROLLER, node, data)))
        else:
            seat = PREFIX + scenario.seat
            self.bridge = LinuxTransport(CONTROLLER, scenario.seat, lab.addresses, netns=seat)

    def ask(self, node: str, alive: bool) -> None:
        """From any thread: stop or start the agent of a node."""
        self._orders.put((node, alive))

    def to_node(self, node: str, payload: bytes) -> None:
        """A datagram from the controller."""
        if self._outband is not None:
            self._outband.deliver(node, CONTROLLER, payload)
        elif self.bridge is not None:
            self.bridge.send(node, payload)

    def start_all(self) -> None:
        """An agent on every node, their ticks spread over the period."""
        for node in self._lab.nodes:
            self._start(node)
        count = len(self._living)
        for number, node in enumerate(self._living):
            self._due[node] = time.monotonic() + AGENT_TICK_S * number / count

    def _start(self, node: str) -> None:
        if self._factory is None or node in self._living:
            return
        lab, netns = self._lab, PREFIX + node
        names = [one.name for one in lab.nodes[node].interfaces]
        kernel = RecordingKernel(MESH_IF, names, netns=netns, boot_id=lab.boot_ids[node])
        kernel.note = lambda name, what, value: self._note(node, name, what, value)
        wire = LinuxWire(node, names, MESH_IF, lab.addresses, netns=netns)
        self._held[node] = [kernel, wire]
        transport: Transport
        if self._outband is not None:
            transport = self._outband.box(node)
        else:
            direct = LinuxTransport(node, self._scenario.seat, lab.addresses, netns=netns)
            self._held[node].append(direct)
            transport = direct
        ports = NodePorts(
            name=node,
            kernel=kernel,
            wire=wire,
            transport=transport,
            clock=WallClock(),
            random=random.Random(f"{self._seed}/{node}"),  # noqa: S311 -- jitter, not a secret
            inventory=lab.inventory(),
            seat=self._scenario.seat,
            settings=self._settings,
        )
        self._living[node] = self._factory.agent(ports)
        self._due[node] = time.monotonic()

    def _stop(self, node: str) -> None:
        agent = self._living.pop(node, None)
        if agent is not None:
            agent.close()
        for held in self._held.pop(node, []):
            held.close()

    def close(self) -> None:
        """Stop all."""
        for node in list(self._living):
            self._stop(node)
        if self.bridge is not None:
            self.bridge.close()

    def _note(self, node: str, interface: str, what: str, value: str) -> None:
        component = f"interface/{node}:{interface}" if interface else f"node/{node}"
        self.steps.append(Step(time.monotonic() - self.start, node, component, what, value))

    def work(self) -> float:
        """Tick who is due; returns when (monotonic) the next one is."""
        with suppress(queue.Empty):
            while True:
                node, alive = self._orders.get_nowait()
                (self._start if alive else self._stop)(node)
        for node, agent in list(self._living.items()):
            now = time.monotonic()
            if now >= self._due[node]:
                self.lag_s = max(self.lag_s, now - self._due[node])
                agent.tick(now)
                self.busy_s += time.monotonic() - now
                self._due[node] = max(self._due[node] + agent.period_s, now)
        return min(self._due.values(), default=time.monotonic() + AGENT_TICK_S)


def run(session: Session, request: Mapping[str, Any]) -> dict[str, object]:
    """Carry out one run and return what the driver needs for its record (times from time zero, in seconds).

    request: document (of the scenario), seed, factory ("module:attribute" or None), settings, tail_s, early.
    """
    scenario = from_document(request["document"])
    seed = int(request["seed"])
    began = time.monotonic()
    lab = session.replace(Blueprint(scenario.topology, scenario.algorithm, scenario.orig_interval_ms))
    build_s = time.monotonic() - began
    injection.apply_background(lab, scenario.background, seed)
    factory = _factory(request.get("factory"))
    kernels = {node: lab.kernel(node) for node in lab.nodes}
    agents = Agents(session, lab, scenario, factory, request)
    field = Field(lab, scenario, seed, float(request.get("tail_s", TAIL_S)), agents.ask)
    sys.setswitchinterval(0.001)  # the probes' thread must not wait for an agent's
    try:
        _warm(session, kernels, scenario)
        before = _settings(kernels)
        agents.start_all()
        start = time.monotonic() + SETTLE_S
        agents.start = start
        session.lines.send({"notice": "start", "at": start})
        field.go(start)
        _serve(session, field, agents, same=lambda: _settings(kernels) == before, request=request)
        after = _settings(kernels)
        return _result(field, agents, before=before, after=after, build_s=build_s)
    finally:
        sys.setswitchinterval(0.005)
        agents.close()
        field.close()
        for kernel in kernels.values():
            kernel.close()
        gc.unfreeze()


def _factory(name: str | None) -> Factory | None:
    if name is None:
        return None
    from x0tta6bl4.lab.guest import named  # noqa: PLC0415 -- guest imports this module by name when it runs one

    found = named(name)
    return cast("Factory", found() if isinstance(found, type) else found)


def _warm(session: Session, kernels: Mapping[str, LinuxKernel], scenario: Scenario) -> None:
    """Fill the TQ windows at a short interval, then go back to the declared one."""
    declared = scenario.orig_interval_ms
    for kernel in kernels.values():
        kernel.set_mesh("orig_interval_ms", min(declared, WARM_INTERVAL_MS))
    end = time.monotonic() + WARM_S
    while time.monotonic() < end:
        for document in session.lines.receive(0.5):
            session.answer(document)
    for kernel in kernels.values():
        kernel.set_mesh("orig_interval_ms", declared)
    gc.collect()
    gc.freeze()


def _settings(kernels: Mapping[str, LinuxKernel]) -> dict[str, dict[str, str]]:
    return {node: settings(kernel) for node, kernel in kernels.items()}


def _serve(
    session: Session,
    field: Field,
    agents: Agents,
    *,
    same: Callable[[], bool],
    request: Mapping[str, Any],
) -> None:
    """Tick, pass on datagrams and answer the driver until the run ends; `same`: are settings as at the start?"""
    end = field.start + field.probes_end + 1
    look, same_since = field.start + field.scenario.ends + OFF_TAIL_S, math.inf
    now = time.monotonic()
    while now < end and not field.failure:
        due = agents.work()
        _exchange(session, agents, min(due, end))
        now = time.monotonic()
        if request.get("early", True) and now >= look:
            look = now + 2.0
            same_since = min(same_since, now) if same() else math.inf
            if now - same_since >= QUIET_S:
                break


def _exchange(session: Session, agents: Agents, until: float) -> None:
    """Wait for the driver or the bridge until `until`, and take in what they bring."""
    bridge = agents.bridge
    sources: list[Lines | LinuxTransport] = [session.lines, *([bridge] if bridge is not None else [])]
    ready, _, _ = select.select(sources, [], [], max(0.0, until - time.monotonic()))
    if bridge is not None and bridge in ready:
        for node, _at, payload in bridge.receive():
            session.lines.send(relay.notice(relay.TO_CONTROLLER, node, payload))
    if session.lines in ready:
        for document in session.lines.receive(0.0):
            if document.get("notice") == relay.TO_NODE:
                agents.to_node(*relay.payload_of(document))
            elif document.get("op") == "clock":
                session.answer(document)


def _result(
    field: Field,
    agents: Agents,
    *,
    before: dict[str, dict[str, str]],
    after: dict[str, dict[str, str]],
    build_s: float,
) -> dict[str, object]:
    start = field.start
    reasons = [field.failure] if field.failure else []
    if field.lag_s > LAG_MAX_S:
        reasons.append(f"guest timer lag {field.lag_s * 1e3:.0f} ms")
    duration = time.monotonic() - start
    pairs = [
        {
            "source": pair.source,
            "target": pair.target,
            "sent": [round(at - start, 4) for at in pair.sent],
            "rtt_ms": [None if math.isnan(value) else round(value, 3) for value in pair.rtt_ms],
            "excused": injection.excused(field.scenario, (pair.source, pair.target)),
        }
        for pair in field.clients.pairs
    ]
    return {
        "duration": duration,
        "pairs": pairs,
        "steps": [asdict(step) for step in agents.steps],
        "touched": field.touched,
        "settings_start": before,
        "settings_end": after,
        "invalid": "; ".join(reasons),
        "notes": {
            "timer_lag_ms": field.lag_s * 1e3,
            "agent_lag_ms": agents.lag_s * 1e3,
            "agents_busy_share": agents.busy_s / (duration + SETTLE_S),
            "build_s": build_s,
        },
    }
