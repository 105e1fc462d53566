"""History out of the store, for the API (`core.archive.Archive`): the controller's decisions and readings on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Select, and_, case, func, or_, select

from x0tta6bl4.core.archive import ActionFilter, Archive, IncidentFilter, PlanFile, Point, behind
from x0tta6bl4.core.readers import IncidentFile, Numbered, Pass, Verdict, action_of
from x0tta6bl4.core.store import schema
from x0tta6bl4.core.store.blocks import Blocks
from x0tta6bl4.core.store.codec import decode, decode_free
from x0tta6bl4.core.store.reads import Reader
from x0tta6bl4.core.store.store import SqlStore
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.model import ActionRecord, Component, Incident, Plan, Seconds, Symptom
from x0tta6bl4.ports import Clock

SAME_S: Final = 1e-4  # a plan and the action that it became carry the same time, through two JSON documents
TIMELINE_MAX: Final = 1000  # events of one incident that are read


class StoreArchive:
    """`Archive` over a store and its blocks. remembered: what this process knows of agents' actions, which keep their
    own stores; of an incident they are in the events kept with it.
    """

    def __init__(self, store: SqlStore, blocks: Blocks, clock: Clock, remembered: Archive) -> None:
        self._store, self._blocks, self._clock, self._remembered = store, blocks, clock, remembered

    def incidents(self, wanted: IncidentFilter, cursor: str, limit: int) -> Sequence[IncidentFile]:
        """Incidents that match, without plans and timelines."""
        table = schema.incidents.c
        found: Select[Any] = select(table.body).order_by(table.opened_utc.desc(), table.id.desc()).limit(limit)
        if wanted.state is not None:
            found = found.where(table.state == wanted.state.value)
        if wanted.cause:
            found = found.where(table.cause == wanted.cause)
        if wanted.component:
            found = found.where(table.component == wanted.component)
        if wanted.acknowledged is not None:
            seen = func.coalesce(table.body["acknowledged_utc"].as_float(), 0.0) > 0
            found = found.where(seen if wanted.acknowledged else ~seen)
        with self._store.reading() as reader:
            if cursor:
                place = reader.rows(select(table.opened_utc).where(table.id == cursor))
                if not place:
                    raise ConfigError("cursor", cursor[:64], "`next` of a page of this list")
                opened = place[0][0]
                older = and_(table.opened_utc == opened, table.id < cursor)
                found = found.where(or_(table.opened_utc < opened, older))
            incidents = [decode(Incident, row.body, reader.shift) for row in reader.rows(found)]
            return _files(reader, incidents)

    def incident(self, ident: str) -> IncidentFile | None:
        """One incident with all that was kept of it."""
        with self._store.reading() as reader:
            found = reader.incidents(schema.incidents.c.id == ident)
            return _whole(reader, _files(reader, found)[0]) if found else None

    def actions(self, wanted: ActionFilter, cursor: str, limit: int) -> Sequence[ActionRecord]:
        """Actions that match: the controller's from the store, agents' as far as they are remembered."""
        if wanted.incident:
            file = self.incident(wanted.incident)
            mine = [record for record in (file.actions if file else ()) if wanted.takes(record)]
            return behind(sorted(mine, key=_newest, reverse=True), lambda one: one.id, cursor, limit)
        table = schema.actions.c
        found: Select[Any] = select(table.body).order_by(table.id.desc()).limit(limit)
        if wanted.state is not None:
            found = found.where(table.state == wanted.state.value)
        if wanted.kind:
            found = found.where(table.kind == wanted.kind)
        if cursor:
            _known(cursor, self.action)
            found = found.where(table.id < cursor)
        with self._store.reading() as reader:
            own = [decode(ActionRecord, row.body, reader.shift) for row in reader.rows(found)]
        known = {record.id for record in own}
        others = [
            record
            for record in self._remembered.actions(wanted, "", 10_000)
            if record.id not in known and (not cursor or record.id < cursor) and record.origin != self._store.origin
        ]
        return sorted([*own, *others], key=_newest, reverse=True)[:limit]

    def action(self, ident: str) -> ActionRecord | None:
        """One action."""
        with self._store.reading() as reader:
            rows = reader.rows(select(schema.actions.c.body).where(schema.actions.c.id == ident))
            return decode(ActionRecord, rows[0].body, reader.shift) if rows else self._remembered.action(ident)

    def plans(self, state: str, cursor: str, limit: int) -> Sequence[PlanFile]:
        """Plans in a state."""
        found, now = _plans()
        found = found.order_by(schema.plans.c.id.desc()).limit(limit)
        if state:
            found = found.where(now == state)
        if cursor:
            _known(cursor, self.plan)
            found = found.where(schema.plans.c.id < cursor)
        with self._store.reading() as reader:
            return [_plan(reader, row) for row in reader.rows(found)]

    def plan(self, ident: str) -> PlanFile | None:
        """One plan."""
        with self._store.reading() as reader:
            rows = reader.rows(_plans()[0].where(schema.plans.c.id == ident))
            return _plan(reader, rows[0]) if rows else None

    def passes(self, at_utc: float | None, cursor: str, limit: int) -> Sequence[Pass]:
        """Passes that decided something."""
        table = schema.iterations.c
        found = select(schema.iterations).order_by(table.epoch.desc(), table.number.desc()).limit(limit)
        if at_utc is not None:
            found = found.where(table.at_utc <= at_utc)
        if cursor:
            epoch, number = _place(cursor)
            found = found.where(or_(table.epoch < epoch, and_(table.epoch == epoch, table.number < number)))
        with self._store.reading() as reader:
            return [_pass(reader, row) for row in reader.rows(found)]

    def one_pass(self, number: int, epoch: int | None = None) -> Pass | None:
        """The pass of this number in an epoch; by default the newest."""
        table = schema.iterations.c
        found = select(schema.iterations).where(table.number == number).order_by(table.epoch.desc()).limit(1)
        if epoch is not None:
            found = found.where(table.epoch == epoch)
        with self._store.reading() as reader:
            rows = reader.rows(found)
            return _pass(reader, rows[0]) if rows else None

    def readings(self, component: Component, metric: str, since_s: Seconds) -> Sequence[Point]:
        """From the blocks: minutes, then raw readings."""
        utc = self._clock.utc()
        found = self._blocks.series(component, metric, utc - since_s, utc)
        columns = (found.at_utc, found.mean, found.low, found.high, found.raw)
        return [
            Point(max(0.0, utc - at), float(mean), float(low), float(high), bool(raw))
            for at, mean, low, high, raw in zip(*columns, strict=True)
        ]


def _newest(record: ActionRecord) -> str:
    """Ids are UUIDv7: they sort by the time at which they were made."""
    return record.id


def _known(cursor: str, find: Callable[[str], object]) -> None:
    """Raises ConfigError for a cursor that is no item's."""
    if find(cursor) is None:
        raise ConfigError("cursor", cursor[:64], "`next` of a page of this list")


def _place(cursor: str) -> tuple[int, int]:
    epoch, _, number = cursor.partition("-")
    if not (epoch.isascii() and number.isascii() and epoch.isdigit() and number.isdigit() and len(cursor) < 40):
        raise ConfigError("cursor", cursor[:64], "`next` of a page of this list")
    return min(int(epoch), 2**63 - 1), min(int(number), 2**63 - 1)


def _files(reader: Reader, incidents: Sequence[Incident]) -> list[IncidentFile]:
    """Incidents with their actions: the controller's own records, agents' as their events told of them."""
    files: list[IncidentFile] = []
    for start in range(0, len(incidents), 500):  # under every database's limit of parameters
        part = incidents[start : start + 500]
        wanted = [incident.id for incident in part]
        actions: dict[str, dict[str, ActionRecord]] = {ident: {} for ident in wanted}
        table = schema.events.c
        told = select(schema.events).where(table.incident.in_(wanted), table.type.like("action.%"))
        for row in reader.rows(told.order_by(table.number)):
            event = reader.event(row)
            record = action_of(event, actions[row.incident].get(str(event.data.get("id"))))
            if record is not None:
                actions[row.incident][record.id] = record
        own = select(schema.actions.c.body).where(schema.actions.c.incident.in_(wanted))
        for row in reader.rows(own):
            record = decode(ActionRecord, row.body, reader.shift)
            actions[record.incident][record.id] = record
        files += [
            IncidentFile(one, actions=tuple(sorted(actions[one.id].values(), key=lambda r: (r.proposed_at, r.id))))
            for one in part
        ]
    return files


def _whole(reader: Reader, file: IncidentFile) -> IncidentFile:
    """The same with its plans and its timeline."""
    ident = file.incident.id
    events, plans = schema.events.c, schema.plans.c
    told = select(schema.events).where(events.incident == ident).order_by(events.number.desc()).limit(TIMELINE_MAX)
    numbered = [Numbered(row.number, reader.event(row)) for row in reader.rows(told)]
    made = reader.rows(select(plans.body).where(plans.incident == ident).order_by(plans.at_utc, plans.id))
    return replace(
        file, events=tuple(reversed(numbered)), plans=tuple(decode(Plan, row.body, reader.shift) for row in made)
    )


def _plans() -> tuple[Select[Any], Any]:
    """(plans with the action that each became, the state of such a plan)."""
    plans, actions = schema.plans.c, schema.actions.c
    same = func.abs(actions.body["proposed_at"].as_float() - plans.at_utc) < SAME_S
    both = schema.plans.outerjoin(schema.actions, and_(actions.incident == plans.incident, same))
    nothing = func.json_array_length(plans.body["chosen"]) == 0
    state = case((actions.id.is_not(None), actions.state), (nothing, "refused"), else_="advised")
    return select(plans.body.label("plan"), actions.body.label("action")).select_from(both), state


def _plan(reader: Reader, row: Any) -> PlanFile:
    action = None if row.action is None else decode(ActionRecord, row.action, reader.shift)
    return PlanFile(decode(Plan, row.plan, reader.shift), action)


def _pass(reader: Reader, row: Any) -> Pass:
    said = row.decisions
    return Pass(
        epoch=row.epoch,
        number=row.number,
        at=reader.shift("at", row.at_utc),
        at_utc=row.at_utc,
        readings=row.readings,
        phase_s=decode_free(row.phase_s),
        errors=said["errors"],
        symptoms=tuple(decode(Symptom, symptom, reader.shift) for symptom in said["symptoms"]),
        verdicts=tuple(Verdict(**{**one, "confidence": decode_free(one["confidence"])}) for one in said["diagnoses"]),
        plans=tuple(said["plans"]),
        actions=tuple((one["id"], one["state"]) for one in said["actions"]),
        events=tuple(said["events"]),
        anomalies=said["anomalies"],
        risks=said["risks"],
    )
