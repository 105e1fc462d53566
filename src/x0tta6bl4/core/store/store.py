"""`SqlStore`: what was decided, on disk. SQLite by default, PostgreSQL by changing the URL."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import Connection, Select, Table, and_, func, inspect, select, true, update

from x0tta6bl4.core.store import schema
from x0tta6bl4.core.store.backup import copy_database
from x0tta6bl4.core.store.codec import decode_free, encode_free
from x0tta6bl4.core.store.engine import WRITES, check, check_version, connect, file_of, migrate, parse
from x0tta6bl4.core.store.examine import Examined, examine
from x0tta6bl4.core.store.ids import Ids
from x0tta6bl4.core.store.lock import FileLock, Lock, NoLock, ServerLock, owner
from x0tta6bl4.core.store.old import old_events, old_passes, old_windows
from x0tta6bl4.core.store.reads import History, Pass, Reader
from x0tta6bl4.core.store.times import Retention, Times
from x0tta6bl4.core.store.trouble import troubles
from x0tta6bl4.core.store.writes import Writer
from x0tta6bl4.errors import ConfigError, StoreError
from x0tta6bl4.model import ActionRecord, Component, Event, Incident, IncidentState, Iteration, Plan, Window
from x0tta6bl4.ports import Clock, Random

DROPPED_AT_ONCE: Final = 500


class SqlStore:
    """`ports.Store` over a database, and what the API and the commands ask of it.

    Opening takes the store for this process (raises StoreInUse while another has it), looks for damage, brings the
    schema up to date and counts `epoch` on. Times of model values are monotonic; they lie on disk as UTC, so
    that ages survive a restart. Where the wall clock was set meanwhile, the next commit puts right what this process
    wrote before (`stepped` says that one is due). Every method may be called from any thread.

    url: `sqlite:///FILE`, `sqlite://` (in memory) or `postgresql://...`. origin: who writes (each row carries it).
    clock, random: for times and row identities. busy_s: how long to wait for a lock, seconds.
    reader: only look: takes no lock, changes nothing, works beside a running controller.
    Raises ConfigError for a bad argument, StoreError (see `trouble`) where the store cannot be opened or kept.
    """

    def __init__(
        self, url: str, origin: str, *, clock: Clock, random: Random, busy_s: float = 5.0, reader: bool = False
    ) -> None:
        if not 0 < len(origin) <= 255:
            raise ConfigError("store.origin", origin, "a name of 1 to 255 characters")
        if not 0 < busy_s <= 600:
            raise ConfigError("store.busy_s", busy_s, "seconds > 0, at most 600")
        self._url = parse(url)
        self._path = file_of(self._url)
        self.place = str(self._path or self._url.render_as_string())
        self.origin, self.epoch, self.reader = origin, 0, reader
        self._clock = clock
        self._times = Times(clock)
        self._random = random
        self._writing = threading.Lock()  # one writer at a time also within the process
        self._lock: Lock = NoLock()
        self._closed = False
        if reader and self._path and not self._path.exists():
            raise StoreError(f"store {self.place}: there is none yet; start a controller first")
        with troubles(self.place):
            self._engine = connect(self._url, busy_s)
            try:
                self._open()
            except BaseException:
                self.close()
                raise

    def _open(self) -> None:
        if self.reader:
            with self._engine.connect() as connection:
                if check_version(connection, self.place) < schema.VERSION:
                    raise StoreError(f"store {self.place}: made by an older version; start a controller to upgrade it")
            return
        if self._path:
            self._lock = FileLock(self._path)
        elif self._engine.dialect.name == "postgresql":
            self._lock = ServerLock(self._engine, self.place)
        check(self._engine, self.place)
        with self._transaction() as connection:
            migrate(connection, self.place)
            last = connection.execute(select(schema.meta.c.epoch)).scalar()
            self.epoch = int(last or 0) + 1
            row = {"schema": schema.VERSION, "epoch": self.epoch, "owner": owner(), "heartbeat_utc": self._clock.utc()}
            change = schema.meta.insert().values(id=1) if last is None else update(schema.meta)
            connection.execute(change.values(**row))
            origin = schema.origins.c
            self._began = int(connection.execute(select(origin.seq).where(origin.origin == self.origin)).scalar() or 0)
        self._ids = Ids(self._clock, self._random, self.epoch)

    @property
    def dialect(self) -> str:
        """What keeps it: `sqlite` or `postgresql`."""
        return self._engine.dialect.name

    def has_table(self, name: str) -> bool:
        """Whether there is a table of this name."""
        with troubles(self.place):
            return inspect(self._engine).has_table(name)

    def close(self) -> None:
        """Let the store go; a second call does nothing, any other call after it raises StoreError."""
        self._closed = True
        self._engine.dispose()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def stepped(self) -> bool:
        """Was the wall clock set since the last commit? Then an empty one is worth it, for a restart to read ages."""
        return not self.reader and self._times.stepped

    def _connect(self) -> Connection:
        if self._closed:
            raise StoreError(f"store {self.place}: was closed")
        return self._engine.connect()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._connect().execution_options(**{WRITES: True}) as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """One transaction's writing half: kept when the block ends, nothing of it where the block raises."""
        if self.reader:
            raise StoreError(f"store {self.place}: was opened for reading only")
        with (
            troubles(self.place),
            self._writing,
            self._times.measured() as moved,
            self._transaction() as connection,
        ):
            writer = Writer(
                connection,
                origin=self.origin,
                epoch=self.epoch,
                utc=self._clock.utc(),
                shift=self._times.to_utc,
                ids=self._ids,
            )
            if moved:
                writer.restate(moved, self._began)
            yield writer
            writer.finish()

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """One transaction's reading half."""
        with troubles(self.place), self._connect() as connection:
            if self.reader:  # a writer's rows lie by the offset of its last commit
                with self._times.measured():
                    pass
            yield Reader(connection, self._times.to_local)

    def commit(
        self,
        *,
        incidents: Sequence[Incident] = (),
        actions: Sequence[ActionRecord] = (),
        plans: Sequence[Plan] = (),
        events: Sequence[Event] = (),
        iterations: Sequence[Iteration] = (),
    ) -> None:
        """Keep all of it in one transaction that is on disk when this returns; raises StoreError and keeps nothing."""
        with self.writing() as writer:
            writer.incidents(incidents)
            writer.actions(actions)
            writer.plans(plans)
            writer.events(events)
            writer.iterations(iterations)
            writer.outcomes({incident.id for incident in incidents} | {record.incident for record in actions})

    def open_incidents(self) -> Sequence[Incident]:
        """Incidents that are not closed, oldest first."""
        with self.reading() as reader:
            return reader.open_incidents()

    def open_actions(self) -> Sequence[ActionRecord]:
        """Actions that are not final, and confirmed mitigations whose lease is not reverted; oldest first."""
        with self.reading() as reader:
            return reader.open_actions()

    def past_actions(self, limit: int = 200) -> Sequence[ActionRecord]:
        """What a restarted loop must remember: the `limit` actions that changed last, and all of open incidents.

        The last changed is last. Without them an attempt would be counted twice, and the rate guards would forget.
        """
        with self.reading() as reader:
            return reader.past_actions(limit)

    def statistics(self) -> Mapping[tuple[str, str], tuple[int, int]]:
        """(cause code, action kind) -> (trials whose result is known, those of them that healed for good)."""
        with self.reading() as reader:
            return reader.statistics()

    def events(self, after_seq: int = -1, limit: int = 1000, source: str | None = None) -> Sequence[Event]:
        """Events of one source (by default this store's origin) with a sequence above `after_seq`, in order."""
        with self.reading() as reader:
            return reader.events(self.origin if source is None else source, after_seq, limit)

    def standing(self, types: Sequence[str]) -> Sequence[Event]:
        """This store's own events of some types, in order: what people decided and what holds over restarts."""
        with self.reading() as reader:
            return reader.standing(self.origin, types)

    def last_event(self, source: str | None = None) -> int:
        """The highest event sequence of a source; 0 where there is none. A restarted loop counts on from it."""
        table = schema.events.c
        wanted = self.origin if source is None else source
        with self.reading() as reader:
            return int(reader.rows(select(func.max(table.number)).where(table.source == wanted))[0][0] or 0)

    def incident(self, identity: str) -> History | None:
        """One incident with its timeline and evidence; None where it is unknown."""
        with self.reading() as reader:
            return reader.history(identity)

    def incidents(
        self,
        *,
        state: IncidentState | None = None,
        component: Component | None = None,
        cause: str = "",
        limit: int = 100,
    ) -> Sequence[Incident]:
        """The newest `limit` incidents that match everything given, oldest of them first."""
        table = schema.incidents.c
        wanted = [
            *([] if state is None else [table.state == state.value]),
            *([] if component is None else [table.component == str(component)]),
            *([table.cause == cause] if cause else []),
        ]
        with self.reading() as reader:
            return reader.incidents(and_(true(), *wanted), limit)

    def iterations(self, after_seq: int = 0, limit: int = 100) -> Sequence[Pass]:
        """The passes that decided something, after a row sequence, in order."""
        with self.reading() as reader:
            return reader.passes(after_seq, limit)

    def keep_inventory(self, expected: Mapping[Component, Mapping[str, object]]) -> None:
        """Expect these components from now on and no others, with what is known of them (a node's MAC addresses)."""
        table = schema.inventory
        wanted = {str(component): encode_free(dict(facts)) for component, facts in expected.items()}
        with self.writing() as writer:
            known = {row.component: row.facts for row in writer.rows(select(table))}
            writer.delete(table, table.c.component.in_(sorted(known.keys() - wanted.keys())))
            at_utc = self._clock.utc()
            changed = [(name, facts) for name, facts in wanted.items() if known.get(name) != facts]
            rows = [{"component": name, **writer.stamp(), "at_utc": at_utc, "facts": facts} for name, facts in changed]
            writer.upsert(table, rows, ["component"])

    def inventory(self) -> Mapping[Component, Mapping[str, object]]:
        """What is expected to be there, by component."""
        with self.reading() as reader:
            rows = reader.rows(select(schema.inventory).order_by(schema.inventory.c.component))
            return {Component.parse(row.component): decode_free(row.facts) for row in rows}

    def windows(self) -> Sequence[Window]:
        """Declared times of expected trouble that have not ended, earliest start first (`Writer.events` keeps them)."""
        table, now = schema.windows.c, self._clock.now()
        with self.reading() as reader:
            ahead = select(schema.windows).where(table.end_utc > self._times.to_utc("end", now))
            return [
                Window(
                    Component.parse(row.component),
                    reader.shift("start", row.start_utc),
                    reader.shift("end", row.end_utc),
                    row.reason,
                    row.id,
                )
                for row in reader.rows(ahead.order_by(table.start_utc, table.id))
            ]

    def prune(self, keep: Retention) -> None:
        """Drop old passes, events that are nobody's history, and windows that have ended.

        Incidents, actions, plans and outcomes are kept for good, and so are the events of an incident (those that tell
        of a plan only while it is open: plans have rows of their own), and what people set at run time.
        """
        utc = self._clock.utc()
        if keep.passes_s:
            self._drop(schema.iterations, old_passes(utc - keep.passes_s))
        if keep.events_s:
            self._drop(schema.events, old_events(utc - keep.events_s))
            self._drop(schema.windows, old_windows(utc - keep.events_s))

    def _drop(self, table: Table, old: Select[Any]) -> None:
        """Some rows in a transaction, so that a commit never waits for long."""
        dropped = DROPPED_AT_ONCE
        while dropped == DROPPED_AT_ONCE:
            with self.writing() as writer:
                dropped = writer.delete(table, table.c.id.in_(old.limit(DROPPED_AT_ONCE)))

    def backup(self, path: Path) -> None:
        """Copy the store to a file while it is in use; raises NotSupported on PostgreSQL (use pg_dump)."""
        with troubles(str(path)), self._connect() as connection:
            copy_database(connection, path)

    def examine(self) -> Examined:
        """Read all of it and say what is wrong with it; raises StoreCorrupt where it cannot even be read."""
        with troubles(self.place), self._connect() as connection:
            return examine(connection, self.place, self._times.to_local)
