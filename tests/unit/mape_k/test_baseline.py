"""What is usual, learned robustly."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from x0tta6bl4.catalog import Metric
from x0tta6bl4.mape_k.baseline import CLIP, SCORE_SPREADS, WARM_UP, Baseline
from x0tta6bl4.mape_k.columns import Table
from x0tta6bl4.model import Component

METRIC = Metric("hose", "flow", "flow", 2.0, learn=True, spread_min=1.0)
OTHER = Metric("hose", "colour", "colour")


def table_of(count=1):
    table = Table("hose", (OTHER, METRIC), capacity=1)
    for i in range(count):
        table.add(Component("hose", f"h{i}"))
    return table


def teach(table, usual, values, start=0.0, slot=0):
    for i, value in enumerate(values):
        table.values[1, slot], table.at[1, slot] = value, start + i
        usual.learn(start + i)


def test_nothing_is_unusual_before_it_is_warm():
    table = table_of()
    usual = Baseline(table)
    teach(table, usual, [5.0] * (WARM_UP - 1))
    table.values[1, 0] = 500.0
    assert usual.excess("flow")[0] == 0.0
    assert usual.anomalies(9.0) == []
    table.values[1, 0] = 5.0
    teach(table, usual, [5.0], start=50.0)
    table.values[1, 0] = 500.0
    assert usual.excess("flow")[0] == 495.0
    (odd,) = usual.anomalies(50.0)
    assert (odd.component.name, odd.metric, odd.value, odd.expected) == ("h0", "flow", 500.0, 5.0)
    assert odd.score == np.float32(495.0 / (495.0 + SCORE_SPREADS))


def test_what_is_stale_is_not_called_unusual():
    table = table_of()
    usual = Baseline(table)
    teach(table, usual, [5.0] * 20)
    table.values[1, 0] = 500.0
    assert len(usual.anomalies(21.0)) == 1
    assert usual.anomalies(21.1) == []


def test_one_outlier_moves_little():
    table = table_of()
    usual = Baseline(table)
    teach(table, usual, [5.0] * 60)
    teach(table, usual, [1e6], start=100.0)
    assert 5.0 < usual.mean[0, 0] <= 5.0 + 0.021 * CLIP


def test_the_same_value_is_learned_once():
    table = table_of()
    usual = Baseline(table)
    teach(table, usual, [1.0])
    for _ in range(20):
        usual.learn(0.0)
    assert usual.seen[0, 0] == 1


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40))
def test_the_expectation_stays_among_what_was_seen(values):
    table = table_of()
    usual = Baseline(table)
    teach(table, usual, values)
    slack = 1e-3 * max(1.0, *map(abs, values))
    assert min(values) - slack <= usual.mean[0, 0] <= max(values) + slack
    assert usual.spread[0, 0] >= METRIC.spread_min


def test_new_components_start_cold_and_old_ones_keep_what_they_learned():
    table = table_of()
    usual = Baseline(table)
    teach(table, usual, [5.0] * 20)
    for i in range(1, 6):
        table.add(Component("hose", f"h{i}"))
    assert usual.anomalies(20.0) == []  # nothing was learned of the new ones yet
    excess = usual.excess("flow")
    assert excess[0] == 0.0
    assert np.isnan(excess[1:]).all()
    teach(table, usual, [7.0] * 20, start=30.0, slot=5)
    assert usual.mean[0, [0, 5]].tolist() == [5.0, 7.0]


def test_a_sensor_that_lies_with_infinity_does_not_spoil_it():
    table = table_of()
    usual = Baseline(table)
    teach(table, usual, [np.inf, np.nan, 5.0, -np.inf] + [5.0] * 20)
    assert usual.mean[0, 0] == 5.0
    assert np.isfinite(usual.spread[0, 0])


def test_without_learnable_metrics_there_is_nothing_to_do():
    table = Table("hose", (OTHER,))
    usual = Baseline(table)
    table.add(Component("hose", "h"))
    usual.learn(0.0)
    assert usual.anomalies(0.0) == []
