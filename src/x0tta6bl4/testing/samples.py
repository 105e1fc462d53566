"""Values to try a plugin on: situations, proposals, candidates and events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from x0tta6bl4.catalog import ActionKind, Proposal
from x0tta6bl4.mape_k.graph import Neighbours
from x0tta6bl4.mape_k.guards import Limits, Situation
from x0tta6bl4.model import Action, ActionRecord, ActionState, Candidate, Component, Event, Seconds

INTERFACE = Component("interface", "n1:eth1")
LINK = Component("link", "n1:eth1>n2:eth1")
NODES = tuple(Component("node", name) for name in ("n1", "n2", "n3"))


def proposal(kind: str = "detach-interface", target: Component = INTERFACE) -> tuple[Proposal, ActionKind]:
    """A proposal that avoids one link, and the kind of its action."""
    declared = ActionKind(kind, target.kind, "an action to try a guard on", 0.3, avoids=True)
    return Proposal(Action(kind, target), NODES[1:2], avoids=(LINK,)), declared


def situation(
    now: Seconds = 100.0,
    *,
    readings: Mapping[tuple[Component, str], float] | None = None,
    limits: Limits | None = None,
    live: Neighbours | None = None,
    recent: Sequence[ActionRecord] = (),
    age_s: Callable[[Component], Seconds] = lambda component: 0.0,
    seat: Component | None = None,
) -> Situation:
    """What a guard looks at, in a mesh of three nodes in a ring unless `live` says otherwise.

    readings: (component, metric) -> value; what is not among them is unknown.
    """
    known = dict(readings or {})
    return Situation(
        now=now,
        limits=limits or Limits(),
        live={node: {other for other in NODES if other != node} for node in NODES} if live is None else live,
        ends={LINK: (NODES[0], NODES[1])}.get,
        recent=tuple(recent),
        age_s=age_s,
        seat=seat,
        value=lambda component, metric: known.get((component, metric)),
    )


def situations() -> list[Situation]:
    """Situations at the edges: nothing is known, everything is, all is off, much was done lately."""
    done = ActionRecord(
        "a1", "i1", 1, Action("detach-interface", INTERFACE), ActionState.UNDONE, 99.0, 98.0, applied_at=98.5
    )
    return [
        situation(),
        situation(0.0, live={}),
        situation(seat=NODES[0], limits=Limits(kill_switch=True)),
        situation(age_s=lambda component: float("inf")),
        situation(recent=[done] * 12),
    ]


def candidates() -> list[Candidate]:
    """Candidates with different scores, two that are alike, and one that was refused."""
    rows = (("a", 0.2, 0.1, 0, ""), ("b", 0.9, 0.3, 7, ""), ("c", 0.9, 0.3, 7, ""), ("d", -0.4, 1.0, 2, "fresh: old"))
    return [
        Candidate(Action(kind, INTERFACE), score, risk, (score + 1) / 2, trials, refused)
        for kind, score, risk, trials, refused in rows
    ]


def events() -> list[Event]:
    """Events of every sort, one of a type that nobody knows and one with nothing in it."""
    link = str(LINK)
    action = {"id": "a1", "kind": "set-hop-penalty", "target": str(INTERFACE), "state": "applied", "lease": False}
    return [
        Event(1, 10.0, "controller", "incident.opened", "i1", link, {"code": "link-lossy", "symptoms": ["x on y"]}),
        Event(2, 10.1, "n1", "action.applied", "i1", str(INTERFACE), action),
        Event(3, 12.0, "controller", "incident.closed", "i1", link, {"code": "link-lossy"}),
        Event(4, 12.1, "controller", "weather.changed", "", "", {"nested": {"deep": [1, None, "\u0416\n\x00"]}}),
        Event(5, 12.2, "controller", "plan.refused"),
    ]
