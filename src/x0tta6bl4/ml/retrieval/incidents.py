"""A closed incident as a document: a short text for people and for search, and a fingerprint to compare by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from x0tta6bl4.catalog import Catalog
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.ml.retrieval.values import Document
from x0tta6bl4.ml.similar import Fingerprint
from x0tta6bl4.model import ActionRecord, Incident, IncidentState

KIND: Final = "incident"
"""`metadata["kind"]` of an incident's document: what a search for past incidents filters by."""
FINGERPRINT: Final = "fingerprint"
"""`metadata` key of `ml.similar.Fingerprint`, as JSON: the graph as it was when the incident closed."""
_RESULT: Final = {True: "it helped", False: "it did not help", None: "whether it helped is not known"}


def incident_document(
    incident: Incident,
    actions: Sequence[ActionRecord],
    healed: Mapping[str, bool | None],
    catalog: Catalog,
    whole: Fingerprint | None = None,
) -> Document:
    """What a closed incident looked like, where it was, what was tried and what helped.

    actions: those of the incident, in order. healed: by action id, see `History.outcomes`. The metadata is the
    fingerprint: cause, symptoms, kind of component, how many vertices were cut off, tried, helped, duration.
    whole: it with its place in the graph, to be kept as it was, encoded under `FINGERPRINT`.
    Raises ConfigError where the incident is not closed: nothing of it is certain yet.
    """
    if incident.state is not IncidentState.CLOSED or incident.closed_at is None:
        raise ConfigError("incident.state", incident.state.value, IncidentState.CLOSED.value)
    cause = incident.cause
    tried = [(record, healed.get(record.id)) for record in actions if record.applied_at is not None]
    metadata: dict[str, object] = {
        "kind": KIND,
        "source": "incidents",
        "language": "en",
        "incident": incident.id,
        "cause": cause.code,
        "component": str(cause.component),
        "component_kind": cause.component.kind,
        "symptoms": _symptoms(incident),
        "behind": len(cause.behind),
        "tried": [record.action.kind for record, _ in tried],
        "helped": [record.action.kind for record, good in tried if good],
        "duration_s": round(incident.closed_at - incident.since, 3),
    }
    if whole is not None:
        metadata[FINGERPRINT] = json.dumps(whole.encode(), sort_keys=True)
    ended = incident.opened_utc + incident.closed_at - incident.opened_at if incident.opened_utc else 0.0
    return Document(f"incidents/{incident.id}", _told(incident, tried, catalog), metadata, timestamp=ended)


def incident_question(incident: Incident, catalog: Catalog) -> str:
    """What an incident, open or closed, asks a knowledge base: its verdict, in words and as a code.

    Not its symptoms: they have pages of their own, which would come before the page of the cause.
    """
    return f"{_title(incident, catalog)}\n{_verdict(incident)}"


def _title(incident: Incident, catalog: Catalog) -> str:
    cause = incident.cause
    if cause.code == catalog.partition:
        return "a part of the mesh is cut off"  # the one cause that is no rule of a catalogue
    rule = catalog.cause.get((cause.code, cause.component.kind))
    return rule.title if rule else cause.code


def _verdict(incident: Incident) -> str:
    cause = incident.cause
    return f"{cause.code} at {cause.component}. {cause.detail}".rstrip()


def _symptoms(incident: Incident) -> list[str]:
    return list(dict.fromkeys(symptom.code for symptom in incident.cause.explains))


def _told(incident: Incident, tried: Sequence[tuple[ActionRecord, bool | None]], catalog: Catalog) -> str:
    cause = incident.cause
    lines = [f"# Incident: {_title(incident, catalog)}", _verdict(incident)]
    for code in _symptoms(incident):
        known = catalog.symptom.get(code)
        lines.append(f"Symptom: {known.title if known else code} ({code}).")
    if cause.behind:
        lines.append(f"Cut off by it: {', '.join(map(str, cause.behind))}.")
    for record, good in tried:
        action = catalog.action.get(record.action.kind)
        title = action.title if action else record.action.kind
        lines.append(f"Tried: {title} ({record.action.kind}) on {record.action.target}: {_RESULT[good]}.")
    if not tried:
        lines.append("Nothing was tried: it passed by itself or a person mended it.")
    if incident.note:
        lines.append(f"Note: {incident.note}")
    return "\n".join(line.rstrip() for line in lines)
