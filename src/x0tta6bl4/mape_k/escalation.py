"""What the loop cannot put right by itself is handed to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from x0tta6bl4.mape_k.outbox import incident_data
from x0tta6bl4.model import Component, IncidentState, Seconds

if TYPE_CHECKING:
    from x0tta6bl4.mape_k.loop import Loop


def escalate(loop: Loop, now: Seconds, incident: str, target: Component, why: str) -> None:
    """A change was left behind: its incident turns critical, and stays open until a person closes it.

    target: what was changed. Nothing happens where the incident is closed already.
    """
    change = loop.knowledge.mark(incident, state=IncidentState.OPEN, escalated=why)
    if change is not None:
        loop.outbox.pending.incidents.append(change.incident)
        loop.outbox.say("incident.escalated", now, incident, str(target), incident_data(change.incident, now))


def left_behind(loop: Loop) -> frozenset[tuple[str, Component]]:
    """Kinds and targets of the loop's own actions that could not be undone, until a person closes their incidents."""
    stranded = loop.executor.ledger.stranded
    for record in [record for record in stranded.values() if record.incident not in loop.knowledge.open]:
        del stranded[record.id]
    return frozenset((record.action.kind, record.action.target) for record in stranded.values())
