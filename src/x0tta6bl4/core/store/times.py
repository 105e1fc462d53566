"""Monotonic times on disk: they lie there as UTC, by an offset that is measured again for every transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from x0tta6bl4.core.store.codec import FUTURE
from x0tta6bl4.model import Seconds
from x0tta6bl4.ports import Clock

STEP_S: Final = 1.0  # a wall clock that is off by more was set; less is the time between two questions
DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Retention:
    """For how long passes, and events that are nobody's history, are kept; 0 is for good."""

    passes_s: Seconds = 30 * DAY_S
    events_s: Seconds = 90 * DAY_S


class Times:
    """Both ways between one process's monotonic clock and UTC. The offset stays until the wall clock is set."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = self._measure()

    def _measure(self) -> float:
        return self._clock.utc() - self._clock.now()

    @property
    def stepped(self) -> bool:
        """Was the wall clock set since the offset was taken up?"""
        return abs(self._measure() - self._offset) > STEP_S

    @contextmanager
    def measured(self) -> Iterator[float]:
        """By how much the wall clock was set, in seconds; what the block raises, nobody has taken up."""
        before = self._offset
        if self.stepped:
            self._offset = self._measure()
        try:
            yield self._offset - before
        except BaseException:
            self._offset = before
            raise

    def to_utc(self, _name: str, at: Seconds) -> float:
        """The UTC seconds of a monotonic time."""
        return at + self._offset

    def to_local(self, name: str, at_utc: float) -> Seconds:
        """The monotonic time of UTC seconds; not ahead but where the field of that name may be."""
        at = round(at_utc - self._offset, 6)  # a double holds UTC to 0.2 us
        # A wall clock that was set back between two runs must not leave anything in the future.
        return at if name in FUTURE else min(at, self._clock.now())
