"""The event stream: from the beginning, after a gap, over a broken connection, to the end of patience."""

import asyncio
import socket
import threading
from itertools import islice

import httpx
import pytest

from hand_made import CannedLab, event, iteration, view
from x0tta6bl4.client import AsyncClient, Client, Refused, Unreachable, transport
from x0tta6bl4.core.commands.watch import serving
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.core.state import State
from x0tta6bl4.errors import ProtocolError


@pytest.fixture
def controller(tmp_path, unused_port):
    settings = Settings(store={"directory": str(tmp_path)}, api={"port": unused_port})
    source = CannedLab()
    state = State(log=False, source=source)
    with serving(state, settings):
        source.start(state)
        yield f"http://127.0.0.1:{unused_port}", settings.token_file.read_text().strip(), state


def test_it_begins_where_it_is_asked_to(controller):
    url, token, state = controller
    with Client(url, token) as client:
        reset, opened, applied = islice(client.events("other-1"), 3)
        assert (reset.type, opened.type, applied.type) == ("reset", "incident.opened", "action.applied")
        assert opened.data["component"] == "adjacency/n1:v1-2<>n2:v2-1"
        state.publish(iteration(2, 12.0, events=(event(3, "incident.closed"),)), view(12.0))
        after = next(iter(client.events(applied.id)))
        assert (after.type, after.data["number"]) == ("incident.closed", 3)


def test_the_asynchronous_one_gives_the_same(controller):
    url, token, _ = controller

    async def first():
        async with AsyncClient(url, token) as client:
            stream = client.events("other-1")
            return [await anext(stream), await anext(stream)]

    assert asyncio.run(first())[1].type == "incident.opened"


def test_a_refused_stream_is_told(controller):
    with Client(controller[0], "wrong" * 10) as client, pytest.raises(Refused, match="401"):
        next(client.events())


class Server:
    """Gives each connection the next of its answers and closes it."""

    def __init__(self, *answers):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.answers, self.requests = answers, []
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve)

    def serve(self):
        for body in self.answers:
            connection, _ = self.socket.accept()
            with connection:
                self.requests.append(connection.recv(65536).decode())
                head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
                connection.sendall((head + body).encode())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.thread.join(5)
        self.socket.close()


def test_it_goes_on_after_a_broken_connection(monkeypatch):
    monkeypatch.setattr(transport, "RESUME_S", 0.01)
    one, two = ('id: b-1\nevent: a\ndata: {"n": 1}\n\n', 'id: b-2\nevent: a\ndata: {"n": 2}\n\n')
    with Server("retry: 1000\n: hello\n\n" + one, two) as server, Client(server.url) as client:
        assert [told.data["n"] for told in islice(client.events(), 2)] == [1, 2]
    assert "last-event-id" not in server.requests[0].lower()
    assert "Last-Event-ID: b-1" in server.requests[1]


def test_patience_ends(monkeypatch):
    monkeypatch.setattr(transport, "RESUME_S", 0.01)
    with Server('id: b-1\nevent: a\ndata: {"n": 1}\n\n') as server, Client(server.url) as client:
        stream = client.events(patience_s=0.05)
        next(stream)
        server.thread.join(5)
        server.socket.close()
        with pytest.raises(Unreachable):
            next(stream)


def test_the_first_connection_must_succeed():
    with Client("http://127.0.0.1:1") as client, pytest.raises(Unreachable):
        next(client.events())


def test_a_page_that_is_no_stream_is_told():
    page = httpx.MockTransport(lambda request: httpx.Response(200, html="<html>"))
    with (
        Client("http://127.0.0.1:1", transport=page) as client,
        pytest.raises(ProtocolError, match="text/event-stream"),
    ):
        next(client.events())


def test_data_that_is_not_json_is_told():
    told = pytest.raises(ProtocolError, match="event b-1")
    with Server("id: b-1\nevent: a\ndata: odd\n\n") as server, Client(server.url) as client, told:
        next(client.events())
