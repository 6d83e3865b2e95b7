"""The ledger."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from syncd.store.types import BigId, Json, Money

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("name", AutoString(), nullable=False),
        sa.Column("paused_code", AutoString(), nullable=False),
        sa.Column("paused_message", AutoString(), nullable=False),
        sa.Column("paused_fix", AutoString(), nullable=False),
        sa.Column("paused_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_account"),
    )
    op.create_table(
        "event",
        sa.Column("id", AutoString(), nullable=False),
        sa.Column("shop", AutoString(), nullable=False),
        sa.Column("kind", AutoString(), nullable=False),
        sa.Column("topic", AutoString(), nullable=False),
        sa.Column("order_id", AutoString(), nullable=False),
        sa.Column("part", AutoString(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("digest", AutoString(), nullable=False),
        sa.Column("source", AutoString(), nullable=False),
        sa.Column("problem", AutoString(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
        sa.UniqueConstraint("shop", "digest", name="uq_event_shop_digest"),
    )
    op.create_index(
        "ix_event_problem",
        "event",
        ["id"],
        sqlite_where=sa.text("problem <> ''"),
        postgresql_where=sa.text("problem <> ''"),
    )
    op.create_index("ix_event_shop_order_id_kind", "event", ["shop", "order_id", "kind"])
    op.create_table(
        "poller",
        sa.Column("name", AutoString(), nullable=False),
        sa.Column("cursor", AutoString(), nullable=True),
        sa.Column("next_at", UTCDateTime(), nullable=False),
        sa.Column("owner", AutoString(), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_until", UTCDateTime(), nullable=True),
        sa.Column("last_ok_at", UTCDateTime(), nullable=True),
        sa.Column("last_error", AutoString(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_poller"),
    )
    op.create_table(
        "reference",
        sa.Column("account", AutoString(), nullable=False),
        sa.Column("kind", AutoString(), nullable=False),
        sa.Column("code", AutoString(), nullable=False),
        sa.Column("value", AutoString(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("account", "kind", "code", name="pk_reference"),
    )
    op.create_table(
        "trail",
        sa.Column("id", BigId, nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("shop", AutoString(), nullable=False),
        sa.Column("order_id", AutoString(), nullable=False),
        sa.Column("document_key", AutoString(), nullable=False),
        sa.Column("actor", AutoString(), nullable=False),
        sa.Column("action", AutoString(), nullable=False),
        sa.Column("detail", Json, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_trail"),
    )
    op.create_index("ix_trail_shop_order_id", "trail", ["shop", "order_id"])
    op.create_table(
        "shop_order",
        sa.Column("id", BigId, nullable=False),
        sa.Column("shop", AutoString(), nullable=False),
        sa.Column("order_id", AutoString(), nullable=False),
        sa.Column("account", AutoString(), nullable=False),
        sa.Column("number", AutoString(), nullable=False),
        sa.Column("state", AutoString(), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("event_id", AutoString(), nullable=True),
        sa.Column("deleted_version", sa.BigInteger(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("plan_at", UTCDateTime(), nullable=True),
        sa.Column("fetch_at", UTCDateTime(), nullable=True),
        sa.Column("fetch_version", sa.BigInteger(), nullable=True),
        sa.Column("fetch_tries", sa.Integer(), nullable=False),
        sa.Column("hold_code", AutoString(), nullable=False),
        sa.Column("hold_message", AutoString(), nullable=False),
        sa.Column("hold_fix", AutoString(), nullable=False),
        sa.Column("decision", Json, nullable=True),
        sa.Column("first_seen_at", UTCDateTime(), nullable=False),
        sa.Column("changed_at", UTCDateTime(), nullable=False),
        sa.Column("planned_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"], name="fk_shop_order_event_id_event"),
        sa.PrimaryKeyConstraint("id", name="pk_shop_order"),
        sa.UniqueConstraint("shop", "order_id", name="uq_shop_order_shop_order_id"),
    )
    op.create_index(
        "ix_shop_order_fetch",
        "shop_order",
        ["lane", "fetch_at"],
        sqlite_where=sa.text("fetch_at IS NOT NULL"),
        postgresql_where=sa.text("fetch_at IS NOT NULL"),
    )
    op.create_index(
        "ix_shop_order_plan",
        "shop_order",
        ["lane", "plan_at"],
        sqlite_where=sa.text("plan_at IS NOT NULL"),
        postgresql_where=sa.text("plan_at IS NOT NULL"),
    )
    op.create_index("ix_shop_order_state_shop", "shop_order", ["state", "shop"])
    op.create_table(
        "document",
        sa.Column("id", BigId, nullable=False),
        sa.Column("key", AutoString(), nullable=False),
        sa.Column("account", AutoString(), nullable=False),
        sa.Column("shop", AutoString(), nullable=False),
        sa.Column("order_id", AutoString(), nullable=False),
        sa.Column("kind", AutoString(), nullable=False),
        sa.Column("part", AutoString(), nullable=False),
        sa.Column("state", AutoString(), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=False),
        sa.Column("run_at", UTCDateTime(), nullable=False),
        sa.Column("draft", sa.Text(), nullable=False),
        sa.Column("original_key", AutoString(), nullable=False),
        sa.Column("marker", AutoString(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("floor", AutoString(), nullable=False),
        sa.Column("provider_id", AutoString(), nullable=False),
        sa.Column("number", AutoString(), nullable=False),
        sa.Column("issued", sa.Text(), nullable=True),
        sa.Column("net", Money(), nullable=True),
        sa.Column("tax", Money(), nullable=True),
        sa.Column("gross", Money(), nullable=True),
        sa.Column("issued_at", UTCDateTime(), nullable=True),
        sa.Column("hold_code", AutoString(), nullable=False),
        sa.Column("hold_message", AutoString(), nullable=False),
        sa.Column("hold_fix", AutoString(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("changed_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["shop", "order_id"],
            ["shop_order.shop", "shop_order.order_id"],
            name="fk_document_shop_order_id_shop_order",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_document"),
        sa.UniqueConstraint("key", name="uq_document_key"),
        sa.UniqueConstraint("shop", "order_id", "part", name="uq_document_shop_order_id_part"),
    )
    op.create_index(
        "ix_document_claim",
        "document",
        ["account", "lane", "run_at", "id"],
        sqlite_where=sa.text("state = 'planned'"),
        postgresql_where=sa.text("state = 'planned'"),
    )
    op.create_index(
        "ix_document_issued",
        "document",
        ["account", "issued_at"],
        sqlite_where=sa.text("issued_at IS NOT NULL"),
        postgresql_where=sa.text("issued_at IS NOT NULL"),
    )
    op.create_index(
        "ix_document_issuing",
        "document",
        ["account"],
        sqlite_where=sa.text("state = 'issuing'"),
        postgresql_where=sa.text("state = 'issuing'"),
    )
    op.create_index(
        "ix_document_uncertain",
        "document",
        ["account", "run_at"],
        sqlite_where=sa.text("state = 'uncertain'"),
        postgresql_where=sa.text("state = 'uncertain'"),
    )
    op.create_index(
        "ix_document_waiting",
        "document",
        ["original_key"],
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "attempt",
        sa.Column("id", BigId, nullable=False),
        sa.Column("account", AutoString(), nullable=False),
        sa.Column("document_id", sa.BigInteger(), nullable=True),
        sa.Column("purpose", AutoString(), nullable=False),
        sa.Column("label", AutoString(), nullable=False),
        sa.Column("marker", AutoString(), nullable=False),
        sa.Column("sent_at", UTCDateTime(), nullable=False),
        sa.Column("answered_at", UTCDateTime(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("outcome", AutoString(), nullable=False),
        sa.Column("detail", Json, nullable=True),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"], name="fk_attempt_document_id_document"),
        sa.PrimaryKeyConstraint("id", name="pk_attempt"),
    )
    op.create_index("ix_attempt_account_sent_at", "attempt", ["account", "sent_at"])
    op.create_index("ix_attempt_document_id", "attempt", ["document_id"])


def downgrade() -> None:
    op.drop_table("attempt")
    op.drop_table("document")
    op.drop_table("shop_order")
    op.drop_table("trail")
    op.drop_table("reference")
    op.drop_table("poller")
    op.drop_table("event")
    op.drop_table("account")
