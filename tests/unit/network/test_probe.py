"""The agent's measuring: who is greeted, what is read of a link, and when the data plane is proven."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import FakeWire, ManualClock, link_hello
from x0tta6bl4.errors import ProtocolError
from x0tta6bl4.model import Relation
from x0tta6bl4.network import hello, names
from x0tta6bl4.network.hello import Hello
from x0tta6bl4.network.probe import ANSWER, HELD_MEMORY_S, PROBE, REQUEST, Hellos, MeshProber, split
from x0tta6bl4.network.wire import Datagram

TICK = 0.05
HERE, THERE = names.link("n2", "v9", "n1", "v1"), names.link("n1", "v1", "n2", "v9")


def said(node="n2", interface="v9", seq=1, **fields):
    return hello.encode(Hello(node, interface, seq, 1, **fields))


@pytest.mark.parametrize(("tick", "most"), [(TICK, 0.55), (0.12, 0.62), (0.3, 0.8)])
def test_who_ticks_late_sends_no_fewer_full_size_hellos(tick, most):
    clock, wire = ManualClock(), FakeWire()
    node = Hellos("n1", wire, clock=clock)
    for n in range(2, 6):
        node.hear(link_hello(said(f"n{n}"), 0.0, "v1", f"fe80::{n}"))
    sent = {}
    for i in range(1, round(12 / tick)):
        clock.at = i * tick
        node.send(clock.at)
        for _, _, to, payload in wire.taken("link"):
            if len(payload) == hello.LARGE_BYTES:
                sent.setdefault(to, []).append(clock.at)
    assert len(sent) == 4
    for times in sent.values():
        assert max(b - a for a, b in itertools.pairwise(times)) < most + 1e-6
        assert len(times) <= 12 / 0.5 + 1
    assert len({round(times[-1] / tick) for times in sent.values()}) > 1  # not all at once


class Pair:
    """Two ends over one link; `deaf` is a set of names that hear nothing."""

    def __init__(self):
        self.wires = {"n1": FakeWire(), "n2": FakeWire()}
        self.clock = ManualClock()
        self.ends = {name: Hellos(name, wire, clock=self.clock) for name, wire in self.wires.items()}
        self.port = {"n1": "v1", "n2": "v9"}
        for name, end in self.ends.items():
            end.interfaces = (self.port[name],)
        self.now, self.deaf, self.dead, self.small_only = 0.0, set(), set(), False

    def tick(self):
        self.now = self.clock.at = round(self.now + TICK, 6)
        for name, other in (("n1", "n2"), ("n2", "n1")):
            if name in self.dead:
                continue
            self.ends[name].send(self.now)
            for payload in [e[3] for e in self.wires[name].taken("link")]:
                clipped = self.small_only and len(payload) > 1400
                if other not in self.deaf | self.dead and not clipped:
                    heard = link_hello(payload, self.now + 0.002, self.port[other], f"fe80::{name}")
                    self.ends[other].hear(heard)
            for _, port, to, payload in self.wires[name].taken("echo"):
                if not {name, other} & self.deaf:  # the far kernel answers, its agent need not be alive
                    self.ends[name].hear(link_hello(payload, self.now + 0.004, port, to, echo=True))

    def run(self, seconds):
        for _ in range(round(seconds / TICK)):
            self.tick()
        return self.read("n1")

    def read(self, name):
        seen = self.ends[name].read(self.now + 0.01)
        return {
            str(c): dict(zip(seen.layout.metrics, seen.values[row].tolist(), strict=True))
            for row, c in enumerate(seen.layout.components)
        }


def test_neighbours_find_each_other_and_know_both_directions():
    pair = Pair()
    seen = pair.run(3.0)
    assert set(seen) == {str(HERE), str(THERE)}
    for link in (HERE, THERE):
        assert seen[str(link)]["loss_ratio"] == 0.0
        assert seen[str(link)]["silence_ms"] < 60
        assert seen[str(link)]["large_silence_ms"] < 600
        assert seen[str(link)]["rtt_ms"] == pytest.approx(2.0, abs=0.1)  # 2 ms there; back it is held
    layout = pair.ends["n1"].read(pair.now).layout
    assert layout is pair.ends["n1"].read(pair.now).layout
    assert any(e.relation is Relation.FROM and e.source == HERE and e.target == names.node("n2") for e in layout.edges)


def test_one_dead_direction_is_known_at_both_ends():
    pair = Pair()
    pair.run(3.0)
    pair.deaf = {"n2"}
    seen = pair.run(1.0)
    assert seen[str(HERE)]["silence_ms"] < 60
    assert seen[str(THERE)]["silence_ms"] > 800


def test_a_dead_agent_leaves_the_link_alive():
    pair = Pair()
    pair.run(3.0)
    pair.dead = {"n2"}
    seen = pair.run(2.0)
    assert seen[str(HERE)]["hello_silence_ms"] > 1900
    assert seen[str(HERE)]["silence_ms"] < 300
    assert seen[str(THERE)]["silence_ms"] < 300
    assert not seen[str(HERE)]["loss_ratio"] > 0
    assert np.isnan(seen[str(HERE)]["large_silence_ms"])  # who says nothing says nothing about sizes


def test_small_frames_that_pass_alone_are_told():
    pair = Pair()
    pair.run(3.0)
    pair.small_only = True
    seen = pair.run(3.0)
    for link in (HERE, THERE):
        assert seen[str(link)]["large_silence_ms"] > 2400
        assert seen[str(link)]["silence_ms"] < 60


def test_silence_alarms_once_and_its_end_too():
    pair = Pair()
    pair.run(1.2)
    end = pair.ends["n1"]
    assert not end.alarmed(pair.now)
    pair.dead = {"n2"}
    pair.run(0.5)
    assert [end.alarmed(pair.now) for _ in range(2)] == [True, False]
    pair.dead = set()
    pair.run(0.1)
    assert [end.alarmed(pair.now) for _ in range(2)] == [True, False]


def test_a_neighbour_that_may_still_be_starting_is_silent_a_second_later():
    pair = Pair()
    pair.run(0.5)
    pair.dead = {"n2"}
    end = pair.ends["n1"]
    pair.run(1.2)
    assert not end.alarmed(pair.now)
    pair.run(0.2)
    assert end.alarmed(pair.now)


def test_a_late_process_blames_nobody():
    pair = Pair()
    pair.run(1.0)
    pair.now += 0.8
    pair.ends["n1"].note_lag(0.8, pair.now)
    assert pair.read("n1")[str(HERE)]["silence_ms"] < 60


@given(
    lags=st.tuples(st.floats(0.0, 2.0), st.floats(0.0, 2.0)),
    lossy=st.booleans(),
    new=st.booleans(),
    echo=st.booleans(),
    told_late=st.booleans(),
    dead_s=st.floats(0.0, 4.0),
)
def test_a_reading_never_says_that_something_came_later_than_it_did(*, lags, lossy, new, echo, told_late, dead_s):
    """Else one end would speak against the other, which knows already that the link is dead."""
    pair = Pair()
    for _ in range(8 if new else 41):
        if lossy:
            pair.deaf = {"n1"} if pair.now * 20 % 3 < 0.5 else set()
        pair.tick()
    pair.deaf = set()
    end = pair.ends["n1"]
    (peer,) = end.peers.values()
    if told_late:  # lateness that the far end leaves out of what it tells, and that is forgotten here by now
        pair.ends["n2"].note_lag(lags[1], pair.now)
        lags = (0.0, 0.0)
    pair.tick()
    died = pair.now + 0.004
    if echo:
        end.hear(link_hello(b"x0", died, "v1", "fe80::n2", echo=True))
    end.note_lag(lags[0], died + dead_s)
    peer.lag_s = lags[1]
    seen = end.read(died + dead_s)
    (far,) = pair.ends["n2"].peers.values()
    for row, ear in enumerate((peer, far) if not (new or lossy) else (peer,)):
        came = {"silence_ms": died, "hello_silence_ms": ear.last_at, "large_silence_ms": ear.large_at}
        for metric, last in came.items():
            column = seen.layout.metrics.index(metric)
            said, measured = seen.values[row, column], seen.at - seen.age_s[row, column]
            assert np.isnan(said) or measured - said / 1000 <= last + 0.004  # what is told is 2 ms on its way
            assert row or np.isnan(said) or seen.at - measured <= 3.4  # never too old to be read for long


def test_hurry_is_passed_on_and_fades():
    pair = Pair()
    pair.run(1.0)
    one, other = pair.ends["n1"], pair.ends["n2"]
    assert not one.hurried(pair.now)
    other.hurry = 3
    pair.run(0.2)
    assert one.hurried(pair.now)
    assert one.asked(pair.now) == 2
    other.hurry = 0
    pair.run(0.3)
    assert not one.hurried(pair.now)
    other.leaving = True
    pair.run(0.1)
    assert [p.leaving for p in one.peers.values()] == [True]


def test_news_of_neighbours_are_readings_of_their_interfaces():
    pair = Pair()
    pair.run(1.2)
    assert pair.ends["n1"].heard_news(pair.now) is None
    pair.ends["n2"].tell({"v9": {"up": 1.0, "attached": 0.0, "mtu_short_bytes": 160.0}})
    pair.run(0.1)
    seen = pair.ends["n1"].heard_news(pair.now)
    assert [str(c) for c in seen.layout.components] == ["interface/n2:v9"]
    assert seen.values.tolist() == [[1.0, 0.0, 160.0]]
    assert pair.ends["n1"].heard_news(pair.now).layout is seen.layout
    assert pair.ends["n1"].heard_news(pair.now + 1.0) is None  # it fell silent
    pair.ends["n2"].tell({})
    pair.run(0.1)
    assert pair.ends["n1"].heard_news(pair.now) is None


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["v9", "a>b", "up", "attached"]), inner)
    ),
    max_leaves=6,
)


@given(st.binary(max_size=80) | odd.map(lambda d: json.dumps(d).encode()[: hello.NEWS_MAX]) | st.just(b"[" * 600))
def test_news_that_are_none_are_ignored(news):
    end = Hellos("n1", FakeWire(), clock=ManualClock())
    end.hear(link_hello(said(news=news), 1.0))
    seen = end.heard_news(1.0)
    if seen is not None:
        assert seen.values.shape == (len(seen.layout.components), 3)
        assert not np.isinf(seen.values).any()
        assert all(">" not in c.name for c in seen.layout.components)


def test_an_own_hello_and_a_strangers_echo_are_nothing():
    end = Hellos("n1", FakeWire(), clock=ManualClock())
    end.hear(link_hello(said("n1"), 1.0))
    end.hear(link_hello(b"x0", 1.0, echo=True))
    assert end.peers == {}
    with pytest.raises(ProtocolError):
        end.hear(link_hello(b"noise", 1.0))


def test_a_neighbour_that_changed_its_name_is_another_one():
    end = Hellos("n1", FakeWire(), clock=ManualClock())
    end.hear(link_hello(said("n2", seq=0), 1.0))
    end.hear(link_hello(said("n2", seq=0), 1.2))
    assert [p.last_at for p in end.peers.values()] == [1.2]
    first = end.read(1.2).layout
    end.hear(link_hello(said("n3"), 1.3))
    assert [p.node for p in end.peers.values()] == ["n3"]
    assert end.read(1.3).layout is not first


def test_a_neighbour_that_comes_back_with_another_address_is_the_same_link():
    end = Hellos("n1", FakeWire(), clock=ManualClock())
    for i in range(4):
        end.hear(link_hello(said(seq=i + 1), 1.0 + i * TICK))
    end.hear(link_hello(said(seq=1), 9.0, source="fe80::77"))
    end.hear(link_hello(said("n4", seq=1), 9.0, source="fe80::4"))
    seen = end.read(9.0)
    assert sorted({str(c) for c in seen.layout.components}) == sorted(str(c) for c in seen.layout.components)
    assert seen.values[seen.layout.components.index(HERE), 0] == 0.0


def test_the_cost_on_the_wire_is_under_one_percent_of_ten_megabit():
    pair = Pair()
    pair.run(2.0)
    wire, sent = FakeWire(), 0
    pair.ends["n1"].wire = wire
    for i in range(200):
        pair.ends["n1"].send(pair.now + i * TICK)
        sent += sum(len(e[3]) + 62 for e in wire.taken("link"))
        wire.taken("echo")
    assert sent * 8 / 10.0 < 0.01 * 10e6


# -- proof through the mesh -----------------------------------------------------------------------------------------

FAR, FARTHER = names.node("n5"), names.node("n6")


class Mesh:
    """A prober whose probes come back after `delay`, those to `lost` never."""

    def __init__(self):
        self.wire = FakeWire()
        self.prober = MeshProber(self.wire, ManualClock())
        self.delay, self.held, self.lost, self.lose_large = 0.01, 0.0, set(), False
        self.on_the_way = []
        self.now, self.sizes = 0.0, []

    def run(self, seconds):
        for _ in range(round(seconds / TICK)):
            self.now += TICK
            self.prober.tick(self.now)
            for _, _, node, payload in self.wire.taken("mesh"):
                _, _, number, size, _ = PROBE.unpack_from(payload)
                self.sizes.append(len(payload))
                if node not in self.lost and not (self.lose_large and size > 1000):
                    self.on_the_way.append((self.now + self.delay + self.held, node, number))
            for at, node, number in [x for x in self.on_the_way if x[0] <= self.now]:
                answer = PROBE.pack(ANSWER, 1, number, 64, round(self.held * 1e6))
                assert self.prober.hear(Datagram(at, "", node, answer))
            self.on_the_way = [x for x in self.on_the_way if x[0] > self.now]


def test_well_is_said_after_enough_probes_only():
    mesh = Mesh()
    mesh.prober.watch("a", [FAR], 0.0)
    mesh.run(0.5)
    early = mesh.prober.verdict("a", 0.0, mesh.now)
    assert early.well is None
    assert "so far" in early.detail
    mesh.run(1.0)
    proof = mesh.prober.verdict("a", 0.0, mesh.now)
    assert proof.well
    assert proof.samples >= 8
    assert {64, 1300} == set(mesh.sizes)


@pytest.mark.parametrize("trouble", [{"lost": {"n6"}}, {"delay": 0.2}, {"lose_large": True}], ids=str)
def test_not_well(trouble):
    mesh = Mesh()
    for name, value in trouble.items():
        setattr(mesh, name, value)
    mesh.prober.watch("a", [FAR, FARTHER], 0.0)
    mesh.run(2.0)
    proof = mesh.prober.verdict("a", 0.0, mesh.now)
    assert proof.well is False
    assert proof.share == pytest.approx({"lost": 0.0, "delay": 0.9, "lose_large": 0.5}[next(iter(trouble))], abs=0.1)
    if "lost" in trouble:
        assert proof.detail.endswith("probes to n6 answered")


@pytest.mark.parametrize(("delay", "well"), [(0.01, True), (0.2, False)])
def test_an_agent_that_is_short_of_time_is_no_bad_path(delay, well):
    mesh = Mesh()
    mesh.delay, mesh.held = delay, 0.6
    mesh.prober.watch("a", [FAR], 0.0)
    mesh.run(3.0)
    assert mesh.prober.verdict("a", 0.0, mesh.now).well is well
    mesh.lost = {"n5"}  # what is held no more is missed as fast as ever
    mesh.run(HELD_MEMORY_S + 0.8)
    assert mesh.prober.verdict("a", 0.0, mesh.now).well is False


def test_a_prober_that_is_short_of_time_needs_longer_and_says_the_same():
    mesh = Mesh()
    mesh.prober.watch("a", [FAR], 0.0)
    said = []
    for _ in range(10):  # four rounds a second
        mesh.now += 0.2
        mesh.run(TICK)
        said.append(mesh.prober.verdict("a", 0.0, mesh.now).well)
    assert said == [None] * 8 + [True] * 2


def test_only_what_was_sent_after_the_action_counts():
    mesh = Mesh()
    mesh.lost = {"n5"}
    mesh.prober.watch("a", [FAR], 0.0)
    mesh.run(2.0)
    acted = mesh.now
    mesh.lost = set()
    mesh.run(0.5)
    assert mesh.prober.verdict("a", acted, mesh.now).well is None
    assert mesh.prober.verdict("a", 0.0, mesh.now).well is False
    mesh.run(0.7)
    assert mesh.prober.verdict("a", acted, mesh.now).well


def test_watching_is_idempotent_and_ends():
    mesh = Mesh()
    mesh.prober.watch("a", [FAR], 0.0)
    mesh.prober.watch("a", [FARTHER], 0.0)
    mesh.run(1.0)
    assert len(mesh.sizes) == pytest.approx(10, abs=1)
    mesh.prober.forget("a")
    mesh.prober.forget("a")
    mesh.sizes = []
    mesh.run(1.0)
    assert mesh.sizes == []
    assert mesh.prober.verdict("a", 0.0, mesh.now).well is None


def test_requests_are_answered_with_their_own_size_and_noise_is_left_to_others():
    wire, prober = FakeWire(), None
    prober = MeshProber(wire, ManualClock(1.25))
    assert prober.hear(Datagram(1.0, "", "n9", PROBE.pack(REQUEST, 1, 7, 1300, 0).ljust(1300, b"\0")))
    ((_, _, to, payload),) = wire.taken("mesh")
    assert (to, len(payload), PROBE.unpack_from(payload)) == ("n9", 1300, (ANSWER, 1, 7, 1300, 250_000))
    assert not prober.hear(Datagram(1.0, "", "n9", b"x"))
    assert not prober.hear(Datagram(1.0, "", "n9", b"someone else's datagram"))


def test_datagrams_go_where_they_belong():
    hellos, prober = Hellos("n1", FakeWire(), clock=ManualClock()), MeshProber(FakeWire(), ManualClock())
    other = Datagram(1.0, "", "n9", b"someone else's datagram")
    rest, malformed = split(
        [
            link_hello(said(), 1.0),
            link_hello(b"noise", 1.0),
            other,
            Datagram(1.0, "", "n9", PROBE.pack(ANSWER, 1, 1, 64, 0)),
        ],
        hellos,
        prober,
    )
    assert (rest, malformed, len(hellos.peers)) == ([other], 1, 1)
