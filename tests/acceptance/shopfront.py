"""A WooCommerce shop that sends signed webhooks made of a real order."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from tests.acceptance.processes import SECRET

CAPTURE = Path(__file__).parents[1] / "data/woocommerce/incl-single-block-stripe.02.order.created.json"
SAMPLE: dict[str, Any] = json.loads(json.loads(CAPTURE.read_text("utf-8"))["body"])


def an_order(number: int, *, quantity: int = 1, **changes: Any) -> dict[str, Any]:
    """The paid order of the capture under another id; more pieces cost more."""
    order: dict[str, Any] = json.loads(json.dumps(SAMPLE))
    (line,) = order["line_items"]
    line["quantity"] = quantity
    for field in ("subtotal", "subtotal_tax", "total", "total_tax"):
        line[field] = str(Decimal(line[field]) * quantity)
    for tax in line["taxes"]:
        tax["total"] = tax["subtotal"] = line["total_tax"]
    gross = Decimal(line["total"]) + Decimal(line["total_tax"])
    shipping = Decimal(order["shipping_total"]) + Decimal(order["shipping_tax"])
    order.update(id=number, number=str(number), total=str(gross + shipping), **changes)
    return order


async def send(
    address: str, *bodies: dict[str, Any] | bytes, topic: str = "order.updated", at_once: int = 16
) -> list[int]:
    """POST each as a signed webhook; the statuses in the same order."""
    gate = asyncio.Semaphore(at_once)
    async with aiohttp.ClientSession() as session:

        async def one(body: dict[str, Any] | bytes) -> int:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            signature = base64.b64encode(hmac.digest(SECRET.encode(), raw, hashlib.sha256)).decode()
            headers = {"X-WC-Webhook-Topic": topic, "X-WC-Webhook-Signature": signature}
            async with gate, session.post(f"{address}/webhooks/loja", data=raw, headers=headers) as answer:
                return answer.status

        return list(await asyncio.gather(*(one(body) for body in bodies)))


def totals(bodies: Iterable[dict[str, Any]]) -> list[Decimal]:
    return sorted(Decimal(body["total"]) for body in bodies)
