"""What is asked of actuators: one call in flight, the others wait; what failed is asked again, ever later."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from x0tta6bl4.model import Did, Order, Outcome, Seconds
from x0tta6bl4.ports import Actuator, Worker

LANE: Final = "actuator"
FOREVER: Final = float("inf")
RETRIES: Final = 6
BACK_OFF_S: Final = 1.0  # before the first retry; doubled before each one after it: over a minute in all


@dataclass
class _Trouble:
    """How often asking failed, why the last time, and when to ask again."""

    failed: int = 0
    why: str = ""
    again_at: Seconds = FOREVER


class Calls:
    """Calls to actuators, by tags VERB:ACTION-ID, and what is known of those that failed, by action."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._queue: deque[tuple[str, Callable[[Seconds], object], Seconds]] = deque()
        self._troubles: dict[str, _Trouble] = {}

    def add(self, verb: str, actuator: Actuator, order: Order, until: Seconds = FOREVER) -> None:
        """Queue what an actuator is asked about an order; it must not be started later than `until`."""

        def call(now: Seconds) -> object:
            match verb:
                case "apply":
                    return actuator.apply(replace(order, expires_s=until - now))
                case "confirm":
                    return actuator.confirm(order.id)
                case "undo":
                    return actuator.undo(order.id)
                case _:
                    return actuator.resolve(order)

        self._queue.append((f"{verb}:{order.id}", call, until))

    def pump(self, now: Seconds) -> list[str]:
        """Start what can be started; the actions of calls whose time has passed, which are dropped."""
        late = [tag.partition(":")[2] for tag, _, until in self._queue if now > until]
        self._queue = deque(entry for entry in self._queue if now <= entry[2])
        while self._queue and self._worker.start(LANE, self._queue[0][0], partial(self._queue[0][1], now)):
            self._queue.popleft()
        return late

    # -- what failed --------------------------------------------------------------------------------------------

    def failed(self, action: str, why: str) -> None:
        """The actuator did not do what it was asked for."""
        trouble = self._troubles.setdefault(action, _Trouble())
        trouble.failed, trouble.why = trouble.failed + 1, why

    def again(self, action: str, now: Seconds) -> bool:
        """Ask again after a while, at once where nothing failed yet; False where it was asked often enough."""
        trouble = self._troubles.setdefault(action, _Trouble())
        if trouble.failed > RETRIES:
            return False
        trouble.again_at = now + BACK_OFF_S * 2 ** (trouble.failed - 1) if trouble.failed else now
        return True

    def due(self, now: Seconds) -> list[str]:
        """Actions whose time to be asked again has come; each is said once."""
        found = [action for action, trouble in self._troubles.items() if now >= trouble.again_at]
        for action in found:
            self._troubles[action].again_at = FOREVER
        return found

    def why(self, action: str) -> str:
        """Why asking failed the last time, "" where it did not."""
        trouble = self._troubles.get(action)
        return "" if trouble is None else trouble.why

    def settled(self, action: str) -> None:
        """It was answered as it should be, or is over."""
        self._troubles.pop(action, None)


def outcome_of(action: str, result: object) -> Outcome:
    """What a call came to: where it raised, nobody can tell."""
    return result if isinstance(result, Outcome) else Outcome(action, Did.UNKNOWN, f"{type(result).__name__}: {result}")
