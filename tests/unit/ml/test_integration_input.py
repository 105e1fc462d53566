"""Bad input to `MLEnhancedMAPEK`: it is refused by name and changes nothing; what is odd but allowed is said."""

import asyncio
import json
from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import ManualClock, counted
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.ml.integration import ACTIONS_MAX, MLEnhancedMAPEK
from x0tta6bl4.ml.results import Decision, Ran
from x0tta6bl4.ml.service import METRICS_MAX, GivenReadings, Timing

TIMING = Timing(confirm_s=1.0, judge_s=5.0)


async def act():
    return "done"


def not_async():
    raise AssertionError("it was called")


def system_of(**changes):
    clock = ManualClock(100.0)
    system = MLEnhancedMAPEK(healthy={"memory": (0, 800)}, timing=TIMING, clock=clock, new_id=counted(), **changes)
    return clock, system


@pytest.mark.parametrize(
    ("data", "actions", "field"),
    [
        (None, [], "monitoring_data"),
        ([("cpu", 1.0)], [], "monitoring_data"),
        ("cpu", [], "monitoring_data"),
        ({1: 0.5}, [], "monitoring_data"),
        ({None: 0.5}, [], "monitoring_data"),
        ({"": 0.5}, [], "monitoring_data"),
        ({"a\x00b": 0.5}, [], "monitoring_data"),
        ({"a/b": 0.5}, [], "monitoring_data"),
        ({"\ud800": 0.5}, [], "monitoring_data"),
        ({"m" * 100_000: 0.5}, [], "monitoring_data"),
        ({"cpu": "0.5"}, [], "monitoring_data.cpu"),
        ({"cpu": {"user": 0.5}}, [], "monitoring_data.cpu"),
        ({"cpu": 1j}, [], "monitoring_data.cpu"),
        ({"cpu": Decimal(1)}, [], "monitoring_data.cpu"),
        ({"cpu": 1e39}, [], "monitoring_data.cpu"),
        ({"cpu": -(10**5000)}, [], "monitoring_data.cpu"),
        ({f"m{i}": 1.0 for i in range(METRICS_MAX + 1)}, [], "monitoring_data"),
        ({"cpu": 0.5}, "restart", "available_actions"),
        ({"cpu": 0.5}, 7, "available_actions"),
        ({"cpu": 0.5}, {"restart"}, "available_actions"),
        ({"cpu": 0.5}, [act], "available_actions"),
        ({"cpu": 0.5}, [""], "available_actions"),
        ({"cpu": 0.5}, {1: act}, "available_actions"),
        ({"cpu": 0.5}, {"restart": not_async}, "available_actions.restart"),
        ({"cpu": 0.5}, {"restart": "systemctl"}, "available_actions.restart"),
    ],
)
def test_bad_input_is_refused_by_name_and_changes_nothing(data, actions, field):
    async def main():
        _, system = system_of()
        before = system.get_ml_statistics()
        with pytest.raises(ConfigError) as refused:
            await system.autonomic_loop_iteration(data, actions)
        assert system.get_ml_statistics() == before
        return refused.value

    error = asyncio.run(main())
    assert error.field == field
    assert len(str(error)) < 500


def test_a_call_instead_of_a_callable_is_refused():
    called = act()
    with pytest.raises(ConfigError, match="got 'coroutine', allowed: a list of names, or a mapping of name to async"):
        asyncio.run(system_of()[1].autonomic_loop_iteration({"cpu": 0.5}, {"restart": called}))
    called.close()


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"healthy": {"memory": 800}}, "healthy.memory"),
        ({"healthy": {"memory": (5, 1)}}, "healthy.memory"),
        ({"healthy": {"memory": (0, float("nan"))}}, "healthy.memory"),
        ({"healthy": {"memory": ("0", "9")}}, "healthy.memory"),
        ({"healthy": {3: (0, 1)}}, "healthy"),
        ({"healthy": [("memory", 0, 1)]}, "healthy"),
        ({"actions": {"restart": not_async}}, "available_actions.restart"),
    ],
)
def test_a_bad_argument_starts_nothing(arguments, field):
    with pytest.raises(ConfigError) as refused:
        MLEnhancedMAPEK(**arguments)
    assert refused.value.field == field


@pytest.mark.parametrize("value", [0, 1.0, -1, float("nan"), float("inf"), "5", None])
def test_a_bad_time_is_refused(value):
    with pytest.raises(ConfigError, match=r"timing\.judge_s"):
        Timing(judge_s=value)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), float("-inf"), np.float32("nan")])
def test_what_was_not_measured_is_said_and_teaches_nothing(value):
    async def main():
        clock, system = system_of()
        for _ in range(3):
            clock.at += 1
            result = await system.autonomic_loop_iteration({"cpu": value, "memory": value}, ["a"])
        return result, system.get_ml_statistics()

    result, statistics = asyncio.run(main())
    assert result.monitoring.not_measured == ("cpu", "memory")
    assert result.monitoring.metrics == {"cpu": None, "memory": None}
    assert result.monitoring.reason == "nothing was measured"
    assert (result.monitoring.anomaly_detected, result.planning.decision) == (False, Decision.NONE)
    assert statistics.detector["metrics"] == {}
    json.dumps(result.to_dict(), allow_nan=False)


@pytest.mark.parametrize("value", [1, True, np.float64(1), np.int32(1), Fraction(1, 1)])
def test_every_real_number_is_a_reading(value):
    result = asyncio.run(system_of()[1].autonomic_loop_iteration({"cpu": value}, []))
    assert result.monitoring.metrics == {"cpu": 1.0}


def test_nothing_at_all_is_an_iteration_too():
    result = asyncio.run(system_of()[1].autonomic_loop_iteration({}, []))
    assert result.monitoring.reason == "nothing was measured"
    assert result.planning.decision is Decision.NONE


class Restart:
    """An action that is an object."""

    def __init__(self):
        self.calls = 0

    async def __call__(self):
        self.calls += 1


def test_objects_and_wrapped_functions_are_async_callables_too():
    async def trouble(actions):
        clock, system = system_of()
        for _ in range(4):
            clock.at += 1
            result = await system.autonomic_loop_iteration({"memory": 900.0}, actions)
            if result.execution.action:
                return result.execution
        return None

    async def main():
        restart = Restart()
        return (
            restart,
            await trouble({"restart": restart}),
            await trouble({"count": partial(asyncio.to_thread, sum, [1, 2])}),
        )

    restart, first, second = asyncio.run(main())
    assert restart.calls == 1
    assert (first.outcome, second.base_output) == (Ran.DONE, 3)


def test_an_action_with_arguments_fails_as_a_value():
    async def needs(what):
        return what

    async def main():
        clock, system = system_of()
        for _ in range(2):
            clock.at += 1
            result = await system.autonomic_loop_iteration({"memory": 900.0}, {"needs": needs})
        return result.execution

    execution = asyncio.run(main())
    assert execution.outcome is Ran.FAILED
    assert "missing 1 required positional argument" in execution.detail


def test_an_action_that_cancels_itself_is_unknown():
    async def gives_up():
        raise asyncio.CancelledError

    async def main():
        clock, system = system_of()
        for _ in range(2):
            clock.at += 1
            result = await system.autonomic_loop_iteration({"memory": 900.0}, {"gives_up": gives_up})
        return result.execution

    execution = asyncio.run(main())
    assert (execution.outcome, execution.detail) == (Ran.UNKNOWN, "it was cancelled")


def test_readings_are_handed_over_once():
    given = GivenReadings({})
    given.give("system", {"cpu": 0.5})
    assert given.read(1.0).values[1, 2] == 0.5
    assert given.read(2.0).values.size == 0


def test_new_metrics_and_actions_may_come_at_any_time():
    async def main():
        clock, system = system_of()
        names = [f"m{i}" for i in range(30)]
        for i in range(30):
            clock.at += 1
            readings = dict.fromkeys(names[: i + 1], 1.0)
            result = await system.autonomic_loop_iteration(readings, [f"a{i}"])
        return result, system.get_ml_statistics()

    result, statistics = asyncio.run(main())
    assert result.monitoring.anomaly_detected is False
    assert statistics.detector["metrics"]["system/m0"]["samples"] == 30
    assert statistics.detector["metrics"]["system/m29"]["samples"] == 1


def test_there_is_an_end_to_new_names():
    async def main():
        _, system = system_of()
        await system.autonomic_loop_iteration({}, [f"a{i}" for i in range(ACTIONS_MAX)])
        await system.autonomic_loop_iteration({}, ["a0", "a1"])
        with pytest.raises(ConfigError, match=r"available_actions: got 1, allowed: at most 1000 names"):
            await system.autonomic_loop_iteration({}, ["one more"])

    asyncio.run(main())


def test_many_iterations_at_once_follow_one_another_and_act_once():
    running = most = calls = 0

    async def restart():
        nonlocal running, most, calls
        running, calls = running + 1, calls + 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1

    async def main():
        clock, system = system_of()

        async def one(_):
            clock.at += 0.3
            return await system.autonomic_loop_iteration({"memory": 900.0}, {"restart": restart})

        results = await asyncio.gather(*map(one, range(10)))
        return results, system.get_ml_statistics()

    results, statistics = asyncio.run(main())
    assert statistics.iterations == 10
    assert (most, calls) == (1, 1)
    assert sum(r.execution.outcome is Ran.DONE for r in results) == 1


def test_a_cancelled_iteration_leaves_a_system_that_goes_on():
    async def main():
        clock, system = system_of()
        started, ended = asyncio.Event(), []

        async def slow():
            started.set()
            try:
                await asyncio.sleep(3600)
            finally:
                ended.append("cancelled")

        async def iterate(memory):
            clock.at += 1.0
            return await system.autonomic_loop_iteration({"memory": memory}, {"slow": slow})

        await iterate(900.0)
        task = asyncio.create_task(iterate(900.0))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["cancelled"]
        results = [await iterate(900.0), *[await iterate(100.0) for _ in range(15)]]
        return results, system.get_ml_statistics()

    results, statistics = asyncio.run(main())
    assert results[0].planning.decision is Decision.JUDGING
    assert "action.applied" in results[0].knowledge_update.events  # nothing of the cancelled one is lost
    assert [r.overall_success for r in results if r.overall_success is not None] == [True]
    assert "incident.closed" in [event for r in results for event in r.knowledge_update.events]
    assert statistics.decisions == {"slow": {"trials": 1, "successes": 1}}


class SlowLibrary:
    """A knowledge base that is being asked when the iteration is cancelled."""

    def __init__(self):
        self.asked = asyncio.Event()

    async def retrieve_context(self, query, k=5, threshold=0.3):
        self.asked.set()
        await asyncio.sleep(3600)


def test_an_iteration_cancelled_while_it_thinks_has_done_nothing():
    async def main():
        clock, system = system_of(retriever=(library := SlowLibrary()))
        calls = []

        async def restart():
            calls.append(1)

        async def iterate():
            clock.at += 1.0
            return await system.autonomic_loop_iteration({"memory": 900.0}, {"restart": restart})

        await iterate()
        task = asyncio.create_task(iterate())
        await library.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert calls == []
        monitoring = await system.monitor_with_ml({"memory": 100.0})
        return monitoring, system.get_ml_statistics()

    monitoring, statistics = asyncio.run(main())
    assert monitoring.anomaly_detected is False
    assert statistics.iterations == 2  # the cancelled one was ended, with nothing to choose from


ANY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=3),
    st.complex_numbers(),
)
NAME = st.one_of(st.text(max_size=4), ANY)


@settings(max_examples=150, deadline=None)
@given(
    passes=st.lists(
        st.tuples(
            st.one_of(ANY, st.dictionaries(NAME, ANY, max_size=3)),
            st.one_of(ANY, st.lists(NAME, max_size=3), st.dictionaries(NAME, st.one_of(st.none(), ANY), max_size=3)),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_is_given_is_an_iteration_or_a_config_error(passes):
    async def main():
        clock, system = system_of()
        refused, results = [], []
        for data, actions in passes:
            clock.at += 1.0
            try:
                results.append(await system.autonomic_loop_iteration(data, actions))
            except ConfigError as error:
                refused.append(error.field.split(".")[0])
        return refused, results, system.get_ml_statistics().iterations

    refused, results, iterations = asyncio.run(main())
    assert set(refused) <= {"monitoring_data", "available_actions"}
    assert iterations == len(results) == len(passes) - len(refused)
    for result in results:
        json.dumps(result.to_dict(), allow_nan=False)
