"""Explaining an incident: facts in, sentences out, each with what it rests on. The same facts give the same bytes.

    explain(facts(incident, catalog, actions=..., past=...), catalog, "ru").text()

No clock, no locale and no language model has a say in it; there is always an explanation, also without any history
and with an empty knowledge base.
"""

from x0tta6bl4.ml.explanation.compose import LANGUAGES, brief, explain
from x0tta6bl4.ml.explanation.facts import Facts, Quote, facts
from x0tta6bl4.ml.explanation.values import Citation, Explanation, Section, Sentence, Source

__all__ = [
    "LANGUAGES",
    "Citation",
    "Explanation",
    "Facts",
    "Quote",
    "Section",
    "Sentence",
    "Source",
    "brief",
    "explain",
    "facts",
]
