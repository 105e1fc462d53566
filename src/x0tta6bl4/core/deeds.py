"""What agents did lately, as their reports say: whether too many ways change at once, and what was tried in vain."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

from x0tta6bl4.catalog import ActionKind, Proposal
from x0tta6bl4.mape_k.guards import Limits, Situation
from x0tta6bl4.model import ActionState, Seconds
from x0tta6bl4.network.report import ActionNews

REMEMBERED: Final = 4096  # actions
VAIN: Final = frozenset((ActionState.UNDONE, ActionState.UNDO_FAILED))


class Deeds:
    """The actions of all agents. Its guards hold the controller's own orders back."""

    def __init__(self, kinds: Mapping[str, ActionKind]) -> None:
        self._kinds = kinds
        self._states: dict[str, str] = {}  # action -> state that was heard last, oldest action first
        self._proven: set[str] = set()
        self._vain: dict[tuple[str, str], Seconds] = {}  # (kind, target) -> when an attempt ended unproven
        self._ways: deque[Seconds] = deque()  # when an action that changes ways was first heard of
        self.braked = False

    def hear(self, action: ActionNews, now: Seconds) -> bool:
        """Take in what a report says; True where it is news."""
        before = self._states.get(action.id)
        if before == action.state:
            return False
        kind = self._kinds.get(action.kind)
        if before is None and kind is not None and kind.avoids:
            self._ways.append(now)
        self._states[action.id] = action.state
        if action.state == ActionState.CONFIRMED:
            self._proven.add(action.id)
        elif action.state in VAIN and action.id not in self._proven:
            self._vain[action.kind, action.target] = now
        if len(self._states) > REMEMBERED:
            oldest = next(iter(self._states))
            del self._states[oldest]
            self._proven.discard(oldest)
        return True

    def count(self, limits: Limits, now: Seconds) -> dict[str, object] | None:
        """Set the storm brake over the mesh or release it; what changed, None where nothing did."""
        while self._ways and now - self._ways[0] > limits.window_s:
            self._ways.popleft()
        braked = len(self._ways) >= limits.actions_max
        if braked == self.braked:
            return None
        self.braked = braked
        return {"braked": braked, "actions": len(self._ways), "window_s": limits.window_s}

    def storm_brake_of_mesh(self, proposal: Proposal, kind: ActionKind, view: Situation) -> str:
        """Too many ways changed at once, whoever changed them."""
        return f"agents changed {len(self._ways)} ways within {view.limits.window_s:.0f} s" if self.braked else ""

    def tried_by_agent(self, proposal: Proposal, kind: ActionKind, view: Situation) -> str:
        """What an agent tried in vain a moment ago is not ordered."""
        ended = self._vain.get((kind.kind, str(proposal.action.target)))
        if ended is None or view.now - ended >= kind.cool_down_s:
            return ""
        return f"its agent tried {kind.kind} on {proposal.action.target} in vain {view.now - ended:.0f} s ago"
