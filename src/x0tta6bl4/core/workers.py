"""Beside the loop: one thread for each lane, one call in flight; or inline, in virtual time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from queue import SimpleQueue


def _call(call: Callable[[], object]) -> object:
    try:
        return call()
    except Exception as error:  # noqa: BLE001  # the edge of the loop: whatever a port raises is a value
        return error


class ThreadWorker:
    """A daemon thread for each lane; `wake` is called when a call ended. Lanes in `inline` run at once instead."""

    def __init__(self, wake: Callable[[], object] = lambda: None, inline: frozenset[str] = frozenset()) -> None:
        self._inline = inline
        self._wake = wake
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._queues: dict[str, SimpleQueue[tuple[str, Callable[[], object]] | None]] = {}
        self._done: deque[tuple[str, str, object]] = deque()

    def start(self, lane: str, tag: str, call: Callable[[], object]) -> bool:
        """Start it unless the lane is busy."""
        if lane in self._inline:
            result = _call(call)
            with self._lock:
                self._done.append((lane, tag, result))
            return True
        with self._lock:
            if lane in self._busy:
                return False
            self._busy.add(lane)
            queue = self._queues.get(lane)
            if queue is None:
                queue = self._queues[lane] = SimpleQueue()
                threading.Thread(target=self._serve, args=(lane, queue), name=f"x0t {lane}", daemon=True).start()
        queue.put((tag, call))
        return True

    def _serve(self, lane: str, queue: SimpleQueue[tuple[str, Callable[[], object]] | None]) -> None:
        while (item := queue.get()) is not None:
            tag, call = item
            result = _call(call)
            with self._lock:
                self._done.append((lane, tag, result))
                self._busy.discard(lane)
            self._wake()

    def finished(self) -> Iterable[tuple[str, str, object]]:
        """What ended since the last question."""
        with self._lock:
            done, self._done = self._done, deque()
        return done

    def ready(self) -> bool:
        """Is there anything in `finished`?"""
        return bool(self._done)

    def close(self) -> None:
        """End idle threads; one that hangs in a call is left behind (daemon)."""
        for queue in self._queues.values():
            queue.put(None)
