"""Alerts in both directions, in Alertmanager's shapes: open incidents out, other systems' alerts in.

What comes in is kept and shown; nothing is triggered by it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import urllib.request
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from queue import Full, Queue
from typing import Any, Final

from x0tta6bl4 import __version__
from x0tta6bl4.core.briefs import in_brief
from x0tta6bl4.model import Event, Incident, IncidentState, Iteration, Severity

log = logging.getLogger("x0tta6bl4.alerts")

FIRING, RESOLVED = TYPES = ("alert.firing", "alert.resolved")
INCOMING_MAX: Final = 1000
REPEAT_S: Final = 60.0  # Alertmanager takes an alert for resolved when it does not hear of it for five minutes
QUEUE_MAX: Final = 64
POST_S: Final = 5.0
OWN, EXTERNAL = "own", "external"

Alert = dict[str, Any]
Change = tuple[str, str, Mapping[str, object]]
"""(type of event, component, data): what `mape_k.commands.tell` takes."""


def rfc3339(utc: float) -> str:
    """Seconds since 1970 as Alertmanager writes them."""
    return datetime.fromtimestamp(utc, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def outgoing(incident: Incident, utc: float, language: str) -> Alert:
    """An incident as a postable alert, described in a language; it ends when the incident is closed."""
    cause = incident.cause
    closed = incident.state is IncidentState.CLOSED
    return {
        "labels": {
            "alertname": cause.code,
            "component": str(cause.component),
            "incident": incident.id,
            "origin": incident.origin,
            "severity": incident.severity.value,
        },
        "annotations": {
            "summary": f"{cause.code} at {cause.component}",
            "description": " ".join(filter(None, (in_brief(incident, language), incident.escalated))),
        },
        "startsAt": rfc3339(incident.opened_utc),
        "endsAt": rfc3339(utc if closed else utc + 5 * REPEAT_S),
    }


def shown(alert: Alert, source: str, utc: float) -> Alert:
    """A postable alert as Alertmanager's API lists it, with the member `source`."""
    name = "x0tta6bl4" if source == OWN else "webhook"
    labels = json.dumps(alert["labels"], sort_keys=True).encode()
    # A path of this API; what is sent out has none: nobody there knows where this API is.
    path = {"generatorURL": f"/v1/incidents/{alert['labels']['incident']}"} if source == OWN else {}
    return {
        **alert,
        **path,
        "fingerprint": alert.get("fingerprint") or hashlib.sha256(labels).hexdigest()[:16],
        "receivers": [{"name": name}],
        "status": {"state": "active", "inhibitedBy": [], "silencedBy": []},
        "updatedAt": alert.get("updatedAt") or rfc3339(utc),
        "source": source,
    }


class Incoming:
    """Alerts of other systems that fire now, by fingerprint; the oldest goes where there are too many.

    Used on the server's event loop, and at the start.
    """

    def __init__(self) -> None:
        self._firing: OrderedDict[str, Alert] = OrderedDict()

    def changes(self, alerts: Iterable[Alert]) -> list[Change]:
        """What these alerts would change; one that is known already changes nothing."""
        found: list[Change] = []
        for alert in alerts:
            known = alert["fingerprint"] in self._firing
            if alert["status"] == "firing" and not known:
                found.append((FIRING, "", {key: value for key, value in alert.items() if key != "status"}))
            elif alert["status"] == "resolved" and known:
                found.append((RESOLVED, "", {"fingerprint": alert["fingerprint"]}))
        return found

    def apply(self, changes: Iterable[Change], at: str) -> None:
        """Take them in, once they are kept."""
        for kind, _, data in changes:
            if kind == FIRING:
                self._firing[str(data["fingerprint"])] = {**data, "updatedAt": at}
            else:
                self._firing.pop(str(data["fingerprint"]), None)
        while len(self._firing) > INCOMING_MAX:
            self._firing.popitem(last=False)

    def restore(self, events: Iterable[Event]) -> None:
        """Take up what fired when the process stopped: events of `TYPES`, oldest first."""
        self.apply(((e.type, "", e.data) for e in events), rfc3339(0.0))

    def firing(self) -> Sequence[Alert]:
        """All that fire now, oldest first."""
        return list(self._firing.values())


@dataclass(slots=True)
class Delivery:
    """How posting goes: posts that were taken, that failed, that found the queue full; why the last one failed."""

    configured: bool = True
    sent: int = 0
    failed: int = 0
    dropped: int = 0
    error: str = ""


class Sender:
    """Posts open incidents to an Alertmanager, on a thread of its own: a slow or dead one costs the loop nothing.

    url: of Alertmanager; "/api/v2/alerts" is added. language: of the descriptions.
    """

    def __init__(self, url: str, language: str = "en") -> None:
        self.url = url.rstrip("/") + "/api/v2/alerts"
        self.delivery, self._language = Delivery(), language
        self._queue: Queue[list[Alert] | None] = Queue(QUEUE_MAX)
        self._open: set[tuple[str, Severity]] = set()
        self._next = float("-inf")
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._thread.start()

    def see(self, iteration: Iteration, utc: float) -> None:
        """Take in one pass on the loop's thread; never blocks."""
        still = {(i.id, i.severity) for i in iteration.incidents if i.state is not IncidentState.CLOSED}
        changed = still - self._open or len(still) < len(iteration.incidents)
        if not changed and not (still and utc >= self._next):
            return
        self._open, self._next = still, utc + REPEAT_S
        try:
            self._queue.put_nowait([outgoing(incident, utc, self._language) for incident in iteration.incidents])
        except Full:
            self.delivery.dropped += 1

    def close(self) -> None:
        """Send what waits, for a few seconds at most, and end the thread."""
        try:
            self._queue.put(None, timeout=POST_S)
        except Full:
            return  # a daemon thread: it ends with the process
        self._thread.join(POST_S)

    def _run(self) -> None:
        while (alerts := self._queue.get()) is not None:
            try:
                self._post(alerts)
                self.delivery.sent, self.delivery.error = self.delivery.sent + 1, ""
            except (OSError, HTTPException, ValueError) as error:
                self.delivery.failed += 1
                self.delivery.error = f"{type(error).__name__}: {error}"
                log.warning("alerts were not taken: %s", self.delivery.error)

    def _post(self, alerts: list[Alert]) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": f"x0tta6bl4/{__version__}"}
        request = urllib.request.Request(self.url, json.dumps(alerts).encode(), headers)  # noqa: S310  # settings allow http(s)
        with urllib.request.urlopen(request, timeout=POST_S) as response:  # noqa: S310
            response.read()
