"""Asking for orders: everything changed since a time, or one.

A pass lists by id in ascending order, so that an order that changes while we turn pages stays in its place. One that
is thrown away moves its followers a place forward, though, past the page that we are about to ask for: passes over
several pages are repeated until one brings nothing new.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from syncd.domain.errors import PayloadError, ShopRefusedError, ShopUnavailableError
from syncd.shops.port import Fact, FactKind, Page
from syncd.shops.woocommerce.client import GoneError, RestApi
from syncd.shops.woocommerce.deliveries import deleted_fact, order_fact
from syncd.shops.woocommerce.fields import MOST_ID_DIGITS, Record, identity, is_id, moment
from syncd.shops.woocommerce.refunds import made_at

# An order may show up in the list some time after the moment that it is dated, behind a long database transaction.
OVERLAP = timedelta(minutes=5)
CLOCK_CHANGE = timedelta(hours=1, seconds=1)
PER_PAGE = 100
ORDER_TOPIC = "rest.order"
REFUND_TOPIC = "rest.refund"
UNDATED = datetime(1970, 1, 1, tzinfo=UTC)

Listed: TypeAlias = tuple[Fact, frozenset[str]]  # an order and the ids of its refunds


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
        asked: set[str] = set()
        until: datetime | None = None
        while True:
            pages, changed = 0, []
            async for listed in self._pass(start - OVERLAP):
                pages += 1
                fresh = _unseen(listed, seen)
                changed += [fact.version for fact, _ in fresh]
                if fresh:
                    details = await self._details(fresh, asked)
                    yield Page(facts=(*(fact for fact, _ in fresh), *details), cursor=_stamp(start))
            # A shop whose clock is ahead must not make us skip what it dates rightly later.
            until = until or min(max([start, *changed]), max(start, self._now()))
            # A single page is a single moment, in which nothing moves.
            if pages == 1 or not any(version <= until for version in changed):
                break
        yield Page(facts=(), cursor=_stamp(until))

    async def placed(self, since: datetime, until: datetime, cursor: str | None) -> AsyncIterator[Page]:
        """Pages of facts by the time of placing; each is asked for from behind the last, so that none moves away.

        The shop may sort by its own clock, which is set back an hour once a year: so much is listed again each time.
        """
        after, newest, page = _time_of(cursor) if cursor else since, since, 1
        before: tuple[tuple[Record, bytes], ...] = ()
        seen: set[tuple[str, int]] = set()
        asked: set[str] = set()
        while True:
            query = {
                "after": _asked(after - timedelta(seconds=1)),  # exclusive
                "before": _asked(until),
                "dates_are_gmt": "true",
                "per_page": str(PER_PAGE),
                "orderby": "date",
                "order": "asc",
            }
            listing = await self._api.listing("orders", {**query, "page": str(page)})
            if page > 1 and listing.items == before:
                raise _same_again(page)
            before = listing.items
            within = [item for item in listing.items if since <= (_placed_at(item[0]) or since) < until]
            fresh = _unseen([(_order_fact(*item), _refund_ids(item[0])) for item in within], seen)
            details = await self._details(fresh, asked)
            newest = max([newest, *(_placed_at(found) or newest for found, _ in within)])
            following = max(after, newest - CLOCK_CHANGE)
            done = len(listing.items) < PER_PAGE
            facts = (*(fact for fact, _ in fresh), *details)
            yield Page(facts=facts, cursor=_stamp(until if done else following))
            if done:
                return
            after, page = (following, 1) if following > after else (after, page + 1)

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
        details = await self._refunds(order_id) if _refund_ids(found) else ()
        return (_order_fact(found, payload), *details)

    async def _pass(self, after: datetime) -> AsyncIterator[list[Listed]]:
        query = {
            "modified_after": _asked(after),
            "dates_are_gmt": "true",
            "per_page": str(PER_PAGE),
            "orderby": "id",
            "order": "asc",
        }
        page = 1
        before: tuple[tuple[Record, bytes], ...] = ()
        while True:
            listing = await self._api.listing("orders", {**query, "page": str(page)})
            if listing.items and listing.items == before:
                raise _same_again(page)
            yield [(_order_fact(found, payload), _refund_ids(found)) for found, payload in listing.items]
            # The number of pages may have grown since the first one said it.
            if page >= listing.pages and len(listing.items) < PER_PAGE:
                return
            page, before = page + 1, listing.items

    async def _details(self, orders: Sequence[Listed], asked: set[str]) -> list[Fact]:
        """The refunds of the orders that name one which was not asked for yet."""
        details: list[Fact] = []
        for order, refund_ids in orders:
            if not refund_ids <= asked:
                details += await self._refunds(order.order_id)
                asked |= refund_ids
        return details

    async def _refunds(self, order_id: str) -> tuple[Fact, ...]:
        listing = await self._api.listing(f"orders/{order_id}/refunds", {"per_page": str(PER_PAGE)})
        return tuple(_refund_fact(order_id, found, payload) for found, payload in listing.items)


def _unseen(listed: Sequence[Listed], seen: set[tuple[str, int]]) -> list[Listed]:
    """Those of which this very state was not seen yet; remembers them."""
    fresh = []
    for fact, refund_ids in listed:
        state = (fact.order_id, hash(fact.payload))
        if state not in seen:
            seen.add(state)
            fresh.append((fact, refund_ids))
    return fresh


def _order_fact(found: Record, payload: bytes) -> Fact:
    """One that says too little of itself is kept as well: reading it will say what is wrong, and hold it."""
    try:
        return order_fact(found, payload, topic=ORDER_TOPIC)
    except PayloadError as error:
        if not is_id(found.get("id")):
            raise ShopUnavailableError(f"the list of orders holds something else: {error}") from error
        return Fact(kind=FactKind.ORDER, order_id=str(found["id"]), topic=ORDER_TOPIC, payload=payload, version=UNDATED)


def _refund_fact(order_id: str, found: Record, payload: bytes) -> Fact:
    try:
        part, version = identity(found, "refund id"), made_at(found)
    except PayloadError as error:
        raise ShopUnavailableError(f"the refunds of order {order_id} hold something else: {error}") from error
    return Fact(
        kind=FactKind.REFUND, order_id=order_id, topic=REFUND_TOPIC, payload=payload, version=version, part=part
    )


def _refund_ids(order: Record) -> frozenset[str]:
    refunds = order.get("refunds")
    if not isinstance(refunds, list):
        return frozenset()
    return frozenset(str(refund.get("id")) for refund in refunds if isinstance(refund, dict))


def _same_again(page: int) -> ShopUnavailableError:
    return ShopUnavailableError(
        f"page {page} of the orders is page {page - 1} again", fix="keep caches away from /wp-json/wc/ in the shop"
    )


def _placed_at(order: Record) -> datetime | None:
    """When it was placed; None where it does not say, which reading it will mind."""
    try:
        return moment(order, "date_created_gmt")
    except PayloadError:
        return None


def _asked(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"


def _stamp(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds")


def _time_of(cursor: str) -> datetime:
    try:
        time = datetime.fromisoformat(cursor)
    except ValueError as error:
        raise ShopRefusedError(f"{cursor[:40]!r} is no time to ask from", fix="give an ISO 8601 date") from error
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
