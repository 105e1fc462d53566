"""Knowledge: documents, their passages and vectors, feedback, and what was learned from it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_FTS5 = (
    """CREATE VIRTUAL TABLE passages_words USING fts5(
        body, content='passages', content_rowid='row', tokenize='porter unicode61 remove_diacritics 2')""",
    """CREATE TRIGGER passages_added AFTER INSERT ON passages BEGIN
        INSERT INTO passages_words(rowid, body) VALUES (new."row", new.body); END""",
    """CREATE TRIGGER passages_removed AFTER DELETE ON passages BEGIN
        INSERT INTO passages_words(passages_words, rowid, body) VALUES ('delete', old."row", old.body); END""",
)
# Rows are replaced, never updated: there is no trigger for that.
_GIN = "CREATE INDEX ix_passages_words ON passages USING gin (to_tsvector('simple', body))"


def upgrade() -> None:
    """Build the tables, and the index of words that the database offers."""
    written = (("origin", sa.String(255)), ("seq", sa.BigInteger), ("at_utc", sa.Float(53)))
    op.create_table(
        "documents",
        sa.Column("id", sa.String(255), primary_key=True),
        *(sa.Column(*column, nullable=False) for column in written),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
    )
    op.create_index("ix_documents_seq", "documents", ["seq"])
    op.create_table(
        "passages",
        sa.Column("row", sa.Integer, primary_key=True),
        *(sa.Column(*column, nullable=False) for column in written[:2]),
        sa.Column("document", sa.String(255), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("windows", sa.Integer, nullable=False),
        sa.Column("vectors", sa.LargeBinary, nullable=True),
        sa.UniqueConstraint("document", "number", name="uq_passages_number"),
    )
    op.create_table(
        "feedback",
        sa.Column("id", sa.String(36), primary_key=True),
        *(sa.Column(*column, nullable=False) for column in written),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("document", sa.String(255), nullable=False),
        sa.Column("helped", sa.Boolean, nullable=False),
    )
    op.create_index("ix_feedback_seq", "feedback", ["seq"])
    op.create_table(
        "learned",
        sa.Column("name", sa.String(64), primary_key=True),
        *(sa.Column(*column, nullable=False) for column in written),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    for statement in _FTS5 if op.get_bind().dialect.name == "sqlite" else (_GIN,):
        op.execute(statement)


def downgrade() -> None:
    """Forget what was known."""
    if op.get_bind().dialect.name == "sqlite":
        op.drop_table("passages_words")
    for table in ("learned", "feedback", "passages", "documents"):
        op.drop_table(table)
