"""An order's whole story: what came in, what was decided, what was sent and answered, and by whom.

Its entries form a chain (`chain.py`) whose end stands in the order's row, so that a story is written under its order's
lock, in the transaction of what it tells, and receivers and issuers of other orders never wait for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.domain.document import DocumentDraft, DocumentKey, IssuedDocument
from syncd.store import chain
from syncd.store.codec import dump_draft, dump_issued
from syncd.store.engine import sha256
from syncd.store.tables import attempt, document, event, shop_order, trail

# The actions that the audit knows: they tell what other tables must show.
PLANNED, WAITING, REQUEST = "planned", "waiting", "request"
ISSUED, ADOPTED, SURFACED_LATE = "issued", "adopted", "surfaced_late"
ANNULLED, ANNUL_REFUSED = "annulled", "annul_refused"

HASHED = ("at", "shop", "order_id", "document_key", "actor", "action", "detail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened. `actor` is a shop's way in, `syncd`, or a person; `seq` and `hash` are its link.

    What is not in the chain yet (an event that nothing followed from, a request under way) has 0 and "".
    """

    at: datetime
    actor: str
    action: str
    document_key: str
    detail: Mapping[str, Any]
    seq: int = 0
    hash: str = ""


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
    """Add to the story of an order, which must be known; nothing is ever taken out. `detail` is plain JSON."""
    values = {
        "at": at,
        "shop": shop,
        "order_id": order_id,
        "document_key": document_key,
        "actor": actor,
        "action": action,
        "detail": dict(detail or {}),
    }
    row = shop_order.c
    longer = row.trail_head + sa.literal(chain.canonical(values))
    head = sa.literal(chain.FORM) + sha256(conn.dialect.name, longer)
    moved = (
        sa.update(shop_order)
        .where(row.shop == shop, row.order_id == order_id)
        .values(trail_seq=row.trail_seq + 1, trail_head=head)
        .returning(row.trail_seq, row.trail_head)
    )
    place = (await conn.execute(moved)).one()
    await conn.execute(sa.insert(trail).values(**values, seq=place.trail_seq, hash=place.trail_head))


async def of_document(
    conn: AsyncConnection, key: DocumentKey, *, at: datetime, action: str, detail: Mapping[str, Any]
) -> None:
    """What the daemon did about a document."""
    await write(
        conn,
        at=at,
        shop=key.shop,
        order_id=key.order_id,
        document_key=str(key),
        actor="syncd",
        action=action,
        detail=detail,
    )


async def new_events(conn: AsyncConnection, shop: str, order_id: str, *, seq: int) -> dict[str, str]:
    """The order's events that its trail, now of length `seq`, has not told of: by id, a print of each."""
    row = event.c
    known: set[str] = set()
    if seq:
        own = (trail.c.shop == shop) & (trail.c.order_id == order_id) & trail.c.action.in_((PLANNED, WAITING))
        for detail in (await conn.execute(sa.select(trail.c.detail).where(own))).scalars():
            known.update(detail.get("events", ()))
    query = sa.select(*EVENT_COLUMNS).where(row.shop == shop, row.order_id == order_id).order_by(row.id)
    return {each.id: event_print(each) for each in await conn.execute(query) if each.id not in known}


EVENT_COLUMNS = tuple(column for column in event.c if column is not event.c.payload)


def event_print(row: sa.Row[Any]) -> str:
    """What an event is recognised by; its digest speaks for its payload."""
    values = row._mapping  # noqa: SLF001 - public in spite of its name
    return chain.sha256(chain.canonical({column.name: values[column.name] for column in EVENT_COLUMNS}))


def draft_print(draft: DocumentDraft) -> str:
    """What a planned document is recognised by."""
    return chain.sha256(dump_draft(draft))


def figures(draft: DocumentDraft, issued: IssuedDocument) -> dict[str, str]:
    """What the trail tells of an issued document, and what its row must show ever after."""
    return {
        "number": issued.number,
        "provider_id": issued.provider_id,
        "net": f"{issued.totals.net:f}",
        "tax": f"{issued.totals.tax:f}",
        "gross": f"{issued.totals.gross:f}",
        "draft": draft_print(draft),
        "issued": chain.sha256(dump_issued(issued)),
    }


async def timeline(conn: AsyncConnection, shop: str, order_id: str) -> list[Entry]:
    """Events, decisions and requests of an order in the order in which they happened."""
    written = await _written(conn, shop, order_id)
    told = {entry.detail.get("attempt_id") for entry in written if entry.action == REQUEST}
    entries = [*await _events(conn, shop, order_id), *written, *await _requests(conn, shop, order_id, told)]
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
    query = sa.select(row.at, row.actor, row.action, row.document_key, row.detail, row.seq, row.hash)
    found = await conn.execute(query.where(row.shop == shop, row.order_id == order_id).order_by(row.seq))
    return [Entry(**each._mapping) for each in found]  # noqa: SLF001 - public in spite of its name


async def _requests(conn: AsyncConnection, shop: str, order_id: str, told: set[object]) -> list[Entry]:
    """Requests that the trail has not told of: under way, or without an end because the process was killed."""
    row = attempt.c
    query = (
        sa.select(row.id, row.purpose, row.label, row.marker, row.sent_at, document.c.key)
        .join(document, document.c.id == row.document_id)
        .where(document.c.shop == shop, document.c.order_id == order_id)
        .order_by(row.id)
    )
    return [
        Entry(
            at=each.sent_at,
            actor="syncd",
            action=REQUEST,
            document_key=each.key,
            detail={"attempt_id": each.id, "purpose": each.purpose, "label": each.label, "marker": each.marker},
        )
        for each in await conn.execute(query)
        if each.id not in told
    ]
