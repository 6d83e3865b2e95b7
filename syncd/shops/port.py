"""What the daemon needs from a shop platform, and how an adapter is found.

An adapter is a folder here, or a package of a third party that registers its class in the entry-point group
`syncd.shops` under the platform's name.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from pydantic import SecretStr

from syncd.domain.facts import Fact, FactKind, OrderFacts
from syncd.domain.findings import Finding
from syncd.domain.order import Order

__all__ = [
    "ArticleKey",
    "Delivery",
    "Fact",
    "FactKind",
    "Finding",
    "OrderFacts",
    "Page",
    "Shop",
    "ShopConfig",
    "load_shop",
    "platforms",
]


class ArticleKey(StrEnum):
    """What a platform may tell of an article that is sold, besides its name."""

    SKU = "SKU"
    PRODUCT_TYPE = "product type"
    TAX_CLASS = "tax class"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A verified webhook: facts to store, or the reason why there are none.

    `ping` answers 200 and stores nothing. `ignored` (a topic that concerns no order) likewise. `problem` is a signed
    body that could not be understood: it is kept as a held event and answered 202, so that the shop does not retry.
    """

    facts: tuple[Fact, ...] = ()
    topic: str = ""
    ping: bool = False
    ignored: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Facts of one poll, in the order of the shop's listing; `cursor` may be stored once they are durable."""

    facts: tuple[Fact, ...]
    cursor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopConfig:
    """An adapter's share of the settings, without the settings themselves."""

    name: str
    url: str
    webhook_secrets: tuple[SecretStr, ...]
    consumer_key: SecretStr | None = None
    consumer_secret: SecretStr | None = None
    access_token: SecretStr | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None
    tax_id_keys: tuple[str, ...] = ()  # looked at before the platform's usual ones
    timeout_seconds: float = 30.0
    api_version: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


class Shop(Protocol):
    """A platform adapter bound to one shop. `receive` and `read` are pure; the rest talks to the shop."""

    default_issue_on: tuple[str, ...]
    article_keys: frozenset[ArticleKey]  # by which of these the settings' tables can know an article

    def receive(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """Verify a webhook over its raw body and say what it tells; header names are lower-case.

        Raises SignatureError (401) or UnreadableError (400).
        """

    def read(self, facts: OrderFacts) -> Order:
        """The order that these raw facts describe. Raises PayloadError where they describe none."""

    def refund_payloads(self, raw: bytes) -> tuple[bytes, ...]:
        """Split what the shop's refund endpoint (or refund webhook) answers into single refunds."""

    @property
    def can_ask(self) -> bool:
        """Whether credentials for the shop's API were given."""

    def changes(self, cursor: str | None) -> AsyncIterator[Page]:
        """Everything changed since the cursor (None: since now), page by page, with an overlap.

        Raises ShopUnavailableError or ShopRefusedError; pages yielded before stay valid.
        """

    def placed(self, since: datetime, until: datetime, cursor: str | None) -> AsyncIterator[Page]:
        """The orders placed from `since` to before `until` as they are now, the oldest first, with their refunds.

        Every page's cursor is a time in ISO 8601: the next call may go on there. Raises as `changes`.
        """

    async def fetch(self, order_id: str) -> tuple[Fact, ...]:
        """The order's newest state and all refund details; a DELETED fact if the shop no longer has it."""

    async def check(self) -> tuple[Finding, ...]:
        """What is right and wrong with the settings at the shop's end."""

    async def close(self) -> None:
        """Give connections back."""


@cache  # looking through all that is installed takes several milliseconds
def platforms() -> Mapping[str, EntryPoint]:
    """The platforms with an adapter; nothing of it is imported."""
    return {point.name: point for point in entry_points(group="syncd.shops")}


def load_shop(platform: str) -> Callable[[ShopConfig], Shop]:
    """The adapter class registered for a platform; ValueError names the known ones."""
    if platform not in platforms():
        raise ValueError(f"unknown platform {platform!r}; known: {', '.join(sorted(platforms()))}")
    adapter: Callable[[ShopConfig], Shop] = platforms()[platform].load()
    return adapter
