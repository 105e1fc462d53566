"""Tells notifiers of events: each has a thread and a bounded queue of its own, so that a slow one holds nobody back.

At most once: what a notifier could not deliver, and what its queue had no room for, is counted and said in the log.
Who must not miss anything reads the event stream, which can be resumed.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, Protocol

from x0tta6bl4.model import Event, Incident, Iteration

QUEUE_MAX: Final = 1000  # events waiting for one notifier
CLOSE_S: Final = 2.0

log = logging.getLogger("x0tta6bl4.notify")


class Notifier(Protocol):
    """Tells somebody of events (a pager, a chat, a ticket system).

    Laws (`x0tta6bl4.testing.notifier_laws`): `name` is constant; an event of an unknown type is told or left out,
    never an error; `send` may block, it runs on a thread of its own; what it cannot deliver it raises. The data of an
    event about an incident that is at hand has `brief`: what is wrong in a few sentences, with what they rest on.
    """

    name: str

    def send(self, event: Event) -> None:
        """Tell of one event; raises where that failed."""
        ...


class _Desk:
    """One notifier, its queue and its thread."""

    def __init__(self, notifier: Notifier, count: Callable[[str, str], None]) -> None:
        self.notifier, self._count = notifier, count
        self._waiting: queue.Queue[Event | None] = queue.Queue(QUEUE_MAX)
        self._closed = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"notify-{notifier.name}", daemon=True)
        self.thread.start()

    def put(self, event: Event) -> None:
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            self._count(self.notifier.name, "dropped")

    def close(self) -> None:
        self._closed.set()
        with suppress(queue.Full):  # then it has enough to wake for
            self._waiting.put_nowait(None)

    def _run(self) -> None:
        while (event := self._waiting.get()) is not None and not self._closed.is_set():
            try:
                self.notifier.send(event)
            except Exception as error:  # noqa: BLE001  # foreign code on its own thread: this is its outer edge
                self._count(self.notifier.name, "failed")
                log.warning("notifier %s: %s of %s: %s", self.notifier.name, type(error).__name__, event.type, error)
            else:
                self._count(self.notifier.name, "sent")


class Notices:
    """Hands the events of each pass to every notifier.

    count: called with (notifier's name, "sent", "failed" or "dropped") for each event; from several threads.
    brief: what is said of an incident in a few sentences.
    """

    def __init__(
        self, notifiers: Sequence[Notifier], count: Callable[[str, str], None], brief: Callable[[Incident], str]
    ) -> None:
        self._brief = brief
        self._desks = [_Desk(notifier, count) for notifier in notifiers]

    def observe(self, iteration: Iteration) -> None:
        """Queue what this pass said; never blocks."""
        if not self._desks:
            return
        incidents = {incident.id: incident for incident in iteration.incidents}
        for event in iteration.events:
            about = incidents.get(event.incident) if event.type.startswith("incident.") else None
            told = event if about is None else replace(event, data={**event.data, "brief": self._brief(about)})
            for desk in self._desks:
                desk.put(told)

    def close(self) -> None:
        """Stop; an event that is being sent may take two seconds to end, what still waits is dropped."""
        for desk in self._desks:
            desk.close()
        for desk in self._desks:
            desk.thread.join(CLOSE_S)
