"""The loop as a library: `MLEnhancedMAPEK` heals a system by readings and actions that you give it.

    system = MLEnhancedMAPEK(healthy={"memory_mb": (0, 800)})
    result = await system.autonomic_loop_iteration({"memory_mb": 912.0}, {"restart": restart})

It is the same loop that heals a mesh (`mape_k.loop`), over a catalogue made of the names: one pass for each iteration.
Detector, diagnosis and ranking are the baseline's for now, which every result says (`source`).
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Final, TypeVar

from x0tta6bl4.catalog import Proposal, Scope, View
from x0tta6bl4.clock import SystemClock
from x0tta6bl4.errors import ConfigError, SystemFull
from x0tta6bl4.mape_k.guards import RULES, Limits, reversible
from x0tta6bl4.mape_k.inline import InlineWorker
from x0tta6bl4.mape_k.loop import Loop, finish
from x0tta6bl4.mape_k.memory import MemoryStore
from x0tta6bl4.mape_k.parts import Parts
from x0tta6bl4.ml import views
from x0tta6bl4.ml.actions import ActionCall, Actions, Answer, Callables, NoProber, alone, ask, checked_actions
from x0tta6bl4.ml.results import (
    Analysis,
    Decision,
    Execution,
    IterationResult,
    KnowledgeUpdate,
    Monitoring,
    Planning,
    Ran,
    Result,
    Statistics,
)
from x0tta6bl4.ml.retriever import Retriever, retrieve
from x0tta6bl4.ml.running import at_once, in_thread
from x0tta6bl4.ml.service import (
    METRIC,
    SYSTEM,
    UNWELL,
    GivenReadings,
    Readings,
    Timing,
    action_kind,
    checked_bounds,
    checked_name,
    checked_readings,
    service_catalog,
)
from x0tta6bl4.model import Action, ActionRecord, Cause, Did, Event, Iteration, Order, Outcome, Plan
from x0tta6bl4.ports import Clock, Store

ACTIONS_MAX: Final = 1000  # names of one system in its life
UNSAID: Final = 1000  # records and events of passes whose last step was left out
_Step = TypeVar("_Step", bound=Result)
_RULES = (*(rule for rule in RULES if rule is not reversible), alone)  # who gives a callable allows it
_DID: Final = {Ran.DONE: Did.DONE, Ran.FAILED: Did.FAILED, Ran.UNKNOWN: Did.DONE}  # unknown: readings judge it


class MLEnhancedMAPEK:
    """One self-healing system.

    healthy: (low, high) of metrics of which the caller knows what is well; of any other the baseline learns what is
    usual, for which it needs ten samples. actions: what is available where an iteration names nothing, and what a
    durable store may have left under way. store: any `ports.Store`; in memory by default; it has to count time with
    the same `clock`. retriever: a knowledge base asked about what is wrong. limits: rates and the kill switch.
    new_id: makes unique texts. Raises ConfigError for a bad argument.
    Iterations of one system follow one another, however many are called at once; one event loop at a time.
    """

    def __init__(
        self,
        *,
        healthy: Mapping[str, tuple[float, float]] | None = None,
        actions: Actions = (),
        store: Store | None = None,
        retriever: Retriever | None = None,
        timing: Timing | None = None,
        limits: Limits | None = None,
        clock: Clock | None = None,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self._timing = timing or Timing()
        self._actions = checked_actions(actions)
        self._given = GivenReadings(checked_bounds(healthy or {}))
        self._callables = Callables(frozenset(self._actions))
        self._retriever = retriever
        self._beside = at_once if store is None else in_thread
        self._available: Mapping[str, ActionCall | None] = {}  # in this pass, callables first
        self._offered = {name: call is not None for name, call in self._actions.items()}
        self._events: deque[str] = deque(maxlen=UNSAID)  # not told by a `KnowledgeUpdate` yet
        self._changed: deque[ActionRecord] = deque(maxlen=UNSAID)  # the same
        kinds = [action_kind(name, self._timing, executable=yes) for name, yes in self._offered.items()]
        parts = Parts(
            catalog=service_catalog(self._timing, kinds, self._remedy),
            clock=clock or SystemClock(),
            store=store or MemoryStore(SYSTEM),
            worker=InlineWorker(),
            prober=NoProber(),
            new_id=new_id or (lambda: str(uuid.uuid4())),
            origin=SYSTEM,
            scope=Scope.MESH,
            instant=(self._given,),
            actuators=(self._callables,),
            limits=limits or Limits(),
            rules=_RULES,
            hold_down_s=self._timing.quiet_s,
        )
        self._loop = Loop(parts, self._heard)
        self._lock = asyncio.Lock()
        self._steps: Generator[Sequence[Plan], None, Iteration] | None = None  # the pass under way
        self._last: Result | None = None  # of the pass under way: what the next step is given
        self._planned: Planning | None = None  # what was executed last
        self._plans: dict[str, Plan] = {}  # incident -> its newest plan

    # -- the whole iteration ------------------------------------------------------------------------------------

    async def autonomic_loop_iteration(
        self, monitoring_data: Readings, available_actions: Actions | None = None
    ) -> IterationResult:
        """Monitor, analyze, plan, execute and learn once.

        monitoring_data: metric name -> number; None, NaN and infinite mean that it was not measured.
        available_actions: a list of names (advice only), or a mapping of name to async callable without arguments
        (None: advice only); equally good ones are tried in this order. An action runs within `timing.action_s`.
        Raises ConfigError, and changes nothing, for anything else. `IterationResult` says what success means.
        """
        readings = checked_readings(monitoring_data)
        actions = self._checked(available_actions)
        async with self._lock:
            monitoring = await self._monitor(SYSTEM, readings)
            analysis = await self._analyze(monitoring, "")
            plan = self._plan(analysis, actions)
            execution = await self._execute(plan, {})
            update = self._learned(None, None)
        return IterationResult(
            monitoring=monitoring,
            analysis=analysis,
            planning=plan,
            execution=execution,
            knowledge_update=update,
            overall_success=views.overall(update.judged),
            timestamp=update.timestamp,
        )

    # -- its steps ----------------------------------------------------------------------------------------------

    async def monitor_with_ml(self, metrics: Readings, component: str = SYSTEM) -> Monitoring:
        """Start a pass: take in the readings of one component (see `autonomic_loop_iteration`).

        A pass that was not finished ends here; an action that it had chosen is refused, not executed.
        """
        readings = checked_readings(metrics)
        checked_name("component", component)
        async with self._lock:
            return await self._monitor(component, readings)

    async def analyze_with_rag(self, monitoring_data: Monitoring, query: str = "") -> Analysis:
        """Diagnose; ask the knowledge base `query`, or about what is wrong where no query is given.

        monitoring_data: what `monitor_with_ml` returned last. Raises ConfigError for anything else.
        """
        async with self._lock:
            return await self._analyze(self._next("monitoring_data", monitoring_data, Monitoring), query)

    async def plan_with_intelligent_decisions(
        self, analysis: Analysis, available_actions: Actions | None = None
    ) -> Planning:
        """Choose an action for what is wrong. analysis: what `analyze_with_rag` returned last."""
        actions = self._checked(available_actions)
        async with self._lock:
            return self._plan(self._next("analysis", analysis, Analysis), actions)

    async def execute_with_lora_adaptation(self, plan: Planning, ctx: Mapping[str, object] | None = None) -> Execution:
        """Run what was chosen. plan: what the planning step returned last; ctx is kept with the result."""
        async with self._lock:
            return await self._execute(self._next("plan", plan, Planning), ctx or {})

    async def update_knowledge_with_outcomes(
        self,
        plan_decision: Planning,
        execution_result: Execution,
        success: bool | None = None,
        reward: float | None = None,
    ) -> KnowledgeUpdate:
        """Say what was learned from the plan and the execution of this pass.

        success: the caller's verdict. It counts for an action that was only advised, which nobody else can judge
        (in memory only); what the loop ran, later readings judge. reward is kept with the result.
        """
        async with self._lock:
            if plan_decision is not self._planned:
                raise ConfigError("plan_decision", type(plan_decision).__name__, "the Planning that was executed")
            self._next("execution_result", execution_result, Execution)
            if success is not None and execution_result.action and execution_result.outcome is Ran.ADVISED:
                self._loop.knowledge.learn(UNWELL, execution_result.action, success)
            return self._learned(success, reward)

    def get_ml_statistics(self) -> Statistics:
        """What was seen and learned so far."""
        judged = {kind: counts for (_, kind), counts in dict(self._loop.knowledge.statistics).items()}
        return Statistics(
            iterations=self._loop.number,
            detector=views.detector_state(self._loop, self._given),
            decisions={name: {"trials": n, "successes": good} for name, (n, good) in judged.items()},
            retrieval=self._retriever is not None,
            adaptation_applied=False,
            open_incidents=len(self._loop.knowledge.open),
            timestamp=views.timestamp(self._loop),
        )

    # -- one pass -----------------------------------------------------------------------------------------------

    async def _monitor(self, component: str, readings: Readings) -> Monitoring:
        self._given.give(component, readings)
        await self._leave()
        self._available = {}
        live = self._loop.executor.ledger.live.values()
        self._loop.baselines[METRIC].held = [part for record in live for part in record.watch]
        self._steps = self._loop.steps()
        next(self._steps)
        return self._stepped(views.monitoring(self._loop, self._given, component, readings))

    async def _analyze(self, monitoring: Monitoring, query: str) -> Analysis:
        assert self._steps is not None
        next(self._steps)
        symptoms = views.symptoms_of(self._loop, monitoring.component, self._given.known[monitoring.component])
        query = query or ", ".join(symptoms)
        ask_for = None if not query else self._retriever
        passages, error = ((), "") if ask_for is None else await retrieve(ask_for, query)
        return self._stepped(
            views.analysis(self._loop, monitoring, symptoms, query=query, passages=passages, error=error)
        )

    def _plan(self, analysis: Analysis, actions: Mapping[str, ActionCall | None]) -> Planning:
        assert self._steps is not None
        self._offer(actions)
        self._plans.update({plan.incident: plan for plan in next(self._steps)})
        self._plans = {key: plan for key, plan in self._plans.items() if key in self._loop.knowledge.open}
        record = next(iter(self._loop.executor.ledger.live.values()), None)
        return self._stepped(views.planning(self._loop, analysis, self._plans, record, actions.keys()))

    async def _execute(self, plan: Planning, ctx: Mapping[str, object]) -> Execution:
        began, self._planned = self._loop.parts.clock.now(), plan
        await self._to_end()
        order = self._callables.take()
        action = plan.selected_action if order is None else order.action.kind
        if order is not None:
            answer = await self._run(order)
        elif plan.decision is Decision.ACT:
            answer = Answer(Ran.WAITING, detail=self._loop.errors.get("store", ""))
        else:
            answer = Answer(Ran.ADVISED if plan.decision is Decision.ADVISED else Ran.NONE, detail=plan.reasoning)
        took_s = self._loop.parts.clock.now() - began
        return self._stepped(views.execution(self._loop, action, answer, took_s=took_s, context=ctx))

    def _learned(self, success: bool | None, reward: float | None) -> KnowledgeUpdate:
        self._last = None
        changed, events = tuple(self._changed), tuple(self._events)
        self._changed.clear()
        self._events.clear()
        error = self._loop.errors.get("store", "")
        return KnowledgeUpdate(
            judged=views.judgements(self._loop, changed),
            events=events,
            open_incidents=len(self._loop.knowledge.open),
            stored=not error,
            error=error,
            timestamp=views.timestamp(self._loop),
            reported_success=success,
            reported_reward=reward,
        )

    # -- between the pass and the callables ---------------------------------------------------------------------

    async def _to_end(self) -> None:
        """Let the pass end: decisions are kept, then what may be carried out is with `_callables`."""
        steps, self._steps = self._steps, None
        if steps is not None:
            await self._beside(lambda: self._changed.extend(finish(steps).actions))

    async def _leave(self) -> None:
        """End a pass that its caller did not: nothing of it is carried out."""
        self._last = None
        await self._to_end()
        if (order := self._callables.take()) is not None:
            await self._answer(order, Outcome(order.id, Did.REFUSED, "its pass was left before execution"))

    async def _run(self, order: Order) -> Answer:
        """Carry out one order; what became of it is kept before this returns or is cancelled."""
        call = self._available.get(order.action.kind)
        if call is None:  # its intent could only be stored now, and it is not offered any more
            answer = Answer(Ran.NONE, detail="it is not available any more")
            await self._answer(order, Outcome(order.id, Did.REFUSED, answer.detail))
            return answer
        try:
            answer = await ask(call, self._timing.action_s)
        except asyncio.CancelledError:
            await self._answer(order, Outcome(order.id, Did.DONE, "the iteration was cancelled while it ran"))
            raise
        await self._answer(order, Outcome(order.id, _DID[answer.ran], answer.detail))
        return answer

    async def _answer(self, order: Order, outcome: Outcome) -> None:
        now = self._loop.parts.clock.now()
        self._loop.executor.finished(f"apply:{order.id}", outcome, now)
        await self._beside(lambda: self._loop.execute((), (), now))

    # -- small parts --------------------------------------------------------------------------------------------

    def _checked(self, actions: Actions | None) -> Mapping[str, ActionCall | None]:
        """Callables first: what can be done is tried before a person is asked."""
        found = self._actions if actions is None else checked_actions(actions)
        if len(self._offered.keys() | found.keys()) > ACTIONS_MAX:
            raise SystemFull("available_actions", len(found), f"at most {ACTIONS_MAX} names in the life of a system")
        return dict(sorted(found.items(), key=lambda item: item[1] is None))

    def _offer(self, actions: Mapping[str, ActionCall | None]) -> None:
        changed = {n: c is not None for n, c in actions.items() if self._offered.get(n) is not (c is not None)}
        if changed:
            self._offered.update(changed)
            kinds = [action_kind(name, self._timing, executable=yes) for name, yes in changed.items()]
            self._loop.offer(kinds, self._callables)
        self._available = actions

    def _remedy(self, cause: Cause, view: View) -> Sequence[Proposal]:
        """Every available action is tried against whatever is wrong; all fresh metrics judge it."""
        parts = view.related(cause.component, ("~part_of",))
        fresh = tuple(p for p in parts if any(view.value(p, m) is not None for m in ("value", "outside")))
        wrong = views.symptoms_of(self._loop, cause.component.name, self._given.known.get(cause.component.name, ()))
        reason = f"{', '.join(wrong)} on {cause.component.name}"
        return [Proposal(Action(name, cause.component), (), fresh, reason) for name in self._available]

    def _heard(self, event: Event) -> None:
        self._events.append(event.type)

    def _stepped(self, result: _Step) -> _Step:
        self._last = result
        return result

    def _next(self, field: str, given: Any, kind: type[_Step]) -> _Step:
        """What the step before returned; raises ConfigError for anything else."""
        if given is not self._last or not isinstance(given, kind):
            raise ConfigError(field, type(given).__name__, f"the {kind.__name__} of the step before, once")
        self._last = None
        return given
