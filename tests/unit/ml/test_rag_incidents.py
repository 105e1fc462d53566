"""A closed incident becomes a document that the next incident of its kind finds."""

import asyncio

import pytest

from x0tta6bl4.errors import ConfigError
from x0tta6bl4.ml.rag import RAGAnalyzer
from x0tta6bl4.ml.retrieval.incidents import incident_document
from x0tta6bl4.model import (
    Action,
    ActionRecord,
    ActionState,
    Cause,
    Component,
    Diagnosis,
    Incident,
    IncidentState,
    Symptom,
)
from x0tta6bl4.network.catalog import mesh_catalog

LINK = Component("link", "n1:v1-2>n2:v2-1")
CATALOG = mesh_catalog()


def incident(**changes):
    rule = next(rule for rule in CATALOG.causes if rule.kind == "link")
    symptom = CATALOG.symptoms[0].code
    cause = Cause(
        rule.code, LINK, 0.9, (Symptom(symptom, LINK, 10.0, 1, 0.5, "x"),) * 2, behind=(Component("node", "n9"),)
    )
    values = {
        "id": "i1", "origin": "c", "seq": 1, "opened_at": 12.0, "diagnosis": Diagnosis((cause,), 12.0), "since": 10.0,
        "state": IncidentState.CLOSED, "closed_at": 15.5, "opened_utc": 1000.0, "note": "a stork on the mast",
    }  # fmt: skip
    return Incident(**{**values, **changes})


def action(identity, **changes):
    kind = CATALOG.actions[0].kind
    values = {"id": identity, "incident": "i1", "attempt": 1, "action": Action(kind, LINK), "at": 13.0,
              "state": ActionState.CONFIRMED, "proposed_at": 12.5, "applied_at": 13.0}  # fmt: skip
    return ActionRecord(**{**values, **changes})


def test_what_was_seen_tried_and_helped_is_told():
    records = [action("a"), action("b"), action("refused", applied_at=None)]
    told = incident_document(incident(), records, {"a": False, "b": True}, CATALOG)
    kind = CATALOG.actions[0].kind
    assert told.id == "incidents/i1"
    assert told.timestamp == 1003.5
    assert {key: told.metadata[key] for key in ("symptoms", "behind", "tried", "helped", "duration_s")} == {
        "symptoms": [CATALOG.symptoms[0].code],
        "behind": 1,
        "tried": [kind, kind],
        "helped": [kind],
        "duration_s": 5.5,
    }
    assert told.content.count("it did not help") == 1
    assert told.content.count("it helped") == 1
    assert "a stork on the mast" in told.content


def test_an_open_incident_is_refused():
    with pytest.raises(ConfigError, match=r"incident\.state: got 'open', allowed: closed"):
        incident_document(incident(state=IncidentState.OPEN, closed_at=None), [], {}, CATALOG)


def test_the_next_one_finds_it():
    knowledge = RAGAnalyzer()
    asyncio.run(knowledge.index_knowledge([incident_document(incident(), [], {}, CATALOG)]))
    found = asyncio.run(knowledge.retrieve_context("stork on the mast", where={"kind": "incident"}))
    assert found[0].metadata["incident"] == "i1"
    assert "Nothing was tried" in found[0].content
