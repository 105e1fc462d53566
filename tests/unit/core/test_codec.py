"""The vocabulary survives JSON."""

import dataclasses
import json
import math
import typing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from x0tta6bl4 import model
from x0tta6bl4.core.store.codec import TIMES, decode, decode_free, encode, encode_free
from x0tta6bl4.errors import ConfigError, ProtocolError
from x0tta6bl4.model import Action, Component, Event, Incident, Iteration, Plan, Symptom

texts = st.text(max_size=8)
numbers = st.floats(allow_nan=False) | st.integers(-(2**40), 2**40).map(float)
free = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | texts | st.just("$float"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(texts | st.just("$map") | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=6,
)


def strategy(hint):
    """A strategy for one type hint of the model."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Component:
        return st.builds(Component, texts, texts)
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return st.builds(hint, **{field.name: strategy(hints[field.name]) for field in dataclasses.fields(hint)})
    if origin is tuple:
        return st.lists(strategy(arguments[0]), max_size=2).map(tuple)
    if type(None) in arguments:
        return st.none() | strategy(arguments[0])
    if origin is not None and issubclass(origin, typing.Mapping):
        return st.dictionaries(strategy(arguments[0]), strategy(arguments[1]), max_size=2)
    if isinstance(hint, type) and issubclass(hint, model.StrEnum):
        return st.sampled_from(hint)
    plain = {float: numbers, int: st.integers(-(2**60), 2**60), str: texts, bool: st.booleans(), object: free}
    return plain.get(hint, numbers | texts)


KINDS = [kind for kind in vars(model).values() if dataclasses.is_dataclass(kind)]
KEPT = [kind for kind in KINDS if kind.__name__ not in ("Layout", "Observation")]


@pytest.mark.parametrize("kind", KEPT, ids=lambda kind: kind.__name__)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_every_model_value_comes_back_equal_through_json_text(kind, data):
    value = data.draw(strategy(kind))
    assert decode(kind, json.loads(json.dumps(encode(value), allow_nan=False))) == value


@given(free)
def test_free_values_come_back_with_their_types(value):
    back = decode_free(json.loads(json.dumps(encode_free(value), allow_nan=False)))
    assert back == value
    assert repr(back) == repr(value)


def test_numbers_that_json_lacks_survive():
    symptom = Symptom("c", Component("a", "b"), 1.0, math.nan, -math.inf, "m")
    back = decode(Symptom, json.loads(json.dumps(encode(symptom), allow_nan=False)))
    assert math.isnan(back.value)
    assert back.threshold == -math.inf


def test_numpy_scalars_become_numbers():
    event = Event(1, np.float64(2.5), "o", "t", data={"n": np.int64(3), "x": np.float32(0.5), "b": np.bool_(True)})
    assert json.loads(json.dumps(encode(event)))["data"] == {"n": 3, "x": 0.5, "b": True}


def test_model_values_inside_free_fields_survive():
    action = Action("bounce", Component("interface", "n1:v1"), {"down_s": 0.5})
    event = Event(1, 2.0, "o", "t", data={"action": action, ("a", 1): [Component("x", "y")]})
    assert decode(Event, json.loads(json.dumps(encode(event)))) == event


def test_the_shift_reaches_times_at_every_depth_and_nothing_else():
    symptom = Symptom("c", Component("a", "b"), 5.0, 1.0, 2.0, "m")
    cause = model.Cause("c", symptom.component, 0.5, (symptom,))
    incident = Incident("i", "o", 1, 3.0, model.Diagnosis((cause,), 4.0), since=2.0, opened_utc=7.0)
    document = encode(incident, lambda name, at: at + 100)
    assert document["opened_at"] == 103.0
    assert document["closed_at"] is None
    assert document["opened_utc"] == 7.0
    inner = document["diagnosis"]["causes"][0]["explains"][0]
    assert (inner["since"], inner["value"]) == (105.0, 1.0)
    assert decode(Incident, document, lambda name, at: at - 100) == incident


def test_every_field_in_seconds_is_a_time_or_named_as_a_duration():
    for kind in KEPT:
        for field in dataclasses.fields(kind):
            if "Seconds" in str(field.type):
                assert (field.name in TIMES) != field.name.endswith("_s"), f"{kind.__name__}.{field.name}"
            else:
                assert field.name not in TIMES, f"{kind.__name__}.{field.name}"


def test_a_field_that_an_older_version_did_not_write_takes_its_default():
    plan = encode(Iteration(1, 2.0, 3, {}, (), (), (), (), (), (), (), {}))
    action = encode(Action("k", Component("a", "b"), {"x": 1.0}))
    del action["parameters"]
    assert decode(Action, action) == Action("k", Component("a", "b"))
    del plan["number"]
    with pytest.raises(ProtocolError, match="number"):
        decode(Iteration, plan)


@pytest.mark.parametrize(
    "document", [None, 3, [], {}, {"kind": "k", "target": "a/b"}, {"kind": 1, "target": ["a", "b"]}]
)
def test_what_is_no_action_is_refused(document):
    with pytest.raises(ProtocolError, match="no Action"):
        decode(Action, document)


@settings(max_examples=60)
@given(free)
def test_any_document_decodes_or_is_refused(document):
    for kind in (Incident, Plan, Event):
        with pytest.raises(ProtocolError):
            decode(kind, document)


def test_what_json_cannot_carry_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"codec\.value"):
        encode(Event(1, 2.0, "o", "t", data={"x": object()}))
    with pytest.raises(ConfigError, match=r"codec\.value"):
        encode("text")


@pytest.mark.parametrize(
    "document", [{"$float": "x"}, {"$tuple": 3}, {"$map": [[1]]}, {"$model": "Nothing", "value": {}}]
)
def test_an_unknown_tag_is_refused(document):
    with pytest.raises(ProtocolError, match="codec"):
        decode_free(document)
