"""The lab's own threads in a run on a real mesh: client probes and their timer's lag; the timeline, faults in force.

Apart, because a kernel takes its time over some changes (a node that leaves the mesh: 0.1 to 0.3 s in a guest), and
clients go on meanwhile.
"""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from x0tta6bl4.errors import X0tError
from x0tta6bl4.lab import injection
from x0tta6bl4.lab.clients import PERIOD_S, Clients
from x0tta6bl4.lab.netlab import PREFIX, NetLab
from x0tta6bl4.lab.scenarios import Scenario, from_document

LAST_ANSWERS_S: Final = 0.3
RECENT: Final = 60  # probes of each pair that are told of a mesh that is kept up
KEPT: Final = 200  # probes of each pair that are kept there


class Field:
    """Begin with `go`, `end` or `close` it. tail_s: how long it probes after the last fault.

    kept: the mesh is kept up, nobody judges it: it probes for ever and forgets old probes, faults come by `inject`.
    """

    def __init__(
        self,
        lab: NetLab,
        scenario: Scenario,
        seed: int,
        tail_s: float,
        agents: Callable[[str, bool], None],
        *,
        kept: bool = False,
    ) -> None:
        self.lab, self.scenario = lab, scenario
        self.probes_end = math.inf if kept else scenario.ends + tail_s
        self.touched: list[tuple[float, tuple[str, ...]]] = []
        self.lag_s = 0.0
        self.start = 0.0
        self.failure = ""
        self._agents, self._kept = agents, kept
        self._changes = injection.changes(lab, scenario, seed, scenario.ends + tail_s, agents)  # sorted, hence a heap
        self._mended = set[str]()
        self._order = len(self._changes)
        self._lock = threading.Lock()  # of the changes
        namespaces = {node: PREFIX + node for node in lab.nodes}
        self.clients = Clients(scenario.pairs, namespaces, lab.addresses)
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=work.__name__.strip("_"), daemon=True)
            for work in (self._probe, self._change)
        ]

    def go(self, start: float) -> None:
        """Begin; `start` is time zero on the monotonic clock."""
        self.start = start
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Send no more probes, wait for the last answers, and stop: the record does not change any more."""
        self.probes_end = time.monotonic() - self.start
        time.sleep(LAST_ANSWERS_S)
        self.close()

    def close(self) -> None:
        """Stop and release the sockets."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(10)
        self.clients.close()

    def inject(self, ident: str, entry: Mapping[str, Any]) -> None:
        """From any thread: begin a fault now, `entry` is of a timeline from 0 on; raises ConfigError."""
        asked = from_document({**self.scenario.document, "timeline": [entry]}, "fault").timeline[0]
        now = time.monotonic() - self.start
        fault = replace(asked, id=ident, at=now, until=now + asked.until - asked.at)
        with self._lock:
            for change in injection.switchings(self.lab, fault, self._order, self._agents):
                heapq.heappush(self._changes, change)
                self._order += 1

    def mend(self, ident: str) -> None:
        """From any thread: end a fault before its time."""
        with self._lock:
            mine = [change for change in self._changes if change.fault == ident]
            if mine and ident not in self._mended:
                self._mended.add(ident)
                heapq.heappush(self._changes, replace(max(mine), at=time.monotonic() - self.start, fault=""))

    def recent(self) -> list[list[float | None]]:
        """The last round-trip times of each pair, None where there was no answer (yet)."""
        return [
            [None if math.isnan(value) else round(value, 3) for value in pair.rtt_ms[-RECENT:]]
            for pair in self.clients.pairs
        ]

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except X0tError as error:
            self.failure = f"timeline: {error}"

    def _probe(self) -> None:
        due = self.start
        while not self._stop.is_set():
            if (now := time.monotonic()) >= due:
                if now - self.start <= self.probes_end:
                    self.lag_s = max(self.lag_s, now - due)
                    self.clients.send()
                due += PERIOD_S * max(1, math.floor((now - due) / PERIOD_S))  # one that is far too late is left out
            self.clients.receive()  # the kernel stamps what arrives meanwhile
            if self._kept:
                self._forget()
            self._stop.wait(max(0.001, due - time.monotonic()))

    def _change(self) -> None:
        while not self._stop.is_set():
            while (change := self._next(time.monotonic())) is not None:
                change.do()
                if change.touches and not self._kept:
                    self.touched.append((time.monotonic() - self.start, change.touches))
            self.lab.enforce()
            with self._lock:
                then = self.start + self._changes[0].at if self._changes else math.inf
            self._stop.wait(max(0.001, min(then - time.monotonic(), PERIOD_S)))

    def _next(self, now: float) -> injection.Change | None:
        with self._lock:
            while self._changes and self.start + self._changes[0].at <= now:
                change = heapq.heappop(self._changes)
                if change.fault not in self._mended:
                    return change
        return None

    def _forget(self) -> None:
        for pair in self.clients.pairs:
            if len(pair.sent) > 2 * KEPT:
                pair.forget(KEPT)
