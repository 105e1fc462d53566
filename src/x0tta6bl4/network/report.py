"""What an agent tells the controller, in one datagram: readings with ages, actions, and whether it is urgent.

Ages, not times: the clocks of two nodes are never compared. zlib over compact JSON; about 400 bytes for a node with
three neighbours.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from x0tta6bl4.errors import ProtocolError
from x0tta6bl4.model import Component, Did, Edge, Layout, Observation, Relation, Seconds
from x0tta6bl4.network import names

VERSION: Final = 1
BYTES_MAX: Final = 65_000
VALUE_MAX: Final = 1e30  # fits a float32
AGE_MS_MAX: Final = 10**9
LEAVING_S_MAX: Final = 86_400.0
EXACT_BELOW: Final = 10_000  # an integer of so few digits needs no rounding to four
PLAIN_MAX: Final = 1_000_000  # a datagram that unpacks to more is not a report


@dataclass(frozen=True, slots=True)
class ActionNews:
    """One action of an agent as it stands."""

    id: str
    kind: str
    target: str
    state: str
    cause: str  # "CODE COMPONENT" of the agent's own incident
    detail: str = ""
    lease: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a controller's order: `verb` is apply, confirm, undo, resolve, or proof (DONE: proven well)."""

    id: str
    verb: str
    did: Did
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """One report. readings: component -> metric -> (value, age in ms)."""

    node: str
    boot: str
    seq: int
    readings: dict[str, dict[str, tuple[float, int]]]
    actions: tuple[ActionNews, ...] = ()
    leaving_s: float = 0.0  # it goes down for a planned reboot and expects to be back within this many seconds
    urgent: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    answers: tuple[Answer, ...] = ()


def encode(report: Report) -> bytes:
    """The datagram."""
    document = [
        VERSION,
        report.node,
        report.boot,
        report.seq,
        int(report.urgent),
        report.leaving_s,
        {
            c: {m: [_short(v), a] for m, (v, a) in metrics.items() if math.isfinite(v)}
            for c, metrics in report.readings.items()
        },
        [[a.id, a.kind, a.target, a.state, a.cause, a.detail, int(a.lease)] for a in report.actions],
        report.facts,
        [[a.id, a.verb, a.did, a.detail] for a in report.answers],
    ]
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode(), 1)


def decode(datagram: bytes) -> Report:
    """Inverse of `encode`; raises ProtocolError for anything else."""
    try:
        plain = zlib.decompressobj().decompress(datagram, PLAIN_MAX)
        version, node, boot, seq, urgent, leaving, readings, actions, facts, answers = json.loads(plain)
        if version != VERSION:
            raise ProtocolError(f"report: got version {version!r}, allowed: {VERSION}")
        if not 0 <= float(leaving) <= LEAVING_S_MAX:
            raise ProtocolError(f"report: got leaving_s {leaving!r}, allowed: 0 to {LEAVING_S_MAX:.0f}")
        return Report(
            node=str(node),
            boot=str(boot),
            seq=int(seq),
            readings={
                str(Component.parse(c)): {str(m): _reading(v, a) for m, (v, a) in metrics.items()}
                for c, metrics in readings.items()
            },
            actions=tuple(
                ActionNews(str(i), str(k), str(t), str(s), str(c), str(d), bool(lease))
                for i, k, t, s, c, d, lease in actions
            ),
            leaving_s=float(leaving),
            urgent=bool(urgent),
            facts=dict(facts),
            answers=tuple(Answer(str(i), str(v), Did(d), str(t)) for i, v, d, t in answers),
        )
    except (zlib.error, ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ProtocolError(f"report: {len(datagram)} bytes: {error}") from error


def _short(value: float) -> float:
    return value if value.is_integer() and abs(value) < EXACT_BELOW else float(f"{value:.4g}")


def _reading(value: Any, age_ms: Any) -> tuple[float, int]:
    number, age = float(value), int(age_ms)
    if not (abs(number) <= VALUE_MAX and 0 <= age <= AGE_MS_MAX):
        raise ValueError(f"reading {number:g} of age {age} ms")
    return number, age


class ReportReader:
    """Reports to observations; a node's layout is kept while its components do not change."""

    def __init__(self) -> None:
        self._layouts: dict[str, tuple[tuple[str, ...], Layout]] = {}

    def observation(self, report: Report, at: Seconds) -> Observation:
        """Readings of one report, measured before `at` by their ages."""
        metrics = tuple(sorted({m for readings in report.readings.values() for m in readings}))
        key = (*report.readings, "|", *metrics)
        known = self._layouts.get(report.node)
        if known is None or known[0] != key:
            components = tuple(Component.parse(c) for c in report.readings)
            known = (key, Layout(components, metrics, tuple(edges_of(components))))
            self._layouts[report.node] = known
        layout = known[1]
        column = {m: i for i, m in enumerate(metrics)}
        values = np.full((len(layout.components), len(metrics)), np.nan, np.float32)
        ages = np.zeros_like(values)
        for row, readings in enumerate(report.readings.values()):
            for metric, (value, age_ms) in readings.items():
                values[row, column[metric]] = value
                ages[row, column[metric]] = age_ms / 1000
        facts = {names.node(report.node): report.facts} if report.facts else {}
        return Observation(f"report:{report.node}", at, layout, values, ages, facts)


def edges_of(components: Sequence[Component]) -> list[Edge]:
    """The relations that follow from the names of interfaces and links."""
    edges: list[Edge] = []
    for component in components:
        try:
            if component.kind == "interface":
                edges.append(Edge(component, Relation.PART_OF, names.node(names.owner(component))))
            elif component.kind == "link":
                (source, i), (target, j) = names.ends(component)
                edges.extend(names.link_edges(source, i, target, j))
        except ValueError as error:
            raise ProtocolError(f"report: component {component}: {error}") from error
    return edges
