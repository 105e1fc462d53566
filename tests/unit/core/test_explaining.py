# ruff: noqa: RUF001  # Russian letters are meant to be here
"""Explanations of a real loop's incidents, as a client of the API gets them."""

import asyncio
import re
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest

from driven import Driven, served, until
from hand_made import CAUSE, LINK, OTHER, Canned, action, event, incident, iteration, view
from x0tta6bl4.core import alerts, explaining
from x0tta6bl4.core.archive import Memory
from x0tta6bl4.core.knowledge_base import KnowledgeBase
from x0tta6bl4.core.places import MeshPlaces
from x0tta6bl4.core.readers import IncidentFile, Readers, action_of
from x0tta6bl4.core.samples import Samples
from x0tta6bl4.core.setting_groups import ExplanationSettings
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.core.view import InterfaceView, LinkView, NodeView
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.ml.explanation import Quote
from x0tta6bl4.ml.place import Place, Role
from x0tta6bl4.ml.rag import RAGAnalyzer
from x0tta6bl4.ml.retrieval.incidents import incident_document
from x0tta6bl4.ml.retrieval.values import Document
from x0tta6bl4.ml.similar import fingerprint
from x0tta6bl4.model import ActionState, Cause, Component, Event, IncidentState


@pytest.fixture
def client(tmp_path):
    with served(Settings(store={"directory": str(tmp_path)}), Canned()) as opened:
        yield opened


def path(client):
    return f"/v1/incidents/{client.get('/v1/incidents').json()['items'][0]['id']}/explanation"


def test_it_has_sentences_that_all_cite_and_the_text_of_them(client):
    told = client.get("/v1/incidents/i1/explanation").json()
    numbers = {one["number"] for one in told["citations"]}
    assert all(one["citations"] and set(one["citations"]) <= numbers for one in told["sentences"])
    assert told["sentences"][0]["section"] == "wrong"
    assert told["summary"].startswith("link-lossy at link n1:v1-2<>n2:v2-1")
    assert all(f"- {one['text']} [" in told["text"] for one in told["sentences"])
    assert "## What fixes it" in told["runbook"]
    assert (told["language"], told["rewrite"], told["similar"]) == ("en", None, [])
    assert {"source": "reading", "id": "sensor/netlink"}.items() <= next(
        one for one in told["citations"] if one["id"].startswith("sensor")
    ).items()


def test_the_same_bytes_whenever_it_is_asked(client):
    first = client.get("/v1/incidents/i1/explanation").content
    client.app.state.x0t.publish(iteration(7, 99.0, errors={"netlink": "timed out"}), view(99.0))
    assert client.get("/v1/incidents/i1/explanation").content == first


@pytest.mark.parametrize(
    ("query", "header", "language"),
    [
        ({}, "", "en"),
        ({"language": "ru"}, "", "ru"),
        ({}, "ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        ({"language": "en"}, "ru", "en"),
        ({}, "de, en;q=0.1, ru;q=0", "en"),
        ({}, ";;,q=,ru;q=nan,=;", "en"),
    ],
)
def test_the_language_is_asked_for_or_negotiated(client, query, header, language):
    told = client.get("/v1/incidents/i1/explanation", params=query, headers={"accept-language": header}).json()
    assert told["language"] == language
    assert told["text"].startswith({"en": "What is wrong", "ru": "Что случилось"}[language])


def test_an_unknown_language_or_incident_is_refused(client):
    assert client.get("/v1/incidents/i1/explanation", params={"language": "de"}).status_code == 422
    assert client.get("/v1/incidents/zz/explanation").status_code == 404


def test_without_an_endpoint_it_says_so_and_stays_as_it_is(client):
    plain = client.get("/v1/incidents/i1/explanation").json()
    told = client.get("/v1/incidents/i1/explanation", params={"rewrite": "true"}).json()
    assert "explanation.endpoint is empty" in told.pop("rewrite")["problem"]
    assert told == {key: value for key, value in plain.items() if key != "rewrite"}


@contextmanager
def model(answer):
    """A server that streams an answer to whatever it is asked."""
    ready, done, heard = threading.Event(), asyncio.Event(), []

    async def serve(reader, writer):
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + answer)
        await writer.drain()
        writer.close()

    async def run():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        held.update(port=server.sockets[0].getsockname()[1], loop=asyncio.get_running_loop())
        ready.set()
        await done.wait()
        server.close()

    held = {}
    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    ready.wait(5)
    yield f"http://127.0.0.1:{held['port']}/v1", heard
    held["loop"].call_soon_threadsafe(done.set)
    thread.join(5)


def test_a_configured_model_is_asked_with_its_key_and_judged(tmp_path):
    (tmp_path / "key").write_text("sesame\n")
    (tmp_path / "key").chmod(0o600)
    words = ("Link n1:v1-2<>n2:v2-1 loses packets in both directions. [1]\\nThe incident was opened 0.5 s after the "
             "first sign. [2]\\nn9 exploded. [1]")  # fmt: skip
    answer = b'data: {"choices":[{"delta":{"content":"' + words.encode() + b'"}}]}\n\ndata: [DONE]\n\n'
    with model(answer) as (url, heard):
        explanation = {"endpoint": url, "model": "m", "key_file": str(tmp_path / "key"), "timeout_s": 5.0}
        settings = Settings(store={"directory": str(tmp_path)}, explanation=explanation)
        with served(settings, Canned()) as client:
            client.get("/v1/incidents/i1/explanation")
            assert heard == []  # nobody is asked unless a client wants it
            told = client.get("/v1/incidents/i1/explanation", params={"rewrite": "true"}).json()
    assert told["rewrite"] == {"used": True, "dropped": 1, "problem": ""}
    assert len(told["sentences"]) == 2
    assert "exploded" not in told["text"]
    assert b"authorization: bearer sesame" in heard[0].lower()


def test_a_repeat_is_recognised_with_what_helped(tmp_path):
    with served(Settings(store={"directory": str(tmp_path)}), Driven(tmp_path)) as client:
        until(lambda: client.get("/v1/ready").status_code == 200)
        client.source.bench.web.demand = 2.0
        first = until(lambda: client.get("/v1/incidents", params={"state": "open"}).json()["items"])[0]["id"]
        assert client.post(f"/v1/incidents/{first}/close", json={"reason": "known"}).status_code == 200
        others = {"state": "open"}
        second = until(lambda: client.get("/v1/incidents", params=others).json()["items"])[0]["id"]
        told = client.get(f"/v1/incidents/{second}/explanation").json()
    assert [(one["incident"], one["repeat"]) for one in told["similar"]] == [(first, True)]
    before = [one["text"] for one in told["sentences"] if one["section"] == "before"]
    assert re.match(r"The same was seen once, last on \d{4}-\d\d-\d\d", before[0])


def test_history_comes_from_memory_where_there_is_no_store():
    readers = Readers()
    past = replace(incident("i0", IncidentState.CLOSED, 20.0), opened_utc=1_000_000.0)
    done = replace(action(ActionState.CONFIRMED, "a0"), incident="i0", applied_at=10.2, confirmed_at=12.0)
    now = replace(incident("i1"), opened_utc=1_090_000.0)
    readers.publish(iteration(1, incidents=(past, now), actions=(done,)), view())
    facts = explaining.facts_of(readers.incident("i1"), Memory(readers, Samples()), readers.snapshot())
    assert [one.past.incident for one in facts.past] == ["i0"]
    assert "set_hop_penalty" in explaining.explained(facts, "ru").text()


def news(state, at):
    data = {"id": "x", "kind": "detach-interface", "target": "interface/n1:v1-2", "state": state, "detail": state}
    return Event(0, at, "n1", f"action.{state}", "i1", "interface/n1:v1-2", data)


def test_an_agents_action_is_remembered_as_proven_when_it_is_taken_back():
    readers = Readers()
    events = [news("applied", 10.5), news("confirmed", 12.0), news("undoing", 30.0), news("undone", 30.5)]
    readers.publish(iteration(1, incidents=(incident(),), events=(event(), *events)), view())
    (record,) = readers.incident("i1").actions
    assert (record.state, record.applied_at, record.confirmed_at) == (ActionState.UNDONE, 10.5, 12.0)
    lost = action_of(news("confirmed", 12.0))
    assert (lost.applied_at, lost.confirmed_at) == (12.0, 12.0)


@pytest.mark.parametrize(
    ("component", "place"),
    [
        ("node/n2", Place(frozenset({Role.CUT_VERTEX}), 2, 1, ring=False)),
        ("interface/n1:v1-2", Place(frozenset({Role.PRIMARY, Role.SEAT, Role.LEAF}), 1, 0, ring=False)),
        ("link/n2:v2-3>n3:v3-2", Place(frozenset({Role.BRIDGE, Role.CUT_VERTEX, Role.LEAF}), 2, 1, ring=False)),
        ("adjacency/n1:v1-2<>n2:v2-1",
         Place(frozenset({Role.PRIMARY, Role.SEAT, Role.BRIDGE, Role.CUT_VERTEX, Role.LEAF}), 2, 0, ring=False)),
        ("partition/n2,n3", Place(frozenset({Role.CUT_VERTEX, Role.LEAF}), 2, 1, ring=False)),
        ("service/web", Place()),
    ],
)  # fmt: skip
def test_the_place_of_each_kind_of_component_in_a_line_of_three(component, place):
    mesh = replace(
        view(),
        nodes=(NodeView("n1", "well", interfaces=(InterfaceView("v1-2", primary=True),)), NodeView("n2", "well")),
        links=(LinkView("n1", "n2", "v1-2", "well"), LinkView("n3", "n2", "v3-2", "well")),
        seat="n1",
    )
    assert MeshPlaces(mesh).of(Component.parse(component)) == place


def test_an_alert_is_described_in_the_language_that_is_set():
    described = alerts.outgoing(incident(), 0.0, "ru")["annotations"]["description"]
    assert described.startswith(f"link-lossy, линк {LINK.name}: линк теряет пакеты в обе стороны")


def test_an_endpoint_is_off_by_default_and_its_key_stays_here(tmp_path):
    assert explaining.endpoint_of(ExplanationSettings()) is None
    key = tmp_path / "key"
    key.write_text("sesame")
    key.chmod(0o644)
    with pytest.raises(ConfigError, match=r"explanation\.key_file: got .* with mode 0644"):
        explaining.endpoint_of(ExplanationSettings(endpoint="https://x/v1/", key_file=str(key)))
    key.chmod(0o600)
    made = explaining.endpoint_of(ExplanationSettings(endpoint="https://x/v1/", key_file=str(key)))
    assert (made.url, made.key) == ("https://x/v1", "sesame")
    with pytest.raises(ConfigError, match=r"explanation\.endpoint: got 'http://far/v1', allowed: https"):
        ExplanationSettings(endpoint="http://far/v1", key_file=str(key))
    assert ExplanationSettings(endpoint="http://far/v1").endpoint == "http://far/v1"
    assert ExplanationSettings(endpoint="http://[::1]:8080/v1", key_file="k").key_file == "k"


class Known:
    """Asked like `core.knowledge_base.KnowledgeBase`, over documents that are there at once."""

    def __init__(self, *documents):
        self.rag = RAGAnalyzer()
        asyncio.run(self.rag.index_knowledge(documents))

    async def ask(self, call, within_s):
        return await call(self.rag)


def test_texts_of_past_incidents_count_where_there_is_a_knowledge_base():
    near = Document("incidents/a", "link-lossy: both ends miss hellos", {"kind": "incident", "incident": "a"})
    far = Document("incidents/b", "The battery of the tower was empty.", {"kind": "incident", "incident": "b"})
    page = Document("page", "link-lossy: both ends miss hellos", {"kind": "cause"})
    found = asyncio.run(explaining.remembered(incident(), Known(near, far, page))).texts
    assert found.keys() <= {"a", "b"}
    assert found["a"] > found.get("b", 0.0)


def test_without_a_knowledge_base_fingerprints_alone_count():
    assert asyncio.run(explaining.remembered(incident(), KnowledgeBase())).texts == {}


def elsewhere(ident, utc):
    link = Component("adjacency", "n7:a<>n8:b")
    made = incident(ident, IncidentState.CLOSED, 20.0, replace(CAUSE, component=link))
    return replace(made, opened_utc=utc)


@pytest.mark.parametrize("state", [IncidentState.CLOSED, IncidentState.OPEN])
def test_an_incident_remembers_what_was_before_it_however_many_came_since(state):
    readers = Readers()
    end = 20.0 if state is IncidentState.CLOSED else None
    mine = replace(incident("mine", state, end), opened_utc=1_010_000.0)
    newer = [elsewhere(f"z{number}", 1_100_000.0 + number) for number in range(explaining.OTHERS_MAX + 1)]
    readers.publish(iteration(1, incidents=(elsewhere("old", 1_000_000.0), mine, *newer)), view())
    facts = explaining.facts_of(readers.incident("mine"), Memory(readers, Samples()), readers.snapshot())
    assert [one.past.incident for one in facts.past] == ["old"]


def test_a_past_incident_is_seen_in_the_mesh_as_it_was():
    file = IncidentFile(elsewhere("old", 1_000_000.0))
    whole = replace(fingerprint(file.incident, (), Place(frozenset({Role.BRIDGE}), 3, 1)), algorithm="BATMAN_V")
    kept = incident_document(file.incident, (), {}, explaining.CATALOG, whole)
    known = asyncio.run(explaining.remembered(incident(), Known(kept)))
    readers = Readers()
    readers.publish(iteration(1, incidents=(replace(incident("i1"), opened_utc=1_010_000.0),)), view())
    facts = explaining.facts_of(readers.incident("i1"), Memory(readers, Samples()), readers.snapshot(), known)
    assert [one.past for one in facts.past] == [whole]  # history has forgotten it, the knowledge base has not


NOTE = Document(
    "notes/a", "The link between n1 and n2 loses packets when it rains: both ends miss hellos. Turn the dish.",
    {"kind": "note", "source": "notes", "title": "Rain"},
)  # fmt: skip
WIKI = Document(
    "pages/wiki/dish.md", "# Dish\nAsk Anna for the key.", {"source": "pages/wiki", "runbook_url": "https://w/d"}
)


def told_with(known):
    readers = Readers()
    readers.publish(iteration(1, incidents=(incident(),)), view())
    facts = explaining.facts_of(readers.incident("i1"), Memory(readers, Samples()), readers.snapshot(), known)
    return explaining.explained(facts, "en").text()


def test_operators_own_pages_are_quoted_where_one_fits():
    knowledge = Known(NOTE, Document("notes/b", "Anna keeps the keys.", {"kind": "note", "source": "notes"}))
    said = [told_with(asyncio.run(explaining.remembered(incident(), knowledge))) for _ in range(2)]
    assert "Your own page “Rain” says: “The link between n1 and n2 loses packets" in said[0]
    assert "passage notes/a#0" in said[0]
    assert said[0] == said[1]
    other = Known(Document("notes/b", "Anna keeps the keys.", {"kind": "note", "source": "notes"}))
    assert "Your own page" not in told_with(asyncio.run(explaining.remembered(incident(), other)))


def test_an_alert_about_the_same_node_leads_to_a_page_that_is_known():
    alert = {"labels": {"instance": "n2:9100"}, "annotations": {"runbook_url": "https://w/d"}}
    known = asyncio.run(explaining.remembered(incident(), Known(NOTE, WIKI), [alert]))
    assert known.own == Quote("pages/wiki/dish.md#0", "Dish", "Ask Anna for the key.")
    far = {**alert, "labels": {"instance": "n9:9100"}}
    assert asyncio.run(explaining.remembered(incident(), Known(NOTE, WIKI), [far])).own.title == "Rain"


def test_a_cause_at_a_part_of_what_is_broken_is_no_other_explanation():
    links = [Cause("link-down", Component("link", name), 1.0, ()) for name in ("n1:v1-2>n2:v2-1", "n2:v2-1>n1:v1-2")]
    readers, there = Readers(), incident()
    dead = replace(there, diagnosis=replace(there.diagnosis, causes=(CAUSE, *links, OTHER)))
    readers.publish(iteration(1, incidents=(dead,)), view())
    facts = explaining.facts_of(readers.incident("i1"), Memory(readers, Samples()), readers.snapshot())
    assert [(one.code, one.component) for one in facts.rivals] == [("link-down", str(LINK))]


def test_an_alert_cites_what_it_says_and_gives_no_path_that_nobody_can_follow():
    sent = alerts.outgoing(incident(), 0.0, "en")
    said, sources = sent["annotations"]["description"].split("\n")
    assert "[1]" in said
    assert sources.startswith("Sources: [1] incident i1; [2] reading adjacency/")
    assert "generatorURL" not in sent
    assert alerts.shown(sent, alerts.OWN, 0.0)["generatorURL"] == "/v1/incidents/i1"
