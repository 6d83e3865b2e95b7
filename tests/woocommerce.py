"""The captured WooCommerce traffic, and orders made from it."""

import base64
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from syncd.domain.order import Order
from syncd.shops.port import OrderFacts, ShopConfig
from syncd.shops.woocommerce.adapter import WooCommerceShop

DATA = Path(__file__).parent / "data" / "woocommerce"
SECRET = "syncd-capture-secret"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A webhook (headers lower-case) or, with `path`, the answer to a REST request."""

    name: str
    headers: dict[str, str]
    body: bytes
    path: str
    status: int

    @property
    def is_webhook(self) -> bool:
        return not self.path

    @property
    def json(self) -> Any:
        return json.loads(self.body, parse_float=Decimal)


def capture(name: str) -> Capture:
    """By its file's name, with or without what follows the number."""
    (file,) = [*DATA.glob(f"{name}.json"), *DATA.glob(f"{name}.*.json")]
    raw = json.loads(file.read_bytes())
    return Capture(
        name=file.stem,
        headers={key.lower(): value for key, value in raw["headers"].items()},
        body=raw["body"].encode(),
        path=raw.get("request", {}).get("path", ""),
        status=raw.get("status", 0),
    )


def captures() -> list[Capture]:
    return [capture(file.stem) for file in sorted(DATA.glob("*.json"))]


def is_order(found: Any) -> bool:
    return isinstance(found, dict) and "line_items" in found and "billing" in found


def order_bodies() -> Iterator[tuple[str, bytes]]:
    """Every whole order that was captured, out of webhooks, single answers and lists."""
    for made in captures():
        if not made.body.startswith((b"{", b"[")):
            continue
        found = json.loads(made.body)
        if is_order(found):
            yield made.name, made.body
        elif isinstance(found, list):
            for item in found:
                if is_order(item):
                    yield f"{made.name}#{item['id']}", json.dumps(item).encode()


def a_shop(*secrets: str, now: Callable[[], datetime] = lambda: NOW, **changes: Any) -> WooCommerceShop:
    settings: dict[str, Any] = {
        "name": "loja",
        "url": "https://loja.example",
        "webhook_secrets": tuple(SecretStr(secret) for secret in secrets or (SECRET,)),
    }
    return WooCommerceShop(ShopConfig(**{**settings, **changes}), now=now)


def signed(body: bytes, topic: str = "order.updated", *, secret: str = SECRET) -> dict[str, str]:
    """The headers that a shop sends with this body."""
    signature = base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()
    return {"content-type": "application/json", "x-wc-webhook-topic": topic, "x-wc-webhook-signature": signature}


def an_order(name: str = "incl-mixed-mbway.03", **changes: Any) -> dict[str, Any]:
    """A captured order with some fields changed: three articles of 6, 13 and 23 %, shipping, paid."""
    order: dict[str, Any] = {**json.loads(capture(name).body), **changes}
    return order


def read(order: dict[str, Any], *refunds: Any, **shop: Any) -> Order:
    facts = OrderFacts(order=json.dumps(order).encode(), refunds=tuple(json.dumps(r).encode() for r in refunds))
    return a_shop(**shop).read(facts)
