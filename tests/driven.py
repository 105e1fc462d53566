"""A real loop over the web service of the tests, on a thread of its own and in compressed time, behind the API."""

import threading
import time
from contextlib import contextmanager
from dataclasses import replace

from asgi_client import Client
from hand_made import view
from web_service import Bench
from x0tta6bl4.catalog import Autonomy
from x0tta6bl4.core import access, app
from x0tta6bl4.core.mesh_view import control_view
from x0tta6bl4.core.store import Blocks, Ids, SqlStore
from x0tta6bl4.core.store.archive import StoreArchive
from x0tta6bl4.mape_k import commands
from x0tta6bl4.mape_k.guards import Limits
from x0tta6bl4.mape_k.memory import decided

LIMITS = Limits(autonomy={"shed-load": Autonomy.APPROVE, "restart": Autonomy.APPROVE})


class Chance:
    """Randomness that repeats."""

    def random(self):
        return 0.5


class Driven:
    """`core.view.Source`: a pass every few milliseconds, half a virtual second each.

    directory: where the store and the readings lie; None keeps everything in memory. `hold` stops the passes.
    """

    title = "a web service"

    def __init__(self, directory=None, start_at=0.0):
        self.bench = Bench(limits=LIMITS)
        self.bench.clock.at = start_at
        self.directory, self.held, self._stop = directory, threading.Event(), threading.Event()
        self.injected, self._passing = {}, threading.Lock()

    def start(self, publisher):
        bench, self.publisher = self.bench, publisher
        self.store = None
        if self.directory is not None:
            self.store = SqlStore(f"sqlite:///{self.directory}/d.db", "c", clock=bench.clock, random=Chance())
            blocks = Blocks(self.directory / "readings")
            bench.start(store=self.store, new_id=Ids(bench.clock, Chance(), self.store.epoch))
            commands.replay(bench.loop, self.store.standing(commands.STANDING), self.store.windows())
            publisher.archive = StoreArchive(self.store, blocks, bench.clock, publisher.archive)
            publisher.knowledge.keep_in(self.store, bench.clock)
        bench.loop.commands = publisher.commands
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def hold(self):
        """No pass is under way when this returns, and none begins until `held` is cleared."""
        with self._passing:
            self.held.set()

    def _run(self):
        while not self._stop.is_set():
            with self._passing:
                if not self.held.is_set():
                    self._pass()
            time.sleep(0.002)

    def _pass(self):
        bench, loop = self.bench, self.bench.loop
        iteration = bench.run(0.5)
        if self.store is not None and decided(iteration):
            self.store.commit(iterations=[iteration])
        self.publisher.samples.take(loop.columns, iteration.at)
        self.publisher.publish(iteration, replace(view(iteration.at), control=control_view(loop, LIMITS)))
        loop.commands.settle()

    def stop(self):
        self._stop.set()
        self._thread.join(5)
        if self.store is not None:
            self.publisher.knowledge.close()
            self.store.close()

    def failure(self):
        return "" if self._thread.is_alive() or self._stop.is_set() else "the loop ended"

    def inject(self, kind, target, for_s, parameters):
        self.injected[f"f{len(self.injected) + 1}"] = kind
        return f"f{len(self.injected)}"

    def end(self, fault):
        return self.injected.pop(fault, None) is not None


@contextmanager
def served(settings, source):
    """The whole application over a source, with a client that has its token."""
    made = app.create_app(settings=settings, source=lambda _: source)
    with Client(made) as client:
        client.headers["authorization"] = "Bearer " + access.read(settings.token_file)
        until(lambda: client.get("/v1/ready").status_code == 200)
        client.source = source
        yield client


def knowing(client):
    """Wait until its knowledge base answers."""
    until(lambda: client.get("/v1/knowledge/passages").status_code == 200, 30.0)


def until(condition, seconds=10.0):
    """Wait until it holds; its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.005)
    return value
