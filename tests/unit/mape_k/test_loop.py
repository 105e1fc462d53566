"""The loop heals what is no mesh: a leaking web service and an overloaded one, in virtual time."""

import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from fakes import FullDiskStore, HeldWorker, RecordingActuator, ScriptedSensor
from web_service import QUEUE, WEB, Bench
from x0tta6bl4.catalog import (
    Autonomy,
    Scope,
)
from x0tta6bl4.mape_k import commands
from x0tta6bl4.mape_k.guards import Limits
from x0tta6bl4.mape_k.inline import InlineWorker
from x0tta6bl4.mape_k.ledger import RECENT
from x0tta6bl4.model import (
    ActionState,
    Component,
    Did,
    IncidentState,
    Layout,
    Observation,
    Outcome,
    Severity,
    Window,
)

HEALED = [
    "incident.opened",
    "plan.made",
    "action.intended",
    "action.applied",
    "action.proving",
    "action.confirmed",
    "incident.closed",
]


def test_a_healthy_service_is_left_alone():
    bench = Bench()
    last = bench.run(60)
    assert bench.events == []
    assert bench.web.log == []
    assert (last.symptoms, last.incidents, last.actions, last.errors, last.number) == ((), (), (), {}, 120)
    assert last.readings == 3
    assert [r.code for r in last.risks] == ["lone"]
    assert set(last.phase_s) == {"monitor", "analyze", "plan", "execute"}


def test_a_leak_is_found_repaired_proved_and_closed():
    bench = Bench()
    bench.run(10)
    bench.web.leaking = True
    bench.run(20)
    assert bench.said() == HEALED
    assert [kind for kind, _ in bench.web.log] == ["restart"]
    opened = bench.events[0]
    assert (opened.data["code"], opened.component, opened.origin) == ("leak", str(WEB), "c")
    assert [e.seq for e in bench.events] == list(range(1, 8))
    assert bench.loop.knowledge.statistics == {("leak", "restart"): (1, 1)}
    assert bench.parts.store.open_incidents() == []
    assert bench.parts.store.statistics() == {("leak", "restart"): (1, 1)}
    assert [e.type for e in bench.parts.store.events()] == HEALED
    assert bench.loop.executor.ledger.live == {}


def test_a_leak_is_unusual_before_it_is_bad():
    bench = Bench()
    bench.run(10)
    bench.web.leaking = True
    anomalies = [a for _ in range(8) for a in bench.run(0.5).anomalies]
    assert {(a.component, a.metric) for a in anomalies} == {(WEB, "memory_mb")}


def test_an_overload_is_mitigated_until_it_is_over():
    bench = Bench()
    bench.web.demand = 2.0
    bench.run(30)
    assert bench.web.latency < 100
    (incident,) = bench.loop.knowledge.open.values()
    assert incident.cause.code == "overload"
    assert (incident.state, incident.acted) == (IncidentState.MITIGATED, True)
    assert len(bench.web.shed) == 1
    bench.web.demand = 1.0
    bench.run(40)
    assert bench.web.shed == {}
    assert bench.loop.knowledge.open == {}
    assert bench.said()[-3:] == ["action.undoing", "action.undone", "incident.closed"]


def test_a_mitigated_incident_is_kept_as_mitigated():
    bench = Bench()
    bench.web.demand = 2.0
    bench.run(30)
    assert [i.state for i in bench.parts.store.open_incidents()] == [IncidentState.MITIGATED]


def test_what_does_not_help_is_taken_back_and_counted():
    bench = Bench()
    bench.web.cures = False
    bench.web.leaking = True
    bench.run(12)
    assert "action.undone" in bench.said()
    assert bench.loop.knowledge.statistics["leak", "restart"][1] == 0
    assert len(bench.loop.knowledge.open) == 1
    bench.run(200)
    started = [kind for kind, _ in bench.web.log].count("restart")
    assert 2 <= started <= 2 * Limits().per_target_max
    assert "plan.refused" in bench.said()


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (Autonomy.OBSERVE, ["incident.opened", "plan.refused"]),
        (Autonomy.ADVISE, ["incident.opened", "plan.made"]),
        (Autonomy.APPROVE, ["incident.opened", "plan.made", "action.awaiting_approval"]),
    ],
)
def test_below_act_nothing_is_touched_and_it_is_said_once(level, expected):
    bench = Bench(limits=Limits(autonomy_default=level))
    bench.web.leaking = True
    bench.run(60)
    assert bench.said() == expected
    assert bench.web.log == []


def test_an_agent_asks_nobody():
    bench = Bench(scope=Scope.NODE, limits=Limits(autonomy_default=Autonomy.APPROVE))
    bench.web.leaking = True
    bench.run(30)
    assert bench.said() == ["incident.opened", "plan.made"]


def test_what_a_person_approves_is_done():
    bench = Bench(limits=Limits(autonomy_default=Autonomy.APPROVE))
    bench.web.leaking = True
    bench.run(10)
    (waiting,) = bench.loop.executor.ledger.live.values()
    assert waiting.state is ActionState.AWAITING
    assert bench.loop.executor.approve(waiting.id, bench.clock.now())
    bench.run(20)
    assert [kind for kind, _ in bench.web.log] == ["restart"]
    assert bench.said()[-1] == "incident.closed"


def test_the_kill_switch_stops_all_of_it_and_lets_go_again():
    bench = Bench(limits=Limits(kill_switch=True))
    bench.web.leaking = True
    bench.run(30)
    assert bench.web.log == []
    assert bench.said() == ["incident.opened", "plan.refused"]
    bench.loop.limits = Limits()
    bench.loop.executor.limits = bench.loop.limits
    bench.run(3)
    assert [kind for kind, _ in bench.web.log] == ["restart"]


def test_maintenance_is_no_incident():
    bench = Bench()
    bench.loop.expect(Window(WEB, 0.0, 30.0, "release"))
    bench.web.leaking = True
    last = bench.run(29)
    assert (bench.events, last.symptoms) == ([], ())
    bench.run(3)
    assert bench.said()[0] == "incident.opened"


# -- a store that fails ---------------------------------------------------------------------------------------------


def test_a_full_disk_loses_nothing_and_what_was_intended_too_long_ago_is_decided_anew():
    store = FullDiskStore("c")
    bench = Bench(store=store)
    store.full = True
    bench.web.leaking = True
    last = bench.run(10)
    assert bench.events == []
    assert bench.web.log == []
    assert last.errors == {"store": "store: disk is full"}
    assert len(last.incidents) == 1
    assert store.tries > 5
    store.full = False
    bench.run(20)
    said = [*HEALED[:3], "action.expired", *HEALED[1:]]
    assert bench.said() == said
    assert [e.seq for e in bench.events] == list(range(1, 11))
    assert [e.type for e in store.events()] == said
    assert [kind for kind, _ in bench.web.log] == ["restart"]
    assert bench.last.errors == {}


def test_nothing_is_said_or_done_while_the_commit_is_under_way():
    worker = HeldWorker()
    bench = Bench(worker=worker)
    bench.web.leaking = True

    def passes(seconds, lanes):
        for _ in range(round(seconds / 0.5)):
            bench.run(0.5)
            for lane in list(worker.flying):
                if lane.split(":")[0] in lanes:
                    worker.release(lane)

    passes(8, {"read"})
    assert worker.flying["store"][0] == "commit"
    assert bench.events == []
    assert bench.web.log == []
    assert len(bench.loop.knowledge.open) == 1
    passes(30, {"read", "store", "actuator"})
    assert bench.said()[:3] == HEALED[:3]
    assert bench.said().count("action.expired") == 1  # it was decided too long ago, and is decided anew
    assert bench.said()[-5:] == HEALED[-5:]
    assert [kind for kind, _ in bench.web.log] == ["restart"]


# -- a restart ------------------------------------------------------------------------------------------------------


def test_a_restarted_loop_goes_on_with_its_lease_and_its_incident():
    bench = Bench()
    bench.web.demand = 2.0
    bench.run(20)
    before = bench.said()
    bench.start()
    assert len(bench.loop.knowledge.open) == len(bench.loop.executor.ledger.live) == 1
    bench.run(20)
    assert [kind for kind, _ in bench.web.log] == ["shed-load"]
    assert bench.said() == before
    bench.web.demand = 1.0
    bench.run(40)
    assert bench.web.shed == {}


def test_a_restarted_loop_counts_its_events_on():
    bench = Bench()
    bench.web.demand = 2.0
    bench.run(20)
    bench.start()
    bench.web.demand = 1.0
    last = bench.run(40)
    assert last.errors == {}
    assert [e.seq for e in bench.events] == list(range(1, len(bench.events) + 1))
    assert bench.said()[-1] == "incident.closed"


def test_an_action_killed_between_commit_and_answer_is_not_issued_again():
    worker = HeldWorker()
    bench = Bench(worker=worker)
    bench.web.leaking = True
    for _ in range(20):
        bench.run(0.5)
        for lane in list(worker.flying):
            if lane != "actuator":
                worker.release(lane)
    assert worker.flying["actuator"][0].startswith("apply:")
    (intended,) = bench.parts.store.open_actions()
    assert intended.state is ActionState.INTENDED
    bench.start(worker=InlineWorker())  # killed; the order never left
    bench.run(0.5)
    assert bench.web.log == []
    assert bench.loop.executor.ledger.live == {} or intended.id not in bench.loop.executor.ledger.live


# -- an undo that fails ---------------------------------------------------------------------------------------------


def test_what_nobody_can_take_back_holds_its_incident_open_until_a_person_closes_it():
    bench = Bench()
    bench.web.demand = 2.0
    bench.run(20)
    bench.web.undo = lambda order_id: Outcome(order_id, Did.FAILED, "it is stuck")
    bench.web.demand = 1.0
    bench.run(120)
    assert bench.said()[-2:] == ["action.undo_failed", "incident.escalated"]
    bench.start()  # over a restart too
    bench.run(30)
    (incident,) = bench.loop.knowledge.open.values()
    assert (incident.severity, incident.state) == (Severity.CRITICAL, IncidentState.OPEN)
    assert incident.escalated.endswith("could not be undone: no longer needed; undoing it failed: it is stuck")
    assert bench.events[-1].data["severity"] == "critical"
    (left,) = bench.loop.executor.ledger.recent
    since = replace(left, incident="another", action=replace(left.action, target=Component("service", "other")))
    bench.loop.executor.ledger.recent.extend(replace(since, id=f"later-{n}") for n in range(RECENT))
    done = list(bench.web.log)
    bench.web.demand = 2.0  # it is needed again, but its undo would bring back what was left
    bench.run(20)
    assert bench.web.log == done
    refused = [c["refused_by"] for e in bench.events if e.type == "plan.refused" for c in e.data["candidates"]]
    assert refused
    assert all(reason.startswith("none_left_behind: ") for reason in refused)
    bench.web.demand = 1.0
    bench.run(20)
    bench.loop.commands.post(partial(commands.close, incident=incident.id, reason="done by hand"))
    bench.run(1)
    assert bench.said()[-1] == "incident.closed"
    assert bench.loop.knowledge.open == {}


# -- sensors that fail ----------------------------------------------------------------------------------------------

OTHER = Layout((Component("queue", "mails"),), ("waiting",))


def test_a_sensor_that_raises_is_a_value_and_the_others_go_on():
    bench = Bench()
    bad = ScriptedSensor("bad", OTHER, [[1]])
    bad.failure = OSError("no answer from the socket")
    bench.start(sensors=(bad, bench.web))
    bench.web.leaking = True
    last = bench.run(30)
    assert last.errors == {"bad": "OSError: no answer from the socket"}
    assert bench.said() == HEALED
    bad.failure = None
    assert bench.run(0.5).errors == {}


def test_a_sensor_that_says_so_itself():
    bench = Bench()

    class Honest(ScriptedSensor):
        def read(self, now):
            return replace(super().read(now), error="half of it is missing")

    bench.start(sensors=(Honest("honest", OTHER, [[7]]),))
    assert bench.run(1).errors == {"honest": "half of it is missing"}
    assert bench.loop.columns.value(OTHER.components[0], "waiting", bench.clock.now()) == 7.0


def test_a_sensor_that_hangs_is_said_after_a_while_and_only_it_is_late():
    worker = HeldWorker()
    bench = Bench(worker=worker)
    bench.start(sensors=(ScriptedSensor("hung", OTHER, [[1]]), bench.web))
    errors, late = [], []
    for _ in range(24):
        iteration = bench.run(0.5)
        errors.append(iteration.errors)
        late.append(iteration.late)
        for lane in list(worker.flying):
            if lane != "read:hung":
                worker.release(lane)
    assert errors[9] == {}
    assert errors[11] == {"hung": "no answer for 6 s"}
    assert late == [()] + [("hung",)] * 23
    assert bench.loop.columns.value(WEB, "memory_mb", bench.clock.now()) == 200.0
    worker.release("read:hung")
    assert bench.run(0.5).errors == {}


def test_an_instant_sensor_that_raises_is_a_value_too():
    bench = Bench()
    bad = ScriptedSensor("bad", OTHER, [[1]])
    bad.failure = OSError("no answer")
    bench.start(instant=(bad,))
    assert bench.run(1).errors == {"bad": "OSError: no answer"}


@pytest.mark.parametrize("values", [[[np.inf]], [[-np.inf]], [[1e38]], [[np.nan]], [[-1.0]]], ids=str)
def test_a_sensor_that_lies_about_a_value_breaks_nothing(values):
    bench = Bench()
    bench.start(sensors=(bench.web, ScriptedSensor("liar", OTHER, values)))
    bench.web.leaking = True
    bench.run(30)
    assert "restart" in [kind for kind, _ in bench.web.log]
    other = ScriptedSensor("liar", Layout((WEB,), ("memory_mb",)), values)
    bench.start(sensors=(other, bench.web))
    assert np.isfinite(bench.run(30).at)


@pytest.mark.parametrize("values", [[[1, 2]], [[1], [2]], [], [1.0]], ids=str)
def test_a_sensor_that_lies_about_its_shape_is_a_value(values):
    bench = Bench()
    liar = ScriptedSensor("liar", Layout((OTHER.components[0], QUEUE), ("waiting", "latency_ms", "memory_mb")), values)
    bench.start(sensors=(liar, bench.web))
    assert set(bench.run(1).errors) == {"liar"}
    assert bench.loop.columns.value(WEB, "memory_mb", bench.clock.now()) == 200.0


def test_a_sensor_that_goes_blind_acts_on_nothing_stale():
    bench = Bench(limits=Limits(kill_switch=True))
    bench.web.leaking = True
    bench.run(5)
    assert bench.said() == ["incident.opened", "plan.refused"]
    seen = bench.web.read
    bench.web.read = lambda now: Observation("web", now, Layout((), ()), np.empty((0, 0), np.float32), error="blind")
    bench.run(3.5)
    bench.loop.limits = Limits()
    bench.run(30)
    assert bench.web.log == []
    assert "plan.made" not in bench.said()
    bench.web.read = seen
    bench.run(20)
    assert bench.web.log[0][0] == "restart"


# -- the rest -------------------------------------------------------------------------------------------------------


def test_an_actuator_that_raises_is_taken_back():
    bench = Bench()
    broken = RecordingActuator({"restart"})
    broken.answers["apply"] = OSError("the wire broke")
    bench.start(actuators=(broken,))
    bench.web.leaking = True
    bench.run(8)
    (ident,) = broken.asked("apply")
    assert broken.asked("undo") == [ident]


def test_what_its_actuator_refuses_is_not_tried_at_every_pass():
    bench = Bench()
    broken = RecordingActuator({"restart"})
    broken.answers["apply"] = Did.FAILED
    bench.start(actuators=(broken,))
    bench.web.leaking = True
    bench.run(33)
    assert 2 <= len(broken.asked("apply")) <= 4


def test_an_incident_can_be_closed_by_hand():
    bench = Bench(limits=Limits(kill_switch=True))
    bench.web.leaking = True
    bench.run(5)
    (ident,) = bench.loop.knowledge.open
    change = bench.loop.knowledge.close(ident, bench.clock.now(), "known")
    bench.loop.execute([change], [], bench.clock.now())
    assert bench.said()[-1] == "incident.closed"
    assert bench.events[-1].data["note"] == "known"
    assert bench.parts.store.open_incidents() == []


def test_running_makes_passes_until_it_is_stopped():
    bench = Bench()
    stop, wake, seen = threading.Event(), threading.Event(), []

    def see(iteration):
        seen.append(iteration.number)
        bench.clock.at += 1.0  # each pass takes longer than its share: the next starts at once
        if len(seen) == 3:
            stop.set()

    wake.set()
    bench.loop.run(stop, wake, 0.5, see)
    assert seen == [1, 2, 3]
    assert not wake.is_set()
