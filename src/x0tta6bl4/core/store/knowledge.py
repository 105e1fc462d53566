"""What is known, on disk: the truth that the search index is rebuilt from. Each change is one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import delete, func, literal_column, select, text

from x0tta6bl4.core.store import schema, vectors
from x0tta6bl4.core.store.codec import decode_free, encode_free
from x0tta6bl4.core.store.store import SqlStore
from x0tta6bl4.core.store.writes import Writer
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.ml.retrieval.ports import Feedback
from x0tta6bl4.ml.retrieval.segment import Entry
from x0tta6bl4.ml.retrieval.text import TOKEN, clean
from x0tta6bl4.ml.retrieval.values import ID_MAX, Document
from x0tta6bl4.model import Floats
from x0tta6bl4.ports import Clock

QUERY_MAX: Final = 10_000
_LEARNED: Final = "retrieval"
_WORDS_MAX: Final = 64
_FTS5: Final = (
    "SELECT p.document FROM passages_words JOIN passages p ON p.row = passages_words.rowid"
    " WHERE passages_words MATCH :words ORDER BY bm25(passages_words), p.row"
)


class SqlKnowledge:
    """`KnowledgeStore` in the tables of a `SqlStore`; any thread may call it. clock: for the rows' times."""

    def __init__(self, store: SqlStore, clock: Clock) -> None:
        self._store, self._clock, self._vectors = store, clock, vectors.of(store)

    def put(self, documents: Sequence[Document], entries: Sequence[Entry], model: str) -> None:
        """Keep documents with their passages and vectors, in one transaction; raises StoreError and keeps nothing."""
        with self._store.writing() as writer:
            self._forget(writer, [document.id for document in documents])
            rows = [
                {
                    "id": document.id,
                    **writer.stamp(),
                    "at_utc": document.timestamp or self._clock.utc(),
                    "facts": encode_free(dict(document.metadata)),
                    "content": document.content,
                }
                for document in documents
            ]
            if rows:
                writer.execute(schema.documents.insert(), rows)
            passages = [{**_passage(entry, model, writer), **self._vectors.columns(entry)} for entry in entries]
            if passages:
                writer.execute(schema.passages.insert(), passages)
                self._vectors.put(writer, entries, model)

    def drop(self, ids: Collection[str]) -> None:
        """Forget documents; ids that are unknown are ignored."""
        with self._store.writing() as writer:
            self._forget(writer, list(ids))

    def _forget(self, writer: Writer, ids: Sequence[str]) -> None:
        for part in (ids[start : start + 500] for start in range(0, len(ids), 500)):
            writer.execute(delete(schema.passages).where(schema.passages.c.document.in_(part)))
            writer.execute(delete(schema.documents).where(schema.documents.c.id.in_(part)))

    def documents(self) -> Sequence[Document]:
        """All documents, in the order in which they were put."""
        found = select(schema.documents).order_by(schema.documents.c.seq, schema.documents.c.id)
        with self._store.reading() as reader:
            return [
                Document(row.id, row.content, decode_free(row.facts), timestamp=row.at_utc)
                for row in reader.rows(found)
            ]

    def vectors(self, model: str) -> Mapping[str, Floats]:
        """float32 [windows, dim] of each passage that `model` measured, by passage id."""
        with self._store.reading() as reader:
            return self._vectors.all(reader, model)

    def near(self, vector: Floats, model: str, limit: int = 10) -> Sequence[str]:
        """Ids of documents nearest to a vector that `model` measured, by the database alone."""
        with self._store.reading() as reader:
            return self._vectors.near(reader, vector, model, limit)

    def find(self, words: str, limit: int = 10) -> Sequence[str]:
        """Ids of documents that have all of these words, by the database alone: for who has no index at hand."""
        tokens = list(dict.fromkeys(TOKEN.findall(clean(words))))[:_WORDS_MAX]
        if not tokens:
            return []
        with self._store.reading() as reader:
            if self._store.dialect == "sqlite":
                quoted = " ".join(f'"{token}"' for token in tokens)
                matching: Any = text(_FTS5).bindparams(words=quoted)
                rows = reader.rows(matching)
            else:
                table = schema.passages.c
                vector = func.to_tsvector(literal_column("'simple'"), table.body)
                query = func.plainto_tsquery(literal_column("'simple'"), " ".join(tokens))
                rank = func.ts_rank(vector, query).desc()
                rows = reader.rows(select(table.document).where(vector.op("@@")(query)).order_by(rank, table.row))
        return list(dict.fromkeys(row.document for row in rows))[:limit]

    def say(self, feedback: Feedback) -> None:
        """Keep one feedback; raises ConfigError for an overlong query or document."""
        if not 0 < len(feedback.query) <= QUERY_MAX:
            raise ConfigError("feedback.query", f"{len(feedback.query)} characters", f"1 to {QUERY_MAX}")
        if not 0 < len(feedback.document) <= ID_MAX:
            raise ConfigError("feedback.document", feedback.document[:64], f"an id of 1 to {ID_MAX} characters")
        with self._store.writing() as writer:
            row = {"id": writer.new_id(), **writer.stamp(), "at_utc": self._clock.utc(), "query": feedback.query}
            writer.execute(
                schema.feedback.insert(), [{**row, "document": feedback.document, "helped": feedback.helped}]
            )

    def feedback(self) -> Sequence[Feedback]:
        """All feedback, oldest first."""
        table = schema.feedback.c
        with self._store.reading() as reader:
            rows = reader.rows(select(table.query, table.document, table.helped).order_by(table.seq))
            return [Feedback(*row) for row in rows]

    def learn(self, learned: bytes) -> None:
        """Keep what was learned, in place of what was learned before."""
        with self._store.writing() as writer:
            row = {"name": _LEARNED, **writer.stamp(), "at_utc": self._clock.utc(), "body": learned}
            writer.upsert(schema.learned, [row], ["name"])

    def learned(self) -> bytes:
        """What was learned last; empty where nothing was."""
        found = select(schema.learned.c.body).where(schema.learned.c.name == _LEARNED)
        with self._store.reading() as reader:
            rows = reader.rows(found)
            return bytes(rows[0].body) if rows else b""


def _passage(entry: Entry, model: str, writer: Writer) -> dict[str, Any]:
    windows = entry.windows
    return {
        **writer.stamp(),
        "document": entry.passage.document.id,
        "number": entry.passage.number,
        "body": entry.passage.text,
        "model": "" if windows is None else model,
        "windows": 0 if windows is None else len(windows),
    }
