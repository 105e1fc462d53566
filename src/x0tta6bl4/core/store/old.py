"""Which rows are old: selections of their ids, for `SqlStore.prune`."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Select, func, select

from x0tta6bl4.core.store import schema
from x0tta6bl4.mape_k.commands import STANDING
from x0tta6bl4.model import IncidentState

OF_PLANS: Final = ("plan.made", "plan.refused")  # the longest events, and all that they say is in the plan's own row


def old_passes(before_utc: float) -> Select[Any]:
    """Passes from before a time."""
    old = schema.iterations.alias()
    return select(old.c.id).where(old.c.at_utc < before_utc)


def old_events(before_utc: float) -> Select[Any]:
    """Events from before a time that belong to no incident, and those about the plans of closed ones.

    Not what people set, nor the last one of each source: `last_event` must go on counting.
    """
    old, same, incidents = schema.events.alias(), schema.events.alias(), schema.incidents
    newest = select(func.max(same.c.number)).where(same.c.source == old.c.source).scalar_subquery()
    closed = select(incidents.c.id).where(incidents.c.state == IncidentState.CLOSED.value)
    nobodys = (old.c.incident == "") | (old.c.type.in_(OF_PLANS) & old.c.incident.in_(closed))
    aged = (old.c.at_utc < before_utc) & (old.c.number < newest)
    return select(old.c.id).where(aged & nobodys & old.c.type.not_in(STANDING))


def old_windows(before_utc: float) -> Select[Any]:
    """Windows that ended before a time."""
    old = schema.windows.alias()
    return select(old.c.id).where(old.c.end_utc < before_utc)
