"""The lab's own end-to-end probes: one 1,300-byte request each 50 ms for every client pair, answered by the far end."""

from __future__ import annotations

import math
from bisect import bisect_left

from x0tta6bl4.lab.record import PairRecord
from x0tta6bl4.lab.sim.frames import Forwarding
from x0tta6bl4.lab.sim.state import Node

PROBE_S = 0.05
PROBE_BYTES = 1300
ANSWER_MAX_S = 2.0


class Clients:
    """Sends until `until`; agents take no part in it, so a dead agent does not stop it."""

    def __init__(self, forwarding: Forwarding, pairs: list[tuple[Node, Node]], until: float) -> None:
        self._forwarding, self._world = forwarding, forwarding.world
        self._pairs, self._until = pairs, until
        self._sent: list[list[float]] = [[] for _ in pairs]
        self._rtt: list[list[float]] = [[] for _ in pairs]

    def start(self) -> None:
        """Begin now, the pairs spread over one period."""
        for number in range(len(self._pairs)):
            self._world.at(self._world.now + PROBE_S * number / len(self._pairs), self._probe, (number, 0))

    def records(self, excused: list[list[tuple[float, float]]], touched: list[list[float]]) -> list[PairRecord]:
        """What each pair saw."""
        return [
            PairRecord(
                source.name, target.name, self._sent[number], self._rtt[number], excused[number], touched[number]
            )
            for number, (source, target) in enumerate(self._pairs)
        ]

    def lately(self, seconds: float = 2.0) -> list[tuple[str, str, float, float]]:
        """For each pair: source, target, share answered and median RTT in ms (NaN without answers).

        Over the last `seconds` before the newest 0.5 s, whose answers may still be on their way.
        """
        newest = self._world.now - 0.5
        found = []
        for number, (source, target) in enumerate(self._pairs):
            sent = self._sent[number]
            window = self._rtt[number][bisect_left(sent, newest - seconds) : bisect_left(sent, newest)]
            answered = sorted(rtt for rtt in window if not math.isnan(rtt))
            share = len(answered) / len(window) if window else math.nan
            middle = answered[len(answered) // 2] if answered else math.nan
            found.append((source.name, target.name, share, middle))
        return found

    def _probe(self, argument: tuple[int, int]) -> None:
        number, probe = argument
        now = self._world.now
        if now + PROBE_S <= self._until:
            self._world.at(now + PROBE_S, self._probe, (number, probe + 1))
        self._sent[number].append(now)
        self._rtt[number].append(math.nan)
        source, target = self._pairs[number]
        self._forwarding.send(source, target, PROBE_BYTES, self._asked, argument)

    def _asked(self, node: Node, argument: tuple[int, int]) -> None:
        self._forwarding.send(node, self._pairs[argument[0]][0], PROBE_BYTES, self._answered, argument)

    def _answered(self, node: Node, argument: tuple[int, int]) -> None:
        number, probe = argument
        took = self._world.now - self._sent[number][probe]
        if took <= ANSWER_MAX_S:
            self._rtt[number][probe] = took * 1000
