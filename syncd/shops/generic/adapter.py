"""The generic shop: a system that posts its orders itself and cannot be asked for any.

It posts the document that `order.schema.json` describes, or `{"ping": true}` to try out address and signature.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime

import orjson
from pydantic import ValidationError

from syncd.domain.errors import PayloadError, ShopRefusedError, UnreadableError
from syncd.domain.findings import Finding
from syncd.domain.order import Order
from syncd.shops.generic.parse import order_of, parse
from syncd.shops.generic.payload import Identity
from syncd.shops.generic.verify import key_of, verify
from syncd.shops.port import ArticleKey, Delivery, Fact, FactKind, OrderFacts, Page, ShopConfig

TOPIC = "order"
SHORTEST_KEY = 24  # bytes, as Standard Webhooks asks for


def _now() -> datetime:
    return datetime.now(UTC)


class GenericShop:
    """Receives orders as our own document; raises ShopRefusedError for a secret that is none."""

    default_issue_on: tuple[str, ...] = ("paid",)
    article_keys = frozenset(ArticleKey)

    def __init__(self, config: ShopConfig, *, now: Callable[[], datetime] = _now) -> None:
        self._name = config.name
        self._keys = tuple(key_of(secret) for secret in config.webhook_secrets)
        self._now = now

    def receive(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """The order in a signed post. One that is wrong but names itself is kept as the order's newest version."""
        verify(headers, body, self._keys, now=self._now())
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise UnreadableError("the body is not JSON") from error
        if value == {"ping": True}:
            return Delivery(topic="ping", ping=True)
        try:
            # A later version of a wrong one may be right, so the order is held, not the event.
            identity = Identity.model_validate_json(body)
        except ValidationError:
            return Delivery(topic=TOPIC, problem=_problem(body))
        fact = Fact(kind=FactKind.ORDER, order_id=identity.id, topic=TOPIC, payload=body, version=identity.updated_at)
        return Delivery(topic=TOPIC, facts=(fact,))

    def read(self, facts: OrderFacts) -> Order:
        """The order; its refunds are part of the document, so that there are no separate ones."""
        return order_of(parse(facts.order), shop=self._name, deleted=facts.deleted)

    def refund_payloads(self, raw: bytes) -> tuple[bytes, ...]:  # noqa: ARG002 - the port's signature
        """None: refunds stand in the order."""
        return ()

    @property
    def can_ask(self) -> bool:
        return False

    async def changes(self, cursor: str | None) -> AsyncIterator[Page]:  # noqa: ARG002 - the port's signature
        """Nothing: what is not posted is not known."""
        none: tuple[Page, ...] = ()
        for page in none:
            yield page

    async def placed(self, since: datetime, until: datetime, cursor: str | None) -> AsyncIterator[Page]:  # noqa: ARG002 - the port's signature
        """Always ShopRefusedError: there is nobody to ask."""
        if not self.can_ask:
            raise _only_posts("past orders cannot be asked for")
        yield Page(facts=(), cursor="")

    async def fetch(self, order_id: str) -> tuple[Fact, ...]:
        """Always ShopRefusedError: there is nobody to ask."""
        raise _only_posts(f"order {order_id} cannot be asked for")

    async def check(self) -> tuple[Finding, ...]:
        """The keys' strength; whether the other side posts shows only when it does."""
        return tuple(
            Finding(
                subject=f"shop {self._name}: webhook_secret",
                message=f"{len(key)} bytes",
                fix="" if len(key) >= SHORTEST_KEY else f"use at least {SHORTEST_KEY} random bytes",
            )
            for key in self._keys
        )

    async def close(self) -> None:
        """Nothing is open."""


def _only_posts(what: str) -> ShopRefusedError:
    return ShopRefusedError(
        f"{what}: a generic shop only posts",
        code="cannot_ask",
        fix="have the sending system post again what is missing",
    )


def _problem(body: bytes) -> str:
    """What is wrong with a document that does not even name its order."""
    try:
        parse(body)
    except PayloadError as error:
        return str(error)
    return "the document does not name its order"
