"""The controller's arm: orders to agents over the mesh, sent until they are answered; proofs as agents report them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from x0tta6bl4.model import Component, Did, Order, Outcome, Seconds
from x0tta6bl4.network import names, told
from x0tta6bl4.network.changes import KINDS
from x0tta6bl4.network.report import Answer
from x0tta6bl4.network.told import Instruction, Verb
from x0tta6bl4.ports import Clock, Proof, Transport

RESEND_S: Seconds = 0.5
GIVE_UP_S: Seconds = 20.0  # longer than any dead-man timer it may have started


@dataclass
class _Waiting:
    instruction: Instruction
    node: str
    since: Seconds
    sent_at: Seconds = float("-inf")


class RemoteActuator:
    """`ports.Actuator` and `ports.Prober` over agents: nothing is answered at once, `hear` brings the answers.

    answered: called with (tag, outcome) for the executor; tags are VERB:ORDER-ID.
    """

    kinds = KINDS

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self._transport, self._clock = transport, clock
        self.answered: Callable[[str, Outcome], None] = lambda tag, outcome: None
        self._waiting: dict[tuple[str, str], _Waiting] = {}
        self._orders: dict[str, Order] = {}
        self._proofs: dict[str, tuple[Seconds, Answer]] = {}

    # -- ports.Actuator: the outcome comes later, which None says ------------------------------------------------

    def apply(self, order: Order) -> Outcome | None:
        """Send it."""
        self._ask(Verb.APPLY, order)
        return None

    def confirm(self, order_id: str) -> Outcome | None:
        """Ask the agent to keep it."""
        return self._ask_again(Verb.CONFIRM, order_id)

    def undo(self, order_id: str) -> Outcome | None:
        """Ask the agent to take it back."""
        return self._ask_again(Verb.UNDO, order_id)

    def resolve(self, order: Order) -> Outcome | None:
        """Ask the agent whether it was carried out."""
        self._ask(Verb.RESOLVE, order)
        return None

    def _ask_again(self, verb: Verb, order_id: str) -> Outcome | None:
        order = self._orders.get(order_id)
        if order is None:
            return Outcome(order_id, Did.REFUSED, "unknown order")
        self._ask(verb, order)
        return None

    def _ask(self, verb: Verb, order: Order) -> None:
        self._orders[order.id] = order
        target = order.action.target
        node = names.ends(target)[1][0] if target.kind == "link" else names.owner(target)
        instruction = Instruction(verb, order)
        self._waiting[(order.id, verb)] = _Waiting(instruction, node, self._clock.now())

    # -- ports.Prober --------------------------------------------------------------------------------------------

    def watch(self, key: str, targets: Sequence[Component], now: Seconds) -> None:
        """The agent that carries out the order probes by itself: the order names the witnesses."""

    def verdict(self, key: str, since: Seconds, now: Seconds) -> Proof:
        """As the agent reported last."""
        known = self._proofs.get(key)
        if known is None or known[0] < since:
            return Proof(None, 0, "the agent has not reported a proof yet")
        return Proof(known[1].did is Did.DONE, 1, known[1].detail)

    def forget(self, key: str) -> None:
        """The proof is over."""
        self._proofs.pop(key, None)

    # -- time ----------------------------------------------------------------------------------------------------

    def hear(self, answer: Answer, at: Seconds) -> None:
        """An agent answered."""
        if answer.verb == "proof":
            self._proofs[answer.id] = (at, answer)
        elif self._waiting.pop((answer.id, answer.verb), None) is not None:
            self.answered(f"{answer.verb}:{answer.id}", Outcome(answer.id, answer.did, answer.detail))

    def tick(self, now: Seconds) -> None:
        """Send what is unanswered; give up on what nobody answers: then nobody can tell whether it was done."""
        for key, waiting in list(self._waiting.items()):
            if now - waiting.since > GIVE_UP_S:
                del self._waiting[key]
                self.answered(f"{key[1]}:{key[0]}", Outcome(key[0], Did.UNKNOWN, f"no answer of {waiting.node}"))
            elif now - waiting.sent_at >= RESEND_S:
                self._send(key, waiting, now)

    def _send(self, key: tuple[str, str], waiting: _Waiting, now: Seconds) -> None:
        """An order says for how long it is still good, and is not sent afterwards. The rest may always be asked for."""
        instruction = waiting.instruction
        if instruction.verb is Verb.APPLY:
            left = instruction.order.expires_s - (now - waiting.since)
            if left < 0:
                if waiting.sent_at == float("-inf"):  # nobody heard of it: that is certain
                    del self._waiting[key]
                    self.answered(f"{key[1]}:{key[0]}", Outcome(key[0], Did.REFUSED, "expired before it was sent"))
                return
            instruction = replace(instruction, order=replace(instruction.order, expires_s=left))
        waiting.sent_at = now
        self._transport.send(waiting.node, told.encode(instruction))
