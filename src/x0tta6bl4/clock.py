"""This machine's clocks."""

from __future__ import annotations

import time


class SystemClock:
    """`ports.Clock` over the clocks of this machine."""

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def utc(self) -> float:
        """Seconds since 1970."""
        return time.time()
