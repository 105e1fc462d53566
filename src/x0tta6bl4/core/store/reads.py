"""What a store answers: typed values with times on this process's clock, and rows for people with UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Integer, Select, and_, cast, func, or_, select

from x0tta6bl4.core.store import schema
from x0tta6bl4.core.store.codec import Shift, decode, decode_free
from x0tta6bl4.model import ActionRecord, ActionState, Event, Incident, IncidentState, Plan, Symptom

_FINAL = [state.value for state in ActionState if state.final]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a timeline or log, for people: what happened to whom when, and its details."""

    at_utc: float
    seq: int
    what: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class History:
    """All that is known of one incident: its timeline (incident and actions together) and the evidence."""

    incident: Incident
    timeline: tuple[Entry, ...]
    evidence: tuple[Symptom, ...]
    actions: tuple[ActionRecord, ...]
    plans: tuple[Plan, ...]
    outcomes: Mapping[str, bool | None]  # action id -> whether it healed; None is not known yet


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass that decided something."""

    number: int
    epoch: int
    at_utc: float
    seq: int
    readings: int
    decisions: Mapping[str, Any]
    phase_s: Mapping[str, float]


class Reader:
    """The reading half of a store over one connection. shift: (field, UTC seconds) -> monotonic."""

    def __init__(self, connection: Connection, shift: Shift) -> None:
        self._connection, self.shift = connection, shift

    def incidents(self, where: Any, limit: int | None = None) -> list[Incident]:
        """Incidents that fulfil an SQL condition, newest last."""
        table = schema.incidents
        newest = select(table.c.body).where(where).order_by(table.c.opened_utc.desc(), table.c.id.desc())
        bodies = self._connection.execute(newest.limit(limit)).scalars()
        return [decode(Incident, body, self.shift) for body in bodies][::-1]

    def open_incidents(self) -> list[Incident]:
        """Incidents that are not closed, oldest first."""
        return self.incidents(schema.incidents.c.state != IncidentState.CLOSED.value)

    def open_actions(self) -> list[ActionRecord]:
        """Actions that are not final, and confirmed mitigations whose lease still holds; oldest first."""
        table = schema.actions.c
        leased = and_(table.state == ActionState.CONFIRMED.value, table.lease.is_(True))
        found = self._connection.execute(select(table.body).where(or_(table.state.not_in(_FINAL), leased)))
        records = [decode(ActionRecord, body, self.shift) for body in found.scalars()]
        return sorted(records, key=lambda record: (record.proposed_at, record.id))

    def past_actions(self, limit: int) -> list[ActionRecord]:
        """The `limit` actions that changed last, and all actions of open incidents; the last changed is last."""
        table, incidents = schema.actions.c, schema.incidents.c
        newest = select(table.id).order_by(table.at_utc.desc(), table.seq.desc()).limit(limit)
        still = select(incidents.id).where(incidents.state != IncidentState.CLOSED.value)
        wanted = select(table.body).where(or_(table.id.in_(newest), table.incident.in_(still)))
        found = self._connection.execute(wanted.order_by(table.at_utc, table.seq)).scalars()
        return [decode(ActionRecord, body, self.shift) for body in found]

    def statistics(self) -> dict[tuple[str, str], tuple[int, int]]:
        """(cause code, action kind) -> (trials whose result is known, those of them that healed for good)."""
        table = schema.outcomes.c
        known = and_(table.success.is_not(None), table.cause != "")
        healed = func.sum(cast(table.success, Integer))
        counts = select(table.cause, table.kind, func.count(), healed).where(known).group_by(table.cause, table.kind)
        return {(cause, kind): (trials, int(good)) for cause, kind, trials, good in self._connection.execute(counts)}

    def history(self, incident: str) -> History | None:
        """Everything about one incident; None where it is unknown."""
        found = self.incidents(schema.incidents.c.id == incident)
        if not found:
            return None
        events, log = schema.incident_events, schema.action_log
        lines = [
            Entry(row.at_utc, row.seq, f"incident {row.what}", row.data)
            for row in self._connection.execute(select(events).where(events.c.incident == incident))
        ]
        lines += [
            Entry(row.at_utc, row.seq, f"action {row.state}", _told(row.action, row.body))
            for row in self._connection.execute(select(log).where(log.c.incident == incident))
        ]
        outcomes = select(schema.outcomes.c.action, schema.outcomes.c.success).where(
            schema.outcomes.c.incident == incident
        )
        return History(
            found[0],
            tuple(sorted(lines, key=lambda line: (line.at_utc, line.seq))),
            tuple(dict.fromkeys(symptom for cause in found[0].diagnosis.causes for symptom in cause.explains)),
            tuple(self._of(incident, schema.actions, ActionRecord)),
            tuple(self._of(incident, schema.plans, Plan)),
            {row.action: row.success for row in self._connection.execute(outcomes)},
        )

    def _of(self, incident: str, table: Any, kind: Any) -> list[Any]:
        found = select(table.c.body).where(table.c.incident == incident).order_by(table.c.at_utc, table.c.seq)
        return [decode(kind, body, self.shift) for body in self._connection.execute(found).scalars()]

    def events(self, source: str, after_seq: int, limit: int) -> list[Event]:
        """Events of one source above a sequence, in order."""
        table = schema.events.c
        found = select(schema.events).where(table.source == source, table.number > after_seq).order_by(table.number)
        return [self.event(row) for row in self._connection.execute(found.limit(limit))]

    def standing(self, source: str, types: Sequence[str]) -> list[Event]:
        """Events of one source and of some types, in order."""
        table = schema.events.c
        found = select(schema.events).where(table.source == source, table.type.in_(types)).order_by(table.number)
        return [self.event(row) for row in self._connection.execute(found)]

    def event(self, row: Any) -> Event:
        """A row of the events as the value."""
        at, data = self.shift("at", row.at_utc), decode_free(row.data, self.shift)
        return Event(row.number, at, row.source, row.type, row.incident, row.component, data)

    def passes(self, after_seq: int, limit: int) -> list[Pass]:
        """Passes that decided something, in the order in which they were kept."""
        table = schema.iterations.c
        found: Select[Any] = select(schema.iterations).where(table.seq > after_seq).order_by(table.seq).limit(limit)
        return [
            Pass(row.number, row.epoch, row.at_utc, row.seq, row.readings, row.decisions, decode_free(row.phase_s))
            for row in self._connection.execute(found)
        ]

    def rows(self, statement: Select[Any]) -> Sequence[Any]:
        """Plain rows."""
        return self._connection.execute(statement).all()


def _told(identity: str, body: Mapping[str, Any]) -> dict[str, Any]:
    kind, name = body["action"]["target"]
    return {
        "id": identity,
        "kind": body["action"]["kind"],
        "target": f"{kind}/{name}",
        "attempt": body["attempt"],
        "detail": body["detail"],
    }
