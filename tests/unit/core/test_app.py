"""The HTTP application as a client meets it."""

import asyncio
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_client import Client
from hand_made import Canned, CannedLab, event, iteration, troubled, view
from x0tta6bl4.core import access, app, gate
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.core.state import SYSTEMS_MAX, State
from x0tta6bl4.core.stream import Stream, position


@pytest.fixture
def settings(tmp_path):
    return Settings(store={"directory": str(tmp_path)}, api={"hosts": ["mesh.example"], "listeners_max": 1})


@pytest.fixture
def source():
    return Canned()


@pytest.fixture
def client(settings, source):
    made = app.create_app(settings=settings, source=lambda _: source)
    with Client(made, base_url="http://127.0.0.1:8000") as opened:
        opened.headers["authorization"] = "Bearer " + access.read(settings.token_file)
        yield opened
    assert not source.running


def problem(response, status):
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert (body["status"], body["type"]) == (status, "about:blank")
    return body


def test_health_and_ready_need_no_token(client, source):
    del client.headers["authorization"]
    assert client.get("/health").json()["status"] == "ok"
    assert client.get("/ready").json() == {"status": "ready", "passes": 1}
    source.told = "the mesh interface is gone"
    assert "mesh interface" in problem(client.get("/health"), 503)["detail"]


def test_not_ready_before_the_first_pass(settings):
    with Client(app.create_app(settings=settings, source=None), base_url="http://localhost") as client:
        problem(client.get("/ready"), 503)
        assert client.get("/health").status_code == 200


def iterate(client, names, **members):
    body = {"monitoring_data": dict.fromkeys(names, 0.5), **members}
    return client.post("/v1/autonomic/loop", json=body)


def test_what_was_not_measured_is_null(client):
    body = {"monitoring_data": {"cpu": None, "memory": 0.5}, "available_actions": ["restart"]}
    assert client.post("/v1/autonomic/loop", json=body).json()["monitoring"]["anomaly_detected"] is False


def test_a_system_that_is_full_does_not_fill_the_others(client):
    for part in range(4):
        assert iterate(client, [f"m{part}-{n}" for n in range(250)], system="full").status_code == 200
    detail = problem(iterate(client, ["one-more"], system="full"), 422)["detail"]
    assert "give another `system`" in detail
    assert iterate(client, ["one-more"]).status_code == 200
    assert client.get("/v1/ml/stats", params={"system": "full"}).json()["iterations"] == 4
    for number in range(SYSTEMS_MAX):
        assert iterate(client, ["cpu"], system=f"s{number}").status_code == 200
    problem(client.get("/v1/ml/stats", params={"system": "full"}), 404)


def test_probes_may_ask_for_the_head_only(client):
    for path in ("/health", "/v1/health", "/metrics", "/v1/metrics"):
        assert client.request("HEAD", path).status_code == 200, path
    assert client.get("/v1/metrics").headers["content-type"] == client.get("/metrics").headers["content-type"]


@pytest.mark.parametrize("path", ["/v1/mesh/status", "/v1/incidents", "/v1/events", "/metrics", "/v1/openapi", "/no"])
@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic x", "Bearer ", "bearer \x7f"])
def test_everything_else_needs_the_token(client, path, header):
    client.headers.pop("authorization")
    headers = {} if header is None else {"authorization": header}
    response = client.get(path, headers=headers)
    problem(response, 401)
    assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000", "mesh.example"])
def test_own_names_are_served(client, host):
    assert client.get("/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1"])
def test_foreign_host_is_misdirected(client, host):
    problem(client.get("/v1/mesh/status", headers={"host": host}), 421)


@pytest.mark.parametrize("host", ["", "a b", "[::1", "localhost:99999999", "user@localhost"])
def test_malformed_host_is_bad(client, host):
    problem(client.get("/health", headers={"host": host}), 400)


@given(st.text(max_size=30))
def test_any_host_header_is_judged_without_an_exception(text):
    host = gate.host_of(text)
    assert host == host.lower()
    assert not set(host) & set(" /@[]")


def test_status_node_incident(client):
    status = client.get("/v1/mesh/status").json()
    assert (status["health"], status["nodes"]["well"]) == ("degraded", 1)
    assert status["sensor_errors"] == {"netlink": "timed out"}
    assert client.get("/v1/mesh/nodes/n1").json()["interfaces"][0]["mtu"] == 1560
    listed = client.get("/v1/incidents", params={"state": "open"}).json()["items"]
    assert [row["cause"] for row in listed] == ["link-lossy"]
    told = client.get("/v1/incidents/i1").json()
    assert told["timeline"][1]["type"] == "action.applied"
    assert told["evidence"]["symptoms"][0]["code"] == "hello-loss"
    assert [cause["code"] for cause in told["causes"]] == ["link-lossy", "link-down"]
    assert client.get("/v1/incidents", params={"state": "closed"}).json() == {"items": [], "next": None}


def test_unknown_things_are_404_problems(client):
    assert problem(client.get("/v1/mesh/nodes/n9"), 404)["known"] == ["n1", "n2", "n3"]
    assert "'zz'" in problem(client.get("/v1/incidents/zz"), 404)["detail"]
    assert problem(client.get("/v2"), 404)["instance"] == "/v2"
    problem(client.post("/v1/incidents"), 405)


def test_bad_query_names_the_field(client):
    body = problem(client.get("/v1/incidents", params={"state": "odd", "limit": "0"}), 422)
    assert {error["field"] for error in body["errors"]} == {"query.state", "query.limit"}


def test_metrics_are_prometheus_text(client):
    text = client.get("/metrics").text
    assert "x0tta6bl4_iterations_total 1.0" in text
    assert 'x0tta6bl4_incidents_open{cause="link-lossy"} 1.0' in text


def test_start_with_wrong_settings_is_one_line(tmp_path):
    (tmp_path / "token").write_text("short")
    (tmp_path / "token").chmod(0o600)
    made = app.create_app(settings=Settings(store={"directory": str(tmp_path)}), source=None)
    sent = []

    async def receive():
        return {"type": "lifespan.startup"}

    async def send(message):
        sent.append(message)

    asyncio.run(made({"type": "lifespan", "app": made}, receive, send))
    assert [m["type"] for m in sent] == ["lifespan.startup.failed"]
    assert sent[0]["message"].startswith("error: api.token_file")
    assert "\n" not in sent[0]["message"]


def test_main_says_what_is_wrong_and_exits_with_2(tmp_path, capsys):
    (tmp_path / "x.toml").write_text("[api]\nport = 0\n")
    assert app.main(tmp_path / "x.toml") == 2
    assert capsys.readouterr().err == "error: api.port: got 0, allowed: greater than or equal to 1\n"


def test_main_ends_with_the_reason_of_a_failed_start(tmp_path):
    config = "[plugins]\nenabled = ['nope']\n[store]\ndirectory = 'state'\n"
    (tmp_path / "x.toml").write_text(config.replace("state", str(tmp_path / "state")))
    logged = logging.getLogger("x0tta6bl4"), logging.getLogger("uvicorn")
    before = [(one.handlers, one.propagate) for one in logged]
    try:
        assert app.main(tmp_path / "x.toml") == 2
    finally:
        for one, (handlers, propagate) in zip(logged, before, strict=True):
            one.handlers, one.propagate = handlers, propagate


def parsed(chunks):
    texts = b"".join(chunks).decode().split("\n\n")
    fields = [dict(line.split(": ", 1) for line in text.strip().split("\n") if ": " in line) for text in texts]
    return [(f.get("event"), f.get("id", "").rpartition("-")[2], json.loads(f["data"])) for f in fields if "data" in f]


async def take(stream, last_id, count):
    got = []
    async for part in stream.messages(last_id):
        got.append(part)
        if len(parsed(got)) >= count:
            break
    return parsed(got)


def published(count, **options):
    state = State(log=False, **options)
    for number in range(1, count + 1):
        state.publish(iteration(number, events=(event(number),)), view())
    return state


def test_a_listener_resumes_after_its_last_event():
    stream = published(5).stream
    got = asyncio.run(take(stream, f"{stream.boot}-3", 2))
    assert [(kind, number) for kind, number, _ in got] == [("incident.opened", "4"), ("incident.opened", "5")]
    assert got[0][2]["component"] == "adjacency/n1:v1-2<>n2:v2-1"


def test_a_listener_of_another_process_is_told_so_and_gets_all_that_is_kept():
    got = asyncio.run(take(published(2).stream, "other-77", 3))
    assert [(kind, data.get("lost", "-")) for kind, _, data in got] == [
        ("reset", None),
        ("incident.opened", "-"),
        ("incident.opened", "-"),
    ]


def test_a_listener_learns_how_many_events_it_lost():
    from x0tta6bl4.core.readers import Readers

    stream = published(9, readers=Readers(events_max=4)).stream
    got = asyncio.run(take(stream, f"{stream.boot}-2", 2))
    assert got[0] == ("reset", "", {"lost": 3})
    assert got[1][1] == "6"


@given(st.text(max_size=24))
def test_any_last_event_id_is_understood_or_ignored(text):
    number = position("boot", text)
    assert number is None or text == f"boot-{text.rpartition('-')[2]}"


def test_a_listener_that_takes_nothing_is_dropped_and_the_publisher_goes_on():
    async def scenario():
        state = published(1)
        stream = Stream(state.readers, poll_s=0.01, stall_s=0.05)

        async def never():
            await asyncio.Event().wait()

        async def stuck(message):
            if message["type"] == "http.response.body" and b"data" in message["body"]:
                await never()

        serving = asyncio.ensure_future(stream.serve(f"{stream.boot}-0", never, stuck))
        await asyncio.sleep(0)
        assert stream.listeners == 1
        for number in range(2, 200):
            state.publish(iteration(number, events=(event(number),)), view())
        await asyncio.wait_for(serving, 2)
        return stream, state

    stream, state = asyncio.run(scenario())
    assert (stream.listeners, stream.dropped) == (0, 1)
    assert state.readers.last_number() == 199


def test_a_listener_that_the_ring_overtakes_is_sent_away():
    async def scenario():
        from x0tta6bl4.core.readers import Readers

        state = published(1, readers=Readers(events_max=4))
        messages = state.stream.messages(f"{state.stream.boot}-0")
        first = [await anext(messages), await anext(messages)]
        for number in range(2, 50):
            state.publish(iteration(number, events=(event(number),)), view())
        return first, [part async for part in messages]

    first, rest = asyncio.run(scenario())
    assert len(parsed(first)) == 1
    assert rest == []


def test_a_listener_that_leaves_frees_its_place():
    async def scenario():
        stream = published(1).stream

        async def leave():
            return {"type": "http.disconnect"}

        async def send(message):
            pass

        await asyncio.wait_for(stream.serve("", leave, send), 2)
        return stream

    assert asyncio.run(scenario()).listeners == 0


def test_too_many_listeners_are_refused(client):
    client.app.state.x0t.stream.listeners = 1
    problem(client.get("/v1/events"), 429)


def test_events_over_http_carry_ids_and_end_when_the_server_stops(client):
    held = client.app.state.x0t
    held.publish(troubled(2), view())
    held.stream.stopping = True  # the stream then ends after what it has
    assert held.stream.boot
    response = client.get("/v1/events", headers={"last-event-id": f"{held.stream.boot}-0"})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"


def test_faults_are_injected_into_a_lab_only(client, settings):
    fault = {"kind": "link-loss", "target": "n2-n3", "for_s": 5, "parameters": {"loss_ratio": 0.4}}
    assert "no lab" in problem(client.post("/v1/lab/faults", json=fault), 409)["detail"]
    lab = CannedLab()
    with Client(app.create_app(settings=settings, source=lambda _: lab)) as other:
        other.headers = client.headers
        made = other.post("/v1/lab/faults", json=fault)
        assert (made.status_code, made.json()) == (201, {"id": "f1"})
        assert lab.injected == [("link-loss", "n2-n3", 5.0, {"loss_ratio": 0.4})]
        assert problem(other.post("/v1/lab/faults", json={**fault, "kind": "flood"}), 422)["field"] == "kind"
        problem(other.post("/v1/lab/faults", json={**fault, "for_s": -1}), 422)
        problem(other.post("/v1/lab/faults", json={**fault, "odd": 1}), 422)
