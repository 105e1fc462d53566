"""Explanations of this mesh's incidents: what `ml.explanation` needs of history, the graph and the settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from x0tta6bl4.core import access
from x0tta6bl4.core.alerts import Alert
from x0tta6bl4.core.archive import Archive, IncidentFilter
from x0tta6bl4.core.briefs import CATALOG
from x0tta6bl4.core.knowledge_base import KnowledgeBase
from x0tta6bl4.core.knowledge_sources import INCIDENTS, RUNBOOKS
from x0tta6bl4.core.places import MeshPlaces, nodes, part_of
from x0tta6bl4.core.readers import IncidentFile, Snapshot
from x0tta6bl4.core.setting_groups import ExplanationSettings
from x0tta6bl4.errors import ConfigError, NotSupported, ProtocolError, Temporary
from x0tta6bl4.ml.explanation import LANGUAGES, Explanation, Facts, Quote, explain, facts
from x0tta6bl4.ml.retrieval.incidents import FINGERPRINT, incident_question
from x0tta6bl4.ml.retrieval.values import Document, Hit
from x0tta6bl4.ml.rewrite import Endpoint, Rewritten, rewrite
from x0tta6bl4.ml.similar import REPEATS_MAX, Fingerprint, fingerprint, similar, text_similarity
from x0tta6bl4.model import Incident, IncidentState

if TYPE_CHECKING:  # it needs the extra `ml`
    from x0tta6bl4.ml.rag import RAGAnalyzer

TEXTS_MAX: Final = 200  # of all times: what is older than the newest of any kind is found by its text
TEXTS_S: Final = 0.5
OTHERS_MAX: Final = 200  # incidents of any kind, the newest before this one
FITS: Final = 0.35  # from this similarity on, an operator's own passage is worth quoting
URLS_MAX: Final = 3
NOT_OWN: Final = (RUNBOOKS, INCIDENTS)


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a knowledge base says to one incident. texts: see `ml.similar.text_similarity`; own: see `Facts.own`.

    document: of an id; it may be called on any thread.
    """

    texts: Mapping[str, float] = field(default_factory=dict)
    own: Quote | None = None
    document: Callable[[str], Document | None] = lambda _: None

    def fingerprint(self, incident: str) -> Fingerprint | None:
        """A past incident as it was when it closed; None where that was not kept."""
        found = self.document(f"{INCIDENTS}/{incident}")
        kept = found.metadata.get(FINGERPRINT) if found else None
        with suppress(ProtocolError, ValueError):
            return Fingerprint.decode(json.loads(kept)) if isinstance(kept, str) else None
        return None


NOBODY: Final = Remembered()


async def remembered(incident: Incident, knowledge: KnowledgeBase, alerts: Iterable[Alert] = ()) -> Remembered:
    """Past incidents with texts like this one, and the passage of operators' own pages that fits it best.

    alerts: of other systems, that fire now. Where there is no knowledge base by now it is empty: fingerprints alone say
    what is alike then.
    """
    cause = incident.cause
    query = " ".join([cause.code, cause.detail, *(symptom.code for symptom in cause.explains), incident.note])
    urls = _urls(incident, alerts)

    async def asked(rag: RAGAnalyzer) -> Remembered:
        """On the knowledge base's thread."""
        like = await rag.retrieve_context(query, TEXTS_MAX, 0.0, {"kind": "incident"})
        return Remembered(text_similarity(like), await _own(rag, incident, urls), rag.document)

    with suppress(NotSupported, Temporary):
        return await knowledge.ask(asked, TEXTS_S)
    return NOBODY


async def _own(rag: RAGAnalyzer, incident: Incident, urls: Sequence[str]) -> Quote | None:
    """Of operators' own pages and notes: the page that an alert leads to, else the passage that fits the incident."""
    own = {"source": [source for source in rag.sources() if source not in NOT_OWN]}
    question = incident_question(incident, CATALOG)
    for query in (*urls, question) if own["source"] else ():
        for hit in (await rag.retrieve_context(query, 1, FITS, own)).hits:
            if hit.exact or query == question:
                return _quote(hit)
    return None


def _urls(incident: Incident, alerts: Iterable[Alert]) -> list[str]:
    """The runbook_url of each alert that says, in one of its labels, a node or an interface of the incident."""
    where = set(nodes(incident.cause.component))
    found = (
        str(alert["annotations"].get("runbook_url", ""))
        for alert in alerts
        if any(str(value).partition(":")[0] in where for value in alert["labels"].values())
    )
    return list(dict.fromkeys(url for url in found if url))[:URLS_MAX]


def _quote(hit: Hit) -> Quote:
    passage = hit.passage
    title = str(passage.document.metadata.get("title") or " > ".join(hit.headings) or passage.document.id)
    return Quote(passage.id, title, hit.text)


def facts_of(file: IncidentFile, archive: Archive, snapshot: Snapshot, known: Remembered = NOBODY) -> Facts:
    """The facts of one incident, its like in the past included; may block. Raises StoreError from the archive."""
    places, algorithm = MeshPlaces(snapshot.view), snapshot.view.algorithm

    def seen(one: IncidentFile) -> Fingerprint:
        """As it was when it closed; where that was not kept, with the eyes of today."""
        kept = known.fingerprint(one.incident.id)
        return kept or fingerprint(one.incident, one.actions, places.of(one.incident.cause.component), algorithm)

    incident = file.incident
    closed = incident.state is IncidentState.CLOSED
    past = similar(seen(file), _past(incident, archive, known, seen), incident.opened_utc, known.texts)
    return facts(
        incident,
        CATALOG,
        actions=file.actions,
        plans=file.plans,
        events=[numbered.event for numbered in file.events],
        past=past,
        silent={} if closed else snapshot.iteration.errors,
        part_of=part_of,
        own=known.own,
    )


def _past(
    incident: Incident, archive: Archive, known: Remembered, seen: Callable[[IncidentFile], Fingerprint]
) -> Iterable[Fingerprint]:
    """Closed incidents that were opened before: of the same cause and place, the newest of all, and of a like text."""
    cause = incident.cause
    same = IncidentFilter(IncidentState.CLOSED, cause.code, str(cause.component))
    files = [
        *_before(incident, archive, same, REPEATS_MAX),
        *_before(incident, archive, IncidentFilter(IncidentState.CLOSED), OTHERS_MAX),
    ]
    found = {file.incident.id: seen(file) for file in files}
    kept = (known.fingerprint(ident) for ident in known.texts if ident not in found)
    return [*found.values(), *(one for one in kept if one is not None)]


def _before(incident: Incident, archive: Archive, wanted: IncidentFilter, limit: int) -> Sequence[IncidentFile]:
    try:
        return archive.incidents(wanted, incident.id, limit)
    except ConfigError:  # it is so new that history does not have it: all that history has is older
        return archive.incidents(wanted, "", limit)


def explained(of: Facts, language: str) -> Explanation:
    """The explanation of an incident of this mesh."""
    return explain(of, CATALOG, language)


async def rewritten(told: Explanation, endpoint: Endpoint | None, snapshot: Snapshot) -> tuple[Explanation, Rewritten]:
    """(the explanation in the model's words where those check, what became of asking)."""
    if endpoint is None:
        return told, Rewritten((), 0, "no model is configured: explanation.endpoint is empty")
    nodes = [node.name for node in snapshot.view.nodes]
    codes = [*CATALOG.symptom, *CATALOG.action, *(rule.code for rule in CATALOG.causes), CATALOG.partition]
    result = await rewrite(told, endpoint, [*nodes, *codes])
    return (replace(told, sentences=result.sentences) if result.sentences else told), result


def endpoint_of(settings: ExplanationSettings) -> Endpoint | None:
    """Where a model is asked; None where none is configured. Raises ConfigError for a key file that is unusable."""
    if not settings.endpoint:
        return None
    key = (
        access.read(Path(settings.key_file).expanduser(), "explanation.key_file", shortest=1)
        if settings.key_file
        else ""
    )
    return Endpoint(settings.endpoint.rstrip("/"), settings.model, settings.timeout_s, key)


def language_of(header: str, default: str) -> str:
    """What `Accept-Language` (RFC 9110, 12.5.4) wants most of what there is; `default` where it wants none of it.

    >>> language_of("ru-RU,ru;q=0.9,en;q=0.8", "en"), language_of("de", "en"), language_of("en;q=0.1, ru;q=x", "ru")
    ('ru', 'en', 'en')
    """
    wanted: dict[str, float] = {}
    for part in header.split(","):
        tag, _, weight = part.partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        wanted.setdefault(tag.strip().lower().partition("-")[0], quality)
    known = {language: wanted[language] for language in LANGUAGES if wanted.get(language, 0) > 0}
    return max(known, key=lambda language: known[language], default=default)
