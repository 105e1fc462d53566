"""What an actuator has done and not taken back, in a small JSON file that outlives its process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from x0tta6bl4.errors import ConfigError
from x0tta6bl4.model import Action, Component, Order, Seconds

Before = dict[str, float | str]


@dataclass
class Applied:
    """One order that was carried out and not taken back. before: what undoing it restores."""

    order: Order
    before: Before
    at: Seconds
    confirmed: bool = False
    retry_at: Seconds = float("-inf")


def write(path: Path, applied: Iterable[Applied]) -> None:
    """Replace the file, whole or not at all; raises OSError."""
    entries = [
        {
            "id": one.order.id,
            "issuer": one.order.issuer,
            "epoch": one.order.epoch,
            "kind": one.order.action.kind,
            "target": str(one.order.action.target),
            "parameters": dict(one.order.action.parameters),
            "deadman_s": one.order.deadman_s,
            "before": one.before,
            "confirmed": one.confirmed,
        }
        for one in applied
    ]
    temporary = path.with_suffix(".new")
    with temporary.open("w") as file:
        json.dump(entries, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read(path: Path, now: Seconds) -> list[Applied]:
    """What is in the file, as if applied now; raises ConfigError where it is no journal."""
    found = []
    try:
        for entry in json.loads(path.read_text()):
            action = Action(entry["kind"], Component.parse(entry["target"]), entry["parameters"])
            order = Order(entry["id"], entry["issuer"], entry["epoch"], action, entry["deadman_s"])
            found.append(Applied(order, entry["before"], now, entry["confirmed"]))
    except (ValueError, KeyError, TypeError) as error:
        allowed = f"the list that this agent wrote ({type(error).__name__}: {error})"
        raise ConfigError("agent.journal", str(path), allowed) from error
    return found
