"""History is read by incident: an index for its events."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_events_incident", "events", ["incident", "number"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_events_incident", "events")
