"""What the API tells: every operation as its document declares it, pages, ETags, ways, alerts."""

import json
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import jsonschema
import pytest

from driven import Driven, knowing, served, until
from hand_made import incident, iteration, troubled, view
from x0tta6bl4.core import alerts, netjson, routing, snapshots
from x0tta6bl4.core.app import create_app
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.core.snapshots import matches
from x0tta6bl4.core.view import LinkView, NodeView
from x0tta6bl4.model import IncidentState

DOCUMENT = create_app(source=None).openapi()
OPERATIONS = {
    operation["operationId"]: (verb, path, operation)
    for path, item in DOCUMENT["paths"].items()
    for verb, operation in item.items()
}


@pytest.fixture(params=["memory", "store"])
def client(request, tmp_path):
    settings = Settings(store={"directory": str(tmp_path)})
    with served(settings, Driven(tmp_path if request.param == "store" else None)) as opened:
        opened.source.bench.web.demand = 2.0
        opened.known = healed(opened)
        yield opened


def healed(client):
    """The plan that was approved and has helped."""
    plan = until(lambda: client.get("/v1/plans", params={"state": "awaiting approval"}).json()["items"])[0]
    client.post(f"/v1/plans/{plan['id']}/approve", json={})
    until(lambda: client.get(f"/v1/actions/{plan['action']}").json()["state"] == "confirmed")
    return plan


def declared(name, response):
    operation = OPERATIONS[name][2]
    content = operation["responses"][str(response.status_code)]["content"]
    schema = {**content[response.headers["content-type"].split(";")[0]]["schema"], "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(schema).validate(response.json())
    return response.json()


QUERIES = {
    "get_routes": {"source": "n1", "target": "n2"},
    "get_readings": {"component": "service/web", "metric": "latency_ms"},
    "list_incidents": {"state": "mitigated", "cause": "overload", "component": "queue/orders"},
    "list_actions": {"kind": "shed-load"},
    "search_knowledge": {"q": "packets are lost on a link"},
}


def test_every_read_is_as_declared(client):
    known = client.known
    knowing(client)
    number = client.get("/v1/iterations").json()["items"][0]["id"]
    idents = {
        "get_iteration": number,
        "get_plan": known["id"],
        "get_action": known["action"],
        "get_passage": "runbooks/link-lossy.md",
    }
    for name, (verb, path, _) in OPERATIONS.items():
        if verb == "get" and name != "events":
            ident = idents.get(name, known["incident"])
            filled = path.replace("{id}", ident).replace("{name}", "n1")
            response = client.get(filled, params=QUERIES.get(name))
            assert response.status_code == 200, (name, response.text)
            document = declared(name, response)
            if "items" in document and name not in ("list_faults", "list_windows", "get_inventory"):
                assert document["items"], name


def test_the_document_is_whole():
    assert DOCUMENT["openapi"].startswith("3.1")
    assert len(OPERATIONS) >= 45
    for name, (_, _, operation) in OPERATIONS.items():
        good = next(response for status, response in operation["responses"].items() if status.startswith("2"))
        assert operation["description"], name
        media, content = next(iter(good["content"].items()))
        assert "example" in content, name
        if media == "application/json":
            schema = {**content["schema"], "components": DOCUMENT["components"]}
            jsonschema.Draft202012Validator(schema).validate(content["example"])
        for parameter in operation.get("parameters", ()):
            schema = {**parameter["schema"], "components": DOCUMENT["components"]}
            for example in [parameter["example"]] if "example" in parameter else schema["examples"]:
                jsonschema.Draft202012Validator(schema).validate(example)
        for status, response in operation["responses"].items():
            if status.startswith(("4", "5")):
                assert list(response["content"]) == ["application/problem+json"], (name, status)


def test_an_event_of_the_stream_is_described():
    content = OPERATIONS["events"][2]["responses"]["200"]["content"]["text/event-stream"]
    kinds = content["schema"]["x-data"]
    lines = dict(line.split(": ", 1) for line in content["example"].strip().splitlines())
    for data, kind in ((json.loads(lines["data"]), "default"), ({"lost": 3}, "reset"), ({"lost": None}, "reset")):
        schema = {**kinds[kind], "components": DOCUMENT["components"]}
        jsonschema.Draft202012Validator(schema).validate(data)
    assert lines["event"] == json.loads(lines["data"])["type"]


@pytest.mark.parametrize("path", ["/v1/incidents", "/v1/plans", "/v1/actions", "/v1/iterations"])
def test_pages_give_everything_once(client, path):
    client.post(f"/v1/incidents/{client.known['incident']}/close", json={"reason": "to have another one"})
    healed(client)
    client.source.hold()
    whole = client.get(path, params={"limit": 1000}).json()["items"]
    pages, cursor = [], ""
    while cursor is not None:
        document = client.get(path, params={"limit": 1, "cursor": cursor}).json()
        pages += document["items"]
        cursor = document["next"]
    assert [one["id"] for one in pages] == [one["id"] for one in whole]
    assert len({one["id"] for one in whole}) == len(whole)


def test_a_snapshot_that_the_client_has_is_not_sent_again(client):
    client.source.hold()
    mesh = ("status", "topology", "topology/netjson", "cut-vertices", "nodes", "nodes/n1", "links", "peers?node=n1")
    for path in (*(f"mesh/{one}" for one in mesh), "mesh/routes?source=n1&target=n2", "inventory"):
        first = client.get(f"/v1/{path}")
        again = client.get(f"/v1/{path}", headers={"if-none-match": f'"x", W/{first.headers["etag"]}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    client.source.held.clear()
    until(lambda: client.get("/v1/mesh/status").headers["etag"] != first.headers["etag"])


def test_a_tag_is_of_something_that_is_there(client):
    for path in ("nodes/n9", "peers?node=n9", "routes?source=n1&target=n9", "nodes?cursor=zzz"):
        assert client.get(f"/v1/mesh/{path}", headers={"if-none-match": "*"}).status_code in (404, 422), path


def test_what_is_kept_for_one_pass_is_bounded(client):
    client.source.hold()
    for limit in range(1, 100):
        client.get("/v1/mesh/nodes", params={"limit": limit})
    assert len(client.app.state.x0t.snapshots._bodies) <= snapshots.KEPT_MAX
    client.source.held.clear()


def test_a_foreign_cursor_is_refused_by_every_list(client):
    for name, (verb, path, operation) in OPERATIONS.items():
        if verb == "get" and any(one["name"] == "cursor" for one in operation.get("parameters", ())):
            filled = path.replace("{id}", client.known["incident"])
            assert client.get(filled, params={"cursor": "zzz"}).status_code == 422, name


def test_a_pass_is_found_by_its_id_and_by_its_number(client):
    one = client.get("/v1/iterations").json()["items"][-1]
    assert client.get(f"/v1/iterations/{one['id']}").json() == one
    assert client.get(f"/v1/iterations/{one['number']}").json()["number"] == one["number"]
    assert client.get(f"/v1/iterations/{one['epoch'] + 1}-{one['number']}").status_code == 404
    for odd in ("x", "1-", "-1", "1-2-3", "9" * 40):
        assert client.get(f"/v1/iterations/{odd}").status_code == 422, odd


def test_any_list_of_tags_is_understood():
    assert matches("", '"a"') is False
    assert matches('W/"a" ,"b"', '"a"') is True
    assert matches("*", '"a"') is True


# -- ways -------------------------------------------------------------------------------------------------------------


def square(**changes):
    """n1-n2-n3-n4-n1, n5 behind n4; the way over n2 is the better one."""
    pairs = {("n1", "n2"): 0.0, ("n2", "n3"): 0.1, ("n3", "n4"): 0.2, ("n4", "n1"): 0.5, ("n4", "n5"): 0.0}
    links = tuple(
        LinkView(a, b, f"to-{b}", "well", loss, 4.0, 1.0 - loss)
        for (x, y), loss in pairs.items()
        for a, b in ((x, y), (y, x))
    )
    return replace(view(), nodes=tuple(NodeView(f"n{i}", "well") for i in range(1, 6)), links=links, **changes)


def test_a_way_follows_the_routing_tables_and_multiplies_losses():
    tables = {"n1": {"n3": "n2"}, "n2": {"n3": "n3"}}
    way = routing.route(square(routes=tables), "n1", "n3")
    assert (way.basis, way.path, way.latency_ms, way.loss_ratio) == ("routing tables", ("n1", "n2", "n3"), 4.0, 0.1)


def test_without_tables_the_best_quality_is_expected():
    way = routing.route(square(), "n1", "n4")
    assert (way.basis, way.path) == ("link quality", ("n1", "n2", "n3", "n4"))
    assert routing.route(square(), "n1", "n1").path == ("n1",)


@pytest.mark.parametrize(
    ("tables", "why"), [({"n1": {}}, "n1 has no route to n3"), ({"n1": {"n3": "n2"}, "n2": {"n3": "n1"}}, "a loop")]
)
def test_a_way_that_is_not_there_says_why(tables, why):
    way = routing.route(square(routes=tables), "n1", "n3")
    assert (way.found, way.path, why in way.detail) == (False, (), True)


def test_links_that_are_down_carry_nothing():
    whole = square()
    links = tuple(replace(link, state="down") if "n5" in (link.source, link.target) else link for link in whole.links)
    parted = replace(whole, links=links)
    assert routing.route(parted, "n1", "n5").found is False
    assert routing.cuts(parted)["parts"] == [["n1", "n2", "n3", "n4"], ["n5"]]
    assert routing.cuts(whole) == {
        "vertices": ["n4"], "bridges": [["n4", "n5"]], "parts": [["n1", "n2", "n3", "n4", "n5"]],
    }  # fmt: skip


def test_netjson_has_the_members_that_its_readers_need():
    graph = netjson.graph(square())
    assert (graph["type"], graph["protocol"], graph["metric"]) == ("NetworkGraph", "batman-adv", "TQ")
    assert {node["id"] for node in graph["nodes"]} == {"n1", "n2", "n3", "n4", "n5"}
    costs = {(link["source"], link["target"]): link["cost"] for link in graph["links"]}
    assert len(costs) == 5
    assert costs[("n4", "n1")] == 2.0


# -- alerts -----------------------------------------------------------------------------------------------------------


def firing(fingerprint="ab12", status="firing"):
    return {"status": status, "fingerprint": fingerprint, "labels": {"alertname": "HostDown"}, "extra": 1}


def test_alerts_of_others_are_kept_once_until_they_are_resolved(client):
    both = {"version": "4", "receiver": "x0t", "alerts": [firing(), firing("cd34")]}
    assert declared("receive_alerts", client.post("/v1/alerts", json=both)) == {"firing": 2, "resolved": 0}
    assert client.post("/v1/alerts", json=both).json() == {"firing": 0, "resolved": 0}
    listed = client.get("/v1/alerts", params={"source": "external"}).json()["items"]
    assert [one["fingerprint"] for one in listed] == ["ab12", "cd34"]
    gone = {"version": "4", "alerts": [firing("ab12", "resolved"), firing("unknown", "resolved")]}
    assert client.post("/v1/alerts", json=gone).json() == {"firing": 0, "resolved": 1}
    own = client.get("/v1/alerts").json()["items"]
    assert [(one["labels"]["alertname"], one["source"]) for one in own] == [("overload", "own")]
    everything = client.get("/v1/alerts", params={"source": "all"}).json()["items"]
    assert {one["source"] for one in everything} == {"own", "external"}


def test_incoming_alerts_are_bounded_and_restored():
    taken = alerts.Incoming()
    changes = taken.changes(firing(f"f{number}") for number in range(alerts.INCOMING_MAX + 5))
    taken.apply(changes, "2026-01-01T00:00:00.000Z")
    assert len(taken.firing()) == alerts.INCOMING_MAX
    assert taken.firing()[0]["fingerprint"] == "f5"


@contextmanager
def alertmanager(status=200):
    """Takes alerts on loopback: (its URL, the bodies that it got)."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((self.path, json.loads(self.rfile.read(int(self.headers["content-length"])))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/prefix/", got
        server.shutdown()
        thread.join()


def test_open_incidents_are_sent_to_an_alertmanager_and_end_there():
    with alertmanager() as (url, got):
        sender = alerts.Sender(url)
        sender.see(troubled(), 1000.0)
        sender.see(troubled(2), 1001.0)  # nothing new: not sent again before a minute
        sender.see(troubled(3), 1000.0 + alerts.REPEAT_S)
        closed = incident(state=IncidentState.CLOSED, closed_at=20.0)
        sender.see(iteration(4, incidents=(closed,)), 1100.0)
        until(lambda: len(got) == 3)
        sender.close()
    assert {path for path, _ in got} == {"/prefix/api/v2/alerts"}
    assert got[0][1][0]["labels"]["alertname"] == "link-lossy"
    ends = [body[0]["endsAt"] for _, body in got]
    assert ends == [alerts.rfc3339(utc) for utc in (1300.0, 1360.0, 1100.0)]
    assert (sender.delivery.sent, sender.delivery.failed) == (3, 0)


def test_an_alertmanager_that_refuses_is_counted():
    with alertmanager(500) as (url, _):
        sender = alerts.Sender(url)
        sender.see(troubled(), 1000.0)
        until(lambda: sender.delivery.failed == 1)
        assert "500" in sender.delivery.error
        sender.close()


def test_posting_alerts_is_a_setting(tmp_path):
    with alertmanager() as (url, got):
        settings = Settings(store={"directory": str(tmp_path)}, alerts={"url": url})
        with served(settings, Driven()) as client:
            client.source.bench.web.demand = 2.0
            until(lambda: got)
            assert client.get("/v1/alerts").json()["delivery"]["configured"] is True
    assert got[0][1][0]["labels"]["component"] == "queue/orders"
