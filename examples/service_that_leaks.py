"""Heal a web service that leaks memory and slows down: a real one, on this machine, in less than a minute.

    python examples/service_that_leaks.py [--leaks N]

A worker process answers HTTP requests. Every request leaves 1.5 MB behind and looks through all that was left, so
memory and latency grow together. The loop is given both readings and two actions. It tries the milder one first,
sees in later readings that it does not help, restarts the worker, sees that this does, and remembers it: the next
leak is met with a restart at once. Prints each decision and the readings before and after; exits 1 if it did not heal.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import os
import statistics
import sys
import time
import zlib
from collections.abc import Awaitable, Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

from x0tta6bl4.ml.integration import MLEnhancedMAPEK
from x0tta6bl4.ml.results import Decision, IterationResult
from x0tta6bl4.ml.service import Timing

LEFT_BEHIND = 3 << 19  # bytes that each request leaks
REQUESTS = 5  # in one iteration
PAUSE_S = 0.3  # between iterations
MEMORY_MB_MAX = 120.0
GIVE_UP_S = 55.0


class Leaking(BaseHTTPRequestHandler):
    """Answers every GET; a DELETE empties its cache, which is not where the memory goes."""

    sessions: ClassVar[list[bytes]] = []  # the leak: shared by all requests and never emptied
    cache: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        """Leak, and look through all that was leaked."""
        self.sessions.append(os.urandom(LEFT_BEHIND))
        self.cache[self.path] = b"%08x" % sum(zlib.crc32(session) for session in self.sessions)
        self._answer(self.cache[self.path])

    def do_DELETE(self) -> None:
        """Empty the cache."""
        self.cache.clear()
        self._answer(b"cleared")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the base class
        """Say nothing."""


def serve() -> None:
    """Be the worker: say which port was free, then answer."""
    server = HTTPServer(("127.0.0.1", 0), Leaking)
    print(server.server_port, flush=True)
    server.serve_forever()


class Service:
    """The worker process, as an operator sees it from outside."""

    def __init__(self) -> None:
        self.process: asyncio.subprocess.Process | None = None
        self.port = 0

    async def start(self) -> None:
        """Start a worker and wait until it listens."""
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, "--serve", stdout=asyncio.subprocess.PIPE
        )
        assert self.process.stdout is not None
        self.port = int(await self.process.stdout.readline())

    async def stop(self) -> None:
        """End the worker, if there is one."""
        if self.process is not None:
            self.process.kill()
            await self.process.wait()
            self.process = None

    async def restart(self) -> str:
        """An action."""
        await self.stop()
        await self.start()
        return f"a new worker on port {self.port}"

    async def clear_cache(self) -> str:
        """An action."""
        return (await asyncio.to_thread(self._ask, "DELETE")).decode()

    def _ask(self, method: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(method, "/")
            return connection.getresponse().read()
        finally:
            connection.close()

    async def readings(self) -> dict[str, float]:
        """Use it like its users do, and look at its memory."""
        took = []
        for _ in range(REQUESTS):
            began = time.perf_counter()
            await asyncio.to_thread(self._ask, "GET")
            took.append(time.perf_counter() - began)
        return {"memory_mb": self.memory_mb(), "latency_ms": round(statistics.median(took) * 1000, 2)}

    def memory_mb(self) -> float:
        """What the worker holds in memory now."""
        assert self.process is not None
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def tell(result: IterationResult, since: float) -> None:
    """One line for everything that an operator wants to know."""
    metrics = result.monitoring.metrics
    line = f"{time.monotonic() - since:5.1f} s  {metrics['memory_mb']:6.1f} MB  {metrics['latency_ms']:6.2f} ms"
    for judged in result.knowledge_update.judged:
        print(f"{line}  {judged.action}: {judged.detail}")
    if result.planning.decision is Decision.ACT:
        print(f"{line}  {result.planning.reasoning} -> {result.execution.action}: {result.execution.base_output}")


async def heal(service: Service, leaks: int) -> bool:
    """Run the loop until that many leaks are healed; False where that takes too long."""
    actions: dict[str, Callable[[], Awaitable[object]]] = {
        "clear_cache": service.clear_cache,
        "restart": service.restart,
    }
    system = MLEnhancedMAPEK(
        healthy={"memory_mb": (0, MEMORY_MB_MAX), "latency_ms": (0, 2000)},
        timing=Timing(confirm_s=0.5, action_s=10, judge_s=2.0, quiet_s=1.0),
    )
    began, healed = time.monotonic(), 0
    worst: dict[str, float] = {}
    while healed < leaks and time.monotonic() - began < GIVE_UP_S:
        readings = await service.readings()
        result = await system.autonomic_loop_iteration(readings, actions)
        tell(result, began)
        worst = max(worst, readings, key=lambda r: r.get("memory_mb", 0.0))
        if "incident.closed" in result.knowledge_update.events:
            healed += 1
            print(f"leak {healed} is healed:  {'before':>10}{'after':>10}")
            for name, value in readings.items():
                print(f"  {name:16}{worst[name]:>17}{value:>10}")
            worst = {}
        await asyncio.sleep(PAUSE_S)
    tried = system.get_ml_statistics().decisions
    print("learned: " + ", ".join(f"{name} helped {n['successes']} of {n['trials']}" for name, n in tried.items()))
    return healed == leaks


async def main(leaks: int) -> int:
    """Start the service, heal it, stop it."""
    service = Service()
    await service.start()
    try:
        return 0 if await heal(service, leaks) else 1
    finally:
        await service.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--leaks", type=int, default=2, help="how many leaks to heal (default 2)")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    sys.exit(serve() if chosen.serve else asyncio.run(main(chosen.leaks)))
