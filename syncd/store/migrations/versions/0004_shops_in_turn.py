"""Shops of an account take turns, so claims look for a shop's documents."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    _claim_by("account", "lane", "shop", "run_at", "id")


def downgrade() -> None:
    _claim_by("account", "lane", "run_at", "id")


def _claim_by(*columns: str) -> None:
    planned = sa.text("state = 'planned'")
    op.drop_index("ix_document_claim", table_name="document")
    op.create_index("ix_document_claim", "document", list(columns), sqlite_where=planned, postgresql_where=planned)
