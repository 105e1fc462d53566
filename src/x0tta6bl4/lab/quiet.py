"""When a run on a real kernel is over: everybody is at rest, and settings are as they were at the start."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from x0tta6bl4.lab.agents import Agents

QUIET_S: Final = 20.0  # so long end a run early
LOOK_S: Final = 2.0  # reading all settings takes a while in a guest


class Quiet:
    """Whether a run may end before its longest hold is over, without a relapse staying unseen.

    For QUIET_S nothing was changed, settings were as at the start, and neither an agent nor the controller had an
    action under way, a lease or an open incident: nothing is left that could still change a setting. controller: its
    own word, told from outside. alone: there is none.
    """

    def __init__(self, first_look: float, same: Callable[[], bool], agents: Agents, *, alone: bool) -> None:
        self.controller = alone
        self._look, self._same, self._agents = first_look, same, agents
        self._steps, self._since = -1, math.inf

    def ended(self, now: float) -> bool:
        """Asked as often as one likes; it looks every now and then, because reading the settings takes a while."""
        if not (self.controller and self._agents.at_rest()) or self._steps != len(self._agents.steps):
            self._steps, self._since = len(self._agents.steps), math.inf
        if now < self._look:
            return False
        self._look = now + LOOK_S
        self._since = min(self._since, now) if self._same() else math.inf
        return now - self._since >= QUIET_S
