"""Both clients: answers, refusals, pages, what is not sent twice, what is told of errors."""

import asyncio
import json
import ssl

import httpx
import pytest

from hand_made import CannedLab
from x0tta6bl4.client import AsyncClient, Client, Refused, Unreachable
from x0tta6bl4.core.commands.watch import serving
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.core.state import State
from x0tta6bl4.errors import ConfigError, Permanent, ProtocolError, Temporary


def answering(*answers):
    """A client of a server that gives `answers` in turn, and the requests that it got."""
    got = []

    def handler(request):
        got.append(request)
        answer = answers[len(got) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Client("http://127.0.0.1:1", "t" * 40, transport=httpx.MockTransport(handler)), got


def test_a_snapshot_that_has_not_changed_is_not_sent_again():
    client, got = answering(httpx.Response(200, json={"a": 1}, headers={"ETag": '"7"'}), httpx.Response(304))
    with client:
        assert client.mesh_status() == client.mesh_status() == {"a": 1}
    assert got[0].headers["authorization"] == "Bearer " + "t" * 40
    assert "if-none-match" not in got[0].headers
    assert got[1].headers["if-none-match"] == '"7"'


def test_a_write_whose_answer_was_lost_is_repeated_under_its_key():
    client, got = answering(httpx.ReadError("reset"), httpx.Response(200, json={"paused": True}))
    with client:
        client.set_control(paused=True, reason="work")
        assert got[0].headers["idempotency-key"] == got[1].headers["idempotency-key"]
        assert json.loads(got[1].content) == {"paused": True, "reason": "work"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_what_json_cannot_say_is_refused_before_it_is_sent(value):
    client, got = answering()
    with client, pytest.raises(ConfigError, match="what JSON can say"):
        client.autonomic_loop({"cpu": value}, [])
    assert got == []


def test_two_writes_have_two_keys():
    client, got = answering(httpx.Response(200, json={}), httpx.Response(200, json={}))
    with client:
        client.set_control(paused=True, reason="work")
        client.set_control(paused=True, reason="work")
    assert got[0].headers["idempotency-key"] != got[1].headers["idempotency-key"]


def test_an_answer_lost_twice_is_unreachable():
    client, got = answering(httpx.ReadError("reset"), httpx.ReadError("reset"))
    with client, pytest.raises(Unreachable, match=r"no controller answers at http://127.0.0.1:1 \(reset\)") as told:
        client.health()
    assert len(got) == 2
    assert isinstance(told.value, Temporary)


def test_a_refusal_carries_the_problem_document():
    problem = {"title": "Conflict", "status": 409, "detail": "it was decided already", "by": "maria"}
    client, _ = answering(httpx.Response(409, json=problem))
    with client, pytest.raises(Refused, match=r"^it was decided already \(409\)$") as told:
        client.approve_plan("p1")
    assert told.value.status == 409
    assert told.value.problem == problem
    assert isinstance(told.value, Permanent)


@pytest.mark.parametrize(
    "answer", [httpx.Response(200, text="<html>"), httpx.Response(502, text="x"), httpx.Response(200, json=[1])]
)
def test_what_is_not_this_api_is_told(answer):
    client, _ = answering(answer)
    with client, pytest.raises(ProtocolError, match="not JSON"):
        client.health()


def test_a_redirect_is_not_followed_with_the_token():
    client, got = answering(httpx.Response(307, headers={"location": "http://elsewhere/"}, json={"detail": "moved"}))
    with client, pytest.raises(Refused, match="moved"):
        client.health()
    assert len(got) == 1


def test_pages_are_read_to_their_end():
    pages = [httpx.Response(200, json={"items": [{"id": n}], "next": cursor}) for n, cursor in ((1, "c1"), (2, None))]
    client, got = answering(*pages)
    with client:
        assert [row["id"] for row in client.items(client.list_incidents, state="open")] == [1, 2]
    assert dict(got[0].url.params) == {"state": "open"}
    assert dict(got[1].url.params) == {"state": "open", "cursor": "c1"}


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8000", "ftp://x", "http://", "http://me:hush@x", "http://x/?a=1", "http://[", 7]
)
def test_a_wrong_address_is_refused_without_being_repeated(url):
    with pytest.raises(ConfigError, match="http://HOST:PORT") as told:
        Client(url)
    assert "hush" not in str(told.value)


def test_the_token_is_in_no_representation():
    with Client("http://127.0.0.1:1", "s3cret" * 8, verify=ssl.create_default_context()) as client:
        assert "s3cret" not in repr(vars(client))


@pytest.fixture
def controller(tmp_path, unused_port):
    settings = Settings(store={"directory": str(tmp_path)}, api={"port": unused_port})
    source = CannedLab()
    state = State(log=False, source=source)
    with serving(state, settings):
        source.start(state)
        yield f"http://127.0.0.1:{unused_port}", settings.token_file.read_text().strip()


def test_the_real_application_answers_both(controller):
    with Client(*controller) as client:
        waited = client.mesh_status()
        assert client.mesh_status() == waited
        assert "x0tta6bl4" in client.metrics()
        with pytest.raises(Refused, match="no node 'n9'"):
            client.get_node("n9")

    async def same():
        async with AsyncClient(*controller) as other:
            assert other.url == controller[0]
            assert await other.mesh_status() == waited
            assert "x0tta6bl4" in await other.metrics()
            with pytest.raises(Refused, match="no node 'n9'"):
                await other.get_node("n9")
            return [row async for row in other.items(other.list_nodes, limit=1)]

    assert [row["name"] for row in asyncio.run(same())] == ["n1", "n2", "n3"]


def test_nobody_there_and_a_wrong_token(controller):
    with Client("http://127.0.0.1:1") as client, pytest.raises(Unreachable):
        client.metrics()
    with Client(controller[0], "wrong" * 10) as client, pytest.raises(Refused, match="401"):
        client.mesh_status()
    with Client(controller[0], "wrong" * 10) as client, pytest.raises(Refused, match="401"):
        client.metrics()
