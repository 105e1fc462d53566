"""The life of an action, advanced once a pass, never waiting: commit-confirmed, proved through the data plane.

    proposed -> refused | awaiting approval -> expired | intended (committed before any I/O) -> applied -> proving
      -> confirmed | undoing -> undone | undo failed (escalates)

A confirmed mitigation holds a lease: what it avoids is watched out of path, and it is reverted (undoing -> undone)
once that has been well for its hold time. Calls to the actuator run beside the loop, one in flight (`calls`).

What was intended expires where it cannot be started in time. Nothing ends as undone unless its actuator says that it
took it back, or reads the component as it was: it is asked again and again, and then a person has to look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from x0tta6bl4.catalog import Autonomy, Catalog, Proposal
from x0tta6bl4.mape_k.calls import FOREVER, Calls, outcome_of
from x0tta6bl4.mape_k.guards import REJECTED, Limits
from x0tta6bl4.mape_k.ledger import Ledger
from x0tta6bl4.model import (
    Action,
    ActionRecord,
    ActionState,
    Component,
    Did,
    Order,
    Outcome,
    Seconds,
)
from x0tta6bl4.ports import Actuator, Prober, Proof, Worker

BEGINS: Final = {Autonomy.ACT: ActionState.INTENDED, Autonomy.APPROVE: ActionState.AWAITING}
APPROVAL_S: Final = 600.0  # how long a plan waits for a person
EXPIRES_S: Final = 5.0  # what was intended and is not begun by then rests on a mesh that may be another one now
DEADMAN_SLACK_S: Final = 5.0  # the actuator waits this much longer than the proof
READ_AFTER_S: Final = 1.0  # readings judge an action so long after it at the earliest
RECHECK_S: Final = 3.0  # how often it is tried whether the other way to what is avoided still goes


CUTS_OFF: Final = "what it avoids carries again, and no other way leads there"


class Executor:
    """Advances actions. `seen_well` says whether a component shows no symptom, out of path, by fresh readings;
    `regained` who is at the far ends of links that carry again.
    """

    def __init__(
        self,
        catalog: Catalog,
        actuators: Sequence[Actuator],
        prober: Prober,
        worker: Worker,
        *,
        origin: str,
        new_id: Callable[[], str],
        seen_well: Callable[[Component, Seconds], bool],
        regained: Callable[[Sequence[Component], Seconds], Sequence[Component]] = lambda links, now: (),
        limits: Limits,
        epoch: int = 0,
    ) -> None:
        self.prober, self.calls = prober, Calls(worker)
        self.by_kind = {kind: actuator for actuator in actuators for kind in actuator.kinds}
        self.origin, self.new_id, self.seen_well, self.epoch = origin, new_id, seen_well, epoch
        self.limits = limits
        self.ledger = Ledger(catalog)
        self.regained = regained
        self._tried: dict[str, Seconds] = {}  # action -> from when on probes to the far ends count

    # -- intake -------------------------------------------------------------------------------------------------

    def restore(self, records: Iterable[ActionRecord], past: Sequence[ActionRecord] = (), now: Seconds = 0.0) -> None:
        """Take up what an earlier process left: it is resolved by reading, never issued again.

        A lease that is found in force is confirmed again: its confirmation may never have arrived.
        past: ended ones, oldest first: attempts are counted on, and guards remember them.
        """
        self.ledger.take_up(records, past)
        for record in [r for r in self.ledger.live.values() if r.state is not ActionState.AWAITING]:
            if record.action.kind not in self.by_kind:
                self._end(record, ActionState.UNDO_FAILED, "no actuator for this kind any more", record.at)
            else:
                self._ask("resolve", record, now)

    def offer(self, catalog: Catalog, actuator: Actuator, kinds: Iterable[str]) -> None:
        """From now on these kinds are carried out by `actuator`; `catalog` knows them."""
        self.ledger.catalog = catalog
        self.by_kind.update(dict.fromkeys(kinds, actuator))

    def propose(self, incident: str, proposal: Proposal, now: Seconds) -> ActionRecord:
        """Start the life of one action; it is intended at once where its kind may act by itself."""
        action = proposal.action
        kind = self.ledger.catalog.action[action.kind]
        level = self.limits.level(kind)
        state = BEGINS.get(level, ActionState.REFUSED)
        record = ActionRecord(
            id=self.new_id(),
            incident=incident,
            attempt=self.ledger.next_attempt(incident, action),
            action=action,
            state=state,
            at=now,
            proposed_at=now,
            witnesses=proposal.witnesses,
            watch=proposal.watch,
            hold_s=self._hold(action, now),
            detail=f"{kind.kind} is at {level}" if state is ActionState.REFUSED else proposal.reason,
            origin=self.origin,
        )
        return self.ledger.keep(record)

    def approve(self, action_id: str, now: Seconds) -> bool:
        """A person says yes; False where it is not waiting."""
        record = self.ledger.live.get(action_id)
        if record is None or record.state is not ActionState.AWAITING:
            return False
        self.ledger.keep(replace(record, state=ActionState.INTENDED, at=now))
        return True

    def reject(self, action_id: str, reason: str, now: Seconds) -> ActionRecord:
        """A person says no to an action that is waiting."""
        detail = f"{REJECTED}: {reason}"
        return self.ledger.keep(replace(self.ledger.live[action_id], state=ActionState.REFUSED, at=now, detail=detail))

    # -- a pass -------------------------------------------------------------------------------------------------

    def committed(self, records: Iterable[ActionRecord], now: Seconds) -> None:
        """These records are on disk: what was intended may now touch the world."""
        for record in records:
            if record.state is ActionState.INTENDED and self.ledger.live.get(record.id) == record:
                if record.action.kind not in self.by_kind:
                    self._end(record, ActionState.REFUSED, "no actuator for this kind", now)
                else:
                    self._ask("apply", record, now, until=record.at + EXPIRES_S)

    def advance(self, now: Seconds) -> None:
        """Look at every live action once and move those whose time has come."""
        for record in list(self.ledger.live.values()):
            match record.state:
                case ActionState.AWAITING if now - record.proposed_at > APPROVAL_S:
                    self.ledger.keep(replace(record, state=ActionState.EXPIRED, at=now, detail="nobody approved it"))
                case ActionState.APPLIED:
                    self._begin_proof(record, now)
                case ActionState.PROVING:
                    self._prove(record, now)
                case ActionState.CONFIRMED if record.lease:
                    self._watch(record, now)
        for record in [self.ledger.live[action] for action in self.calls.due(now) if action in self.ledger.live]:
            self._ask("undo" if record.state is ActionState.UNDOING else "resolve", record, now)
        self._pump(now)

    def finished(self, tag: str, result: object, now: Seconds) -> None:
        """An actuator call ended: `tag` is VERB:ACTION-ID; a result of None says that the outcome comes later."""
        verb, _, action_id = tag.partition(":")
        record = self.ledger.live.get(action_id)
        if record is None or result is None:
            return
        outcome = outcome_of(action_id, result)
        match verb:
            case "resolve" if record.state in (ActionState.CONFIRMED, ActionState.UNDOING):
                self._read(record, outcome, now)
            case "apply" | "resolve":
                self._applied(record, outcome, now)
            case "undo":
                self._undone(record, outcome, now)
            case "confirm":
                self._confirmed(record, outcome, now)

    # -- steps --------------------------------------------------------------------------------------------------

    def _applied(self, record: ActionRecord, outcome: Outcome, now: Seconds) -> None:
        match outcome.did:
            case Did.DONE:
                state = record.state if record.state is ActionState.PROVING else ActionState.APPLIED
                self.ledger.keep(
                    replace(record, state=state, at=now, applied_at=now, before=outcome.before, detail=outcome.detail)
                )
            case Did.UNKNOWN:  # nobody can tell whether it was done: take it back
                self._undo(replace(record, applied_at=now), f"cannot tell whether it was done: {outcome.detail}", now)
            case Did.UNDONE:
                self._end(record, ActionState.UNDONE, outcome.detail or "found undone", now)
            case Did.REFUSED | Did.FAILED:
                self._end(record, ActionState.REFUSED, outcome.detail, now)

    def _begin_proof(self, record: ActionRecord, now: Seconds) -> None:
        if record.witnesses:
            self.prober.watch(record.id, record.witnesses, now)
        self.ledger.keep(replace(record, state=ActionState.PROVING, at=now))

    def _prove(self, record: ActionRecord, now: Seconds) -> None:
        kind = self.ledger.catalog.action[record.action.kind]
        applied = record.applied_at if record.applied_at is not None else record.at
        if record.witnesses:
            self.prober.watch(record.id, record.witnesses, now)
            proof = self.prober.verdict(record.id, applied, now)
        else:
            proof = self._prove_by_readings(record, applied, now)
        if proof.well:
            self.prober.forget(record.id)
            confirmed = replace(
                record,
                state=ActionState.CONFIRMED,
                at=now,
                confirmed_at=now,
                lease=not (kind.repair or kind.irreversible),
                detail=proof.detail,
            )
            if confirmed.lease:
                self.ledger.keep(confirmed)
            else:  # it ends, and is kept as ended, when its actuator has heard: until then that takes it back
                self.ledger.live[record.id] = confirmed
            self._ask("confirm", confirmed, now)
        elif self._cuts_off(record, now):
            self.prober.forget(record.id)
            self._undo(record, CUTS_OFF, now)
        elif now - applied > kind.prove_s:
            self.prober.forget(record.id)
            self._undo(record, "did not help" if kind.irreversible else "not proven well in time", now)

    def _prove_by_readings(self, record: ActionRecord, applied: Seconds, now: Seconds) -> Proof:
        """Where there is nobody to probe: the watched components must be well a second after the action."""
        if now - applied < READ_AFTER_S or not record.watch:
            return Proof(None, 0)
        return Proof(all(self.seen_well(c, now) for c in record.watch), len(record.watch), "its symptoms are gone")

    def _watch(self, record: ActionRecord, now: Seconds) -> None:
        if self._cuts_off(record, now):
            self._undo(record, CUTS_OFF, now)
            return
        well = all(self.seen_well(c, now) for c in record.watch)
        if not well:
            if record.well_since is not None:
                self.ledger.live[record.id] = replace(record, well_since=None)
        elif record.well_since is None:
            self.ledger.live[record.id] = replace(record, well_since=now)
        elif now - record.well_since >= record.hold_s:
            self._undo(record, "no longer needed", now)

    def _cuts_off(self, record: ActionRecord, now: Seconds) -> bool:
        """Does what it avoids carry again, while nothing reaches the far end another way? Then it does only harm."""
        far = self.regained(record.watch, now) if self.ledger.avoids(record) else ()
        if not far:
            self._try_no_more(record)
            return False
        since = self._tried.setdefault(record.id, now)
        if now < since:
            return False
        key = _far_key(record)
        self.prober.watch(key, far, now)
        share = self.prober.verdict(key, since, now).share
        if share:
            self.prober.forget(key)
            self._tried[record.id] = now + RECHECK_S
        return share == 0.0

    def _try_no_more(self, record: ActionRecord) -> None:
        if self._tried.pop(record.id, None) is not None:
            self.prober.forget(_far_key(record))

    def _undo(self, record: ActionRecord, why: str, now: Seconds) -> None:
        self._try_no_more(record)
        self.calls.settled(record.id)
        if self.ledger.irreversible(record):
            self._end(record, ActionState.UNDO_FAILED, f"{why} and cannot be undone", now)
        else:
            self._ask("undo", self.ledger.keep(replace(record, state=ActionState.UNDOING, at=now, detail=why)), now)

    def _undone(self, record: ActionRecord, outcome: Outcome, now: Seconds) -> None:
        if outcome.did in (Did.UNDONE, Did.DONE):
            self._end(record, ActionState.UNDONE, record.detail, now)
        else:
            self.calls.failed(record.id, outcome.detail)
            self._ask("resolve", record, now)

    def _confirmed(self, record: ActionRecord, outcome: Outcome, now: Seconds) -> None:
        if record.state is not ActionState.CONFIRMED:
            return
        if outcome.did is Did.DONE or self.ledger.irreversible(record):
            self.calls.settled(record.id)
            if not record.lease:
                self.ledger.keep(record)
        else:  # it was not heard, or the dead-man timer was faster
            self.calls.failed(record.id, outcome.detail)
            self._again(record, now)

    def _read(self, record: ActionRecord, outcome: Outcome, now: Seconds) -> None:
        """Whether what was confirmed, or is to be taken back, is there: as its actuator reads it."""
        if outcome.did is Did.UNDONE:
            confirmed = record.state is ActionState.CONFIRMED
            detail = f"undone by its actuator: {outcome.detail}" if confirmed else record.detail
            self._end(record, ActionState.UNDONE, detail, now)
        elif record.state is ActionState.UNDOING:
            self._again(record, now)
        elif outcome.did is Did.DONE:
            self._ask("confirm", record, now)
        else:
            self.calls.failed(record.id, outcome.detail)
            self._again(record, now)

    def _again(self, record: ActionRecord, now: Seconds) -> None:
        """Ask again later; often enough, what cannot be confirmed is taken back, and what cannot be that escalates."""
        why = self.calls.why(record.id)
        if self.calls.again(record.id, now):
            return
        if record.state is ActionState.CONFIRMED:
            self._undo(record, f"cannot tell whether it was kept: {why}", now)
        else:
            self._end(record, ActionState.UNDO_FAILED, f"{record.detail}; undoing it failed: {why}", now)

    def _end(self, record: ActionRecord, state: ActionState, detail: str, now: Seconds) -> None:
        self.prober.forget(record.id)
        self._try_no_more(record)
        self.calls.settled(record.id)
        self.ledger.keep(replace(record, state=state, at=now, detail=detail, lease=False))

    # -- small parts --------------------------------------------------------------------------------------------

    def _order(self, record: ActionRecord) -> Order:
        kind = self.ledger.catalog.action[record.action.kind]
        deadman_s = kind.prove_s + DEADMAN_SLACK_S
        return Order(record.id, self.origin, self.epoch, record.action, deadman_s, EXPIRES_S, record.witnesses)

    def _hold(self, action: Action, now: Seconds) -> Seconds:
        """The lease's hold grows with flapping: doubled for every lease on this target that was lately reverted."""
        lately = self.ledger.reverted_lately(action.target, now)
        least = self.ledger.catalog.action[action.kind].hold_min_s
        return float(min(max(self.limits.hold_s * 2**lately, least), self.limits.hold_s_max))

    def _ask(self, verb: str, record: ActionRecord, now: Seconds, until: Seconds = FOREVER) -> None:
        self.calls.add(verb, self.by_kind[record.action.kind], self._order(record), until)
        self._pump(now)

    def _pump(self, now: Seconds) -> None:
        for record in [self.ledger.live[action] for action in self.calls.pump(now) if action in self.ledger.live]:
            detail = f"not begun within {EXPIRES_S:g} s: it was intended {now - record.at:.0f} s ago"
            self._end(record, ActionState.EXPIRED, detail, now)


def _far_key(record: ActionRecord) -> str:
    """Under which the far ends of what it avoids are probed."""
    return f"{record.id}/far"
