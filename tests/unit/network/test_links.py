"""rtnetlink and namespaces: captured bytes, and this machine's kernel where it lets us."""

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x0tta6bl4.errors import ConfigError, NotSupported, Permanent, ProtocolError
from x0tta6bl4.network import netns, traffic
from x0tta6bl4.network.batman import Batadv
from x0tta6bl4.network.links import Links, decode_link
from x0tta6bl4.network.linux import LinuxKernel
from x0tta6bl4.network.netlink import attributes, messages, text

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "batadv"
SPACE = f"x0t-test-{os.getpid()}"


def link_payloads():
    return [body for kind, _f, _s, body in messages((GOLDEN / "iv-links.bin").read_bytes()) if kind == 16]


@pytest.fixture
def space():
    """A network namespace of our own."""
    try:
        netns.create(SPACE)
    except (NotSupported, OSError) as error:
        pytest.skip(f"no network namespace here: {error}")
    yield SPACE
    netns.remove(SPACE)


@pytest.fixture
def links(space):
    """The interfaces of that namespace."""
    found = Links(space)
    yield found
    found.close()


def make(links, name, kind, **more):
    try:
        return links.create(name, kind, **more)
    except NotSupported as error:
        pytest.skip(f"this kernel cannot make a {kind}: {error}")


def test_a_captured_interface_is_told_whole():
    found = {link.name: link for link in map(decode_link, link_payloads())}
    assert found["v1-2"].slave_kind == "batadv"
    assert found["v1-2"].master == found["bat0"].index
    assert (found["dum0"].kind, found["dum0"].mtu, found["dum0"].carrier) == ("dummy", 1560, True)


@given(data=st.data())
def test_truncated_or_flipped_links_give_values_or_a_protocol_error(data):
    body = bytearray(data.draw(st.sampled_from(link_payloads())))
    for position in data.draw(st.lists(st.integers(0, len(body) * 8 - 1), max_size=6)):
        body[position // 8] ^= 1 << position % 8
    body = bytes(body[: data.draw(st.integers(0, len(body)))])
    for decode in (decode_link, traffic.decode_block):
        try:
            assert decode(body) is not None
        except ProtocolError as error:
            assert str(error)  # noqa: PT017 -- either outcome is right


def test_netem_keeps_loss_and_delay():
    fields = attributes(attributes(traffic.netem_options(0.4, 200, 5))[2][24:])
    assert struct.unpack("=q", fields[10]) == (200_000_000,)
    assert struct.unpack("=q", fields[11]) == (5_000_000,)
    share = struct.unpack_from("=I", attributes(traffic.netem_options(0.4, 0, 0))[2], 8)[0]
    assert share / 0xFFFFFFFF == pytest.approx(0.4)
    assert struct.unpack_from("=I", attributes(traffic.netem_options(1.0, 0, 0))[2], 8)[0] == 0xFFFFFFFF


def test_a_namespace_is_made_and_removed(space, links):
    assert space in netns.names()
    with pytest.raises(Permanent, match="exists"):
        netns.create(space)
    assert next(iter(links.all())).name == "lo"
    here = Path("/proc/thread-self/ns/net").readlink()
    with netns.inside(space):
        assert Path("/proc/thread-self/ns/net").readlink() != here
    assert Path("/proc/thread-self/ns/net").readlink() == here
    netns.remove(space)
    assert space not in netns.names()
    netns.remove(space)  # twice is once


def test_an_unknown_namespace_is_an_error():
    with pytest.raises(Permanent, match="x0t-none"), netns.inside("x0t-none"):
        pass


def test_interfaces_are_made_changed_and_removed(links):
    links.listen()
    index = make(links, "one", "veth", mtu=1560, mac="02:00:00:00:00:09")
    made = links.get("one")
    assert (made.mac, made.mtu, made.up, made.kind) == ("02:00:00:00:00:09", 1560, False, "veth")
    links.set_up(index, True)
    links.set_mtu(index, 1400)
    after = links.get("one")
    assert (after.up, after.carrier, after.mtu) == (True, False, 1400)  # its other end is down
    assert "one" in {link.name for link in links.events()}
    links.delete(index)
    with pytest.raises(Permanent, match="No such device"):
        links.get("one")


def test_a_master_can_be_set_and_taken_away(links):
    bridge, port = make(links, "br", "bridge"), make(links, "one", "veth")
    links.set_master(port, bridge)
    assert (links.get("one").master, links.get("one").slave_kind) == (bridge, "bridge")
    links.set_master(port, 0)
    assert links.get("one").master == 0


def test_blocking_is_idempotent_and_leaves_others_alone(links):
    index = make(links, "one", "veth")
    assert traffic.blocks(links, index) == {}
    try:
        traffic.block(links, index, "02:00:00:00:00:01")
    except (Permanent, NotSupported) as error:
        pytest.skip(f"this kernel has no clsact or flower: {error}")
    traffic.block(links, index, "02:00:00:00:00:01")
    traffic.block(links, index, "02:00:00:00:00:02")
    assert set(traffic.blocks(links, index)) == {"02:00:00:00:00:01", "02:00:00:00:00:02"}
    traffic.unblock(links, index, "02:00:00:00:00:01")
    traffic.unblock(links, index, "02:00:00:00:00:01")
    assert set(traffic.blocks(links, index)) == {"02:00:00:00:00:02"}


def test_a_kernel_without_batman_says_so(space):
    if Path("/sys/module/batman_adv").is_dir():
        pytest.skip("this kernel has batman-adv")
    with pytest.raises(NotSupported, match="batadv"):
        Batadv(space)
    with pytest.raises(NotSupported, match="batadv"):
        LinuxKernel("bat0", ["v1-2"], netns=space)


def test_a_long_name_is_refused_by_the_kernel(links):
    with pytest.raises((Permanent, NotSupported)):
        links.request(16, 0x600, bytes(16) + text(3, "a" * 40), "long name")


def test_an_interface_that_is_not_declared_is_never_touched(space):
    kernel = LinuxKernel.__new__(LinuxKernel)
    kernel._declared = ("v1-2",)
    with pytest.raises(ConfigError, match="eth0"):
        kernel._link("eth0")
