"""What the controller tells agents, over the wire and back; malformed datagrams change nothing."""

import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x0tta6bl4.catalog import Autonomy
from x0tta6bl4.errors import ProtocolError
from x0tta6bl4.model import Action, Component, Order
from x0tta6bl4.network import names
from x0tta6bl4.network.told import Instruction, Links, Restraints, Verb, decode, encode, observation

ORDER = Order(
    "0199", "controller", 3, Action("set-hop-penalty", Component.parse("interface/n1:v1-2"), {"hop_penalty": 230.0}),
    30.0, 5.0, (names.node("n4"),),
)  # fmt: skip
node_names = st.text("abcn123", min_size=1, max_size=5)


@given(st.lists(st.tuples(node_names, node_names), max_size=20))
def test_links_arrive_as_they_were_sent(pairs):
    assert decode(encode(Links(tuple(sorted(pairs))))) == Links(tuple(sorted(pairs)))


@given(st.booleans(), st.booleans(), st.dictionaries(node_names, st.sampled_from(Autonomy)))
def test_restraints_arrive_as_they_were_sent(paused, kill_switch, autonomy):
    message = Restraints(paused, kill_switch, autonomy)
    assert decode(encode(message)) == message


@pytest.mark.parametrize("verb", Verb)
def test_an_order_arrives_as_it_was_sent(verb):
    assert decode(encode(Instruction(verb, ORDER))) == Instruction(verb, ORDER)


@pytest.mark.parametrize(
    "document",
    [
        [1, "restraints", 1, False, {}],
        [1, "restraints", False, False, {"detach-interface": "always"}],
        [1, "restraints", False, False],
        [1, "links", [["n1", "n2>n3"]]],
        [1, "links", [["n1", ""]]],
        [1, "erase", []],
        [1, ["links"], []],
        [2, "links", []],
        {},
        None,
    ],
    ids=str,
)
def test_what_is_malformed_is_refused(document):
    with pytest.raises(ProtocolError):
        decode(zlib.compress(json.dumps(document).encode()))


@given(st.binary(max_size=200))
def test_noise_is_refused(noise):
    with pytest.raises(ProtocolError):
        decode(noise)


def test_own_links_are_known_better_here():
    seen = observation("n1", Links((("n1", "n2"), ("n2", "n3"))), 7.0)
    assert seen.layout.components == (names.told("n2", "n3"),)
    assert seen.values.tolist() == [[1.0]]
