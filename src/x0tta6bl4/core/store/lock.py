"""One controller for each store: a lock that the operating system or the server drops when its holder dies."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path
from typing import Protocol

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from x0tta6bl4.core.store.trouble import StoreInUse

_KEY = 0x7830_7474_6136  # "x0tta6": the advisory lock's number within the database


class Lock(Protocol):
    """What is held while a store is open for writing."""

    def release(self) -> None:
        """Give it up; a second call does nothing."""
        ...


def owner() -> str:
    """Who holds a store, for people: host and process."""
    return f"{socket.gethostname()} process {os.getpid()}"


class FileLock:
    """`flock` on FILE.lock beside a SQLite file: it ends with the process, kill -9 included, so nothing is cleaned up.

    The lock file itself stays: deleting it would let two holders lock two files of one name.
    Raises StoreInUse where another process (or another store in this one) holds it, OSError where it cannot be made.
    """

    def __init__(self, database: Path) -> None:
        path = database.with_name(database.name + ".lock")
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._file, 200, 0).decode(errors="replace").strip() or "another process"
            os.close(self._file)
            raise StoreInUse(f"store {database}: in use by {holder}; stop that first or give another store") from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, owner().encode(), 0)

    def release(self) -> None:
        """Give it up; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class ServerLock:
    """PostgreSQL's session advisory lock, on a connection of its own: the server drops it with the connection.

    Should that connection alone be lost, the epoch that every commit checks still keeps a second writer out.
    """

    def __init__(self, engine: Engine, place: str) -> None:
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()  # out of the pool: closing it ends the session, and with it the lock
        self._connection = connection
        if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _KEY}).scalar():
            connection.close()
            raise StoreInUse(f"store {place}: in use by another controller; stop that first or give another store")

    def release(self) -> None:
        """Give it up; a second call does nothing."""
        if self._connection.closed:
            return
        try:
            self._connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _KEY})
        except DBAPIError:
            self._connection.invalidate()  # the server went away and dropped the lock by itself
        self._connection.close()


class NoLock:
    """For a store in memory, which nobody else can open, and for readers."""

    def release(self) -> None:
        """Nothing to give up."""
