"""What the demo breaks and when, and what its clients see of it: the same over a simulated mesh and a real one."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from x0tta6bl4.core.view import ClientView, FaultView
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.lab import faults, scenarios
from x0tta6bl4.lab.faults import Fault
from x0tta6bl4.lab.record import PairRecord
from x0tta6bl4.lab.scenarios import Scenario
from x0tta6bl4.model import Seconds

VICTIMS: Final = ("n2-n3", "n4-n5", "n5-n6", "n1-n2")
# What the demo breaks: a timeline entry without its target, and which end of the victim it hits where it hits one.
REPERTOIRE: Final[tuple[Mapping[str, Any], ...]] = (
    {"fault": "link-blackhole"},
    {"fault": "link-loss", "loss_ratio": 0.4},
    {"fault": "mtu", "mtu_bytes": 600},
    {"fault": "link-delay", "delay_ms": 200},
    {"fault": "interface-down"},
    {"fault": "link-loss", "loss_ratio": 0.5, "direction": "forward"},
)
OWN_KEYS: Final = ("fault", "id", "at", "until", "down_s")  # of an entry, which `asked` writes itself
LASTS_SHARE: Final = 0.6  # of the time between two faults
JUDGED_PROBES: Final = 40  # 2 s of one probe each 50 ms, the youngest 150 ms left out
YOUNG_PROBES: Final = 3
WELL_MS: Final = 150.0
WELL_SHARE: Final = 0.9

Entry = dict[str, Any]


def timeline(mesh: Scenario, seed: int, every_s: float, lasts_s: float, count: int) -> Iterator[Entry]:
    """`count` timeline entries, one each `every_s`, on links that the demo's clients use."""
    chance = random.Random(seed)  # noqa: S311  # which link breaks next is no secret
    known = {link.name: link for link in mesh.topology.links}
    victims: list[str] = [name for name in VICTIMS if name in known] or list(known)
    for number in range(count):
        link = known[victims[chance.randrange(len(victims))]]
        entry = dict(REPERTOIRE[number % len(REPERTOIRE)])
        key = faults.KINDS[entry["fault"]]
        target = link.name if key == "link" else f"{link.node_b}:{link.interface_b}"
        at = 0.5 * every_s + number * every_s
        yield {**entry, key: target, "at": round(at, 3), "until": round(at + lasts_s, 3), "id": f"demo-{number + 1}"}


def asked(kind: str, target: str, for_s: Seconds, parameters: Mapping[str, float]) -> Entry:
    """What a person asked for as a timeline entry, at time 0; raises ConfigError for a kind that is not known."""
    if kind not in faults.KINDS:
        raise ConfigError("kind", kind, ", ".join(sorted(faults.KINDS)))
    key = faults.KINDS[kind]
    taken = sorted(parameters.keys() & {*OWN_KEYS, *faults.KINDS.values()})
    if taken:
        raise ConfigError(f"parameters.{taken[0]}", parameters[taken[0]], "nothing: kind, target and time say it")
    numbers = {name: int(value) if value == int(value) else value for name, value in parameters.items()}
    entry: Entry = {"fault": kind, "at": 0, **numbers, key: target.split(",") if key == "links" else target}
    entry["down_s" if kind == "node-reboot" else "until"] = for_s
    return entry


def fault_of(mesh: Scenario, entry: Entry) -> Fault:
    """The fault that a timeline entry means; raises ConfigError like a scenario does."""
    return scenarios.from_document({**mesh.document, "timeline": [entry]}, "fault").timeline[0]


class Breakage:
    """What is to be broken, is broken, and is to be mended before its time.

    Any thread may `inject` and `end`; the thread that has the mesh carries out what is `due` and what is `unwanted`.
    """

    def __init__(self, mesh: Scenario, seed: int, every_s: float | None) -> None:
        self._mesh = mesh
        self._plan = timeline(mesh, seed, every_s, LASTS_SHARE * every_s, 1_000_000) if every_s else iter(())
        self._upcoming = next(self._plan, None)
        self._wanted: deque[tuple[Entry, Fault]] = deque()
        self._unwanted: deque[str] = deque()
        self._active: list[Fault] = []
        self._injected = 0

    def inject(self, kind: str, target: str, for_s: Seconds, parameters: Mapping[str, float]) -> str:
        """See `core.view.LabSource`."""
        entry = asked(kind, target, for_s, parameters)
        try:
            fault = fault_of(self._mesh, entry)
        except ConfigError as error:  # in the words of who asked
            name = error.field.rpartition(".")[2]
            said = {faults.KINDS[kind]: "target", "until": "for_s", "down_s": "for_s"}.get(name, f"parameters.{name}")
            raise ConfigError(said, error.value, error.allowed) from None
        self._injected += 1
        ident = f"injected-{self._injected}"
        self._wanted.append((entry, replace(fault, id=ident)))
        return ident

    def end(self, ident: str, now: Seconds) -> bool:
        """See `core.view.LabSource`."""
        known = ident not in self._unwanted and any(f.id == ident and f.at <= now < f.until for f in self._active)
        if known:
            self._unwanted.append(ident)
        return known

    def due(self, now: Seconds, ahead_s: Seconds = 0.0) -> list[tuple[Entry, Fault]]:
        """What begins now, or by itself within `ahead_s`, with the entry that it was made of."""
        found = []
        while self._wanted:
            entry, fault = self._wanted.popleft()
            found.append((entry, replace(fault, at=now, until=now + fault.until)))
        while self._upcoming is not None and now >= self._upcoming["at"] - ahead_s:
            found.append((self._upcoming, fault_of(self._mesh, self._upcoming)))
            self._upcoming = next(self._plan, None)
        self._active += [fault for _, fault in found]
        return found

    def unwanted(self, now: Seconds) -> list[Fault]:
        """What is to end now, before its time."""
        found = []
        while self._unwanted:
            ident = self._unwanted.popleft()
            found += [fault for fault in self._active if fault.id == ident and fault.at <= now < fault.until]
        self._active = [fault for fault in self._active if fault not in found]
        return found

    def views(self, now: Seconds) -> list[FaultView]:
        """What is broken now."""
        self._active = [fault for fault in self._active if fault.until > now]
        seat, topology = self._mesh.seat, self._mesh.topology
        return [
            FaultView(f.id, f.kind, faults.truth_of(f, topology, seat).component, now - f.at, f.until - now)
            for f in self._active
            if f.at <= now
        ]


def client_view(record: PairRecord) -> ClientView:
    """What one pair saw over the last two seconds, in the score's own words for `well`."""
    times = record.rtt_ms[-JUDGED_PROBES - YOUNG_PROBES : -YOUNG_PROBES]
    if len(times) < JUDGED_PROBES:
        return ClientView(record.source, record.target, None)
    answered = sorted(rtt for rtt in times if not math.isnan(rtt))
    quick = sum(rtt < WELL_MS for rtt in answered)
    middle = answered[len(answered) // 2] if answered else None
    well = quick >= WELL_SHARE * len(times)
    return ClientView(record.source, record.target, well, 1 - len(answered) / len(times), middle)
