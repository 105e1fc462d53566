"""Laws of a catalogue (what it declares belongs together, its functions cope with knowing nothing), of a retriever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from x0tta6bl4.catalog import Catalog, Proposal, SymptomRule
from x0tta6bl4.ml.retriever import Retriever
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

    def active(self, code: str, component: Component) -> bool:
        """No symptom is."""
        return False

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


def retriever_laws(make: Callable[[], Retriever], query: str) -> None:
    """Laws of `ml.retriever.Retriever`. query: one that finds something."""

    async def found(text: str, k: int, threshold: float) -> list[tuple[str, str, float]]:
        """[(id, content, similarity)], in its order."""
        result = await made.retrieve_context(text, k, threshold)
        assert len(result.documents) == len(result.similarities), "there is a similarity for each document"
        pairs = zip(result.documents, result.similarities, strict=True)
        return [(document.id, document.content, float(similarity)) for document, similarity in pairs]

    made = make()
    all_of_it = asyncio.run(found(query, 10, 0.0))
    assert all_of_it, f"{query!r} finds something"
    assert all(ident and content for ident, content, _ in all_of_it), "a document has an id and a text"
    likeness = [similarity for *_, similarity in all_of_it]
    assert likeness == sorted(likeness, reverse=True), "the best comes first"
    assert all(0 <= one <= 1 for one in likeness), "similarities lie in [0, 1]"
    assert asyncio.run(found(query, 10, 0.0)) == all_of_it, "the same question has the same answer"
    assert asyncio.run(found(query, 1, 0.0)) == all_of_it[:1], "k is how many at most"
    best = likeness[0]
    near = asyncio.run(found(query, 10, best))
    assert all(similarity >= best for *_, similarity in near), "what is less similar than the threshold is left out"
    for odd in ("", "\0\u202e", "x" * 100_000):
        asyncio.run(found(odd, 3, 0.0))  # any text is a question
