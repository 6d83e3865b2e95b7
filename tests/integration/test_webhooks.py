"""The receiving end over real HTTP, on both engines: what it answers, and what it has kept by then."""

import asyncio
import base64
import hashlib
import hmac
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa
from aiohttp import web
from pydantic import SecretStr

from syncd.intake.receive import Door
from syncd.intake.webhooks import Counter, Webhooks
from syncd.metrics import Metrics
from syncd.shops.port import ShopConfig, load_shop
from syncd.store.engine import Database
from syncd.store.tables import event, shop_order

SECRET = "shop-secret"
PAID = Path(__file__).parents[1].joinpath("data/shopify/order-pt-three-vat-rates-nif-discount.json").read_bytes()


class Receiver:
    """A running receiver and a shop that signs what it sends."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self._address = address

    async def post(self, body: bytes, *, secret: str = SECRET, shop: str = "montra", topic: str = "orders/paid") -> int:
        signature = base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()
        headers = {"X-Shopify-Topic": topic, "X-Shopify-Hmac-Sha256": signature}
        async with self._session.post(
            f"{self._address}/webhooks/{shop}", data=io.BytesIO(body), headers=headers
        ) as answer:
            await answer.read()
            return answer.status


@asynccontextmanager
async def receiving(database: Database) -> AsyncIterator[Receiver]:
    config = ShopConfig(name="montra", url="https://montra.myshopify.com", webhook_secrets=(SecretStr(SECRET),))
    shop = load_shop("shopify")(config)
    door = Door(database, Metrics(), arrived=asyncio.Event())
    writing = asyncio.create_task(door.run())
    application = web.Application(client_max_size=5_000_000)
    application.add_routes(Webhooks({"montra": Counter(shop=shop, account="main")}, door, Metrics()).routes())
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as session:
            yield Receiver(session, f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()
        writing.cancel()
        await asyncio.wait([writing])


async def kept(database: Database) -> tuple[int, int]:
    """(events, orders) in the ledger."""
    async with database.read() as connection:
        events = (await connection.execute(sa.select(sa.func.count()).select_from(event))).scalar_one()
        orders = (await connection.execute(sa.select(sa.func.count()).select_from(shop_order))).scalar_one()
    return events, orders


def order(**changes: Any) -> bytes:
    return json.dumps({**json.loads(PAID), **changes}).encode()


async def test_an_order_is_durable_before_it_is_accepted(database: Database) -> None:
    async with receiving(database) as shop:
        assert await shop.post(PAID) == 202
        assert await kept(database) == (1, 1)


async def test_a_known_event_needs_no_storing(database: Database) -> None:
    async with receiving(database) as shop:
        assert await shop.post(PAID) == 202
        assert await shop.post(PAID, topic="orders/updated") == 200
        assert await kept(database) == (1, 1)


async def test_a_wrong_signature_leaves_no_trace(database: Database) -> None:
    async with receiving(database) as shop:
        assert await shop.post(PAID, secret="somebody-else") == 401
        assert await shop.post(b"{not json", secret="somebody-else") == 401
        assert await kept(database) == (0, 0)


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"", b'{"id": 1,}'])
async def test_what_is_not_json_is_the_senders_mistake(database: Database, body: bytes) -> None:
    async with receiving(database) as shop:
        assert await shop.post(body) == 400
        assert await kept(database) == (0, 0)


async def test_a_body_of_ten_megabytes_is_too_large(database: Database) -> None:
    async with receiving(database) as shop:
        assert await shop.post(b'{"note":"' + b"x" * 10_000_000 + b'"}') == 413
        assert await kept(database) == (0, 0)


async def test_an_unknown_shop_is_not_found(database: Database) -> None:
    async with receiving(database) as shop:
        assert await shop.post(PAID, shop="nobody") == 404


@pytest.mark.parametrize("body", [b"[]", b"null", b"7", b'"text"', b'{"id":"x"}', b'{"id":-1}', b'{"id":1.5}'])
async def test_a_signed_riddle_is_kept_for_a_person(database: Database, body: bytes) -> None:
    async with receiving(database) as shop:
        assert await shop.post(body) == 202
        assert await kept(database) == (1, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"note": "nul \x00 inside"},
        {"name": "#" + "9" * 10_000},
        {"email": "😀@exemplo.example"},
        {"note": "<script>alert(1)</script>"},
        {"line_items": [{"id": 1, "quantity": -5}]},
        {"line_items": [{"id": 1, "quantity": 10**30}]},
        {"currency": "XYZ"},
        {"tax_lines": [{"rate": 99.9, "price": "1.00"}]},
    ],
    ids=["nul", "long-name", "emoji", "html", "negative", "absurd", "currency", "rate"],
)
async def test_odd_orders_are_accepted_and_judged_later(database: Database, changes: dict[str, Any]) -> None:
    async with receiving(database) as shop:
        assert await shop.post(order(**changes)) == 202
        assert await kept(database) == (1, 1)


async def test_many_at_once_are_all_kept(database: Database) -> None:
    async with receiving(database) as shop:
        bodies = [order(id=7_000_000 + number) for number in range(300)]
        answers = await asyncio.gather(*(shop.post(body) for body in bodies))
        assert set(answers) == {202}
        assert await kept(database) == (300, 300)


async def test_an_older_state_never_replaces_a_newer_one(database: Database) -> None:
    newer, older = order(updated_at="2026-11-21T12:00:00Z"), order(updated_at="2026-11-21T11:00:00Z")
    async with receiving(database) as shop:
        assert await shop.post(newer) == 202
        assert await shop.post(older) == 202
    async with database.read() as connection:
        held = (
            await connection.execute(sa.select(event.c.payload).join(shop_order, shop_order.c.event_id == event.c.id))
        ).one()
    assert json.loads(held.payload)["updated_at"] == "2026-11-21T12:00:00Z"


async def test_a_shop_is_told_to_come_again_while_the_database_is_away(postgres_url: str) -> None:
    gone = Database.open(
        postgres_url.rsplit("/", 1)[0] + "/nowhere"
        if "?" not in postgres_url
        else postgres_url.replace("/syncd_", "/gone_")
    )
    try:
        async with receiving(gone) as shop:
            assert await shop.post(PAID) == 503
    finally:
        await gone.close()
