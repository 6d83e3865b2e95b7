"""Alerts, and the last lawful day of what is due."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from syncd.store.types import BigId

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "alert",
        sa.Column("id", BigId, nullable=False),
        sa.Column("code", AutoString(), nullable=False),
        sa.Column("subject", AutoString(), nullable=False),
        sa.Column("message", AutoString(), nullable=False),
        sa.Column("fix", AutoString(), nullable=False),
        sa.Column("raised_at", UTCDateTime(), nullable=False),
        sa.Column("gone_at", UTCDateTime(), nullable=True),
        sa.Column("resolved_at", UTCDateTime(), nullable=True),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.Column("tell_at", UTCDateTime(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alert"),
    )
    _partial_index("uq_alert_open", "alert", ["code", "subject"], "resolved_at IS NULL", unique=True)
    _partial_index("ix_alert_tell", "alert", ["tell_at"], "tell_at IS NOT NULL")
    op.add_column("shop_order", sa.Column("deadline_at", UTCDateTime(), nullable=True))
    _partial_index("ix_shop_order_deadline", "shop_order", ["account", "deadline_at"], "deadline_at IS NOT NULL")
    op.add_column("document", sa.Column("deadline_at", UTCDateTime(), nullable=True))
    _partial_index(
        "ix_document_deadline", "document", ["account", "deadline_at"], "issued_at IS NULL AND state <> 'withdrawn'"
    )


def downgrade() -> None:
    op.drop_index("ix_document_deadline", "document")
    op.drop_column("document", "deadline_at")
    op.drop_index("ix_shop_order_deadline", "shop_order")
    op.drop_column("shop_order", "deadline_at")
    op.drop_table("alert")


def _partial_index(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    op.create_index(name, table, columns, unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
