"""Plans: what could help against an incident, ranked by measured success and declared risk, passed through guards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from x0tta6bl4.catalog import Autonomy, Catalog, Proposal, Scope, View
from x0tta6bl4.mape_k.guards import RULES, Rule, Situation, refusal
from x0tta6bl4.model import Candidate, Cause, Incident, Plan, Seconds
from x0tta6bl4.ports import Ranker

CONTEXT_VERSION = 1
RETRY_S = 1.0  # how long a plan that was refused rests before it is judged again


class SuccessRanker:
    """Ranks by the posterior mean of success (Beta(1, 1) prior) minus half the declared risk.

    >>> from x0tta6bl4.model import Action, Component
    >>> safe, bold = (Candidate(Action(k, Component("node", "a")), 0.0, r, 0.5, 0) for k, r in (("s", .1), ("b", .6)))
    >>> [c.action.kind for c in SuccessRanker().rank([bold, safe], {})]
    ['s', 'b']
    """

    def rank(self, candidates: Sequence[Candidate], context: Mapping[str, float | str]) -> Sequence[Candidate]:
        """Best first; equal scores keep the catalogue's order."""
        return sorted(candidates, key=lambda c: c.score, reverse=True)


@dataclass(frozen=True, slots=True)
class Decision:
    """A plan, and the proposal behind its choice (None where every candidate was refused, or it is only advised)."""

    plan: Plan
    proposal: Proposal | None


class Planner:
    """Proposes for incidents of its scope.

    patience_s: how old an incident must be before a loop of the mesh does what others beside it could do.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        scope: Scope,
        new_id: Callable[[], str],
        ranker: Ranker | None = None,
        rules: Sequence[Rule] = RULES,
        patience_s: Seconds = 0.0,
    ) -> None:
        self.catalog, self.scope, self.new_id = catalog, scope, new_id
        self.ranker = ranker or SuccessRanker()
        self.rules, self.patience_s = rules, patience_s
        self._said: dict[str, dict[str, tuple[str, ...]]] = {}  # incident -> side -> what was said last
        self._rest: dict[str, Seconds] = {}

    def wants(self, incident: Incident, now: Seconds) -> bool:
        """Is there anything that could help, in this loop's scope, and is it time to look (again)?"""
        cause = incident.cause
        rule = self.catalog.cause.get((cause.code, cause.component.kind))
        if rule is None or cause.code not in self.catalog.remedies:
            return False
        within = self.scope is Scope.MESH or rule.scope is Scope.NODE
        return within and now >= self._rest.get(incident.id, 0.0)

    def plan(
        self,
        incident: Incident,
        view: View,
        situation: Situation,
        statistics: Mapping[tuple[str, str], tuple[int, int]],
    ) -> list[Decision]:
        """A plan for each side of the cause about which there is something new to say."""
        cause = incident.cause
        sides: dict[str, list[Proposal]] = {}
        for proposal in self.catalog.remedies[cause.code](cause, view):
            if self.scope is Scope.MESH or proposal.scope is Scope.NODE:
                sides.setdefault(proposal.side, []).append(proposal)
        made = {
            side: self._choose(incident.id, cause, found, situation, statistics)
            for side, found in sides.items()
            if not self._waits(found, situation.now - incident.opened_at)
        }
        if made and all(decision.proposal is None for decision in made.values()):
            self._rest[incident.id] = situation.now + RETRY_S
        said = self._said.setdefault(incident.id, {})
        fresh = []
        for side, decision in made.items():
            new = tuple(f"{c.action.kind}:{c.refused_by.split(':')[0]}" for c in decision.plan.candidates)
            if decision.proposal is not None or said.get(side) != new:
                fresh.append(decision)
            said[side] = new
        return fresh

    def _waits(self, proposals: Sequence[Proposal], age_s: Seconds) -> bool:
        """Is this first for others to try?"""
        return self.scope is Scope.MESH and age_s < self.patience_s and any(p.scope is Scope.NODE for p in proposals)

    def _choose(
        self,
        incident: str,
        cause: Cause,
        proposals: Sequence[Proposal],
        situation: Situation,
        statistics: Mapping[tuple[str, str], tuple[int, int]],
    ) -> Decision:
        """The best of the proposals that no guard refuses."""
        candidates, by_candidate = [], {}
        for proposal in proposals:
            candidate = self._candidate(cause.code, proposal, situation, statistics)
            candidates.append(candidate)
            by_candidate[id(candidate)] = proposal
        context: dict[str, float | str] = {"cause": cause.code, "confidence": cause.confidence}
        ranked = tuple(self.ranker.rank(candidates, context))
        chosen = next((c for c in ranked if not c.refused_by), None)
        advised = chosen is not None and self._advises(chosen, situation)
        plan = Plan(
            id=self.new_id(),
            incident=incident,
            at=situation.now,
            candidates=ranked,
            chosen=() if chosen is None else (chosen.action,),
            probability=1.0,
            context=context,
            context_version=CONTEXT_VERSION,
        )
        return Decision(plan, None if chosen is None or advised else by_candidate[id(chosen)])

    def _advises(self, candidate: Candidate, situation: Situation) -> bool:
        kind = self.catalog.action[candidate.action.kind]
        level = situation.limits.level(kind)  # a person approves at the controller, which then orders it
        return level is Autonomy.ADVISE or (level is Autonomy.APPROVE and self.scope is Scope.NODE)

    def forget(self, incident_id: str) -> None:
        """The incident closed."""
        self._said.pop(incident_id, None)
        self._rest.pop(incident_id, None)

    def _candidate(
        self,
        cause: str,
        proposal: Proposal,
        situation: Situation,
        statistics: Mapping[tuple[str, str], tuple[int, int]],
    ) -> Candidate:
        kind = self.catalog.action[proposal.action.kind]
        trials, successes = statistics.get((cause, kind.kind), (0, 0))
        rate = (successes + 1) / (trials + 2)
        return Candidate(
            action=proposal.action,
            score=round(rate - kind.risk / 2, 6),
            risk=kind.risk,
            success_rate=rate,
            trials=trials,
            refused_by=refusal(proposal, kind, situation, self.rules),
            reason=proposal.reason,
        )
