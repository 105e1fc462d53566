"""The agents of a run on a real mesh, one on every node, all in the lab process; their kernels note every step."""

from __future__ import annotations

import queue
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from x0tta6bl4.clock import SystemClock
from x0tta6bl4.lab import relay
from x0tta6bl4.lab.netlab import MESH_IF, PREFIX, NetLab
from x0tta6bl4.lab.participants import CONTROLLER, Factory, NodePorts, Participant
from x0tta6bl4.lab.record import Step
from x0tta6bl4.lab.scenarios import Scenario
from x0tta6bl4.network.linux import LinuxKernel
from x0tta6bl4.network.sockets import LinuxTransport, LinuxWire
from x0tta6bl4.ports import Transport

if TYPE_CHECKING:
    from x0tta6bl4.lab.guest import Session

AGENT_TICK_S: Final = 0.05


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
        self._kept: dict[str, dict[str, Any]] = {}  # by boot id
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
            clock=SystemClock(),
            random=random.Random(f"{self._seed}/{node}"),  # noqa: S311 -- jitter, not a secret
            inventory=lab.inventory(),
            seat=self._scenario.seat,
            settings=self._settings,
            kept=self._kept.setdefault(lab.boot_ids[node], {}),
        )
        self._living[node] = self._factory.agent(ports)
        self._due[node] = time.monotonic()

    def _stop(self, node: str) -> None:
        agent = self._living.pop(node, None)
        if agent is not None:
            agent.close()
        for held in self._held.pop(node, []):
            held.close()

    def at_rest(self) -> bool:
        """Is none of them doing or holding anything?"""
        return all(agent.at_rest() for agent in self._living.values())

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
