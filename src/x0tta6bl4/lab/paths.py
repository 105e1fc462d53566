"""Which timeline events touch the path of a client pair, where nobody may look: a real mesh's tables are slow to read.

`sim` knows the path in use. On a real kernel it is taken from the declared links and the timeline: the shortest paths
over what is alive, and those that also keep clear of whatever other faults hit lately: a mitigation may still avoid it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from x0tta6bl4.lab import faults
from x0tta6bl4.lab.injection import impairment_of, pulses
from x0tta6bl4.lab.netlab import SILENCE
from x0tta6bl4.lab.scenarios import Scenario
from x0tta6bl4.lab.topology import Topology

AVOIDED_S: Final = 120.0  # after a fault's end: the longest hold of a mitigation (90 s) and 30 s


def path_touched(scenario: Scenario, pair: tuple[str, str]) -> list[float]:
    """When (s) a fault began or ended on a link that may have carried this pair just before."""
    topology = scenario.topology
    states = [(start, end, fault) for fault in scenario.timeline for start, end in pulses(fault)]
    found = set[float]()
    for edge, fault in [(edge, fault) for start, end, fault in states for edge in (start, end)]:
        dead, lately = set[str](), set[str]()
        for start, end, other in states:
            if start < edge <= end + AVOIDED_S:
                names = {link.name for link in other.links}
                if other is not fault:
                    lately |= names
                if edge <= end and (impairment_of(other) is SILENCE or other.kind == "interface-down"):
                    dead |= names
        carriers = shortest(topology, pair, dead) | shortest(topology, pair, dead | lately)
        if carriers & faults.reach(fault, topology):
            found.add(edge)
    return sorted(found)


def shortest(topology: Topology, pair: tuple[str, str], without: Collection[str] = ()) -> set[str]:
    """Names of the links on any shortest path of a pair that keeps clear of `without`; none where there is no path."""
    source, target = pair
    away = _distances(topology, source, without)
    back = _distances(topology, target, without)
    if target not in away:
        return set()
    return {
        link.name
        for link in topology.links
        if link.name not in without
        for a, b in (link.nodes, link.nodes[::-1])
        if a in away and b in back and away[a] + 1 + back[b] == away[target]
    }


def _distances(topology: Topology, start: str, without: Collection[str]) -> dict[str, int]:
    found, todo = {start: 0}, [start]
    for here in todo:
        for link in topology.links_of(here):
            there = link.node_b if link.node_a == here else link.node_a
            if link.name not in without and there not in found:
                found[there] = found[here] + 1
                todo.append(there)
    return found
