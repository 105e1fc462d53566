"""Wire and transport on real sockets: two namespaces of this machine, joined by a veth pair."""

import os
import socket
import time
from pathlib import Path

import pytest

from x0tta6bl4.errors import ConfigError, NotSupported, Permanent
from x0tta6bl4.network import netns
from x0tta6bl4.network.links import IFLA_IFNAME, IFLA_NET_NS_FD, Links, change
from x0tta6bl4.network.netlink import nested, number, text
from x0tta6bl4.network.sockets import LinuxTransport, LinuxWire, mac_from_link_local

A, B = f"x0t-ta-{os.getpid()}", f"x0t-tb-{os.getpid()}"
MAC = {"a": "02:00:00:00:00:0a", "b": "02:00:00:00:00:0b"}
PEERS = {"a": "10.77.0.1", "b": "10.77.0.2"}


def plug(a, b):
    with (netns.RUN / B).open("rb") as there:
        peer = change(0, text(IFLA_IFNAME, "vb"), number(IFLA_NET_NS_FD, there.fileno()))
        a.create("va", "veth", data=[nested(1, peer)])
    for links, name, node in ((a, "va", "a"), (b, "vb", "b")):
        index = links.index(name)
        links.set_mac(index, MAC[node])
        links.add_address(index, PEERS[node], 24)
        links.set_up(index, True)


@pytest.fixture
def pair():
    """Namespaces A and B with interfaces va and vb."""
    try:
        netns.create(A)
        netns.create(B)
    except (NotSupported, OSError) as error:
        netns.remove(A)
        pytest.skip(f"no network namespaces here: {error}")
    for name in (A, B):
        with netns.inside(name):
            for group in ("all", "default"):
                Path(f"/proc/sys/net/ipv6/conf/{group}/accept_dad").write_text("0")
    a, b = Links(A), Links(B)
    try:
        plug(a, b)
        yield a, b
    except NotSupported as error:
        pytest.skip(f"no veth here: {error}")
    finally:
        a.close()
        b.close()
        netns.remove(A)
        netns.remove(B)


@pytest.fixture
def wires(pair):
    a = LinuxWire("a", ["va", "gone0"], "va", PEERS, netns=A)
    b = LinuxWire("b", ["vb"], "vb", PEERS, netns=B)
    yield a, b
    a.close()
    b.close()


def wait_for(receive, count=1):
    found, end = [], time.monotonic() + 3
    while len(found) < count and time.monotonic() < end:
        found += receive()
        time.sleep(0.01)
    return found


def hello(a, b):
    """Send until one passes (an address may not be usable at once)."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        a.send_link("va", None, b"hello")
        time.sleep(0.05)
        found = list(b.receive())
        if found:
            return found[0]
    raise AssertionError("no hello arrived")


def test_a_hello_reaches_the_neighbour_and_its_answer_comes_back(wires):
    a, b = wires
    got = hello(a, b)
    assert (got.interface, got.payload, got.echo) == ("vb", b"hello", False)
    assert b.mac_of(got.source) == MAC["a"]
    b.send_link("vb", got.source, b"answer")
    answers = [one.payload for one in wait_for(lambda: [d for d in a.receive() if d.payload == b"answer"])]
    assert answers == [b"answer"]


def test_the_far_kernel_answers_an_echo_though_nobody_listens(wires):
    a, b = wires
    source = hello(a, b).source
    a.close()
    b.echo("vb", source, b"are you there")
    found = wait_for(lambda: [d for d in b.receive() if d.echo])
    assert [(one.interface, one.source, one.payload) for one in found] == [("vb", source, b"are you there")]


def test_what_cannot_be_sent_is_lost(wires):
    a, b = wires
    source = hello(a, b).source
    a.send_link("gone0", None, b"x")
    a.send_link("va", "fe80::1234", b"x")
    a.echo("gone0", source, b"x")
    a.send_mesh("nobody", b"x")
    a.send_link("va", None, bytes(1600))  # bigger than the MTU, and never fragmented
    a.send_mesh("b", bytes(1600))
    time.sleep(0.1)
    assert not [one for one in b.receive() if one.payload != b"hello"]


def test_through_the_mesh_goes_by_node_name(wires):
    a, b = wires
    a.send_mesh("b", bytes(1400))
    got = wait_for(lambda: list(b.receive()))
    assert [(one.interface, one.source, len(one.payload)) for one in got] == [("", "a", 1400)]


def test_an_interface_that_comes_later_is_found_by_refresh(pair):
    a, _b = pair
    wire = LinuxWire("a", ["late0"], "va", PEERS, netns=A)
    assert wire._index == {}
    a.create("late0", "veth")
    wire.refresh()
    assert set(wire._index) == {"late0"}
    wire.close()


def test_reports_and_orders_pass_between_agents_and_controller(pair):
    seat = LinuxTransport("controller", "a", PEERS, netns=A)
    agent, own = LinuxTransport("b", "a", PEERS, netns=B), LinuxTransport("a", "a", PEERS, netns=A)
    agent.send("controller", b"report")
    agent.send("nobody", b"lost")
    assert [(who, what) for who, _at, what in wait_for(seat.receive)] == [("b", b"report")]
    seat.send("b", b"order")
    assert [(who, what) for who, _at, what in wait_for(agent.receive)] == [("controller", b"order")]
    seat.send("b", bytes(4000))  # the transport may be fragmented: a report can be long
    assert [len(what) for _who, _at, what in wait_for(agent.receive)] == [4000]
    with pytest.raises(Permanent, match="in use"):
        LinuxTransport("b", "a", PEERS, netns=B)
    for one in (seat, agent, own):
        one.close()


def test_strangers_are_not_heard(pair, wires):
    _a, _b = wires
    with netns.inside(A):
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    agent = LinuxTransport("b", "a", PEERS, netns=B)
    with stranger:
        stranger.sendto(b"x", (PEERS["b"], 4308))  # from a port that is no participant's
    time.sleep(0.1)
    found = list(agent.receive())
    agent.close()
    assert found == []


def test_names_that_are_not_declared_are_refused():
    with pytest.raises(ConfigError, match="node"):
        LinuxWire("z", [], "bat0", PEERS)
    with pytest.raises(ConfigError, match="seat"):
        LinuxTransport("a", "z", PEERS)


@pytest.mark.parametrize(
    ("address", "mac"),
    [("fe80::ff:fe00:a", "02:00:00:00:00:0a"), ("fe80::1234", ""), ("nonsense", ""), ("fe80::1%2", "")],
)
def test_the_mac_behind_a_link_local_address(address, mac):
    assert mac_from_link_local(address) == mac
