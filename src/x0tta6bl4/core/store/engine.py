"""Opening the database: the URL, durability settings, and the migrations."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, select
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import StaticPool

from x0tta6bl4.core.store import schema
from x0tta6bl4.core.store.trouble import StoreTooNew, corrupt
from x0tta6bl4.errors import ConfigError, NotSupported

_ALLOWED = "sqlite:///FILE, sqlite:// (in memory) or postgresql://USER:PASSWORD@HOST/DATABASE"
WRITES = "x0tta6bl4_writes"
"""Execution option of a connection whose transaction will write."""


def parse(url: str) -> URL:
    """The URL of a store; raises ConfigError for anything but SQLite and PostgreSQL.

    >>> parse("sqlite:///mesh.db").database
    'mesh.db'
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError("store.url", url, _ALLOWED) from error
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        return parsed
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        if find_spec("psycopg") is None:
            raise NotSupported("store.url: PostgreSQL needs its driver: pip install 'psycopg[binary]'")
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigError("store.url", parsed.render_as_string(), _ALLOWED)


def file_of(url: URL) -> Path | None:
    """The SQLite file of a URL; None where it is in memory or on a server."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database))


def connect(url: URL, busy_s: float) -> Engine:
    """An engine whose commits are durable when they return and whose waits for a lock end after `busy_s` seconds."""
    if url.get_backend_name() == "postgresql":
        timeouts = f"-c lock_timeout={int(busy_s * 1000)} -c synchronous_commit=on"
        return create_engine(
            url, pool_pre_ping=True, connect_args={"connect_timeout": max(2, int(busy_s)), "options": timeouts}
        )
    path = file_of(url)
    options: dict[str, Any] = {} if path else {"poolclass": StaticPool}
    if path:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # decisions are not for everybody's eyes
    engine = create_engine(url, connect_args={"timeout": busy_s, "check_same_thread": False}, **options)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: Any) -> None:
    """SQLite: write-ahead log, fsync at every commit, and transactions begun by `_begin` alone."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    # A writer takes the lock at once: one that reads first would fail, not wait, where another has written meanwhile.
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def check(engine: Engine, place: str) -> None:
    """SQLite: look for damage before anything is written; raises StoreCorrupt with what was found."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
        if found != "ok":
            raise corrupt(place, found)


def version(connection: Connection) -> int:
    """The schema that a store has; 0 where it is new."""
    if not inspect(connection).has_table("meta"):
        return 0
    return int(connection.execute(select(schema.meta.c.schema)).scalar() or 0)


def check_version(connection: Connection, place: str) -> int:
    """The schema of the store; raises StoreTooNew where it is newer than this code."""
    found = version(connection)
    if found > schema.VERSION:
        raise StoreTooNew(
            f"store {place}: has schema {found}, this version knows up to {schema.VERSION}; "
            "run the newer version, or restore a backup made before the upgrade"
        )
    return found


def migrate(connection: Connection, place: str) -> None:
    """Bring the store to this code's schema, in the connection's transaction; raises StoreTooNew."""
    check_version(connection, place)
    try:
        command.upgrade(alembic_config(connection), "head")
    except CommandError as error:
        raise StoreTooNew(f"store {place}: {error}; a newer version wrote it, run that") from error


def alembic_config(connection: Connection) -> Config:
    """Alembic's settings without a file: the scripts lie in this package."""
    config = Config()
    location = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(location).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
