"""A scenario's timeline on a real mesh: what to change when, and what that means for client pairs by ground truth."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from x0tta6bl4.errors import Permanent
from x0tta6bl4.lab.faults import Fault
from x0tta6bl4.lab.netlab import SILENCE, End, Ends, Impairment, NetLab
from x0tta6bl4.lab.scenarios import Background, Scenario
from x0tta6bl4.lab.topology import Link, Topology

AGENT_STOPS = frozenset({"agent-death", "node-death", "node-reboot"})
CUTS = frozenset({"link-blackhole", "partition", "link-flap", "interface-down"})


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One thing to do at `at` (s from the start of the run). touches: nodes whose links it changes. fault: its id."""

    at: float
    order: int
    do: Callable[[], None]
    touches: tuple[str, ...] = ()
    fault: str = ""


def ends_of(link: Link, source: str = "") -> list[Ends]:
    """The directions of a link, or the one that leaves node `source`."""
    a: End = (link.node_a, link.interface_a)
    b: End = (link.node_b, link.interface_b)
    if source:
        return [(a, b) if source == link.node_a else (b, a)]
    return [(a, b), (b, a)]


def pulses(fault: Fault) -> list[tuple[float, float]]:
    """When the fault is on: once, or in every period of a flapping link."""
    if fault.kind != "link-flap":
        return [(fault.at, fault.until)]
    found: list[tuple[float, float]] = []
    at = fault.at
    while at < fault.until:
        found.append((at, min(at + fault.period_s * fault.duty, fault.until)))
        at += fault.period_s
    return found


def impairment_of(fault: Fault) -> Impairment | None:
    """What a fault does to packets of its links; None where it breaks something else."""
    if fault.kind == "link-loss":
        return Impairment(loss=fault.loss_ratio)
    if fault.kind == "link-delay":
        return Impairment(delay_ms=fault.delay_ms)
    if fault.kind in ("interface-down", "mtu", "agent-death"):
        return None
    return SILENCE


def switch(lab: NetLab, fault: Fault, on: bool, agents: Callable[[str, bool], None]) -> None:
    """Inject or end a fault; `agents(node, alive)` stops and starts a node's agent."""
    impairment = impairment_of(fault)
    if fault.kind == "node-reboot" and on:
        lab.shut_down(fault.node)
    if impairment is not None:
        for link in fault.links:
            for ends in ends_of(link, fault.source):
                lab.impair(ends, fault.id, impairment if on else None)
    if fault.kind == "interface-down":
        lab.hold_down(fault.node, fault.interface, on)
    if fault.kind == "mtu":
        declared = lab.declared((fault.node, fault.interface)).mtu
        with suppress(Permanent):  # back to what was declared, whether the node repaired it or not
            lab.set_mtu(fault.node, fault.interface, fault.mtu_bytes if on else declared)
    if fault.kind == "node-reboot" and not on:
        lab.boot(fault.node)
    if fault.kind in AGENT_STOPS:
        agents(fault.node, not on)


def changes(
    lab: NetLab, scenario: Scenario, seed: int, until: float, agents: Callable[[str, bool], None]
) -> list[Change]:
    """Everything that happens by itself in a run, in order: faults, their ends, bursts of background loss."""
    found: list[Change] = []
    for fault in scenario.timeline:
        found += switchings(lab, fault, len(found), agents)
    for ends in lab.paths:
        for start, end in bursts(scenario.background, ends, seed, until):
            for at, layer in ((start, SILENCE), (end, None)):
                found.append(Change(at, len(found), _impairing(lab, ends, layer)))
    return sorted(found, key=lambda one: (one.at, one.order))


def switchings(lab: NetLab, fault: Fault, order: int, agents: Callable[[str, bool], None]) -> list[Change]:
    """A fault's beginning and end, for each pulse of it; `order` is that of the first."""
    states = [(at, on) for start, end in pulses(fault) for at, on in ((start, True), (end, False))]
    return [
        Change(at, number, _switching(lab, fault, on, agents), fault.touches, fault.id)
        for number, (at, on) in enumerate(states, order)
    ]


def _switching(lab: NetLab, fault: Fault, on: bool, agents: Callable[[str, bool], None]) -> Callable[[], None]:
    return lambda: switch(lab, fault, on, agents)


def _impairing(lab: NetLab, ends: Ends, layer: Impairment | None) -> Callable[[], None]:
    return lambda: lab.impair(ends, "burst", layer)


def _noise(seed: int, ends: Ends, purpose: str) -> random.Random:
    """Randomness of one direction for one purpose: a function of the seed and these, whatever else happens."""
    return random.Random(f"{seed}/{ends[0]}/{ends[1]}/{purpose}")  # noqa: S311 -- a lab's noise, not a secret


def bursts(background: Background, ends: Ends, seed: int, until: float) -> list[tuple[float, float]]:
    """When one direction loses everything for a moment: Poisson, each at most `burst_ms` long."""
    if background.bursts_per_hour <= 0:
        return []
    noise = _noise(seed, ends, "burst")
    found: list[tuple[float, float]] = []
    at = noise.expovariate(background.bursts_per_hour / 3600)
    while at < until:
        found.append((at, at + noise.uniform(0.2, 1.0) * background.burst_ms / 1e3))
        at += noise.expovariate(background.bursts_per_hour / 3600)
    return found


def apply_background(lab: NetLab, background: Background, seed: int) -> None:
    """Each direction's steady loss, and jitter around half its greatest value."""
    low, high = background.loss_ratio
    for ends, layers in lab.paths.items():
        if layers.get("medium") != SILENCE:
            loss = _noise(seed, ends, "loss").uniform(low, high)
            half = background.jitter_ms / 2
            lab.impair(ends, "background", Impairment(loss, half, half))


def excused(scenario: Scenario, pair: tuple[str, str]) -> list[tuple[float, float]]:
    """Intervals in which an end of the pair is dead or physically cut off from the other."""
    states = [(start, end, fault) for fault in scenario.timeline for start, end in pulses(fault)]
    edges = sorted({edge for start, end, _fault in states for edge in (start, end)})
    found: list[tuple[float, float]] = []
    for start, end in itertools.pairwise(edges):
        active = [fault for a, b, fault in states if a <= start and end <= b]
        if _parted(scenario.topology, pair, active):
            if found and found[-1][1] == start:
                found[-1] = (found[-1][0], end)
            else:
                found.append((start, end))
    return found


def _parted(topology: Topology, pair: tuple[str, str], active: Iterable[Fault]) -> bool:
    dead: set[str] = set()
    without: set[str] = set()
    for fault in active:
        if fault.kind in ("node-death", "node-reboot"):
            dead.add(fault.node)
        elif fault.kind in CUTS and not fault.source:
            without.update(link.name for link in fault.links)
    first, second = pair
    return bool(dead & {first, second}) or second not in topology.reachable(first, without=without, dead=dead)
