"""The controller: the loop over the whole mesh. It sees what agents report, finds the cause across nodes, tells
many symptoms from one incident, and says so in its event stream.

What is local is healed by the agent beside it; the controller follows those actions, attaches them to incidents, and
holds all agents back where too many ways change at once (the storm brake over the mesh).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from x0tta6bl4.catalog import Scope
from x0tta6bl4.core.agent import ReadyWorker, inventory_of
from x0tta6bl4.core.deeds import Deeds
from x0tta6bl4.core.plugins import Plugged
from x0tta6bl4.core.remote import RemoteActuator
from x0tta6bl4.errors import ProtocolError
from x0tta6bl4.lab.participants import ControllerPorts
from x0tta6bl4.mape_k.escalation import escalate
from x0tta6bl4.mape_k.guards import Limits
from x0tta6bl4.mape_k.loop import Loop
from x0tta6bl4.mape_k.parts import Parts
from x0tta6bl4.model import ActionState, Component, Event, Iteration, Layout, Observation, Relation, Seconds, Window
from x0tta6bl4.network import names, report, told
from x0tta6bl4.network.catalog import mesh_catalog
from x0tta6bl4.network.changes import IRREVERSIBLE
from x0tta6bl4.ports import Store

PATIENCE_S: Final = 4.0  # an agent acts within a second: what it has not done by then, it may not or cannot
UNATTACHED_S: Final = 5.0  # how long an agent's action waits for the incident that it belongs to
CONVERGING: Final = "mesh-converging"  # serves whatever is being healed and keeps no incident open
TELL_EVERY_S: Final = 5.0
ENDS: Final = frozenset((ActionState.UNDOING, ActionState.UNDONE, ActionState.UNDO_FAILED))
BRAKED: Final = "brake.changed"
SETTLING_S: Final = 0.1  # the shortest time between two passes
UNSEEN_S: Final = 0.3  # how long a report waits at most for the pass that looks at the one before it


@dataclass(frozen=True)
class ControllerSettings:
    """Rates of the controller, in seconds."""

    tick_s: Seconds = 0.05
    pass_s: Seconds = 0.5
    limits: Limits = field(default_factory=Limits)


class NodeAges:
    """How old each expected node's newest report is; an instant sensor."""

    name = "reports"

    def __init__(self, nodes: Sequence[str], start: Seconds) -> None:
        self.start = start
        self.heard: dict[str, Seconds] = {}
        self._nodes: list[str] = list(nodes)
        self._layout = self._make()

    def hear(self, node: str, at: Seconds) -> None:
        """A report arrived."""
        if node not in self.heard and node not in self._nodes:
            self._nodes.append(node)
            self._layout = self._make()
        self.heard[node] = at

    def _make(self) -> Layout:
        return Layout(tuple(names.node(n) for n in self._nodes), ("report_age_ms", "absent_s"))

    def read(self, now: Seconds) -> Observation:
        """One row for each node."""
        values = np.full((len(self._nodes), 2), np.nan, np.float32)
        for row, node in enumerate(self._nodes):
            heard = self.heard.get(node)
            values[row] = (np.nan, now - self.start) if heard is None else ((now - heard) * 1000, 0.0)
        return Observation(self.name, now, self._layout, values)


class Controller:
    """The mesh's controller. See `lab.participants.Participant` for who calls it."""

    def __init__(
        self,
        ports: ControllerPorts,
        store: Store,
        worker: ReadyWorker,
        new_id: Callable[[], str],
        *,
        settings: ControllerSettings | None = None,
        see: Callable[[Iteration], None] = lambda iteration: None,
        plugged: Plugged | None = None,
    ) -> None:
        self.settings = settings or ControllerSettings()
        self.ports, self.worker, self.see = ports, worker, see
        self.period_s = self.settings.tick_s
        inventory = inventory_of(ports.inventory)
        self.ages = NodeAges(inventory.nodes, ports.clock.now())
        self.reader = report.ReportReader()
        self.arm = RemoteActuator(ports.transport, ports.clock)
        added = plugged or Plugged(mesh_catalog(None))
        self.deeds = Deeds(added.catalog.action)
        self.loop = Loop(
            Parts(
                catalog=added.catalog,
                clock=ports.clock,
                store=store,
                worker=worker,
                prober=self.arm,
                sensors=added.sensors,
                actuators=(self.arm, *added.actuators),
                ranker=added.ranker,
                detectors=added.detectors,
                rules=(*added.rules, self.deeds.storm_brake_of_mesh, self.deeds.tried_by_agent),
                patience_s=PATIENCE_S,
                new_id=new_id,
                origin="controller",
                scope=Scope.MESH,
                instant=(self.ages,),
                limits=self.settings.limits,
                seat=names.node(ports.seat),
            ),
            emit=ports.emit,
        )
        self.arm.answered = lambda tag, outcome: self.loop.executor.finished(tag, outcome, ports.clock.now())
        self.malformed = 0
        self.boots: dict[str, str] = {}
        self.last: Iteration | None = None
        self._held: dict[str, dict[str, tuple[str, bool]]] = {}  # incident -> agent's action -> (state, lease)
        self._belongs: dict[str, str] = {}  # agent's action that is not over -> the incident with which it was said
        self._waiting: list[tuple[Seconds, str, report.ActionNews]] = []
        self._restraints = told.Restraints()
        self._next_tell = ports.clock.now() + 1.0  # the first reports come in before
        self._next_pass = float("-inf")
        self._last_pass = float("-inf")
        self._urgent = set[str]()  # nodes with an urgent report that no pass has looked at
        self._later: list[tuple[report.Report, Seconds]] = []

    def tick(self, now: Seconds) -> None:
        """Take in reports; make a pass when it is time, sooner when a report is urgent or a verdict has settled."""
        self._take_in(now)
        self.arm.tick(now)
        look = self.loop.analyzer.next_look
        asked = self.loop.commands.waiting
        soon = asked or bool(self._urgent) or self.worker.ready() or (look is not None and now >= look)
        if now >= self._next_pass or (soon and now - self._last_pass >= SETTLING_S - 1e-9):
            self._pass(now)

    def _take_in(self, now: Seconds) -> None:
        """Hear what arrived, each node's in order.

        An agent mends what is local within two ticks. Its next report must not replace the one that said what was
        wrong before a pass has seen that, or the mesh would be repaired of something that never was an incident.
        """
        waiting, self._later = self._later, []
        for _, at, payload in self.ports.transport.receive():
            try:
                waiting.append((report.decode(payload), at))
            except ProtocolError:
                self.malformed += 1
        for said, at in waiting:
            if said.node in self._urgent and now - at < UNSEEN_S:
                self._later.append((said, at))
            else:
                self._hear(said, at, now)

    def _hear(self, said: report.Report, at: Seconds, now: Seconds) -> None:
        self.ages.hear(said.node, at)
        for answer in said.answers:
            self.arm.hear(answer, at)
        self.loop.senses.take(self.reader.observation(said, at), now)
        if said.urgent:
            self._urgent.add(said.node)
        self.boots[said.node] = said.boot
        if said.leaving_s:
            away = names.node(said.node)
            if not any(w.component == away for w in self.loop.knowledge.windows):
                self.loop.expect(Window(away, now, now + said.leaving_s + 30.0, "it said that it reboots"))
        self._waiting.extend((now, said.node, action) for action in said.actions if self.deeds.hear(action, now))

    def _pass(self, now: Seconds) -> None:
        self._hold()
        self._next_pass, self._last_pass = now + self.settings.pass_s, now
        self._urgent.clear()
        self.last = self.loop.run_once()
        self._attach(now)
        if (changed := self.deeds.count(self.loop.limits, now)) is not None:
            self.loop.outbox.say(BRAKED, now, data=changed)
        restraints = told.Restraints(
            self.loop.control.paused or self.deeds.braked, self.loop.limits.kill_switch, dict(self.loop.policies)
        )
        if now >= self._next_tell or restraints != self._restraints:
            self._next_tell, self._restraints = now + TELL_EVERY_S, restraints
            self._tell(now)
        self.see(self.last)
        self.loop.commands.settle()

    def _tell(self, now: Seconds) -> None:
        """Tell every agent which nodes have a link, and what it must keep to."""
        live = self.loop.state.live(now)
        links = told.Links(tuple((a.name, b.name) for a, near in live.items() for b in near if a < b))
        for payload in (told.encode(links), told.encode(self._restraints)):
            for node in self.ages.heard:
                self.ports.transport.send(node, payload)

    # -- agents' actions ----------------------------------------------------------------------------------------

    def _attach(self, now: Seconds) -> None:
        """Say agents' actions with the incident they belong to; without one after a while."""
        waiting, self._waiting = self._waiting, []
        for since, node, action in waiting:
            before = self._belongs.get(action.id, "")
            incident = before if before in self.loop.knowledge.open else self._incident_of(action) or before
            if ActionState(action.state).final and not action.lease:
                self._belongs.pop(action.id, None)
            elif incident:
                self._belongs[action.id] = incident
            if incident and not action.cause.startswith(CONVERGING):
                self._held.setdefault(incident, {})[action.id] = (action.state, action.lease)
            if incident or now - since > UNATTACHED_S:
                event = _told(node, action, incident, now)
                self.ports.emit(event)
                self.loop.outbox.keep(event)
                if action.state == ActionState.UNDO_FAILED and action.kind not in IRREVERSIBLE:
                    why = f"{action.kind} on {action.target} could not be undone: {action.detail}"
                    escalate(self.loop, now, incident, Component.parse(action.target), why)
            else:
                self._waiting.append((since, node, action))

    def _hold(self) -> None:
        """An incident does not close while an agent's action on it is under way or holds a lease."""
        knowledge = self.loop.knowledge
        self._held = {i: actions for i, actions in self._held.items() if i in knowledge.open}
        knowledge.held = frozenset(
            incident
            for incident, actions in self._held.items()
            if any(lease or not ActionState(state).final for state, lease in actions.values())
        )
        knowledge.helped = knowledge.held | {  # what an agent tried in vain is the controller's to try
            incident
            for incident, actions in self._held.items()
            if any(state == ActionState.CONFIRMED for state, _ in actions.values())
        }

    def _incident_of(self, action: report.ActionNews) -> str:
        """The open incident that an agent's action belongs to, "" where there is none."""
        target, cause = Component.parse(action.target), action.cause
        touched = {target, *self.loop.graph.walk(target, ((Relation.PART_OF, True),))}
        if target.kind == "link":
            touched.update(self.loop.graph.walk(target, ((Relation.PART_OF, False),)))
        for incident in self.loop.knowledge.open.values():
            if incident.cause.component in touched or any(
                c in touched for _, c in self.loop.knowledge.covered(incident)
            ):
                return incident.id
        if cause.startswith(CONVERGING) and action.state not in ENDS:  # it serves whatever is being healed
            return max((i.seq, i.id) for i in self.loop.knowledge.open.values())[1] if self.loop.knowledge.open else ""
        return ""

    def at_rest(self) -> bool:
        """See `Loop.at_rest`."""
        return self.loop.at_rest

    def expect_reboot(self, seconds: Seconds) -> None:
        """The controller's own machine reboots: nothing to say to anybody."""

    def close(self) -> None:
        """Stop."""
        self.worker.close()


def _told(node: str, action: report.ActionNews, incident: str, now: Seconds) -> Event:
    """What an agent did, as an event."""
    return Event(
        seq=0,
        at=now,
        origin=node,
        type=f"action.{action.state.replace(' ', '_')}",
        incident=incident,
        component=action.target,
        data={
            "id": action.id,
            "kind": action.kind,
            "target": action.target,
            "state": action.state,
            "node": node,
            "cause": action.cause,
            "detail": action.detail,
            "lease": action.lease,
        },
    )
