"""The Shopify adapter: the pure parts and the client, bound to one shop."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime

from syncd.domain.findings import Finding
from syncd.domain.order import Order
from syncd.shops.port import ArticleKey, Delivery, Fact, OrderFacts, Page, ShopConfig
from syncd.shops.shopify.checks import check_shop
from syncd.shops.shopify.client import AdminApi, Clock, host_of
from syncd.shops.shopify.facts import read_delivery
from syncd.shops.shopify.fields import dumps
from syncd.shops.shopify.orders import Orders
from syncd.shops.shopify.parse import read_order, refund_records
from syncd.shops.shopify.verify import verify


class ShopifyShop:
    """One Shopify shop.

    `extra` may hold `domains`, further names in the webhooks' shop header (by blanks or commas), and
    `subscriptions = "app"` where the webhooks are declared out of the API's sight.
    """

    # A wholly refunded sale was a sale: its invoice is due together with the credit note.
    default_issue_on: tuple[str, ...] = ("paid", "partially_refunded", "refunded")
    # GraphQL would tell a product's type, but webhooks do not, and an order must read the same whichever way it came.
    article_keys = frozenset({ArticleKey.SKU})

    def __init__(self, config: ShopConfig, *, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or Clock()
        further = config.extra.get("domains", "").replace(",", " ").lower().split()
        self._domains = frozenset({host_of(config.url), *further}) - {""}
        self._api = AdminApi(config, self._clock)
        self._orders = Orders(self._api, self._clock)

    def receive(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """Verify a webhook over its raw body and say what it tells; header names are lower-case."""
        verify(headers, body, self._config.webhook_secrets)
        return read_delivery(headers, body, domains=self._domains, now=self._clock.now())

    def read(self, facts: OrderFacts) -> Order:
        """The order in the shop's currency. Raises PayloadError."""
        return read_order(facts, shop=self._config.name, tax_id_keys=self._config.tax_id_keys)

    def refund_payloads(self, raw: bytes) -> tuple[bytes, ...]:
        """Single refunds out of one, a list, or `{"refunds": [...]}`, digit for digit. Raises PayloadError."""
        return tuple(dumps(refund) for refund in refund_records(raw))

    @property
    def can_ask(self) -> bool:
        return self._api.can_ask

    def changes(self, cursor: str | None) -> AsyncIterator[Page]:
        """Orders changed since the cursor, a time in UTC; the new cursor comes with the last page of a pass."""
        return self._orders.changes(cursor)

    def placed(self, since: datetime, until: datetime, cursor: str | None) -> AsyncIterator[Page]:
        """Orders by the time they were placed; those older than 60 days need the scope read_all_orders."""
        return self._orders.placed(since, until, cursor)

    async def fetch(self, order_id: str) -> tuple[Fact, ...]:
        """The order with its refunds inside; nothing where the shop shows none, which is no proof of deletion."""
        return await self._orders.fetch(order_id)

    async def check(self) -> tuple[Finding, ...]:
        return await check_shop(self._config, self._api)

    async def close(self) -> None:
        await self._api.close()
