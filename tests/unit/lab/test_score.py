"""The score: each of its words against a run drawn by hand."""

import json
import math
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab_records import LINK, fault, pair, run, said

from x0tta6bl4.errors import ConfigError, Temporary
from x0tta6bl4.lab import archive, pool
from x0tta6bl4.lab.record import RunRecord, Step
from x0tta6bl4.lab.score import judge, kept_records, kept_scores, score, total

OTHER = "interface/n5:v5-6"
KEYS = [
    "runs",
    "invalid",
    "scenarios",
    "management",
    "detected",
    "cause_top1",
    "cause_top3",
    "recovered",
    "ttd_s_p95_hard",
    "ttd_s_p95_soft",
    "ttr_s_p50",
    "ttr_s_p95_hard",
    "ttr_s_p95_soft",
    "ttr_s_p95_primary",
    "bad_s_on",
    "bad_s_off",
    "actions",
    "harmful_actions",
    "false_incidents_per_day",
    "config_drift",
]
HEALED = pair(lost=[(20, 22)])
LOST = pair(lost=[(20, 70)])


# detection and cause


def test_a_fault_is_detected_when_an_incident_first_names_its_component():
    got = judge(run(events=[said(20.4, "incident.opened", component=OTHER), said(20.7, "incident.updated")]))
    assert got.faults[0].detected
    assert got.faults[0].ttd_s == pytest.approx(0.7)
    assert got.false_incidents == ()


@pytest.mark.parametrize(
    ("at", "detected", "false"),
    [(19.9, False, 1), (20.0, True, 0), (59.9, True, 0), (60.0, False, 0), (69.9, False, 0), (70.0, False, 1)],
)
def test_a_fault_is_detected_while_it_lasts_and_named_late_without_being_false(at, detected, false):
    got = judge(run(events=[said(at, "incident.opened")]))
    assert got.faults[0].detected is detected
    assert len(got.false_incidents) == false


def test_a_closing_event_detects_nothing():
    got = judge(run(events=[said(21, "incident.opened", component=OTHER), said(30, "incident.closed")]))
    assert not got.faults[0].detected
    assert len(got.false_incidents) == 1


def test_the_component_alone_detects_but_the_cause_needs_the_code():
    got = judge(run(events=[said(20.5, "incident.opened", code="link-lossy")])).faults[0]
    assert got.detected
    assert not got.cause_top1


def test_the_cause_is_taken_as_it_stood_at_the_first_action():
    events = [
        said(20.5, "incident.opened", code="link-lossy"),
        said(20.6, "action.applied", id="a1"),
        said(21.0, "incident.updated", code="link-down"),
        said(61.0, "incident.closed"),
    ]
    assert judge(run(events=events)).faults[0].verdict == f"link-lossy {LINK}"
    assert not judge(run(events=events)).faults[0].cause_top1
    unacted = judge(run(events=[event for event in events if event[1]["type"] != "action.applied"])).faults[0]
    assert unacted.cause_top1
    assert unacted.verdict == f"link-down {LINK}"


@pytest.mark.parametrize("kind", ["refused", "proposed", "awaiting_approval", "expired", "intended"])
def test_an_action_that_was_not_applied_closes_no_verdict(kind):
    events = [
        said(20.5, "incident.opened", code="link-lossy"),
        said(20.6, f"action.{kind}", id="a1"),
        said(21.0, "incident.updated", code="link-down"),
        said(21.5, "action.applied", id="a2"),
        said(22.0, "incident.updated", code="link-slow"),
    ]
    assert judge(run(events=events)).faults[0].verdict == f"link-down {LINK}"


def test_top_three_looks_no_further_than_three():
    causes = [{"code": code, "component": LINK} for code in ("link-slow", "link-lossy", "link-down", "node-down")]
    third = judge(run(events=[said(21, "incident.opened", code="link-slow", causes=causes)])).faults[0]
    assert (third.cause_top1, third.cause_top3) == (False, True)
    causes.insert(0, {"code": "interface-down", "component": LINK})
    fourth = judge(run(events=[said(21, "incident.opened", code="interface-down", causes=causes)])).faults[0]
    assert (fourth.cause_top1, fourth.cause_top3) == (False, False)


# false incidents


def test_a_second_incident_is_false_while_the_first_is_open_and_not_after():
    first = said(20.5, "incident.opened")
    second = said(25, "incident.opened", incident="i2")
    assert len(judge(run(events=[first, second])).false_incidents) == 1
    closed = said(24, "incident.closed")
    assert judge(run(events=[first, closed, second])).false_incidents == ()


def test_an_event_after_the_close_opens_an_incident_again_only_if_it_names_something():
    first, closed = said(20.5, "incident.opened"), said(24, "incident.closed")
    second = said(25, "incident.opened", incident="i2")
    marked, reopened = said(24.1, "incident.marked"), said(24.1, "incident.reopened")
    assert judge(run(events=[first, closed, marked, second])).false_incidents == ()
    assert len(judge(run(events=[first, closed, reopened, second])).false_incidents) == 1


def test_an_incident_that_names_the_truth_for_a_moment_only_is_false_and_detects_nothing():
    events = [
        said(20.5, "incident.opened", component=OTHER),
        said(30.0, "incident.updated"),
        said(31.0, "incident.updated", component=OTHER),
        said(61.0, "incident.closed", component=OTHER),
    ]
    got = judge(run(events=events))
    assert len(got.false_incidents) == 1
    assert not got.faults[0].detected


def test_a_verdict_that_was_corrected_is_not_false():
    events = [
        said(20.5, "incident.opened", component=OTHER),
        said(24.0, "incident.updated"),
        said(61.0, "incident.closed"),
    ]
    got = judge(run(events=events))
    assert got.false_incidents == ()
    assert got.faults[0].ttd_s == pytest.approx(4.0)


def test_one_incident_may_name_two_faults_one_after_the_other():
    faults = [fault(end=40.0), fault(OTHER, "interface-down", start=40.0, name="f2")]
    events = [
        said(20.5, "incident.opened"),
        said(40.5, "incident.updated", component=OTHER, code="interface-down"),
        said(90, "incident.closed", component=OTHER, code="interface-down"),
    ]
    got = judge(run(faults=faults, events=events))
    assert [one.detected for one in got.faults] == [True, True]
    assert got.false_incidents == ()


def test_a_closed_incident_stands_on_nothing():
    # Named the truth for 2 s and was closed; what its closing said of another component is not counted for ever.
    events = [said(20.5, "incident.opened"), said(22.5, "incident.closed", component=OTHER)]
    assert judge(run(events=events)).false_incidents == ()


def test_two_faults_may_have_an_incident_each_at_the_same_time():
    faults = [fault(), fault(OTHER, "interface-down", name="f2")]
    events = [
        said(20.5, "incident.opened"),
        said(20.6, "incident.opened", incident="i2", component=OTHER, code="interface-down"),
    ]
    got = judge(run(faults=faults, events=events))
    assert [one.cause_top1 for one in got.faults] == [True, True]
    assert got.false_incidents == ()


def test_incidents_per_day_are_over_all_watched_time():
    # Two hours and a false incident: twelve a day.
    got = judge(run(events=[said(5, "incident.opened", component=OTHER)], duration=7200.0))
    assert total([got])["false_incidents_per_day"] == pytest.approx(12)


@given(at=st.floats(0, 79), place=st.integers(0, 2))
def test_adding_a_false_incident_raises_the_count_by_one(at, place):
    events = [said(20.5, "incident.opened"), said(21, "action.applied", id="a"), said(61, "incident.closed")]
    before = judge(run(events=events))
    events.insert(place, said(at, "incident.opened", incident="false", component=OTHER))
    after = judge(run(events=events))
    assert len(after.false_incidents) == len(before.false_incidents) + 1
    assert after.faults == before.faults


@given(shift=st.floats(0, 1e4))
def test_shifting_all_times_shifts_nothing(shift):
    def at(seconds):
        return seconds + shift

    def moved(delta):
        pairs = [replace(HEALED, sent=[one + delta for one in HEALED.sent])]
        events = [(t + delta, e) for t, e in [said(20.5, "incident.opened"), said(61, "incident.closed")]]
        steps = [Step(40 + delta, "n2", "interface/n2:v2-3", "detach", "1")]
        pairs += [pair(lost=[(41, 43)], source="n1")]
        pairs[1].sent[:] = [one + delta for one in pairs[1].sent]
        return judge(
            run(pairs, events=events, steps=steps, touched=[], faults=[fault(start=20 + delta, end=60 + delta)]),
        )

    here, there = moved(0.0), moved(shift)
    assert len(here.harmful) == len(there.harmful) == 1
    for a, b in zip(here.faults, there.faults, strict=True):
        assert (a.recovered, a.cause_top1, a.hurt_pairs) == (b.recovered, b.cause_top1, b.hurt_pairs)
        assert b.ttd_s == pytest.approx(a.ttd_s, abs=1e-6)
        assert b.bad_s == pytest.approx(a.bad_s, abs=1e-6)


# recovery and bad seconds of a fault


def test_a_fault_is_recovered_when_its_last_hurt_pair_is():
    late = pair(lost=[(20, 30)], source="n1")
    got = judge(run([HEALED, late, pair(source="n4")])).faults[0]
    assert got.hurt_pairs == 2
    assert got.recovered
    assert got.ttr_s == pytest.approx(9.8)
    # Lost 2 s and 10 s, each less 0.2 s at both ends that well windows cover; the third pair was not hurt.
    assert got.bad_s == pytest.approx((1.6 + 9.6 + 0) / 3)


def test_one_pair_that_stays_bad_is_a_miss():
    got = judge(run([HEALED, replace(LOST, source="n1")])).faults[0]
    assert (got.recovered, got.ttr_s) == (False, None)


def test_a_fault_that_hurt_nobody_is_neither_recovered_nor_missed():
    harmless = judge(run([pair()]))
    got = harmless.faults[0]
    assert (got.hurt_pairs, got.recovered, got.ttr_s, got.bad_s) == (0, None, None, 0.0)
    assert total([harmless])["recovered"] is None
    both = total([harmless, judge(run([HEALED]))])
    assert both["recovered"] == 1.0
    assert both["ttr_s_p50"] == pytest.approx(1.8)


def test_pairs_ending_on_a_dead_node_do_not_count():
    dead = pair(lost=[(20, 60)], excused=[(20, 60)], source="n6")
    assert judge(run([HEALED, dead])).faults[0].bad_s == pytest.approx(1.6)
    only = judge(run([dead]))
    assert (only.faults[0].recovered, only.faults[0].bad_s) == (None, None)
    assert total([only])["recovered"] is None


# harm


def harmed(path_touched=(), **fields):
    step = Step(40.0, "n2", "interface/n2:v2-3", "detach", "1")
    return run([pair(lost=[(41, 43)], path_touched=path_touched)], steps=[step], **fields)


def test_a_well_pair_that_goes_silent_after_a_step_is_harm():
    got = judge(harmed())
    assert len(got.harmful) == 1
    assert "detach=1 on n2" in got.harmful[0]


def test_a_dip_before_a_step_or_long_after_it_is_none():
    step = Step(30.0, "n2", "interface/n2:v2-3", "detach", "1")
    assert judge(run([pair(lost=[(28, 31.5)])], steps=[step])).harmful == ()
    assert judge(run([pair(lost=[(40.1, 43)])], steps=[step])).harmful == ()
    assert len(judge(run([pair(lost=[(39.9, 43)])], steps=[step])).harmful) == 1


def test_a_pair_that_was_not_well_cannot_be_harmed():
    # 20 % lost all the time before the dip: never well, never under half.
    poor = pair(lost=[(i * 0.25, i * 0.25 + 0.05) for i in range(164)] + [(41, 43)])
    step = Step(40.0, "n2", "interface/n2:v2-3", "detach", "1")
    assert judge(run([poor], steps=[step])).harmful == ()


def test_a_timeline_event_in_between_excuses_the_step():
    assert judge(harmed([40.5])).harmful == ()
    assert len(judge(harmed([39.5])).harmful) == 1
    assert len(judge(harmed([42.5])).harmful) == 1


def test_an_event_elsewhere_excuses_nothing():
    flapping = [(float(at), ("n5", "n6")) for at in range(20, 60)]
    assert len(judge(harmed(touched=flapping)).harmful) == 1


def test_a_replay_that_shows_the_same_dip_clears_the_step():
    asked = []

    def same(at):
        asked.append(at)
        return [pair(lost=[(41.2, 42.5)])]

    assert judge(harmed(), replay=same).harmful == ()
    assert asked == [40.0]
    assert len(judge(harmed(), replay=lambda at: [pair()]).harmful) == 1
    # Another pair's dip clears nothing.
    assert len(judge(harmed(), replay=lambda at: [pair(lost=[(41, 43)], source="n1"), pair()]).harmful) == 1


def test_the_replay_finds_the_step_that_did_it():
    steps = [Step(at, node, "x", "detach", "1") for at, node in ((38.0, "n1"), (39.0, "n2"), (40.5, "n3"))]
    got = judge(
        run([pair(lost=[(41, 43)])], steps=steps),
        replay=lambda at: [pair(lost=[(41, 43)] if at > 39 else [])],
    )
    assert len(got.harmful) == 1
    assert "on n2" in got.harmful[0]


def test_two_pairs_hurt_by_one_step_are_one_harmful_action():
    got = judge(replace(harmed(), pairs=[pair(lost=[(41, 43)]), pair(lost=[(41, 44)], source="n1")]))
    assert len(got.harmful) == 1


@pytest.mark.parametrize(("since", "harmful"), [(41.0, 0), (45.9, 0), (46.1, 1), (36.5, 0), (34.0, 1)])
def test_outside_sim_a_run_without_the_controller_clears_within_five_seconds(since, harmful):
    off = run([pair(lost=[(since, since + 1.2)])], controller=False)
    assert len(judge(harmed(), [off]).harmful) == harmful
    assert len(judge(harmed(), [replace(off, invalid="lag")]).harmful) == 1


def test_without_a_step_nothing_is_harm():
    assert judge(run([pair(lost=[(41, 43)])])).harmful == ()


# drift and actions


def test_drift_compares_settings_as_sets_and_not_the_primary():
    assert judge(run()).drift == ()
    moved = run(
        settings_start={"n1": {"attached": "a,b", "primary": "a", "hop_penalty": "30"}, "n2": {"mtu:x": "1560"}},
        settings_end={"n1": {"attached": "b", "primary": "b", "hop_penalty": "30"}},
    )
    assert judge(moved).drift == ("n1 attached: a,b -> b", "n2 mtu:x: 1560 -> not there")


def test_an_action_is_counted_once():
    events = [
        said(21, "action.intended", id="a"),
        said(21.1, "action.applied", id="a"),
        said(21.2, "action.applied", id="a"),
        said(30, "action.applied", id="b"),
        said(31, "action.refused", id="c"),
        said(32, "action.intended", id="d"),
        said(33, "action.proving", id="d"),  # of the step between nobody heard
    ]
    assert judge(run(events=events)).actions == 3


# totals


def test_totals_have_the_documented_keys_and_are_none_where_nothing_ran():
    assert list(total([])) == KEYS
    empty = total([])
    assert {key for key, value in empty.items() if value is not None} == {"runs", "invalid", "scenarios"}


def test_misses_enter_percentiles_with_the_fault_s_full_duration():
    fast = judge(run([HEALED], events=[said(20.5, "incident.opened")]))
    missed = judge(run([LOST]))
    got = total([fast, missed])
    assert got["detected"] == 0.5
    assert got["ttd_s_p95_hard"] == pytest.approx(np.percentile([0.5, 40], 95))
    assert got["ttr_s_p95_hard"] == pytest.approx(np.percentile([1.8, 40], 95))
    assert got["ttr_s_p50"] == pytest.approx(20.9)
    assert got["ttd_s_p95_soft"] is None
    assert got["recovered"] == 0.5


def test_classes_are_kept_apart_and_only_repairable_faults_can_be_missed():
    soft = judge(run([HEALED], faults=[fault(kind_class="soft")], events=[said(22, "incident.opened")]))
    primary = judge(run([pair(lost=[(20, 26)])], faults=[fault(kind_class="primary")]))
    hopeless = judge(run([LOST], faults=[fault(repairable=False)]))
    got = total([soft, primary, hopeless])
    assert got["ttd_s_p95_soft"] == pytest.approx(2)
    assert got["ttr_s_p95_soft"] == pytest.approx(1.8)
    assert got["ttr_s_p95_primary"] == pytest.approx(5.8)
    assert got["ttr_s_p95_hard"] is None
    assert got["ttd_s_p95_hard"] == 40
    assert got["recovered"] == 1


def test_bad_seconds_are_kept_apart_by_controller_and_invalid_runs_left_out():
    on = judge(run([HEALED]))
    off = judge(run([LOST], controller=False))
    lagged = judge(run([LOST], invalid="timer lag 140 ms"))
    got = total([on, off, lagged])
    assert got["bad_s_on"] == pytest.approx(1.6)
    assert got["bad_s_off"] == pytest.approx(39.8)
    assert (got["runs"], got["invalid"], got["scenarios"], got["management"]) == (3, 1, 1, "inband")


# keeping and going on


@dataclass(frozen=True)
class Sketch:
    """The least a scenario can be."""

    name: str
    algorithm: str = "BATMAN_IV"


def draw(scenario, seed, controller_on, freeze_at):
    """A runner: heals in 2 s with the controller, never without."""
    events = [said(20.5, "incident.opened")] if controller_on else []
    steps = [Step(40.0, "n2", "x", "detach", "1")] if controller_on else []
    shape = [(20, 22), (41, 43)] if controller_on else [(20, 70)]
    return run(
        [pair(lost=[(20, 70)] if freeze_at else shape)],
        controller=controller_on,
        seed=seed,
        events=events,
        steps=steps,
        scenario=scenario.name,
    )


def watch(hours, seed):
    """A healthy run."""
    return run([pair()], faults=[], duration=hours * 3600, seed=seed, touched=[])


def counting(calls, inner=draw):
    def runner(scenario, seed, controller_on, freeze_at):
        calls.append((scenario.name, seed, controller_on, freeze_at))
        return inner(scenario, seed, controller_on, freeze_at)

    return runner


def test_a_score_runs_all_judges_with_replays_and_writes(tmp_path):
    calls, told = [], []
    path = tmp_path / "score.json"
    got = score(
        [Sketch("a"), Sketch("b")],
        counting(calls),
        backend="sim",
        json_path=path,
        version="1",
        seeds=(0, 1),
        progress=lambda done, count, label: told.append((done, count, label)),
        healthy=watch,
        healthy_hours=3.0,
        healthy_runs=2,
    )
    assert json.loads(path.read_text()) == got
    assert [call[2] for call in calls if call[3] is None] == [False] * 4 + [True] * 4
    # The dip at 41 follows the step at 40: one replay for each run with the controller, and it clears the step.
    assert [call[3] for call in calls if call[3] is not None] == [pytest.approx(40, abs=1e-5)] * 4
    assert told[-1][:2] == (10, 10)
    result = got["total"]
    assert list(result) == KEYS
    assert (result["runs"], result["scenarios"], result["detected"], result["harmful_actions"]) == (10, 2, 1.0, 0)
    records = kept_records(path, kept_scores(path))
    assert len(records) == 8


def test_a_stopped_score_goes_on_where_it_was(tmp_path):
    path = tmp_path / "score.json"

    def killed(scenario, seed, controller_on, freeze_at):
        if seed == 1:
            raise KeyboardInterrupt
        return draw(scenario, seed, controller_on, freeze_at)

    options = {"backend": "sim", "json_path": path, "version": "1", "seeds": (0, 1), "controller": "off"}
    with pytest.raises(KeyboardInterrupt):
        score([Sketch("a")], killed, **options)
    assert len(kept_scores(path)) == 1
    calls = []
    score([Sketch("a")], counting(calls), **options)
    assert [call[1] for call in calls] == [1]
    score([Sketch("a")], counting(calls), **options)
    assert len(calls) == 1
    # A changed scenario, version or tuning is another run; the earlier ones are kept, but not in the totals.
    again = score([Sketch("a", "BATMAN_V")], counting(calls), **options)
    assert len(calls) == 3
    assert again["total"]["runs"] == 2
    assert len(again["other_runs"]) == 2
    score([Sketch("a")], counting(calls), **options | {"version": "2"})
    score([Sketch("a")], counting(calls), **options | {"tuning": "tuned"})
    assert len(calls) == 7
    assert len(kept_scores(path)) == 8


def test_an_invalid_run_is_listed_and_tried_again(tmp_path):
    def hung(scenario, seed, controller_on, freeze_at):
        raise Temporary("the guest does not answer")

    options = {"backend": "vm", "json_path": tmp_path / "s.json", "version": "1", "controller": "on"}
    got = score([Sketch("a")], hung, **options)
    assert (got["total"]["runs"], got["total"]["invalid"]) == (1, 1)
    assert got["runs"][0]["invalid"] == "the guest does not answer"
    assert score([Sketch("a")], draw, **options)["total"]["invalid"] == 0


def test_outside_sim_harm_is_compared_with_the_kept_off_runs(tmp_path):
    def vm(scenario, seed, controller_on, freeze_at):
        assert freeze_at is None
        lost = [(41, 43)] if controller_on or seed == 1 else []
        steps = [Step(40.0, "n2", "x", "detach", "1")] if controller_on else []
        return run([pair(lost=lost)], controller=controller_on, seed=seed, steps=steps, backend="vm")

    options = {"backend": "vm", "version": "1"}
    alone = score([Sketch("a")], vm, json_path=tmp_path / "one.json", seeds=(0,), **options)
    assert alone["total"]["harmful_actions"] == 1
    both = score([Sketch("a")], vm, json_path=tmp_path / "two.json", seeds=(0, 1), **options)
    assert both["total"]["harmful_actions"] == 0


def test_a_run_that_was_judged_before_there_were_any_without_a_controller_is_judged_again(tmp_path):
    ran = []

    def vm(scenario, seed, controller_on, freeze_at):
        ran.append(controller_on)
        steps = [Step(40.0, "n2", "x", "detach", "1")] if controller_on else []
        return run([pair(lost=[(41, 43)])], controller=controller_on, seed=seed, steps=steps, backend="vm")

    options = {"backend": "vm", "version": "1", "json_path": tmp_path / "one.json"}
    assert score([Sketch("a")], vm, controller="on", **options)["total"]["harmful_actions"] == 1
    assert score([Sketch("a")], vm, controller="both", **options)["total"]["harmful_actions"] == 0
    assert ran == [True, False]
    kept = json.loads((tmp_path / "one.json").read_text())
    assert (kept["total"]["runs"], kept["total"]["harmful_actions"]) == (2, 0)


@pytest.mark.slow
def test_a_pool_of_processes_gives_the_same_score(tmp_path):
    options = {"backend": "sim", "version": "1", "seeds": (0, 1), "healthy_hours": 1.0}
    one = score([Sketch("a")], draw, json_path=tmp_path / "1.json", healthy=watch, **options)
    named = f"{__name__}:draw"
    two = score([Sketch("a")], named, json_path=tmp_path / "2.json", healthy=f"{__name__}:watch", jobs=2, **options)
    assert one["total"] == two["total"]
    assert one["runs"] == two["runs"]


def note_process(scenario, seed, controller_on, freeze_at):
    """A run that leaves behind which process it was done by."""
    (Path(scenario.name) / f"{controller_on}-{seed}").write_text(str(os.getpid()))
    return replace(draw(scenario, seed, controller_on, freeze_at), backend="vm")


@pytest.mark.slow
def test_in_real_time_only_runs_without_a_controller_share_the_machine(tmp_path):
    score(
        [Sketch(str(tmp_path))],
        f"{__name__}:note_process",
        backend="vm",
        version="1",
        json_path=tmp_path / "score.json",
        seeds=(0, 1),
        jobs=2,
    )
    done_by = {side: {int((tmp_path / f"{side}-{seed}").read_text()) for seed in (0, 1)} for side in (True, False)}
    assert done_by[True] == {os.getpid()}
    assert os.getpid() not in done_by[False]


def linger(scenario, seed, controller_on, freeze_at):
    """A run that, but for the first one, ends when it is told to, and then leaves a note; so does its process."""
    begun, closed = (Path(scenario.name) / f"{state} {os.getpid()}" for state in ("process", "closed"))
    begun.touch()
    pool.before_exit(closed.touch)
    if seed:
        (Path(scenario.name) / f"{seed} begun").touch()
        try:
            time.sleep(60)
        finally:
            time.sleep(0.5 * seed)  # as a guest takes its time to end; others are done sooner
            (Path(scenario.name) / f"{seed} ended").touch()
    else:
        while not list(Path(scenario.name).glob("* begun")):  # the other process takes its time to start
            time.sleep(0.05)
    return draw(scenario, seed, controller_on, freeze_at)


@pytest.mark.slow
def test_stopped_it_ends_what_runs_and_begins_nothing_more(tmp_path):
    def stop(done, of, what):
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        score(
            [Sketch(str(tmp_path))],
            f"{__name__}:linger",
            backend="sim",
            version="1",
            json_path=tmp_path / "score.json",
            seeds=range(8),
            controller="on",
            jobs=2,
            progress=stop,
        )
    assert time.monotonic() - began < 30
    begun, ended = ({path.name.split()[0] for path in tmp_path.glob(f"* {state}")} for state in ("begun", "ended"))
    assert begun == ended
    assert len(begun) <= 2  # one beside the first run, one in its place
    used, closed = ({path.name.split()[1] for path in tmp_path.glob(f"{state} *")} for state in ("process", "closed"))
    assert used == closed
    assert len(kept_scores(tmp_path / "score.json")) == 1  # what was done is kept


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"controller": "maybe"}, "controller"),
        ({"seeds": ()}, "seeds"),
        ({"seeds": (1, 1)}, "seeds"),
        ({"jobs": 0}, "jobs"),
        ({"jobs": 2}, "runner"),
        ({"healthy_hours": -1.0}, "healthy_hours"),
        ({"healthy_hours": 1.0}, "healthy_hours"),
        ({"healthy_hours": 1.0, "healthy": watch, "healthy_runs": 0}, "healthy_runs"),
    ],
)
def test_bad_arguments_are_named_before_anything_runs(tmp_path, change, field):
    calls = []
    options = {"backend": "sim", "json_path": tmp_path / "s.json", "version": "1"} | change
    with pytest.raises(ConfigError) as caught:
        score([Sketch("a")], counting(calls), **options)
    assert caught.value.field == field
    assert calls == []


@pytest.mark.parametrize("name", ["no_such_module:run", "json:no_such", ":run", "json"])
def test_a_runner_that_cannot_be_imported_is_a_config_error(tmp_path, name):
    with pytest.raises(ConfigError, match="runner"):
        score([Sketch("a")], name, backend="sim", json_path=tmp_path / "s.json", version="1")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"runs": 1}', '{"runs": [{"scenario": "a"}]}', '{"runs": [1]}'])
def test_a_file_that_is_no_score_is_refused_and_left_as_it_was(tmp_path, content):
    path = tmp_path / "notes.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match="json"):
        score([Sketch("a")], draw, backend="sim", json_path=path, version="1")
    assert path.read_text() == content


@given(st.lists(st.one_of(st.just(math.nan), st.floats(0, 2000)), max_size=20), st.text(max_size=5))
def test_a_record_survives_json_without_loss(rtt, note):
    one = run(
        [replace(HEALED, sent=[i * 0.05 for i in range(len(rtt))], rtt_ms=rtt, excused=[(1.0, 2.0)])],
        events=[said(20.5, "incident.opened", code=note)],
        steps=[Step(40.0, "n2", "x", "detach", note)],
        notes={"lag_ms": 1.5},
    )
    back = archive.record_from_json(archive.record_to_json(one))
    assert isinstance(back, RunRecord)
    assert [repr(value) for value in back.pairs[0].rtt_ms] == [repr(value) for value in rtt]
    bare = [replace(back.pairs[0], rtt_ms=[])]
    assert replace(back, pairs=bare) == replace(one, pairs=[replace(one.pairs[0], rtt_ms=[])])


def test_a_damaged_record_is_named(tmp_path):
    archive.keep_record(tmp_path, "k", run())
    assert archive.kept_record(tmp_path, "k").scenario == "blackhole"
    assert archive.kept_record(tmp_path, "none") is None
    path = tmp_path / "k.json.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ConfigError, match="records"):
        archive.kept_record(tmp_path, "k")
    with pytest.raises(ConfigError, match="record"):
        archive.record_from_json('{"faults": []}')


def test_the_content_of_a_scenario_makes_its_hash():
    assert archive.content_hash(Sketch("a")) == archive.content_hash(Sketch("a"))
    assert archive.content_hash(Sketch("a")) != archive.content_hash(Sketch("a", "BATMAN_V"))
    assert archive.content_hash({"x": (1, {2, 3}), "y": None}) == archive.content_hash({"y": None, "x": [1, {3, 2}]})
