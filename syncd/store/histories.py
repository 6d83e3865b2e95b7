"""Whole stories of many orders for planning them again: read page by page, in few statements, and never written."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.domain.facts import FactKind, OrderFacts
from syncd.domain.states import DocumentState
from syncd.mapping.known import KnownDocument
from syncd.store.documents import KNOWN, known_of
from syncd.store.orders import OrderRow
from syncd.store.tables import document, event, shop_order, trail

Named = tuple[str, str]  # shop, order id
MOST_IDS = 500  # in one statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Orders by their row ids, `after` excluded and `until` included, that came in since a moment."""

    after: int
    until: int
    since: datetime
    shop: str

    @property
    def orders(self) -> sa.ColumnElement[bool]:
        row = shop_order.c
        return (row.id > self.after) & (row.id <= self.until) & _wanted(self.since, self.shop)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What the trail says of one plan: what came of it, and what it was made from."""

    documents: frozenset[str]
    annulments: frozenset[str]
    holds: frozenset[str]
    events: tuple[str, ...]
    deleted: bool
    accepted: frozenset[str]
    policy: str
    version: str

    @classmethod
    def of(cls, detail: Mapping[str, Any]) -> Self:
        basis = detail["basis"]
        return cls(
            documents=frozenset(told["key"] for told in detail["documents"]),
            annulments=frozenset(told["key"] for told in detail.get("annulments", ())),
            holds=frozenset(told["code"] for told in detail["holds"]),
            events=tuple(basis["events"]),
            deleted=basis["deleted"],
            accepted=frozenset(basis["accepted"]),
            policy=basis["policy"],
            version=basis["version"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """An order, its living documents, its plans (oldest first) and the raw events that they speak of.

    `events` are those of the newest state: the order's, then those of its refunds; empty while the order is not known.
    `payloads` hold those of other orders as well.
    """

    row: OrderRow
    documents: tuple[KnownDocument, ...]
    plans: tuple[Planned, ...]
    events: tuple[str, ...]
    payloads: Mapping[str, bytes]

    def facts(self, events: Sequence[str], *, deleted: bool) -> OrderFacts | None:
        """What the shop had said with these events; None if there are none, or not all of them are in the ledger."""
        if not events or any(each not in self.payloads for each in events):
            return None
        order, *refunds = (self.payloads[each] for each in events)
        return OrderFacts(order=order, refunds=tuple(refunds), deleted=deleted, events=tuple(events))


async def spans(conn: AsyncConnection, since: datetime, shop: str, size: int) -> tuple[list[Span], int]:
    """The orders in spans of `size`, and how many there are."""
    wanted = sa.select(shop_order.c.id, sa.func.row_number().over(order_by=shop_order.c.id).label("place"))
    numbered = wanted.where(_wanted(since, shop)).subquery()
    ends = sa.select(numbered.c.id).where(numbered.c.place % size == 0).order_by(numbered.c.id)
    bounds = list((await conn.execute(ends)).scalars())
    count, last = (await conn.execute(sa.select(sa.func.count(), sa.func.max(numbered.c.id)))).one()
    if count and (not bounds or last > bounds[-1]):
        bounds.append(last)
    return [Span(after=a, until=b, since=since, shop=shop) for a, b in pairwise([0, *bounds])], count


async def read(conn: AsyncConnection, span: Span) -> list[History]:
    """Every order of the span with its story, in the order of their ids."""
    rows = [
        OrderRow.of(row)
        for row in await conn.execute(sa.select(shop_order).where(span.orders).order_by(shop_order.c.id))
    ]
    known, plans, refunds = await _known(conn, span), await _plans(conn, span), await _refunds(conn, span)
    newest = {
        (row.shop, row.order_id): (row.event_id, *refunds.get((row.shop, row.order_id), ())) if row.event_id else ()
        for row in rows
    }
    named = {each for events in newest.values() for each in events}
    named |= {each for story in plans.values() for made in story for each in made.events}
    payloads = await _payloads(conn, sorted(named))
    return [
        History(
            row=row,
            documents=tuple(known[name]),
            plans=tuple(plans[name]),
            events=newest[name],
            payloads=payloads,
        )
        for row in rows
        for name in [(row.shop, row.order_id)]
    ]


async def _known(conn: AsyncConnection, span: Span) -> dict[Named, list[KnownDocument]]:
    found: dict[Named, list[KnownDocument]] = defaultdict(list)
    living = document.c.state != DocumentState.WITHDRAWN.value
    for row in await conn.execute(_beside(document, span, *KNOWN).where(living).order_by(document.c.id)):
        found[row.shop, row.order_id].append(known_of(row))
    return found


async def _plans(conn: AsyncConnection, span: Span) -> dict[Named, list[Planned]]:
    found: dict[Named, list[Planned]] = defaultdict(list)
    query = _beside(trail, span, trail.c.shop, trail.c.order_id, trail.c.detail)
    for row in await conn.execute(query.where(trail.c.action.in_(("planned", "waiting"))).order_by(trail.c.id)):
        found[row.shop, row.order_id].append(Planned.of(row.detail))
    return found


async def _refunds(conn: AsyncConnection, span: Span) -> dict[Named, list[str]]:
    """The newest event of each refund, as `orders.facts` picks them."""
    newest: dict[Named, dict[str, str]] = defaultdict(dict)
    query = _beside(event, span, event.c.id, event.c.shop, event.c.order_id, event.c.part)
    query = query.where(event.c.kind == FactKind.REFUND.value).order_by(event.c.version, event.c.rank, event.c.id)
    for row in await conn.execute(query):
        newest[row.shop, row.order_id][row.part] = row.id
    return {name: [parts[part] for part in sorted(parts)] for name, parts in newest.items()}


async def _payloads(conn: AsyncConnection, ids: Sequence[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for start in range(0, len(ids), MOST_IDS):
        query = sa.select(event.c.id, event.c.payload).where(event.c.id.in_(ids[start : start + MOST_IDS]))
        found.update((row.id, row.payload) for row in await conn.execute(query))
    return found


def _wanted(since: datetime, shop: str) -> sa.ColumnElement[bool]:
    came = shop_order.c.first_seen_at >= since
    return came & (shop_order.c.shop == shop) if shop else came


def _beside(table: sa.Table, span: Span, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """What stands in another table of the span's orders."""
    own = (table.c.shop == shop_order.c.shop) & (table.c.order_id == shop_order.c.order_id)
    return sa.select(*columns).join(shop_order, own).where(span.orders)
