"""A client of the shop on loopback, orders to put there, and what its polls bring."""

import json
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from syncd.shops.port import Page
from syncd.shops.woocommerce.adapter import WooCommerceShop
from tests import woocommerce as captured
from tests.integration.woocommerce_shop import KEY, SECRET, WooCommerce

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CURSOR = "2026-11-22T11:00:00+00:00"


def a_client(site: WooCommerce, **changes: Any) -> WooCommerceShop:
    settings: dict[str, Any] = {
        "url": site.url,
        "consumer_key": SecretStr(KEY),
        "consumer_secret": SecretStr(SECRET),
        "timeout_seconds": 5.0,
    }
    return captured.a_shop(now=lambda: NOW, **{**settings, **changes})


def add(site: WooCommerce, number: int, modified: str = "2026-11-22T11:30:00", **changes: Any) -> dict[str, Any]:
    order = captured.an_order(id=number, number=str(number), date_modified_gmt=modified, **changes)
    site.orders[number] = json.loads(json.dumps(order, default=str))
    return site.orders[number]


async def pages_of(shop: WooCommerceShop, cursor: str | None = CURSOR) -> list[Page]:
    return [page async for page in shop.changes(cursor)]


async def ids_of(shop: WooCommerceShop, cursor: str | None = CURSOR) -> list[str]:
    return [fact.order_id for page in await pages_of(shop, cursor) for fact in page.facts]
