"""What an actuator has done and not taken back, kept so that it outlives the agent."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from x0tta6bl4.errors import ConfigError
from x0tta6bl4.files import replace_file
from x0tta6bl4.model import Action, Component, Order, Seconds

Before = dict[str, float | str]


@dataclass
class Applied:
    """One order that was carried out and not taken back.

    before: what undoing it restores. boot: the boot of the node that it was carried out in, "" where nobody knew.
    """

    order: Order
    before: Before
    at: Seconds
    confirmed: bool = False
    boot: str = ""
    retry_at: Seconds = float("-inf")


class Journal(Protocol):
    """Keeps what was applied over the end of the process."""

    def read(self, now: Seconds) -> list[Applied]:
        """What was written last, as if applied now; nothing where nothing was."""
        ...

    def write(self, applied: Iterable[Applied]) -> None:
        """Keep this instead, whole or not at all; raises OSError."""
        ...


class FileJournal:
    """In a small JSON file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def write(self, applied: Iterable[Applied]) -> None:
        """Replace the file, whole or not at all; raises OSError."""
        replace_file(self.path, _text(applied).encode())

    def read(self, now: Seconds) -> list[Applied]:
        """What is in the file; raises ConfigError where it is no journal."""
        if not self.path.exists():
            return []
        try:
            return _applied(self.path.read_text(), now)
        except (ValueError, KeyError, TypeError) as error:
            allowed = f"the list that this agent wrote ({type(error).__name__}: {error})"
            raise ConfigError("agent.journal", str(self.path), allowed) from error


class MemoryJournal:
    """In whatever holds it: for the lab, where an agent ends and its process does not."""

    def __init__(self) -> None:
        self._text = "[]"

    def write(self, applied: Iterable[Applied]) -> None:
        """Keep the text."""
        self._text = _text(applied)

    def read(self, now: Seconds) -> list[Applied]:
        """What it says."""
        return _applied(self._text, now)


def _text(applied: Iterable[Applied]) -> str:
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
            "boot": one.boot,
        }
        for one in applied
    ]
    return json.dumps(entries)


def _applied(text: str, now: Seconds) -> list[Applied]:
    found = []
    for entry in json.loads(text):
        action = Action(entry["kind"], Component.parse(entry["target"]), entry["parameters"])
        order = Order(entry["id"], entry["issuer"], entry["epoch"], action, entry["deadman_s"])
        boot = entry.get("boot", "")  # an earlier version wrote none
        found.append(Applied(order, entry["before"], now, entry["confirmed"], boot))
    return found
