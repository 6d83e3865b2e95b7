"""Questions to public registers, their answers, and the orders that wait for them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from syncd.store.types import BigId

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    waiting = sa.text("awaits IS NOT NULL")
    op.add_column("shop_order", sa.Column("awaits", AutoString(), nullable=True))
    op.create_index("ix_shop_order_awaits", "shop_order", ["awaits"], sqlite_where=waiting, postgresql_where=waiting)
    op.create_table(
        "inquiry",
        sa.Column("key", AutoString(), nullable=False),
        sa.Column("addressee", AutoString(), nullable=False),
        sa.Column("subject", AutoString(), nullable=False),
        sa.Column("requester", AutoString(), nullable=False),
        sa.Column("since", UTCDateTime(), nullable=False),
        sa.Column("next_at", UTCDateTime(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("problem", AutoString(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_inquiry"),
    )
    op.create_index("ix_inquiry_next_at", "inquiry", ["next_at"])
    op.create_table(
        "consultation",
        sa.Column("id", BigId, nullable=False),
        sa.Column("number", AutoString(), nullable=False),
        sa.Column("requester", AutoString(), nullable=False),
        sa.Column("valid", sa.Boolean(), nullable=False),
        sa.Column("asked_at", UTCDateTime(), nullable=False),
        sa.Column("reference", AutoString(), nullable=False),
        sa.Column("name", AutoString(), nullable=False),
        sa.Column("address", AutoString(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_consultation"),
    )
    op.create_index("ix_consultation_number_requester_asked_at", "consultation", ["number", "requester", "asked_at"])
    op.create_table(
        "rate_table",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("published", sa.Date(), nullable=False),
        sa.Column("source", AutoString(), nullable=False),
        sa.Column("per_euro", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("fetched_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("day", name="pk_rate_table"),
    )


def downgrade() -> None:
    op.drop_table("rate_table")
    op.drop_table("consultation")
    op.drop_table("inquiry")
    op.drop_index("ix_shop_order_awaits", "shop_order")
    op.drop_column("shop_order", "awaits")
