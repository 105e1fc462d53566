"""Hellos: bytes there and back, and what two ends know of a link."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from x0tta6bl4.errors import ProtocolError
from x0tta6bl4.network import hello
from x0tta6bl4.network.hello import HEAD, LARGE_BYTES, NEWS_MAX, WINDOW_S, Hello, Peer, decode, encode

TICK = 0.05
names = st.text("abcxyz0189-._äß", min_size=1, max_size=30)
u16 = st.none() | st.integers(0, 0xFFFE)
u64 = st.integers(0, 2**64 - 1)
u32 = st.integers(0, 2**32 - 1)
hellos = st.builds(
    Hello,
    node=names,
    interface=names,
    seq=u32,
    sent_us=u64,
    echo_us=u64,
    held_us=u32,
    loss_permille=u16,
    silence_ms=u16,
    large_silence_ms=u16,
    large=st.booleans(),
    leaving=st.booleans(),
    hurry=st.integers(0, 3),
    lag_ms=st.integers(0, 0xFFFE),
    news=st.binary(max_size=NEWS_MAX),
)


@given(hellos)
def test_there_and_back(said):
    datagram = encode(said)
    assert decode(datagram) == said
    assert len(datagram) == LARGE_BYTES if said.large else len(datagram) < 1000


def test_what_does_not_fit_is_cut_to_the_largest_that_does():
    said = Hello("n1", "v1", 1, 1, held_us=2**40, loss_permille=-3, silence_ms=10**6)
    heard = decode(encode(said))
    assert (heard.held_us, heard.loss_permille, heard.silence_ms) == (2**32 - 1, 0, 0xFFFE)


@given(st.binary(max_size=200))
@example(b"")
@example(b"x0\x01")
def test_noise_is_a_protocol_error(noise):
    with pytest.raises(ProtocolError):
        decode(noise)


@given(hellos, st.data())
def test_damage_is_a_protocol_error_or_another_hello(said, data):
    datagram = bytearray(encode(said))
    for _ in range(data.draw(st.integers(1, 4))):
        datagram[data.draw(st.integers(0, len(datagram) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(datagram[: data.draw(st.integers(0, len(datagram)))])
    try:
        heard = decode(cut)
    except ProtocolError:
        return
    assert isinstance(heard, Hello)
    assert len(heard.news) <= NEWS_MAX


@given(hellos.filter(lambda h: not h.large))
def test_every_cut_is_refused(said):
    datagram = encode(said)
    for size in range(0, len(datagram), 7):
        with pytest.raises(ProtocolError):
            decode(datagram[:size])


@pytest.mark.parametrize("name", ["", "a/b", "a>b", "a<b", "a:b", "a,b", "a b", "a\nb", "a\0b"])
def test_a_name_that_would_be_taken_for_another_component_is_refused(name):
    for node, interface in ((name, "v1"), ("n1", name)):
        with pytest.raises(ProtocolError, match="name"):
            decode(encode(Hello(node, interface, 1, 1)))


def test_the_version_is_looked_at():
    datagram = bytearray(encode(Hello("n1", "v1", 1, 1)))
    datagram[2] = 9
    with pytest.raises(ProtocolError, match="version 9"):
        decode(bytes(datagram))
    assert struct.calcsize(HEAD.format) == HEAD.size


# -- a peer ---------------------------------------------------------------------------------------------------------


def peer_at(t=0.0):
    return Peer("n2", "v2", "fe80::2", TICK, t, t)


def talk(peer, start, ticks, lost=(), seq=None, **fields):
    """Hellos on time from `start`, those numbered in `lost` missing; returns the time of the last tick."""
    first = peer.seq + 1 if seq is None else seq
    for i in range(ticks):
        if i not in lost:
            peer.hear(Hello("n2", "v2", first + i, 1, **fields), start + i * TICK)
    if ticks - 1 in lost:  # the last one is known to be missing only by its time
        peer.seq = max(peer.seq, 0)
    return start + (ticks - 1) * TICK


def test_loss_is_unknown_before_half_a_window():
    peer = peer_at()
    talk(peer, 0.0, 10)
    assert peer.loss_in(0.45) is None
    end = talk(peer, 0.5, 12)
    assert peer.loss_in(end) == 0.0


def test_loss_is_the_share_of_missing_numbers():
    peer = peer_at()
    end = talk(peer, 0.0, 81, lost=range(42, 80, 4))
    # the window of 2 s holds numbers 40..80 (41 of them), ten of which are missing
    assert peer.loss_in(end) == pytest.approx(10 / 41)


def test_a_few_that_are_lost_of_few_are_a_burst():
    peer = peer_at()
    for number in range(20):  # its sender is short of time: one each 250 ms
        if number not in (15, 16):
            peer.hear(Hello("n2", "v2", number + 1, 1), number * 5 * TICK)
    assert peer.loss_in(19 * 5 * TICK) == pytest.approx(2 / 20)


def test_what_is_overdue_counts_as_lost():
    peer = peer_at()
    end = talk(peer, 0.0, 81)
    assert peer.loss_in(end + 0.05) == 0.0
    at = end + 10 * TICK + 0.001
    # 9 are overdue (the tenth may still come); 41 - 10 heard ones are left in the window
    assert peer.loss_in(at) == pytest.approx(9 / (31 + 9), abs=0.03)
    assert peer.loss_in(end + WINDOW_S + 0.1) == 1.0


def test_a_mute_agent_is_no_loss():
    peer = peer_at()
    end = talk(peer, 0.0, 81)
    for i in range(1, 40):
        peer.hear_echo(end + i * 0.1)  # the far kernel answers
        loss = peer.loss_in(end + i * 0.1)
        assert loss in (None, 0.0)
    now = end + 3.9
    assert peer.silence_ms(now) == 0.0
    assert peer.hello_silence_ms(now) == pytest.approx(3900)


def test_an_agent_that_comes_back_after_a_pause_lost_nothing():
    peer = peer_at()
    end = talk(peer, 0.0, 81)
    for i in range(1, 30):
        peer.hear_echo(end + i * 0.1)
    back = end + 3.0  # it goes on counting where it stopped: nothing was sent meanwhile
    for i in range(40):
        peer.hear(Hello("n2", "v2", peer.seq + 1, 1), back + i * TICK)
        assert (peer.loss_in(back + i * TICK) or 0.0) < 0.05


@pytest.mark.parametrize("before", [81, 400, 3000])
@pytest.mark.parametrize("pause", [0.2, 3.0])
def test_an_agent_that_starts_again_lost_nothing(before, pause):
    peer = peer_at()
    end = talk(peer, 0.0, before)
    back = end + pause
    for i in range(80):
        peer.hear(Hello("n2", "v2", i + 1, 1), back + i * TICK)
        assert (peer.loss_in(back + i * TICK) or 0.0) < 0.2, i


@pytest.mark.parametrize(("number", "lost"), [(1, 0), (6, 5), (400, 10)])
def test_an_agent_that_is_slow_to_say_its_first_hello_lost_only_what_it_numbered(number, lost):
    peer = peer_at()  # discovered, and then silent for 0.6 s
    talk(peer, 0.6, 30, seq=number)
    assert peer.loss_in(2.05) == pytest.approx(lost / (30 + lost), abs=0.01)


def test_a_link_that_was_dead_is_lossy_when_it_comes_back():
    peer = peer_at()
    end = talk(peer, 0.0, 81)
    seq = peer.seq + 20  # twenty were sent and did not come
    at = end + 1.0
    talk(peer, at, 3, seq=seq)
    assert peer.loss_in(at + 2 * TICK) > 0.3


def test_a_reordered_hello_is_no_loss():
    peer = peer_at()
    for seq, at in ((1, 0.0), (3, 0.10), (2, 0.11), (4, 0.15)):
        peer.hear(Hello("n2", "v2", seq, 1), at)
    talk(peer, 0.2, 30)
    assert peer.loss_in(1.65) == 0.0


def test_round_trips_are_without_the_time_the_far_end_held_it():
    peer = peer_at()
    for i, rtt in enumerate((0.002, 0.002, 0.400, 0.003, 0.002)):
        now = 1.0 + i * TICK
        sent = now - rtt - 0.040
        peer.hear(Hello("n2", "v2", i + 1, 1, echo_us=round(sent * 1e6), held_us=40_000), now)
    assert peer.rtt_ms(1.2) == pytest.approx(2.0, abs=0.01)  # the median: one late packet says nothing
    assert peer.rtt_ms(2.19) == pytest.approx(2.0, abs=0.01)
    assert peer.rtt_ms(2.3) is None
    assert peer_at().rtt_ms(0.0) is None


def test_what_is_echoed_after_a_pause_is_as_old_as_it_is():
    peer = peer_at()
    peer.hear(Hello("n2", "v2", 1, 5_000_000), 1.0)
    peer.last_at = 61.0  # a discovery came, which brings no time to send back
    said = peer.reply("n1", "v1", 61.1, large=False, leaving=False, hurry=0, news=b"")
    assert (said.echo_us, said.held_us) == (5_000_000, 60_100_000)


def test_who_is_new_may_still_be_starting():
    peer = peer_at()
    talk(peer, 0.0, 10)
    assert peer.hello_silence_ms(1.2) == 0
    assert peer.hello_silence_ms(1.95) == pytest.approx(500)
    talk(peer, 0.5, 20)
    assert peer.hello_silence_ms(1.95) == pytest.approx(500)


def test_who_comes_back_is_judged_from_then_on_whatever_it_says_first():
    for discovery in (True, False):
        peer = peer_at()
        talk(peer, 0.0, 60, large=True)
        if discovery:
            peer.see(20.0)
        talk(peer, 20.01, 4, seq=1)
        assert peer.large_silence_ms(20.2) < 250


def test_silences():
    peer = peer_at()
    talk(peer, 0.0, 21, large=True)
    talk(peer, 1.05, 20)
    now = 2.5
    assert peer.hello_silence_ms(now) == pytest.approx(500)
    assert peer.silence_ms(now) == pytest.approx(500)
    assert peer.large_silence_ms(2.2) == pytest.approx(1200)
    assert peer.large_silence_ms(now) is None  # its agent is mute
    peer.hear_echo(2.4)
    assert peer.silence_ms(now) == pytest.approx(100)
    assert peer.hello_silence_ms(now) == pytest.approx(500)
    peer.own_lag_s = 0.3  # this process was late: that was not the link
    assert peer.hello_silence_ms(now) == pytest.approx(200)


def test_a_link_that_was_lossy_is_given_more_time_but_not_for_ever():
    peer = peer_at()
    end = talk(peer, 0.0, 41, lost=range(0, 40, 3))
    assert peer.silence_ms(end + 0.69) == pytest.approx(345)
    assert peer.silence_ms(end + 0.71) == pytest.approx(360)
    assert peer.silence_ms(end + 20.0) == pytest.approx(19_650)


def test_lateness_excuses_a_moment_only():
    peer = peer_at()
    end = talk(peer, 0.0, 41)
    peer.lag_s, peer.own_lag_s = 2.0, 1.5
    assert peer.silence_ms(end + 1.9) == 0.0
    assert peer.silence_ms(end + 3.0) == pytest.approx(1000)


@pytest.mark.parametrize("quiet", [0.5, 1.5, 2.5])
def test_what_lateness_excuses_is_no_loss_either(quiet):
    peer = peer_at()
    end = talk(peer, 0.0, 61)
    peer.own_lag_s = 2.0
    assert (peer.silence_ms(end + quiet) > 350) == (quiet > 2.35)
    assert (peer.loss_in(end + quiet) > 0.2) == (quiet > 2.35)


def test_after_a_silence_large_frames_are_judged_anew():
    peer = peer_at()
    talk(peer, 0.0, 41, large=True)
    at = talk(peer, 6.0, 2)
    assert peer.large_silence_ms(at) == pytest.approx(50)


def test_what_the_far_end_says_of_us():
    peer = peer_at()
    at = talk(peer, 0.0, 20, loss_permille=250, silence_ms=40, large_silence_ms=None)
    assert (peer.loss_out, peer.silence_out_ms, peer.large_silence_out_ms, peer.told_at) == (0.25, 40.0, None, at)
    end = talk(peer, at + TICK, 1)
    assert (peer.loss_out, peer.told_at) == (0.25, at)  # it said nothing of it
    assert peer.last_at == end


def test_two_ends_agree():
    """Each end answers the other over a link with 5 ms each way; both know the round trip and both directions."""
    here, there = peer_at(), Peer("n1", "v1", "fe80::1", TICK, 0.0, 0.0)
    common = {"large": False, "leaving": True, "hurry": 2, "news": b"x" * (NEWS_MAX + 50)}
    for i in range(60):
        now = 1.0 + i * TICK
        there.hear(decode(encode(here.reply("n1", "v1", now, **common))), now + 0.005)
        if i % 2:  # the way back loses every second one
            here.hear(decode(encode(there.reply("n2", "v2", now + 0.02, **common))), now + 0.025)
        else:
            there.reply("n2", "v2", now + 0.02, **common)
    assert here.rtt_ms(now + 0.025) == pytest.approx(10.0, abs=0.1)
    assert here.loss_in(now + 0.025) == pytest.approx(0.5, abs=0.03)
    assert there.loss_out == pytest.approx(0.5, abs=0.03)
    assert here.loss_out == 0.0
    assert (here.leaving, here.hurry, here.news) == (True, 2, b"x" * NEWS_MAX)
    assert hello.WINDOW_S > 1
