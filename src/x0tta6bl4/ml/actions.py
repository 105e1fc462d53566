"""Actions as the caller gives them: names, or async callables without arguments that run with a deadline."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from x0tta6bl4.catalog import ActionKind, Proposal
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.mape_k.guards import Situation
from x0tta6bl4.ml.results import Ran
from x0tta6bl4.ml.service import checked_name
from x0tta6bl4.model import Component, Did, Order, Outcome, Seconds
from x0tta6bl4.ports import Proof

ActionCall = Callable[[], Awaitable[object]]
Actions = Sequence[str] | Mapping[str, ActionCall | None]
ALLOWED = "a list of names, or a mapping of name to async callable without arguments (None: advice only)"


def checked_actions(actions: Actions) -> dict[str, ActionCall | None]:
    """Callables by name, None for what is advice only; raises ConfigError where it is anything else.

    A blocking function is wrapped by the caller: `functools.partial(asyncio.to_thread, restart)`.
    """
    if isinstance(actions, Mapping):
        for name, call in actions.items():
            if call is not None and not _is_async(call):
                raise ConfigError(f"available_actions.{name}", type(call).__name__, ALLOWED)
        return {checked_name("available_actions", name): call for name, call in actions.items()}
    if isinstance(actions, str) or not isinstance(actions, Sequence):
        raise ConfigError("available_actions", type(actions).__name__, ALLOWED)
    return dict.fromkeys(checked_name("available_actions", name) for name in actions)


def _is_async(call: object) -> bool:
    return inspect.iscoroutinefunction(call) or (
        callable(call) and inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004
    )


def alone(proposal: Proposal, kind: ActionKind, view: Situation) -> str:
    """One action at a time: two at once could not be judged apart."""
    under_way = next((record for record in view.recent if not record.state.final), None)
    return "" if under_way is None else f"{under_way.action.kind} has not been judged yet"


class Callables:
    """`ports.Actuator` for actions that the caller runs: `apply` keeps the order until `take`, the outcome comes later.

    Nothing can be undone. What an earlier process started is judged by readings like everything else.
    """

    def __init__(self, kinds: frozenset[str]) -> None:
        self.kinds = kinds
        self._order: Order | None = None

    def apply(self, order: Order) -> None:
        """Keep it; there is one at a time (`alone`)."""
        self._order = order

    def take(self) -> Order | None:
        """The order that is to be run now."""
        order, self._order = self._order, None
        return order

    def confirm(self, order_id: str) -> Outcome:
        """Nothing to stop: there is no dead-man timer."""
        return Outcome(order_id, Did.DONE)

    def undo(self, order_id: str) -> Outcome:
        """Say that it cannot be done."""
        return Outcome(order_id, Did.FAILED, "an action of the caller cannot be undone")

    def resolve(self, order: Order) -> Outcome:
        """After a restart."""
        return Outcome(order.id, Did.DONE, "started by an earlier process; readings judge it")


class NoProber:
    """`ports.Prober` where readings judge and nothing is probed."""

    def watch(self, key: str, targets: Sequence[Component], now: Seconds) -> None:
        """Nothing is sent."""

    def verdict(self, key: str, since: Seconds, now: Seconds) -> Proof:
        """Never well: nothing was probed."""
        return Proof(None, 0, "nothing is probed")

    def forget(self, key: str) -> None:
        """Nothing to stop."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one call: `ran` is DONE, FAILED or UNKNOWN; value: what it returned."""

    ran: Ran
    value: object = None
    detail: str = ""


async def ask(call: ActionCall, within_s: Seconds) -> Answer:
    """Run it for at most `within_s`; one that hangs is cancelled and not waited for, even if it resists."""

    async def run() -> object:
        """A wrong number of arguments is a failure of the action too."""
        return await call()

    task = asyncio.create_task(run())
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # nobody waits for a late one
    try:
        await asyncio.wait({task}, timeout=within_s)
    finally:
        if not task.done():
            task.cancel()
    if not task.done():
        return Answer(Ran.UNKNOWN, detail=f"no answer within {within_s:g} s")
    if task.cancelled():
        return Answer(Ran.UNKNOWN, detail="it was cancelled")
    error = task.exception()
    if error is not None:
        return Answer(Ran.FAILED, detail=f"{type(error).__name__}: {error}")
    return Answer(Ran.DONE, task.result())
