"""The WooCommerce adapter: the pure parts and the client, bound to one shop."""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime

from syncd.domain.findings import Finding
from syncd.domain.order import Order
from syncd.shops.port import ArticleKey, Delivery, Fact, OrderFacts, Page, ShopConfig
from syncd.shops.woocommerce.checks import check_shop
from syncd.shops.woocommerce.client import RestApi
from syncd.shops.woocommerce.deliveries import read_delivery
from syncd.shops.woocommerce.fields import objects
from syncd.shops.woocommerce.orders import Orders
from syncd.shops.woocommerce.parse import read_order
from syncd.shops.woocommerce.verify import keys_of


def _now() -> datetime:
    return datetime.now(UTC)


class WooCommerceShop:
    """One WooCommerce shop (3.5 or newer). `extra` may hold `allow_http = "true"` for a shop without TLS."""

    default_issue_on: tuple[str, ...] = ("processing", "completed")
    article_keys = frozenset({ArticleKey.SKU, ArticleKey.TAX_CLASS})

    def __init__(self, config: ShopConfig, *, now: Callable[[], datetime] = _now) -> None:
        self._config = config
        self._now = now
        self._keys = keys_of(config.webhook_secrets)
        self._api = RestApi(config, now=now)
        self._orders = Orders(self._api, now=now)

    def receive(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """Verify a webhook over its raw body and say what it tells; header names are lower-case.

        Raises SignatureError or UnreadableError.
        """
        return read_delivery(headers, body, keys=self._keys, now=self._now())

    def read(self, facts: OrderFacts) -> Order:
        """The order. Raises PayloadError naming the field that is wrong."""
        return read_order(facts, shop=self._config.name, tax_id_keys=self._config.tax_id_keys)

    def refund_payloads(self, raw: bytes) -> tuple[bytes, ...]:
        """The refunds of one answer, single or a list, byte for byte. Raises PayloadError."""
        return tuple(payload for _, payload in objects(raw))

    @property
    def can_ask(self) -> bool:
        return self._api.can_ask

    def changes(self, cursor: str | None) -> AsyncIterator[Page]:
        """Orders changed since the cursor, a time in UTC. Raises ShopUnavailableError or ShopRefusedError."""
        return self._orders.changes(cursor)

    def placed(self, since: datetime, until: datetime, cursor: str | None) -> AsyncIterator[Page]:
        """Orders by the time they were placed. Raises ShopUnavailableError or ShopRefusedError."""
        return self._orders.placed(since, until, cursor)

    async def fetch(self, order_id: str) -> tuple[Fact, ...]:
        """The order and the details of its refunds; a DELETED fact if the shop has it no longer."""
        return await self._orders.fetch(order_id)

    async def check(self) -> tuple[Finding, ...]:
        return await check_shop(self._config, self._api)

    async def close(self) -> None:
        await self._api.close()
