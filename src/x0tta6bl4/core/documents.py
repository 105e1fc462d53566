"""Model values as plain JSON documents, the same for the API, `--json` and the logs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from enum import Enum
from typing import Any

from x0tta6bl4.core.readers import IncidentFile, Numbered, Snapshot
from x0tta6bl4.model import ActionRecord, Component, Incident, IncidentState, Plan, Risk

ACTED = ("applied", "proving", "confirmed", "undoing", "undone", "undo failed")


def plain(value: object) -> Any:
    """`value` in what JSON knows; components as KIND/NAME, NaN and infinities as null."""
    if isinstance(value, Component):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value if isinstance(value, str | int | bool) or value is None else str(value)


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
        "severity": _severity(incident),
        "age_s": round(max(0.0, now - incident.opened_at), 3),
        "detect_s": round(max(0.0, incident.opened_at - incident.since), 3),
        "open_s": round((now if incident.closed_at is None else incident.closed_at) - incident.opened_at, 3),
        "action": first.action.kind if first else None,
        "action_target": str(first.action.target) if first else None,
        "action_state": first.state.value if first else None,
        "proof": first.detail if first else None,
    }


def _severity(incident: Incident) -> str:
    order = ["info", "minor", "major", "critical"]
    return max((s.severity.value for s in incident.cause.explains), key=order.index, default="info")


def incident(file: IncidentFile, now: float) -> dict[str, Any]:
    """One incident with its evidence, what else it could have been, its actions and its timeline."""
    cause = file.incident.cause
    return {
        **incident_row(file, now),
        "opened_utc": file.incident.opened_utc or None,
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
        "plans": [_plan(plan, now) for plan in file.plans],
        "actions": [_action(action, now) for action in file.actions],
        "timeline": [event(numbered, now) for numbered in file.events],
    }


def _symptom(symptom: Any, now: float) -> dict[str, Any]:
    document = plain(symptom)
    document["since_age_s"] = round(max(0.0, now - document.pop("since")), 3)
    return dict(document)


def _plan(plan: Plan, now: float) -> dict[str, Any]:
    document = plain(plan)
    document["age_s"] = round(max(0.0, now - document.pop("at")), 3)
    return dict(document)


def _action(action: ActionRecord, now: float) -> dict[str, Any]:
    return {
        "id": action.id,
        "kind": action.action.kind,
        "target": str(action.action.target),
        "parameters": plain(action.action.parameters),
        "state": action.state.value,
        "attempt": action.attempt,
        "age_s": round(max(0.0, now - action.proposed_at), 3),
        "lease": action.lease,
        "before": plain(action.before),
        "detail": action.detail,
    }


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
        "links": plain(view.links),
        "clients": plain(view.clients),
        "faults": plain(view.faults),
        "symptoms": [_symptom(symptom, iteration.at) for symptom in iteration.symptoms],
        "incidents_open": [incident_row(file, iteration.at) for file in open_files],
        "risks": [risk(value) for value in snapshot.risks],
        "sensor_errors": dict(iteration.errors),
    }


def node(snapshot: Snapshot, name: str, files: list[IncidentFile]) -> dict[str, Any] | None:
    """One node with its links and the open incidents that name it; None where the mesh has no such node."""
    found = next((node for node in snapshot.view.nodes if node.name == name), None)
    if found is None:
        return None
    links = [link for link in snapshot.view.links if name in (link.source, link.target)]
    mine = [f for f in files if f.incident.state is not IncidentState.CLOSED and _names(f, name)]
    return {
        **plain(found),
        "links": plain(links),
        "incidents_open": [incident_row(file, snapshot.iteration.at) for file in mine],
        "risks": [risk(value) for value in snapshot.risks if value.component.name.split(":")[0] == name],
    }


def _names(file: IncidentFile, name: str) -> bool:
    text = file.incident.cause.component.name
    for separator in "<>,":
        text = text.replace(separator, " ")
    return name in {part.split(":")[0] for part in text.split()}
