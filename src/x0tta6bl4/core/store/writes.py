"""One transaction's rows: what `SqlStore.commit` does once it holds the database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Executable, Select, Table, delete, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from x0tta6bl4.core.store import schema
from x0tta6bl4.core.store.codec import Shift, decode, encode, encode_free
from x0tta6bl4.core.store.trouble import StoreInUse
from x0tta6bl4.errors import StoreError
from x0tta6bl4.mape_k.commands import WINDOW_ADDED, WINDOW_REMOVED
from x0tta6bl4.mape_k.memory import Trial, decided, judge
from x0tta6bl4.model import ActionRecord, Event, Incident, Iteration, Plan, Seconds

Row = dict[str, Any]

RESTATED: Final[tuple[tuple[Table, type, dict[str, str]], ...]] = (  # table, what its body is, column -> field
    (schema.incidents, Incident, {"opened_utc": "opened_at", "closed_utc": "closed_at"}),
    (schema.actions, ActionRecord, {"at_utc": "at"}),
    (schema.plans, Plan, {"at_utc": "at"}),
)


class Writer:
    """The writing half of a store within one transaction; thrown away with it.

    Creating it proves that this process still owns the store (raises StoreInUse) and `finish` moves the origin's
    sequence on. shift: (field, monotonic) -> UTC seconds. ids: makes row identities.
    """

    def __init__(
        self, connection: Connection, *, origin: str, epoch: int, utc: float, shift: Shift, ids: Callable[[], str]
    ) -> None:
        self._connection, self._origin, self._epoch, self._utc = connection, origin, epoch, utc
        self._shift, self._ids = shift, ids
        self._fence()
        row = connection.execute(select(schema.origins.c.seq).where(schema.origins.c.origin == origin)).scalar()
        self._seq = int(row or 0)

    def _fence(self) -> None:
        """Refuse to write once another controller has opened the store (its epoch is higher)."""
        mine = (schema.meta.c.id == 1) & (schema.meta.c.epoch == self._epoch)
        if self._connection.execute(update(schema.meta).where(mine).values(heartbeat_utc=self._utc)).rowcount != 1:
            raise StoreInUse("store: another controller took it over; this one must stop, nothing was kept")

    def finish(self) -> None:
        """Keep the origin's sequence; the last statement of the transaction."""
        self.upsert(schema.origins, [{"origin": self._origin, "seq": self._seq}], ["origin"])

    def stamp(self) -> Row:
        """`origin` and the next `seq`, for one row."""
        self._seq += 1
        return {"origin": self._origin, "seq": self._seq}

    def new_id(self) -> str:
        """An identity for one row."""
        return self._ids()

    def execute(self, statement: Executable, rows: Sequence[Row] | None = None) -> None:
        """Any one statement, for the tables that have writers of their own."""
        self._connection.execute(statement, rows)

    def rows(self, statement: Select[Any]) -> Sequence[Any]:
        """Plain rows, as this transaction sees them."""
        return self._connection.execute(statement).all()

    def delete(self, table: Table, where: Any) -> int:
        """Drop the rows that fulfil an SQL condition; how many there were."""
        return self._connection.execute(delete(table).where(where)).rowcount

    def restate(self, moved: Seconds, after: int) -> None:
        """The wall clock was set: put right, by so much, the times of all that has a sequence above `after`.

        What was told of it (timelines, events, passes) keeps the time that the clock showed.
        """
        for table, kind, times in RESTATED:
            mine = select(table).where(table.c.origin == self._origin, table.c.seq > after)
            for row in self.rows(mine):
                body = encode(decode(kind, row.body), lambda _, at: at + moved)
                changed = {column: body[name] for column, name in times.items()}
                self.execute(update(table).where(table.c.id == row.id).values(body=body, **self.stamp(), **changed))
        windows = schema.windows
        for row in self.rows(select(windows).where(windows.c.origin == self._origin, windows.c.seq > after)):
            ends = {"start_utc": row.start_utc + moved, "end_utc": row.end_utc + moved}
            self.execute(update(windows).where(windows.c.id == row.id).values(**self.stamp(), **ends))

    def upsert(self, table: Table, rows: Sequence[Row], keys: Sequence[str]) -> None:
        """Insert rows, or replace all columns of those whose keys are there."""
        if not rows:
            return
        dialect = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        statement: Any = dialect.insert(table)
        changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
        self._connection.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=changed), rows)

    def incidents(self, incidents: Sequence[Incident]) -> None:
        """Current rows, and one line of the timeline for each change that a person would tell."""
        before = {row.id: row.body for row in self._rows(schema.incidents, [one.id for one in incidents])}
        rows: dict[str, Row] = {}
        for one in incidents:
            body, old = encode(one, self._shift), before.get(one.id)
            if body == old:
                continue
            for what in _changes(old, body):
                self._tell(one, body, what)
            before[one.id] = body
            rows[one.id] = {
                "id": one.id,
                **self.stamp(),
                "state": one.state.value,
                "cause": one.cause.code,
                "component": str(one.cause.component),
                "opened_utc": body["opened_at"],
                "closed_utc": body["closed_at"],
                "body": body,
            }
        self.upsert(schema.incidents, list(rows.values()), ["id"])

    def _tell(self, incident: Incident, body: Row, what: str) -> None:
        at = {"opened": body["opened_at"], "closed": body["closed_at"]}.get(what)
        cause = incident.cause
        data = {
            "state": incident.state.value,
            "cause": cause.code,
            "component": str(cause.component),
            "confidence": encode_free(cause.confidence),
            "symptoms": len(cause.explains),
            "reopened": incident.reopened,
            "note": incident.note,
        }
        row = {"id": self._ids(), **self.stamp(), "incident": incident.id, "at_utc": at or self._utc}
        self._connection.execute(schema.incident_events.insert(), {**row, "what": what, "data": data})

    def actions(self, records: Sequence[ActionRecord]) -> None:
        """Current rows, and one row of the log for each change of state; raises StoreError for a second issue."""
        table = schema.actions
        self._refuse_reissue(records)
        before = {row.id: row.body for row in self._rows(table, [record.id for record in records])}
        rows: dict[str, Row] = {}
        log: list[Row] = []
        for record in records:
            body, old = encode(record, self._shift), before.get(record.id)
            if body == old:
                continue
            shared = {"incident": record.incident, "state": record.state.value, "at_utc": body["at"], "body": body}
            if old is None or old["state"] != body["state"]:
                log.append({"id": self._ids(), **self.stamp(), "action": record.id, **shared})
            before[record.id] = body
            key = {"kind": record.action.kind, "target": str(record.action.target), "attempt": record.attempt}
            rows[record.id] = {"id": record.id, **self.stamp(), **key, "lease": record.lease, **shared}
        self.upsert(table, list(rows.values()), ["id"])
        if log:
            self._connection.execute(schema.action_log.insert(), log)

    def _refuse_reissue(self, records: Sequence[ActionRecord]) -> None:
        """Name the action that has the same key; the table's own constraint stands behind this."""
        holders: dict[tuple[str, str, str, int], str] = {}
        table = schema.actions.c
        for part in _parts(records):
            columns = (table.incident, table.kind, table.target, table.attempt)
            found = select(*columns, table.id).where(tuple_(*columns).in_([record.key for record in part]))
            for incident, kind, target, attempt, identity in self._connection.execute(found):
                holders[incident, kind, target, attempt] = identity
        for record in records:
            if (holder := holders.setdefault(record.key, record.id)) != record.id:
                raise StoreError(f"store: action {record.key} was issued before, as {holder}; nothing was kept")

    def plans(self, plans: Sequence[Plan]) -> None:
        """Plans never change: one that is there already is left alone."""
        known = {row.id for row in self._rows(schema.plans, [plan.id for plan in plans])}
        rows = {}
        for plan in plans:
            if plan.id not in known:
                body = encode(plan, self._shift)
                rows[plan.id] = {
                    "id": plan.id,
                    **self.stamp(),
                    "incident": plan.incident,
                    "at_utc": body["at"],
                    "context_version": plan.context_version,
                    "probability": float(plan.probability),
                    "body": body,
                }
        self.upsert(schema.plans, list(rows.values()), ["id"])

    def events(self, events: Sequence[Event]) -> None:
        """New events; raises StoreError where another event has the number of one of them."""
        table = schema.events
        rows: dict[tuple[str, int], Row] = {}
        for event in events:
            number = (event.origin or self._origin, event.seq)
            rows.setdefault(number, self._event_row(event, number))
        columns = (table.c.source, table.c.number, table.c.type, table.c.incident, table.c.component)
        for part in _parts(list(rows)):
            found = select(*columns).where(tuple_(table.c.source, table.c.number).in_(part))
            for source, seq, *what in self._connection.execute(found):
                row = rows.pop((source, seq))
                if what != [row["type"], row["incident"], row["component"]]:
                    raise StoreError(f"store: event {(source, seq)} was used before, by {what[0]}; nothing was kept")
        if rows:
            self._connection.execute(table.insert(), list(rows.values()))
            self._windows([row for row in rows.values() if row["source"] == self._origin])

    def _windows(self, events: Iterable[Row]) -> None:
        """What was declared and taken back: the loop says it as events, a restarted one asks for what stands."""
        table = schema.windows
        for event in events:
            data = event["data"]
            if event["type"] == WINDOW_ADDED:
                times = {name: data[name] for name in ("start_utc", "end_utc")}
                row = {"id": data["id"], **self.stamp(), "component": event["component"], "reason": data["reason"]}
                self.upsert(table, [{**row, **times}], ["id"])
            elif event["type"] == WINDOW_REMOVED:
                self.delete(table, table.c.id == data["id"])

    def _event_row(self, event: Event, number: tuple[str, int]) -> Row:
        what = {"type": event.type, "incident": event.incident, "component": event.component}
        at = self._shift("at", event.at)
        data = encode_free(dict(event.data), self._shift)
        return {
            "id": self._ids(),
            **self.stamp(),
            "source": number[0],
            "number": number[1],
            "at_utc": at,
            **what,
            "data": data,
        }

    def iterations(self, iterations: Iterable[Iteration]) -> None:
        """The decisions of those passes that decided something."""
        rows = [self._iteration_row(one) for one in iterations if decided(one)]
        self.upsert(schema.iterations, rows, ["origin", "epoch", "number"])

    def _iteration_row(self, one: Iteration) -> Row:
        decisions = {
            "errors": dict(one.errors),
            "symptoms": [encode(symptom, self._shift) for symptom in one.symptoms],
            # Incidents and actions have rows of their own: here stands what was thought in this pass.
            "diagnoses": [{"incident": i.id, "state": i.state.value, **_verdict(i)} for i in one.incidents],
            "plans": [plan.id for plan in one.plans],
            "actions": [{"id": record.id, "state": record.state.value} for record in one.actions],
            "events": [event.seq for event in one.events],
            "anomalies": len(one.anomalies),
            "risks": len(one.risks),
        }
        return {
            "id": self._ids(),
            **self.stamp(),
            "epoch": self._epoch,
            "number": one.number,
            "at_utc": self._shift("at", one.at),
            "readings": one.readings,
            "decisions": decisions,
            "phase_s": encode_free(dict(one.phase_s)),
        }

    def outcomes(self, touched: Collection[str]) -> None:
        """Judge again every applied action of the incidents named in `touched`."""
        rows: list[Row] = []
        wanted = sorted(touched)
        incidents = {row.id: decode(Incident, row.body) for row in self._rows(schema.incidents, wanted)}
        trials = {row.action: row for row in self._rows(schema.outcomes, wanted, "incident")}
        for row in self._rows(schema.actions, wanted, "incident"):
            record, old = decode(ActionRecord, row.body), trials.get(row.id)
            trial = None if old is None else Trial(*(getattr(old, name) for name in Trial.__slots__))
            judged = judge(trial, record, incidents.get(record.incident))
            if judged is not None and (judged != trial or (old is not None and old.state != record.state.value)):
                values = {name: getattr(judged, name) for name in Trial.__slots__}
                rows.append({**values, **self.stamp(), "state": record.state.value, "at_utc": self._utc})
        self.upsert(schema.outcomes, rows, ["action"])

    def _rows(self, table: Table, keys: Sequence[str], column: str = "id") -> list[Any]:
        found: list[Any] = []
        for part in _parts(keys):
            found += self._connection.execute(select(table).where(table.c[column].in_(part))).all()
        return found


def _parts(keys: Sequence[Any]) -> Iterable[Sequence[Any]]:
    """`keys` in parts that stay under every database's limit of parameters."""
    return (keys[start : start + 500] for start in range(0, len(keys), 500))


def _verdict(incident: Incident) -> Row:
    cause = incident.cause
    return {"cause": cause.code, "component": str(cause.component), "confidence": encode_free(cause.confidence)}


def _changes(old: Row | None, new: Row) -> Iterable[str]:
    """What a person would tell of the step from one body of an incident to the next."""
    if old is None:
        yield "opened"
        if new["state"] != "open":
            yield str(new["state"])
        return
    if new["reopened"] > old["reopened"]:
        yield "reopened"
    elif new["state"] != old["state"]:
        yield "reopened" if old["state"] == "closed" else str(new["state"])
    heads = [body["diagnosis"]["causes"][0] for body in (old, new)]
    if any(heads[0][name] != heads[1][name] for name in ("code", "component")):
        yield "diagnosed"
    if new["acted"] and not old["acted"]:
        yield "acted"
    if new["note"] != old["note"]:
        yield "noted"
