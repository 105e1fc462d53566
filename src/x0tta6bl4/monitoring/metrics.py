"""Every metric of the product, declared in one place and filled from Iterations. Base units, prefix `x0tta6bl4_`.

docs/reference/metrics.md is printed from `DECLARED`. Beside them stand prometheus_client's own `process_*`.
"""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from x0tta6bl4.catalog import Catalog
from x0tta6bl4.model import ActionState, Event, IncidentState, Iteration

# A second series for each counter and histogram, which nobody asks for; the library left it untyped.
disable_created_metrics()  # type: ignore[no-untyped-call]

PREFIX: Final = "x0tta6bl4_"
PASS_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
HEAL_BUCKETS = (0.25, 0.5, 1.0, 2.0, 3.0, 6.0, 10.0, 30.0, 60.0, 300.0)
PHASES: Final = ("monitor", "analyze", "plan", "execute")
NODE_STATES: Final = ("well", "suspect", "down", "unknown")
LINK_STATES: Final = (*NODE_STATES, "avoided")
STORE: Final = "store"  # under this name the loop tells of a failed commit among the sensors' errors


@dataclass(frozen=True, slots=True)
class Declaration:
    """One metric: `kind` is counter, gauge or histogram; a counter's name ends in `_total`, a unit in the name too."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
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
    Declaration("late_readings_total", "counter", "Readings dropped: the one before had not ended.", ("sensor",)),
    Declaration("store_errors_total", "counter", "Passes in which decisions waited because a commit had failed."),
    Declaration(
        "phase_seconds", "histogram", "Time one phase of a pass took.", ("phase",), "seconds", buckets=PASS_BUCKETS
    ),
    Declaration("paused", "gauge", "1 while a person has paused the loop: it watches and plans nothing new."),
    Declaration("kill_switch", "gauge", "1 while the kill switch is on: no new action is started."),
    Declaration("nodes", "gauge", "Expected nodes by what is believed of them.", ("state",)),
    Declaration("links", "gauge", "Directed links by what is believed of them.", ("state",)),
    Declaration("anomalies", "gauge", "Readings that deviated from what was expected in the last pass."),
    Declaration("symptoms", "gauge", "Confirmed symptoms in the last pass.", ("code",)),
    Declaration("risks", "gauge", "Latent weaknesses in the last pass.", ("code",)),
    Declaration("incidents_open", "gauge", "Incidents that are not closed.", ("cause",)),
    Declaration(
        "incident_oldest_seconds", "gauge", "Age of the oldest incident that is not closed; 0: none.", unit="seconds"
    ),
    Declaration("incidents_opened_total", "counter", "Incidents opened.", ("cause",)),
    Declaration("incidents_closed_total", "counter", "Incidents closed after their proof.", ("cause",)),
    Declaration(
        "incident_detect_seconds",
        "histogram",
        "From the first evidence to the opening of an incident.",
        ("cause",),
        "seconds",
        buckets=HEAL_BUCKETS,
    ),
    Declaration(
        "incident_open_seconds",
        "histogram",
        "From the opening of an incident to its end.",
        ("cause",),
        "seconds",
        buckets=HEAL_BUCKETS,
    ),
    Declaration("actions_total", "counter", "Changes of an action's state, agents' included.", ("kind", "state")),
    Declaration("leases", "gauge", "Mitigations held now, to be reverted once what they avoid is well."),
    Declaration("event_listeners", "gauge", "Listeners of the event stream."),
    Declaration(
        "explanation_sentences_dropped_total", "counter", "Sentences of a language model that their citations belie."
    ),
    Declaration("event_listeners_dropped_total", "counter", "Listeners dropped for not taking their events."),
    Declaration("notifications_total", "counter", "Events handed to a notifier.", ("notifier", "result")),
)


class Metrics:
    """The metrics of one loop, in a registry of their own.

    catalog: its codes and action kinds are shown from the start, so that a rate over a rare event is 0 and not
    missing; without one a label appears when it is first seen, and stays.
    """

    def __init__(self, version: str, catalog: Catalog | None = None) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for metric in DECLARED:
            self._declare(metric)
        self._seen: dict[str, set[str]] = {"symptoms": set(), "risks": set(), "incidents_open": set()}
        self._leases: set[str] = set()
        self._opened: set[str] = set()
        self._listeners_dropped = 0
        self._gauges["build_info"].labels(version).set(1)
        for phase in PHASES:
            self._histograms["phase_seconds"].labels(phase)
        self.mesh((), ())
        if catalog is not None:
            self._expect(catalog)

    def _declare(self, metric: Declaration) -> None:
        name, labels = metric.full_name, metric.labels
        if metric.kind == "counter":
            self._counters[metric.name] = Counter(name, metric.help, labels, registry=self.registry)
        elif metric.kind == "gauge":
            self._gauges[metric.name] = Gauge(name, metric.help, labels, unit=metric.unit, registry=self.registry)
        else:
            self._histograms[metric.name] = Histogram(
                name, metric.help, labels, unit=metric.unit, registry=self.registry, buckets=metric.buckets
            )

    def _expect(self, catalog: Catalog) -> None:
        causes = {rule.code for rule in catalog.causes} | ({catalog.partition} - {""})
        self._by_label("symptoms", (), catalog.symptom)
        self._by_label("incidents_open", (), causes)
        for cause in causes:
            for name in ("incidents_opened_total", "incidents_closed_total"):
                self._counters[name].labels(cause)
            for name in ("incident_detect_seconds", "incident_open_seconds"):
                self._histograms[name].labels(cause)
        for kind in catalog.action:
            for state in ActionState:
                self._counters["actions_total"].labels(kind, state.value)

    def observe(self, iteration: Iteration) -> None:
        """Count one pass; called once for each, in order."""
        self._counters["iterations_total"].inc()
        self._counters["readings_total"].inc(iteration.readings)
        for sensor in iteration.errors:
            if sensor == STORE:
                self._counters["store_errors_total"].inc()
            else:
                self._counters["sensor_errors_total"].labels(sensor).inc()
        for sensor in iteration.late:
            self._counters["late_readings_total"].labels(sensor).inc()
        for phase, seconds in iteration.phase_s.items():
            self._histograms["phase_seconds"].labels(phase).observe(seconds)
        self._gauges["anomalies"].set(len(iteration.anomalies))
        self._by_label("symptoms", [symptom.code for symptom in iteration.symptoms])
        self._by_label("risks", [risk.code for risk in iteration.risks])
        self._observe_incidents(iteration)
        self._observe_actions(iteration.events)

    def _by_label(self, gauge: str, values: Sequence[str], known: Iterable[str] = ()) -> None:
        seen, counted = self._seen[gauge], Count(values)
        seen.update(known, counted)
        for value in seen:
            self._gauges[gauge].labels(value).set(counted[value])

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
                still_open.append(incident)
                continue
            self._opened.discard(incident.id)
            self._counters["incidents_closed_total"].labels(cause).inc()
            if incident.closed_at is not None:
                open_s = max(0.0, incident.closed_at - incident.opened_at)
                self._histograms["incident_open_seconds"].labels(cause).observe(open_s)
        self._by_label("incidents_open", [incident.cause.code for incident in still_open])
        oldest = min((incident.opened_at for incident in still_open), default=iteration.at)
        self._gauges["incident_oldest_seconds"].set(max(0.0, iteration.at - oldest))

    def _observe_actions(self, events: Sequence[Event]) -> None:
        for event in events:  # not the records: what agents do is told in events only
            if not event.type.startswith("action."):
                continue
            kind, state, ident = (str(event.data.get(name, "")) for name in ("kind", "state", "id"))
            self._counters["actions_total"].labels(kind, state).inc()
            (self._leases.add if event.data.get("lease") else self._leases.discard)(ident)
        self._gauges["leases"].set(len(self._leases))

    def mesh(self, nodes: Iterable[str], links: Iterable[str]) -> None:
        """Set how many nodes and links are in which state (one word for each of them)."""
        for gauge, states, known in (("nodes", Count(nodes), NODE_STATES), ("links", Count(links), LINK_STATES)):
            for state in known:
                self._gauges[gauge].labels(state).set(states[state])

    def control(self, *, paused: bool, kill_switch: bool) -> None:
        """Set what people set."""
        self._gauges["paused"].set(paused)
        self._gauges["kill_switch"].set(kill_switch)

    def listeners(self, now: int, dropped: int) -> None:
        """Set what the event stream counted: listeners now, and dropped since the start."""
        self._gauges["event_listeners"].set(now)
        self._counters["event_listeners_dropped_total"].inc(max(0, dropped - self._listeners_dropped))
        self._listeners_dropped = max(dropped, self._listeners_dropped)

    def notified(self, notifier: str, result: str) -> None:
        """Count one event that was "sent", "failed", or "dropped" because the notifier was too slow."""
        self._counters["notifications_total"].labels(notifier, result).inc()

    def rewritten(self, dropped: int) -> None:
        """Count the sentences that a model's rewriting lost, because their citations do not check."""
        self._counters["explanation_sentences_dropped_total"].inc(dropped)

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)
