"""What the ledger says of a period: what was issued, what should have been, and whose marker is whose."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.audit.compare import Difference, Ours
from syncd.domain.document import DocumentKind
from syncd.domain.states import DocumentState
from syncd.mapping.sale import LISBON
from syncd.store.codec import load_draft, load_issued
from syncd.store.tables import NOT_ISSUED, NUMBERED, attempt, document, shop_order

# A document is recorded after the service dated it: at once, or when the answer that was lost was found.
_RECORDED_WITHIN = timedelta(days=45)
_DAY = timedelta(days=1)
_MOST_NAMES = 500  # in one statement
CORRECTING = frozenset({DocumentKind.NC, DocumentKind.ND, DocumentKind.RC})
_COLUMNS = [
    document.c[name]
    for name in ("shop", "order_id", "kind", "state", "number", "provider_id", "issued", "gross", "draft")
]


async def issued(conn: AsyncConnection, account: str, first: date, last: date) -> list[Ours]:
    """Documents that the service dated on these days."""
    row = document.c
    since, until = _midnight(first) - _DAY, _midnight(last) + _RECORDED_WITHIN
    recorded = (row.issued_at >= since) & (row.issued_at < until) & row.issued_at.is_not(None)
    return [each for each in await _ours(conn, account, recorded) if first <= each.issued_on <= last]


async def numbered(conn: AsyncConnection, account: str, numbers: Collection[str]) -> list[Ours]:
    """Documents of any time by their numbers."""
    found: list[Ours] = []
    for some in _portions(numbers):
        named = document.c.number.in_(some) & sa.text(NUMBERED) & document.c.issued.is_not(None)
        found += await _ours(conn, account, named)
    return found


async def undone(conn: AsyncConnection, account: str, first: date, last: date, now: datetime) -> list[Difference]:
    """What had to be issued by a day of these, and is not: documents, and orders that wait without one."""
    since, until = _midnight(first), min(_midnight(last) + _DAY, now)
    row, held = document.c, shop_order.c
    documents = sa.select(row.shop, row.order_id, row.kind, row.deadline_at).where(
        sa.text(NOT_ISSUED), row.account == account, row.deadline_at >= since, row.deadline_at < until
    )
    orders = sa.select(held.shop, held.order_id, sa.literal("document").label("kind"), held.deadline_at).where(
        held.account == account, held.deadline_at >= since, held.deadline_at < until
    )
    found = [each for query in (documents, orders) for each in (await conn.execute(query)).all()]
    return [
        Difference(
            code="not_issued",
            number="",
            message=f"the {each.kind} was due until {each.deadline_at.astimezone(LISBON).date()}, and is not issued",
            fix=f"see why: syncd order {each.shop} {each.order_id}",
            shop=each.shop,
            order_id=each.order_id,
        )
        for each in sorted(found, key=lambda each: each.deadline_at)
    ]


async def whose(conn: AsyncConnection, account: str, markers: Collection[str]) -> dict[str, tuple[str, str]]:
    """Shop and order of each of these texts that is a marker of ours."""
    found: dict[str, tuple[str, str]] = {}
    for some in _portions(markers):
        query = (
            sa.select(attempt.c.marker, document.c.shop, document.c.order_id)
            .join(document, document.c.id == attempt.c.document_id)
            .where(attempt.c.account == account, attempt.c.marker.in_(some))
        )
        found |= {each.marker: (each.shop, each.order_id) for each in await conn.execute(query)}
    return found


async def _ours(conn: AsyncConnection, account: str, which: sa.ColumnElement[bool]) -> list[Ours]:
    found: list[Ours] = []
    originals: dict[str, list[str]] = {}
    query = sa.select(*_COLUMNS).where(document.c.account == account, which).order_by(document.c.issued_at)
    async for row in await conn.stream(query):
        told = load_issued(row.issued)
        if row.kind in CORRECTING:
            originals[row.number] = [str(reference.key) for reference in load_draft(row.draft).references]
        found.append(
            Ours(
                shop=row.shop,
                order_id=row.order_id,
                number=row.number,
                provider_id=row.provider_id,
                issued_on=told.issued_on,
                gross=row.gross,
                annulled=row.state == DocumentState.ANNULLED or told.annulled,
            )
        )
    numbers: dict[str, str] = {}
    for some in _portions({key for keys in originals.values() for key in keys}):
        named = sa.select(document.c.key, document.c.number).where(document.c.key.in_(some))
        numbers |= {row.key: row.number for row in await conn.execute(named)}
    return [
        replace(each, references=frozenset(numbers.get(key, "") for key in originals.get(each.number, ())) - {""})
        for each in found
    ]


def _portions(texts: Collection[str]) -> Iterator[list[str]]:
    """So few that one statement can name them."""
    every = sorted(texts)
    return (every[start : start + _MOST_NAMES] for start in range(0, len(every), _MOST_NAMES))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), LISBON)
