"""Calls that run at once: the worker for virtual time and for callers that wait anyway."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable


class InlineWorker:
    """`ports.Worker` without threads: `start` returns when the call has ended."""

    def __init__(self) -> None:
        self._done: deque[tuple[str, str, object]] = deque()

    def start(self, lane: str, tag: str, call: Callable[[], object]) -> bool:
        """Run it now; what it raises is its result, as in a thread."""
        try:
            result = call()
        except Exception as error:  # noqa: BLE001  # the edge of the loop: whatever a port raises is a value
            result = error
        self._done.append((lane, tag, result))
        return True

    def finished(self) -> Iterable[tuple[str, str, object]]:
        """What ended since the last question."""
        done, self._done = self._done, deque()
        return done

    def ready(self) -> bool:
        """Is there anything in `finished`?"""
        return bool(self._done)

    def close(self) -> None:
        """Nothing to stop."""
