"""The life of an action, step by step; the world is touched only after a commit."""

from dataclasses import replace

import pytest

from fakes import HeldWorker, RecordingActuator, ScriptedProber, counted
from x0tta6bl4.catalog import ActionKind, Autonomy, Catalog, Proposal
from x0tta6bl4.mape_k.calls import LANE
from x0tta6bl4.mape_k.executor import APPROVAL_S, DEADMAN_SLACK_S, EXPIRES_S, RECHECK_S, Executor
from x0tta6bl4.mape_k.guards import Limits
from x0tta6bl4.model import Action, ActionState, Component, Did

BOX, FRIEND, FAR = Component("box", "b"), Component("box", "friend"), Component("box", "far")
KINDS = (
    ActionKind("avoid", "box", "avoid", 0.1, avoids=True, prove_s=8.0, autonomy=Autonomy.ACT),
    ActionKind("repair", "box", "repair", 0.1, repair=True, prove_s=8.0, autonomy=Autonomy.ACT),
    ActionKind("kick", "box", "kick", 0.5, irreversible=True, prove_s=8.0, autonomy=Autonomy.ACT),
)
CATALOG = Catalog("plant", (), (), (), KINDS)


class Bench:
    """An executor over fakes; `turn` commits what changed (as the loop does) and lets actuator calls end."""

    def __init__(self, limits=None, restored=(), kinds=("avoid", "repair", "kick"), on=()):
        self.actuator, self.prober, self.worker = RecordingActuator(kinds), ScriptedProber(), HeldWorker()
        self.actuator.on = dict.fromkeys(on)
        self.sick, self.far = set(), ()
        self.executor = Executor(
            CATALOG,
            [self.actuator],
            self.prober,
            self.worker,
            origin="c",
            new_id=counted("a"),
            seen_well=lambda component, now: component not in self.sick,
            regained=lambda links, now: () if self.sick else self.far,
            limits=limits or Limits(),
            epoch=3,
        )
        self.history = []
        self.executor.restore(restored)

    def propose(self, now=0.0, kind="avoid", incident="i1", witnesses=(FRIEND,), target=BOX):
        return self.executor.propose(incident, Proposal(Action(kind, target), witnesses, (BOX,)), now)

    def commit(self, now):
        changed = self.executor.ledger.take_changes()
        self.history += [(r.state, r.detail) for r in changed]
        self.executor.committed(changed, now)
        return changed

    def release(self, now):
        while LANE in self.worker.flying:
            self.worker.release(LANE)
            for _, tag, result in self.worker.finished():
                self.executor.finished(tag, result, now)

    def turn(self, now):
        self.executor.advance(now)
        self.commit(now)
        self.release(now)
        self.commit(now)

    def states(self):
        return [state for state, _ in self.history]

    def started(self, now=0.0, **options):
        """An action that was applied at `now`."""
        record = self.propose(now, **options)
        self.commit(now)
        self.release(now)
        self.commit(now)
        return record.id


S = ActionState


def test_nothing_is_touched_before_it_is_committed():
    bench = Bench()
    record = bench.propose()
    bench.executor.advance(0.0)
    assert record.state is S.INTENDED
    assert bench.worker.flying == {}
    bench.commit(0.0)
    assert set(bench.worker.flying) == {LANE}
    assert bench.actuator.calls == []  # in the worker, not in the pass


def test_the_good_life_of_a_mitigation():
    bench = Bench()
    ident = bench.started()
    bench.prober.well = None
    bench.turn(0.5)
    bench.turn(1.0)
    assert bench.prober.watched == {ident: (FRIEND,)}
    bench.prober.well = True
    bench.turn(1.5)
    assert bench.states() == [S.INTENDED, S.APPLIED, S.PROVING, S.CONFIRMED]
    assert bench.prober.watched == {}
    lease = bench.executor.ledger.live[ident]
    assert (lease.lease, lease.before, lease.confirmed_at) == (True, {"was": 1.0}, 1.5)
    assert bench.executor.ledger.avoided(1.5) == [BOX]
    bench.sick = {BOX}
    for i in range(100):
        bench.turn(2.0 + i)
    assert bench.executor.ledger.acting("i1")
    bench.sick = set()
    bench.turn(200.0)
    bench.turn(209.9)
    bench.sick = {BOX}  # a relapse: the hold begins anew
    bench.turn(209.95)
    bench.sick = set()
    bench.turn(210.0)
    bench.turn(219.9)
    assert bench.actuator.asked("undo") == []
    bench.turn(220.0)
    assert bench.states()[-2:] == [S.UNDOING, S.UNDONE]
    assert bench.history[-1][1] == "no longer needed"
    assert bench.actuator.calls == [("apply", ident), ("confirm", ident), ("undo", ident)]
    assert not bench.executor.ledger.acting("i1")
    assert bench.executor.ledger.busy() == frozenset()
    assert bench.executor.ledger.avoided(229.0) == [BOX]  # nobody has found it again yet
    assert bench.executor.ledger.avoided(231.0) == []


def confirmed(bench):
    """A lease on what is still sick; the key under which its far end is probed."""
    bench.sick, bench.far = {BOX}, (FAR,)
    ident = bench.started()
    bench.prober.well = True
    bench.turn(0.5)
    bench.turn(1.0)
    bench.prober.well = None
    assert bench.executor.ledger.live[ident].lease
    assert bench.prober.watched == {}
    return f"{ident}/far"


def test_a_lease_that_cuts_off_what_it_avoids_is_given_back_at_once():
    bench = Bench()
    key = confirmed(bench)
    bench.sick = set()
    bench.turn(2.0)
    assert bench.prober.watched == {key: (FAR,)}
    assert bench.states()[-1] is S.CONFIRMED  # nothing is known yet
    bench.prober.share[key] = 0.0
    bench.turn(3.0)
    assert bench.history[-1] == (S.UNDONE, "what it avoids carries again, and no other way leads there")
    assert bench.prober.watched == {}


def test_a_lease_holds_where_another_way_leads_there_and_that_is_looked_at_again():
    bench = Bench()
    key = confirmed(bench)
    bench.sick = set()
    bench.prober.share[key] = 0.4  # a bad way is a way
    bench.turn(2.0)
    assert bench.prober.watched == {}
    bench.turn(2.0 + RECHECK_S - 0.1)
    assert bench.prober.watched == {}
    bench.prober.share[key] = None
    bench.turn(2.0 + RECHECK_S)
    assert bench.prober.watched == {key: (FAR,)}
    bench.sick = {BOX}  # and it is not asked for while what it avoids is dead
    bench.turn(6.0)
    assert bench.prober.watched == {}
    assert bench.states()[-1] is S.CONFIRMED


def test_what_is_not_proven_is_given_back_where_it_cuts_off_what_it_avoids():
    bench = Bench()
    bench.sick, bench.far = {BOX}, (FAR,)
    ident = bench.started()
    bench.turn(0.5)
    bench.turn(1.0)
    bench.sick = set()
    bench.prober.share[f"{ident}/far"] = 0.0
    bench.turn(2.0)
    assert bench.history[-1][0] is S.UNDONE
    assert bench.prober.watched == {}


def test_what_avoids_nothing_has_nobody_behind_it():
    bench = Bench()
    bench.far = (FAR,)
    ident = bench.started(kind="repair")
    bench.prober.share[f"{ident}/far"] = 0.0
    bench.turn(0.5)
    bench.turn(1.0)
    assert bench.states()[-1] is S.PROVING
    assert bench.prober.watched == {ident: (FRIEND,)}


def test_a_repair_holds_no_lease():
    bench = Bench()
    bench.started(kind="repair")
    bench.prober.well = True
    bench.turn(0.5)
    bench.turn(1.0)
    assert bench.states()[-1] is S.CONFIRMED
    assert bench.executor.ledger.live == {}
    assert bench.actuator.on
    assert bench.executor.ledger.avoided(1.0) == []


def test_what_is_not_proven_in_time_is_taken_back():
    bench = Bench()
    ident = bench.started()
    bench.prober.well = False
    for i in range(18):
        bench.turn(i * 0.5)
    assert bench.states()[-2:] == [S.UNDOING, S.UNDONE]
    assert bench.history[-1][1] == "not proven well in time"
    assert bench.actuator.calls == [("apply", ident), ("undo", ident)]
    assert bench.prober.watched == {}


def test_what_cannot_be_undone_escalates_and_is_not_undone():
    bench = Bench()
    bench.started(kind="kick")
    bench.prober.well = False
    for i in range(18):
        bench.turn(i * 0.5)
    assert bench.states()[-1] is S.UNDO_FAILED
    assert bench.actuator.asked("undo") == []
    assert bench.executor.ledger.live == {}


def test_without_witnesses_the_readings_prove():
    bench = Bench()
    bench.started(kind="repair", witnesses=())
    bench.sick = {BOX}
    bench.turn(0.5)
    bench.turn(2.0)
    assert bench.states()[-1] is S.PROVING
    bench.sick = set()
    bench.turn(2.5)
    assert bench.history[-1] == (S.CONFIRMED, "its symptoms are gone")


def test_a_proof_by_readings_waits_a_second():
    bench = Bench()
    bench.started(witnesses=())
    bench.turn(0.5)
    bench.turn(0.9)
    assert bench.states()[-1] is S.PROVING
    bench.turn(1.0)
    assert bench.states()[-1] is S.CONFIRMED


@pytest.mark.parametrize("answer", [Did.REFUSED, Did.FAILED])
def test_what_its_actuator_does_not_do_ends(answer):
    bench = Bench()
    bench.actuator.answers["apply"] = answer
    bench.started()
    assert bench.history[-1] == (S.REFUSED, f"scripted {answer.value}")
    assert bench.executor.ledger.live == {}
    assert bench.actuator.asked("undo") == []


def test_when_nobody_can_tell_whether_it_was_done_it_is_taken_back():
    bench = Bench()
    bench.actuator.answers["apply"] = OSError("the wire broke")
    ident = bench.started()
    assert S.UNDOING in bench.states()
    assert bench.actuator.asked("undo") == [ident]
    assert bench.states()[-1] in (S.UNDONE, S.UNDO_FAILED)


def test_an_undo_that_fails_escalates():
    bench = Bench()
    bench.started()
    bench.prober.well = False
    bench.actuator.answers["undo"] = Did.FAILED
    bench.turn(0.5)
    for now in range(9, 72):
        bench.turn(float(now))
        assert bench.executor.ledger.live
    bench.turn(72.0)
    assert bench.history[-1] == (S.UNDO_FAILED, "not proven well in time; undoing it failed: scripted failed")
    assert len(bench.actuator.asked("undo")) == 7
    assert bench.executor.ledger.live == {}


def test_an_undo_that_failed_is_tried_again():
    bench = Bench()
    ident = bench.started()
    bench.prober.well = True
    bench.turn(0.5)
    bench.turn(1.0)
    bench.actuator.answers["undo"] = Did.FAILED
    bench.turn(2.0)
    bench.turn(12.0)
    assert bench.states()[-1] is S.UNDOING
    del bench.actuator.answers["undo"]
    bench.turn(12.5)
    assert bench.actuator.asked("undo") == [ident]
    bench.turn(13.0)
    assert bench.history[-1] == (S.UNDONE, "no longer needed")
    assert bench.actuator.on == {}


def test_an_undo_that_was_not_heard_but_done_is_read_as_done():
    bench = Bench()
    ident = bench.started()
    bench.prober.well = False
    bench.actuator.answers["undo"] = Did.UNKNOWN
    bench.turn(0.5)
    bench.actuator.on.clear()
    bench.turn(9.0)
    assert bench.history[-1] == (S.UNDONE, "not proven well in time")
    assert bench.actuator.asked("resolve") == [ident]


def test_a_confirmation_that_nobody_answered_is_asked_for_again():
    bench = Bench()
    ident = bench.started()
    bench.prober.well, bench.sick = True, {BOX}
    bench.actuator.answers["confirm"] = Did.UNKNOWN
    bench.turn(0.5)
    bench.turn(1.0)
    del bench.actuator.answers["confirm"]
    bench.turn(1.5)
    assert bench.states()[-1] is S.CONFIRMED
    bench.turn(2.0)
    assert bench.actuator.calls[-2:] == [("resolve", ident), ("confirm", ident)]
    assert bench.executor.ledger.live[ident].lease
    assert S.UNDONE not in bench.states()


def test_what_cannot_be_confirmed_is_taken_back():
    bench = Bench()
    bench.started()
    bench.prober.well, bench.sick = True, {BOX}
    bench.actuator.answers["confirm"] = Did.UNKNOWN
    for now in range(80):
        bench.turn(float(now))
    assert bench.history[-1] == (S.UNDONE, "cannot tell whether it was kept: scripted unknown")
    assert bench.actuator.on == {}


def test_what_was_intended_too_long_ago_expires():
    bench = Bench()
    bench.propose(0.0)
    bench.commit(EXPIRES_S + 0.1)
    bench.release(EXPIRES_S + 0.1)
    bench.commit(EXPIRES_S + 0.1)
    assert bench.states() == [S.INTENDED, S.EXPIRED]
    assert "not begun within 5 s" in bench.history[-1][1]
    assert bench.actuator.calls == []
    assert bench.executor.ledger.live == {}


def test_what_waits_for_another_call_expires_too():
    bench = Bench()
    first, second = bench.propose(), bench.propose(target=FRIEND)
    bench.commit(0.0)
    bench.executor.advance(6.0)
    bench.release(6.0)
    bench.executor.advance(6.5)
    bench.commit(6.5)
    assert bench.actuator.asked("apply") == [first.id]
    assert next(r for r in bench.executor.ledger.recent if r.id == second.id).state is S.EXPIRED


def test_an_order_says_how_long_it_is_still_good_for():
    bench = Bench()
    record = bench.propose(0.0)
    bench.commit(3.0)
    bench.release(3.0)
    assert bench.actuator.on[record.id].expires_s == 2.0


def test_the_dead_man_timer_was_faster():
    bench = Bench()
    ident = bench.started()
    bench.turn(0.5)
    bench.actuator.on.clear()  # undone beside the interface, before the proof came
    bench.prober.well = True
    bench.turn(1.0)
    bench.turn(2.0)
    bench.turn(2.5)
    assert bench.states()[-2:] == [S.CONFIRMED, S.UNDONE]
    assert "undone by its actuator" in bench.history[-1][1]
    assert ident not in bench.executor.ledger.live


def test_the_order_carries_who_and_until_when():
    bench = Bench()
    ident = bench.started()
    order = bench.actuator.on[ident]
    assert (order.id, order.issuer, order.epoch, order.action) == (ident, "c", 3, Action("avoid", BOX))
    assert order.deadman_s == 8.0 + DEADMAN_SLACK_S


def test_approval():
    bench = Bench(Limits(autonomy={"avoid": Autonomy.APPROVE}))
    record = bench.propose()
    assert record.state is S.AWAITING
    for i in range(5):
        bench.turn(float(i))
    assert bench.actuator.calls == []
    assert not bench.executor.approve("unheard-of", 5.0)
    assert bench.executor.approve(record.id, 5.0)
    assert not bench.executor.approve(record.id, 5.0)
    bench.turn(5.0)
    assert bench.actuator.asked("apply") == [record.id]


def test_what_nobody_approves_expires():
    bench = Bench(Limits(autonomy={"avoid": Autonomy.APPROVE}))
    record = bench.propose()
    bench.turn(APPROVAL_S)
    assert bench.states() == [S.AWAITING]
    bench.turn(APPROVAL_S + 0.1)
    assert bench.states() == [S.AWAITING, S.EXPIRED]
    assert not bench.executor.approve(record.id, APPROVAL_S + 1)
    assert bench.actuator.calls == []


@pytest.mark.parametrize("level", [Autonomy.OBSERVE, Autonomy.ADVISE])
def test_below_approve_nothing_is_done(level):
    bench = Bench(Limits(autonomy_default=level))
    assert bench.propose().state is S.REFUSED
    bench.turn(1.0)
    assert bench.history == [(S.REFUSED, f"avoid is at {level}")]
    assert bench.actuator.calls == []


def test_an_action_without_an_actuator_is_refused():
    bench = Bench(kinds=("repair",))
    bench.propose()
    bench.turn(0.0)
    assert bench.history[-1] == (S.REFUSED, "no actuator for this kind")


def test_the_hold_grows_with_flapping_up_to_its_cap():
    bench = Bench(Limits(hold_s=10.0, hold_s_max=35.0))
    holds, now = [], 0.0
    for _ in range(4):
        ident = bench.started(now)
        bench.prober.well = True
        for _ in range(200):
            now += 0.5
            bench.turn(now)
        assert ident not in bench.executor.ledger.live
        holds.append(next(r.hold_s for r in bench.executor.ledger.recent if r.id == ident))
    assert holds == [10.0, 20.0, 35.0, 35.0]
    assert bench.propose(now + 601.0).hold_s == 10.0  # long ago
    assert bench.propose(now, target=FRIEND).hold_s == 10.0


def test_attempts_are_counted_by_incident_kind_and_target():
    bench = Bench()
    keys = [
        bench.propose().key,
        bench.propose().key,
        bench.propose(kind="repair").key,
        bench.propose(incident="i2").key,
    ]
    assert [k[3] for k in keys] == [1, 2, 1, 1]
    assert len(set(keys)) == 4


def test_a_record_that_is_committed_twice_is_issued_once():
    bench = Bench()
    record = bench.propose()
    (changed,) = bench.commit(0.0)
    bench.release(0.0)
    bench.executor.committed([changed], 0.0)
    bench.release(0.0)
    assert bench.actuator.asked("apply") == [record.id]


def test_one_call_is_in_flight_and_the_others_wait():
    bench = Bench()
    first, second = bench.propose(), bench.propose(target=FRIEND)
    bench.commit(0.0)
    assert bench.worker.flying[LANE][0] == f"apply:{first.id}"
    bench.release(0.0)  # pumping goes on with advance
    bench.executor.advance(0.1)
    bench.release(0.1)
    assert bench.actuator.asked("apply") == [first.id, second.id]


def test_a_late_answer_about_what_ended_is_dropped():
    bench = Bench()
    bench.executor.finished("apply:unheard-of", None, 1.0)
    assert bench.executor.ledger.take_changes() == []


# -- after a restart ------------------------------------------------------------------------------------------------


def left(state, ident="old", **changes):
    """What an earlier process left on disk, in one state."""
    record = Bench().propose()
    fields = {"state": state, "id": ident}
    if state in (S.APPLIED, S.PROVING, S.UNDOING, S.CONFIRMED):
        fields["applied_at"] = 0.0
    if state is S.CONFIRMED:
        fields |= {"confirmed_at": 0.0, "lease": True}
    return replace(record, **(fields | changes))


@pytest.mark.parametrize("state", [S.INTENDED, S.APPLIED, S.PROVING])
def test_found_done_is_proved_and_never_issued_again(state):
    bench = Bench(restored=[left(state)], on=["old"])
    bench.release(50.0)
    bench.prober.well = True
    for i in range(4):
        bench.turn(50.5 + i)
    assert bench.states()[-1] is S.CONFIRMED
    assert bench.executor.ledger.live["old"].lease
    assert bench.actuator.asked("resolve") == ["old"]
    assert bench.actuator.asked("apply") == []
    assert bench.actuator.confirmed == {"old"}


@pytest.mark.parametrize("state", [S.INTENDED, S.APPLIED, S.PROVING, S.UNDOING])
def test_found_undone_has_ended(state):
    bench = Bench(restored=[left(state)])
    bench.release(50.0)
    bench.turn(50.5)
    assert bench.states()[-1] is S.UNDONE
    assert bench.executor.ledger.live == {}
    assert bench.actuator.asked("apply") == []


@pytest.mark.parametrize("state", [S.INTENDED, S.APPLIED, S.PROVING, S.UNDOING])
def test_what_cannot_be_told_is_undone(state):
    bench = Bench(on=["old"])
    bench.actuator.answers["resolve"] = Did.UNKNOWN
    bench.executor.restore([left(state)])
    bench.release(50.0)
    bench.turn(50.5)
    assert bench.actuator.asked("undo") == ["old"]
    assert bench.states()[-1] is S.UNDONE
    assert bench.actuator.asked("apply") == []


def test_an_undo_that_was_under_way_is_finished():
    bench = Bench(restored=[left(S.UNDOING, detail="no longer needed")], on=["old"])
    bench.release(50.0)
    bench.turn(50.5)
    assert bench.actuator.asked("undo") == ["old"]
    assert bench.history[-1] == (S.UNDONE, "no longer needed")


def test_a_lease_goes_on_and_is_confirmed_again():
    bench = Bench(restored=[left(S.CONFIRMED)], on=["old"])
    bench.sick = {BOX}
    for i in range(20):
        bench.turn(50.0 + i)
    assert bench.executor.ledger.acting("i1")
    assert bench.actuator.confirmed == {"old"}
    bench.sick = set()
    for i in range(20):
        bench.turn(70.0 + i)
    assert bench.history[-1] == (S.UNDONE, "no longer needed")


def test_a_lease_whose_confirmation_never_arrived_has_ended():
    bench = Bench(restored=[left(S.CONFIRMED)])  # the dead-man timer undid it meanwhile
    bench.sick = {BOX}
    bench.turn(50.0)
    bench.turn(50.5)
    assert bench.states()[-1] is S.UNDONE
    assert bench.executor.ledger.live == {}


def test_attempts_are_counted_on_after_a_restart():
    bench = Bench(restored=[left(S.CONFIRMED, attempt=4)], on=["old"])
    assert bench.propose().attempt == 5


def test_an_approval_survives_a_restart():
    bench = Bench(restored=[left(S.AWAITING)])
    bench.turn(50.0)
    assert bench.actuator.calls == []
    assert bench.executor.approve("old", 51.0)
    bench.turn(51.0)
    assert bench.actuator.asked("apply") == ["old"]


def test_what_no_actuator_can_resolve_any_more_escalates():
    bench = Bench(restored=[left(S.PROVING)], kinds=("repair",))
    bench.turn(50.0)
    assert bench.states() == [S.UNDO_FAILED]
    assert bench.executor.ledger.busy() == frozenset()


@pytest.mark.parametrize("state", [S.PROVING, S.CONFIRMED])
def test_what_the_action_of_a_plugin_left_that_is_gone_escalates(state):
    gone = left(state)
    bench = Bench(restored=[replace(gone, action=replace(gone.action, kind="gone"))])
    bench.turn(50.0)
    assert bench.states() == [S.UNDO_FAILED]
    assert list(bench.executor.ledger.stranded) == ["old"]
    assert bench.executor.ledger.avoided(50.0) == []
