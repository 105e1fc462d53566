"""The parts list: which constructor gets what. Nothing is decided here."""

from __future__ import annotations

from dataclasses import dataclass, field

from x0tta6bl4.catalog import Autonomy
from x0tta6bl4.core.agent import Agent, AgentSettings, ReadyWorker
from x0tta6bl4.core.controller import Controller, ControllerSettings
from x0tta6bl4.core.store.ids import Ids
from x0tta6bl4.core.workers import ThreadWorker
from x0tta6bl4.lab.participants import ControllerPorts, NodePorts, Participant
from x0tta6bl4.mape_k.guards import Limits
from x0tta6bl4.mape_k.inline import InlineWorker
from x0tta6bl4.mape_k.loop import RISKS_LANE
from x0tta6bl4.mape_k.memory import MemoryStore
from x0tta6bl4.mape_k.outbox import STORE_LANE
from x0tta6bl4.network.journal import MemoryJournal

LAB_LIMITS = Limits(autonomy_default=Autonomy.ACT, actions_max=40)
"""In the lab everything may act by itself, except what cannot be undone."""


@dataclass(frozen=True)
class Participants:
    """`lab.participants.Factory`: the product's own agents and controller, with their stores in memory."""

    threads: bool
    limits: Limits = field(default_factory=lambda: LAB_LIMITS)
    agent_limits: Limits | None = None  # None: the same

    def _worker(self) -> ReadyWorker:
        return ThreadWorker(inline=frozenset({STORE_LANE, RISKS_LANE})) if self.threads else InlineWorker()

    def agent(self, ports: NodePorts) -> Participant:
        """The agent of one node."""
        store = ports.kept.setdefault("store", MemoryStore())
        journal = ports.kept.setdefault("journal", MemoryJournal())
        store.epoch += 1
        return Agent(
            ports,
            store,
            self._worker(),
            Ids(ports.clock, ports.random),
            AgentSettings(limits=self.agent_limits or self.limits, journal=journal),
        )

    def controller(self, ports: ControllerPorts) -> Participant:
        """The controller of the mesh."""
        return Controller(
            ports,
            MemoryStore(),
            self._worker(),
            Ids(ports.clock, ports.random),
            settings=ControllerSettings(limits=self.limits),
        )


factory = Participants(threads=True)
"""For real time: `vm` and `host`."""

sim_factory = Participants(threads=False)
"""For the simulator's virtual time."""
