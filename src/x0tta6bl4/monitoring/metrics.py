"""Every metric of the product, declared in one place and filled from Iterations. Base units, prefix `x0tta6bl4_`.

docs/reference/metrics.md is printed from `DECLARED`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from x0tta6bl4.model import IncidentState, Iteration

PREFIX: Final = "x0tta6bl4_"
PASS_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
HEAL_BUCKETS = (0.25, 0.5, 1.0, 2.0, 3.0, 6.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True)
class Declaration:
    """One metric: `kind` is counter, gauge or histogram; a counter's name ends in `_total`."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def full_name(self) -> str:
        """The name as Prometheus sees it."""
        return PREFIX + self.name


DECLARED: Final = (
    Declaration("build_info", "gauge", "Always 1; the version is a label.", ("version",)),
    Declaration("iterations_total", "counter", "Passes of the loop."),
    Declaration("readings_total", "counter", "Values folded into the state of the mesh."),
    Declaration("sensor_errors_total", "counter", "Passes in which a sensor gave nothing.", ("sensor",)),
    Declaration("phase_seconds", "histogram", "Time one phase of a pass took.", ("phase",), PASS_BUCKETS),
    Declaration("anomalies", "gauge", "Readings that deviated from what was expected in the last pass."),
    Declaration("symptoms", "gauge", "Confirmed symptoms in the last pass.", ("code",)),
    Declaration("risks", "gauge", "Latent weaknesses in the last pass.", ("code",)),
    Declaration("incidents_open", "gauge", "Incidents that are not closed.", ("cause",)),
    Declaration("incidents_opened_total", "counter", "Incidents opened.", ("cause",)),
    Declaration("incidents_closed_total", "counter", "Incidents closed after their proof.", ("cause",)),
    Declaration(
        "incident_detect_seconds",
        "histogram",
        "From the first evidence to the opening of an incident.",
        ("cause",),
        HEAL_BUCKETS,
    ),
    Declaration(
        "incident_open_seconds", "histogram", "From the opening of an incident to its end.", ("cause",), HEAL_BUCKETS
    ),
    Declaration("actions_total", "counter", "Changes of an action's state.", ("kind", "state")),
    Declaration("leases", "gauge", "Mitigations held now, to be reverted once what they avoid is well."),
    Declaration("event_listeners", "gauge", "Listeners of the event stream."),
    Declaration("event_listeners_dropped_total", "counter", "Listeners dropped for not taking their events."),
)


class Metrics:
    """The metrics of one loop, in a registry of their own."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for metric in DECLARED:
            self._declare(metric)
        self._leases: set[str] = set()
        self._opened: set[str] = set()
        self._listeners_dropped = 0
        self._gauges["build_info"].labels(version).set(1)

    def _declare(self, metric: Declaration) -> None:
        name, labels = metric.full_name, metric.labels
        if metric.kind == "counter":
            self._counters[metric.name] = Counter(name, metric.help, labels, registry=self.registry)
        elif metric.kind == "gauge":
            self._gauges[metric.name] = Gauge(name, metric.help, labels, registry=self.registry)
        else:
            self._histograms[metric.name] = Histogram(
                name, metric.help, labels, registry=self.registry, buckets=metric.buckets
            )

    def observe(self, iteration: Iteration) -> None:
        """Count one pass; called once for each, in order."""
        self._counters["iterations_total"].inc()
        self._counters["readings_total"].inc(iteration.readings)
        for sensor in iteration.errors:
            self._counters["sensor_errors_total"].labels(sensor).inc()
        for phase, seconds in iteration.phase_s.items():
            self._histograms["phase_seconds"].labels(phase).observe(seconds)
        self._gauges["anomalies"].set(len(iteration.anomalies))
        self._by_label("symptoms", [symptom.code for symptom in iteration.symptoms])
        self._by_label("risks", [risk.code for risk in iteration.risks])
        self._observe_incidents(iteration)
        self._observe_actions(iteration)

    def _by_label(self, gauge: str, values: list[str]) -> None:
        self._gauges[gauge].clear()  # a code that is gone must not stay at its last value
        for value in sorted(set(values)):
            self._gauges[gauge].labels(value).set(values.count(value))

    def _observe_incidents(self, iteration: Iteration) -> None:
        still_open = []
        for incident in iteration.incidents:
            cause = incident.cause.code
            if incident.id not in self._opened:
                self._opened.add(incident.id)
                self._counters["incidents_opened_total"].labels(cause).inc()
                detect_s = max(0.0, incident.opened_at - incident.since)
                self._histograms["incident_detect_seconds"].labels(cause).observe(detect_s)
            if incident.state is not IncidentState.CLOSED:
                still_open.append(cause)
                continue
            self._opened.discard(incident.id)
            self._counters["incidents_closed_total"].labels(cause).inc()
            if incident.closed_at is not None:
                open_s = max(0.0, incident.closed_at - incident.opened_at)
                self._histograms["incident_open_seconds"].labels(cause).observe(open_s)
        self._by_label("incidents_open", still_open)

    def _observe_actions(self, iteration: Iteration) -> None:
        for action in iteration.actions:
            self._counters["actions_total"].labels(action.action.kind, action.state.value).inc()
            (self._leases.add if action.lease else self._leases.discard)(action.id)
        self._gauges["leases"].set(len(self._leases))

    def listeners(self, now: int, dropped: int) -> None:
        """Set what the event stream counted: listeners now, and dropped since the start."""
        self._gauges["event_listeners"].set(now)
        self._counters["event_listeners_dropped_total"].inc(max(0, dropped - self._listeners_dropped))
        self._listeners_dropped = max(dropped, self._listeners_dropped)

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)
