"""What the library's face costs: one iteration of `MLEnhancedMAPEK` beside a bare pass of the loop under it.

    python benchmarks/integration.py [--json FILE] [--iterations N]

Twenty metrics, half of them with bounds; every 200 iterations one leaves its bounds, an action answers, and later
readings judge it, so that every path is timed. Both loops take turns with the same readings on the same catalogue.
Limits of the project: p50 <= 2 ms, p99 <= 10 ms. With a database under it the figures are printed without a limit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402  # the thread limits above must come first

from x0tta6bl4.catalog import Scope  # noqa: E402
from x0tta6bl4.core.store import SqlStore  # noqa: E402
from x0tta6bl4.mape_k.inline import InlineWorker  # noqa: E402
from x0tta6bl4.mape_k.loop import Loop  # noqa: E402
from x0tta6bl4.mape_k.memory import MemoryStore  # noqa: E402
from x0tta6bl4.mape_k.parts import Parts  # noqa: E402
from x0tta6bl4.ml.actions import NoProber  # noqa: E402
from x0tta6bl4.ml.integration import MLEnhancedMAPEK  # noqa: E402
from x0tta6bl4.ml.service import SYSTEM, GivenReadings, Timing, service_catalog  # noqa: E402
from x0tta6bl4.ports import Store  # noqa: E402

METRICS = 20
BOUNDS = {f"m{i}": (0.0, 100.0) for i in range(METRICS // 2)}
TROUBLE_EVERY = 200
LIMITS = {"facade_ms_p50": 2.0, "facade_ms_p99": 10.0}


class Clock:
    """Virtual seconds."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        """Virtual seconds."""
        return self.at

    def utc(self) -> float:
        """The same."""
        return 1.8e9 + self.at


class System:
    """Readings that wander; one leaves its bounds now and then until the action is run."""

    def __init__(self) -> None:
        self.random = random.Random(20_260_401)
        self.sick = False
        self.healed = 0

    def readings(self, number: int) -> dict[str, float]:
        """The next ones."""
        self.sick = self.sick or number % TROUBLE_EVERY == TROUBLE_EVERY - 1
        values = {f"m{i}": 50.0 + self.random.gauss(0, 1) for i in range(METRICS)}
        return values | ({"m0": 500.0} if self.sick else {})

    async def heal(self) -> str:
        """The action."""
        self.sick = False
        self.healed += 1
        return "healed"


def bare(clock: Clock) -> tuple[GivenReadings, Loop]:
    """The same loop without its face."""
    given = GivenReadings(BOUNDS)
    numbers = count()
    catalog = service_catalog(Timing(), (), lambda cause, view: ())
    parts = Parts(
        catalog=catalog, clock=clock, store=MemoryStore(), worker=InlineWorker(), prober=NoProber(),
        new_id=lambda: f"id{next(numbers)}", origin="bare", scope=Scope.MESH, instant=(given,),
    )  # fmt: skip
    return given, Loop(parts)


async def measure(iterations: int, clock: Clock, store: Store | None) -> dict[str, float]:
    """Milliseconds of an iteration and of a bare pass, taken in turns."""
    system, (given, loop) = System(), bare(clock)
    face = MLEnhancedMAPEK(healthy=BOUNDS, store=store, clock=clock, actions={"heal": system.heal, "call": None})
    took, took_bare = [], []
    for number in range(iterations):
        clock.at += 1.0
        readings = system.readings(number)
        began = time.perf_counter()
        await face.autonomic_loop_iteration(readings)
        between = time.perf_counter()
        given.give(SYSTEM, readings)
        loop.run_once()
        took.append(between - began)
        took_bare.append(time.perf_counter() - between)
    assert system.healed >= iterations // TROUBLE_EVERY - 1, "the trouble was not healed: nothing was measured"
    figures = {
        f"{who}_ms_p{share}": float(np.percentile(times, share)) * 1000
        for who, times in (("facade", took), ("bare", took_bare))
        for share in (50, 99)
    }
    return figures | {"ratio_p50": figures["facade_ms_p50"] / figures["bare_ms_p50"], "healed": system.healed}


def durable(iterations: int) -> dict[str, float]:
    """The same over a database in a temporary folder."""
    clock = Clock()
    with (
        tempfile.TemporaryDirectory() as folder,
        SqlStore(f"sqlite:///{folder}/store.db", SYSTEM, clock=clock, random=random.Random(1)) as store,
    ):
        figures = asyncio.run(measure(iterations, clock, store))
    return {f"durable_{key}": value for key, value in figures.items() if key.startswith("facade")}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--iterations", type=int, default=5000, help="iterations in memory (default 5000)")
    chosen = parser.parse_args()
    if chosen.iterations < 2 * TROUBLE_EVERY:
        parser.error(f"--iterations: at least {2 * TROUBLE_EVERY}")
    figures = asyncio.run(measure(chosen.iterations, Clock(), None)) | durable(1000)
    met = True
    for key, value in figures.items():
        limit = LIMITS.get(key)
        met = met and (limit is None or value <= limit)
        said = "" if limit is None else f"   limit <= {limit:g}{'' if value <= limit else '   MISSED'}"
        print(f"{key:24} {value:9.3f}{said}")
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=1))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
