"""What can go wrong with a database, in the words of `errors`: every driver's error becomes one of these.

StoreError
├── StoreBusy     (also Temporary)  locked by another program for longer than the busy timeout, or unreachable
├── StoreFull     (also Temporary)  no space left where the store lies
├── StoreCorrupt  (also Permanent)  the file is damaged; the message says how to restore
├── StoreInUse    (also Permanent)  another controller has it
└── StoreTooNew   (also Permanent)  written by a newer version
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from x0tta6bl4.errors import Permanent, ProtocolError, StoreError, Temporary


class StoreBusy(StoreError, Temporary):
    """Held by another program, or not reachable: the same call may succeed later; nothing was kept."""


class StoreFull(StoreError, Temporary):
    """There is no space left; nothing of the call was kept, all that was acknowledged is still there."""


class StoreCorrupt(StoreError, Permanent):
    """The file is damaged or no database of ours."""


class StoreInUse(StoreError, Permanent):
    """Another controller has this store open, or took it over."""


class StoreTooNew(StoreError, Permanent):
    """A newer version of this program wrote the store."""


_RESTORE = "stop the controller, keep this file aside and restore a backup of it"
_SQLSTATES: Final[dict[str, tuple[type[StoreError], str]]] = {
    "53100": (StoreFull, "no space left"),
    "55P03": (StoreBusy, "locked by another program"),
    "40P01": (StoreBusy, "locked by another program"),
    "57014": (StoreBusy, "did not answer in time"),
    "XX001": (StoreCorrupt, f"is damaged; {_RESTORE}"),
    "XX002": (StoreCorrupt, f"is damaged; {_RESTORE}"),
}


@contextmanager
def troubles(place: str) -> Iterator[None]:
    """Turn what the database, the driver and the file system raise inside into StoreErrors that name `place`."""
    try:
        yield
    except DBAPIError as error:
        raise _of_driver(place, error.orig or error, lost=error.connection_invalidated) from error
    except sqlite3.Error as error:
        raise _of_driver(place, error, lost=False) from error
    except (SQLAlchemyError, ValueError) as error:  # ValueError: text that no encoding of the database can carry
        raise StoreError(f"store {place}: {error}") from error
    except ProtocolError as error:
        raise StoreCorrupt(f"store {place}: a row does not make sense ({error}); {_RESTORE}") from error
    except OSError as error:
        kind: type[StoreError] = StoreFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreError
        raise kind(f"store {place}: {error.strerror or error}") from error


def _of_driver(place: str, error: BaseException, *, lost: bool) -> StoreError:
    """The StoreError for one driver error, by SQLite's result code or PostgreSQL's SQLSTATE."""
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(place, error)
    kind, words = _SQLSTATES.get(str(getattr(error, "sqlstate", "")), (None, ""))
    if kind is not None:
        return kind(f"store {place}: {words} ({error})")
    if lost or type(error).__name__ == "OperationalError":
        return StoreBusy(f"store {place}: the server cannot be reached ({error})")
    return StoreError(f"store {place}: {error}")


def _of_sqlite(place: str, error: sqlite3.Error) -> StoreError:
    code = str(getattr(error, "sqlite_errorname", ""))
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreBusy(f"store {place}: locked by another program; try again when that has ended")
    if code.startswith("SQLITE_FULL"):
        return StoreFull(f"store {place}: no space left; free some, nothing acknowledged was lost")
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreCorrupt(f"store {place}: not a usable database ({error}); {_RESTORE}")
    if code.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_PERM")):
        return StoreError(f"store {place}: cannot be read or written ({error}); check the path, owner and disk")
    return StoreError(f"store {place}: {error}")


def corrupt(place: str, detail: str) -> StoreCorrupt:
    """The error for damage that a check found."""
    return StoreCorrupt(f"store {place}: damaged ({detail}); {_RESTORE}")
