"""Documents that are annulled at the service: why, and why the service would not."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    for name in ("annul_reason", "annul_refused"):
        op.add_column("document", sa.Column(name, sa.Text(), nullable=False, server_default=sa.text("''")))
    annulling = sa.text("state = 'annulling'")
    op.create_index(
        "ix_document_annulling",
        "document",
        ["account", "run_at"],
        sqlite_where=annulling,
        postgresql_where=annulling,
    )


def downgrade() -> None:
    op.drop_index("ix_document_annulling", table_name="document")
    for name in ("annul_refused", "annul_reason"):
        op.drop_column("document", name)
