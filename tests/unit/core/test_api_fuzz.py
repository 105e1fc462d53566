"""The API under everything that may be thrown at it: no server error, and every answer as the document declares it."""

import json
import time
from urllib.parse import quote

import hypothesis
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from driven import Driven, knowing, served
from x0tta6bl4.core.app import create_app
from x0tta6bl4.core.replay import BODY_MAX
from x0tta6bl4.core.settings import Settings

BUDGET_S = 20.0  # for all operations together
STREAMS = {"events"}  # never ends by itself; test_app looks at it


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    directory = tmp_path_factory.mktemp("fuzz")
    made = Settings(store={"directory": str(directory)})
    with served(made, Driven(directory)) as opened:
        opened.source.bench.web.demand = 2.0  # so that there is something to read
        knowing(opened)
        yield opened


DOCUMENT = create_app(source=None).openapi()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = {
    one.definition.raw["operationId"]: one
    for one in (result.ok() for result in SCHEMA.get_all_operations())
    if one.definition.raw["operationId"] not in STREAMS
}


def sent(client, case):
    """The case as a request through the application, with the token; None where httpx refuses to send it."""
    options = case.as_transport_kwargs(base_url=client.base_url)
    own = {k: v for k, v in (options.get("headers") or {}).items() if k.lower() != "user-agent"}
    body = {"json": options["json"]} if "json" in options else {"content": options.get("data")}
    path = options["url"].removeprefix(client.base_url)
    try:
        return client.request(
            options["method"], path, headers={**own, **client.headers}, params=options.get("params"), **body
        )
    except (UnicodeEncodeError, ValueError, TypeError):
        return None


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_answers_as_declared(client, name):
    operation, statuses = OPERATIONS[name], set()
    end = time.monotonic() + BUDGET_S / len(OPERATIONS)

    @settings(
        max_examples=25, deadline=None, phases=(Phase.generate,), database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(operation.as_strategy())
    def attempt(case):
        if statuses and time.monotonic() > end:
            return
        response = sent(client, case)
        if response is not None:
            statuses.add(response.status_code)
            declared(operation, response)

    attempt()
    assert statuses


def held(client):
    """What a request may change: what people set, what they sent in, what was broken or taught on purpose."""
    state, loop = client.app.state.x0t, client.source.bench.loop
    return {
        "control": loop.control,
        "levels": dict(loop.policies),
        "kill switch": loop.limits.kill_switch,
        "alerts": {str(alert) for alert in state.incoming.firing()},
        "faults": dict(client.source.injected),
        "passages": {one["id"] for one in client.get("/v1/knowledge/passages", params={"limit": 1000}).json()["items"]},
        "systems": {name: one.get_ml_statistics()["iterations"] for name, one in state._facades.items()},
    }


def ending(client):
    """What ends by itself, so that there may be less of it: windows, and open incidents that people have seen."""
    knowledge = client.source.bench.loop.knowledge
    seen = {one.id for one in list(knowledge.open.values()) if one.acknowledged_utc}
    return seen | {one.id for one in list(knowledge.windows)}


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_is_not_as_declared_changes_nothing(client, name):
    operation, refused = OPERATIONS[name], []
    end = time.monotonic() + BUDGET_S / len(OPERATIONS)
    writes = operation.method.upper() != "GET"

    @settings(
        max_examples=15, deadline=None, phases=(Phase.generate,), database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
    def attempt(case):
        if refused and time.monotonic() > end:
            return
        before = held(client) if writes else None
        before_ending = ending(client)
        response = sent(client, case)
        if response is None:
            return
        assert response.status_code < 500, response.text
        if response.status_code >= 400:
            refused.append(response.status_code)
            assert response.headers["content-type"] == "application/problem+json"
            assert not writes or held(client) == before
            assert ending(client) <= before_ending

    try:
        attempt()
    except hypothesis.errors.Unsatisfiable:
        pytest.skip("everything is as declared: it takes no parameters")


def declared(operation, response):
    """No server error; status, media type and body as the document says."""
    assert response.status_code < 500, response.text
    known = operation.definition.raw["responses"]
    assert str(response.status_code) in known, response.text
    content = known[str(response.status_code)].get("content")
    if content:
        media = response.headers["content-type"].split(";")[0]
        schema = {**content[media]["schema"], "components": DOCUMENT["components"]}
        jsonschema.Draft202012Validator(schema).validate(response.json())


TEXT = st.text(max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
WRITES = [
    ("PUT", "/v1/control"),
    ("PUT", "/v1/policies/autonomy/shed-load"),
    ("POST", "/v1/maintenance-windows"),
    ("POST", "/v1/incidents/x/close"),
    ("POST", "/v1/plans/x/approve"),
    ("POST", "/v1/alerts"),
    ("POST", "/v1/lab/faults"),
    ("POST", "/v1/autonomic/loop"),
    ("POST", "/v1/knowledge"),
    ("PUT", "/v1/knowledge/pages/wiki/a.md"),
    ("POST", "/v1/knowledge/feedback"),
]
BODIES = [
    b"", b"{", b"[" * 100_000, b'{"reason":' + b"9" * 5000 + b"}", b"\xff\xfe", b'{"reason":"\\ud800"}',
    b'{"\\ud800":1}', b'{"reason":"\\u0000"}', b"NaN", b'{"reason":1e999}', b"null",
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_malformed_bodies_are_problems(client, method, path, body):
    response = client.request(method, path, content=body, headers={"content-type": "application/json"})
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == response.status_code


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(WRITES), JSON)
def test_any_json_is_answered(client, write, document):
    body, kind = json.dumps(document).encode(), {"content-type": "application/json"}
    assert client.request(*write, content=body, headers=kind).status_code < 500


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["incidents", "plans", "actions", "mesh/nodes", "iterations"]), TEXT.filter(bool), TEXT)
def test_any_id_and_cursor_is_answered(client, kind, ident, cursor):
    assert client.get(f"/v1/{kind}/{quote(ident, safe='', errors='replace')}").status_code in (200, 404, 405, 422)
    listed = client.get(f"/v1/{kind}", params={"cursor": cursor.encode(errors="replace").decode()})
    assert listed.status_code in (200, 422)


def test_a_body_that_is_too_large_is_refused_however_it_comes(client):
    large = b'{"reason":"' + b"x" * BODY_MAX + b'"}'
    assert client.request("PUT", "/v1/control", content=large).status_code == 413

    async def pieces():
        for start in range(0, len(large), 65536):
            yield large[start : start + 65536]

    answer = client.request("PUT", "/v1/control", content=pieces())
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


def test_the_loop_has_come_through_all_of_it(client):
    passes = client.get("/v1/ready").json()["passes"]
    assert client.source.failure() == ""
    assert client.get("/v1/ready").json()["passes"] >= passes
