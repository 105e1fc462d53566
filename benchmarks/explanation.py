"""How long it takes to find an incident's like among past ones, and to explain it, beside the limit of 5 ms.

    python benchmarks/explanation.py [--json FILE] [--past N] [--rounds N]

History is made up from a seed: five causes on a mesh of 60 nodes. Printed: percentiles in milliseconds, and the ratio
of the search's median to its limit. Reading the history from the store is not in it.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from x0tta6bl4.ml.explanation import explain, facts
from x0tta6bl4.ml.place import Place, Role
from x0tta6bl4.ml.similar import Fingerprint, Tried, similar
from x0tta6bl4.model import Cause, Component, Diagnosis, Incident, Symptom
from x0tta6bl4.network.catalog import mesh_catalog

LIMIT_MS = 5.0
UTC = 1_790_000_000.0
CAUSES = {
    "link-down": ("link-silent", "hello-silent"),
    "link-lossy": ("link-lossy",),
    "link-slow": ("link-slow",),
    "link-clipped": ("link-clipped",),
    "node-down": ("link-silent", "node-silent"),
}


def history(count: int, chance: random.Random) -> list[Fingerprint]:
    """Past incidents, newest last."""
    made = []
    for number in range(count):
        cause = chance.choice(list(CAUSES))
        one, other = sorted(chance.sample(range(60), 2))
        made.append(
            Fingerprint(
                f"i{number}",
                cause,
                f"adjacency/n{one}:a<>n{other}:b",
                frozenset(CAUSES[cause]),
                Place(frozenset(chance.sample(list(Role), 1)), chance.randrange(1, 5), chance.randrange(6), ring=True),
                0,
                "BATMAN_IV",
                (Tried("set-hop-penalty", f"interface/n{one}:a", chance.random() < 0.9, 2 * chance.random()),),
                30.0,
                UTC - (count - number) * 3600,
            )
        )
    return made


def timed(call: Callable[[], object], rounds: int) -> dict[str, float]:
    """Percentiles of a call's time in milliseconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    times.sort()
    return {"p50_ms": times[rounds // 2], "p99_ms": times[rounds * 99 // 100]}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--past", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    chance = random.Random(1)
    past = history(options.past, chance)
    this = past[-1]
    text = {one.incident: chance.random() for one in past}
    catalog = mesh_catalog()
    link = Component.parse("link/n1:a>n2:b")
    cause = Cause(this.cause, link, 0.9, (Symptom("link-lossy", link, 9.0, 0.4, 0.2, "loss_ratio"),))
    incident = Incident("i", "c", 1, 10.0, Diagnosis((cause,), 10.0), since=9.0, opened_utc=UTC)
    known = facts(incident, catalog, past=similar(this, past, UTC))
    told: dict[str, Any] = {
        "past": options.past,
        "similar": timed(lambda: similar(this, past, UTC), options.rounds),
        "similar_with_text": timed(lambda: similar(this, past, UTC, text), options.rounds),
        "explain": timed(lambda: explain(known, catalog, "ru"), options.rounds),
    }
    told["ratio_to_limit"] = told["similar_with_text"]["p50_ms"] / LIMIT_MS
    for name in ("similar", "similar_with_text", "explain"):
        print(f"{name}: p50 {told[name]['p50_ms']:.2f} ms, p99 {told[name]['p99_ms']:.2f} ms")
    print(f"{options.past} past incidents: p50 with text / limit of {LIMIT_MS:g} ms: {told['ratio_to_limit']:.2f}")
    if options.json:
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
