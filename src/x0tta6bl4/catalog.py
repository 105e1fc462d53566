"""What a catalogue is: the knowledge of one kind of system, as a value.

The loop knows components, relations and a `Catalog`; meshes are one catalogue (`network.catalog`), a leaking web
service is another. A catalogue names metrics, the symptoms they show, the causes that explain symptoms, and the
actions that help against causes. Nothing in here does anything: `mape_k` interprets it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Protocol

from x0tta6bl4.errors import ConfigError
from x0tta6bl4.model import Action, Cause, Component, Relation, Risk, Seconds, Severity


class Scope(StrEnum):
    """Which loop may act on a cause: the agent beside it, or only the controller that sees the whole."""

    NODE = "node"
    MESH = "mesh"


class Autonomy(StrEnum):
    """How much the loop may do by itself with one kind of action."""

    OBSERVE = "observe"  # do not even plan it
    ADVISE = "advise"  # plan it and say so
    APPROVE = "approve"  # plan it and wait for a person
    ACT = "act"  # do it


@dataclass(frozen=True, slots=True)
class Metric:
    """One column of readings of one kind of component.

    stale_after_s: a value older than this is unknown. learn: the baseline detector learns what is usual;
    spread_min: the smallest spread it may believe in, in the metric's unit; spread_min_ratio: the same as a share of
    what is usual (the larger counts).
    """

    kind: str
    name: str
    title: str
    stale_after_s: Seconds = 5.0
    learn: bool = False
    spread_min: float = 1.0
    spread_min_ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class SymptomRule:
    """When a reading counts as a symptom. Between `clear_at` and `raise_at` nothing changes (hysteresis).

    above: bad is at or above raise_at (else at or below). excess: the thresholds are counted from what the
    baseline expects. score: they are scores of the baseline in [0, 1], for deviations in either direction.
    raise_after_s, clear_after_s: for how long the evidence must hold. duration: the value is itself a duration in ms
    (a silence), so that it dates its own evidence.
    """

    code: str
    kind: str
    metric: str
    title: str
    raise_at: float
    clear_at: float
    above: bool = True
    excess: bool = False
    score: bool = False
    raise_after_s: Seconds = 0.0
    clear_after_s: Seconds = 1.0
    duration: bool = False
    severity: Severity = Severity.MAJOR
    margin_s: Seconds = 0.0  # contradicting evidence must be younger than the symptom's start by this


class Mode(StrEnum):
    """What a cause says about a symptom at a place."""

    MUST = "must"  # it has to be there
    ALL = "all"  # it is there wherever one can know; at least one of them is
    ALSO = "also"  # it is there wherever one can know, but by itself it shows nothing
    ANY = "any"  # at least one of them is there; the others say nothing against it
    MAY = "may"  # it is explained if it is there
    NOT = "not"  # it would contradict the cause
    NOT_ALL = "not all"  # everywhere it would contradict the cause
    SPARED = "spared"  # as "not all", and somewhere it is known not to be there


@dataclass(frozen=True, slots=True)
class Expect:
    """A symptom that a cause leads to. path: relations walked from the cause's component, `~` backwards.

    >>> Expect("link-silent", Mode.ALL, ("~from",))  # on the links that start at this node
    Expect(symptom='link-silent', mode=<Mode.ALL: 'all'>, path=('~from',))
    """

    symptom: str
    mode: Mode
    path: tuple[str, ...] = ()

    def steps(self) -> list[tuple[Relation, bool]]:
        """(relation, backwards) for each step of the path."""
        return [(Relation(step.removeprefix("~")), step.startswith("~")) for step in self.path]


@dataclass(frozen=True, slots=True)
class CauseRule:
    """One thing that can be wrong with one kind of component.

    prior: how likely it is before any evidence, relative to the others: where two explain the same, the larger wins.
    settle_s: how long the verdict waits for evidence that is not in yet. hold_s: how long it waits in any case, for
    what passes by itself.
    """

    code: str
    kind: str
    title: str
    expects: tuple[Expect, ...]
    prior: float
    scope: Scope = Scope.NODE
    severity: Severity = Severity.MAJOR
    settle_s: Seconds = 0.4
    hold_s: Seconds = 0.0


@dataclass(frozen=True, slots=True)
class ActionKind:
    """One kind of action.

    hold_min_s: a lease of this kind is held at least so long after its target is well.
    repair: it restores declared configuration, so it holds no lease; otherwise it is a mitigation and is reverted.
    risk: [0, 1], what may go wrong. prove_s: how long the proof may take before it is taken back.
    irreversible: cannot be undone; needs an opt-in of its own. avoids: it takes the target out of service, so
    that the graph guards apply.
    """

    kind: str
    target: str
    title: str
    risk: float
    repair: bool = False
    irreversible: bool = False
    avoids: bool = False
    prove_s: Seconds = 8.0
    hold_min_s: Seconds = 0.0
    cool_down_s: Seconds = 10.0
    autonomy: Autonomy = Autonomy.ADVISE


@dataclass(frozen=True, slots=True)
class Carries:
    """When links of one kind carry something: a value of one of `measured` is fresh, and they hang on nothing broken.

    broken: (kind, metric) pairs; a component of that kind whose fresh value is 0 breaks every link that is part of it.
    """

    kind: str
    measured: tuple[str, ...]
    broken: tuple[tuple[str, str], ...] = ()


class View(Protocol):
    """What a catalogue's functions may read of the state: values by component, relations, facts."""

    now: Seconds

    def value(self, component: Component, metric: str) -> float | None:
        """The last value that is not stale."""
        ...

    def related(self, component: Component, path: Sequence[str]) -> Sequence[Component]:
        """Components reached from `component` along `path` (see `Expect`)."""
        ...

    def fact(self, component: Component, name: str) -> object:
        """A fact, None where nothing is known."""
        ...

    def components(self, kind: str) -> Sequence[Component]:
        """All known components of one kind."""
        ...

    def active(self, code: str, component: Component) -> bool:
        """Is this symptom raised?"""
        ...

    def live(self) -> Mapping[Component, AbstractSet[Component]]:
        """Undirected neighbours over links that carry something."""
        ...


@dataclass(frozen=True, slots=True)
class Proposal:
    """One way to help: its actions, who must prove it (nodes), and what is watched before it is reverted.

    witnesses: components towards which the data plane must be well. watch: components that must show no symptom
    before a mitigation is taken back. scope: `MESH` is only for a loop that sees the whole, which need not leave it to
    others first. side: who carries it out; the best for each side of a cause is chosen.
    """

    action: Action
    witnesses: tuple[Component, ...]
    watch: tuple[Component, ...] = ()
    reason: str = ""
    avoids: tuple[Component, ...] = ()  # links taken out of service
    scope: Scope = Scope.NODE
    side: str = ""


Remedy = Callable[[Cause, View], Sequence[Proposal]]
RiskRule = Callable[[View], Sequence[Risk]]


@dataclass(frozen=True)
class Catalog:
    """All of it. Raises ConfigError where a rule names something that is not declared."""

    name: str
    metrics: tuple[Metric, ...]
    symptoms: tuple[SymptomRule, ...]
    causes: tuple[CauseRule, ...]
    actions: tuple[ActionKind, ...]
    remedies: Mapping[str, Remedy] = field(default_factory=dict)  # cause code -> proposals
    risks: tuple[RiskRule, ...] = ()
    cuts: frozenset[str] = frozenset()  # symptom codes that mean: this link carries nothing
    carries: tuple[Carries, ...] = ()  # which links carry anything, as far as is known; none of it said: all do
    partition: str = ""  # cause code for "a part of the graph is cut off", "" for none
    vertex_down: str = ""  # cause code for "a vertex is dead", the other explanation of a part that is cut off
    unheard: str = ""  # symptom code for "nothing is heard from this vertex"

    def __post_init__(self) -> None:
        metrics = {(m.kind, m.name) for m in self.metrics}
        for symptom in self.symptoms:
            if (symptom.kind, symptom.metric) not in metrics:
                raise ConfigError(f"catalog.{self.name}.symptoms.{symptom.code}", symptom.metric, "a declared metric")
        codes = {s.code for s in self.symptoms}
        for cause in self.causes:
            for expect in cause.expects:
                if expect.symptom not in codes:
                    raise ConfigError(
                        f"catalog.{self.name}.causes.{cause.code}", expect.symptom, "a declared symptom code"
                    )
        for rule in self.carries:
            for kind, metric in (*((rule.kind, m) for m in rule.measured), *rule.broken):
                if (kind, metric) not in metrics:
                    raise ConfigError(
                        f"catalog.{self.name}.carries.{rule.kind}", f"{kind}.{metric}", "a declared metric"
                    )

    @cached_property
    def symptom(self) -> Mapping[str, SymptomRule]:
        """Symptom rules by code (a code belongs to one kind of component)."""
        return {s.code: s for s in self.symptoms}

    @cached_property
    def cause(self) -> Mapping[tuple[str, str], CauseRule]:
        """Cause rules by (code, kind of component)."""
        return {(c.code, c.kind): c for c in self.causes}

    @cached_property
    def action(self) -> Mapping[str, ActionKind]:
        """Action kinds by name."""
        return {a.kind: a for a in self.actions}
