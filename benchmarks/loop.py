"""How fast the loop is: a mesh of 5,000 nodes in trouble, small meshes, and the share of a core at 100 nodes.

    python benchmarks/loop.py [--json FILE] [--passes N]

Printed beside the limits of the project (pass p99 < 100 ms and < 300 MB at 5,000 nodes, >= 1,000 passes/s at 10
nodes, <= 15 % of a core at 100 nodes and a pass a second) and, as a peer in the same run, the time that a bare copy
of the same columns takes. One core; single-threaded numpy.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402  # the thread limits above must come first

from x0tta6bl4.catalog import Metric, Scope  # noqa: E402
from x0tta6bl4.core.remote import RemoteActuator  # noqa: E402
from x0tta6bl4.core.workers import ThreadWorker  # noqa: E402
from x0tta6bl4.mape_k.loop import Loop  # noqa: E402
from x0tta6bl4.mape_k.memory import MemoryStore  # noqa: E402
from x0tta6bl4.mape_k.parts import Parts  # noqa: E402
from x0tta6bl4.model import Component, Edge, Layout, Observation  # noqa: E402
from x0tta6bl4.network import names  # noqa: E402
from x0tta6bl4.network.catalog import mesh_catalog  # noqa: E402

METRICS = 20  # columns of every link and node: the catalogue's, filled up with others
SEED = 20_260_401


class Clock:
    """Virtual seconds; phases are timed with the real clock."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        """Virtual seconds."""
        return self.time

    def utc(self) -> float:
        """The same."""
        return self.time


class Silence:
    """A transport that nobody listens to."""

    def send(self, to: str, payload: bytes) -> None:
        """Lost."""

    def receive(self) -> list[tuple[str, float, bytes]]:
        """Nothing."""
        return []


class Counter:
    """Identities in order."""

    def __init__(self) -> None:
        self.last = 0

    def __call__(self) -> str:
        """The next one."""
        self.last += 1
        return f"id-{self.last:06d}"


class Mesh:
    """A ring of `nodes` with random chords up to `links` directed links; one observation holds everything."""

    name = "mesh"

    def __init__(self, nodes: int, links: int) -> None:
        rng = self.rng = np.random.default_rng(SEED)
        pairs = {(i, (i + 1) % nodes) for i in range(nodes)} if nodes > 2 else {(0, 1)}
        while len(pairs) * 2 < links:
            a, b = sorted(int(x) for x in rng.integers(0, nodes, 2))
            if a != b and (b, a) not in pairs:
                pairs.add((a, b))
        self.pairs = sorted(pairs)[: links // 2]
        components: list[Component] = [names.node(f"n{i}") for i in range(nodes)]
        edges: list[Edge] = []
        self.link_row: dict[tuple[int, int], int] = {}
        for a, b in self.pairs:
            for source, target in ((a, b), (b, a)):
                ends = (f"n{source}", f"v{target}", f"n{target}", f"v{source}")
                self.link_row[(source, target)] = len(components)
                components.append(names.link(*ends))
                edges.extend(names.link_edges(*ends))
        self.nodes, catalog = nodes, mesh_catalog(None)
        metrics = [m.name for m in catalog.metrics if m.kind == "link"]
        metrics += [f"extra_{i}" for i in range(METRICS - len(metrics))]
        self.layout = Layout(tuple(components), (*metrics, "report_age_ms"), tuple(edges))
        self.column = {m: i for i, m in enumerate(self.layout.metrics)}
        self.values = np.full((len(components), len(self.layout.metrics)), np.nan, np.float32)
        self.values[nodes:, :METRICS] = rng.uniform(1, 10, (len(components) - nodes, METRICS))
        self.values[:nodes, -1] = 100.0
        for metric, value in (("silence_ms", 20), ("hello_silence_ms", 20), ("loss_ratio", 0.0), ("rtt_ms", 2),
                              ("large_silence_ms", 200)):  # fmt: skip
            self.values[nodes:, self.column[metric]] = value

    def silence(self, source: int, target: int, on: bool) -> None:
        """One directed link falls silent, or speaks again."""
        row = self.link_row.get((source, target))
        if row is not None:
            self.values[row, self.column["silence_ms"]] = 2000.0 if on else 20.0
            self.values[row, self.column["hello_silence_ms"]] = 2000.0 if on else 20.0

    def jitter(self) -> None:
        """1 % of the links change."""
        rows = self.rng.integers(self.nodes, len(self.values), max(1, (len(self.values) - self.nodes) // 100))
        self.values[rows, self.column["rtt_ms"]] = self.rng.uniform(1.5, 2.5, len(rows))
        self.values[rows, self.column["tq"]] = self.rng.uniform(200, 255, len(rows))

    def read(self, now: float) -> Observation:
        """Everything at once."""
        return Observation(self.name, now, self.layout, self.values)


def build(nodes: int, links: int) -> tuple[Mesh, Loop, Clock]:
    """A loop at mesh scope over a mesh of that size."""
    mesh, clock = Mesh(nodes, links), Clock()
    catalog = mesh_catalog(None)
    known = {m.name for m in catalog.metrics if m.kind == "link"}
    extra = tuple(Metric("link", m, "filler") for m in mesh.layout.metrics[:METRICS] if m not in known)
    catalog = type(catalog)(
        name=catalog.name, metrics=catalog.metrics + extra, symptoms=catalog.symptoms, causes=catalog.causes,
        actions=catalog.actions, remedies=catalog.remedies, risks=catalog.risks, cuts=catalog.cuts,
        carries=catalog.carries, partition=catalog.partition,
    )  # fmt: skip
    parts = Parts(
        catalog=catalog,
        clock=clock,
        store=MemoryStore(),
        worker=ThreadWorker(),
        prober=RemoteActuator(Silence(), clock),
        new_id=Counter(),
        origin="bench",
        scope=Scope.MESH,
        instant=(mesh,),
        seat=names.node("n0"),
    )
    return mesh, Loop(parts), clock


def timed(mesh: Mesh, loop: Loop, clock: Clock, passes: int, pass_s: float) -> list[float]:
    """Seconds of each pass; the mesh changes between passes and is not timed."""
    took = []
    for _ in range(passes):
        clock.time += pass_s
        mesh.jitter()
        began = time.perf_counter()
        loop.run_once()
        took.append(time.perf_counter() - began)
    return took


def large(passes: int) -> dict[str, float]:
    """5,000 nodes, 20,000 directed links, 25 open incidents, one partition, 1 % of the links changing."""
    mesh, loop, clock = build(5000, 20_000)
    timed(mesh, loop, clock, 3, 1.0)
    for a, b in mesh.pairs[100:2500:96][:25]:  # 25 dead links far apart
        mesh.silence(a, b, True)
        mesh.silence(b, a, True)
    away = set(range(4000, 4040))
    for a, b in mesh.pairs:
        if (a in away) != (b in away):
            near, far = (b, a) if a in away else (a, b)
            mesh.silence(far, near, True)
    took = timed(mesh, loop, clock, passes, 1.0)
    copy = []
    for _ in range(20):
        began = time.perf_counter()
        mesh.values.copy()
        copy.append(time.perf_counter() - began)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "pass_ms_p50": float(np.percentile(took, 50)) * 1000,
        "pass_ms_p99": float(np.percentile(took, 99)) * 1000,
        "pass_ms_max": max(took) * 1000,
        "rss_mb": rss,
        "open_incidents": len(loop.knowledge.open),
        "partitions": sum(i.cause.code == "partition" for i in loop.knowledge.open.values()),
        "bare_copy_ms": float(np.median(copy)) * 1000,
    }


def small(passes: int) -> dict[str, float]:
    """10 nodes, as fast as it goes."""
    mesh, loop, clock = build(10, 40)
    timed(mesh, loop, clock, 100, 0.5)
    took = timed(mesh, loop, clock, passes, 0.5)
    return {"small_passes_per_s": 1 / float(np.mean(took))}


def hundred(passes: int) -> dict[str, float]:
    """100 nodes at a pass a second: share of a core."""
    mesh, loop, clock = build(100, 400)
    timed(mesh, loop, clock, 10, 1.0)
    began = time.process_time()
    timed(mesh, loop, clock, passes, 1.0)
    return {"cpu_share_100": (time.process_time() - began) / passes}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--passes", type=int, default=300, help="passes of the large mesh (default 300)")
    chosen = parser.parse_args()
    figures = {**large(chosen.passes), **small(3000), **hundred(200)}
    limits = {"pass_ms_p99": ("<", 100.0), "rss_mb": ("<", 300.0), "small_passes_per_s": (">=", 1000.0),
              "cpu_share_100": ("<=", 0.15)}  # fmt: skip
    met = True
    for key, value in figures.items():
        sign, limit = limits.get(key, ("", 0.0))
        good = not sign or (value >= limit if sign == ">=" else value <= limit)
        met = met and good
        print(f"{key:22} {value:10.3f}" + (f"   limit {sign} {limit:g}{'' if good else '   MISSED'}" if sign else ""))
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=1))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
