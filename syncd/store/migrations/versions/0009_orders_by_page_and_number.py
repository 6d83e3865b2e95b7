"""A page of orders, and an order by its number, cost what they show, not what there is."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NUMBERED = sa.text("number <> ''")


def upgrade() -> None:
    op.drop_index("ix_shop_order_state_shop", table_name="shop_order")
    op.create_index("ix_shop_order_state_shop_id", "shop_order", ["state", "shop", "id"])
    for table in ("shop_order", "document"):
        op.create_index(f"ix_{table}_number", table, ["number"], sqlite_where=NUMBERED, postgresql_where=NUMBERED)


def downgrade() -> None:
    for table in ("shop_order", "document"):
        op.drop_index(f"ix_{table}_number", table_name=table)
    op.drop_index("ix_shop_order_state_shop_id", table_name="shop_order")
    op.create_index("ix_shop_order_state_shop", "shop_order", ["state", "shop"])
