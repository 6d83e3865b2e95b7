"""Orders by GraphQL: what changed since a watermark, and one order with everything that belongs to it."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from syncd.domain.errors import PayloadError, ShopRefusedError, ShopUnavailableError
from syncd.shops.port import Fact, Page
from syncd.shops.shopify import graphql
from syncd.shops.shopify.client import AdminApi, Clock
from syncd.shops.shopify.facts import order_fact
from syncd.shops.shopify.fields import Record, dumps, identity, moment, record, records, text

_OVERLAP = timedelta(minutes=5)  # the index lags behind, and clocks differ
_SETTLED = timedelta(minutes=1)  # `updatedAt` counts seconds: a younger one may stand for a second change as well
_LISTED = 250
_LINES = 50
_PER_PAGE = 25


@dataclass(frozen=True, slots=True)
class _List:
    """A query for orders by one of their times, which its answer names."""

    document: str
    time: str


_CHANGED = _List(graphql.CHANGED, "updatedAt")
_PLACED = _List(graphql.PLACED, "createdAt")


class _ChangedMeanwhileError(Exception):
    """The order was changed between two pages of its lines."""


@dataclass(slots=True)
class Orders:
    """Reads orders of one shop; remembers what the last pass has seen, because every pass overlaps with it."""

    api: AdminApi
    clock: Clock
    _known: dict[str, datetime] = field(default_factory=dict)

    async def changes(self, cursor: str | None) -> AsyncIterator[Page]:
        """Every order changed since the watermark `cursor`; only the last page carries the new one."""
        if cursor is None:
            yield Page(facts=(), cursor=_written(self.clock.now()))
            return
        start = _watermark(cursor)
        known, seen, watermark = self._known, dict[str, datetime](), start
        facts: list[Fact] = []
        begin = start - _OVERLAP
        async for order_id, updated_at in self._listed(_CHANGED, f"updated_at:>='{_written(begin)}'", begin):
            watermark = max(watermark, updated_at)
            if seen.get(order_id) == updated_at:
                continue
            settled = self.clock.now() - updated_at > _SETTLED
            if known.get(order_id) != updated_at:
                facts += await self.fetch(order_id)
            if settled:
                seen[order_id] = updated_at
            if len(facts) >= _PER_PAGE:
                yield Page(facts=tuple(facts), cursor=cursor)
                facts = []
        yield Page(facts=tuple(facts), cursor=_written(watermark))
        # Reached only when the last page has been taken: what was lost on the way is read again.
        self._known = {key: time for key, time in seen.items() if time >= watermark - _OVERLAP}

    async def placed(self, since: datetime, until: datetime, cursor: str | None) -> AsyncIterator[Page]:
        """Orders by the time of placing, 25 to a page."""
        start = _watermark(cursor) if cursor else since
        facts: list[Fact] = []
        span = f"created_at:>='{_written(start)}' created_at:<'{_written(until)}'"
        async for order_id, placed_at in self._listed(_PLACED, span, start.replace(microsecond=0)):
            if placed_at >= until:
                continue  # the filter counts whole seconds
            facts += await self.fetch(order_id)
            if len(facts) >= _PER_PAGE:
                yield Page(facts=tuple(facts), cursor=_written(placed_at))
                facts = []
        yield Page(facts=tuple(facts), cursor=_written(until))

    async def fetch(self, order_id: str) -> tuple[Fact, ...]:
        """The order as it is now; nothing where the shop shows none.

        A deleted order and one older than 60 days (without the scope read_all_orders) are both absent, so absence
        proves nothing and is never reported as a deletion: `orders/delete` does that.
        """
        if not identity(order_id):
            raise ShopRefusedError(f"{order_id[:40]!r} is no Shopify order id", fix="give the numeric id of the order")
        for _ in range(3):
            try:
                order = await self._whole(graphql.gid("Order", order_id))
            except _ChangedMeanwhileError:
                continue
            return () if order is None else (_fact(order),)
        raise ShopUnavailableError(f"order {order_id} kept changing while it was read")

    async def _listed(self, wanted: _List, span: str, since: datetime) -> AsyncIterator[tuple[str, datetime]]:
        """Ids and times, the oldest first."""
        after: str | None = None
        while True:
            data = await self.api.query(wanted.document, {"first": _LISTED, "after": after, "filter": span})
            page = _connection(data, "orders")
            for found in _dated(page, wanted.time, since):
                yield found
            following = _next_page(page, after)
            if following is None:
                return
            after = following

    async def _whole(self, key: str) -> Record | None:
        """An order merged from as many queries as it needs; None where the shop shows none."""
        data = await self.api.query(graphql.ORDER, {"id": key, "lines": _LINES})
        if data.get("order") is None:
            return None
        order = _object(data, "order")
        first = _connection(order, "lineItems")
        lines = [*graphql.nodes(order, "lineItems")]
        after = _next_page(first, None)
        while after is not None:
            more = await self.api.query(graphql.LINES, {"id": key, "lines": _LINES, "after": after})
            part = _object(more, "order")
            if part.get("updatedAt") != order.get("updatedAt"):
                raise _ChangedMeanwhileError
            lines += graphql.nodes(part, "lineItems")
            after = _next_page(_connection(part, "lineItems"), after)
        refunds = [await self._refund(text(found.get("id"))) for found in graphql.nodes(order, "refunds")]
        return {**order, "lineItems": {"nodes": lines}, "refunds": refunds}

    async def _refund(self, key: str) -> Record:
        after: str | None = None
        lines: list[Record] = []
        while True:
            data = await self.api.query(graphql.REFUND, {"id": key, "lines": _LINES, "after": after})
            refund = _object(data, "refund")
            lines += graphql.nodes(refund, "refundLineItems")
            following = _next_page(_connection(refund, "refundLineItems"), after)
            if following is None:
                return {**refund, "refundLineItems": {"nodes": lines}}
            after = following


def _fact(order: Record) -> Fact:
    try:
        return order_fact(graphql.order_to_webhook(order), dumps(order), "graphql")
    except PayloadError as error:
        raise ShopUnavailableError(f"the shop answered no usable order: {error}") from error


def _dated(page: Record, time: str, since: datetime) -> Iterator[tuple[str, datetime]]:
    for node in records(page.get("nodes"), "nodes"):
        order_id, at = identity(node.get("id")), _time(node.get(time))
        if not order_id or at is None:
            raise ShopUnavailableError(f"the shop listed an order without id or {time}")
        if at < since:
            # An unknown search term is dropped without an error, and then every order matches.
            raise ShopRefusedError(
                f"the shop ignored the filter: order {order_id} is older than {_written(since)}",
                fix="set api_version to one that knows updated_at and created_at as search terms of orders",
            )
        yield order_id, at


def _connection(source: Record, key: str) -> Record:
    found = _object(source, key)
    if not isinstance(found.get("nodes"), list) or not isinstance(found.get("pageInfo"), dict):
        raise ShopUnavailableError(f"the shop's answer has no list {key}")
    return found


def _object(source: Record, key: str) -> Record:
    found = source.get(key)
    if not isinstance(found, dict):
        raise ShopUnavailableError(f"the shop's answer has no {key}")
    return found


def _next_page(page: Mapping[str, object], current: str | None) -> str | None:
    """The cursor to go on with; one that does not move would go on for ever."""
    info = record(page.get("pageInfo"), "pageInfo")
    if info.get("hasNextPage") is not True:
        return None
    following = text(info.get("endCursor"))
    if not following or following == current:
        raise ShopUnavailableError("the shop's list has a next page but no cursor to it")
    return following


def _watermark(cursor: str) -> datetime:
    found = _time(cursor)
    if found is None:
        raise ShopRefusedError("the stored cursor is no time", fix="start again by a backfill from a date")
    return found


def _time(value: object) -> datetime | None:
    try:
        return moment(value, "time")
    except PayloadError:
        return None


def _written(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
