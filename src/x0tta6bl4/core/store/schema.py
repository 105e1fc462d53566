"""The tables (SQLAlchemy 2 Core; `migrations/` builds them step by step, a test holds the two equal).

Every row carries `origin` (which process wrote it) and `seq` (that origin's counter at the row's last change), so
that stores of several origins can be merged and followed. Times end in `_utc`: seconds since 1970.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

VERSION: Final = 4
"""The schema this code writes; equals the number of the newest migration."""

metadata = MetaData()


def _written() -> list[Column[Any]]:
    """Who wrote the row, and as which of its changes."""
    return [Column("origin", String(255), nullable=False), Column("seq", BigInteger, nullable=False)]


def _time(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Float(53), nullable=nullable)


def _text(name: str) -> Column[Any]:
    return Column(name, Text, nullable=False)


meta = Table(
    "meta",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("schema", Integer, nullable=False),
    Column("epoch", BigInteger, nullable=False),  # grows with every controller that opens the store
    _text("owner"),
    _time("heartbeat_utc"),
)

origins = Table(
    "origins",
    metadata,
    Column("origin", String(255), primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

iterations = Table(
    "iterations",
    metadata,
    Column("id", String(36), primary_key=True),
    *_written(),
    Column("epoch", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    _time("at_utc"),
    Column("readings", BigInteger, nullable=False),
    Column("decisions", JSON, nullable=False),  # symptoms, diagnoses, plans, actions, risks, errors
    Column("phase_s", JSON, nullable=False),
    UniqueConstraint("origin", "epoch", "number", name="uq_iterations_number"),
    Index("ix_iterations_at", "at_utc"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", String(255), primary_key=True),
    *_written(),
    Column("state", String(32), nullable=False),
    _text("cause"),
    _text("component"),
    _time("opened_utc"),
    _time("closed_utc", nullable=True),
    Column("body", JSON, nullable=False),
    Index("ix_incidents_state", "state"),
    Index("ix_incidents_opened", "opened_utc"),
)

incident_events = Table(
    "incident_events",
    metadata,
    Column("id", String(36), primary_key=True),
    *_written(),
    Column("incident", String(255), nullable=False),
    _time("at_utc"),
    Column("what", String(64), nullable=False),
    Column("data", JSON, nullable=False),
    Index("ix_incident_events_incident", "incident", "seq"),
)

actions = Table(
    "actions",
    metadata,
    Column("id", String(255), primary_key=True),
    *_written(),
    Column("incident", String(255), nullable=False),
    Column("kind", String(255), nullable=False),
    _text("target"),
    Column("attempt", Integer, nullable=False),
    Column("state", String(32), nullable=False),
    Column("lease", Boolean, nullable=False),
    _time("at_utc"),
    Column("body", JSON, nullable=False),
    UniqueConstraint("incident", "kind", "target", "attempt", name="uq_actions_key"),
    Index("ix_actions_state", "state"),
)

action_log = Table(
    "action_log",
    metadata,
    Column("id", String(36), primary_key=True),
    *_written(),
    Column("action", String(255), nullable=False),
    Column("incident", String(255), nullable=False),
    Column("state", String(32), nullable=False),
    _time("at_utc"),
    Column("body", JSON, nullable=False),
    Index("ix_action_log_incident", "incident", "seq"),
)

plans = Table(
    "plans",
    metadata,
    Column("id", String(255), primary_key=True),
    *_written(),
    Column("incident", String(255), nullable=False),
    _time("at_utc"),
    Column("context_version", Integer, nullable=False),
    Column("probability", Float(53), nullable=False),
    Column("body", JSON, nullable=False),  # all candidates, scores and the context
    Index("ix_plans_incident", "incident", "seq"),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("action", String(255), primary_key=True),
    *_written(),
    Column("incident", String(255), nullable=False),
    _text("cause"),
    Column("kind", String(255), nullable=False),
    _text("target"),
    Column("state", String(32), nullable=False),
    Column("success", Boolean, nullable=True),  # null: not known yet
    _time("at_utc"),
    Index("ix_outcomes_incident", "incident"),
)

events = Table(
    "events",
    metadata,
    Column("id", String(36), primary_key=True),
    *_written(),
    Column("source", String(255), nullable=False),  # the event's own origin, `number` its sequence there
    Column("number", BigInteger, nullable=False),
    _time("at_utc"),
    Column("type", String(64), nullable=False),
    _text("incident"),
    _text("component"),
    Column("data", JSON, nullable=False),
    UniqueConstraint("source", "number", name="uq_events_number"),
    Index("ix_events_at", "at_utc"),
    Index("ix_events_incident", "incident", "number"),
)

inventory = Table(
    "inventory",
    metadata,
    Column("component", String(512), primary_key=True),
    *_written(),
    _time("at_utc"),
    Column("facts", JSON, nullable=False),
)

windows = Table(
    "windows",
    metadata,
    Column("id", String(36), primary_key=True),
    *_written(),
    _text("component"),
    _time("start_utc"),
    _time("end_utc"),
    _text("reason"),
    Index("ix_windows_end", "end_utc"),
)

documents = Table(
    "documents",
    metadata,
    Column("id", String(255), primary_key=True),
    *_written(),
    _time("at_utc"),
    Column("facts", JSON, nullable=False),  # the document's metadata
    _text("content"),
    Index("ix_documents_seq", "seq"),
)

passages = Table(  # cut from the documents; SQLite has their words in the FTS5 table `passages_words` too
    "passages",
    metadata,
    Column("row", Integer, primary_key=True),
    *_written(),
    Column("document", String(255), nullable=False),
    Column("number", Integer, nullable=False),
    _text("body"),
    Column("model", String(64), nullable=False),  # what measured the vectors, "" for none
    Column("windows", Integer, nullable=False),
    Column("vectors", LargeBinary, nullable=True),  # float32, little-endian, [windows, dim]; see `store.vectors`
    UniqueConstraint("document", "number", name="uq_passages_number"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", String(36), primary_key=True),
    *_written(),
    _time("at_utc"),
    _text("query"),
    Column("document", String(255), nullable=False),
    Column("helped", Boolean, nullable=False),
    Index("ix_feedback_seq", "seq"),
)

learned = Table(
    "learned",
    metadata,
    Column("name", String(64), primary_key=True),
    *_written(),
    _time("at_utc"),
    Column("body", LargeBinary, nullable=False),
)
