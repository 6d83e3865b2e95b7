"""What is due and not issued, by the end of its last lawful day: documents, and held orders that have none yet."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.store.tables import NOT_ISSUED, document, shop_order


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """`kind` is empty for a held order, of which nobody knows yet what it becomes."""

    deadline_at: datetime
    shop: str
    order_id: str
    kind: str


async def due_until(
    conn: AsyncConnection, account: str, until: datetime, *, known_since: datetime, limit: int
) -> list[Due]:
    """Deadlines up to a moment, the next first, of what has been due since `known_since`: what is new may be on its way."""
    row, held = document.c, shop_order.c
    documents = (
        sa.select(row.deadline_at, row.shop, row.order_id, row.kind)
        .where(sa.text(NOT_ISSUED), row.account == account, row.deadline_at <= until)
        .where(row.due_at <= known_since, row.created_at <= known_since)
        .order_by(row.deadline_at)
        .limit(limit)
    )
    orders = (
        sa.select(held.deadline_at, held.shop, held.order_id, sa.literal("").label("kind"))
        .where(held.account == account, held.deadline_at <= until, held.first_seen_at <= known_since)
        .order_by(held.deadline_at)
        .limit(limit)
    )
    found = [Due(*due) for query in (documents, orders) for due in await conn.execute(query)]
    return sorted(found)[:limit]


async def nearest(conn: AsyncConnection, account: str) -> datetime | None:
    """The next deadline of what is not issued; None if nothing is due."""
    documents = sa.select(sa.func.min(document.c.deadline_at, type_=document.c.deadline_at.type)).where(
        sa.text(NOT_ISSUED), document.c.account == account
    )
    orders = sa.select(sa.func.min(shop_order.c.deadline_at, type_=shop_order.c.deadline_at.type)).where(
        shop_order.c.account == account, shop_order.c.deadline_at.is_not(None)
    )
    found = [(await conn.execute(query)).scalar_one() for query in (documents, orders)]
    return min((moment for moment in found if moment is not None), default=None)
