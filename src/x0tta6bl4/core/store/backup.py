"""Backup of a SQLite store while it is in use, and restore of one that no controller has open."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import Connection

from x0tta6bl4.core.store import schema
from x0tta6bl4.core.store.engine import file_of, parse
from x0tta6bl4.core.store.lock import FileLock
from x0tta6bl4.core.store.trouble import StoreTooNew, corrupt, troubles
from x0tta6bl4.errors import NotSupported, StoreError


def copy_database(connection: Connection, path: Path) -> None:
    """Copy the open database to `path` with SQLite's online backup; `path` is whole or untouched.

    Raises NotSupported on another database, OSError and sqlite3.Error where it cannot be written.
    """
    if connection.dialect.name != "sqlite":
        raise NotSupported("backup: on PostgreSQL use pg_dump, and pg_restore or psql to take it back")
    source = connection.connection.driver_connection
    if not isinstance(source, sqlite3.Connection):
        raise NotSupported("backup: needs Python's own sqlite3 driver")
    _copy(source, path)


def restore(url: str, source: Path) -> Path | None:
    """Put a backup in the place of the store at `url`, which no controller may have open.

    Returns where the store that was there lies now (`FILE.before-restore`), None where there was none. Raises
    StoreCorrupt or StoreTooNew where the backup is unusable (nothing is changed then), StoreInUse, NotSupported.
    """
    target = file_of(parse(url))
    if target is None:
        raise NotSupported("restore: only of SQLite files; on PostgreSQL use pg_restore or psql")
    if not source.is_file():
        raise StoreError(f"restore {source}: there is no such file")
    with troubles(str(source)):
        _judge(source)
    with troubles(str(target)):
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(target)
        try:
            return _replace(source, target)
        finally:
            lock.release()


def _replace(source: Path, target: Path) -> Path | None:
    fresh = target.with_name(target.name + ".restoring")
    with closing(_read_only(source)) as backup:
        _copy(backup, fresh)
    aside = None
    if target.exists():
        aside = target.with_name(target.name + ".before-restore")
        for suffix in ("-wal", "-shm", ""):  # the log belongs to the file: it must never meet another one
            aside.with_name(aside.name + suffix).unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                target.with_name(target.name + suffix).rename(aside.with_name(aside.name + suffix))
    fresh.replace(target)
    _sync(target.parent)
    return aside


def _judge(source: Path) -> None:
    """Whether a file is a whole store that this version can open."""
    with closing(_read_only(source)) as backup:
        found = str(backup.execute("PRAGMA integrity_check(1)").fetchone()[0])
        if found != "ok":
            raise corrupt(str(source), found)
        if not backup.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'meta'").fetchone():
            raise corrupt(str(source), "no store of ours")
        version = int((backup.execute("SELECT max(schema) FROM meta").fetchone() or (0,))[0] or 0)
    if version > schema.VERSION:
        raise StoreTooNew(f"restore {source}: has schema {version}, this version knows up to {schema.VERSION}")


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _copy(source: sqlite3.Connection, path: Path) -> None:
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with closing(sqlite3.connect(part)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")  # one file, nothing beside it
        _sync(part)
        part.replace(path)
        _sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
