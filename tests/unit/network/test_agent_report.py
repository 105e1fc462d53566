"""Reports of agents: there and back, and nothing of what is malformed."""

import json
import math
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from x0tta6bl4.errors import ProtocolError
from x0tta6bl4.model import Component, Relation
from x0tta6bl4.network import names
from x0tta6bl4.network.report import PLAIN_MAX, ActionNews, Report, ReportReader, decode, encode

LINK = str(names.link("n1", "v1", "n2", "v2"))
text = st.text(max_size=12)
components = st.sampled_from([LINK, "interface/n1:v1", "node/n1", "link/n2:v2>n1:v1"])
values = st.floats(-1e6, 1e6).map(lambda v: float(f"{v:.4g}"))
readings = st.dictionaries(
    components,
    st.dictionaries(st.sampled_from(["up", "rtt_ms", "tq"]), st.tuples(values, st.integers(0, 10**6))),
    max_size=4,
)
reports = st.builds(
    Report,
    node=text,
    boot=text,
    seq=st.integers(0, 2**40),
    readings=readings,
    actions=st.lists(st.builds(ActionNews, text, text, text, text, text, text, st.booleans()), max_size=3).map(tuple),
    leaving_s=st.floats(0, 1000),
    urgent=st.booleans(),
    facts=st.dictionaries(text, st.integers() | text, max_size=3),
)


def packed(document):
    return zlib.compress(json.dumps(document).encode())


def good():
    return json.loads(zlib.decompress(encode(Report("n1", "b", 1, {LINK: {"up": (1.0, 5)}}))))


def changed(index, value):
    document = good()
    document[index] = value
    return packed(document)


@given(reports)
def test_there_and_back(said):
    assert decode(encode(said)) == said


@given(reports, st.floats(0, 1e6))
def test_every_report_that_is_read_makes_an_observation(said, at):
    seen = ReportReader().observation(decode(encode(said)), at)
    assert seen.values.shape == (len(said.readings), len(seen.layout.metrics))
    for row, (component, cells) in enumerate(said.readings.items()):
        assert str(seen.layout.components[row]) == component
        for column, metric in enumerate(seen.layout.metrics):
            if metric in cells:
                assert seen.values[row, column] == np.float32(cells[metric][0])
                assert seen.age_s[row, column] == pytest.approx(cells[metric][1] / 1000)
            else:
                assert math.isnan(seen.values[row, column])


def test_an_infinite_value_is_not_sent():
    said = Report("n1", "b", 1, {LINK: {"rtt_ms": (math.inf, 0), "tq": (123.456, 0)}})
    assert decode(encode(said)).readings == {LINK: {"tq": (123.5, 0)}}


def test_a_usual_report_is_small():
    metrics = dict.fromkeys(
        ("silence_ms", "hello_silence_ms", "large_silence_ms", "loss_ratio", "rtt_ms"), (1234.5678, 10)
    )
    far = [str(names.link("n1", f"v{i}", f"n{i}", "v1")) for i in range(3)]
    assert len(encode(Report("n1", "boot", 7, dict.fromkeys(far, metrics)))) < 500


@given(st.binary(max_size=300))
def test_noise_is_a_protocol_error(noise):
    with pytest.raises(ProtocolError):
        decode(noise)


@given(reports, st.data())
def test_damage_is_a_protocol_error_or_a_report(said, data):
    plain = bytearray(zlib.decompress(encode(said)))
    for _ in range(data.draw(st.integers(1, 4))):
        plain[data.draw(st.integers(0, len(plain) - 1))] = data.draw(st.sampled_from(b'0123456789-eE."[]{},:nN\xff'))
    try:
        heard = decode(zlib.compress(bytes(plain)))
        ReportReader().observation(heard, 1.0)
    except ProtocolError:
        return
    assert isinstance(heard, Report)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text | components, inner, max_size=3),
    max_leaves=8,
)


@given(st.integers(0, 8), json_values)
def test_any_other_document_is_a_protocol_error_or_a_report(index, value):
    try:
        ReportReader().observation(decode(changed(index, value)), 1.0)
    except ProtocolError:
        pass
    else:
        assert isinstance(decode(changed(index, value)), Report)


@pytest.mark.parametrize(
    "datagram",
    [
        packed({}),
        packed(None),
        changed(0, 2),
        changed(6, [1]),
        changed(6, {"n1": {}}),
        changed(6, {LINK: {"up": [1.0]}}),
        changed(6, {LINK: {"up": ["much", 1]}}),
        changed(6, {LINK: {"up": [1.0, -5]}}),
        changed(6, {LINK: {"up": [1.0, 10**400]}}),
        changed(6, {LINK: {"up": [1e300, 5]}}),
        changed(6, {LINK: {"up": [10**400, 5]}}),
        changed(3, math.inf),
        changed(5, math.nan),
        changed(7, [["too", "short"]]),
        zlib.compress(b"[" * 100_000),
        zlib.compress(b"1" * 10_000),
        encode(Report("n1", "b", 1, {}))[:-12],
    ],
)
def test_malformed(datagram):
    with pytest.raises(ProtocolError):
        decode(datagram)


def test_a_bomb_is_not_unpacked():
    bomb = zlib.compress(b"[1," + b" " * 20_000_000)
    with pytest.raises(ProtocolError):
        decode(bomb)
    fits = json.dumps(good()).encode()
    assert decode(zlib.compress(fits + b" " * (PLAIN_MAX - len(fits)))).node == "n1"
    with pytest.raises(ProtocolError):
        decode(zlib.compress(b" " * PLAIN_MAX + fits))


@pytest.mark.parametrize("name", ["link/n1", "link/n1:v1", "link/a>b>c"])
def test_a_link_without_two_ends_is_refused(name):
    heard = decode(changed(6, {name: {"up": [1.0, 5]}}))
    with pytest.raises(ProtocolError, match=name):
        ReportReader().observation(heard, 1.0)


def test_a_layout_is_kept_while_the_components_stay():
    reader = ReportReader()
    first = reader.observation(decode(packed(good())), 1.0)
    again = reader.observation(decode(packed(good())), 2.0)
    assert again.layout is first.layout
    more = reader.observation(decode(changed(6, {LINK: {"up": [1, 5], "tq": [2, 5]}})), 3.0)
    assert more.layout is not first.layout
    relations = {(e.relation, str(e.target)) for e in first.layout.edges if str(e.source) == LINK}
    assert (Relation.FROM, "node/n1") in relations
    assert (Relation.TO, "node/n2") in relations


def test_facts_are_of_the_reporting_node():
    seen = ReportReader().observation(Report("n1", "b", 1, {}, facts={"routes": {}}), 1.0)
    assert seen.facts == {Component("node", "n1"): {"routes": {}}}
    assert ReportReader().observation(Report("n1", "b", 1, {}), 1.0).facts == {}
