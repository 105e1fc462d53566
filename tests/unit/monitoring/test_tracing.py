"""Passes as traces: what an OTLP collector on loopback receives, decoded from the protobuf."""

import subprocess
import sys
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hand_made import action, event, incident, iteration, troubled, view
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.core.state import State
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.model import ActionState
from x0tta6bl4.monitoring import tracing

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs x0tta6bl4[monitoring]")
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector(ThreadingHTTPServer):
    """Keeps every trace request that it is sent; `stuck` makes it answer nobody until it is set."""

    daemon_threads = True

    def __init__(self):
        self.asked, self.requests, self.paths, self.stuck = 0, [], [], threading.Event()
        self.stuck.set()
        super().__init__(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server_port}"

    def spans(self):
        resources = [resource for request in self.requests for resource in request.resource_spans]
        return [span for resource in resources for scope in resource.scope_spans for span in scope.spans]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.asked += 1
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.stuck.wait(60)
        self.server.paths.append(self.path)
        self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def collector(monkeypatch):
    for name in tracing.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.stuck.set()
    server.shutdown()
    thread.join(5)
    server.server_close()


def facts(thing):
    """Attributes as a dictionary of plain values."""
    found = {}
    for attribute in thing.attributes:
        kind = attribute.value.WhichOneof("value")
        value = getattr(attribute.value, kind)
        found[attribute.key] = [item.string_value for item in value.values] if kind == "array_value" else value
    return found


def test_a_pass_is_a_trace_and_its_phases_are_the_children(collector):
    traced = tracing.start("9.9", collector.endpoint + "/")
    before = time.time_ns()
    traced.observe(troubled(7))
    traced.close()
    assert collector.paths == ["/v1/traces"]
    resource = facts(collector.requests[0].resource_spans[0].resource)
    assert (resource["service.name"], resource["service.version"]) == ("x0tta6bl4", "9.9")
    spans = {span.name: span for span in collector.spans()}
    assert set(spans) == {"iteration", "monitor", "analyze", "plan", "execute"}
    root = spans.pop("iteration")
    assert root.parent_span_id == b""
    assert {span.parent_span_id for span in spans.values()} == {root.span_id}
    assert {span.trace_id for span in spans.values()} == {root.trace_id}
    assert root.end_time_unix_nano - root.start_time_unix_nano == 1_000_000
    assert spans["monitor"].end_time_unix_nano - spans["monitor"].start_time_unix_nano == 1_000_000
    assert before <= root.end_time_unix_nano <= time.time_ns()
    told = facts(root)
    assert (told["x0tta6bl4.iteration"], told["x0tta6bl4.readings"]) == (7, 120)
    assert told["x0tta6bl4.symptoms.listed"] == ["hello-loss adjacency/n1:v1-2<>n2:v2-1"]
    assert (told["x0tta6bl4.incidents.open"], told["x0tta6bl4.incidents.listed"]) == (1, ["i1"])


def test_what_happened_stands_on_its_phase_and_errors_are_the_status(collector):
    traced = tracing.start("1", collector.endpoint)
    others = event(3, "plan.made", id="p1"), event(4, "control.changed", paused=True)
    traced.observe(iteration(1, events=(*troubled().events, *others), errors={"netlink": "timed out", "store": "full"}))
    traced.close()
    spans = {span.name: span for span in collector.spans()}
    events = {name: [e.name for e in span.events] for name, span in spans.items()}
    assert events == {
        "iteration": [],
        "monitor": ["control.changed", "error"],
        "analyze": ["incident.opened"],
        "plan": ["plan.made"],
        "execute": ["action.applied", "error"],
    }
    applied = facts(spans["execute"].events[0])
    assert applied["x0tta6bl4.incident"] == "i1"
    assert applied["x0tta6bl4.kind"] == "set_hop_penalty"
    assert applied["x0tta6bl4.state"] == "applied"
    status = {name: (span.status.code, span.status.message) for name, span in spans.items()}
    assert status["iteration"] == (2, "netlink: timed out; store: full")
    assert status["monitor"] == (2, "netlink: timed out")
    assert status["execute"] == (2, "store: full")
    assert status["plan"] == (0, "")


def numbers(collector):
    return sorted(facts(span)["x0tta6bl4.iteration"] for span in collector.spans() if span.name == "iteration")


def test_quiet_passes_are_sampled_and_no_change_is_missed(collector):
    traced = tracing.start("1", collector.endpoint)
    noisy = {
        10: {"events": (event(),)},
        20: {"actions": (action(ActionState.CONFIRMED),)},
        30: {"errors": {"netlink": "timed out"}},
        31: {"errors": {"netlink": "timed out again"}},
        32: {},
    }
    for number in range(1, 131):
        traced.observe(iteration(number, incidents=(incident(),), **noisy.get(number, {})))
    traced.close()
    found = numbers(collector)
    assert {10, 20, 30, 32} <= set(found)
    assert 31 not in found
    assert len(found) == 4 + (130 - 4) // tracing.QUIET_EVERY


def test_a_collector_that_hangs_or_is_away_never_slows_the_loop(collector, caplog):
    collector.stuck.clear()
    before = set(threading.enumerate())
    hanging = tracing.start("1", collector.endpoint)
    away = tracing.start("1", "http://127.0.0.1:9")
    took = defaultdict(list)
    for number in range(600):  # 6,000 spans: more than a queue holds
        for name, traced in (("hanging", hanging), ("away", away)):
            start = time.perf_counter()
            traced.observe(troubled(number))
            took[name].append(time.perf_counter() - start)
    assert collector.spans() == []  # all passes were taken while nobody had answered
    for times in took.values():
        assert sorted(times)[len(times) // 2] < 0.01
    for traced in (hanging, away):
        start = time.perf_counter()
        traced.close()
        assert time.perf_counter() - start < 4
    assert collector.spans() == []
    asked = collector.asked
    collector.stuck.set()  # what was on its way is answered, and nothing is sent after it
    exporting = [thread for thread in {*threading.enumerate()} - before if thread.name.startswith("OtelBatch")]
    for thread in exporting:
        thread.join(5)
        assert not thread.is_alive()
    assert collector.asked == asked


def test_the_environment_names_a_collector_too(collector, monkeypatch):
    assert tracing.start("1") is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    traced = tracing.start("1")
    traced.observe(troubled())
    traced.close()
    assert collector.paths == ["/v1/traces"]


NO_ENDPOINTS = ["localhost:4318", "ftp://h", "http://", "http://[::1", "http://h:99999", "http://me:secret@h:1"]


@pytest.mark.parametrize("endpoint", NO_ENDPOINTS)
def test_an_endpoint_that_is_none_is_refused_and_not_repeated(endpoint):
    with pytest.raises(ConfigError, match=r"monitoring\.otlp_endpoint") as told:
        tracing.start("1", endpoint)
    assert "secret" not in str(told.value)


def test_the_application_s_passes_are_traced_where_the_settings_name_a_collector(collector):
    state = State(log=False, settings=Settings(monitoring={"otlp_endpoint": collector.endpoint}))
    state.open()
    state.publish(troubled(3), view())
    state.close()
    assert numbers(collector) == [3]


def test_without_the_extra_the_error_says_what_to_install():
    code = (
        "import sys\n"
        "sys.modules['opentelemetry'] = None\n"
        "from x0tta6bl4.errors import NotSupported\n"
        "from x0tta6bl4.monitoring import tracing\n"
        "assert tracing.start('1') is None\n"
        "try:\n"
        "    tracing.start('1', 'http://127.0.0.1:4318')\n"
        "except NotSupported as error:\n"
        "    print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "pip install 'x0tta6bl4[monitoring]'" in ran.stdout
