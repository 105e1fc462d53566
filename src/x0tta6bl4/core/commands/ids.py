"""Ids as people handle them: tables show the end of one, and the end is enough to name it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from x0tta6bl4.client import Client, Document
from x0tta6bl4.core.commands.output import Row
from x0tta6bl4.errors import ConfigError

NEWEST = "last"
WHOLE = 36  # characters of a UUID
SHOWN = 8  # its end is random, its beginning is the time
LOOKED_AT = 2000


def tail(row: Row) -> str:
    """The end of a row's id, for a table."""
    return str(row["id"])[-SHOWN:]


def find(client: Client, operation: Callable[..., Document], ident: str) -> str:
    """The whole id for its end, or of the newest for `last`; an unknown one is left for the controller to refuse.

    Raises ConfigError where it is empty, more than one ends so, or there is none yet.
    """
    if not ident:
        raise ConfigError("id", ident, f"an id, its end, or `{NEWEST}`")
    if len(ident) >= WHOLE:
        return ident
    rows = (str(row["id"]) for row in islice(client.items(operation, limit=500), LOOKED_AT))
    if ident == NEWEST:
        newest = next(rows, None)
        if newest is None:
            raise ConfigError("id", ident, "an id: there is none yet")
        return newest
    found = [one for one in rows if one.endswith(ident)]
    if len(found) > 1:
        raise ConfigError("id", ident, "more of it, one of " + ", ".join(found[:5]))
    return found[0] if found else ident


def incident_id(client: Client, ident: str) -> str:
    """`find` among the incidents."""
    return find(client, client.list_incidents, ident)


def plan_id(client: Client, ident: str) -> str:
    """`find` among the plans."""
    return find(client, client.list_plans, ident)
