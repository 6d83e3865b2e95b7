"""Deliveries are told apart within their order: one index where there were two, and new rows stand together in it."""

from collections.abc import Sequence

from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    with op.batch_alter_table("event") as event:
        event.drop_index("ix_event_shop_order_id_kind")
        event.drop_constraint("uq_event_shop_digest", type_="unique")
        event.create_unique_constraint("uq_event_shop_order_id_digest", ["shop", "order_id", "digest"])


def downgrade() -> None:
    with op.batch_alter_table("event") as event:
        event.drop_constraint("uq_event_shop_order_id_digest", type_="unique")
        event.create_unique_constraint("uq_event_shop_digest", ["shop", "digest"])
        event.create_index("ix_event_shop_order_id_kind", ["shop", "order_id", "kind"])
