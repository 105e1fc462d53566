"""Guards: pure rules that may refuse an action. Each looks at a frozen view and answers with a reason, or "" for yes.

Laws (tests/unit/mape_k/test_guards.py): a guard changes nothing; adding a guard never permits more; an action
without a target is refused by every chain ("no target" never means "all").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from x0tta6bl4.catalog import ActionKind, Autonomy, Proposal
from x0tta6bl4.mape_k.graph import Neighbours, would_part
from x0tta6bl4.model import ActionRecord, ActionState, Component, Seconds

REJECTED: Final = "rejected by a person"  # how the detail of a rejected action begins
REJECTED_S: Final[Seconds] = 600.0  # for how long the same is not proposed again


@dataclass(frozen=True, slots=True)
class Limits:
    """What an operator allows.

    autonomy: by action kind; what is not named is at its catalogue default. blast_radius_max: largest share of the
    vertices that may lose their only way. actions_max within window_s is the storm brake of this loop.
    """

    kill_switch: bool = False
    autonomy: Mapping[str, Autonomy] = field(default_factory=dict)
    autonomy_default: Autonomy | None = None
    irreversible_allowed: frozenset[str] = frozenset()
    blast_radius_max: float = 0.34
    actions_max: int = 10
    window_s: Seconds = 60.0
    per_target_max: int = 4
    per_target_window_s: Seconds = 120.0
    stale_after_s: Seconds = 3.0
    hold_s: Seconds = 10.0
    hold_s_max: Seconds = 90.0

    def level(self, kind: ActionKind) -> Autonomy:
        """The autonomy of one action kind."""
        return self.autonomy.get(kind.kind, self.autonomy_default or kind.autonomy)


@dataclass(frozen=True, slots=True)
class Situation:
    """What guards look at: frozen, made once a pass.

    live: undirected neighbours over links that carry something. ends: vertices of a link. recent: every action
    that was started, newest last. age_s: how old the newest reading about the target is. value: the last value of a
    metric that is not stale, None where there is none. left: action kinds and targets whose undo failed and waits for
    a person.
    """

    now: Seconds
    limits: Limits
    live: Neighbours
    ends: Callable[[Component], tuple[Component, Component] | None]
    recent: Sequence[ActionRecord]
    age_s: Callable[[Component], Seconds]
    seat: Component | None = None
    value: Callable[[Component, str], float | None] = lambda component, metric: None
    left: frozenset[tuple[str, Component]] = frozenset()


Rule = Callable[[Proposal, ActionKind, Situation], str]


def has_target(proposal: Proposal, kind: ActionKind, view: Situation) -> str:
    """An empty target never means "all"."""
    target = proposal.action.target
    if not target.name or target.name in ("*", "all") or target.kind != kind.target:
        return f"target {target} is not one {kind.target}"
    return ""


def kill_switch(proposal: Proposal, kind: ActionKind, view: Situation) -> str:
    """Nothing is done while the switch is on."""
    return "the kill switch is on" if view.limits.kill_switch else ""


def autonomy(proposal: Proposal, kind: ActionKind, view: Situation) -> str:
    """Kinds at `observe` are not even planned."""
    return f"{kind.kind} is at observe" if view.limits.level(kind) is Autonomy.OBSERVE else ""


def reversible(proposal: Proposal, kind: ActionKind, view: Situation) -> str:
    """What cannot be undone needs an opt-in of its own."""
    if kind.irreversible and kind.kind not in view.limits.irreversible_allowed:
        return f"{kind.kind} cannot be undone and is not in safety.irreversible_allowed"
    return ""


def fresh(proposal: Proposal, kind: ActionKind, view: Situation) -> str:
    """Nothing is acted on that is stale."""
    age = view.age_s(proposal.action.target)
    if age > view.limits.stale_after_s:
        return f"newest reading of {proposal.action.target} is {age:.1f} s old, limit {view.limits.stale_after_s:.1f} s"
    return ""


def keeps_connected(proposal: Proposal, kind: ActionKind, view: Situation) -> str:
    """Would this part the mesh? Only links that carry something now count."""
    if not kind.avoids:
        return ""
    pairs = [pair for link in proposal.avoids if (pair := view.ends(link)) is not None]
    pairs = [(a, b) for a, b in pairs if b in view.live.get(a, ())]
    if would_part(view.live, pairs):
        names = ", ".join(sorted({f"{a.name}-{b.name}" for a, b in pairs}))
        return f"would part the mesh: {names} is the only way"
    return ""


def blast_radius(proposal: Proposal, kind: ActionKind, view: Situation) -> str:
    """How large a share of the mesh would lose a live adjacency?"""
    touched = {v for link in proposal.avoids for v in (view.ends(link) or ())}
    touched = {v for v in touched if view.live.get(v)}
    total = len(view.live)
    share = len(touched) / total if total > 2 else 0.0
    if kind.avoids and share > max(view.limits.blast_radius_max, 2 / total if total else 0.0):
        return f"blast radius {share:.0%} of the mesh, limit {view.limits.blast_radius_max:.0%}"
    return ""


def cool_down(proposal: Proposal, kind: ActionKind, view: Situation) -> str:
    """Rate and cool-down per target."""
    same = [r for r in view.recent if r.action.target == proposal.action.target]
    window = [
        r for r in same if r.applied_at is not None and view.now - r.proposed_at < view.limits.per_target_window_s
    ]
    if len(window) >= view.limits.per_target_max:
        return f"{len(window)} actions on {proposal.action.target} within {view.limits.per_target_window_s:.0f} s"
    failed = [
        r
        for r in same
        if r.action.kind == kind.kind
        and r.confirmed_at is None
        and (r.applied_at is not None or r.state is ActionState.REFUSED)
    ]
    if failed and view.now - failed[-1].at < kind.cool_down_s:
        return f"{kind.kind} on {proposal.action.target} did not help {view.now - failed[-1].at:.0f} s ago"
    return ""


def not_rejected(proposal: Proposal, kind: ActionKind, view: Situation) -> str:
    """What a person said no to is not asked again at once."""
    for record in reversed(view.recent):
        same = (record.action.kind, record.action.target) == (kind.kind, proposal.action.target)
        if same and record.state is ActionState.REFUSED and record.detail.startswith(REJECTED):
            ago = view.now - record.at
            return f"{record.detail}, {ago:.0f} s ago" if ago < REJECTED_S else ""
    return ""


def none_left_behind(proposal: Proposal, kind: ActionKind, view: Situation) -> str:
    """What could not be undone is not done again: its own undo would bring back what was left, not what was there."""
    if (kind.kind, proposal.action.target) in view.left:
        return f"{kind.kind} on {proposal.action.target} could not be undone; close its incident once it is taken back"
    return ""


def storm_brake(proposal: Proposal, kind: ActionKind, view: Situation) -> str:
    """Too many actions at once mean that the controller is part of the problem."""
    started = sum(view.now - r.proposed_at < view.limits.window_s for r in view.recent if r.applied_at is not None)
    if started >= view.limits.actions_max:
        return f"storm brake: {started} actions within {view.limits.window_s:.0f} s, limit {view.limits.actions_max}"
    return ""


RULES: tuple[Rule, ...] = (
    has_target,
    kill_switch,
    autonomy,
    reversible,
    fresh,
    keeps_connected,
    blast_radius,
    not_rejected,
    none_left_behind,
    cool_down,
    storm_brake,
)


def refusal(proposal: Proposal, kind: ActionKind, view: Situation, rules: Sequence[Rule] = RULES) -> str:
    """The first reason to refuse, as "guard: reason"; "" where every guard says yes."""
    for rule in (has_target, *(r for r in rules if r is not has_target)):
        if reason := rule(proposal, kind, view):
            return f"{rule.__name__}: {reason}"
    return ""
