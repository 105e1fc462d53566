"""Where a controller's orders meet an agent: done once, proved by the agent's own probes, answered in its reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from x0tta6bl4.model import Component, Did, Outcome, Seconds
from x0tta6bl4.network.actuators import NodeActuator
from x0tta6bl4.network.report import Answer
from x0tta6bl4.network.told import Instruction, Verb
from x0tta6bl4.ports import Prober

ANSWER_S: Seconds = 15.0  # for how long an answer is repeated in every report
ORDERS_MAX = 64
_SETTLED = (Did.DONE, Did.UNDONE)
_LASTING = (Verb.CONFIRM, Verb.UNDO)  # once done they stay so


@dataclass
class _Held:
    applied_at: Seconds
    witnesses: tuple[Component, ...]


class OrderDesk:
    """Takes instructions of the controller. Its actuator knows ids, so that what arrives twice is done once."""

    def __init__(self, actuator: NodeActuator, prober: Prober, allowed: Callable[[str], bool]) -> None:
        self._actuator, self._prober, self._allowed = actuator, prober, allowed
        self._epoch = 0
        self._held: dict[str, _Held] = {}
        self._answers: dict[tuple[str, str], tuple[Seconds, Answer]] = {}

    def take(self, instruction: Instruction, at: Seconds, now: Seconds) -> None:
        """Carry out what arrived `at`, unless it was done before; an order of an earlier epoch is refused.

        Taking back what could not be taken back, and confirming, is tried anew each time that it is asked for.
        """
        verb = instruction.verb
        order = replace(instruction.order, expires_s=instruction.order.expires_s - (now - at))
        instruction = replace(instruction, order=order)
        known = self._answers.get((order.id, verb))
        if known is not None and (verb is Verb.APPLY or (verb in _LASTING and known[1].did in _SETTLED)):
            self._answers[(order.id, verb)] = (now, known[1])
            return
        outcome = self._refuse(instruction) or self._do(instruction, now)
        if len(self._answers) >= ORDERS_MAX:
            self._answers.pop(min(self._answers, key=lambda key: self._answers[key][0]))
        self._answers[(order.id, verb)] = (now, Answer(order.id, verb, outcome.did, outcome.detail))

    def _refuse(self, instruction: Instruction) -> Outcome | None:
        order = instruction.order
        if order.epoch < self._epoch:
            return Outcome(order.id, Did.REFUSED, f"epoch {order.epoch} is over, {self._epoch} has begun")
        self._epoch = order.epoch
        if instruction.verb is Verb.APPLY and not self._allowed(order.action.kind):
            return Outcome(order.id, Did.REFUSED, f"{order.action.kind} is not allowed on this node")
        return None

    def _do(self, instruction: Instruction, now: Seconds) -> Outcome:
        order = instruction.order
        match instruction.verb:
            case Verb.APPLY:
                outcome = self._actuator.apply(order)
                if outcome.did is Did.DONE:
                    self._held[order.id] = _Held(now, order.witnesses)
                return outcome
            case Verb.CONFIRM:
                self._forget(order.id)
                return self._actuator.confirm(order.id)
            case Verb.UNDO:
                self._forget(order.id)
                return self._actuator.undo(order.id)
            case Verb.RESOLVE:
                return self._actuator.resolve(order)

    def _forget(self, order_id: str) -> None:
        self._held.pop(order_id, None)
        self._prober.forget(f"order:{order_id}")

    def tick(self, now: Seconds) -> None:
        """Probe what is to be proved."""
        for order_id, held in self._held.items():
            if held.witnesses:
                self._prober.watch(f"order:{order_id}", held.witnesses, now)

    def answers(self, now: Seconds) -> tuple[Answer, ...]:
        """What the next report says about orders: outcomes, and how the proofs stand."""
        self._answers = {key: said for key, said in self._answers.items() if now - said[0] < ANSWER_S}
        found = [answer for _, answer in self._answers.values()]
        for order_id, held in self._held.items():
            proof = self._prober.verdict(f"order:{order_id}", held.applied_at, now)
            if proof.well is not None:
                found.append(Answer(order_id, "proof", Did.DONE if proof.well else Did.FAILED, proof.detail))
        return tuple(found)
