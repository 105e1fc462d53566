"""What lets a system of which only names are known run on the loop: scores, a held yardstick, offers, steps."""

from dataclasses import replace

import numpy as np
import pytest

from fakes import ManualClock, RecordingActuator, ScriptedProber, ScriptedSensor, counted
from x0tta6bl4.catalog import (
    ActionKind,
    Autonomy,
    Catalog,
    CauseRule,
    Expect,
    Metric,
    Mode,
    Proposal,
    Scope,
    SymptomRule,
)
from x0tta6bl4.mape_k.baseline import WARM_UP, Baseline
from x0tta6bl4.mape_k.columns import Table
from x0tta6bl4.mape_k.guards import Limits
from x0tta6bl4.mape_k.inline import InlineWorker
from x0tta6bl4.mape_k.loop import Loop
from x0tta6bl4.mape_k.memory import MemoryStore
from x0tta6bl4.mape_k.parts import Parts
from x0tta6bl4.model import Action, Component, Did, Edge, Layout, Relation

BARREL, PIPES = Component("barrel", "b"), tuple(Component("pipe", f"p{i}") for i in range(3))
FLOW = Metric("pipe", "flow", "flow", 5.0, learn=True, spread_min=1e-6, spread_min_ratio=0.1)
LAYOUT = Layout((BARREL, *PIPES), ("level", "flow"), tuple(Edge(p, Relation.PART_OF, BARREL) for p in PIPES))


def mend(cause, view):
    return [Proposal(Action("mend", cause.component), (), PIPES)]


CATALOG = Catalog(
    name="barrels",
    metrics=(Metric("barrel", "level", "level", 5.0), FLOW),
    symptoms=(SymptomRule("odd-flow", "pipe", "flow", "an odd flow", 0.5, 0.3, score=True, clear_after_s=0.0),),
    causes=(
        CauseRule("broken", "barrel", "broken", (Expect("odd-flow", Mode.ANY, ("~part_of",)),), 0.5, settle_s=0.0),
    ),
    actions=(),
    remedies={"broken": mend},
)  # fmt: skip
MEND = ActionKind("mend", "barrel", "mend it", 0.1, irreversible=True, prove_s=3.0, autonomy=Autonomy.ACT)


class Barrel:
    """The loop over one barrel with three pipes."""

    def __init__(self):
        self.clock = ManualClock(10.0)
        self.sensor = ScriptedSensor("barrel", LAYOUT, [[1, np.nan], [np.nan, 4], [np.nan, 4], [np.nan, 0]])
        self.actuator = RecordingActuator({"mend"})
        self.loop = Loop(
            Parts(
                catalog=CATALOG, clock=self.clock, store=MemoryStore(), worker=InlineWorker(), prober=ScriptedProber(),
                new_id=counted(), origin="b", scope=Scope.MESH, instant=(self.sensor,),
                limits=Limits(irreversible_allowed=frozenset({"mend"})),
            )
        )  # fmt: skip

    def run(self, seconds):
        for _ in range(seconds):
            self.clock.at += 1.0
            last = self.loop.run_once()
        return last

    def flow(self, pipe, value):
        self.sensor.values[1 + pipe, 1] = value


def table_with(value):
    table = Table("pipe", [FLOW])
    slot = table.add(PIPES[0])
    table.values[0, slot] = value
    return table, Baseline(table)


def teach(table, usual, value, seconds):
    for second in seconds:
        table.values[0, 0], table.at[0, 0] = value, float(second)
        usual.learn(float(second))


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e6])
def test_the_least_spread_is_a_share_of_what_is_usual_whatever_the_unit(size):
    table, usual = table_with(size)
    teach(table, usual, size, range(20))
    assert usual.spread[0, 0] == pytest.approx(0.1 * size)
    assert usual.score("flow")[0] == pytest.approx(0.0, abs=1e-6)
    for value, score in ((1.8 * size, 0.5), (0.2 * size, 0.5), (9 * size, 80 / 88)):
        table.values[0, 0] = value
        assert usual.score("flow")[0] == pytest.approx(score, rel=1e-3)


def test_nothing_scores_before_it_is_warm():
    table, usual = table_with(1.0)
    teach(table, usual, 1.0, range(WARM_UP - 1))
    table.values[0, 0] = 100.0
    assert usual.score("flow")[0] == 0.0
    table.values[0, 0] = np.nan
    assert np.isnan(usual.score("flow")[0])


def test_a_component_without_readings_yet_scores_nothing():
    _, usual = table_with(np.nan)
    assert np.isnan(usual.score("flow")).tolist() == [True]


def test_what_is_held_is_not_learned():
    table, usual = table_with(1.0)
    teach(table, usual, 1.0, range(20))
    usual.held = (PIPES[0], PIPES[2])  # one of them is not in the table
    teach(table, usual, 9.0, range(20, 60))
    assert (usual.mean[0, 0], usual.seen[0, 0]) == (1.0, 20)
    usual.held = ()
    teach(table, usual, 9.0, range(60, 61))
    assert usual.mean[0, 0] > 1.0


def test_one_odd_part_is_enough_and_the_well_ones_do_not_contradict():
    barrel = Barrel()
    barrel.loop.offer([replace(MEND, autonomy=Autonomy.ADVISE)], barrel.actuator)
    assert barrel.run(20).incidents == ()
    barrel.flow(1, 40.0)
    (incident,) = barrel.run(1).incidents
    assert (incident.cause.code, incident.cause.component) == ("broken", BARREL)
    assert [s.component for s in incident.cause.explains] == [PIPES[1]]
    barrel.flow(2, 50.0)
    barrel.flow(1, 4.0)
    assert [i.id for i in barrel.run(1).incidents] == [incident.id]
    assert barrel.loop.analyzer.stands(incident.cause, barrel.clock.now())


def test_action_kinds_may_be_offered_and_changed_later():
    barrel = Barrel()
    barrel.run(20)
    barrel.flow(0, 40.0)
    barrel.loop.offer([replace(MEND, autonomy=Autonomy.ADVISE)], barrel.actuator)
    assert barrel.run(1).plans[0].chosen[0].kind == "mend"
    assert barrel.actuator.calls == []
    barrel.loop.offer([MEND], barrel.actuator)
    barrel.run(3)
    assert len(barrel.actuator.asked("apply")) == 1


def test_what_did_not_help_and_cannot_be_undone_is_counted_as_a_failure():
    barrel = Barrel()
    barrel.loop.offer([MEND], barrel.actuator)
    barrel.run(20)
    barrel.flow(0, 40.0)
    barrel.run(6)
    assert barrel.loop.knowledge.statistics == {("broken", "mend"): (1, 0)}
    assert barrel.loop.parts.store.statistics() == {("broken", "mend"): (1, 0)}


def test_what_was_never_done_is_no_trial():
    barrel = Barrel()
    barrel.actuator.answers["apply"] = Did.UNDONE
    barrel.loop.offer([MEND], barrel.actuator)
    barrel.run(20)
    barrel.flow(0, 40.0)
    barrel.run(3)
    assert barrel.actuator.asked("apply")
    assert barrel.loop.knowledge.statistics == barrel.loop.parts.store.statistics() == {}


def test_steps_stop_after_each_phase_and_end_as_the_same_pass():
    whole, stepped = Barrel(), Barrel()
    for barrel in (whole, stepped):
        barrel.loop.offer([MEND], barrel.actuator)
        barrel.run(20)
        barrel.flow(0, 40.0)
        barrel.clock.at += 1.0
    expected = whole.loop.run_once()
    steps = stepped.loop.steps()
    assert next(steps) == ()
    assert stepped.loop.knowledge.open == {}
    assert next(steps) == ()
    assert len(stepped.loop.knowledge.open) == 1
    assert [plan.chosen[0].kind for plan in next(steps)] == ["mend"]
    assert stepped.actuator.calls == []
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value == expected
    assert stepped.actuator.calls == whole.actuator.calls != []


def test_an_inline_worker_has_ended_when_it_returns_and_raises_nothing():
    worker = InlineWorker()
    assert worker.start("lane", "one", lambda: 1)
    assert worker.start("lane", "two", lambda: 1 / 0)
    one, two = worker.finished()
    assert one == ("lane", "one", 1)
    assert isinstance(two[2], ZeroDivisionError)
    assert list(worker.finished()) == []
