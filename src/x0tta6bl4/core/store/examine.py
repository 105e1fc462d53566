"""Is a store whole? Looks at every page and at every row that a restarted loop or a person would read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from x0tta6bl4.core.store import schema
from x0tta6bl4.core.store.codec import Shift, decode
from x0tta6bl4.errors import ProtocolError
from x0tta6bl4.model import ActionRecord, Incident, IncidentState, Plan

PROBLEMS_MAX = 20


@dataclass(frozen=True, slots=True)
class Examined:
    """What is in a store; `problems` is empty where it is whole. owner: who opened it last for writing."""

    place: str
    schema: int
    epoch: int
    owner: str
    incidents: int
    open_incidents: int
    actions: int
    plans: int
    events: int
    passes: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Nothing is wrong with it."""
        return not self.problems

    def document(self) -> dict[str, Any]:
        """All of it for a program."""
        return {"ok": self.ok, **asdict(self)}


def examine(connection: Connection, place: str, shift: Shift) -> Examined:
    """Read all of it over an open connection; shift as in `Reader`. Raises what the driver raises."""
    problems = _pages(connection)
    for table, kind in ((schema.incidents, Incident), (schema.actions, ActionRecord), (schema.plans, Plan)):
        problems += _rows(connection, table, kind, shift)
    meta = connection.execute(select(schema.meta)).one()
    still = schema.incidents.c.state != IncidentState.CLOSED.value
    return Examined(
        place=place,
        schema=int(meta.schema),
        epoch=int(meta.epoch),
        owner=str(meta.owner),
        incidents=_count(connection, schema.incidents),
        open_incidents=_count(connection, schema.incidents, still),
        actions=_count(connection, schema.actions),
        plans=_count(connection, schema.plans),
        events=_count(connection, schema.events),
        passes=_count(connection, schema.iterations),
        problems=tuple(problems[:PROBLEMS_MAX]),
    )


def _pages(connection: Connection) -> list[str]:
    """SQLite's own check of every page and index; other databases check theirs by themselves."""
    if connection.dialect.name != "sqlite":
        return []
    found = connection.exec_driver_sql(f"PRAGMA integrity_check({PROBLEMS_MAX})").scalars().all()
    return [str(line) for line in found if line != "ok"]


def _rows(connection: Connection, table: Any, kind: Any, shift: Shift) -> list[str]:
    """Rows that do not make sense."""
    problems = []
    for row in connection.execute(select(table.c.id, table.c.body)):
        try:
            decode(kind, row.body, shift)
        except ProtocolError as error:
            problems.append(f"{table.name} {row.id}: {error}")
    return problems


def _count(connection: Connection, table: Any, where: Any = None) -> int:
    wanted = select(func.count()).select_from(table)
    return int(connection.execute(wanted if where is None else wanted.where(where)).scalar() or 0)
