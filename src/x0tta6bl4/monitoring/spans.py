"""A pass as OpenTelemetry spans: the pass is the root, its phases are the children. Needs `x0tta6bl4[monitoring]`.

Sensors' errors, and what came from people and other systems, stand on `monitor`, incidents on `analyze`, plans on
`plan`, actions and the store's error on `execute`. Attributes are named in docs/how-to/traces.md.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, StatusCode, Tracer, set_span_in_context

from x0tta6bl4.model import Event, IncidentState, Iteration
from x0tta6bl4.monitoring.metrics import PHASES, STORE

CLOSE_S: Final = 2.0
LISTED_MAX: Final = 50  # symptoms and incidents named on a span; their number is always told
NS: Final = 1_000_000_000
PHASE_OF: Final = {"incident": "analyze", "plan": "plan", "action": "execute"}
TOLD: Final = ("kind", "target", "state", "code", "detail", "node", "id")


class Spans:
    """Makes spans and hands them to a batch processor, whose thread exports them by OTLP over HTTP."""

    def __init__(self, version: str, endpoint: str) -> None:
        resource = Resource.create({SERVICE_NAME: "x0tta6bl4", SERVICE_VERSION: version})
        where = f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None
        self._exporter: SpanExporter = OTLPSpanExporter(endpoint=where)
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer: Tracer = self._provider.get_tracer("x0tta6bl4.loop", version)

    def add(self, iteration: Iteration, ended_ns: int) -> None:
        """One trace of a pass that ended at `ended_ns` (nanoseconds since 1970); never blocks."""
        lasted = {name: round(iteration.phase_s.get(name, 0.0) * NS) for name in PHASES}
        begun = ended_ns - sum(lasted.values())
        root = self._tracer.start_span("iteration", Context(), attributes=_attributes(iteration), start_time=begun)
        parent = set_span_in_context(root, Context())
        at = begun
        for name in PHASES:
            span = self._tracer.start_span(name, parent, start_time=at)
            at += lasted[name]
            _tell(span, name, iteration, at)
            span.end(at)
        if iteration.errors:
            root.set_status(StatusCode.ERROR, _reasons(iteration.errors))
        root.end(at)

    def close(self) -> None:
        """Send what is left; a collector that does not answer within `CLOSE_S` is sent nothing more."""
        closing = threading.Thread(target=self._provider.shutdown, name="spans", daemon=True)
        closing.start()
        closing.join(CLOSE_S)
        if closing.is_alive():  # the provider would try each batch that is left for another 10 s
            self._exporter.shutdown()


def _attributes(iteration: Iteration) -> dict[str, int | list[str]]:
    still_open = [i for i in iteration.incidents if i.state is not IncidentState.CLOSED]
    return {
        "x0tta6bl4.iteration": iteration.number,
        "x0tta6bl4.readings": iteration.readings,
        "x0tta6bl4.anomalies": len(iteration.anomalies),
        "x0tta6bl4.symptoms": len(iteration.symptoms),
        "x0tta6bl4.symptoms.listed": [f"{s.code} {s.component}" for s in iteration.symptoms[:LISTED_MAX]],
        "x0tta6bl4.incidents.open": len(still_open),
        "x0tta6bl4.incidents.listed": [i.id for i in still_open[:LISTED_MAX]],
    }


def _tell(span: Span, phase: str, iteration: Iteration, at: int) -> None:
    """What happened in one phase, as events of its span; its errors as the span's status."""
    for event in iteration.events:
        if PHASE_OF.get(event.type.partition(".")[0], "monitor") == phase:
            span.add_event(event.type, _facts(event), at)
    owner = {"monitor": lambda name: name != STORE, "execute": lambda name: name == STORE}.get(phase)
    errors = {name: text for name, text in iteration.errors.items() if owner is not None and owner(name)}
    for name, text in errors.items():
        span.add_event("error", {"x0tta6bl4.source": name, "exception.message": text}, at)
    if errors:
        span.set_status(StatusCode.ERROR, _reasons(errors))


def _facts(event: Event) -> dict[str, str]:
    facts = {"incident": event.incident, "component": event.component, "origin": event.origin}
    facts |= {name: str(event.data[name]) for name in TOLD if name in event.data}
    return {f"x0tta6bl4.{name}": value for name, value in facts.items() if value}


def _reasons(errors: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {text}" for name, text in sorted(errors.items()))
