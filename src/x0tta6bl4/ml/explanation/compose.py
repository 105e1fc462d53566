"""Which sentences are said about which facts, in which order, and what each rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from x0tta6bl4.catalog import Catalog
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.ml.explanation.english import English
from x0tta6bl4.ml.explanation.facts import Evidence, Facts, Step
from x0tta6bl4.ml.explanation.page import Page, page_on
from x0tta6bl4.ml.explanation.russian import Russian
from x0tta6bl4.ml.explanation.russian_mesh import TITLES
from x0tta6bl4.ml.explanation.values import Citation, Explanation, Section, Sentence, Source
from x0tta6bl4.ml.explanation.words import Words, titles, visible
from x0tta6bl4.ml.similar import Similar, record

EVIDENCE_MAX: Final = 6  # symptoms told one by one: a dead node has dozens
CITED_MAX: Final = 5  # past incidents cited for one sentence, the newest

LANGUAGES: Final[dict[str, Callable[[Catalog], Words]]] = {
    "en": lambda catalog: English(titles(catalog)),
    "ru": lambda catalog: Russian(TITLES),
}


def explain(facts: Facts, catalog: Catalog, language: str = "en") -> Explanation:
    """Everything that the facts say, in one language; raises ConfigError where the language is unknown."""
    words = _words(language, catalog)
    page = page_on(facts.cause, language)
    said = (*_wrong(facts, words), *_why(facts, words), *_before(facts, words), *_done(facts, words),
                 *_by_hand(facts, words, page), *_uncertain(facts, words))  # fmt: skip
    sentences = tuple(replace(sentence, text=visible(sentence.text)) for sentence in said)
    return Explanation(facts.incident, language, sentences, words.headings, page.text if page else "")


def brief(facts: Facts, catalog: Catalog, language: str = "en") -> str:
    """What is wrong and the first sign of it, for an alert: a few sentences, then a line of what they rest on.

    Raises ConfigError where the language is unknown.
    """
    words = _words(language, catalog)
    said = [*_wrong(facts, words), *islice(_why(facts, words), 1)]
    sentences = tuple(replace(sentence, text=visible(sentence.text)) for sentence in said)
    told = Explanation(facts.incident, language, sentences, words.headings)
    return f"{' '.join(map(told.cited, sentences))}\n{words.headings['']}: {'; '.join(told.sources())}"


def _words(language: str, catalog: Catalog) -> Words:
    if language not in LANGUAGES:
        raise ConfigError("language", language, " or ".join(LANGUAGES))
    return LANGUAGES[language](catalog)


def _own(facts: Facts) -> Citation:
    return Citation(Source.INCIDENT, facts.incident)


def _reading(evidence: Evidence) -> Citation:
    return Citation(Source.READING, f"{evidence.component}/{evidence.metric}")


def _wrong(facts: Facts, words: Words) -> Iterator[Sentence]:
    own = _own(facts)
    yield Sentence(Section.WRONG, words.what(facts), (own,))
    if facts.detail:
        yield Sentence(Section.WRONG, words.found(facts.detail), (own,))
    if facts.behind:
        yield Sentence(Section.WRONG, words.behind(facts.behind), (own,))
    events = tuple(Citation(Source.EVENT, ident) for ident in (facts.opened, facts.closed) if ident)
    yield Sentence(Section.WRONG, words.when(facts), events or (own,))


def _why(facts: Facts, words: Words) -> Iterator[Sentence]:
    for evidence in facts.evidence[:EVIDENCE_MAX]:
        yield Sentence(Section.WHY, words.symptom(evidence), (_reading(evidence),))
    if more := facts.evidence[EVIDENCE_MAX:]:
        yield Sentence(Section.WHY, words.more(len(more)), tuple(dict.fromkeys(map(_reading, more))))


def _before(facts: Facts, words: Words) -> Iterator[Sentence]:
    repeats = [one for one in facts.past if one.repeat]
    like = [one for one in facts.past if not one.repeat]
    if not facts.past:
        yield Sentence(Section.BEFORE, words.new(), (_own(facts),))
    if repeats:
        yield Sentence(Section.BEFORE, words.repeats(record(repeats)), _past(repeats))
        if useless := [one for one in record(repeats).remedies if not one.helped]:
            yield Sentence(Section.BEFORE, words.useless(useless), _past(repeats))
    if like:
        yield Sentence(Section.BEFORE, words.like(record(like), like[0]), _past(like))


def _past(incidents: list[Similar]) -> tuple[Citation, ...]:
    return tuple(Citation(Source.INCIDENT, one.past.incident) for one in incidents[:CITED_MAX])


def _done(facts: Facts, words: Words) -> Iterator[Sentence]:
    own = _own(facts)
    for refusal in facts.refusals:
        yield Sentence(Section.DONE, words.refused(refusal), (own,))
    for step in facts.steps:
        yield Sentence(Section.DONE, words.step(step), _actions([step]))
    for good in (True, False):
        if judged := [step for step in facts.steps if step.helped is good]:
            yield Sentence(Section.DONE, words.helped(_kinds(judged), good=good), (*_actions(judged), own))
    pending = [step for step in facts.steps if step.applied and step.helped is None]
    if pending and facts.open_s is None:
        yield Sentence(Section.DONE, words.pending(_kinds(pending)), (own,))
    if not facts.steps:
        yield Sentence(Section.DONE, words.nothing_done(), (own,))
    if facts.seen_by is not None:
        yield Sentence(Section.DONE, words.seen(facts.seen_by), (own,))
    if facts.note:
        yield Sentence(Section.DONE, words.note(facts.note), (own,))


def _actions(steps: Sequence[Step]) -> tuple[Citation, ...]:
    return tuple(Citation(Source.ACTION, ident) for step in steps for ident in step.ids)


def _kinds(steps: Sequence[Step]) -> list[str]:
    return list(dict.fromkeys(step.kind for step in steps))


def _by_hand(facts: Facts, words: Words, page: Page | None) -> Iterator[Sentence]:
    if facts.own is not None:
        yield Sentence(Section.BY_HAND, words.own(facts.own), (Citation(Source.PASSAGE, facts.own.passage),))
    if page is None:
        yield Sentence(Section.BY_HAND, words.no_page(facts.cause), (_own(facts),))
        return
    cited = (Citation(Source.PASSAGE, page.passage),)
    if page.language != words.language:
        yield Sentence(Section.BY_HAND, words.foreign_page(), cited)
    for item in page.items:
        yield Sentence(Section.BY_HAND, item, cited)


def _uncertain(facts: Facts, words: Words) -> Iterator[Sentence]:
    own = _own(facts)
    said = [Sentence(Section.UNCERTAIN, words.against(what), (own,)) for what in facts.against]
    said += [Sentence(Section.UNCERTAIN, words.rival(rival), (own,)) for rival in facts.rivals]
    if facts.missing:
        said.append(Sentence(Section.UNCERTAIN, words.missing(facts.missing), (own,)))
    said += [
        Sentence(Section.UNCERTAIN, words.no_value(one), (_reading(one),))
        for one in facts.evidence
        if one.value is None
    ]
    said += [
        Sentence(Section.UNCERTAIN, words.silent(sensor, why), (Citation(Source.READING, f"sensor/{sensor}"),))
        for sensor, why in facts.silent.items()
    ]
    yield from said or [Sentence(Section.UNCERTAIN, words.certain(), (own,))]
