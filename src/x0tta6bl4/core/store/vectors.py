"""Where the vectors of passages are: beside them as bytes, or on PostgreSQL in pgvector's own type where it has that.

Which of them was decided when the store was made or upgraded (migration 0004).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
from sqlalchemy import Column, Integer, MetaData, String, Table, func, select

from x0tta6bl4.core.store import schema
from x0tta6bl4.core.store.reads import Reader
from x0tta6bl4.core.store.store import SqlStore
from x0tta6bl4.core.store.writes import Writer
from x0tta6bl4.errors import NotSupported
from x0tta6bl4.ml.retrieval.segment import Entry
from x0tta6bl4.model import Floats

TABLE: Final = "passages_windows"


class Vectors(Protocol):
    """Keeps the windows of passages, in the transaction of their passages; they go when these go."""

    def columns(self, entry: Entry) -> dict[str, Any]:
        """What stands in the passage's own row."""
        ...

    def put(self, writer: Writer, entries: Sequence[Entry], model: str) -> None:
        """Keep what does not stand there, once the rows are there."""
        ...

    def all(self, reader: Reader, model: str) -> Mapping[str, Floats]:
        """float32 [windows, dim] by passage id."""
        ...

    def near(self, reader: Reader, vector: Floats, model: str, limit: int) -> list[str]:
        """Ids of the documents whose nearest window has the largest cosine with a vector, best first."""
        ...


class Bytes:
    """In the passage's row; every one is looked at."""

    def columns(self, entry: Entry) -> dict[str, Any]:
        """The bytes."""
        windows = entry.windows
        return {"vectors": None if windows is None else np.ascontiguousarray(windows, "<f4").tobytes()}

    def put(self, writer: Writer, entries: Sequence[Entry], model: str) -> None:
        """Nothing is left to be kept."""

    def all(self, reader: Reader, model: str) -> Mapping[str, Floats]:
        """Read them."""
        table = schema.passages.c
        found = select(table.document, table.number, table.windows, table.vectors).where(table.model == model)
        return {
            f"{row.document}#{row.number}": np.frombuffer(row.vectors, "<f4").reshape(row.windows, -1)
            for row in reader.rows(found.where(table.vectors.is_not(None)))
        }

    def near(self, reader: Reader, vector: Floats, model: str, limit: int) -> list[str]:
        """Look at all of them."""
        best: dict[str, float] = {}
        for passage, windows in self.all(reader, model).items():
            cosines = windows @ vector / (np.linalg.norm(windows, axis=1) * np.linalg.norm(vector))
            document = passage.rpartition("#")[0]
            best[document] = max(best.get(document, -1.0), float(cosines.max()))
        return sorted(best, key=lambda document: (-best[document], document))[:limit]


class PgVector:
    """In a table of pgvector's type; the server compares. Raises NotSupported where the client package is missing."""

    def __init__(self) -> None:
        try:
            from pgvector.sqlalchemy import VECTOR  # noqa: PLC0415  # needed on PostgreSQL only
        except ImportError as error:
            why = f"this store keeps vectors in pgvector: pip install 'x0tta6bl4[postgres]' ({error})"
            raise NotSupported(why) from None
        self._table = Table(
            TABLE,
            MetaData(),
            Column("document", String(255), primary_key=True),
            Column("number", Integer, primary_key=True),
            Column("window", Integer, primary_key=True),
            Column("model", String(64)),
            Column("vector", VECTOR()),
        )

    def columns(self, entry: Entry) -> dict[str, Any]:
        """Nothing."""
        return {"vectors": None}

    def put(self, writer: Writer, entries: Sequence[Entry], model: str) -> None:
        """A row for each window."""
        rows = [
            {
                "document": entry.passage.document.id,
                "number": entry.passage.number,
                "window": window,
                "model": model,
                "vector": vector,
            }
            for entry in entries
            if entry.windows is not None
            for window, vector in enumerate(entry.windows)
        ]
        if rows:
            writer.execute(self._table.insert(), rows)

    def all(self, reader: Reader, model: str) -> Mapping[str, Floats]:
        """Read them."""
        table = self._table.c
        found: dict[str, list[Any]] = {}
        wanted = select(table.document, table.number, table.vector).where(table.model == model)
        for row in reader.rows(wanted.order_by(table.document, table.number, table.window)):
            found.setdefault(f"{row.document}#{row.number}", []).append(row.vector)
        return {passage: np.array(windows, np.float32) for passage, windows in found.items()}

    def near(self, reader: Reader, vector: Floats, model: str, limit: int) -> list[str]:
        """Ask the server."""
        table = self._table.c
        distance = func.min(table.vector.cosine_distance(vector))
        wanted = select(table.document).where(table.model == model).group_by(table.document)
        return [row.document for row in reader.rows(wanted.order_by(distance, table.document).limit(limit))]


def of(store: SqlStore) -> Vectors:
    """Where this store keeps them."""
    return PgVector() if store.dialect == "postgresql" and store.has_table(TABLE) else Bytes()
