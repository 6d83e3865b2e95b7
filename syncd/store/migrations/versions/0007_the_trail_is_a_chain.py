"""The trail is a chain, and what it tells of is only ever added to."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from syncd.store.types import BigId, Json

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_SQLITE = """\
CREATE TRIGGER {table}_{what}_refused BEFORE {operation} ON {table} {condition}
BEGIN SELECT RAISE(ABORT, '{table} is only ever added to'); END"""

_POSTGRES = """\
CREATE TRIGGER {table}_{what}_refused BEFORE {operation} ON {table}
FOR EACH ROW {condition} EXECUTE FUNCTION syncd_refuse()"""

_POSTGRES_FUNCTION = """\
CREATE OR REPLACE FUNCTION syncd_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is only ever added to', TG_TABLE_NAME; END $$"""

_GUARDED = (
    ("event", ""),
    ("trail", ""),
    ("consultation", ""),
    ("rate_table", ""),
    ("attempt", "WHEN (OLD.outcome <> '')"),
)


def upgrade() -> None:
    op.add_column("shop_order", sa.Column("trail_seq", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("shop_order", sa.Column("trail_head", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.drop_column("attempt", "detail")
    op.drop_index("ix_trail_shop_order_id", table_name="trail")
    op.rename_table("trail", "trail_unchained")
    if op.get_bind().dialect.name == "postgresql":  # constraints and sequences keep their names there
        op.execute("ALTER TABLE trail_unchained RENAME CONSTRAINT pk_trail TO pk_trail_unchained")
        op.execute("ALTER SEQUENCE trail_id_seq RENAME TO trail_unchained_id_seq")
    chained = op.create_table(
        "trail",
        sa.Column("id", BigId, nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("shop", AutoString(), nullable=False),
        sa.Column("order_id", AutoString(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("document_key", AutoString(), nullable=False),
        sa.Column("actor", AutoString(), nullable=False),
        sa.Column("action", AutoString(), nullable=False),
        sa.Column("detail", Json, nullable=False),
        sa.Column("hash", AutoString(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_trail"),
        sa.UniqueConstraint("shop", "order_id", "seq", name="uq_trail_shop_order_id_seq"),
    )
    _chain(op.get_bind(), chained)
    op.drop_table("trail_unchained")
    _refuse_changes()


def _chain(connection: sa.Connection, chained: sa.Table) -> None:
    """Link what is there already, order by order."""
    kept = sa.table("trail_unchained", *(sa.column(c.name, c.type) for c in chained.c if c.name not in {"seq", "hash"}))
    order = sa.table("shop_order", *map(sa.column, ("shop", "order_id", "trail_seq", "trail_head")))
    place = (order.c.shop == sa.bindparam("whose_shop")) & (order.c.order_id == sa.bindparam("whose_order"))
    move = sa.update(order).where(place).values(trail_seq=sa.bindparam("seq"), trail_head=sa.bindparam("hash"))
    own, seq, head = None, 0, ""
    for row in connection.execute(sa.select(kept).order_by(kept.c.shop, kept.c.order_id, kept.c.id)).all():
        values = {**row._asdict(), "detail": row.detail or {}}
        if own != (row.shop, row.order_id):
            own, seq, head = (row.shop, row.order_id), 0, ""
        seq, head = seq + 1, _link(head, values)
        connection.execute(sa.insert(chained).values(**values, seq=seq, hash=head))
        connection.execute(move, {"whose_shop": row.shop, "whose_order": row.order_id, "seq": seq, "hash": head})
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT setval('trail_id_seq', coalesce((SELECT max(id) FROM trail), 0) + 1, false)")


def _link(head: str, values: dict[str, Any]) -> str:
    at: datetime = values["at"]
    hashed = {name: value for name, value in values.items() if name != "id"}
    hashed["at"] = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    entry = json.dumps(hashed, sort_keys=True, separators=(",", ":"))
    return "1:" + hashlib.sha256((head + entry).encode()).hexdigest()


def _refuse_changes() -> None:
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        op.execute(_POSTGRES_FUNCTION)
    template = _SQLITE if dialect == "sqlite" else _POSTGRES
    for table, unless in _GUARDED:
        op.execute(template.format(table=table, what="update", operation="UPDATE", condition=unless))
        op.execute(template.format(table=table, what="delete", operation="DELETE", condition=""))


def downgrade() -> None:
    for table, _ in _GUARDED:
        for what in ("update", "delete"):
            suffix = f" ON {table}" if op.get_bind().dialect.name == "postgresql" else ""
            op.execute(f"DROP TRIGGER {table}_{what}_refused{suffix}")
    with op.batch_alter_table("trail") as trail:
        trail.drop_constraint("uq_trail_shop_order_id_seq")
        trail.drop_column("seq")
        trail.drop_column("hash")
        trail.create_index("ix_trail_shop_order_id", ["shop", "order_id"])
    for column in ("trail_seq", "trail_head"):
        op.drop_column("shop_order", column)
    op.add_column("attempt", sa.Column("detail", Json, nullable=True))
