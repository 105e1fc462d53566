"""One pass of MAPE-K over shared knowledge: effects at both ends, pure functions between.

`Loop.run_once` is the whole picture; `Loop.run` adds pacing and cancellation only. Blocking reads, commits and
actions run beside it in a `Worker`; a pass never waits for them. What is said to the outside (`events`) is said
after it is committed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import partial

from x0tta6bl4.catalog import ActionKind, Autonomy
from x0tta6bl4.mape_k.analyzer import Analyzer
from x0tta6bl4.mape_k.baseline import Baseline
from x0tta6bl4.mape_k.calls import LANE
from x0tta6bl4.mape_k.columns import Columns
from x0tta6bl4.mape_k.commands import Commands, Control
from x0tta6bl4.mape_k.detection import Detection
from x0tta6bl4.mape_k.escalation import escalate, left_behind
from x0tta6bl4.mape_k.executor import Executor
from x0tta6bl4.mape_k.graph import Graph
from x0tta6bl4.mape_k.guards import Limits, Situation
from x0tta6bl4.mape_k.knowledge import Change, Knowledge
from x0tta6bl4.mape_k.outbox import STORE_LANE, Outbox, action_data, incident_data, plan_data
from x0tta6bl4.mape_k.parts import Parts
from x0tta6bl4.mape_k.planner import Planner
from x0tta6bl4.mape_k.senses import Senses
from x0tta6bl4.mape_k.state import State
from x0tta6bl4.mape_k.symptoms import Symptoms
from x0tta6bl4.model import (
    ActionRecord,
    ActionState,
    Component,
    Diagnosis,
    Event,
    Incident,
    IncidentState,
    Iteration,
    Observation,
    Plan,
    Relation,
    Risk,
    Seconds,
    Symptom,
    Window,
)
from x0tta6bl4.ports import Actuator

RISKS_LANE = "risks"
RISKS_EVERY_S = 5.0


class Loop:
    """The autonomic loop over one catalogue.

    emit: called with each event once it is committed. Raises nothing in `run_once` for failures of sensors,
    actuators or the store: those are values of the iteration.
    """

    def __init__(self, parts: Parts, emit: Callable[[Event], None] = lambda event: None) -> None:
        self.parts = parts
        self.outbox = Outbox(parts.store, parts.worker, parts.origin, emit)
        self.commands, self.control = Commands(), Control()
        self.policies: dict[str, Autonomy] = {}  # what people set since the loop first ran
        catalog = parts.catalog
        self.columns, self.graph = Columns(catalog), Graph()
        self.baselines = {kind: Baseline(table) for kind, table in self.columns.tables.items()}
        self.detection = {kind: Detection(b, parts.detectors.get(kind, ())) for kind, b in self.baselines.items()}
        self.symptoms = Symptoms(catalog, self.columns, self.detection)
        self.analyzer = Analyzer(catalog, self.graph, self.symptoms, parts.seat)
        self.knowledge = Knowledge(
            catalog, self.graph, self.analyzer, origin=parts.origin, new_id=parts.new_id, hold_down_s=parts.hold_down_s
        )
        self.state = State(catalog, self.columns, self.graph, self.symptoms)
        self.planner = Planner(
            catalog,
            scope=parts.scope,
            new_id=parts.new_id,
            ranker=parts.ranker,
            rules=parts.rules,
            patience_s=parts.patience_s,
        )
        self.executor = Executor(
            catalog,
            parts.actuators,
            parts.prober,
            parts.worker,
            origin=parts.origin,
            new_id=parts.new_id,
            seen_well=self.symptoms.seen_well,
            regained=partial(self.state.regained, parts.seat),
            limits=parts.limits,
        )
        self.limits = parts.limits
        self.number = 0
        self.closed: list[Change] = []  # incidents that people closed since the last pass
        self.senses = Senses(parts, self.columns, self.graph)
        self.errors = self.senses.errors  # by sensor; of the store and of other calls too
        self.risks: tuple[Risk, ...] = ()
        self._risks_at = float("-inf")
        self._restore()

    # -- the picture --------------------------------------------------------------------------------------------

    def run_once(self) -> Iteration:
        """Monitor, Analyze, Plan, Execute, and what was learned."""
        return finish(self.steps())

    def steps(self) -> Generator[Sequence[Plan], None, Iteration]:
        """One pass that can be watched: stops after Monitor, Analyze and Plan and says what is planned by then."""
        now, started = self.parts.clock.now(), self.parts.clock.now
        marks = [started()]
        self.commands.drain(self, now)
        readings = self.monitor(now)
        symptoms = self.symptoms.update(now)
        marks.append(started())
        yield ()
        diagnoses, active = self.analyze(symptoms, now)
        changes, self.closed = self.closed, []
        changes += self.knowledge.track(diagnoses, active, self.executor.ledger.busy(), now, self.parts.clock.utc())
        marks.append(started())
        yield ()
        plans = self.plan(now)
        marks.append(started())
        yield plans
        actions = self.execute(changes, plans, now)
        marks.append(started())
        self.number += 1
        closed = [c.incident for c in changes if c.incident.state is IncidentState.CLOSED]
        phases = ("monitor", "analyze", "plan", "execute")
        return Iteration(
            number=self.number,
            at=now,
            readings=readings,
            errors=dict(self.errors),
            anomalies=tuple(a for d in self.detection.values() for a in d.anomalies(now)) if active else (),
            symptoms=active,
            incidents=(*self.knowledge.open.values(), *closed),
            risks=self.risks,
            plans=tuple(plans),
            actions=tuple(actions),
            events=self.outbox.take_published(),
            phase_s={name: marks[i + 1] - marks[i] for i, name in enumerate(phases)},
            late=self.senses.late,
        )

    # -- Monitor ------------------------------------------------------------------------------------------------

    def monitor(self, now: Seconds) -> int:
        """Fold what arrived, ask for the next readings; returns how many values were taken."""
        self.senses.ask(now)
        self._drain(now)
        self.senses.look(now)
        for detection in self.detection.values():
            detection.learn(now)
        if now - self._risks_at >= RISKS_EVERY_S:
            self._risks_at = now
            view = self.state.view(now)
            view.live()  # here: the worker must not walk a graph that grows
            rules = self.parts.catalog.risks
            self.parts.worker.start(RISKS_LANE, "risks", lambda: [risk for rule in rules for risk in rule(view)])
        return self.senses.count()

    # -- Analyze ------------------------------------------------------------------------------------------------

    def analyze(self, symptoms: Sequence[Symptom], now: Seconds) -> tuple[tuple[Diagnosis, ...], tuple[Symptom, ...]]:
        """Verdicts for symptoms that are not expected and not explained yet, and the symptoms that count."""
        expected = self.knowledge.expected(now)
        active = tuple(s for s in symptoms if s.component not in expected) if expected else tuple(symptoms)
        if not active:
            self.analyzer.next_look = None
            self.analyzer.see(())
            return (), active
        self.analyzer.see(active)
        free = self.knowledge.free(active, now)
        return (self.analyzer.diagnose(active, free, now) if free else ()), active

    # -- Plan ---------------------------------------------------------------------------------------------------

    def plan(self, now: Seconds) -> list[Plan]:
        """Plans for incidents that have no action under way; what is chosen starts its life."""
        plans: list[Plan] = []
        view, situation = self.state.view(now), None
        for incident in () if self.control.paused else list(self.knowledge.open.values()):
            helped = incident.id in self.knowledge.helped or incident.quiet_since is not None
            if helped or not self.planner.wants(incident, now):
                continue
            if self.executor.ledger.acting(incident.id) or not self.analyzer.stands(incident.cause, now):
                continue
            situation = situation or self.situation(now)
            for decision in self.planner.plan(incident, view, situation, self.knowledge.statistics):
                plans.append(decision.plan)
                if decision.proposal is not None:
                    self.executor.propose(incident.id, decision.proposal, now)
                    situation = None  # what this one avoids counts for the next
        return plans

    def situation(self, now: Seconds) -> Situation:
        """What guards look at."""
        return self.state.situation(
            now,
            self.limits,
            recent=self.executor.ledger.recent,
            avoided=self.executor.ledger.avoided(now),
            seat=self.parts.seat,
            left=left_behind(self),
        )

    # -- Execute ------------------------------------------------------------------------------------------------

    def execute(self, changes: Sequence[Change], plans: Sequence[Plan], now: Seconds) -> list[ActionRecord]:
        """Advance actions, commit, publish, touch the world; inline workers finish all of it in this pass."""
        for change in changes:
            self._say_incident(change, now)
        for plan in plans:
            self.outbox.pending.plans.append(plan)
            self.outbox.say("plan.made" if plan.chosen else "plan.refused", now, plan.incident, data=plan_data(plan))
        self.executor.advance(now)
        actions: list[ActionRecord] = []
        for _ in range(8):  # an inline worker may finish apply, commit and proof steps one after another
            actions.extend(self._take_actions(now))
            if not (self.outbox.commit() | self._drain(now)):
                break
        return actions

    def _take_actions(self, now: Seconds) -> list[ActionRecord]:
        changed = self.executor.ledger.take_changes()
        for record in changed:
            incident = self.knowledge.open.get(record.incident)
            marks = [self.knowledge.mark(record.incident, acted=True)] if record.state is ActionState.APPLIED else []
            if incident is not None and record.state is ActionState.UNDO_FAILED:
                self._learn(record, incident)
            if incident is not None and record.state in (ActionState.CONFIRMED, ActionState.UNDONE):
                self._learn(record, incident)
                state = IncidentState.MITIGATED if record.lease else IncidentState.OPEN
                marks.append(self.knowledge.mark(record.incident, state=state))
            self.outbox.pending.incidents.extend(change.incident for change in marks if change is not None)
            self.outbox.pending.actions.append(record)
            self.outbox.say(
                f"action.{record.state.value.replace(' ', '_')}",
                now,
                record.incident,
                str(record.action.target),
                action_data(record),
            )
            if record.state is ActionState.UNDO_FAILED and not self.executor.ledger.irreversible(record):
                why = f"{record.action.kind} on {record.action.target} could not be undone: {record.detail}"
                escalate(self, now, record.incident, record.action.target, why)
        return changed

    def _learn(self, record: ActionRecord, incident: Incident) -> None:
        proved = record.state is ActionState.CONFIRMED
        if record.applied_at is not None and (proved or record.confirmed_at is None):
            self.knowledge.learn(incident.cause.code, record.action.kind, helped=proved)

    # -- what leaves the loop -----------------------------------------------------------------------------------

    def _committed(self, result: object, now: Seconds) -> None:
        batch = self.outbox.committed(result)
        if batch is None:
            self.errors["store"] = str(result)
            return
        self.errors.pop("store", None)
        self.executor.committed(batch.actions, now)

    def drain(self, now: Seconds) -> bool:
        """Take in calls that ended, between passes; True where a pass should follow soon: an action moved on."""
        self._drain(now)
        return self.executor.ledger.moved

    def _drain(self, now: Seconds) -> bool:
        """Handle every call that ended; True where there was one."""
        any_ended = False
        failed_commit = False
        for lane, tag, result in self.parts.worker.finished():
            if lane == STORE_LANE:
                self._committed(result, now)
                failed_commit = isinstance(result, BaseException)
            elif lane == LANE:
                self.executor.finished(tag, result, now)
            elif lane == RISKS_LANE and isinstance(result, list):
                self.risks = tuple(result)
            elif isinstance(result, Observation):
                self.senses.take(result, now)
            else:
                self.errors[tag] = f"{type(result).__name__}: {result}"
            any_ended = True
        return any_ended and not failed_commit

    def _say_incident(self, change: Change, now: Seconds) -> None:
        incident = change.incident
        self.outbox.pending.incidents.append(incident)
        if incident.state is IncidentState.CLOSED:
            self.planner.forget(incident.id)
        self.outbox.say(change.type, now, incident.id, str(incident.cause.component), incident_data(incident, now))

    # -- outside access -----------------------------------------------------------------------------------------

    def offer(self, kinds: Sequence[ActionKind], actuator: Actuator) -> None:
        """Between passes: take up action kinds, or change known ones, that this actuator carries out."""
        known = {**self.planner.catalog.action, **{kind.kind: kind for kind in kinds}}
        catalog = replace(self.planner.catalog, actions=tuple(known.values()))
        self.planner.catalog = catalog
        self.executor.offer(catalog, actuator, (kind.kind for kind in kinds))

    def expect(self, window: Window) -> None:
        """Trouble of a component is expected: maintenance, or a planned reboot."""
        self.knowledge.windows.append(window)

    def limit(self, limits: Limits) -> None:
        """From now on this much is allowed."""
        self.limits = self.executor.limits = limits

    @property
    def at_rest(self) -> bool:
        """Nothing under way, no lease held, no incident open."""
        return not (self.executor.ledger.live or self.knowledge.open)

    def knows(self, component: Component) -> bool:
        """Was anything ever measured of it, or is anything part of it?"""
        table = self.columns.tables.get(component.kind)
        return (table is not None and component in table.slot) or bool(
            self.graph.walk(component, ((Relation.PART_OF, True),))
        )

    def _restore(self) -> None:
        store = self.parts.store
        self.knowledge.restore(store.open_incidents(), store.statistics())
        self.executor.epoch = store.epoch
        self.executor.restore(store.open_actions(), store.past_actions(), self.parts.clock.now())

    def run(
        self, stop: threading.Event, wake: threading.Event, pass_s: Seconds, see: Callable[[Iteration], None]
    ) -> None:
        """Passes at their own pace until `stop`; `wake` (a kernel event) starts one early."""
        while not stop.is_set():
            began = self.parts.clock.now()
            see(self.run_once())
            self.commands.settle()
            wake.wait(max(0.0, pass_s - (self.parts.clock.now() - began)))
            wake.clear()


def finish(steps: Generator[Sequence[Plan], None, Iteration]) -> Iteration:
    """Run what is left of a pass."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            iteration: Iteration = end.value
            return iteration
