"""Metrics are a reading of iterations, all declared in one place."""

import json
import re
from pathlib import Path

import yaml

from hand_made import event, incident, iteration, troubled, view
from x0tta6bl4.core.state import State
from x0tta6bl4.model import ActionState, IncidentState
from x0tta6bl4.monitoring.metrics import DECLARED, Metrics
from x0tta6bl4.network.catalog import mesh_catalog

ROOT = Path(__file__).resolve().parents[3]


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels)


def test_names_follow_the_conventions():
    for metric in DECLARED:
        assert re.fullmatch(r"[a-z][a-z0-9_]+", metric.name)
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        assert metric.kind in ("counter", "gauge", "histogram")
        assert bool(metric.buckets) == (metric.kind == "histogram")
        assert metric.help.endswith(".")
        assert metric.unit in ("", "seconds")
        assert ("seconds" in metric.name) == bool(metric.unit)
        assert not re.search(r"_(ms|millis|minutes|percent|kb)\b", metric.name)
    assert len({metric.name for metric in DECLARED}) == len(DECLARED)


def test_only_declared_metrics_are_printed():
    metrics = Metrics("1")
    metrics.observe(troubled())
    printed = set(re.findall(r"^# TYPE (\S+)", metrics.text().decode(), re.MULTILINE))
    stems = {metric.full_name.removesuffix("_total") for metric in DECLARED}
    own = {name for name in printed if not name.startswith("process_")}
    assert {name.removesuffix("_total") for name in own} == stems


def test_every_metric_is_documented_and_every_one_that_a_dashboard_or_rule_asks_for_is_declared():
    page = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    assert [m.full_name for m in DECLARED if f"`{m.full_name}`" not in page] == []
    series = {
        f"{metric.full_name}{suffix}"
        for metric in DECLARED
        for suffix in (("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",))
    }
    asked = set()
    for file in (
        *(ROOT / "deploy/grafana/dashboards").glob("*.json"),
        *(ROOT / "deploy/prometheus/rules").glob("*.yml"),
    ):
        asked |= set(re.findall(r"\bx0tta6bl4_[a-z0-9_]+", file.read_text(encoding="utf-8")))
    assert asked, "no dashboard and no rule was found"
    assert asked - series == set()


def test_every_alert_says_what_it_means_and_every_recorded_series_exists():
    groups = yaml.safe_load((ROOT / "deploy/prometheus/rules/x0tta6bl4.yml").read_text(encoding="utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    for rule in rules:
        if "alert" in rule:
            assert rule["labels"]["severity"] in ("info", "warning", "critical")
            assert {"summary", "description"} <= set(rule["annotations"])
    recorded = {rule["record"] for rule in rules if "record" in rule}
    text = "".join(f.read_text(encoding="utf-8") for f in (ROOT / "deploy/grafana/dashboards").glob("*.json"))
    text += " ".join(rule["expr"] for rule in rules)
    assert set(re.findall(r"\bx0tta6bl4:[a-z0-9_:]+", text)) == recorded


def test_dashboards_ask_the_datasource_that_the_reader_chose():
    boards = [json.loads(f.read_text(encoding="utf-8")) for f in (ROOT / "deploy/grafana/dashboards").glob("*.json")]
    assert len({board["uid"] for board in boards}) == len(boards) == 3
    for board in boards:
        assert board["id"] is None
        assert [v["query"] for v in board["templating"]["list"] if v["type"] == "datasource"] == ["prometheus"]
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        for panel in board["panels"]:
            assert panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}"


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
    assert value(metrics, "x0tta6bl4_incidents_open", cause="link-lossy") == 0
    assert value(metrics, "x0tta6bl4_iterations_total") == 5


def said(state, *, lease=False, ident="a1", kind="set-hop-penalty"):
    return event(1, f"action.{state.value.replace(' ', '_')}", id=ident, kind=kind, state=state.value, lease=lease)


def test_actions_are_counted_as_they_are_told_agents_included():
    metrics = Metrics("1")
    metrics.observe(iteration(1, events=(said(ActionState.APPLIED), said(ActionState.CONFIRMED, lease=True))))
    assert value(metrics, "x0tta6bl4_leases") == 1
    metrics.observe(iteration(2, events=(said(ActionState.UNDO_FAILED, ident="a2"),)))
    assert value(metrics, "x0tta6bl4_leases") == 1
    metrics.observe(iteration(3, events=(said(ActionState.UNDONE), event(2, "plan.made"))))
    assert value(metrics, "x0tta6bl4_leases") == 0
    for state in ("applied", "confirmed", "undone", "undo failed"):
        assert value(metrics, "x0tta6bl4_actions_total", kind="set-hop-penalty", state=state) == 1


def test_dropped_readings_are_counted_by_sensor():
    metrics = Metrics("1")
    for number, late in enumerate(((), ("netlink",), ("netlink", "wiki"))):
        metrics.observe(iteration(number, late=late))
    assert value(metrics, "x0tta6bl4_late_readings_total", sensor="netlink") == 2
    assert value(metrics, "x0tta6bl4_late_readings_total", sensor="wiki") == 1


def test_a_sensor_that_failed_is_no_store_that_failed():
    metrics = Metrics("1")
    metrics.observe(iteration(1, errors={"netlink": "timed out"}))
    metrics.observe(iteration(2, errors={"store": "disk is full"}))
    assert value(metrics, "x0tta6bl4_sensor_errors_total", sensor="netlink") == 1
    assert value(metrics, "x0tta6bl4_sensor_errors_total", sensor="store") is None
    assert value(metrics, "x0tta6bl4_store_errors_total") == 1
    assert value(metrics, "x0tta6bl4_phase_seconds_count", phase="monitor") == 2


def test_a_code_that_is_gone_is_zero_and_not_what_it_was():
    metrics = Metrics("1")
    metrics.observe(troubled())
    assert value(metrics, "x0tta6bl4_risks", code="fragile-primary") == 1
    metrics.observe(iteration(2))
    assert value(metrics, "x0tta6bl4_risks", code="fragile-primary") == 0


def test_what_is_rare_is_zero_from_the_start_for_a_known_catalogue():
    metrics = Metrics("1", mesh_catalog(None))
    for cause in ("link-lossy", "partition"):
        assert value(metrics, "x0tta6bl4_incidents_open", cause=cause) == 0
        assert value(metrics, "x0tta6bl4_incidents_opened_total", cause=cause) == 0
        assert value(metrics, "x0tta6bl4_incident_open_seconds_count", cause=cause) == 0
    assert value(metrics, "x0tta6bl4_actions_total", kind="restore-mtu", state="undo failed") == 0
    assert value(metrics, "x0tta6bl4_symptoms", code="link-silent") == 0


def test_the_oldest_open_incident_dates_from_its_opening():
    metrics = Metrics("1")
    assert value(metrics, "x0tta6bl4_incident_oldest_seconds") == 0
    metrics.observe(iteration(1, at=70.0, incidents=(incident(),)))
    assert value(metrics, "x0tta6bl4_incident_oldest_seconds") == 60
    metrics.observe(iteration(2, at=71.0, incidents=(incident(state=IncidentState.CLOSED, closed_at=71.0),)))
    assert value(metrics, "x0tta6bl4_incident_oldest_seconds") == 0


def test_nodes_links_and_what_people_set():
    state = State(log=False)
    state.publish(iteration(1), view())
    metrics = state.metrics
    found = {s: value(metrics, "x0tta6bl4_nodes", state=s) for s in ("well", "suspect", "down", "unknown")}
    assert found == {"well": 1, "suspect": 1, "down": 0, "unknown": 1}
    assert value(metrics, "x0tta6bl4_links", state="avoided") == 1
    for paused, kill_switch in ((True, False), (False, True), (False, False)):
        metrics.control(paused=paused, kill_switch=kill_switch)
        assert value(metrics, "x0tta6bl4_paused") == paused
        assert value(metrics, "x0tta6bl4_kill_switch") == kill_switch


def test_notifications_are_counted_by_how_they_ended():
    metrics = Metrics("1")
    metrics.notified("pager", "sent")
    metrics.notified("pager", "failed")
    metrics.notified("pager", "failed")
    assert value(metrics, "x0tta6bl4_notifications_total", notifier="pager", result="failed") == 2


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
