"""The agent's measuring: hellos to every neighbour, echoes where one is silent, proofs through the mesh.

`Hellos` is the sensor of links (it also passes on what neighbours say of their own interfaces); `MeshProber` proves
the data plane: request and answer of the agents' own UDP over the mesh, small and full-size in turn.
"""

from __future__ import annotations

import json
import struct
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from x0tta6bl4.errors import ProtocolError
from x0tta6bl4.model import Component, Edge, Floats, Layout, Observation, Relation, Seconds
from x0tta6bl4.network import hello, names
from x0tta6bl4.network.hello import LAG_MAX_S, Peer
from x0tta6bl4.network.wire import Datagram, Wire
from x0tta6bl4.ports import Clock, Proof

ECHO_AFTER_S: Final = 0.15  # a silence that is worth an echo
ALARM_MS: Final = 350.0
ALARM_STAGES_MS: Final = (ALARM_MS, 400.0)  # where the catalogue calls a link, and an agent, silent
DISCOVER_EVERY_S: Final = 1.0
LARGE_APART_S: Final = 0.15  # full-size hellos to different neighbours do not leave at once
LAG_MIN_S, LAG_MEMORY_S = 0.03, 2.0
LINK_METRICS: Final = ("silence_ms", "hello_silence_ms", "large_silence_ms", "loss_ratio", "rtt_ms")
NEWS_METRICS: Final = ("up", "attached", "mtu_short_bytes")
NEWS_VALUE_MAX: Final = 1e6


class Hellos:
    """Sends and hears hellos of one node; a `Sensor` that answers at once."""

    name = "hello"

    def __init__(
        self,
        node: str,
        wire: Wire,
        *,
        clock: Clock,
        interval_s: Seconds = 0.05,
        large_interval_s: Seconds = 0.5,
    ) -> None:
        self.node, self.wire, self.clock = node, wire, clock
        self.interval_s, self.large_interval_s = interval_s, large_interval_s
        self.peers: dict[tuple[str, str], Peer] = {}  # (own interface, address)
        self.interfaces: tuple[str, ...] = ()
        self.leaving = False
        self.hurry = 0  # what this node asks of the mesh by itself
        self.news: Mapping[str, Mapping[str, float]] = {}
        self._news = b""
        self._ticks = 0
        self._lags: deque[tuple[Seconds, Seconds]] = deque()
        self._discover_at = float("-inf")
        self._layout: Layout | None = None
        self._news_layout: Layout | None = None
        self._silent: frozenset[tuple[tuple[str, str], float]] = frozenset()

    # -- hearing ------------------------------------------------------------------------------------------------

    def hear(self, datagram: Datagram) -> None:
        """Take in one datagram that came beside the mesh; malformed ones raise ProtocolError."""
        key = (datagram.interface, datagram.source)
        if datagram.echo:
            if key in self.peers:
                self.peers[key].hear_echo(datagram.at)
            return
        heard = hello.decode(datagram.payload)
        if heard.node == self.node:
            return
        peer = self.peers.get(key)
        if peer is None or (peer.node, peer.interface) != (heard.node, heard.interface):
            self._forget(datagram.interface, heard)
            peer = self.peers[key] = Peer(
                heard.node, heard.interface, datagram.source, self.interval_s, datagram.at, datagram.at
            )
            self._layout = None
        if heard.seq:  # 0 is a discovery by multicast
            peer.hear(heard, datagram.at)
        else:
            peer.see(datagram.at)

    def _forget(self, interface: str, heard: hello.Hello) -> None:
        """One link has one peer: who comes back with another address is not silent at the old one."""
        same = [
            k for k, p in self.peers.items() if (k[0], p.node, p.interface) == (interface, heard.node, heard.interface)
        ]
        for key in same:
            del self.peers[key]

    def note_lag(self, lag_s: Seconds, now: Seconds) -> None:
        """This process said its hellos late by `lag_s`: neighbours are told, and it mistrusts its own silences too."""
        if lag_s > LAG_MIN_S:
            self._lags.append((now, min(lag_s, LAG_MAX_S)))
        while self._lags and self._lags[0][0] < now - LAG_MEMORY_S:
            self._lags.popleft()
        worst = max((lag for _, lag in self._lags), default=0.0)
        for peer in self.peers.values():
            peer.own_lag_s = worst

    # -- sending ------------------------------------------------------------------------------------------------

    def send(self, now: Seconds) -> None:
        """One round: a hello to every neighbour, an echo to those that are silent, discovery now and then."""
        self._ticks += 1
        hurry = self.asked(now)
        for n, ((interface, address), peer) in enumerate(self.peers.items()):
            # By the clock, not by rounds: who is late with these sends no fewer.
            turn = int((now + n * LARGE_APART_S) // self.large_interval_s)
            large, peer.large_turn = turn != peer.large_turn, turn
            sent = self.clock.now()  # not when the round began: the round trip must not count what this loop takes
            said = peer.reply(
                self.node, interface, sent, large=large, leaving=self.leaving, hurry=hurry, news=self._news
            )
            self.wire.send_link(interface, address, hello.encode(said))
            if now - peer.last_at > ECHO_AFTER_S and (peer.silence_ms(now) < 2000 or self._ticks % 4 == 0):
                self.wire.echo(interface, address, b"x0")
        if now - self._discover_at >= DISCOVER_EVERY_S:
            self._discover_at = now
            for interface in self.interfaces:
                first = hello.Hello(self.node, interface, 0, int(now * 1e6), leaving=self.leaving)
                self.wire.send_link(interface, None, hello.encode(first))

    def asked(self, now: Seconds) -> int:
        """Over how many further hops the mesh is asked to converge fast: by this node, or passed on by a neighbour."""
        heard = (p.hurry - 1 for p in self.peers.values() if p.hello_silence_ms(now) < ALARM_MS)
        return max(self.hurry, 0, *heard)

    def hurried(self, now: Seconds) -> bool:
        """Does anybody within reach ask for it?"""
        return self.hurry > 0 or any(p.hurry > 0 for p in self.peers.values() if p.hello_silence_ms(now) < ALARM_MS)

    def tell(self, news: Mapping[str, Mapping[str, float]]) -> None:
        """What neighbours shall pass on about own interfaces: {interface: {metric: value}}; {} is nothing."""
        if news != self.news:
            self.news = news
            self._news = json.dumps(news, separators=(",", ":")).encode() if news else b""

    # -- judging ------------------------------------------------------------------------------------------------

    def alarmed(self, now: Seconds) -> bool:
        """Did a neighbour fall silent, or come back, since the last question?"""
        silent = frozenset(
            (key, stage)
            for key, peer in self.peers.items()
            for stage in ALARM_STAGES_MS
            if peer.hello_silence_ms(now) >= stage
        )
        changed, self._silent = silent != self._silent, silent
        return changed

    def read(self, now: Seconds) -> Observation:
        """Readings of every link to and from this node."""
        if self._layout is None:
            self._layout = self._make_layout()
        values = np.full((len(self._layout.components), len(LINK_METRICS)), np.nan, np.float32)
        ages = np.zeros_like(values)
        for i, peer in enumerate(self.peers.values()):
            rtt, loss, large = peer.rtt_ms(now), peer.loss_in(now), peer.large_silence_ms(now)
            values[2 * i] = (
                peer.silence_ms(now),
                peer.hello_silence_ms(now),
                np.nan if large is None else large,
                np.nan if loss is None else loss,
                np.nan if rtt is None else rtt,
            )
            ages[2 * i, :3] = _excused_s(peer, values[2 * i, :3], now)
            ages[2 * i, 3] = ages[2 * i, 1]  # what is overdue counts as lost, less what is excused
            if peer.silence_out_ms is not None:  # as the far end told; it knows nothing of its own agent's silence
                values[2 * i + 1] = (
                    peer.silence_out_ms,
                    np.nan,
                    np.nan if peer.large_silence_out_ms is None else peer.large_silence_out_ms,
                    np.nan if peer.loss_out is None else peer.loss_out,
                    np.nan if rtt is None else rtt,
                )
                ages[2 * i + 1, :4] = now - peer.told_at
            if peer.last_echo_at > now - 1.0:  # an echo went both ways
                values[2 * i + 1, 0], ages[2 * i + 1, 0] = values[2 * i, 0], ages[2 * i, 0]
        return Observation(self.name, now, self._layout, values, ages)

    def heard_news(self, now: Seconds) -> Observation | None:
        """What neighbours say of their own interfaces; None while they say nothing."""
        rows = [
            (names.interface(peer.node, own), metrics)
            for peer in self.peers.values()
            if peer.news and peer.hello_silence_ms(now) < ALARM_MS
            for own, metrics in _parse(peer.news)
        ]
        if not rows:
            return None
        components = tuple(component for component, _ in rows)
        if self._news_layout is None or self._news_layout.components != components:
            owners = tuple(Edge(c, Relation.PART_OF, names.node(names.owner(c))) for c in components)
            self._news_layout = Layout(components, NEWS_METRICS, owners)
        values = np.array([[m.get(k, np.nan) for k in NEWS_METRICS] for _, m in rows], np.float32)
        return Observation("news", now, self._news_layout, values, 0.05)

    def _make_layout(self) -> Layout:
        components: list[Component] = []
        edges: list[Edge] = []
        for (own, _), peer in self.peers.items():
            for ends in ((peer.node, peer.interface, self.node, own), (self.node, own, peer.node, peer.interface)):
                components.append(names.link(*ends))
                edges.extend(names.link_edges(*ends))
        return Layout(tuple(components), LINK_METRICS, tuple(edges))


def _excused_s(peer: Peer, silences_ms: Floats, now: Seconds) -> Floats:
    """How much of the time in which nothing came is not called silence (float32 [3]; as `silences_ms`).

    So old is the reading: it says nothing of a time in which nothing was heard, or one end would say that a link was
    well when the other already knows that it is dead.
    """
    since = np.array((peer.heard_at, peer.last_at, peer.large_at))
    return np.maximum(now - since - silences_ms / 1000, 0.0).astype(np.float32)


def _parse(news: bytes) -> list[tuple[str, dict[str, float]]]:
    """[(interface, {metric: value})]; what is not such a document is nothing."""
    try:
        document = json.loads(news)
    except (ValueError, RecursionError):
        return []
    if not isinstance(document, dict):
        return []
    return [
        (interface, {k: float(v) for k, v in metrics.items() if k in NEWS_METRICS and _is_reading(v)})
        for interface, metrics in document.items()
        if isinstance(metrics, dict) and hello.SEPARATORS.isdisjoint(interface)
    ]


def _is_reading(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) <= NEWS_VALUE_MAX  # also false for what is no number


PROBE: Final = struct.Struct("!2sBIHI")  # magic, version, number, size, how long the far agent held it (us)
REQUEST, ANSWER = b"x?", b"x!"
PROBE_EVERY_S: Final = 0.1
JUDGED, JUDGED_MIN = 10, 8  # how many probes a verdict looks at: those of about the last second
LATE_S: Final = 0.15
HELD_MEMORY_S: Final = 2.0
HELD_MAX_US: Final = 0xFFFFFFFF
PROBE_LARGE_BYTES: Final = 1300
PROBE_SMALL_BYTES: Final = 64
WELL_RATIO: Final = 0.9


class MeshProber:
    """`ports.Prober` over UDP through the mesh: 10 probes a second for each target, every second one full-size.

    An answer says how long the far agent held it: an agent that is short of time is no bad path.
    """

    def __init__(self, wire: Wire, clock: Clock) -> None:
        self.wire, self.clock = wire, clock
        self._watched: dict[str, tuple[str, ...]] = {}
        self._sent: dict[str, deque[tuple[Seconds, int]]] = {}
        self._answered: dict[int, Seconds] = {}
        self._held: deque[tuple[Seconds, Seconds]] = deque()  # (arrival of an answer, how long it was held)
        self._id = self._round = 0
        self._next = float("-inf")

    def watch(self, key: str, targets: Sequence[Component], now: Seconds) -> None:
        """Probe towards `targets` until `forget(key)`."""
        if key not in self._watched:
            self._watched[key] = tuple(t.name for t in targets)
            self._next = min(self._next, now)

    def forget(self, key: str) -> None:
        """Stop."""
        self._watched.pop(key, None)

    def tick(self, now: Seconds) -> None:
        """Send what is due."""
        targets = {name for wanted in self._watched.values() for name in wanted}
        if not targets:
            self._sent.clear()
            self._answered.clear()
            self._held.clear()
            return
        if now < self._next:
            return
        self._next = now + PROBE_EVERY_S - 1e-6
        self._round += 1
        size = PROBE_LARGE_BYTES if self._round % 2 else PROBE_SMALL_BYTES
        for name in sorted(targets):
            self._id = (self._id + 1) & 0xFFFFFFFF
            sent = self._sent.setdefault(name, deque(maxlen=100))
            sent.append((now, self._id))
            self.wire.send_mesh(name, PROBE.pack(REQUEST, 1, self._id, size, 0).ljust(size, b"\0"))

    def hear(self, datagram: Datagram) -> bool:
        """Take in a datagram that came through the mesh; answers requests; False where it is not a probe."""
        try:
            magic, _, number, size, held_us = PROBE.unpack_from(datagram.payload)
        except struct.error:
            return False
        if magic == REQUEST:
            held_us = min(int(max(0.0, self.clock.now() - datagram.at) * 1e6), HELD_MAX_US)
            answer = PROBE.pack(ANSWER, 1, number, size, held_us)
            self.wire.send_mesh(datagram.source, answer.ljust(len(datagram.payload), b"\0"))
        elif magic == ANSWER:
            self._answered.setdefault(number, datagram.at - held_us / 1e6)
            self._held.append((datagram.at, held_us / 1e6))
        return magic in (REQUEST, ANSWER)

    def verdict(self, key: str, since: Seconds, now: Seconds) -> Proof:
        """Well: of the last ten probes to every target, sent after `since`, 90 % came back within 150 ms.

        Of those that may be back by now, that is: where far agents hold them for a while, later. A late answer is an
        answer all the same where the share is told.
        """
        while self._held and self._held[0][0] < now - HELD_MEMORY_S:
            self._held.popleft()
        back = now - LATE_S - max((held for _, held in self._held), default=0.0)
        targets = self._watched.get(key, ())
        worst, reached, samples, detail = 1.0, 1.0, 0, ""
        for name in targets:
            judged = [(at, number) for at, number in self._sent.get(name, ()) if since < at <= back][-JUDGED:]
            if len(judged) < JUDGED_MIN:
                return Proof(None, len(judged), f"{len(judged)} probes to {name} so far")
            good = sum(self._answered.get(number, np.inf) - at <= LATE_S for at, number in judged)
            reached = min(reached, sum(number in self._answered for _, number in judged) / len(judged))
            samples += len(judged)
            if good / len(judged) <= worst:
                worst, detail = good / len(judged), f"{good} of {len(judged)} probes to {name} answered"
        return Proof(worst >= WELL_RATIO, samples, detail, reached) if targets else Proof(None, 0)


def split(datagrams: Iterable[Datagram], hellos: Hellos, prober: MeshProber) -> tuple[list[Datagram], int]:
    """Give datagrams to whom they belong; returns the rest and how many were malformed."""
    rest: list[Datagram] = []
    malformed = 0
    for datagram in datagrams:
        try:
            if datagram.interface:
                hellos.hear(datagram)
            elif not prober.hear(datagram):
                rest.append(datagram)
        except ProtocolError:
            malformed += 1
    return rest, malformed
