"""Metrics are a reading of iterations, all declared in one place."""

import re

from hand_made import action, incident, iteration, troubled
from x0tta6bl4.model import ActionState, IncidentState
from x0tta6bl4.monitoring.metrics import DECLARED, Metrics


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels)


def test_names_follow_the_conventions():
    for metric in DECLARED:
        assert re.fullmatch(r"[a-z][a-z0-9_]+", metric.name)
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        assert metric.kind in ("counter", "gauge", "histogram")
        assert bool(metric.buckets) == (metric.kind == "histogram")
        assert metric.help.endswith(".")
        assert not re.search(r"_(ms|millis|minutes|percent|kb)\b", metric.name)
    assert len({metric.name for metric in DECLARED}) == len(DECLARED)


def test_only_declared_metrics_are_printed():
    metrics = Metrics("1")
    metrics.observe(troubled())
    printed = set(re.findall(r"^# TYPE (\S+)", metrics.text().decode(), re.MULTILINE))
    stems = {metric.full_name.removesuffix("_total") for metric in DECLARED}
    assert {name.removesuffix("_total").removesuffix("_created") for name in printed} == stems


def test_an_incident_is_counted_once_however_many_passes_it_is_open():
    metrics = Metrics("1")
    for number in range(3):
        metrics.observe(iteration(number, incidents=(incident(),)))
    assert value(metrics, "x0tta6bl4_incidents_opened_total", cause="link-lossy") == 1
    assert value(metrics, "x0tta6bl4_incidents_open", cause="link-lossy") == 1
    assert value(metrics, "x0tta6bl4_incident_detect_seconds_sum", cause="link-lossy") == 0.5
    metrics.observe(iteration(4, incidents=(incident(state=IncidentState.CLOSED, closed_at=14.0),)))
    metrics.observe(iteration(5))
    assert value(metrics, "x0tta6bl4_incidents_closed_total", cause="link-lossy") == 1
    assert value(metrics, "x0tta6bl4_incident_open_seconds_sum", cause="link-lossy") == 4
    assert value(metrics, "x0tta6bl4_incidents_open", cause="link-lossy") is None
    assert value(metrics, "x0tta6bl4_iterations_total") == 5


def test_actions_leases_and_errors():
    metrics = Metrics("1")
    metrics.observe(troubled())
    metrics.observe(iteration(2, actions=(action(ActionState.CONFIRMED, lease=True),)))
    assert value(metrics, "x0tta6bl4_leases") == 1
    metrics.observe(iteration(3, actions=(action(ActionState.UNDONE),)))
    assert value(metrics, "x0tta6bl4_leases") == 0
    assert value(metrics, "x0tta6bl4_actions_total", kind="set_hop_penalty", state="confirmed") == 1
    assert value(metrics, "x0tta6bl4_sensor_errors_total", sensor="netlink") == 1
    assert value(metrics, "x0tta6bl4_phase_seconds_count", phase="monitor") == 3


def test_a_code_that_is_gone_is_not_shown_any_more():
    metrics = Metrics("1")
    metrics.observe(troubled())
    assert value(metrics, "x0tta6bl4_risks", code="fragile-primary") == 1
    metrics.observe(iteration(2))
    assert value(metrics, "x0tta6bl4_risks", code="fragile-primary") is None


def test_dropped_listeners_only_count_up():
    metrics = Metrics("1")
    for now, dropped in ((3, 2), (1, 2), (0, 5)):
        metrics.listeners(now, dropped)
    assert value(metrics, "x0tta6bl4_event_listeners") == 0
    assert value(metrics, "x0tta6bl4_event_listeners_dropped_total") == 5


def test_two_loops_do_not_share_metrics():
    first, second = Metrics("1"), Metrics("2")
    first.observe(troubled())
    assert value(second, "x0tta6bl4_iterations_total") == 0
