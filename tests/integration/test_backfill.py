"""Past orders from real-mannered shops into a real ledger: each once, in their lane, and on from where it stopped."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from syncd.domain.errors import ShopRefusedError, ShopUnavailableError
from syncd.intake.backfill import MOST_FAILURES, Backfill, Period, Progress, TakenOverError
from syncd.intake.receive import Door
from syncd.metrics import Metrics
from syncd.shops.generic.adapter import GenericShop
from syncd.shops.port import ShopConfig
from syncd.store import pollers
from syncd.store.engine import Database
from syncd.store.tables import event, shop_order
from tests import woocommerce as captured
from tests.integration.test_shopify_client import a_shop as a_shopify
from tests.integration.test_shopify_client import an_order as a_shopify_order
from tests.integration.woocommerce_shop import KEY, SECRET, WooCommerce, a_woocommerce, answer, error
from tests.shopify_emulator import Emulator

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
MARCH = Period(first=date(2026, 3, 1), last=date(2026, 3, 31), since=FIRST, until=FIRST + timedelta(days=31))


@pytest.fixture
async def site() -> AsyncIterator[WooCommerce]:
    async with a_woocommerce() as woocommerce:
        yield woocommerce


class Past:
    """A backfill of March with its door, and the waits that it asked for."""

    def __init__(self, database: Database, site: WooCommerce) -> None:
        self.shop = captured.a_shop(
            url=site.url, timeout_seconds=5.0, consumer_key=SecretStr(KEY), consumer_secret=SecretStr(SECRET)
        )
        self.database = database
        self.door = Door(database, Metrics(), arrived=asyncio.Event())
        self.waits: list[float] = []
        self.work = Backfill("loja", self.shop, MARCH, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def pages(self, owner: str = "here") -> AsyncIterator[Progress]:
        return self.work.take_in(self.database, self.door, account="main", owner=owner)

    async def all(self) -> list[Progress]:
        return [made async for made in self.pages()]


@asynccontextmanager
async def a_past(database: Database, site: WooCommerce) -> AsyncIterator[Past]:
    made = Past(database, site)
    writing = asyncio.create_task(made.door.run())
    try:
        yield made
    finally:
        writing.cancel()
        await asyncio.wait([writing])
        await made.shop.close()


def place(site: WooCommerce, number: int, at: datetime, **changes: Any) -> None:
    written = f"{at:%Y-%m-%dT%H:%M:%S}"
    order = captured.an_order(
        id=number, number=str(number), date_created_gmt=written, date_modified_gmt=written, **changes
    )
    site.orders[number] = json.loads(json.dumps(order, default=str))


async def known(database: Database) -> dict[str, int]:
    """Each order's lane."""
    async with database.read() as connection:
        found = await connection.execute(sa.select(shop_order.c.order_id, shop_order.c.lane))
        return {row.order_id: row.lane for row in found}


async def sources(database: Database) -> list[str]:
    async with database.read() as connection:
        return sorted((await connection.execute(sa.select(event.c.source))).scalars())


async def test_every_order_of_the_period_is_taken_in_once_behind_the_live_ones(
    database: Database, site: WooCommerce
) -> None:
    for number in range(1, 251):
        place(site, number, FIRST + timedelta(hours=number))
    place(site, 900, FIRST - timedelta(seconds=1))
    place(site, 901, MARCH.until)
    async with a_past(database, site) as past:
        first = await past.all()
        again = await past.all()
    assert await known(database) == {str(number): 1 for number in range(1, 251)}
    assert set(await sources(database)) == {"backfill"}
    assert (first[-1].orders, first[-1].new, first[-1].at) == (250, 250, MARCH.until)
    assert (again[0].at, again[-1].orders, again[-1].new) == (FIRST, 250, 0)
    assert len(site.requests) == 6  # a hundred orders to a request


async def test_one_that_was_killed_goes_on_where_it_was(database: Database, site: WooCommerce) -> None:
    for number in range(1, 401):
        place(site, number, FIRST + timedelta(hours=number))
    async with a_past(database, site) as past:
        pages = past.pages()
        # Where it stands, and two pages; never closed, as if the process were gone.
        made = [await anext(pages) for _ in range(3)][-1]
        before = len(site.requests)
        rest = [progress async for progress in past.pages("there")]
        assert rest[0].at == made.at > FIRST
        assert len(site.requests) - before == 3
        with pytest.raises(TakenOverError):  # were it alive after all, it would stop
            await anext(pages)
    assert len(await known(database)) == 400


async def test_a_shop_that_is_away_is_asked_again_and_then_given_up_without_losing_the_place(
    database: Database, site: WooCommerce
) -> None:
    for number in range(1, 151):
        place(site, number, FIRST + timedelta(hours=number))
    async with a_past(database, site) as past:
        site.answers = [error(503, "down", "Service Unavailable") for _ in range(MOST_FAILURES - 1)]
        assert (await past.all())[-1].orders == 150
        assert past.waits == [1, 2, 4, 8, 16]
        site.answers = [error(503, "down", "Service Unavailable") for _ in range(MOST_FAILURES)]
        with pytest.raises(ShopUnavailableError):
            await past.all()
    (row,) = await pollers.all_pollers(database)
    assert row.name == "backfill:loja:2026-03-01:2026-03-31"


async def test_a_refund_comes_with_its_details(database: Database, site: WooCommerce) -> None:
    place(site, 7, FIRST, refunds=[{"id": 70, "reason": "", "total": "-1.00"}])
    site.refunds[7] = [{"id": 70, "date_created_gmt": "2026-03-02T10:00:00", "amount": "1.00", "line_items": []}]
    async with a_past(database, site) as past:
        assert (await past.all())[-1].new == 2


async def test_orders_of_the_hour_that_comes_twice_are_not_skipped(database: Database, site: WooCommerce) -> None:
    """The shop sorts by a clock that was set back: what it lists later may be older."""
    site.sorted_by = "shown"
    back = FIRST + timedelta(hours=1)
    for number in range(1, 131):
        at = FIRST + timedelta(seconds=50 * number)
        place(site, number, at, shown=f"{at - timedelta(hours=at >= back):%Y-%m-%dT%H:%M:%S}")
    async with a_past(database, site) as past:
        await past.all()
    assert len(await known(database)) == 130


async def test_many_orders_of_one_second_are_all_taken_in(database: Database, site: WooCommerce) -> None:
    for number in range(1, 231):
        place(site, number, FIRST)
    async with a_past(database, site) as past:
        await past.all()
    assert len(await known(database)) == 230


async def test_a_cache_that_gives_the_same_page_again_is_noticed(site: WooCommerce) -> None:
    for number in range(1, 231):
        place(site, number, FIRST)
    shop = captured.a_shop(url=site.url, consumer_key=SecretStr(KEY), consumer_secret=SecretStr(SECRET))
    pages = shop.placed(FIRST, MARCH.until, None)
    await anext(pages)
    site.answers = [answer(list(site.orders.values())[:100])]
    with pytest.raises(ShopUnavailableError, match="page 2 of the orders is page 1 again"):
        await anext(pages)
    await shop.close()


async def test_shopify_lists_by_the_time_of_placing_and_goes_on_from_a_cursor() -> None:
    emulator = Emulator(listed_at_once=20)
    for number in range(1, 61):
        placed = FIRST + timedelta(hours=number)
        emulator.orders.append(a_shopify_order(number) | {"createdAt": placed.isoformat()})
    emulator.orders.append(a_shopify_order(99) | {"createdAt": MARCH.until.isoformat()})
    async with a_shopify(emulator) as shop:
        pages = [page async for page in shop.placed(FIRST, MARCH.until, None)]
        rest = [page async for page in shop.placed(FIRST, MARCH.until, pages[0].cursor)]
        assert [len(page.facts) for page in pages] == [25, 25, 10]
        assert {fact.order_id for page in pages for fact in page.facts} == {str(number) for number in range(1, 61)}
        # The order at the cursor comes again: another one may be of the same second.
        assert sum(len(page.facts) for page in rest) == 36
        emulator.ignore_filter = True
        with pytest.raises(ShopRefusedError, match="ignored the filter"):
            [page async for page in shop.placed(FIRST + timedelta(days=1), MARCH.until, None)]


async def test_a_shop_that_only_posts_cannot_be_asked() -> None:
    shop = GenericShop(ShopConfig(name="loja", url="", webhook_secrets=()))
    with pytest.raises(ShopRefusedError, match="only posts"):
        await anext(shop.placed(FIRST, MARCH.until, None))
