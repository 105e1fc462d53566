"""Structured logs: one JSON object a line, one id for all lines of an iteration, one line for each change of state.

Fields are listed in docs/reference/logs.md. A pass in which nothing changed is one DEBUG line.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, TextIO

from x0tta6bl4.errors import ConfigError
from x0tta6bl4.model import Event, Iteration

ROOT: Final = "x0tta6bl4"
FIELDS: Final = {
    "time": "UTC, ISO 8601, milliseconds; of the machine that wrote the line",
    "level": "DEBUG, INFO, WARNING or ERROR",
    "logger": "part of the product that wrote the line",
    "message": "one sentence for people",
    "iteration": "ORIGIN-NUMBER of the pass, the same in all its lines",
    "event": "type of the change, e.g. `incident.opened`, `action.applied`",
    "incident": "id of the incident",
    "component": "KIND/NAME of what the change is about",
    "origin": "node, or `controller`, whose loop it was",
    "seq": "place of the event in its origin's sequence",
    "data": "what belongs to this type of event",
    "error": "type and text of an exception; the traceback follows in `traceback`",
    "traceback": "where the exception was raised",
}
_WARN: Final = ("incident.opened", "incident.escalated", "action.undo_failed", "action.refused")

log = logging.getLogger(f"{ROOT}.loop")


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object; what was passed as `extra={"fields": {...}}` is part of it."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a message with line breaks stays one line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, object] = {
            "time": time,
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = f"{type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=_text, ensure_ascii=False)


def _text(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    return str(value)


def configure(level: str = "INFO", stream: TextIO | None = None) -> logging.Handler:
    """Send this product's logs, uvicorn's and OpenTelemetry's to `stream` (standard error); again replaces the first.

    Raises:
        ConfigError: `level` is none of logging's names.
    """
    if level not in logging.getLevelNamesMapping():
        raise ConfigError("log.level", level, "DEBUG, INFO, WARNING or ERROR")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    for name in (ROOT, "uvicorn", "opentelemetry"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
    return handler


def sentence(event: Event) -> str:
    """One event in words.

    >>> sentence(Event(1, 0.0, "n1", "incident.opened", "i1", "node/n2", {"code": "node-down"}))
    'incident opened: node-down at node/n2'
    """
    what = event.type.replace(".", " ").replace("_", " ")
    subject = event.data.get("kind") or event.data.get("code") or ""
    where = event.data.get("target") or event.component
    return f"{what}: {subject} at {where}" if subject else f"{what}: {where}".rstrip(": ")


def log_iteration(iteration: Iteration, logger: logging.Logger = log) -> None:
    """Write one line for each change of state of this pass; each carries the id of the iteration."""
    for event in iteration.events:
        level = logging.WARNING if event.type in _WARN else logging.INFO
        fields = {
            "iteration": f"{event.origin}-{iteration.number}",
            "event": event.type,
            "incident": event.incident,
            "component": event.component,
            "origin": event.origin,
            "seq": event.seq,
            "data": event.data,
        }
        logger.log(level, "%s", sentence(event), extra={"fields": fields})
    if not iteration.events and logger.isEnabledFor(logging.DEBUG):
        summary = "pass %d: %d readings, %d symptoms"
        logger.debug(summary, iteration.number, iteration.readings, len(iteration.symptoms))
