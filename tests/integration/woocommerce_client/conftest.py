"""A shop and its client for each test."""

from collections.abc import AsyncIterator

import pytest

from syncd.shops.woocommerce.adapter import WooCommerceShop
from tests.integration.woocommerce_client.client import a_client
from tests.integration.woocommerce_shop import WooCommerce, a_woocommerce


@pytest.fixture
async def site() -> AsyncIterator[WooCommerce]:
    async with a_woocommerce() as woocommerce:
        yield woocommerce


@pytest.fixture
async def shop(site: WooCommerce) -> AsyncIterator[WooCommerceShop]:
    made = a_client(site)
    yield made
    await made.close()
