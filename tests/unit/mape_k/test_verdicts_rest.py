"""Whatever breaks and whoever cannot tell of it: verdicts come to rest, leave nothing unexplained, and end with it."""

from collections import Counter
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import MeshRig
from x0tta6bl4.network import names

MESHES = (
    "n1-n2 n2-n3 n3-n4 n4-n1 n1-n3",
    "n1-n2 n2-n3 n3-n4 n4-n5 n5-n1",
    "n1-n2 n2-n3 n3-n4 n4-n5 n5-n6 n6-n1 n2-n5",
    "n1-n2 n2-n3 n3-n4 n3-n5 n4-n5 n5-n6 n6-n1",
)
SEAT = "n1"
BREAKS, HEALS, END = 3.0, 14.0, 32.0
CORE = ("link-silent", "interface-down", "link-lossy")


class Fault(NamedTuple):
    """What breaks from `at` on: a node, its agent, or something between it and the neighbour at `place`."""

    kind: str
    node: str
    place: int
    at: float


class World:
    """A mesh with faults, and what its nodes report of it: nothing while they are dead or cannot be heard."""

    def __init__(self, links, faults, unheard):
        self.rig = MeshRig(links, seat=SEAT)
        self.rig.run(0.0, BREAKS, every=0.25)
        self.nodes = sorted({node for pair in links.split() for node in pair.split("-")})
        self.faults = [f for f in faults if f.node in self.nodes]
        self.unheard = {node: until for node, until in unheard.items() if node in self.nodes}

    def measure(self, now):
        """(directed link -> readings, interfaces without carrier)."""
        seen = {(a, b): {} for a in self.nodes for b in self.rig.neighbours(a)}
        down = set()
        for kind, node, place, at in self.faults:
            if not at <= now < HEALS:
                continue
            near = self.rig.neighbours(node)
            far = near[place % len(near)]
            age = {"hello_silence_ms": (now - at) * 1000, "loss_ratio": min(1.0, (now - at) / 2)}
            dead = {**age, "silence_ms": (now - at) * 1000, "rtt_ms": None, "large_silence_ms": None}
            for other in near if kind in ("node", "agent") else ():
                seen[node, other] |= dead if kind == "node" else {**age, "large_silence_ms": None}
            if kind in ("link", "one way", "interface"):
                seen[node, far] |= dead
            if kind in ("link", "interface"):
                seen[far, node] |= dead
            if kind == "interface":
                down.add((node, far))
            if kind == "loss":
                seen[node, far]["loss_ratio"] = max(0.4, seen[node, far].get("loss_ratio", 0.0))
        return seen, down

    def silent_since(self, node, now):
        """Since when no report of this node arrives; None where they do."""
        ends = [f.at for f in self.faults if f.kind in ("node", "agent") and f.node == node and f.at <= now < HEALS]
        ends += [BREAKS] if now < self.unheard.get(node, 0.0) else []
        return min(ends, default=None)

    def run(self, start, end):
        """Passes over what arrives."""
        for now in (start + i * 0.25 for i in range(round((end - start) * 4))):
            seen, down = self.measure(now)
            for node in self.nodes:
                since = self.silent_since(node, now)
                self.rig.set(names.node(node), report_age_ms=100.0 if since is None else (now - since) * 1000)
                for far in self.rig.neighbours(node):
                    port = names.interface(node, f"v{node[1:]}-{far[1:]}")
                    told = dict.fromkeys(self.rig.LINK)
                    if since is None:
                        self.rig.heal(far, node)
                        told = {"loss_ratio": 0.0} | seen[far, node]
                    self.rig.set(self.rig.link(far, node), **told)
                    self.rig.set(port, up=None if since is not None else float((node, far) not in down))
            self.rig.step(now)


others = st.sampled_from(["n2", "n3", "n4", "n5", "n6"])
faults = st.lists(
    st.builds(
        Fault,
        st.sampled_from(["node", "agent", "link", "one way", "interface", "loss"]),
        others,
        st.integers(0, 3),
        st.sampled_from([3.0, 3.5, 4.0, 5.5]),
    ),
    min_size=1,
    max_size=3,
)


@settings(deadline=None)  # over a hundred passes
@given(st.sampled_from(MESHES), faults, st.dictionaries(others, st.sampled_from([4.0, 5.0, 7.0]), max_size=2))
def test_verdicts_come_to_rest_and_end_with_what_they_explain(links, broken, unheard):
    world = World(links, broken, unheard)
    rig = world.rig
    world.run(BREAKS, HEALS)
    explained = frozenset().union(*(rig.knowledge.covered(i) for i in rig.knowledge.open.values()))
    assert [s for s in rig.active if s.code in CORE and (s.code, s.component) not in explained] == []
    assert len(set(rig.verdicts())) == len(rig.verdicts())
    revised = Counter(change.incident.id for change in rig.changes if change.type == "incident.updated")
    assert max(revised.values(), default=0) <= 3
    known = len(rig.changes)
    world.run(HEALS, END)
    assert {change.type for change in rig.changes[known:]} <= {"incident.closed"}
    assert rig.verdicts() == []
