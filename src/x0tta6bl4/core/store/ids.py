"""Row identities: UUID version 7 (RFC 9562), ordered by the time they were made."""

from __future__ import annotations

import threading
import uuid

from x0tta6bl4.ports import Clock, Random

_COUNTER_BITS = 12
_VERSION = 7 << 76
_VARIANT = 0b10 << 62


class Ids:
    """Makes UUIDv7 texts that only ever grow within the process, also when the wall clock is set back.

    RFC 9562 section 6.2, method 1: `rand_a` is a counter within one millisecond. Calling it is thread-safe.

    clock: its `utc` gives the milliseconds. random: fills the low 62 bits. salt: keeps apart two runs that share a
    seed and a virtual clock (a store gives its epoch).
    """

    def __init__(self, clock: Clock, random: Random, salt: int = 0) -> None:
        self._clock = clock
        self._random = random
        self._salt = salt * 0x9E37_79B9_7F4A_7C15 & (2**62 - 1)
        self._last = 0  # milliseconds << 12 | counter
        self._lock = threading.Lock()

    def __call__(self) -> str:
        """The next identity, 36 characters."""
        with self._lock:
            fresh = max(0, int(self._clock.utc() * 1000)) << _COUNTER_BITS
            # A clock that stands still or goes back counts on; a full counter borrows the next millisecond.
            self._last = max(fresh, self._last + 1)
            stamp, counter = self._last >> _COUNTER_BITS, self._last & 0xFFF
            low = self._salt ^ (int(self._random.random() * 2**31) << 31 | int(self._random.random() * 2**31))
        number = (stamp & (2**48 - 1)) << 80 | _VERSION | counter << 64 | _VARIANT | low
        return str(uuid.UUID(int=number))


def made_at(text: str) -> float:
    """The UTC seconds at which a UUIDv7 was made; raises ValueError where `text` is no UUIDv7."""
    identity = uuid.UUID(text)
    if identity.version != 7:
        raise ValueError(f"id: got {text!r}, allowed: a UUID of version 7")
    return (identity.int >> 80) / 1000
