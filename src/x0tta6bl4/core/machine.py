"""This machine's own mesh, if it has one: an agent, and the controller where this node is its seat."""

from __future__ import annotations

import importlib
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

from pydantic import ValidationError

from x0tta6bl4.catalog import Scope
from x0tta6bl4.clock import SystemClock
from x0tta6bl4.core import alerts
from x0tta6bl4.core.agent import Agent, AgentSettings
from x0tta6bl4.core.controller import Controller, ControllerSettings, NodeAges
from x0tta6bl4.core.knowledge_base import Beside
from x0tta6bl4.core.mesh_view import mesh_view
from x0tta6bl4.core.plugins import Plugged, Plugins, Site, load
from x0tta6bl4.core.setting_groups import NodeSettings
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.core.store import Blocks, Ids, Recorder, Retention, SqlStore
from x0tta6bl4.core.store.archive import StoreArchive
from x0tta6bl4.core.store.times import DAY_S
from x0tta6bl4.core.view import Publisher, Source
from x0tta6bl4.core.watched import watched
from x0tta6bl4.core.workers import ThreadWorker
from x0tta6bl4.errors import ConfigError, Permanent, StoreError
from x0tta6bl4.lab.participants import (
    CONTROLLER,
    ControllerPorts,
    DeclaredNode,
    NodePorts,
)
from x0tta6bl4.mape_k import commands
from x0tta6bl4.model import Iteration
from x0tta6bl4.network import names
from x0tta6bl4.network.changes import KINDS
from x0tta6bl4.network.journal import FileJournal
from x0tta6bl4.network.probe import Hellos
from x0tta6bl4.network.sensors import KernelSensor

MESH_KIND = "batadv"
STATE_OF_SYSTEM = ("systemctl", "is-system-running")
REBOOT_S = 120.0  # a node that says goodbye is expected back within this time


def going_down(ask: Sequence[str] = STATE_OF_SYSTEM) -> bool:
    """Is this machine being shut down or restarted? systemd says so; where there is none, nobody does."""
    try:
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=1.0, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.strip() == "stopping"


def leave(agent: Agent, down: Callable[[], bool] = going_down) -> None:
    """The agent's last act: it says goodbye where the whole machine goes down, and takes back what is not proven."""
    if down():
        agent.expect_reboot(REBOOT_S)
    withdraw(agent)


def withdraw(agent: Agent) -> None:
    """Take back what is not proven: its dead-man timer ends with this process."""
    for order, known in list(agent.actuator.applied.items()):
        if not known.confirmed:
            agent.actuator.undo(order)


def store_url(settings: Settings, *, agent: bool) -> str:
    """Where this machine's agent, or its controller, keeps what it decided."""
    return f"sqlite:///{settings.store.path / 'agent.db'}" if agent else settings.store.database


def present(interface: str) -> bool:
    """Is there a batman-adv mesh interface of this name? Asks the kernel: /sys does not tell the kind of each one.

    Raises Temporary, NotSupported where the kernel does not answer.
    """
    if sys.platform != "linux":
        return False
    links: Any = importlib.import_module("x0tta6bl4.network.links").Links()
    try:
        return bool(links.get(interface).kind == MESH_KIND)
    except Permanent:
        return False
    finally:
        links.close()


def this_machine(settings: Settings, present: Callable[[str], bool] = present) -> Source | None:
    """A source over this machine's mesh; None where it has none. Raises ConfigError like `inventory`."""
    if not present(settings.mesh.interface):
        return None
    return MachineSource(settings)


def inventory(settings: Settings) -> tuple[str, str, tuple[DeclaredNode, ...], Mapping[str, str]]:
    """(this node, the seat, expected nodes, node -> IPv4 address on the mesh).

    Raises ConfigError where this node or the seat is not in the inventory, or a node has no address.
    """
    mesh = settings.mesh
    me = mesh.me
    known = {node.name: node for node in mesh.inventory}
    allowed = "a name of mesh.inventory: " + (", ".join(sorted(known)) or "it is empty; declare your nodes first")
    if me not in known:
        raise ConfigError("mesh.node", me, allowed)
    seat = mesh.seat or me
    if seat not in known:
        raise ConfigError("mesh.seat", seat, allowed)
    for node in mesh.inventory:
        if not node.ip:
            raise ConfigError(f"mesh.inventory.{node.name}.ip", node.ip, "its IPv4 address on the mesh interface")
    return me, seat, tuple(n.declared() for n in mesh.inventory), {n.name: n.ip for n in mesh.inventory}


def with_inventory(settings: Settings) -> Settings:
    """The same; where no node is declared, with those that were when this machine's agent last ran."""
    if settings.mesh.inventory:
        return settings
    url = store_url(settings, agent=True)
    try:
        with SqlStore(url, "command", clock=SystemClock(), random=random.SystemRandom(), reader=True) as store:
            nodes = tuple(NodeSettings.model_validate(dict(facts)) for facts in store.inventory().values())
    except (StoreError, ValidationError):  # there is none yet, or it is another version's
        return settings
    return settings.model_copy(update={"mesh": settings.mesh.model_copy(update={"inventory": nodes})})


class MachineSource:
    """Runs this node's agent, and the controller where this node is the seat, on a thread of their own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings = with_inventory(settings)
        self.me, self.seat, self.nodes, self._peers = inventory(settings)
        role = "controller" if self.me == self.seat else f"agent; the controller is at {self.seat}"
        self.title = f"mesh {settings.mesh.interface} of {self.me}, {role}"
        self._clock = SystemClock()
        self._random = random.SystemRandom()
        self._plugged = self._plug(load(settings.plugins.enabled))
        self._stop = threading.Event()
        self._failure = ""
        self._thread: threading.Thread | None = None

    def _plug(self, plugins: Plugins) -> dict[Scope, Plugged]:
        """What plugins add to each loop of this machine; raises ConfigError before anything is started."""
        agent = plugins.at(
            Site(self.me, Scope.NODE, self._clock), sensors=(KernelSensor.name, Hellos.name), kinds=KINDS
        )
        controller = plugins.at(Site(CONTROLLER, Scope.MESH, self._clock), sensors=(NodeAges.name,), kinds=KINDS)
        return {Scope.NODE: agent, Scope.MESH: controller}

    def start(self, publisher: Publisher) -> None:
        """Begin on a thread."""
        self._thread = threading.Thread(target=self._run, args=(publisher,), name="loop", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread. Unproven changes undo themselves; proven ones stay until the next start."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10)

    def failure(self) -> str:
        """Why it ended by itself."""
        return self._failure

    def _run(self, publisher: Publisher) -> None:
        try:
            with ExitStack() as stack:
                self._loop(stack, publisher)
        except Exception as error:  # noqa: BLE001  # the outer edge of this thread: the reader is told
            self._failure = f"{type(error).__name__}: {error}"

    def _loop(self, stack: ExitStack, publisher: Publisher) -> None:
        shown = None if self.me == self.seat else publisher
        members = [self._member(stack, self.me, partial(self._agent, publisher=shown))]
        if shown is None:
            members.append(self._member(stack, CONTROLLER, partial(self._controller, publisher=publisher)))
        while not self._stop.wait(self._settings.loop.tick_s):
            now = self._clock.now()
            for participant, recorder in members:
                before = participant.last
                participant.tick(now)
                if participant.last is not None and participant.last is not before:
                    recorder.see(participant.last)

    def _member(
        self, stack: ExitStack, name: str, build: Callable[[ExitStack, SqlStore, Blocks], Agent | Controller]
    ) -> tuple[Agent | Controller, Recorder]:
        """A participant that goes on where its store ends, and what keeps its passes and readings."""
        store = self._store(stack, name)
        expected = self._settings.mesh.inventory
        store.keep_inventory({names.node(node.name): node.model_dump(mode="json") for node in expected})
        blocks = stack.enter_context(closing(Blocks(self._settings.store.path / f"readings-{name}")))
        participant = build(stack, store, blocks)
        days = self._settings.store
        keep = Retention(days.keep_passes_days * DAY_S, days.keep_events_days * DAY_S)
        recorder = stack.enter_context(closing(Recorder(store, blocks, self._clock, participant.loop.columns, keep)))
        stack.callback(participant.close)
        return participant, recorder

    def _store(self, stack: ExitStack, origin: str) -> SqlStore:
        self._settings.store.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        url = store_url(self._settings, agent=origin != CONTROLLER)
        return stack.enter_context(SqlStore(url, origin, clock=self._clock, random=self._random))

    def _ids(self) -> Ids:
        return Ids(self._clock, self._random)

    def _agent(self, stack: ExitStack, store: SqlStore, blocks: Blocks, publisher: Publisher | None) -> Agent:
        """publisher: who is shown what this agent sees, where there is no controller beside it that sees more."""
        linux, sockets = (importlib.import_module(f"x0tta6bl4.network.{name}") for name in ("linux", "sockets"))
        mine = next(node for node in self.nodes if node.name == self.me)
        mesh_if, ports = self._settings.mesh.interface, [declared.name for declared in mine.interfaces]
        kernel: Any = linux.LinuxKernel(mesh_if, ports)
        stack.callback(kernel.close)
        wire: Any = sockets.LinuxWire(self.me, ports, mesh_if, self._peers)
        stack.callback(wire.close)
        transport: Any = sockets.LinuxTransport(self.me, self.seat, self._peers)
        stack.callback(transport.close)
        settings = self._settings
        agent = Agent(
            NodePorts(self.me, kernel, wire, transport, self._clock, self._random, self.nodes, self.seat),
            store,
            ThreadWorker(),
            self._ids(),
            AgentSettings(
                tick_s=settings.loop.tick_s,
                pass_s=settings.loop.agent_pass_s,
                hello_interval_s=settings.probe.hello_interval_s,
                large_interval_s=settings.probe.large_interval_s,
                limits=settings.safety.limits(),
                journal=FileJournal(settings.store.path / "orders.json"),
            ),
            plugged=self._plugged[Scope.NODE],
        )
        stack.callback(leave, agent)
        if publisher is not None:
            self._show(agent, store, blocks, publisher)
        return agent

    def _show(self, agent: Agent, store: SqlStore, blocks: Blocks, publisher: Publisher) -> None:
        """Let people read what this agent sees and did. It takes no commands: people's word comes by the controller."""

        def told(iteration: Iteration) -> None:
            publisher.publish(iteration, mesh_view(agent, iteration, at=iteration.at, backend="mesh"))

        agent.see = told
        where = f"{self.seat} ({self._peers[self.seat]})"
        publisher.commands.elsewhere = f"{self.me} runs an agent only: ask the controller at {where}"
        publisher.archive = StoreArchive(store, blocks, self._clock, publisher.archive)

    def _controller(self, stack: ExitStack, store: SqlStore, blocks: Blocks, publisher: Publisher) -> Controller:
        sockets = importlib.import_module("x0tta6bl4.network.sockets")
        transport: Any = sockets.LinuxTransport(CONTROLLER, self.seat, self._peers)
        stack.callback(transport.close)
        loop, limits = self._settings.loop, self._settings.safety.limits()
        rates = ControllerSettings(loop.tick_s, loop.controller_pass_s, limits)

        def build(ports: ControllerPorts) -> Controller:
            plugged = self._plugged[Scope.MESH]
            return Controller(ports, store, ThreadWorker(), self._ids(), settings=rates, plugged=plugged)

        def told(controller: Controller, iteration: Iteration) -> None:
            publisher.publish(iteration, mesh_view(controller, iteration, at=iteration.at, backend="mesh"))

        ports = ControllerPorts(transport, self._clock, self._random, self.nodes, self.seat, emit=lambda event: None)
        made = watched(build, ports, told, publisher.commands)
        commands.replay(made.loop, store.standing(commands.STANDING), store.windows())
        publisher.incoming.restore(store.standing(alerts.TYPES))
        publisher.archive = StoreArchive(store, blocks, self._clock, publisher.archive)
        publisher.knowledge.keep_in(store, self._clock)
        publisher.knowledge.beside = {name: Beside(one) for name, one in self._plugged[Scope.MESH].retrievers.items()}
        stack.callback(publisher.knowledge.close)  # before the store
        return made
