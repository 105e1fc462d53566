"""How fast the API is beside a bare FastAPI route, and what its listeners and the whole process cost.

    python benchmarks/api.py [--json FILE] [--seconds N] [--nodes N]

A server process runs the product's application with a loop over a mesh of 100 nodes at two passes a second; another
serves a bare FastAPI route that answers as many bytes of the same document. A third process sends requests over 100
connections, to one and the other in turn, three rounds each. Then 100 listeners take one event a second.

Limits of the project: >= 60 % of the bare route, p99 < 30 ms, listeners < 10 % of a core, < 150 MB RSS.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import socket
import statistics
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import uvicorn  # noqa: E402  # the thread limits above must come first
from fastapi import FastAPI, Response  # noqa: E402
from loop import Mesh, Silence  # noqa: E402  # benchmarks/loop.py lies beside

from x0tta6bl4.clock import SystemClock  # noqa: E402
from x0tta6bl4.core.app import create_app  # noqa: E402
from x0tta6bl4.core.controller import Controller  # noqa: E402
from x0tta6bl4.core.mesh_view import mesh_view  # noqa: E402
from x0tta6bl4.core.settings import Settings  # noqa: E402
from x0tta6bl4.core.store.ids import Ids  # noqa: E402
from x0tta6bl4.core.watched import watched  # noqa: E402
from x0tta6bl4.core.workers import ThreadWorker  # noqa: E402
from x0tta6bl4.lab.participants import ControllerPorts, DeclaredNode  # noqa: E402
from x0tta6bl4.mape_k.memory import MemoryStore  # noqa: E402
from x0tta6bl4.model import Observation  # noqa: E402

CONNECTIONS, LISTENERS, ROUNDS = 100, 100, 3
LIMITS = {"ratio": 0.6, "p99_ms": 30.0, "listeners_core": 0.10, "rss_mb": 150.0}


# -- the servers ------------------------------------------------------------------------------------------------------


class Fed:
    """`core.view.Source`: the product's controller over a hundred nodes whose reports are made up, and an event each
    second for the listeners.
    """

    title = "a mesh of made-up reports"

    def __init__(self, nodes: int) -> None:
        self._nodes, self._stop = nodes, threading.Event()

    def start(self, publisher) -> None:
        """Begin on a thread."""
        threading.Thread(target=self._run, args=(publisher,), daemon=True).start()

    def stop(self) -> None:
        """End it."""
        self._stop.set()

    def failure(self) -> str:
        """Never."""
        return ""

    def _run(self, publisher) -> None:

        clock, chance, mesh = SystemClock(), random.Random(1), Mesh(self._nodes, 4 * self._nodes)
        inventory = tuple(DeclaredNode(f"n{i}", ()) for i in range(self._nodes))
        ports = ControllerPorts(Silence(), clock, chance, inventory, "n0", emit=lambda event: None)

        def told(controller, iteration) -> None:
            publisher.publish(iteration, mesh_view(controller, iteration, at=iteration.at, backend="mesh"))

        def build(given):
            return Controller(given, MemoryStore(), ThreadWorker(), Ids(clock, chance))

        controller = watched(build, ports, told, publisher.commands)
        said = 0.0
        while not self._stop.wait(0.05):
            now = clock.now()
            if now - said >= 1.0:
                said = now
                controller.loop.outbox.say("bench.tick", now)
            mesh.jitter()
            for node in inventory:
                controller.ages.hear(node.name, now)
            controller.loop.senses.take(Observation(mesh.name, now, mesh.layout, mesh.values), now)
            controller.tick(now)


def serve_product(port: int, directory: str, nodes: int) -> None:
    """The application as it is run."""
    settings = Settings(store={"directory": directory}, api={"listeners_max": 1000})
    app = create_app(settings=settings, source=lambda _: Fed(nodes))
    uvicorn.run(app, host="127.0.0.1", port=port, log_config=None, access_log=False)


def serve_bare(port: int, document: bytes) -> None:
    """A FastAPI route that answers the same document, ready as bytes."""
    app = FastAPI(openapi_url=None)

    @app.get("/v1/mesh/status")
    async def status() -> Response:
        return Response(document, media_type="application/json")

    uvicorn.run(app, host="127.0.0.1", port=port, log_config=None, access_log=False)


# -- the load ---------------------------------------------------------------------------------------------------------


def request_bytes(port: int, path: str, token: str) -> bytes:
    """One GET on the wire."""
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Authorization: Bearer {token}", "", ""]
    return "\r\n".join(lines).encode()


class Connection(asyncio.Protocol):
    """Sends the next request as soon as the answer to the last one is complete."""

    def __init__(self, request: bytes, times: list[float], end: float) -> None:
        self.request, self.times, self.end = request, times, end
        self.done = asyncio.get_running_loop().create_future()
        self.left, self.head = 0, b""

    def connection_made(self, transport) -> None:
        """Ask the first time."""
        self.transport = transport
        self._send()

    def _send(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """A part of an answer."""
        if self.left == 0:
            self.head += data
            head, found, body = self.head.partition(b"\r\n\r\n")
            if not found:
                return
            assert head.startswith(b"HTTP/1.1 200"), head[:80]
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            self.left, self.head, data = int(length.split(b":")[1]), b"", body
        self.left -= len(data)
        if self.left == 0:
            now = time.perf_counter()
            self.times.append(now - self.sent)
            if now < self.end:
                self._send()
            else:
                self.transport.close()
                self.done.set_result(None)

    def connection_lost(self, error) -> None:
        """The server ended it, which it must not before the end."""
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server hung up"))


async def load(port: int, request: bytes, seconds: float) -> list[float]:
    """Seconds that each request took, over all connections."""
    times: list[float] = []
    loop, end = asyncio.get_running_loop(), time.perf_counter() + seconds
    made = [
        (await loop.create_connection(lambda: Connection(request, times, end), "127.0.0.1", port))[1]
        for _ in range(CONNECTIONS)
    ]
    await asyncio.gather(*(one.done for one in made))
    return times


def loader(pipe, port: int, request: bytes, seconds: float) -> None:
    """The second process: (requests a second, p50 ms, p99 ms)."""
    began = time.perf_counter()
    times = sorted(asyncio.run(load(port, request, seconds)))
    took = time.perf_counter() - began
    pipe.send((len(times) / took, 1000 * times[len(times) // 2], 1000 * times[int(0.99 * len(times))]))


def measured(port: int, request: bytes, seconds: float) -> tuple[float, float, float]:
    """One round."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=loader, args=(theirs, port, request, seconds))
    process.start()
    found = ours.recv()
    process.join()
    return found


def listen(port: int, request: bytes, count: int) -> list[socket.socket]:
    """Open event streams; their answers pile up in the sockets."""
    opened = []
    for _ in range(count):
        one = socket.create_connection(("127.0.0.1", port))
        one.sendall(request)
        opened.append(one)
    return opened


# -- the report -------------------------------------------------------------------------------------------------------


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def fetch(port: int, path: str, token: str, tries: int = 200) -> bytes:
    """The body of one answer; waits for the server to be there."""
    headers = {"Authorization": f"Bearer {token}"}
    for _ in range(tries):
        try:
            with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)) as r:
                return r.read()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise SystemExit("the server did not start")


def cpu_s(pid: int) -> float:
    """Processor seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    line = next(ln for ln in Path(f"/proc/{pid}/status").read_text().splitlines() if ln.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def share(pid: int, seconds: float) -> float:
    """Share of a core that a process takes."""
    before = cpu_s(pid)
    time.sleep(seconds)
    return (cpu_s(pid) - before) / seconds


def run(nodes: int, seconds: float) -> dict[str, float]:
    """All of it."""
    context, ports = multiprocessing.get_context("spawn"), (free_port(), free_port())
    with tempfile.TemporaryDirectory() as directory:
        print(f"a mesh of {nodes} nodes, {CONNECTIONS} connections, {ROUNDS} rounds of {seconds:g} s each", flush=True)
        product = context.Process(target=serve_product, args=(ports[0], directory, nodes), daemon=True)
        product.start()
        fetch(ports[0], "/health", "")
        token = (Path(directory) / "token").read_text().strip()
        document = fetch(ports[0], "/v1/mesh/status", token)
        bare = context.Process(target=serve_bare, args=(ports[1], document), daemon=True)
        bare.start()
        fetch(ports[1], "/v1/mesh/status", "")
        requests = [request_bytes(port, "/v1/mesh/status", token) for port in ports]
        asked = list(zip(ports, requests, strict=True))
        rounds = [[measured(port, request, seconds) for port, request in asked] for _ in range(ROUNDS)]
        (ours, our_p50, our_p99), (peer, _, peer_p99) = (
            [statistics.median(one[side][column] for one in rounds) for column in range(3)] for side in (0, 1)
        )
        alone = share(product.pid, 5.0)
        listeners = listen(ports[0], request_bytes(ports[0], "/v1/events", token), LISTENERS)
        time.sleep(2.0)
        together = share(product.pid, 10.0)
        heard = min(len(one.recv(1 << 20).split(b"event: bench.tick")) - 1 for one in listeners)
        figures = {
            "nodes": nodes,
            "document_bytes": len(document),
            "requests_s": ours,
            "bare_requests_s": peer,
            "ratio": statistics.median(one[0][0] / one[1][0] for one in rounds),
            "p50_ms": our_p50,
            "p99_ms": our_p99,
            "bare_p99_ms": peer_p99,
            "events_heard": heard,
            "loop_core": alone,
            "listeners_core": together - alone,
            "rss_mb": rss_mb(product.pid),
        }
        for one in listeners:
            one.close()
        for process in (product, bare):
            process.terminate()
            process.join()
    return figures


def main() -> int:
    """Print a line for each figure and limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--nodes", type=int, default=100)
    options = parser.parse_args()
    figures = run(options.nodes, options.seconds)
    for name, value in figures.items():
        limit = LIMITS.get(name)
        sign = ">=" if name == "ratio" else "<"
        good = limit is None or (value >= limit if name == "ratio" else value < limit)
        print(f"{name:>16} {value:12.3f}" + (f"   {sign} {limit:g} {'ok' if good else 'MISSED'}" if limit else ""))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return int(any((figures[n] < m if n == "ratio" else figures[n] >= m) for n, m in LIMITS.items()))


if __name__ == "__main__":
    sys.exit(main())
