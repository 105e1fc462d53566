"""Model values as plain JSON documents, the same for the API, `--json` and the logs."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from enum import Enum
from typing import Any

from x0tta6bl4.core.archive import PlanFile, became
from x0tta6bl4.core.readers import IncidentFile, Numbered, Pass, Snapshot
from x0tta6bl4.core.view import LinkView
from x0tta6bl4.ml.explanation import Explanation, Facts, Section
from x0tta6bl4.ml.rewrite import Rewritten
from x0tta6bl4.model import ActionRecord, Component, IncidentState, Risk, Symptom, Window


def plain(value: object) -> Any:
    """`value` in what JSON knows; components as KIND/NAME, NaN and infinities as null."""
    kind = type(value)
    if value is None or kind in _AS_IT_IS:
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Component):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(kind):
        return {name: plain(getattr(value, name)) for name in _fields(kind)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value if isinstance(value, str | int) else str(value)


_AS_IT_IS = (str, int, bool)


@functools.cache
def _fields(kind: type) -> tuple[str, ...]:
    """The names of a dataclass's fields; asking for them each time is most of the work of a large document."""
    return tuple(field.name for field in dataclasses.fields(kind))


def event(numbered: Numbered, now: float) -> dict[str, Any]:
    """One event of the stream; age_s counts back from the last pass."""
    told = numbered.event
    return {
        "number": numbered.number,
        "type": told.type,
        "origin": told.origin,
        "seq": told.seq,
        "age_s": round(max(0.0, now - told.at), 3),
        "incident": told.incident,
        "component": told.component,
        "data": plain(told.data),
    }


def incident_row(file: IncidentFile, now: float) -> dict[str, Any]:
    """One line of the list of incidents."""
    incident = file.incident
    first = file.actions[0] if file.actions else None  # what the incident called for first
    return {
        "id": incident.id,
        "origin": incident.origin,
        "state": incident.state.value,
        "cause": incident.cause.code,
        "component": str(incident.cause.component),
        "confidence": round(incident.cause.confidence, 3),
        "severity": incident.severity.value,
        "escalated": incident.escalated,
        "age_s": round(max(0.0, now - incident.opened_at), 3),
        "detect_s": round(max(0.0, incident.opened_at - incident.since), 3),
        "open_s": round((now if incident.closed_at is None else incident.closed_at) - incident.opened_at, 3),
        "acknowledged": incident.acknowledged_utc > 0,
        "action": first.action.kind if first else None,
        "action_target": str(first.action.target) if first else None,
        "action_state": first.state.value if first else None,
        "proof": first.detail if first else None,
    }


def incident(file: IncidentFile, now: float) -> dict[str, Any]:
    """One incident with its evidence, what else it could have been, its actions and its timeline."""
    cause = file.incident.cause
    return {
        **incident_row(file, now),
        "opened_utc": file.incident.opened_utc or None,
        "acknowledged_utc": file.incident.acknowledged_utc or None,
        "acknowledged_by": file.incident.acknowledged_by,
        "reopened": file.incident.reopened,
        "note": file.incident.note,
        "evidence": {
            "detail": cause.detail,
            "symptoms": [_symptom(symptom, now) for symptom in cause.explains],
            "contradicted_by": list(cause.contradicted_by),
        },
        "causes": [
            {"code": c.code, "component": str(c.component), "confidence": round(c.confidence, 3), "detail": c.detail}
            for c in file.incident.diagnosis.causes
        ],
        "plans": [plan(PlanFile(one, became(one, file.actions)), now) for one in file.plans],
        "actions": [action(record, now) for record in file.actions],
        "timeline": [event(numbered, now) for numbered in file.events],
    }


def explanation(told: Explanation, facts: Facts, rewritten: Rewritten | None) -> dict[str, Any]:
    """An incident in sentences with what they rest on. rewritten: what a model's words came to, None if not asked."""
    return {
        "incident": told.incident,
        "language": told.language,
        "summary": told.section(Section.WRONG),
        "sentences": [
            {
                "section": sentence.section.value,
                "text": sentence.text,
                "citations": [told.numbers[citation] for citation in sentence.citations],
            }
            for sentence in told.sentences
        ],
        "citations": [
            {"number": number, "source": citation.source.value, "id": citation.id}
            for citation, number in told.numbers.items()
        ],
        "similar": [
            {"incident": one.past.incident, "repeat": one.repeat, "score": one.score, "cause": one.past.cause,
             "component": one.past.component, "ended_utc": one.past.ended_utc}
            for one in facts.past
        ],
        "text": told.text(),
        "runbook": told.passage or None,
        "rewrite": None if rewritten is None else {
            "used": bool(rewritten.sentences), "dropped": rewritten.dropped, "problem": rewritten.problem
        },
    }  # fmt: skip


def _symptom(one: Symptom, now: float) -> dict[str, Any]:
    document = plain(one)
    document["since_age_s"] = round(max(0.0, now - document.pop("since")), 3)
    return dict(document)


def plan(file: PlanFile, now: float) -> dict[str, Any]:
    """One plan with all its candidates."""
    document = plain(file.plan)
    document["age_s"] = round(max(0.0, now - document.pop("at")), 3)
    return {**document, "state": file.state, "action": file.action.id if file.action else None}


def action(record: ActionRecord, now: float) -> dict[str, Any]:
    """One action as it stands."""
    return {
        "id": record.id,
        "incident": record.incident,
        "kind": record.action.kind,
        "target": str(record.action.target),
        "parameters": plain(record.action.parameters),
        "state": record.state.value,
        "attempt": record.attempt,
        "age_s": round(max(0.0, now - record.proposed_at), 3),
        "changed_age_s": round(max(0.0, now - record.at), 3),
        "lease": record.lease,
        "before": plain(record.before),
        "detail": record.detail,
        "origin": record.origin,
    }


def mitigation(record: ActionRecord, now: float) -> dict[str, Any]:
    """One lease; what only its holder knows is null or empty."""
    well = None if record.well_since is None else now - record.well_since
    return {
        "id": record.id,
        "incident": record.incident,
        "kind": record.action.kind,
        "target": str(record.action.target),
        "origin": record.origin,
        "age_s": round(max(0.0, now - record.proposed_at), 3),
        "avoids": [str(component) for component in record.watch],
        "hold_s": record.hold_s or None,
        "well_s": None if well is None else round(well, 3),
        "held_until_s": None if well is None else round(max(0.0, record.hold_s - well), 3),
    }


def window(one: Window, now: float) -> dict[str, Any]:
    """One span of expected trouble."""
    return {
        "id": one.id,
        "component": str(one.component),
        "starts_in_s": round(one.start - now, 3),
        "ends_in_s": round(one.end - now, 3),
        "active": one.start <= now < one.end,
        "reason": one.reason,
    }


def iteration(one: Pass) -> dict[str, Any]:
    """One pass that decided something."""
    return {
        "id": one.id,
        "number": one.number,
        "epoch": one.epoch,
        "at_utc": one.at_utc,
        "readings": one.readings,
        "phase_s": plain(one.phase_s),
        "errors": plain(one.errors),
        "symptoms": [_symptom(symptom, one.at) for symptom in one.symptoms],
        "verdicts": plain(one.verdicts),
        "plans": list(one.plans),
        "actions": [{"id": ident, "state": state} for ident, state in one.actions],
        "events": list(one.events),
        "anomalies": one.anomalies,
        "risks": one.risks,
    }


def link_id(link: LinkView) -> str:
    """What tells a directed link from all others: SOURCE:INTERFACE>TARGET."""
    return f"{link.source}:{link.interface}>{link.target}"


def link(one: LinkView) -> dict[str, Any]:
    """One directed link."""
    return {"id": link_id(one), **plain(one)}


def risk(value: Risk) -> dict[str, Any]:
    """One latent risk."""
    return dict(plain(value))


def status(snapshot: Snapshot, files: list[IncidentFile]) -> dict[str, Any]:
    """The mesh at a glance."""
    view, iteration = snapshot.view, snapshot.iteration
    open_files = [file for file in files if file.incident.state is not IncidentState.CLOSED]
    states = [node.state for node in view.nodes]
    return {
        "backend": view.backend,
        "algorithm": view.algorithm,
        "seat": view.seat,
        "iteration": iteration.number,
        "passes": snapshot.passes,
        "health": "well" if not open_files else "degraded",
        "nodes": {state: states.count(state) for state in sorted(set(states))},
        "node_list": plain(view.nodes),
        "links": [link(one) for one in view.links],
        "clients": plain(view.clients),
        "faults": plain(view.faults),
        "symptoms": [_symptom(symptom, iteration.at) for symptom in iteration.symptoms],
        "incidents_open": [incident_row(file, iteration.at) for file in open_files],
        "risks": [risk(value) for value in snapshot.risks],
        "sensor_errors": dict(iteration.errors),
        "paused": view.control.paused,
        "kill_switch": view.control.kill_switch,
    }


def node(snapshot: Snapshot, name: str, files: list[IncidentFile]) -> dict[str, Any] | None:
    """One node with its links and the open incidents that name it; None where the mesh has no such node."""
    found = next((node for node in snapshot.view.nodes if node.name == name), None)
    if found is None:
        return None
    links = [link(one) for one in snapshot.view.links if name in (one.source, one.target)]
    mine = [f for f in files if f.incident.state is not IncidentState.CLOSED and _names(f, name)]
    return {
        **plain(found),
        "links": links,
        "incidents_open": [incident_row(file, snapshot.iteration.at) for file in mine],
        "risks": [risk(value) for value in snapshot.risks if value.component.name.split(":")[0] == name],
    }


def _names(file: IncidentFile, name: str) -> bool:
    text = file.incident.cause.component.name
    for separator in "<>,":
        text = text.replace(separator, " ")
    return name in {part.split(":")[0] for part in text.split()}
