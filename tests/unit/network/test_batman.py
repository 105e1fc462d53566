"""batman-adv's netlink codec against bytes captured from a real kernel (tests/golden/batadv/capture.py)."""

import importlib.util
import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x0tta6bl4.errors import ConfigError, NotSupported, Permanent, ProtocolError, Temporary
from x0tta6bl4.network import batman_codec as batman
from x0tta6bl4.network.batman_codec import Attr, Command, encode, encode_hardif_option, encode_mesh_option
from x0tta6bl4.network.netlink import (
    NetlinkSocket,
    as_mac,
    as_number,
    as_text,
    attributes,
    mac_bytes,
    message,
    messages,
    number,
    refusal,
)

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "batadv"
FILES = sorted(GOLDEN.glob("*.bin"))
EXPECTED = json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))
_SPEC = importlib.util.spec_from_file_location("capture", GOLDEN / "capture.py")
capture = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(capture)

DECODERS = [
    batman.decode_mesh,
    batman.decode_hardif,
    lambda payload: batman.decode_neighbour(payload, {}),
    lambda payload: batman.decode_originator(payload, {}),
    batman.decode_client,
    lambda payload: batman.decode_gateway(payload, {}),
    batman.decode_event,
]


def payloads(name):
    return [body for kind, _f, _s, body in messages((GOLDEN / f"{name}.bin").read_bytes()) if kind not in (2, 3)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_captured_bytes_decode_to_what_was_read_through(path):
    assert capture.decoded(path) == EXPECTED[path.stem]


def test_all_captures_are_there():
    assert {path.stem for path in FILES} == set(EXPECTED)
    assert len(FILES) == 22


def test_mesh_says_what_was_set_before_the_capture():
    mesh = batman.decode_mesh(payloads("v-mesh")[0])
    assert (mesh.name, mesh.algorithm, mesh.orig_interval_ms, mesh.gw_mode) == ("bat0", "BATMAN_V", 200, "client")
    assert mesh.originator == "02:01:00:01:00:00"  # the dummy is primary
    assert mesh.address == "02:00:00:00:00:01"


def test_override_is_read_in_kbit():
    found = {one.name: one for one in map(batman.decode_hardif, payloads("v-hardif"))}
    assert found["v1-4"].throughput_override_kbit == 54000
    assert found["v1-2"].hop_penalty == 15
    assert all(one.active for one in found.values())


def test_each_originator_has_one_best_way():
    for name in ("iv-originators", "v-originators"):
        ways = [batman.decode_originator(payload, {}) for payload in payloads(name)]
        best = [way.mac for way in ways if way.best]
        assert sorted(set(best)) == sorted(best)
        assert set(best) == {way.mac for way in ways}


def test_an_index_names_the_interface_where_the_kernel_gives_no_name():
    body = encode(
        Command.GET_NEIGHBORS,
        number(Attr.HARD_IFINDEX, 3),
        batman_mac(Attr.NEIGH_ADDRESS, "02:01:00:04:00:02"),
        number(Attr.LAST_SEEN_MSECS, 80),
    )
    assert batman.decode_neighbour(body, {3: "mesh0"}).interface == "mesh0"
    assert batman.decode_neighbour(body, {}).interface == ""


def batman_mac(kind, mac):
    raw = mac_bytes(mac)
    return struct.pack("=HH", 4 + len(raw), kind) + raw + bytes(2)


def test_a_missing_attribute_is_named():
    with pytest.raises(ProtocolError, match="NEIGH_ADDRESS"):
        batman.decode_neighbour(encode(Command.GET_NEIGHBORS, number(Attr.LAST_SEEN_MSECS, 1)), {})


def test_a_gateway_mode_that_does_not_exist_is_refused():
    parts = [number(Attr.GW_MODE, 9, 1), number(Attr.ORIG_INTERVAL, 1000)]
    with pytest.raises(ProtocolError, match="gateway mode 9"):
        batman.decode_mesh(encode(Command.GET_MESH, *parts))


def test_events_name_what_changed():
    assert batman.decode_event(payloads("iv-event-mesh")[0]) == (Command.SET_MESH, "bat0")
    assert batman.decode_event(payloads("iv-event-hardif")[0]) == (Command.SET_HARDIF, "v1-2")
    unknown = struct.pack("=BBH", 18, 1, 0)
    assert batman.decode_event(unknown) == (None, "")


@pytest.mark.parametrize("cut", range(4))
def test_shorter_than_its_header_is_refused(cut):
    for decode in DECODERS:
        with pytest.raises(ProtocolError):
            decode(bytes(cut))


@given(data=st.data(), name=st.sampled_from([path.stem for path in FILES]))
def test_truncated_or_flipped_bytes_give_values_or_a_protocol_error(data, name):
    raw = bytearray((GOLDEN / f"{name}.bin").read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(raw) * 8 - 1), max_size=6), label="flipped bits"):
        raw[position // 8] ^= 1 << position % 8
    raw = bytes(raw[: data.draw(st.integers(0, len(raw)), label="kept bytes")])
    whole = []
    try:
        whole.extend(body for _kind, _flags, _sequence, body in messages(raw))
    except ProtocolError as error:
        assert "netlink" in str(error)  # noqa: PT017 -- either outcome is right
    for body in whole:
        for decode in DECODERS:
            try:
                assert decode(body) is not None
            except ProtocolError as error:
                assert str(error)  # noqa: PT017 -- as above


@given(st.binary(max_size=200))
def test_nonsense_gives_values_or_a_protocol_error(raw):
    for decode in DECODERS:
        try:
            assert decode(raw) is not None
        except ProtocolError as error:
            assert str(error)  # noqa: PT017 -- either outcome is right


@given(st.dictionaries(st.integers(1, 60), st.binary(max_size=40), max_size=8))
def test_attributes_come_back(fields):
    raw = b"".join(
        struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4) for kind, value in fields.items()
    )
    assert attributes(raw) == fields


def test_a_message_that_is_cut_off_is_refused():
    whole = message(20, 1, 5, b"abcdefgh")
    assert list(messages(whole)) == [(20, 1, 5, b"abcdefgh")]
    for cut in range(1, len(whole)):
        with pytest.raises(ProtocolError):
            list(messages(whole[:cut]))


def test_values_of_a_wrong_size_are_refused():
    with pytest.raises(ProtocolError, match="5 bytes"):
        as_mac(b"12345")
    with pytest.raises(ProtocolError, match="3 bytes"):
        as_number(b"123")
    with pytest.raises(ProtocolError, match="not text"):
        as_text(b"\xff\xfe\0")
    for bad in ("02:00", "zz:00:00:00:00:00", ""):
        with pytest.raises(ProtocolError, match="MAC address"):
            mac_bytes(bad)


@given(st.binary(min_size=6, max_size=6))
def test_macs_go_there_and_back(raw):
    assert mac_bytes(as_mac(raw)) == raw


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("orig_interval_ms", 39, "40..2147483647"),
        ("hop_penalty", 256, "0..255"),
        ("hop_penalty", "high", "0..255"),
        ("gw_mode", "maybe", "off | client | server"),
        ("speed", 1, "orig_interval_ms, hop_penalty, bridge_loop_avoidance, gw_mode"),
    ],
)
def test_a_bad_mesh_option_is_refused(option, value, allowed):
    with pytest.raises(ConfigError) as caught:
        encode_mesh_option(option, value)
    assert allowed in str(caught.value)


@pytest.mark.parametrize(
    ("option", "value"), [("hop_penalty", -1), ("hop_penalty", 256), ("throughput_override_kbit", 150), ("mtu", 1500)]
)
def test_a_bad_interface_option_is_refused(option, value):
    with pytest.raises(ConfigError):
        encode_hardif_option(option, value)


def test_options_are_encoded_as_the_kernel_wants_them():
    assert attributes(encode_mesh_option("gw_mode", "server")) == {Attr.GW_MODE: b"\x02"}
    assert attributes(encode_mesh_option("bridge_loop_avoidance", 0)) == {Attr.BRIDGE_LOOP_AVOIDANCE_ENABLED: b"\0"}
    override = attributes(encode_hardif_option("throughput_override_kbit", 54000))
    assert override == {Attr.THROUGHPUT_OVERRIDE: struct.pack("=I", 540)}


def test_refusals_say_what_the_caller_should_do():
    assert isinstance(refusal(16, "x"), Temporary)  # EBUSY
    assert isinstance(refusal(19, "x"), Permanent)  # ENODEV
    assert isinstance(refusal(95, "x"), NotSupported)  # EOPNOTSUPP


def _collected(data):
    answers = []
    return NetlinkSocket._collect(data, 7, answers, "test"), answers


def test_an_answer_ends_with_its_closing_message():
    done = message(3, 2, 7, struct.pack("=i", 0))
    assert _collected(message(30, 2, 7, b"abcd") + done) == (True, [b"abcd"])
    assert _collected(message(30, 2, 7, b"abcd")) == (False, [b"abcd"])
    assert _collected(message(30, 2, 6, b"late")) == (False, [])  # of a request that was given up
    with pytest.raises(Temporary, match="changed"):
        _collected(message(30, 0x12, 7, b"abcd"))
    with pytest.raises(Permanent, match="No such device"):
        _collected(message(2, 0, 7, struct.pack("=i", -19)))
