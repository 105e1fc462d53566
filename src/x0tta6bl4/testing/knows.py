"""Laws of a catalogue: what it declares belongs together, and its functions cope with knowing nothing."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from x0tta6bl4.catalog import Catalog, Proposal, SymptomRule
from x0tta6bl4.model import Cause, Component, Risk


class Nothing:
    """`catalog.View` of a system of which nothing is known."""

    now = 0.0

    def value(self, component: Component, metric: str) -> float | None:
        """Nothing was measured."""
        return None

    def related(self, component: Component, path: Sequence[str]) -> Sequence[Component]:
        """No relation is known."""
        return ()

    def fact(self, component: Component, name: str) -> object:
        """No fact is known."""
        return None

    def components(self, kind: str) -> Sequence[Component]:
        """No component is known."""
        return ()

    def live(self) -> Mapping[Component, AbstractSet[Component]]:
        """No link is known."""
        return {}


def _named_n1(kind: str) -> Component:
    return Component(kind, "n1")


def catalogue_laws(make: Callable[[], Catalog], example: Callable[[str], Component] = _named_n1) -> None:
    """Laws of `catalog.Catalog`; building one already refuses names that are not declared.

    example: a component of a given kind, for remedies that take its name apart.
    """
    made = make()
    assert made.name, "a catalogue has a name"
    _once("metric", ((m.kind, m.name) for m in made.metrics))
    _once("symptom", (s.code for s in made.symptoms))
    _once("cause", ((c.code, c.kind) for c in made.causes))
    _once("action", (a.kind for a in made.actions))
    for part in (made.metrics, made.symptoms, made.causes, made.actions):
        assert all(thing.title for thing in part), "everything declared says in its title what it is"
    for symptom in made.symptoms:
        _symptom(symptom)
    for metric in made.metrics:
        assert metric.stale_after_s > 0, f"metric {metric.name}: a value is fresh for some time"
    for cause in made.causes:
        assert cause.expects, f"cause {cause.code} expects some symptom, or nothing would ever name it"
        assert cause.prior > 0, f"cause {cause.code} is possible"
    for action in made.actions:
        assert 0 <= action.risk <= 1, f"action {action.kind}: a risk lies in [0, 1]"
        assert action.prove_s > 0, f"action {action.kind}: a proof takes time"
    _functions(made, example)


def _once(what: str, things: Iterable[Hashable]) -> None:
    listed = list(things)
    assert len(set(listed)) == len(listed), f"each {what} is declared once"


def _symptom(rule: SymptomRule) -> None:
    away = rule.raise_at - rule.clear_at if rule.above else rule.clear_at - rule.raise_at
    assert away >= 0, f"symptom {rule.code}: it clears on the well side of where it is raised"
    assert min(rule.raise_after_s, rule.clear_after_s) >= 0, f"symptom {rule.code}: times are not negative"


def _functions(made: Catalog, example: Callable[[str], Component]) -> None:
    view = Nothing()
    codes = {cause.code for cause in made.causes}
    for code, remedy in made.remedies.items():
        assert code in codes | {made.partition}, f"a remedy is for a declared cause, not {code}"
        kinds = sorted({cause.kind for cause in made.causes if cause.code == code})
        for kind in kinds:
            for proposal in remedy(Cause(code, example(kind), 1.0, ()), view):
                assert isinstance(proposal, Proposal), f"the remedy for {code} gives proposals"
                declared = made.action.get(proposal.action.kind)
                assert declared is not None, f"the remedy for {code} proposes {proposal.action.kind}: not declared"
                assert proposal.action.target.name, f"the remedy for {code} names its target"
    for rule in made.risks:
        assert all(isinstance(risk, Risk) for risk in rule(view)), "a risk rule gives risks"
