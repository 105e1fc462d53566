"""Randomness as a pure function of (seed, what for, time): an integer hash, never a stream.

A controller that sends one packet more must not shift the noise of any other packet, so nothing here has state.
The mixer is the finaliser of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
"""

from __future__ import annotations

import hashlib
from typing import Final

MASK: Final = (1 << 64) - 1
_TIME: Final = 0xD6E8FEB86659FD93  # odd: spreads nanoseconds over all bits
_SCALE: Final = 2.0**-53


def mix(x: int) -> int:
    """64 well mixed bits from 64 bits."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def key(*parts: str | int) -> int:
    """A key for one purpose: 64 bits that any change of a part changes."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def bits_at(purpose: int, at: float) -> int:
    """64 bits for a purpose at a time (seconds, told apart to the nanosecond)."""
    return mix(purpose ^ (int(at * 1e9) * _TIME & MASK))


def unit_at(purpose: int, at: float) -> float:
    """Uniform in [0, 1) for a purpose at a time."""
    return (bits_at(purpose, at) >> 11) * _SCALE


class CountedRandom:
    """The Random port of one participant: the n-th draw is a function of its key and n."""

    def __init__(self, purpose: int) -> None:
        self._key = purpose
        self._count = 0

    def random(self) -> float:
        """Uniform in [0, 1)."""
        self._count += 1
        return (mix(self._key ^ (self._count * _TIME & MASK)) >> 11) * _SCALE
