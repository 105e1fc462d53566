"""The first schema."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _name(name: str, size: int = 255) -> sa.Column[Any]:
    return sa.Column(name, sa.String(size), nullable=False)


def _id(size: int = 255, name: str = "id") -> sa.Column[Any]:
    return sa.Column(name, sa.String(size), primary_key=True)


def _big(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _float(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Float(53), nullable=nullable)


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=False)


def _json(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.JSON, nullable=False)


def _written() -> tuple[sa.Column[Any], sa.Column[Any]]:
    return _name("origin"), _big("seq")


def upgrade() -> None:
    """Build all tables."""
    op.create_table(
        "meta",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("schema", sa.Integer, nullable=False),
        _big("epoch"),
        _text("owner"),
        _float("heartbeat_utc"),
    )
    op.create_table("origins", _id(name="origin"), _big("seq"))
    _incidents()
    _actions()
    _rest()


def _incidents() -> None:
    op.create_table(
        "incidents",
        _id(),
        *_written(),
        _name("state", 32),
        _text("cause"),
        _text("component"),
        _float("opened_utc"),
        _float("closed_utc", nullable=True),
        _json("body"),
    )
    op.create_index("ix_incidents_state", "incidents", ["state"])
    op.create_index("ix_incidents_opened", "incidents", ["opened_utc"])
    op.create_table(
        "incident_events",
        _id(36),
        *_written(),
        _name("incident"),
        _float("at_utc"),
        _name("what", 64),
        _json("data"),
    )
    op.create_index("ix_incident_events_incident", "incident_events", ["incident", "seq"])


def _actions() -> None:
    op.create_table(
        "actions",
        _id(),
        *_written(),
        _name("incident"),
        _name("kind"),
        _text("target"),
        sa.Column("attempt", sa.Integer, nullable=False),
        _name("state", 32),
        sa.Column("lease", sa.Boolean, nullable=False),
        _float("at_utc"),
        _json("body"),
        sa.UniqueConstraint("incident", "kind", "target", "attempt", name="uq_actions_key"),
    )
    op.create_index("ix_actions_state", "actions", ["state"])
    op.create_table(
        "action_log",
        _id(36),
        *_written(),
        _name("action"),
        _name("incident"),
        _name("state", 32),
        _float("at_utc"),
        _json("body"),
    )
    op.create_index("ix_action_log_incident", "action_log", ["incident", "seq"])
    op.create_table(
        "plans",
        _id(),
        *_written(),
        _name("incident"),
        _float("at_utc"),
        sa.Column("context_version", sa.Integer, nullable=False),
        _float("probability"),
        _json("body"),
    )
    op.create_index("ix_plans_incident", "plans", ["incident", "seq"])
    op.create_table(
        "outcomes",
        _id(name="action"),
        *_written(),
        _name("incident"),
        _text("cause"),
        _name("kind"),
        _text("target"),
        _name("state", 32),
        sa.Column("success", sa.Boolean, nullable=True),
        _float("at_utc"),
    )
    op.create_index("ix_outcomes_incident", "outcomes", ["incident"])


def _rest() -> None:
    op.create_table(
        "iterations",
        _id(36),
        *_written(),
        _big("epoch"),
        _big("number"),
        _float("at_utc"),
        _big("readings"),
        _json("decisions"),
        _json("phase_s"),
        sa.UniqueConstraint("origin", "epoch", "number", name="uq_iterations_number"),
    )
    op.create_index("ix_iterations_at", "iterations", ["at_utc"])
    op.create_table(
        "events",
        _id(36),
        *_written(),
        _name("source"),
        _big("number"),
        _float("at_utc"),
        _name("type", 64),
        _text("incident"),
        _text("component"),
        _json("data"),
        sa.UniqueConstraint("source", "number", name="uq_events_number"),
    )
    op.create_index("ix_events_at", "events", ["at_utc"])
    op.create_table("inventory", _id(512, "component"), *_written(), _float("at_utc"), _json("facts"))
    op.create_table(
        "windows", _id(36), *_written(), _text("component"), _float("start_utc"), _float("end_utc"), _text("reason")
    )
    op.create_index("ix_windows_end", "windows", ["end_utc"])


def downgrade() -> None:
    """There is nothing before the first schema."""
    for table in (
        *("windows", "inventory", "events", "iterations", "outcomes", "plans", "action_log", "actions"),
        *("incident_events", "incidents", "origins", "meta"),
    ):
        op.drop_table(table)
