"""`MLEnhancedMAPEK` heals what it is given readings of: decisions, judgements and what is learned, in virtual time."""

import asyncio
import inspect
import json
import random
import threading
import time
from collections import namedtuple
from dataclasses import FrozenInstanceError
from types import SimpleNamespace

import pytest

from fakes import FullDiskStore, ManualClock, counted
from x0tta6bl4.core.store import SqlStore
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.mape_k.guards import Limits
from x0tta6bl4.mape_k.memory import MemoryStore
from x0tta6bl4.ml.integration import MLEnhancedMAPEK
from x0tta6bl4.ml.results import Decision, Ran
from x0tta6bl4.ml.service import Timing

HEALTHY = {"memory": (0.0, 800.0)}
TIMING = Timing(confirm_s=1.0, action_s=0.05, judge_s=5.0, quiet_s=3.0, stale_s=60.0)


class Rig:
    """A leaking process and the system that watches it; `cures` names the actions that help."""

    def __init__(self, cures=("restart",), clock=None, **settings):
        self.clock = clock or ManualClock(100.0)
        self.memory, self.leaking = 500.0, False
        self.cures = set(cures)
        self.ran = []
        settings = {"healthy": HEALTHY, "timing": TIMING, "new_id": counted()} | settings
        self.system = MLEnhancedMAPEK(clock=self.clock, **settings)

    def action(self, name):
        async def run():
            self.ran.append(name)
            if name in self.cures:
                self.memory, self.leaking = 500.0, False
            return f"{name} returned"

        return run

    def actions(self, *names):
        return {name: self.action(name) for name in names}

    def readings(self):
        self.clock.at += 1.0
        self.memory += 200.0 if self.leaking else 0.0
        return {"memory": self.memory, "cpu": 0.5}

    async def step(self, actions):
        return await self.system.autonomic_loop_iteration(self.readings(), actions)

    async def until(self, actions, wanted, limit=40):
        """Iterate until `wanted(result)`; returns all results."""
        results = []
        while not results or not wanted(results[-1]):
            assert len(results) < limit, f"not seen in {limit} iterations: {results[-1].planning.to_dict()}"
            results.append(await self.step(actions))
        return results


def judged(result):
    return result.overall_success is not None


def closed(result):
    return "incident.closed" in result.knowledge_update.events


def test_the_documented_call_answers_with_the_documented_keys():
    async def main():
        system = MLEnhancedMAPEK()
        return await system.autonomic_loop_iteration(
            monitoring_data={"cpu": 0.5, "memory": 0.6}, available_actions=["scale_up", "optimize", "restart"]
        )

    result = asyncio.run(main())
    documented = {
        "monitoring": {"component", "metrics", "anomaly_detected", "confidence", "timestamp", "anomaly"},
        "analysis": {"query", "monitoring_data", "knowledge_context", "confidence", "timestamp"},
        "planning": {"decision", "selected_action", "confidence", "reasoning", "alternatives", "timestamp"},
        "execution": {
            "action", "execution_success", "base_output", "adapted_output", "adaptation_applied", "timestamp",
        },
        "knowledge_update": set(),
    }  # fmt: skip
    assert set(result) == {*documented, "overall_success", "timestamp"}
    for part, keys in documented.items():
        assert keys <= set(result[part]), part
        assert result[part]["source"] == "baseline"
    assert result["overall_success"] is None
    assert result["planning"]["decision"] == "none"


def test_the_step_methods_are_coroutines_with_the_documented_arguments():
    documented = {
        "monitor_with_ml": ["metrics", "component"],
        "analyze_with_rag": ["monitoring_data", "query"],
        "plan_with_intelligent_decisions": ["analysis", "available_actions"],
        "execute_with_lora_adaptation": ["plan", "ctx"],
        "update_knowledge_with_outcomes": ["plan_decision", "execution_result", "success", "reward"],
        "autonomic_loop_iteration": ["monitoring_data", "available_actions"],
    }
    for name, arguments in documented.items():
        method = getattr(MLEnhancedMAPEK, name)
        assert inspect.iscoroutinefunction(method)
        assert list(inspect.signature(method).parameters)[1:] == arguments
    assert not inspect.iscoroutinefunction(MLEnhancedMAPEK.get_ml_statistics)


def test_results_are_frozen_mappings_and_json():
    async def main():
        rig = Rig()
        return await rig.step(["restart"]), rig.system.get_ml_statistics()

    result, statistics = asyncio.run(main())
    assert result == dict(result)
    assert dict(result) == result
    assert result["planning"] is result.planning
    assert result.monitoring != result.planning
    assert "decision" not in result
    with pytest.raises(KeyError):
        result["to_dict"]
    with pytest.raises(FrozenInstanceError):
        result.overall_success = True
    with pytest.raises(TypeError):
        result.monitoring.metrics["cpu"] = 1.0
    assert json.loads(json.dumps(result.to_dict())) == result.to_dict()
    assert json.loads(json.dumps(statistics.to_dict()))["iterations"] == 1


def test_what_json_cannot_say_is_told_by_its_repr():
    async def tell():
        return {"at": namedtuple("Point", "x")(1), "worst": float("nan"), 3: object}  # noqa: PYI024

    async def main():
        rig = Rig()
        rig.leaking = True
        return (await rig.until({"tell": tell}, lambda r: r.execution.action == "tell"))[-1]

    result = asyncio.run(main())
    assert result.execution.base_output["at"].x == 1
    assert result.to_dict()["execution"]["base_output"] == {"at": [1], "worst": "nan", "3": "<class 'object'>"}


def test_too_few_samples_are_said_and_nothing_is_called_unusual():
    async def main():
        rig, results = Rig(healthy={}), []
        for value in (0.5, 900.0, 0.1):
            rig.clock.at += 1.0
            results.append(await rig.system.autonomic_loop_iteration({"cpu": value}, ["a"]))
        return results

    for seen, result in enumerate(asyncio.run(main()), 1):
        assert (result.monitoring.anomaly_detected, result.monitoring.confidence) == (False, 0.0)
        assert result.monitoring.learning == {"cpu": seen}
        assert f"cpu {seen} of 10 samples" in result.monitoring.reason
        assert result.planning.decision is Decision.NONE


def test_what_is_unusual_is_found_and_a_name_without_a_callable_is_only_advised():
    async def main():
        rig = Rig(healthy={})
        for _ in range(20):
            usual = await rig.step(["scale_up", "restart"])
        rig.memory = 5000.0
        return usual, [await rig.step(["scale_up", "restart"]) for _ in range(4)]

    usual, (first, second, *later) = asyncio.run(main())
    assert (usual.monitoring.anomaly_detected, usual.monitoring.reason) == (False, "as expected")
    assert first.monitoring.anomaly.metric == "memory"
    assert first.monitoring.confidence == first.monitoring.anomaly.score > 0.5
    assert first.planning.decision is Decision.NONE  # it has not lasted yet
    assert second.analysis.symptoms == ("memory unusual",)
    assert 0 < second.analysis.confidence <= 1
    for result in (second, *later):
        assert (result.planning.decision, result.planning.selected_action) == (Decision.ADVISED, "scale_up")
        assert [a.action for a in result.planning.alternatives] == ["restart"]
        assert (result.execution.outcome, result.execution.execution_success) == (Ran.ADVISED, None)
        assert result.overall_success is None


def test_a_leak_is_healed_and_judged_by_later_readings():
    async def main():
        rig = Rig()
        rig.leaking = True
        return rig, await rig.until(rig.actions("restart"), closed)

    rig, results = asyncio.run(main())
    acted = [i for i, r in enumerate(results) if r.planning.decision is Decision.ACT]
    verdicts = [i for i, r in enumerate(results) if judged(r)]
    assert rig.ran == ["restart"]
    assert (len(acted), len(verdicts)) == (1, 1)
    assert acted < verdicts
    execution = results[acted[0]].execution
    assert (execution.execution_success, execution.outcome) == (True, Ran.DONE)
    assert execution.base_output == execution.adapted_output == "restart returned"
    assert not execution.adaptation_applied
    assert results[verdicts[0]].overall_success is True
    assert [(j.action, j.helped) for j in results[verdicts[0]].knowledge_update.judged] == [("restart", True)]
    assert all(r.planning.decision is not Decision.ACT for r in results[acted[0] + 1 :])
    statistics = rig.system.get_ml_statistics()
    assert statistics.decisions == {"restart": {"trials": 1, "successes": 1}}
    assert statistics.open_incidents == 0
    assert statistics.iterations == len(results)


def test_what_returned_but_did_not_help_is_a_failure_and_the_next_one_is_tried_and_remembered():
    async def main():
        rig = Rig()
        actions = rig.actions("clear_cache", "restart")
        rig.leaking = True
        first = await rig.until(actions, closed)
        rig.ran.append("and again")
        rig.leaking = True
        return rig, first, await rig.until(actions, closed)

    rig, first, second = asyncio.run(main())
    assert rig.ran == ["clear_cache", "restart", "and again", "restart"]
    assert [r.overall_success for r in first if judged(r)] == [False, True]
    waiting = [r for r in first if r.planning.decision is Decision.JUDGING]
    assert waiting
    assert {r.execution.outcome for r in waiting} == {Ran.NONE}
    assert [r.overall_success for r in second if judged(r)] == [True]
    chosen = next(r.planning for r in second if r.planning.decision is Decision.ACT)
    assert (chosen.confidence, chosen.alternatives[0].action) == (pytest.approx(2 / 3), "clear_cache")
    assert chosen.alternatives[0].success_rate == pytest.approx(1 / 3)
    assert "helped in 1 of 1" in chosen.reasoning


def test_a_callable_is_tried_before_a_person_is_asked():
    async def main():
        rig = Rig()
        rig.leaking = True
        await rig.until({"call_someone": None, **rig.actions("restart")}, judged)
        return rig

    assert asyncio.run(main()).ran == ["restart"]


def test_the_yardstick_stands_still_while_an_action_is_judged():
    async def main():
        rig = Rig(healthy={}, cures=(), timing=Timing(confirm_s=1.0, judge_s=200.0))
        for _ in range(20):
            await rig.step([])
        rig.memory = 1000.0
        acted = (await rig.until(rig.actions("useless"), lambda r: r.planning.decision is Decision.ACT))[-1]
        before = rig.system.get_ml_statistics().detector["metrics"]["system/memory"]
        last = (await rig.until(rig.actions("useless"), judged, limit=210))[-1]
        return acted, before, rig.system.get_ml_statistics().detector["metrics"]["system/memory"], last

    acted, before, after, last = asyncio.run(main())
    assert acted.analysis.symptoms == ("memory unusual",)
    assert before == after
    assert last.overall_success is False


def test_an_action_that_raises_is_a_value_and_another_one_gets_its_turn():
    async def broken():
        raise RuntimeError("no such unit")

    async def main():
        rig = Rig()
        rig.leaking = True
        return rig, await rig.until({"broken": broken, **rig.actions("restart")}, closed)

    rig, results = asyncio.run(main())
    failed = next(r.execution for r in results if r.execution.action == "broken")
    assert (failed.execution_success, failed.outcome) == (False, Ran.FAILED)
    assert failed.detail == "RuntimeError: no such unit"
    assert rig.ran == ["restart"]
    assert "broken" not in rig.system.get_ml_statistics().decisions


@pytest.mark.parametrize("resists", [False, True])
def test_an_action_that_hangs_is_left_and_readings_judge_it(resists):
    async def hangs():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if not resists:
                raise
            await asyncio.sleep(0.5)

    async def main():
        rig = Rig()
        rig.leaking = True
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.005)

        ticker = asyncio.create_task(tick())
        hung = (await rig.until({"hangs": hangs}, lambda r: r.execution.action == "hangs"))[-1]
        seen = ticks
        rig.memory, rig.leaking = 500.0, False
        last = (await rig.until({"hangs": hangs}, judged))[-1]
        ticker.cancel()
        return hung, seen, last

    hung, ticks, last = asyncio.run(main())
    assert (hung.execution.outcome, hung.execution.execution_success) == (Ran.UNKNOWN, None)
    assert hung.execution.detail == "no answer within 0.05 s"
    assert ticks >= 3  # others went on meanwhile
    assert last.overall_success is True


def test_without_readings_since_nobody_can_tell():
    async def main():
        rig = Rig()
        rig.leaking = True
        actions = rig.actions("restart")
        await rig.until(actions, lambda r: r.planning.decision is Decision.ACT)
        results = []
        for _ in range(8):
            rig.clock.at += 1.0
            results.append(await rig.system.autonomic_loop_iteration({"memory": float("nan"), "cpu": None}, actions))
        return rig, results

    rig, results = asyncio.run(main())
    told = [j for r in results for j in r.knowledge_update.judged]
    assert [(j.action, j.helped) for j in told] == [("restart", None)]
    assert {r.overall_success for r in results} == {None}
    assert rig.ran == ["restart"]  # nothing is acted on that is stale
    assert "fresh" in results[-1].planning.reasoning
    assert results[-1].planning.decision is Decision.REFUSED


def test_the_kill_switch_stops_all_of_it():
    async def main():
        rig = Rig(limits=Limits(kill_switch=True))
        rig.leaking = True
        refused = lambda r: r.planning.decision is Decision.REFUSED
        return rig, (await rig.until(rig.actions("restart"), refused))[-1]

    rig, result = asyncio.run(main())
    assert rig.ran == []
    assert "kill switch" in result.planning.reasoning
    assert result.execution.outcome is Ran.NONE


async def by_steps(system, readings, actions):
    monitoring = await system.monitor_with_ml(readings)
    analysis = await system.analyze_with_rag(monitoring)
    plan = await system.plan_with_intelligent_decisions(analysis, actions)
    execution = await system.execute_with_lora_adaptation(plan)
    update = await system.update_knowledge_with_outcomes(plan, execution)
    return [part.to_dict() for part in (monitoring, analysis, plan, execution, update)]


def test_steps_and_iterations_are_the_same_loop_and_deterministic():
    async def main(steps):
        rig = Rig()
        told = []
        for second in range(40):
            rig.leaking = rig.leaking or second in (3, 20)
            actions = rig.actions("clear_cache", "restart")
            if steps:
                told.append(await by_steps(rig.system, rig.readings(), actions))
            else:
                result = await rig.step(actions)
                parts = (result.monitoring, result.analysis, result.planning, result.execution, result.knowledge_update)
                told.append([part.to_dict() for part in parts])
        return rig.ran, told

    ran, told = asyncio.run(main(steps=False))
    assert ran == ["clear_cache", "restart", "restart"]
    assert asyncio.run(main(steps=False)) == (ran, told)
    assert asyncio.run(main(steps=True)) == (ran, told)


def test_steps_out_of_order_or_twice_are_refused():
    async def main():
        rig = Rig()
        old = await rig.system.monitor_with_ml(rig.readings())
        monitoring = await rig.system.monitor_with_ml(rig.readings())
        with pytest.raises(ConfigError, match="monitoring_data: got 'Monitoring'"):
            await rig.system.analyze_with_rag(old)
        with pytest.raises(ConfigError, match="analysis"):
            await rig.system.plan_with_intelligent_decisions(monitoring, [])
        analysis = await rig.system.analyze_with_rag(monitoring)
        with pytest.raises(ConfigError, match="monitoring_data"):
            await rig.system.analyze_with_rag(monitoring)
        with pytest.raises(ConfigError, match="plan"):
            await rig.system.execute_with_lora_adaptation(analysis)
        with pytest.raises(ConfigError, match="analysis: got 'dict'"):
            await rig.system.plan_with_intelligent_decisions(dict(analysis), [])
        plan = await rig.system.plan_with_intelligent_decisions(analysis, ["a"])
        execution = await rig.system.execute_with_lora_adaptation(plan, {"shift": "night"})
        assert execution.context == {"shift": "night"}
        with pytest.raises(ConfigError, match="plan_decision: got 'dict', allowed: the Planning that was executed"):
            await rig.system.update_knowledge_with_outcomes(dict(plan), execution)
        update = await rig.system.update_knowledge_with_outcomes(plan, execution, success=True, reward=0.5)
        assert (update.reported_success, update.reported_reward) == (True, 0.5)
        with pytest.raises(ConfigError, match="execution_result"):
            await rig.system.update_knowledge_with_outcomes(plan, execution)
        assert rig.system.get_ml_statistics().decisions == {}

    asyncio.run(main())


def test_a_pass_that_is_left_after_planning_carries_nothing_out():
    async def main():
        rig = Rig()
        rig.leaking = True
        actions = rig.actions("restart")
        decision = Decision.NONE
        while decision is not Decision.ACT:
            analysis = await rig.system.analyze_with_rag(await rig.system.monitor_with_ml(rig.readings()))
            decision = (await rig.system.plan_with_intelligent_decisions(analysis, actions)).decision
        return rig, await rig.step(actions), await rig.until(actions, lambda r: r.planning.decision is Decision.ACT)

    rig, result, _ = asyncio.run(main())
    assert "action.refused" in result.knowledge_update.events
    assert "cool_down" in result.planning.reasoning
    assert rig.ran == ["restart"]


def test_the_callers_verdict_counts_for_what_was_only_advised():
    async def main():
        rig = Rig()
        rig.leaking = True
        plan = None
        while plan is None or plan.decision is not Decision.ADVISED:
            analysis = await rig.system.analyze_with_rag(await rig.system.monitor_with_ml(rig.readings()))
            plan = await rig.system.plan_with_intelligent_decisions(analysis, ["call_someone"])
            execution = await rig.system.execute_with_lora_adaptation(plan)
        await rig.system.update_knowledge_with_outcomes(plan, execution, success=True)
        return rig.system.get_ml_statistics().decisions

    assert asyncio.run(main()) == {"call_someone": {"trials": 1, "successes": 1}}


def test_two_components_of_one_system_are_two_incidents_and_one_action_at_a_time():
    async def main():
        rig = Rig(cures=())
        actions, decisions = rig.actions("restart"), []
        for _ in range(3):
            rig.clock.at += 1.0
            for component in ("web", "db"):
                monitoring = await rig.system.monitor_with_ml({"memory": 900.0}, component)
                plan = await rig.system.plan_with_intelligent_decisions(
                    await rig.system.analyze_with_rag(monitoring), actions
                )
                await rig.system.execute_with_lora_adaptation(plan)
                decisions.append((component, plan.decision))
        return rig, decisions

    rig, decisions = asyncio.run(main())
    assert rig.ran == ["restart"]
    assert decisions.count(("web", Decision.ACT)) == 1
    assert decisions[-1] == ("db", Decision.JUDGING)
    assert rig.system.get_ml_statistics().open_incidents == 2


def test_what_is_reported_is_what_is_done_whichever_component_was_read():
    async def main():
        rig = Rig(cures=())
        actions = rig.actions("restart")
        for component, offered in (("web", []), ("web", []), ("db", actions)):
            rig.clock.at += 1.0
            monitoring = await rig.system.monitor_with_ml({"memory": 900.0 if component == "web" else 1.0}, component)
            plan = await rig.system.plan_with_intelligent_decisions(
                await rig.system.analyze_with_rag(monitoring), offered
            )
            execution = await rig.system.execute_with_lora_adaptation(plan)
        return rig, plan, execution

    rig, plan, execution = asyncio.run(main())
    assert rig.ran == ["restart"]
    assert (plan.decision, plan.selected_action, execution.action) == (Decision.ACT, "restart", "restart")
    assert plan.reasoning == "memory out-of-bounds on web; it has not been judged before"


def test_only_what_is_available_now_is_advised():
    async def main():
        rig = Rig()
        rig.leaking = True
        advised = (await rig.until(["scale_up"], lambda r: r.planning.decision is Decision.ADVISED))[-1]
        rig.clock.at -= 0.9  # sooner than the loop looks again
        other = await rig.step(["restart"])
        rig.clock.at += 1.0
        return advised, other, await rig.step(["restart"]), await rig.step([])

    advised, other, later, none = asyncio.run(main())
    assert advised.planning.selected_action == "scale_up"
    assert (other.planning.decision, other.planning.selected_action) == (Decision.NONE, None)
    assert other.planning.reasoning == "these actions rest"
    assert (later.planning.decision, later.planning.selected_action) == (Decision.ADVISED, "restart")
    assert none.planning.reasoning == "something is wrong, no action is available"


class Library:
    """A knowledge base with one document; `trouble` is what happens when it is asked."""

    def __init__(self, trouble=None):
        self.trouble, self.asked = trouble, []

    async def retrieve_context(self, query, k=5, threshold=0.3):
        self.asked.append(query)
        if self.trouble is not None:
            await self.trouble()
        return SimpleNamespace(documents=[SimpleNamespace(id="oom", content="Restart it.")], similarities=[0.8])


def test_the_knowledge_base_is_asked_about_what_is_wrong():
    async def main():
        library = Library()
        rig = Rig(retriever=library)
        quiet = await rig.step([])
        rig.leaking = True
        found = (await rig.until([], lambda r: r.analysis.incident))[-1]
        mine = await rig.system.analyze_with_rag(await rig.system.monitor_with_ml(rig.readings()), "why so fat?")
        return library, quiet, found, mine

    library, quiet, found, mine = asyncio.run(main())
    assert (quiet.analysis.query, quiet.analysis.knowledge_context) == ("", ())
    assert found.analysis.query == "memory out-of-bounds"
    assert found.analysis.knowledge_context[0] == {"id": "oom", "content": "Restart it.", "similarity": 0.8}
    assert mine.query == library.asked[-1] == "why so fat?"
    assert found.planning.reasoning == "something is wrong, no action is available"


def test_a_knowledge_base_in_trouble_holds_no_healing_back():
    async def raises():
        raise OSError("index is gone")

    async def main():
        rig = Rig(retriever=Library(raises))
        rig.leaking = True
        return rig, await rig.until(rig.actions("restart"), judged)

    rig, results = asyncio.run(main())
    assert rig.ran == ["restart"]
    assert "OSError: index is gone" in {r.analysis.knowledge_error for r in results}
    assert {r.analysis.knowledge_context for r in results} == {()}


def test_a_full_store_lets_nothing_be_done_until_it_is_kept():
    async def main():
        store = FullDiskStore()
        rig = Rig(store=store)
        rig.leaking, store.full = True, True
        waiting = (await rig.until(rig.actions("restart"), lambda r: r.execution.outcome is Ran.WAITING))[-1]
        assert rig.ran == []
        store.full = False
        return rig, waiting, (await rig.until(rig.actions("restart"), judged))[-1]

    rig, waiting, last = asyncio.run(main())
    assert (waiting.knowledge_update.stored, waiting.execution.execution_success) == (False, None)
    assert "disk is full" in waiting.execution.detail
    assert rig.ran == ["restart"]
    assert (last.overall_success, last.knowledge_update.stored) == (True, True)


def test_what_waited_for_the_store_is_not_done_once_nobody_offers_it():
    async def main():
        store = FullDiskStore()
        rig = Rig(store=store)
        rig.leaking, store.full = True, True
        await rig.until(rig.actions("restart"), lambda r: r.execution.outcome is Ran.WAITING)
        store.full = False
        return rig, await rig.step([]), await rig.step([])

    rig, late, after = asyncio.run(main())
    assert rig.ran == []
    assert (late.execution.action, late.execution.outcome) == ("restart", Ran.NONE)
    assert late.execution.detail == "it is not available any more"
    assert after.planning.decision is Decision.NONE


class SlowStore(MemoryStore):
    """A disk that takes its time; `busy` is set while it does."""

    def __init__(self):
        super().__init__("system")
        self.busy = threading.Event()

    def commit(self, **batch):
        self.busy.set()
        time.sleep(0.1)
        super().commit(**batch)
        self.busy.clear()


def test_an_iteration_cancelled_during_a_commit_waits_for_it_and_does_nothing_after():
    async def main():
        store = SlowStore()
        rig = Rig(store=store)
        actions = rig.actions("restart")
        rig.memory = 900.0
        await rig.step(actions)
        task = asyncio.create_task(rig.step(actions))
        assert await asyncio.to_thread(store.busy.wait, 10)  # others go on while the disk is busy
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not store.busy.is_set()
        return rig, store, await rig.step(actions)

    rig, store, result = asyncio.run(main())
    assert rig.ran == []
    assert store.statistics() == {}
    assert {"incident.opened", "action.intended", "action.refused"} <= set(result.knowledge_update.events)
    assert "cool_down" in result.planning.reasoning


def test_a_durable_store_keeps_what_was_learned_and_what_was_under_way(tmp_path):
    clock = ManualClock(100.0)

    def store():
        return SqlStore(f"sqlite:///{tmp_path}/store.db", "system", clock=clock, random=random.Random(1))

    async def first():
        with store() as kept:
            rig = Rig(store=kept, clock=clock, new_id=counted("a"))
            actions = rig.actions("clear_cache", "restart")
            rig.leaking = True
            await rig.until(actions, closed)
            rig.leaking = True
            await rig.until(actions, lambda r: r.planning.decision is Decision.ACT)
            return rig

    async def second():
        with store() as kept:
            rig = Rig(store=kept, clock=clock, actions=["clear_cache", "restart"], new_id=counted("b"))
            results = await rig.until(None, judged)
            return rig, results

    before = asyncio.run(first())
    after, results = asyncio.run(second())
    assert before.ran == ["clear_cache", "restart", "restart"]
    assert results[0].planning.decision is Decision.JUDGING
    assert [(j.action, j.helped) for j in results[-1].knowledge_update.judged] == [("restart", True)]
    assert after.system.get_ml_statistics().decisions["restart"] == {"trials": 2, "successes": 2}
    assert after.system.get_ml_statistics().decisions["clear_cache"] == {"trials": 1, "successes": 0}
    assert after.ran == []
