"""Polling a real-mannered shop into a real ledger: cursors, hints, outages, and several replicas."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from syncd.domain.facts import Fact, FactKind
from syncd.intake.pollers import Pollers, Source
from syncd.intake.receive import Door, incoming
from syncd.metrics import Metrics
from syncd.store import orders, pollers
from syncd.store.engine import Database
from syncd.store.tables import event, shop_order
from tests import woocommerce as captured
from tests.builders import PAID_AT
from tests.integration.woocommerce_shop import KEY, SECRET, WooCommerce, a_woocommerce, error

SOON = timedelta(0)


@pytest.fixture
async def site() -> AsyncIterator[WooCommerce]:
    async with a_woocommerce() as woocommerce:
        yield woocommerce


class Polling:
    """A poller with its door, driven by hand."""

    def __init__(self, database: Database, site: WooCommerce, *, can_ask: bool = True, owner: str = "here") -> None:
        keys: dict[str, Any] = {"consumer_key": SecretStr(KEY), "consumer_secret": SecretStr(SECRET)}
        shop = captured.a_shop(url=site.url, timeout_seconds=5.0, **(keys if can_ask else {}))
        self.database = database
        self.shop = shop
        self.door = Door(database, Metrics(), arrived=asyncio.Event())
        self.source = Source(name="loja", account="main", shop=shop, interval=SOON)
        sources = {"loja": self.source}
        self.pollers = Pollers(sources, database, self.door, Metrics(), owner=owner, arrived=asyncio.Event())

    async def poll(self) -> None:
        await self.pollers.poll(self.source)

    async def cursor(self) -> str | None:
        return (await pollers.all_pollers(self.database))[0].cursor


@asynccontextmanager
async def polling(database: Database, site: WooCommerce, **options: Any) -> AsyncIterator[Polling]:
    made = Polling(database, site, **options)
    writing = asyncio.create_task(made.door.run())
    try:
        yield made
    finally:
        writing.cancel()
        await asyncio.wait([writing])
        await made.shop.close()


def add(site: WooCommerce, number: int, modified: str, **changes: Any) -> None:
    order = captured.an_order(id=number, number=str(number), date_modified_gmt=modified, **changes)
    site.orders[number] = json.loads(json.dumps(order, default=str))


async def known(database: Database) -> set[str]:
    async with database.read() as connection:
        return set((await connection.execute(sa.select(shop_order.c.order_id))).scalars())


async def test_everything_changed_is_taken_in_once_and_the_cursor_moves(database: Database, site: WooCommerce) -> None:
    async with polling(database, site) as shop:
        await shop.poll()  # the first pass only says from when on
        for number in range(1, 131):  # more than a page, all in one second
            add(site, number, "2099-01-01T10:00:00")
        before = await shop.cursor()
        await shop.poll()
        await shop.poll()
        assert len(await known(database)) == 130
        assert await shop.cursor() != before
        async with database.read() as connection:
            assert (await connection.execute(sa.select(sa.func.count()).select_from(event))).scalar_one() == 130


async def test_an_outage_keeps_the_cursor_and_loses_nothing(database: Database, site: WooCommerce) -> None:
    async with polling(database, site) as shop:
        await shop.poll()
        before = await shop.cursor()
        add(site, 7, "2099-01-01T10:00:00")
        site.answers.append(error(503, "down", "Service Unavailable"))
        await shop.poll()
        assert (await shop.cursor(), await known(database)) == (before, set())
        (row,) = await pollers.all_pollers(database)
        assert "ShopUnavailableError" in row.last_error
        await shop.poll()
        assert await known(database) == {"7"}


async def test_a_hint_is_followed_up(database: Database, site: WooCommerce) -> None:
    add(site, 9, "2026-11-21T10:00:00")
    hint = Fact(kind=FactKind.HINT, order_id="9", topic="action.refunded", payload=b"{}", version=PAID_AT)
    async with polling(database, site) as shop:
        await shop.door.put(incoming("loja", "main", hint, source="webhook"))
        await shop.pollers.fetch()
        async with database.read() as connection:
            row = await orders.get(connection, "loja", "9")
        assert row is not None
        assert (row.event_id is not None, row.fetch_at) == (True, None)


async def test_a_hint_that_nobody_can_follow_up_ends_as_an_order_to_be_planned(
    database: Database, site: WooCommerce
) -> None:
    hint = Fact(kind=FactKind.HINT, order_id="9", topic="action.refunded", payload=b"{}", version=PAID_AT)
    async with polling(database, site, can_ask=False) as shop:
        await shop.door.put(incoming("loja", "main", hint, source="webhook"))
        await shop.pollers.fetch()
        async with database.read() as connection:
            row = await orders.get(connection, "loja", "9")
        assert row is not None
        assert (row.fetch_at, row.plan_at is not None) == (None, True)


async def test_a_shop_is_polled_by_one_replica_at_a_time(database: Database, site: WooCommerce) -> None:
    async with polling(database, site, owner="two") as second:
        now = datetime.now(UTC)
        turn = await pollers.claim(database, "poll:loja", owner="one", now=now, lease=timedelta(minutes=5))
        assert turn is not None
        await second.poll()
        assert site.requests == []
        await pollers.finish(database, turn, cursor=None, next_at=now, now=now)
        await second.poll()
        assert len(site.requests) == 1
