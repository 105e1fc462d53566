"""Past incidents: fingerprints, what is alike, what helped."""

import asyncio
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x0tta6bl4.errors import ProtocolError
from x0tta6bl4.ml.place import Place, Places, Role
from x0tta6bl4.ml.rag import RAGAnalyzer
from x0tta6bl4.ml.retrieval.values import Document
from x0tta6bl4.ml.similar import (
    LIKE,
    LIKE_MAX,
    Fingerprint,
    Remedy,
    Tried,
    fingerprint,
    record,
    similar,
    text_similarity,
)
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

DAY = 86_400.0
NOW = 1_790_000_000.0
WHERE = "adjacency/n2:v2-3<>n3:v3-2"
DETACH = Tried("detach-interface", "interface/n3:v3-2", helped=True, after_s=2.1)


def past(ident, days=1.0, **changes):
    values = {"cause": "link-down", "component": WHERE, "symptoms": frozenset({"link-silent"}), "tried": (DETACH,),
              "open_s": 12.0, "ended_utc": NOW - days * DAY}  # fmt: skip
    return Fingerprint(ident, **{**values, **changes})


THIS = past("now", ended_utc=0.0, open_s=None, tried=())


def test_the_same_cause_at_the_same_component_is_a_repeat_newest_first():
    other = past("other", cause="mtu", component="node/n9", symptoms=frozenset("x"))
    history = [past("old", 400.0), past("new", 1.0), other]
    found = similar(THIS, history, NOW)
    assert [(one.past.incident, one.repeat) for one in found] == [("new", True), ("old", True)]


def test_an_incident_is_not_like_itself_nor_like_what_is_open_or_came_later():
    later, still = past("later", -1.0), past("open", ended_utc=0.0)
    assert similar(THIS, [replace(past("x"), incident="now"), later, still], NOW) == []


def test_others_are_alike_by_cause_symptoms_and_place_and_fade_with_age():
    near = past("near", component="adjacency/n4:v4-5<>n5:v5-4")
    far = past("far", component="node/n4", symptoms=frozenset({"mtu-short"}), cause="interface-mtu-low")
    aged = replace(near, incident="aged", ended_utc=NOW - 30 * DAY)
    gone = replace(near, incident="gone", cause="link-lossy", ended_utc=NOW - 400 * DAY)
    found = similar(THIS, [far, aged, near, gone], NOW)
    assert [one.past.incident for one in found] == ["near", "aged"]
    assert found[0].score > found[1].score >= LIKE
    assert not any(one.repeat for one in found)


def test_a_different_part_in_the_graph_makes_it_less_alike():
    other = past("a", component="adjacency/n4:v4-5<>n5:v5-4", place=Place(frozenset({Role.BRIDGE}), 1, 5, ring=False))
    same = replace(other, incident="b", place=THIS.place)
    scores = {one.past.incident: one.score for one in similar(THIS, [other, same], NOW)}
    assert scores["b"] > scores.get("a", 0.0)


def test_text_that_a_retriever_measured_counts_too():
    one, two = (past(name, component=f"adjacency/{name}:x<>{name}:y") for name in ("a", "b"))
    assert [s.past.incident for s in similar(THIS, [one, two], NOW)] == ["a", "b"]
    found = similar(THIS, [one, two], NOW, {"b": 0.9, "a": 0.2})
    assert [s.past.incident for s in found] == ["b", "a"]


def test_a_search_gives_text_similarity_by_incident():
    async def searched():
        knowledge = RAGAnalyzer()
        await knowledge.index_knowledge(
            [
                Document(
                    "incidents/i1", "A stork sits on the mast of the tower.", {"kind": "incident", "incident": "i1"}
                ),
                Document("incidents/i2", "The power adapter is broken.", {"kind": "incident", "incident": "i2"}),
                Document("page", "Storks on masts and what to do about them.", {"kind": "page"}),
            ]
        )
        return text_similarity(await knowledge.retrieve_context("stork on the mast", threshold=0.0))

    found = asyncio.run(searched())
    assert found.keys() <= {"i1", "i2"}
    assert found["i1"] > found.get("i2", 0.0)


def test_what_helped_is_counted_with_its_target_among_repeats_and_without_elsewhere():
    failed = Tried("set-hop-penalty", "interface/n2:v2-3", helped=False)
    unknown = Tried("restore-mtu", "interface/n2:v2-3", helped=None)
    repeats = similar(THIS, [past("a", 1), past("b", 2), past("c", 3, tried=(DETACH, failed)),
                             past("d", 4, tried=(unknown,))], NOW)  # fmt: skip
    told = record(repeats)
    assert (told.times, told.more, told.last_utc, told.median_s) == (4, False, NOW - DAY, 2.1)
    assert told.remedies == (
        Remedy("detach-interface", "interface/n3:v3-2", 3, 3),
        Remedy("set-hop-penalty", "interface/n2:v2-3", 0, 1),
    )
    elsewhere = similar(THIS, [past("e", component="adjacency/n4:v4-5<>n5:v5-4")], NOW)
    assert record(elsewhere).remedies == (Remedy("detach-interface", "", 1, 1),)
    assert record([]) == type(told)(0, False, 0.0, (), None)


def test_no_more_than_a_handful_of_others_is_shown():
    history = [past(str(n), component=f"adjacency/n{n}:a<>n{n + 1}:b") for n in range(40)]
    found = similar(THIS, history, NOW)
    assert len(found) == LIKE_MAX
    assert record(found).more


ROLES = st.frozensets(st.sampled_from(list(Role)))
PLACES = st.builds(
    Place, ROLES, st.none() | st.integers(0, 9), st.none() | st.integers(0, 9), st.none() | st.booleans()
)
TRIED = st.builds(Tried, st.text(), st.text(), st.none() | st.booleans(), st.none() | st.floats(0, 1e6))
PRINTS = st.builds(
    Fingerprint, st.text(), st.sampled_from(["a", "b"]), st.sampled_from(["node/x", "link/y", "z"]),
    st.frozensets(st.text(max_size=3), max_size=3), PLACES, st.integers(0, 9), st.text(max_size=3),
    st.tuples(TRIED), st.none() | st.floats(0, 1e6), st.floats(0, 2 * NOW),
)  # fmt: skip


@given(PRINTS)
def test_a_fingerprint_survives_json(one):
    assert Fingerprint.decode(json.loads(json.dumps(one.encode()))) == one


@given(PRINTS, st.lists(PRINTS, max_size=8))
def test_similarity_is_a_share_and_the_order_of_history_does_not_matter(one, history):
    named = [replace(past, incident=f"p{index}") for index, past in enumerate(history)]
    found = similar(one, named, NOW)
    assert all(LIKE <= each.score <= 1 for each in found)
    assert [e.past.incident for e in found] == [e.past.incident for e in similar(one, named[::-1], NOW)]


@pytest.mark.parametrize(
    "document",
    [{}, {"version": 2}, {"version": 1}, {**THIS.encode(), "more": 1}, {**THIS.encode(), "place": 3},
     {**THIS.encode(), "place": {"roles": ["king"]}}, {**THIS.encode(), "tried": [{"kind": 1}]}],
)  # fmt: skip
def test_what_is_no_fingerprint_is_refused(document):
    with pytest.raises(ProtocolError, match="fingerprint"):
        Fingerprint.decode(document)


LINK = Component.parse(WHERE)


def incident(**changes):
    cause = Cause("link-down", LINK, 0.9, (Symptom("link-silent", LINK, 10.0, 400, 350, "silence_ms"),))
    values = {"id": "i1", "origin": "c", "seq": 1, "opened_at": 12.0, "diagnosis": Diagnosis((cause,), 12.0),
              "since": 10.0, "opened_utc": 1000.0}  # fmt: skip
    return Incident(**{**values, **changes})


def action(ident, state, **times):
    return ActionRecord(ident, "i1", 1, Action("detach-interface", LINK), state, 14.0, 12.5, **times)


def test_a_fingerprint_is_taken_of_what_was_done_and_what_came_of_it():
    records = [
        action("a", ActionState.CONFIRMED, applied_at=12.6, confirmed_at=13.0),
        action("b", ActionState.UNDONE, applied_at=12.6),
        action("c", ActionState.REFUSED),
    ]
    closed = incident(state=IncidentState.CLOSED, closed_at=20.0)
    told = fingerprint(closed, records, Place(), "BATMAN_IV")
    assert told.tried == (
        Tried("detach-interface", WHERE, helped=True, after_s=3.0),
        Tried("detach-interface", WHERE, helped=False),
    )
    assert (told.open_s, told.ended_utc, told.algorithm) == (10.0, 1008.0, "BATMAN_IV")
    still = fingerprint(incident(), records, Place())
    assert (still.open_s, still.ended_utc, still.tried[0].helped) == (None, 0.0, None)


def nodes(*pairs):
    found = {}
    for one, other in pairs:
        a, b = Component("node", one), Component("node", other)
        found.setdefault(a, set()).add(b)
        found.setdefault(b, set()).add(a)
    return found


@pytest.mark.parametrize(
    ("vertices", "place"),
    [
        ("a", Place(frozenset({Role.SEAT}), 2, 0, ring=True)),
        ("c", Place(frozenset({Role.CUT_VERTEX}), 3, 1, ring=True)),
        ("d", Place(frozenset({Role.LEAF}), 1, 2, ring=False)),
        ("ab", Place(frozenset({Role.SEAT}), 2, 0, ring=True)),
        ("cd", Place(frozenset({Role.BRIDGE, Role.CUT_VERTEX, Role.LEAF}), 3, 1, ring=False)),
        ("x", Place()),
    ],
)
def test_the_place_in_a_triangle_with_a_tail(vertices, place):
    places = Places(nodes("ab", "bc", "ca", "cd"), Component("node", "a"))
    known = [Component("node", name) for name in vertices]
    assert (places.link(*known) if len(known) == 2 else places.part(known)) == place


def test_a_primary_interface_is_one_wherever_it_is():
    assert Places({}).part([], primary=True) == Place(frozenset({Role.PRIMARY}))
