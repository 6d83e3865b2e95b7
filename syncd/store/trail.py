"""An order's whole story: what came in, what was decided, what was sent, and by whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.store.tables import attempt, document, event, trail


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened. `actor` is a shop's way in, `syncd`, or a person."""

    at: datetime
    actor: str
    action: str
    document_key: str
    detail: Mapping[str, Any]


async def write(
    conn: AsyncConnection,
    *,
    at: datetime,
    shop: str,
    order_id: str,
    actor: str,
    action: str,
    document_key: str = "",
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add to an order's story; nothing is ever taken out."""
    values = {"at": at, "shop": shop, "order_id": order_id, "actor": actor, "action": action}
    await conn.execute(sa.insert(trail).values(**values, document_key=document_key, detail=dict(detail or {})))


async def timeline(conn: AsyncConnection, shop: str, order_id: str) -> list[Entry]:
    """Events, decisions and requests of an order in the order in which they happened."""
    entries = [
        *await _events(conn, shop, order_id),
        *await _written(conn, shop, order_id),
        *await _requests(conn, shop, order_id),
    ]
    return sorted(entries, key=lambda entry: entry.at)


async def _events(conn: AsyncConnection, shop: str, order_id: str) -> list[Entry]:
    row = event.c
    query = sa.select(row.id, row.kind, row.topic, row.part, row.source, row.received_at)
    found = await conn.execute(query.where(row.shop == shop, row.order_id == order_id).order_by(row.id))
    return [
        Entry(
            at=each.received_at,
            actor=each.source,
            action="received",
            document_key="",
            detail={"event": each.id, "kind": each.kind, "topic": each.topic, "part": each.part},
        )
        for each in found
    ]


async def _written(conn: AsyncConnection, shop: str, order_id: str) -> list[Entry]:
    row = trail.c
    query = sa.select(row.at, row.actor, row.action, row.document_key, row.detail)
    found = await conn.execute(query.where(row.shop == shop, row.order_id == order_id).order_by(row.id))
    return [Entry(**each._mapping) for each in found]  # noqa: SLF001 - public in spite of its name


async def _requests(conn: AsyncConnection, shop: str, order_id: str) -> list[Entry]:
    row = attempt.c
    query = (
        sa.select(attempt, document.c.key)
        .join(document, document.c.id == row.document_id)
        .where(document.c.shop == shop, document.c.order_id == order_id)
        .order_by(row.id)
    )
    return [
        Entry(
            at=each.sent_at,
            actor="syncd",
            action="request",
            document_key=each.key,
            detail={
                "purpose": each.purpose,
                "label": each.label,
                "marker": each.marker,
                "answered_at": each.answered_at.isoformat() if each.answered_at else None,
                "status": each.status,
                "outcome": each.outcome,
                **(each.detail or {}),
            },
        )
        for each in await conn.execute(query)
    ]
