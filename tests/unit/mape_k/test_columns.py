"""The fold: newest value wins, whatever the order; what was not measured is not zero."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from x0tta6bl4.catalog import Catalog, Metric
from x0tta6bl4.mape_k.columns import Columns, Table
from x0tta6bl4.model import Component, Layout, Observation

METRICS = (Metric("box", "heat", "heat", 2.0), Metric("box", "load", "load", 5.0), Metric("hose", "flow", "flow"))
CATALOG = Catalog("plant", METRICS, (), (), ())
BOXES = tuple(Component("box", f"b{i}") for i in range(4))
HOSE = Component("hose", "h")
LAYOUTS = (
    Layout(BOXES[:2], ("heat", "load")),
    Layout((*BOXES[1:], HOSE), ("load", "heat", "flow")),
    Layout((HOSE, Component("ghost", "g")), ("flow", "unheard-of")),
)
CELL = st.one_of(st.just(float("nan")), st.integers(-5, 5).map(float))


@st.composite
def observations(draw):
    """Distinct measuring times, so that the newest is one."""
    drawn = []
    for i in range(draw(st.integers(1, 6))):
        layout = draw(st.sampled_from(LAYOUTS))
        size = len(layout.components) * len(layout.metrics)
        values = np.array(draw(st.lists(CELL, min_size=size, max_size=size)), np.float32)
        values = values.reshape(len(layout.components), len(layout.metrics))
        age = draw(st.integers(0, 3)) + i / 64
        drawn.append(Observation(f"s{i}", 10.0, layout, values, np.full(values.shape, age, np.float32)))
    return drawn


def folded(many):
    columns = Columns(CATALOG)
    taken = sum(columns.fold(one) for one in many)
    cells = {}
    for components, metrics, values, at in columns.snapshot().values():
        for row, metric in enumerate(metrics):
            for slot, component in enumerate(components):
                if not np.isnan(values[row, slot]):
                    cells[component, metric] = (float(values[row, slot]), float(at[row, slot]))
    return taken, cells


@given(observations(), st.randoms(use_true_random=False))
def test_the_order_of_observations_does_not_matter(many, random):
    shuffled = list(many)
    random.shuffle(shuffled)
    assert folded(many)[1] == folded(shuffled)[1]


@given(observations())
def test_the_state_is_the_newest_value_of_each_cell(many):
    newest = {}
    for one in sorted(many, key=lambda o: -float(o.age_s.flat[0])):
        for row, component in enumerate(one.layout.components):
            for column, metric in enumerate(one.layout.metrics):
                value = float(one.values[row, column])
                if not np.isnan(value) and (component.kind, metric) in {(m.kind, m.name) for m in METRICS}:
                    newest[component, metric] = (value, 10.0 - float(one.age_s.flat[0]))
    assert folded(many)[1] == newest


@given(observations())
def test_nan_replaces_nothing_and_is_not_counted(many):
    columns = Columns(CATALOG)
    for one in many:
        columns.fold(one)
    before = columns.snapshot()
    blank = [
        Observation("late", 99.0, layout, np.full((len(layout.components), len(layout.metrics)), np.nan, np.float32))
        for layout in LAYOUTS
    ]
    assert [columns.fold(one) for one in blank] == [0, 0, 0]
    after = columns.snapshot()
    for kind, (components, _, values, at) in before.items():
        size = len(components)
        assert after[kind][0][:size] == components
        np.testing.assert_array_equal(after[kind][2][:, :size], values)
        np.testing.assert_array_equal(after[kind][3][:, :size], at)


@given(st.lists(st.integers(0, 40), max_size=60))
def test_slots_never_move(numbers):
    table = Table("box", METRICS[:2], capacity=1)
    slots = {}
    for number in numbers:
        component = Component("box", f"b{number}")
        slot = table.add(component)
        assert slots.setdefault(component, slot) == slot
        table.values[0, slot], table.at[0, slot] = number, 1.0
    for component, slot in slots.items():
        assert table.components[slot] == component
        assert table.value(component, "heat", 1.0) == float(component.name[1:])
    assert table.size == len(slots)


def test_a_value_ages_by_its_own_limit():
    columns = Columns(CATALOG)
    columns.fold(Observation("s", 10.0, LAYOUTS[0], np.array([[1, 2], [3, 4]], np.float32), 1.0))
    box = BOXES[0]
    assert columns.value(box, "heat", 11.0) == 1.0  # measured at 9, good for 2 s
    assert columns.value(box, "heat", 11.1) is None
    assert columns.value(box, "load", 11.1) == 2.0
    assert list(columns.tables["box"].fresh("heat", 11.0)) == [True, True]
    assert list(columns.tables["box"].fresh("heat", 11.1)) == [False, False]


def test_what_is_not_known_is_none():
    columns = Columns(CATALOG)
    columns.fold(Observation("s", 10.0, LAYOUTS[0], np.array([[np.nan, 2], [3, 4]], np.float32)))
    assert columns.value(BOXES[0], "heat", 10.0) is None
    assert columns.value(BOXES[3], "heat", 10.0) is None
    assert columns.value(BOXES[1], "unheard-of", 10.0) is None
    assert columns.value(Component("ghost", "g"), "heat", 10.0) is None
    assert columns.components("ghost") == ()
    assert columns.components("box") == [*BOXES[:2]]


def test_facts_are_merged_and_come_without_readings_too():
    columns = Columns(CATALOG)
    empty = Layout((), ())
    for fact in ({"boot": "a", "algo": "IV"}, {"boot": "b"}):
        nothing = np.empty((0, 0), np.float32)
        assert columns.fold(Observation("s", 1.0, empty, nothing, facts={BOXES[0]: fact})) == 0
    assert (columns.fact(BOXES[0], "boot"), columns.fact(BOXES[0], "algo")) == ("b", "IV")
    assert columns.fact(BOXES[1], "boot") is None


def test_a_layout_is_known_by_identity_and_components_may_come_later():
    columns = Columns(CATALOG)
    one = Layout(BOXES[:1], ("heat",))
    assert columns.fold(Observation("s", 1.0, one, np.array([[1]], np.float32))) == 1
    many = Layout(tuple(Component("box", f"c{i}") for i in range(50)), ("heat",))
    assert columns.fold(Observation("s", 2.0, many, np.ones((50, 1), np.float32))) == 50
    assert columns.fold(Observation("s", 3.0, one, np.array([[5]], np.float32))) == 1
    assert columns.value(BOXES[0], "heat", 3.0) == 5.0
    assert columns.tables["box"].size == 51


def test_the_snapshot_is_a_copy():
    columns = Columns(CATALOG)
    columns.fold(Observation("s", 1.0, LAYOUTS[0], np.ones((2, 2), np.float32)))
    columns.snapshot()["box"][2][:] = 9
    assert columns.value(BOXES[0], "heat", 1.0) == pytest.approx(1.0)
