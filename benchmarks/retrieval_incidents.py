"""Do the incidents of the lab find their runbooks? Part of retrieval.py.

Every built-in scenario runs once in the simulator. What the system wrote of each incident (title and code of its cause,
its component, the detail of its diagnosis) asks a knowledge base with all pages, English and Russian, for the page of
its cause: as it is written, and without any code of the catalogue and name of a component: by its words alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from x0tta6bl4.core import wiring
from x0tta6bl4.core.watched import Watched
from x0tta6bl4.lab import scenarios
from x0tta6bl4.lab.sim.runner import Simulation
from x0tta6bl4.mape_k.commands import Commands
from x0tta6bl4.ml.rag import runbook_documents
from x0tta6bl4.ml.retrieval.incidents import incident_question
from x0tta6bl4.ml.retrieval.values import Document
from x0tta6bl4.model import Incident
from x0tta6bl4.network.catalog import mesh_catalog

TAIL_S = 20.0  # after the last fault's end
CATALOG = mesh_catalog()
Search = Callable[[str], Sequence[str]]


@dataclass(frozen=True)
class Asked:
    """One incident of one scenario. text: as written; plain: without codes; page: what it should find."""

    scenario: str
    text: str
    plain: str
    page: str


def pages() -> list[Document]:
    """All that a fresh controller knows."""
    return [document for language in ("en", "ru") for document in runbook_documents(language)]


def asked(seed: int) -> Iterator[Asked]:
    """The incidents of every built-in scenario."""
    for name in scenarios.builtin():
        for incident in incidents(scenarios.load(name), seed):
            text = incident_question(incident, CATALOG)
            yield Asked(name, text, without_codes(text), f"runbooks/{incident.cause.code}.md")


def incidents(scenario: scenarios.Scenario, seed: int) -> list[Incident]:
    """The incidents of one run, as they stood last."""
    found: dict[str, Incident] = {}

    def told(_: object, iteration: object) -> None:
        found.update({incident.id: incident for incident in iteration.incidents})

    simulation = Simulation(scenario, seed, Watched(wiring.sim_factory, told, Commands()), checks=False)
    simulation.run_until(scenario.ends + TAIL_S)
    simulation.crew.close()
    return list(found.values())


def without_codes(text: str) -> str:
    """The text without any code of the catalogue and without names of components."""
    codes = [*CATALOG.symptom, *CATALOG.action, *(rule.code for rule in CATALOG.causes), CATALOG.partition]
    known = "|".join(re.escape(code) for code in sorted(codes, key=len, reverse=True))
    return re.sub(rf"\(?(?<![\w-])({known})(?![\w-])\)?", "", re.sub(r"\b[a-z]+/\S+", "", text))


def share(found: Sequence[Asked], search: Search, *, plain: bool) -> tuple[float, dict[str, list[str]]]:
    """(how many find their page first, what was found instead by scenario and page)."""
    wrong: dict[str, list[str]] = {}
    for one in found:
        best = search(one.plain if plain else one.text)[:1]
        if best != [one.page]:
            wrong.setdefault(f"{one.scenario}: {one.page}", []).extend(best)
    return 1 - sum(map(len, wrong.values())) / len(found), wrong
