"""Hellos beside the mesh: how a link is, each way, told by its two ends. A protocol without I/O.

Each agent sends a small hello to every neighbour each 50 ms on the bare interface, and a full-size one each 500 ms.
A hello carries what its sender last heard of the receiver, so both ends know both directions. What is silent is
also asked by an echo that the far kernel answers: that tells a dead agent from a dead link.

Cost on the wire: 20 * 118 B + 2 * 1,500 B a second and direction = 43 kbit/s, 0.43 % of a 10 Mbit/s link.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from x0tta6bl4.errors import ProtocolError
from x0tta6bl4.model import Seconds

HEAD: Final = struct.Struct("!2sBBIQQIHHHHBB")
MAGIC: Final = b"x0"
VERSION: Final = 1
LARGE, LEAVING = 1, 2
HURRY_SHIFT, HURRY_MAX = 2, 3  # two bits: over how many hops the mesh is asked to converge fast
UNKNOWN: Final = 0xFFFF
SEPARATORS: Final = frozenset("/:<>, ")  # they part the names of components
LARGE_BYTES: Final = 1452  # with IPv6 and UDP headers: a 1,500-byte packet
WINDOW_S: Final = 2.0
LOSSY: Final = 0.1
REORDERED_MAX: Final = 20  # a number this far behind is no late packet
NEWS_MAX: Final = 600  # bytes
SETTLE_S: Final = 0.25  # after a silence, what the far end tells of this side is still of before
MUTE_S: Final = 0.3  # who says nothing at all says nothing about frame sizes
LAG_MAX_S: Final = 2.0  # so much silence at most is laid to lateness: more would make a reading too old to be read
GAPS_MS: Final = 350.0  # and so much at most to gaps, where the link was lossy
NEW_S: Final = 1.0  # who has not been heard for so long yet may still be starting: its silences are no news


class Hello(NamedTuple):
    """One hello. Times are microseconds of the clock of the one who wrote them; they are only echoed.

    loss_permille, silence_ms, large_silence_ms: how the sender hears the receiver; None where it does not know.
    lag_ms: how late the sender was with its hellos lately: that much silence is not the link's.
    news: what the sender wants its neighbours to pass on about its own interfaces, as small JSON text.
    """

    node: str
    interface: str
    seq: int
    sent_us: int
    echo_us: int = 0
    held_us: int = 0
    loss_permille: int | None = None
    silence_ms: int | None = None
    large_silence_ms: int | None = None
    large: bool = False
    leaving: bool = False
    hurry: int = 0
    lag_ms: int = 0
    news: bytes = b""


def encode(hello: Hello) -> bytes:
    """The datagram; a large one is padded to LARGE_BYTES."""
    node, interface = hello.node.encode(), hello.interface.encode()
    body = HEAD.pack(
        MAGIC,
        VERSION,
        (LARGE if hello.large else 0) | (LEAVING if hello.leaving else 0) | (hello.hurry & HURRY_MAX) << HURRY_SHIFT,
        hello.seq & 0xFFFFFFFF,
        hello.sent_us,
        hello.echo_us,
        min(hello.held_us, 0xFFFFFFFF),
        _u16(hello.loss_permille),
        _u16(hello.silence_ms),
        _u16(hello.large_silence_ms),
        _u16(hello.lag_ms),
        len(node),
        len(interface),
    )
    datagram = body + node + interface + struct.pack("!H", len(hello.news)) + hello.news
    return datagram.ljust(LARGE_BYTES, b"\0") if hello.large else datagram


def decode(datagram: bytes) -> Hello:
    """Inverse of `encode`; raises ProtocolError for anything else."""
    try:
        magic, version, flags, seq, sent, echo, held, loss, silence, large, lag, node_size, interface_size = (
            HEAD.unpack_from(datagram)
        )
        if magic != MAGIC or version != VERSION:
            raise ProtocolError(f"hello: got magic {magic!r} version {version}, allowed: {MAGIC!r} {VERSION}")
        names = HEAD.size + node_size + interface_size
        (news_size,) = struct.unpack_from("!H", datagram, names)
        if news_size > NEWS_MAX or len(datagram) < names + 2 + news_size:
            raise ProtocolError(f"hello: news of {news_size} bytes in {len(datagram)}")
        return Hello(
            _name(datagram[HEAD.size : HEAD.size + node_size]),
            _name(datagram[HEAD.size + node_size : names]),
            seq,
            sent,
            echo,
            held,
            None if loss == UNKNOWN else loss,
            None if silence == UNKNOWN else silence,
            None if large == UNKNOWN else large,
            large=bool(flags & LARGE),
            leaving=bool(flags & LEAVING),
            hurry=(flags >> HURRY_SHIFT) & HURRY_MAX,
            lag_ms=0 if lag == UNKNOWN else lag,
            news=datagram[names + 2 : names + 2 + news_size],
        )
    except (struct.error, UnicodeDecodeError) as error:
        raise ProtocolError(f"hello: {len(datagram)} bytes: {error}") from error


@lru_cache(maxsize=1024)  # the same few names, 20 times a second each
def _name(raw: bytes) -> str:
    name = raw.decode()
    if not name or not name.isprintable() or not SEPARATORS.isdisjoint(name):
        raise ProtocolError(f"hello: got name {name!r}, allowed: printable characters without {sorted(SEPARATORS)}")
    return name


def _u16(value: int | None) -> int:
    return UNKNOWN if value is None else max(0, min(value, UNKNOWN - 1))


@dataclass(slots=True)
class Peer:
    """One neighbour on one interface, as heard here: pure bookkeeping in local time.

    loss_in is from the gaps in its sequence numbers over WINDOW_S, what is overdue now included.
    """

    node: str
    interface: str  # its own
    address: str  # where to send to
    interval_s: Seconds
    first_at: Seconds
    last_at: Seconds
    seq: int = 0
    last_large_at: Seconds = 0.0
    last_echo_at: Seconds = float("-inf")
    echo_us: int = 0  # the sending time of its last hello, to be sent back
    echo_at: Seconds = float("-inf")  # when that came; a discovery by multicast is younger, and brings none
    arrivals: deque[tuple[Seconds, int]] = field(default_factory=deque)
    before: int = 0  # the number that came last before those in `arrivals`; the first one sent is 1
    round_trips: deque[Seconds] = field(default_factory=lambda: deque(maxlen=9))
    rtt_at: Seconds = float("-inf")
    loss_out: float | None = None
    silence_out_ms: float | None = None
    large_silence_out_ms: float | None = None
    told_at: Seconds = float("-inf")  # of when it is what the far end told last
    lag_s: Seconds = 0.0  # how late its sender was lately, as it told
    own_lag_s: Seconds = 0.0  # how late this process was lately
    resumed_at: Seconds = float("-inf")
    leaving: bool = False
    hurry: int = 0
    news: bytes = b""
    next_seq: int = 0
    large_turn: int = -1  # of the last full-size hello to it

    def hear(self, hello: Hello, now: Seconds) -> None:
        """Take in one hello of this peer."""
        if hello.seq < self.seq - REORDERED_MAX:  # it started again
            self.arrivals.clear()
        if not self.arrivals and hello.seq <= self.seq:
            self.before = hello.seq - 1
        self.see(now)
        self.seq = max(hello.seq, self.seq) if self.arrivals else hello.seq
        self.lag_s = hello.lag_ms / 1000
        self.leaving, self.hurry, self.news = hello.leaving, hello.hurry, hello.news
        self.echo_us, self.echo_at = hello.sent_us, now
        if hello.large:
            self.last_large_at = now
        self.arrivals.append((now, hello.seq))
        if hello.echo_us:
            self.round_trips.append(max(0.0, now - (hello.echo_us + hello.held_us) / 1e6))
            self.rtt_at = now
        if hello.silence_ms is not None and now - self.resumed_at > SETTLE_S:
            self.told_at = now - self.lateness_s  # the far end leaves that out of what it says
            self.silence_out_ms = float(hello.silence_ms)
            self.loss_out = None if hello.loss_permille is None else hello.loss_permille / 1000
            self.large_silence_out_ms = None if hello.large_silence_ms is None else float(hello.large_silence_ms)

    def see(self, now: Seconds) -> None:
        """It is there, as a discovery says too."""
        if now - self.last_at > MUTE_S:  # it was away: judge it from now
            self.last_large_at = self.resumed_at = now
        self.last_at = max(self.last_at, now)

    def hear_echo(self, now: Seconds) -> None:
        """The far kernel answered."""
        self.last_echo_at = now

    @property
    def lateness_s(self) -> Seconds:
        """How much of a silence the sender's lateness and this process's own explain."""
        return min(self.lag_s + self.own_lag_s, LAG_MAX_S)

    def _quiet_s(self, since: Seconds, now: Seconds) -> Seconds:
        """Time since, less what the sender's and this process's own lateness, or its being new, explain."""
        quiet = now - since - self.lateness_s
        if self.last_at - self.first_at < NEW_S:
            quiet -= NEW_S
        return max(0.0, quiet)

    @property
    def heard_at(self) -> Seconds:
        """When anything came last, an echo of its kernel included."""
        return max(self.last_at, self.last_echo_at)

    @property
    def large_at(self) -> Seconds:
        """When its last full-size hello came."""
        return max(self.last_large_at, self.first_at)

    def silence_ms(self, now: Seconds) -> float:
        """Time since anything came; where the link was lossy before, gaps are usual: half of their first moments."""
        silence = self._quiet_s(self.heard_at, now) * 1000
        return silence - min(silence / 2, GAPS_MS) if self._lossy_before() else silence

    def _lossy_before(self) -> bool:
        """Were hellos lost before the last one that came? Seven in a row are then no news."""
        if len(self.arrivals) < 2:
            return False
        expected = self.arrivals[-1][1] - self.arrivals[0][1] + 1
        return expected > 4 and 1 - len(self.arrivals) / expected > LOSSY

    def hello_silence_ms(self, now: Seconds) -> float:
        """Time since its agent was heard."""
        return self._quiet_s(self.last_at, now) * 1000

    def large_silence_ms(self, now: Seconds) -> float | None:
        """Time since a full-size hello came; None where its agent is mute, which says nothing of frame sizes."""
        if self.hello_silence_ms(now) > MUTE_S * 1000:
            return None
        return self._quiet_s(self.large_at, now) * 1000

    def loss_in(self, now: Seconds) -> float | None:
        """Share of hellos lost over WINDOW_S, less what lateness excuses; None until half a window was heard."""
        arrivals, quiet = self.arrivals, self._quiet_s(self.last_at, now)
        excused = max(0.0, now - self.last_at - quiet)  # nothing is known of this time
        begin = now - excused - WINDOW_S
        while arrivals and arrivals[0][0] < begin:
            self.before = arrivals.popleft()[1]
        if now - self.first_at < WINDOW_S / 2:
            return None
        mute = self.last_echo_at > self.last_at  # the link answers, the far agent does not: that is no loss
        if not arrivals:
            return None if mute else 1.0
        overdue = 0 if mute else max(0, int(quiet / self.interval_s - 1.0))
        missing_first = max(0, int((arrivals[0][0] - begin) / self.interval_s - 1.0))
        if now - self.first_at < WINDOW_S:
            missing_first = 0
        # an agent that was slow to start, paused or started again sent nothing meanwhile that could be lost
        missing_first = min(missing_first, max(0, arrivals[0][1] - self.before - 1))
        expected = self.seq - arrivals[0][1] + 1 + overdue + missing_first
        # A sender that is short of time says less: two lost of its eight are a burst, not a fourth of all.
        enough = WINDOW_S / self.interval_s / 2
        return max(0.0, expected - len(arrivals)) / max(expected, enough)

    def rtt_ms(self, now: Seconds) -> float | None:
        """Median of the last round trips; None where none is younger than a second."""
        if now - self.rtt_at > 1.0 or not self.round_trips:
            return None
        return sorted(self.round_trips)[len(self.round_trips) // 2] * 1000

    def reply(
        self, node: str, interface: str, now: Seconds, *, large: bool, leaving: bool, hurry: int, news: bytes
    ) -> Hello:
        """The next hello to this peer."""
        self.next_seq += 1
        loss, large_silence = self.loss_in(now), self.large_silence_ms(now)
        return Hello(
            node=node,
            interface=interface,
            seq=self.next_seq,
            sent_us=int(now * 1e6),
            echo_us=self.echo_us,
            held_us=int(max(0.0, now - self.echo_at) * 1e6) if self.echo_us else 0,
            loss_permille=None if loss is None else int(loss * 1000),
            silence_ms=int(self.silence_ms(now)),
            large_silence_ms=None if large_silence is None else int(large_silence),
            large=large,
            leaving=leaving,
            hurry=hurry,
            lag_ms=int(self.own_lag_s * 1000),
            news=news[:NEWS_MAX],
        )
