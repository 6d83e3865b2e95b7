"""Orders a page at a time, the newest first, and an order by any name that a person knows it by.

Whatever is asked for, a page costs as many rows as it shows: it is gathered from one short range of an index for each
state and shop that is wanted, where a filter over the newest orders could read a million of them to find three.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from heapq import nlargest
from itertools import product

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.domain.states import OrderState
from syncd.store.orders import OrderRow
from syncd.store.tables import NUMBERED, document, shop_order

_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some orders, the newest first; `older` is the `before` of the next page, None on the last."""

    rows: tuple[OrderRow, ...]
    older: int | None


async def page(
    conn: AsyncConnection,
    *,
    state: OrderState | None = None,
    shop: str | None = None,
    before: int | None = None,
    size: int = _BATCH,
) -> Page:
    """So many orders with a row id below `before`."""
    row = shop_order.c
    newest = sa.select(row.id).order_by(row.id.desc()).limit(size + 1)
    if before is not None:
        newest = newest.where(row.id < before)
    queries = [newest]
    if state is not None or shop is not None:
        states = [state] if state is not None else list(OrderState)
        names = [shop] if shop is not None else await shops(conn)
        queries = [newest.where(row.state == each.value, row.shop == name) for each, name in product(states, names)]
    found = [found for query in queries for found in (await conn.execute(query)).scalars()]
    ids = nlargest(size + 1, found)
    return Page(rows=await _rows(conn, ids[:size]), older=ids[size - 1] if len(ids) > size else None)


async def search(
    conn: AsyncConnection, *, state: OrderState | None = None, shop: str | None = None, limit: int | None = None
) -> AsyncIterator[OrderRow]:
    """Orders, the newest first, read page by page."""
    before, left = None, limit
    while left is None or left > 0:
        found = await page(conn, state=state, shop=shop, before=before, size=min(_BATCH, left or _BATCH))
        for each in found.rows:
            yield each
        if found.older is None:
            return
        before = found.older
        left = None if left is None else left - len(found.rows)


async def named(conn: AsyncConnection, name: str, *, limit: int) -> tuple[OrderRow, ...]:
    """Orders with this number (with or without a # before it) or id, and those with a document of this number."""
    row, bare = shop_order.c, name.strip().removeprefix("#")
    whose = (document.c.shop == row.shop) & (document.c.order_id == row.order_id)
    queries = (
        sa.select(row.id).where(row.shop.in_(await shops(conn)), row.order_id == bare),
        sa.select(row.id).where(row.number.in_((bare, f"#{bare}")), sa.text(f"shop_order.{NUMBERED}")),
        sa.select(row.id).join(document, whose).where(document.c.number == bare, sa.text(f"document.{NUMBERED}")),
    )
    ids: set[int] = set()
    for query in queries:
        ids.update((await conn.execute(query.order_by(row.id.desc()).limit(limit))).scalars())
    return await _rows(conn, nlargest(limit, ids))


async def shops(conn: AsyncConnection) -> list[str]:
    """Every shop that the ledger has an order of: from one to the next along an index, past all that is between."""
    row = shop_order.c
    first = sa.select(sa.func.min(row.shop).label("shop")).cte("shops", recursive=True)
    following = sa.select(sa.func.min(row.shop)).where(row.shop > first.c.shop).scalar_subquery()
    every = first.union_all(sa.select(following).where(first.c.shop.is_not(None)))
    return list((await conn.execute(sa.select(every.c.shop).where(every.c.shop.is_not(None)))).scalars())


async def _rows(conn: AsyncConnection, ids: list[int]) -> tuple[OrderRow, ...]:
    query = sa.select(shop_order).where(shop_order.c.id.in_(ids)).order_by(shop_order.c.id.desc())
    return tuple(OrderRow.of(row) for row in await conn.execute(query))
