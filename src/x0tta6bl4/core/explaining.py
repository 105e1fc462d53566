"""Explanations of this mesh's incidents: what `ml.explanation` needs of history, the graph and the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from x0tta6bl4.core import access
from x0tta6bl4.core.archive import Archive, IncidentFilter
from x0tta6bl4.core.briefs import CATALOG
from x0tta6bl4.core.knowledge_base import KnowledgeBase
from x0tta6bl4.core.readers import IncidentFile, Snapshot
from x0tta6bl4.core.setting_groups import ExplanationSettings
from x0tta6bl4.core.view import MeshView
from x0tta6bl4.errors import NotSupported, Temporary
from x0tta6bl4.ml.explanation import LANGUAGES, Explanation, Facts, explain, facts
from x0tta6bl4.ml.place import Place, Places
from x0tta6bl4.ml.rewrite import Endpoint, Rewritten, rewrite
from x0tta6bl4.ml.similar import REPEATS_MAX, Fingerprint, fingerprint, similar, text_similarity
from x0tta6bl4.model import Component, Incident, IncidentState
from x0tta6bl4.network import names

TEXTS_MAX: Final = 50
TEXTS_S: Final = 0.5
OTHERS_MAX: Final = 200  # incidents of any kind, the newest


class MeshPlaces:
    """Where components stand in the mesh as it is seen now."""

    def __init__(self, view: MeshView) -> None:
        neighbours: dict[Component, set[Component]] = {}
        for link in view.links:
            one, other = names.node(link.source), names.node(link.target)
            neighbours.setdefault(one, set()).add(other)
            neighbours.setdefault(other, set()).add(one)
        self._places = Places(neighbours, names.node(view.seat))
        self._primaries = {f"{n.name}:{i.name}" for n in view.nodes for i in n.interfaces if i.primary}

    def of(self, component: Component) -> Place:
        """The place of a component; a part of the mesh is all of its nodes."""
        match component.kind:
            case "link" | "adjacency":
                ends = names.ends(component)
                primary = any(f"{node}:{interface}" in self._primaries for node, interface in ends)
                return self._places.link(*(names.node(node) for node, _ in ends), primary=primary)
            case "interface":
                owner = names.node(names.owner(component))
                return self._places.part([owner], primary=component.name in self._primaries)
            case _:
                return self._places.part([names.node(name) for name in component.name.split(",")])


async def texts_like(incident: Incident, knowledge: KnowledgeBase) -> Mapping[str, float]:
    """How similar the texts of past incidents are, by incident; nothing where there is no knowledge base by now.

    Fingerprints alone say what is alike then.
    """
    cause = incident.cause
    query = " ".join([cause.code, cause.detail, *(symptom.code for symptom in cause.explains), incident.note])
    with suppress(NotSupported, Temporary):
        found = await knowledge.ask(
            lambda rag: rag.retrieve_context(query, TEXTS_MAX, 0.0, {"kind": "incident"}), TEXTS_S
        )
        return text_similarity(found)
    return {}


def facts_of(
    file: IncidentFile, archive: Archive, snapshot: Snapshot, texts: Mapping[str, float] | None = None
) -> Facts:
    """The facts of one incident, its like in the past included; may block. Raises StoreError from the archive.

    texts: see `texts_like`.
    """
    places, algorithm = MeshPlaces(snapshot.view), snapshot.view.algorithm

    def seen(one: IncidentFile) -> Fingerprint:
        return fingerprint(one.incident, one.actions, places.of(one.incident.cause.component), algorithm)

    closed = file.incident.state is IncidentState.CLOSED
    past = similar(seen(file), map(seen, _past(file.incident, archive)), file.incident.opened_utc, texts or {})
    return facts(
        file.incident,
        CATALOG,
        actions=file.actions,
        plans=file.plans,
        events=[numbered.event for numbered in file.events],
        past=past,
        silent={} if closed else snapshot.iteration.errors,
    )


def _past(incident: Incident, archive: Archive) -> Sequence[IncidentFile]:
    """Closed incidents to compare with: those of the same cause and place, and the newest of all."""
    cause = incident.cause
    same = IncidentFilter(IncidentState.CLOSED, cause.code, str(cause.component))
    repeats = archive.incidents(same, "", REPEATS_MAX)
    others = archive.incidents(IncidentFilter(IncidentState.CLOSED), "", OTHERS_MAX)
    return list({file.incident.id: file for file in (*repeats, *others)}.values())


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
