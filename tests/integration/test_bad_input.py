"""What broken shops send, over real HTTP into both engines: never an error of ours, and what is kept can be planned."""

import asyncio
import base64
import hmac
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa
from aiohttp import web
from pydantic import SecretStr

from syncd.dispatch.reconciler import Desk, Reconciler
from syncd.intake.receive import Door
from syncd.intake.webhooks import Counter, Webhooks
from syncd.metrics import Metrics
from syncd.shops.port import ShopConfig, load_shop
from syncd.store.engine import Database
from syncd.store.tables import shop_order
from tests.bad_input import broken, gone_wrong, shopify_order, woocommerce_order
from tests.builders import a_policy

SECRET = "shop-secret"
HEADERS = {
    "woocommerce": ("X-WC-Webhook-Topic", "order.updated", "X-WC-Webhook-Signature"),
    "shopify": ("X-Shopify-Topic", "orders/paid", "X-Shopify-Hmac-Sha256"),
}
ORDERS: dict[str, Callable[[], dict[str, Any]]] = {"woocommerce": woocommerce_order, "shopify": shopify_order}


@asynccontextmanager
async def receiving(database: Database, platform: str) -> AsyncIterator[tuple[str, Desk]]:
    """The address of a running receiver, and the desk that plans what it kept."""
    config = ShopConfig(name="loja", url="https://loja.example", webhook_secrets=(SecretStr(SECRET),))
    shop = load_shop(platform)(config)
    metrics = Metrics()
    door = Door(database, metrics, arrived=asyncio.Event())
    writing = asyncio.create_task(door.run())
    application = web.Application(client_max_size=5_000_000)
    application.add_routes(Webhooks({"loja": Counter(shop=shop, account="main")}, door, metrics).routes())
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks/loja", Desk(shop=shop, policy=a_policy())
    finally:
        await runner.cleanup()
        writing.cancel()
        await asyncio.wait([writing])


def bodies(platform: str) -> list[tuple[str, bytes]]:
    """Each under an order id of its own, so that none hides another; some have lost their id for it."""
    order = ORDERS[platform]
    fields = list(gone_wrong(order(), 7))
    told = [
        (what, body.replace(str(order()["id"]).encode(), str(number).encode()))
        for number, (what, body) in enumerate(fields, 5_000)
    ]
    return [*told[:: len(told) // 150 or 1], *broken(order())]


@pytest.mark.parametrize("platform", ORDERS)
async def test_bad_input_is_refused_or_kept_and_planned(database: Database, platform: str) -> None:
    topic_header, topic, signature_header = HEADERS[platform]
    async with receiving(database, platform) as (address, desk), aiohttp.ClientSession() as session:
        for what, body in bodies(platform):
            signature = base64.b64encode(hmac.digest(SECRET.encode(), body, "sha256")).decode()
            headers = {topic_header: topic, signature_header: signature}
            async with session.post(address, data=io.BytesIO(body), headers=headers) as answer:
                assert answer.status in {200, 202, 400, 413}, (what, answer.status)
        reconciler = Reconciler(database, {"loja": desk}, work=asyncio.Event(), planned=lambda _: None)
        while await reconciler.work_off():
            pass
    async with database.read() as connection:
        holds = (await connection.execute(sa.select(shop_order.c.hold_code, shop_order.c.plan_at))).all()
    assert len(holds) > 50
    assert all(row.plan_at is None for row in holds)
    assert "internal_error" not in {row.hold_code for row in holds}
