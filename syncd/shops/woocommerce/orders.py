"""Asking for orders: everything changed since a time, or one.

A pass lists by id in ascending order, so that an order that changes while we turn pages stays in its place. One that
is thrown away moves its followers a place forward, though, past the page that we are about to ask for: passes over
several pages are repeated until one brings nothing new.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta

from syncd.domain.errors import PayloadError, ShopRefusedError, ShopUnavailableError
from syncd.shops.port import Fact, FactKind, Page
from syncd.shops.woocommerce.client import GoneError, RestApi
from syncd.shops.woocommerce.deliveries import deleted_fact, order_fact
from syncd.shops.woocommerce.fields import MOST_ID_DIGITS, Record, identity, is_id, text
from syncd.shops.woocommerce.refunds import made_at

# An order may show up in the list some time after the moment that it is dated, behind a long database transaction.
OVERLAP = timedelta(minutes=5)
PER_PAGE = 100
ORDER_TOPIC = "rest.order"
REFUND_TOPIC = "rest.refund"
UNDATED = datetime(1970, 1, 1, tzinfo=UTC)


class Orders:
    """One shop's orders as facts."""

    def __init__(self, api: RestApi, *, now: Callable[[], datetime]) -> None:
        self._api = api
        self._now = now

    async def changes(self, cursor: str | None) -> AsyncIterator[Page]:
        """Pages of facts. The cursor is a time in UTC and moves with the last page, when nothing can be missing.

        It moves to the newest change seen in the first pass: what changes during later ones may be missing from them,
        and is listed by the next call.
        """
        start = _time_of(cursor) if cursor else self._now() - OVERLAP
        seen: set[tuple[str, int]] = set()
        until: datetime | None = None
        while True:
            pages, changed = 0, [start]
            async for facts in self._pass(start - OVERLAP):
                pages += 1
                fresh = _unseen(facts, seen)
                changed += [fact.version for fact in fresh]
                if fresh:
                    details = _unseen(await self._details(fresh), seen)
                    yield Page(facts=(*fresh, *details), cursor=_stamp(start))
            until = until or max(changed)
            # A single page is a single moment, in which nothing moves.
            if pages == 1 or not any(version <= until for version in changed[1:]):
                break
        # A shop whose clock is ahead must not make us skip what it dates rightly later.
        yield Page(facts=(), cursor=_stamp(min(until, max(start, self._now()))))

    async def fetch(self, order_id: str) -> tuple[Fact, ...]:
        """The order with the details of all its refunds; a DELETED fact if the shop has it no longer."""
        if not (order_id.isascii() and order_id.isdecimal() and len(order_id) <= MOST_ID_DIGITS):
            raise ShopRefusedError(
                f"{order_id[:40]!r} is no id of a WooCommerce order", fix="give the order's id, not its number"
            )
        try:
            found, payload = await self._api.single(f"orders/{order_id}")
        except GoneError:
            return (deleted_fact(order_id, topic=ORDER_TOPIC, now=self._now()),)
        return (_order_fact(found, payload), *(await self._refunds(order_id) if found.get("refunds") else ()))

    async def _pass(self, after: datetime) -> AsyncIterator[list[Fact]]:
        query = {
            "modified_after": f"{after:%Y-%m-%dT%H:%M:%S}",
            "dates_are_gmt": "true",
            "per_page": str(PER_PAGE),
            "orderby": "id",
            "order": "asc",
        }
        page = 1
        while True:
            listing = await self._api.listing("orders", {**query, "page": str(page)})
            yield [_order_fact(found, payload) for found, payload in listing.items]
            # The number of pages may have grown since the first one said it.
            if page >= listing.pages and len(listing.items) < PER_PAGE:
                return
            page += 1

    async def _details(self, orders: Sequence[Fact]) -> list[Fact]:
        """The refunds of those orders that have any. An order's rank is odd or even, its refunds are in the body."""
        return [fact for order in orders if b'"refunds":[{' in order.payload for fact in await self._refunds(order.order_id)]

    async def _refunds(self, order_id: str) -> tuple[Fact, ...]:
        listing = await self._api.listing(f"orders/{order_id}/refunds", {"per_page": str(PER_PAGE)})
        return tuple(_refund_fact(order_id, found, payload) for found, payload in listing.items)
