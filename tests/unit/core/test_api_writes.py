"""Writes over the API, through a running loop: what they change, what they refuse, what survives a restart."""

import asyncio

import httpx
import pytest

from driven import Driven, served, until
from hand_made import Canned
from x0tta6bl4.core import replay
from x0tta6bl4.core.api import requests
from x0tta6bl4.core.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(store={"directory": str(tmp_path)})


@pytest.fixture(params=["memory", "store"])
def place(request, tmp_path):
    return tmp_path if request.param == "store" else None


@pytest.fixture
def client(settings, place):
    with served(settings, Driven(place)) as opened:
        yield opened


def awaiting(client):
    """The plan that waits, once the service has too much to do."""
    client.source.bench.web.demand = 2.0
    found = until(lambda: client.get("/v1/plans", params={"state": "awaiting approval"}).json()["items"])
    return found[0]


def settled(client):
    """Everything that a refused request must leave as it is."""
    paths = ("/v1/control", "/v1/policies/autonomy", "/v1/maintenance-windows?limit=5", "/v1/alerts?source=external")
    documents = [client.get(path).json() for path in paths]
    for window in documents[2]["items"]:
        del window["starts_in_s"], window["ends_in_s"]
    return documents


def test_an_approved_plan_is_carried_out_once(client):
    plan = awaiting(client)
    assert plan["chosen"][0]["kind"] == "shed-load"
    approved = client.post(f"/v1/plans/{plan['id']}/approve", json={"reason": "go"})
    assert approved.status_code == 200
    assert approved.json()["state"] in ("intended", "applied", "proving", "confirmed")
    again = client.post(f"/v1/plans/{plan['id']}/approve", json={})
    assert again.status_code == 409
    action = until(lambda: confirmed(client, plan["action"]))
    assert action["lease"]
    assert client.get("/v1/plans", params={"state": "confirmed"}).json()["items"][0]["id"] == plan["id"]
    assert [kind for kind, _ in client.source.bench.web.log] == ["shed-load"]
    leases = until(lambda: client.get("/v1/mitigations").json()["items"])  # the store is a pass ahead of the snapshot
    assert [(one["kind"], one["avoids"]) for one in leases] == [("shed-load", ["queue/orders"])]
    timeline = client.get(f"/v1/incidents/{plan['incident']}/timeline").json()["items"]
    assert {"incident.opened", "plan.made", "plan.approved", "action.confirmed"} <= {e["type"] for e in timeline}


def confirmed(client, action):
    document = client.get(f"/v1/actions/{action}").json()
    return document if document["state"] == "confirmed" else None


def together(client, count, method, path, **options):
    """Answers to requests that are under way at the same time."""

    async def all_of_them():
        transport = httpx.ASGITransport(app=client.app)
        async with httpx.AsyncClient(transport=transport, base_url=client.base_url, headers=client.headers) as one:
            return await asyncio.gather(*(one.request(method, path, **options) for _ in range(count)))

    return client.runner.run(all_of_them())


def test_of_concurrent_approvals_one_wins(client):
    plan = awaiting(client)
    answers = together(client, 8, "POST", f"/v1/plans/{plan['id']}/approve", json={})
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    until(lambda: confirmed(client, plan["action"]))
    assert len(client.source.bench.web.log) == 1


def test_a_rejected_plan_is_not_proposed_again(client):
    plan = awaiting(client)
    rejected = client.post(f"/v1/plans/{plan['id']}/reject", json={"reason": "not at noon"})
    assert (rejected.status_code, rejected.json()["state"]) == (200, "refused")
    assert client.post(f"/v1/plans/{plan['id']}/reject", json={"reason": "again"}).status_code == 409
    refused = until(lambda: [p for p in client.get("/v1/plans").json()["items"] if p["id"] != plan["id"]])
    assert "rejected by a person: not at noon" in refused[0]["candidates"][0]["refused_by"]
    assert client.source.bench.web.log == []


def test_an_approval_is_judged_again_by_the_guards(client):
    plan = awaiting(client)
    client.request("PUT", "/v1/control", json={"kill_switch": True, "reason": "storm"})
    refused = client.post(f"/v1/plans/{plan['id']}/approve", json={})
    assert (refused.status_code, "kill switch" in refused.json()["detail"]) == (409, True)
    client.request("PUT", "/v1/control", json={"kill_switch": False, "reason": "over"})
    client.source.bench.web.demand = 1.0
    until(lambda: client.source.bench.loop.knowledge.open[plan["incident"]].quiet_since is not None)
    assert "trouble" in client.post(f"/v1/plans/{plan['id']}/approve", json={}).json()["detail"]


def test_while_paused_nothing_new_is_planned(client):
    assert client.request("PUT", "/v1/control", json={"paused": True, "reason": "work"}).json() == {
        "paused": True, "kill_switch": False, "reason": "work",
    }  # fmt: skip
    client.source.bench.web.demand = 2.0
    until(lambda: client.get("/v1/incidents").json()["items"])
    passes = client.get("/v1/ready").json()["passes"]
    until(lambda: client.get("/v1/ready").json()["passes"] > passes + 5)
    assert client.get("/v1/plans").json()["items"] == []
    assert client.get("/v1/mesh/status").json()["paused"] is True
    client.request("PUT", "/v1/control", json={"paused": False, "reason": "done"})
    until(lambda: client.get("/v1/plans").json()["items"])


def test_acknowledge_and_close(client):
    plan = awaiting(client)
    path = f"/v1/incidents/{plan['incident']}"
    seen = client.post(f"{path}/acknowledge", json={"by": "maria", "note": "on my way"}).json()
    assert (seen["acknowledged"], seen["acknowledged_by"]) == (True, "maria")
    rows = client.get("/v1/incidents", params={"acknowledged": True}).json()["items"]
    assert [row["id"] for row in rows] == [plan["incident"]]
    assert client.get("/v1/incidents", params={"acknowledged": False}).json()["items"] == []
    closed = client.post(f"{path}/close", json={"reason": "known"}).json()
    assert (closed["state"], closed["note"]) == ("closed", "closed by a person: known")
    assert {"incident.closed", "action.refused"} <= {e["type"] for e in closed["timeline"]}
    for verb in ("close", "acknowledge"):
        assert client.post(f"{path}/{verb}", json={"reason": "again"} if verb == "close" else {}).status_code == 409
    assert client.post("/v1/incidents/nobody/close", json={"reason": "x"}).status_code == 404
    assert client.post(f"/v1/plans/{plan['id']}/approve", json={}).status_code == 409
    until(lambda: client.get("/v1/incidents", params={"state": "open"}).json()["items"])  # its symptoms go on
    said = client.get(f"{path}/explanation").json()["sentences"]
    assert [one["text"] for one in said if one["text"].startswith("It was closed")] == [
        "It was closed: “closed by a person: known”."
    ]


def test_an_expected_trouble_opens_no_incident(client):
    window = {"component": "service/web", "duration_s": 1e6, "reason": "load test"}
    made = client.post("/v1/maintenance-windows", json=window).json()
    assert made["active"]
    client.source.bench.web.demand = 2.0
    passes = client.get("/v1/ready").json()["passes"]
    until(lambda: client.get("/v1/ready").json()["passes"] > passes + 10)
    assert client.get("/v1/incidents").json()["items"] == []
    assert client.request("DELETE", f"/v1/maintenance-windows/{made['id']}").json() == {"id": made["id"]}
    until(lambda: client.get("/v1/incidents").json()["items"])
    assert client.request("DELETE", f"/v1/maintenance-windows/{made['id']}").status_code == 404


def test_policies_change_at_run_time(client):
    done = client.request("PUT", "/v1/policies/autonomy/shed-load", json={"level": "act"})
    assert done.json() == {"kind": "shed-load", "level": "act"}
    listed = {p["kind"]: (p["level"], p["declared"]) for p in client.get("/v1/policies/autonomy").json()["items"]}
    assert listed == {"restart": ("approve", "approve"), "shed-load": ("act", "approve")}
    client.source.bench.web.demand = 2.0
    until(lambda: client.source.bench.web.log)


def test_a_replayed_key_gets_the_same_bytes(client):
    plan = awaiting(client)
    path, key = f"/v1/plans/{plan['id']}/approve", {"idempotency-key": "k-1"}
    first = client.post(path, json={"reason": "go"}, headers=key)
    again = client.post(path, json={"reason": "go"}, headers=key)
    assert (first.status_code, again.status_code, again.content) == (200, 200, first.content)
    other = client.post(path, json={"reason": "other"}, headers=key)
    assert (other.status_code, "another request" in other.json()["detail"]) == (422, True)
    assert client.post(path, json={}, headers={"idempotency-key": "a b"}).status_code == 422
    refusal = client.post(path, json={}, headers={"idempotency-key": "k-2"})
    assert client.post(path, json={}, headers={"idempotency-key": "k-2"}).content == refusal.content


def test_a_large_answer_is_not_repeated_and_nothing_is_done_twice(client, monkeypatch):
    monkeypatch.setattr(replay, "ANSWER_MAX", 10)
    window, key = {"component": "queue/orders", "duration_s": 9.0, "reason": "x"}, {"idempotency-key": "large"}
    assert client.post("/v1/maintenance-windows", json=window, headers=key).status_code == 201
    again = client.post("/v1/maintenance-windows", json=window, headers=key)
    assert (again.status_code, "too large to be repeated" in again.json()["detail"]) == (409, True)
    assert len(client.source.bench.loop.knowledge.windows) == 1


def test_one_key_at_the_same_time_is_done_once(client):
    window = {"component": "queue/orders", "duration_s": 9.0, "reason": "x"}
    answers = together(client, 6, "POST", "/v1/maintenance-windows", json=window, headers={"idempotency-key": "w"})
    assert {answer.content for answer in answers} == {answers[0].content}
    assert answers[0].status_code == 201
    assert len(client.source.bench.loop.knowledge.windows) == 1


def test_a_loop_that_does_not_answer_is_a_503_and_nothing_is_done(client, monkeypatch):
    monkeypatch.setattr(requests, "ANSWER_S", 0.05)
    client.source.hold()
    key = {"idempotency-key": "later"}
    wanted = {"paused": True, "reason": "x"}
    answer = client.request("PUT", "/v1/control", json=wanted, headers=key)
    assert (answer.status_code, "nothing was changed" in answer.json()["detail"]) == (503, True)
    client.source.held.clear()
    passes = client.get("/v1/ready").json()["passes"]
    until(lambda: client.get("/v1/ready").json()["passes"] > passes + 2)
    assert client.get("/v1/control").json()["paused"] is False
    monkeypatch.setattr(requests, "ANSWER_S", 2.0)
    assert client.request("PUT", "/v1/control", json=wanted, headers=key).status_code == 200  # may be tried again


def test_without_a_loop_every_write_is_a_503(settings, monkeypatch):
    monkeypatch.setattr(requests, "ANSWER_S", 0.02)
    with served(settings, Canned()) as client:
        for method, path, body in (
            ("POST", "/v1/incidents/i1/close", {"reason": "x"}),
            ("PUT", "/v1/control", {"reason": "x"}),
            ("DELETE", "/v1/maintenance-windows/w", None),
        ):
            assert client.request(method, path, json=body).status_code == 503


REFUSED = [
    ("PUT", "/v1/control", {"paused": "yes", "reason": "x"}, 422),
    ("PUT", "/v1/control", {"paused": True}, 422),
    ("PUT", "/v1/control", {"paused": True, "reason": ""}, 422),
    ("PUT", "/v1/control", {"paused": True, "reason": "a\x00b"}, 422),
    ("PUT", "/v1/control", {"paused": True, "reason": "x", "odd": 1}, 422),
    ("PUT", "/v1/policies/autonomy/shed-load", {"level": "always"}, 422),
    ("PUT", "/v1/policies/autonomy/no-such", {"level": "act"}, 404),
    ("POST", "/v1/maintenance-windows", {"component": "node/none", "duration_s": 5, "reason": "x"}, 422),
    ("POST", "/v1/maintenance-windows", {"component": "web", "duration_s": 5, "reason": "x"}, 422),
    ("POST", "/v1/maintenance-windows", {"component": "service/web", "duration_s": -5, "reason": "x"}, 422),
    ("POST", "/v1/maintenance-windows", {"component": "service/web", "duration_s": 1e300, "reason": "x"}, 422),
    ("POST", "/v1/plans/none/approve", {}, 404),
    ("POST", "/v1/incidents/none/acknowledge", {"by": "\x07"}, 422),
    ("POST", "/v1/alerts", {"alerts": [{"status": "odd", "fingerprint": "a", "labels": {}}]}, 422),
    ("POST", "/v1/alerts", {"version": "3", "alerts": []}, 422),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), REFUSED)
def test_a_refused_request_changes_nothing(settings, method, path, body, status):
    with served(settings, Driven()) as client:
        before = settled(client)
        answer = client.request(method, path, json=body)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert settled(client) == before


def test_what_people_set_survives_a_restart(settings, tmp_path):
    with served(settings, Driven(tmp_path)) as client:
        plan = awaiting(client)
        client.request("PUT", "/v1/policies/autonomy/restart", json={"level": "observe"})
        client.request("PUT", "/v1/control", json={"paused": True, "kill_switch": True, "reason": "night"})
        windows = [
            client.post("/v1/maintenance-windows", json={"component": "service/web", "duration_s": s, "reason": "x"})
            for s in (1e5, 1e6)
        ]
        client.request("DELETE", f"/v1/maintenance-windows/{windows[0].json()['id']}")
        client.post(f"/v1/incidents/{plan['incident']}/acknowledge", json={"by": "maria"})
        client.post(f"/v1/incidents/{plan['incident']}/close", json={"reason": "known"})
        held, at = client.get("/v1/control").json(), client.source.bench.clock.at
        passes = client.get("/v1/iterations").json()["items"]
    with served(settings, Driven(tmp_path, start_at=at + 60)) as client:
        assert client.get("/v1/control").json() == held
        levels = {p["kind"]: p["level"] for p in client.get("/v1/policies/autonomy").json()["items"]}
        assert levels["restart"] == "observe"
        kept = client.get("/v1/maintenance-windows").json()["items"]
        assert [one["id"] for one in kept] == [windows[1].json()["id"]]
        told = client.get(f"/v1/incidents/{plan['incident']}").json()
        assert (told["state"], told["acknowledged_by"]) == ("closed", "maria")
        assert "incident.acknowledged" in [e["type"] for e in told["timeline"]]
        assert told["plans"][0]["id"] == plan["id"]
        assert client.get("/v1/iterations", params={"at": passes[-1]["at_utc"]}).json()["items"] == [passes[-1]]
        assert client.get(f"/v1/iterations/{passes[0]['number']}").json()["symptoms"] == passes[0]["symptoms"]
        points = client.get("/v1/readings", params={"component": "service/web", "metric": "latency_ms"})
        assert points.status_code == 200
