"""The life of actions under everything at once: a bad line, a full store, kills, proofs that fail, undos that stick.

Whatever happens, an order is given once and only after it is on disk, what ended stays ended, and when all is calm
again nothing is in force that no record answers for.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fakes import HeldWorker, ScriptedProber, counted
from x0tta6bl4.catalog import ActionKind, Autonomy, Catalog, Proposal
from x0tta6bl4.mape_k.calls import LANE
from x0tta6bl4.mape_k.executor import Executor
from x0tta6bl4.mape_k.guards import Limits
from x0tta6bl4.model import Action, ActionState, Component, Did, Outcome

KINDS = (
    ActionKind("avoid", "box", "avoid", 0.1, avoids=True, prove_s=8.0, autonomy=Autonomy.ACT),
    ActionKind("repair", "box", "repair", 0.1, repair=True, prove_s=8.0, autonomy=Autonomy.ACT),
    ActionKind("kick", "box", "kick", 0.5, irreversible=True, prove_s=8.0, autonomy=Autonomy.ACT),
    ActionKind("ask", "box", "ask first", 0.1, avoids=True, prove_s=8.0, autonomy=Autonomy.APPROVE),
)
BOXES = [Component("box", name) for name in "ab"]
S = ActionState
NEXT = {
    S.INTENDED: {S.APPLIED, S.REFUSED, S.EXPIRED, S.UNDOING, S.UNDONE, S.UNDO_FAILED},
    S.AWAITING: {S.INTENDED, S.REFUSED, S.EXPIRED},
    S.APPLIED: {S.APPLIED, S.PROVING, S.UNDOING, S.UNDONE, S.REFUSED, S.UNDO_FAILED},
    S.PROVING: {S.PROVING, S.CONFIRMED, S.UNDOING, S.UNDONE, S.UNDO_FAILED},
    S.CONFIRMED: {S.UNDOING, S.UNDONE, S.UNDO_FAILED},
    S.UNDOING: {S.UNDONE, S.UNDO_FAILED},
}


class Field:
    """The actuator's side: it does what reaches it, and undoes by itself what is not confirmed in time."""

    kinds = frozenset(kind.kind for kind in KINDS)

    def __init__(self):
        self.now, self.line, self.stuck = 0.0, "good", False
        self.in_force, self.given = {}, []

    def _reach(self):
        if self.line == "deaf":
            raise TimeoutError("nobody is there")

    def _answer(self, order_id, did):
        if self.line == "mute":
            raise TimeoutError("the answer was lost")
        return Outcome(order_id, did, "as asked")

    def pass_time(self, now):
        self.now = now
        late = [key for key, (_, until) in self.in_force.items() if now > until]
        for key in late:
            del self.in_force[key]

    def apply(self, order):
        self._reach()
        self.given.append(order.id)
        self.in_force[order.id] = (order.action.kind, self.now + order.deadman_s)
        return self._answer(order.id, Did.DONE)

    def confirm(self, order_id):
        self._reach()
        if order_id not in self.in_force:
            return self._answer(order_id, Did.REFUSED)
        self.in_force[order_id] = (self.in_force[order_id][0], float("inf"))
        return self._answer(order_id, Did.DONE)

    def undo(self, order_id):
        self._reach()
        if self.stuck:
            return self._answer(order_id, Did.FAILED)
        self.in_force.pop(order_id, None)
        return self._answer(order_id, Did.UNDONE)

    def resolve(self, order):
        self._reach()
        return self._answer(order.id, Did.DONE if order.id in self.in_force else Did.UNDONE)


class Life(RuleBasedStateMachine):
    """An executor, its store and its field; rules are what may happen, in any order."""

    def __init__(self):
        super().__init__()
        self.now, self.full = 0.0, False
        self.field, self.prober, self.new_id = Field(), ScriptedProber(), counted("a")
        self.sick, self.disk, self.pending = set(), {}, []
        self.epoch = 0
        self._begin()

    def _begin(self):
        self.epoch += 1
        self.worker = HeldWorker()
        self.executor = Executor(
            Catalog("plant", (), (), (), KINDS),
            [self.field],
            self.prober,
            self.worker,
            origin="c",
            new_id=self.new_id,
            seen_well=lambda component, now: component not in self.sick,
            limits=Limits(irreversible_allowed=frozenset({"kick"})),
            epoch=self.epoch,
        )
        self.pending = []
        open_now = [r for r in self.disk.values() if not r.state.final or r.lease]
        past = [r for r in self.disk.values() if r.state.final and not r.lease]
        self.executor.restore(open_now, past, self.now)

    def _commit(self):
        self.pending += self.executor.ledger.take_changes()
        if self.full or not self.pending:
            return
        batch, self.pending = self.pending, []
        for record in batch:
            before = self.disk.get(record.id)
            assert before is None or before.state is record.state or record.state in NEXT[before.state], (
                before,
                record,
            )
            self.disk[record.id] = record
        self.executor.committed(batch, self.now)

    def _answers(self):
        while LANE in self.worker.flying:
            self.worker.release(LANE)
            for _, tag, result in self.worker.finished():
                self.executor.finished(tag, result, self.now)

    @rule(kind=st.sampled_from(KINDS), box=st.sampled_from(BOXES))
    def propose(self, kind, box):
        if self.executor.ledger.acting(f"i-{box.name}"):
            return
        self.executor.propose(f"i-{box.name}", Proposal(Action(kind.kind, box), (BOXES[0],), (box,)), self.now)
        self._commit()

    @rule(yes=st.booleans())
    def a_person_decides(self, yes):
        for record in list(self.executor.ledger.live.values()):
            if record.state is S.AWAITING:
                self.executor.approve(record.id, self.now) if yes else self.executor.reject(record.id, "no", self.now)
        self._commit()

    def _pass(self, seconds, answered=True):
        self.now += seconds
        self.field.pass_time(self.now)
        self.executor.advance(self.now)
        self._commit()
        if answered:
            self._answers()
            self._commit()

    @rule(
        line=st.sampled_from(["good", "good", "deaf", "mute"]),
        stuck=st.booleans(),
        full=st.sampled_from([False, False, True]),
        mesh=st.tuples(st.sampled_from([True, False, None]), st.sets(st.sampled_from(BOXES))),
        passes=st.tuples(
            st.sampled_from([1, 2, 3, 20]), st.sampled_from([0.5, 4.0]), st.sampled_from([True, True, False])
        ),
    )
    def a_while_passes(self, *, line, stuck, full, mesh, passes):
        self.field.line, self.field.stuck, self.full = line, stuck, full
        self.prober.well, self.sick = mesh
        count, seconds, answered = passes
        for _ in range(count):
            self._pass(seconds, answered)

    @rule(arrived=st.booleans())
    def killed(self, arrived):
        if arrived and LANE in self.worker.flying:
            self.worker.release(LANE)  # the call went out, nobody is left to hear its answer
        self._begin()

    @invariant()
    def an_order_is_given_once_and_after_it_is_on_disk(self):
        assert len(set(self.field.given)) == len(self.field.given)
        assert set(self.field.given) <= self.disk.keys()

    def teardown(self):
        """All is calm again."""
        self.field.line, self.field.stuck, self.full = "good", False, False
        self.prober.well, self.sick = True, set()
        for _ in range(700):  # longer than an approval waits, and than the longest lease holds
            self._pass(1.0)
        assert self.executor.ledger.live == {}
        kept = {key for key, record in self.disk.items() if record.state is S.CONFIRMED}
        left = {key for key, record in self.disk.items() if record.state is S.UNDO_FAILED}
        assert not any(self.disk[key].lease for key in kept)
        assert self.field.in_force.keys() <= kept | left
        assert {key for key in kept if self.disk[key].action.kind == "repair"} <= self.field.in_force.keys()


TestLife = Life.TestCase
TestLife.settings = settings(deadline=None, stateful_step_count=30)
