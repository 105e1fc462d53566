"""Which passes become OpenTelemetry traces, and where they go; the spans themselves are made in `spans`.

A pass in which something changed is always traced, of the quiet ones one in `QUIET_EVERY`. Spans are built after the
pass and leave from a thread of their own, which drops them where the collector is slow: the loop never waits.
"""

from __future__ import annotations

import importlib
import os
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from x0tta6bl4.errors import ConfigError, NotSupported
from x0tta6bl4.model import Iteration

if TYPE_CHECKING:
    from x0tta6bl4.monitoring.spans import Spans

QUIET_EVERY: Final = 60
VARIABLES: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Tracing:
    """Traces one loop's passes."""

    def __init__(self, spans: Spans, quiet_every: int = QUIET_EVERY) -> None:
        self._spans, self._quiet_every = spans, quiet_every
        self._quiet = 0
        self._errors: set[str] = set()

    def observe(self, iteration: Iteration) -> None:
        """Trace one pass if it is worth it; called once for each, right after it, never blocks."""
        errors = set(iteration.errors)
        changed = iteration.events or iteration.plans or iteration.actions or errors != self._errors
        self._errors = errors
        if not changed:
            self._quiet += 1
            if self._quiet % self._quiet_every:
                return
        self._spans.add(iteration, time.time_ns())

    def close(self) -> None:
        """Send what is left, for two seconds at most."""
        self._spans.close()


def start(version: str, endpoint: str = "") -> Tracing | None:
    """Tracing to an OTLP/HTTP collector; None where none is named.

    Args:
        version: of this product, an attribute of every span.
        endpoint: base URL of the collector, `http://127.0.0.1:4318`; "" leaves it to OpenTelemetry's own environment
            variables, which also hold headers, certificates and time limits.

    Raises:
        ConfigError: `endpoint` is no HTTP URL.
        NotSupported: a collector is named and the extra `monitoring` is not installed.
    """
    if not endpoint and not any(os.environ.get(name) for name in VARIABLES):
        return None
    if endpoint and not _is_base_url(endpoint):
        shown = endpoint.rpartition("@")[2]  # what stands before may be a password
        raise ConfigError("monitoring.otlp_endpoint", shown, "http://HOST:PORT or https://HOST:PORT")
    try:
        spans = importlib.import_module("x0tta6bl4.monitoring.spans")
    except ImportError as error:
        raise NotSupported(f"traces need OpenTelemetry: pip install 'x0tta6bl4[monitoring]' ({error})") from error
    return Tracing(spans.Spans(version, endpoint))


def _is_base_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in text and parts.port != 0
    except ValueError:  # a malformed address or port
        return False
