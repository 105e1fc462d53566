"""Vectors of passages in pgvector's own type, on a PostgreSQL that has the extension; elsewhere nothing changes."""

from __future__ import annotations

import logging

import numpy as np
import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

log = logging.getLogger("x0tta6bl4.store")


def upgrade() -> None:
    """Build the table and move what is kept as bytes; a server without the extension goes on with bytes."""
    bind = op.get_bind()
    if bind.dialect.name != "postgresql":
        return
    try:
        with bind.begin_nested():
            op.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except sa.exc.DBAPIError as error:
        log.warning("vectors are kept as bytes: this server has no pgvector (%s)", str(error.orig).partition("\n")[0])
        return
    op.execute(
        """CREATE TABLE passages_windows (
            document varchar(255) NOT NULL, number integer NOT NULL, "window" integer NOT NULL,
            model varchar(64) NOT NULL, vector vector NOT NULL, PRIMARY KEY (document, number, "window"),
            FOREIGN KEY (document, number) REFERENCES passages (document, number) ON DELETE CASCADE)"""
    )
    kept = sa.text("SELECT document, number, model, windows, vectors FROM passages WHERE vectors IS NOT NULL")
    put = sa.text("INSERT INTO passages_windows VALUES (:document, :number, :window, :model, CAST(:vector AS vector))")
    for row in bind.execute(kept).all():
        for window, vector in enumerate(np.frombuffer(row.vectors, "<f4").reshape(row.windows, -1)):
            where = {"document": row.document, "number": row.number, "window": window, "model": row.model}
            bind.execute(put, {**where, "vector": str(vector.tolist())})
    op.execute("UPDATE passages SET vectors = NULL")


def downgrade() -> None:
    """Put them back as bytes."""
    bind = op.get_bind()
    if not sa.inspect(bind).has_table("passages_windows"):
        return
    kept = sa.text('SELECT document, number, vector::text AS vector FROM passages_windows ORDER BY 1, 2, "window"')
    found: dict[tuple[str, int], bytes] = {}
    for row in bind.execute(kept).all():
        numbers = np.array(row.vector.strip("[]").split(","), "<f4")
        found[row.document, row.number] = found.get((row.document, row.number), b"") + numbers.tobytes()
    back = sa.text("UPDATE passages SET vectors = :vectors WHERE document = :document AND number = :number")
    for (document, number), vectors in found.items():
        bind.execute(back, {"document": document, "number": number, "vectors": vectors})
    op.drop_table("passages_windows")
