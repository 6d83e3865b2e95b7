"""Asking a shop: no outage passes for an answer, no key leaves its header, and a check says what to fix."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from syncd.domain.errors import ShopError, ShopRefusedError, ShopUnavailableError
from syncd.domain.order import Lifecycle
from syncd.shops.port import Fact, FactKind, OrderFacts
from syncd.shops.woocommerce.adapter import WooCommerceShop
from tests import woocommerce as captured
from tests.integration.woocommerce_client.client import NOW, a_client, add, ids_of, pages_of
from tests.integration.woocommerce_shop import SECRET, WooCommerce, answer, error, php_json

TOPICS = ("order.created", "order.updated", "order.deleted", "order.restored")


# -- one order -----------------------------------------------------------------


async def test_one_order_comes_with_all_refunds(site: WooCommerce, shop: WooCommerceShop) -> None:
    site.orders[491] = captured.an_order("incl-refund-partial-line-qty.04")
    site.refunds[491] = json.loads(captured.capture("incl-refund-partial-line-qty.07").body)
    facts = await shop.fetch("491")
    assert [(fact.kind, fact.part) for fact in facts] == [(FactKind.ORDER, ""), (FactKind.REFUND, "492")]


async def test_an_order_without_refunds_costs_one_request(site: WooCommerce, shop: WooCommerceShop) -> None:
    add(site, 1)
    (fact,) = await shop.fetch("1")
    assert fact.payload == php_json(site.orders[1]).encode()
    assert len(site.requests) == 1


async def test_an_order_that_the_shop_has_no_longer_is_deleted(shop: WooCommerceShop) -> None:
    assert await shop.fetch("999999") == (
        Fact(kind=FactKind.DELETED, order_id="999999", topic="rest.order", payload=b'{"id":999999}', version=NOW),
    )


async def test_an_order_in_the_trash_is_read_as_deleted(site: WooCommerce, shop: WooCommerceShop) -> None:
    add(site, 1, status="trash")
    (fact,) = await shop.fetch("1")
    assert shop.read(OrderFacts(order=fact.payload)).lifecycle is Lifecycle.DELETED


@pytest.mark.parametrize(
    "made",
    [
        web.Response(status=404, text="<html>Not found</html>", content_type="text/html"),
        error(404, "rest_no_route", "No route was found matching the URL and request method."),
    ],
    ids=["html", "no route"],
)
async def test_another_404_deletes_nothing(site: WooCommerce, shop: WooCommerceShop, made: web.Response) -> None:
    site.answers.append(made)
    with pytest.raises(ShopRefusedError) as failure:
        await shop.fetch("1")
    assert "permalinks" in failure.value.fix


@pytest.mark.parametrize("order_id", ["", "x", "1/refunds", "../users", "9" * 40, "²"])
async def test_only_numbers_are_asked_for(site: WooCommerce, shop: WooCommerceShop, order_id: str) -> None:
    with pytest.raises(ShopRefusedError):
        await shop.fetch(order_id)
    assert not site.requests


# -- answers that are none -------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, "<html>Checking your browser</html>", ShopUnavailableError),
        (200, "<b>Notice</b>: Undefined index in x.php\n[]", ShopUnavailableError),
        (200, "", ShopUnavailableError),
        (200, "null", ShopUnavailableError),
        (200, "{}", ShopUnavailableError),
        (200, "[1]", ShopUnavailableError),
        (200, '[{"name":"no order"}]', ShopUnavailableError),
        (500, '{"code":"x","message":"y","data":7}', ShopUnavailableError),
        (502, "<html>", ShopUnavailableError),
        (400, '{"code":"rest_invalid_param","message":"Invalid"}', ShopRefusedError),
        (
            401,
            '{"code":"woocommerce_rest_authentication_error","message":"Consumer secret is invalid."}',
            ShopRefusedError,
        ),
        (403, '{"code":"woocommerce_rest_cannot_view","message":"Sorry"}', ShopRefusedError),
        (403, "<html>Forbidden</html>", ShopRefusedError),
        (406, "<html>", ShopRefusedError),
        (301, "", ShopRefusedError),
    ],
)
async def test_what_is_no_list_of_orders_is_an_error_with_its_consequence(
    site: WooCommerce, shop: WooCommerceShop, status: int, body: str, kind: type[ShopError]
) -> None:
    site.answers.append(web.Response(status=status, text=body, headers={"Location": "https://else.example/"}))
    with pytest.raises(kind) as failure:
        await pages_of(shop)
    assert type(failure.value) is kind
    assert kind is ShopUnavailableError or failure.value.fix
    assert len(site.requests) == 1


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("120", timedelta(seconds=120)),
        ("Sun, 22 Nov 2026 12:00:30 GMT", timedelta(seconds=30)),
        ("Sun, 22 Nov 2026 11:00:00 GMT", timedelta(0)),
        ("soon", None),
        ("", None),
    ],
)
async def test_a_shop_that_asks_to_wait_is_given_the_time(
    site: WooCommerce, shop: WooCommerceShop, status: int, header: str, wait: timedelta | None
) -> None:
    site.answers.append(web.Response(status=status, headers={"Retry-After": header}))
    with pytest.raises(ShopUnavailableError) as failure:
        await pages_of(shop)
    assert failure.value.retry_after == wait


async def test_a_shop_that_is_down_is_unavailable(site: WooCommerce) -> None:
    shop = a_client(site, url="http://127.0.0.1:1")
    with pytest.raises(ShopUnavailableError):
        await shop.fetch("1")
    await shop.close()


async def test_a_shop_that_says_nothing_is_given_up_in_time(site: WooCommerce) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        shop = a_client(site, url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout_seconds=0.05)
        with pytest.raises(ShopUnavailableError, match=r"0\.05 s"):
            await shop.fetch("1")
        await shop.close()


async def test_requests_go_one_at_a_time(site: WooCommerce, shop: WooCommerceShop) -> None:
    add(site, 1)
    site.gate.clear()
    other = a_client(site)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(shop.fetch("1"))
        for _ in range(5):  # while another client comes and goes, the second request had every chance to arrive
            await ids_of(other)
        under_way = [request for request in site.requests if request.endswith("/orders/1")]
        site.gate.set()
    await other.close()
    assert len(under_way) == 1


# -- keys ------------------------------------------------------------------------


async def test_the_key_travels_in_its_header_only(site: WooCommerce, shop: WooCommerceShop) -> None:
    await pages_of(shop)
    assert site.authorizations[0].startswith("Basic ")
    assert not any(word in "".join(site.requests) for word in ("ck_test", "cs_test", "consumer"))


async def test_without_tls_requests_are_signed_and_the_secret_stays_at_home(site: WooCommerce) -> None:
    add(site, 1)
    shop = a_client(site, extra={"allow_http": "true"})
    assert await ids_of(shop) == ["1"]
    await shop.close()
    assert site.authorizations[0].startswith("OAuth ")
    assert SECRET not in "".join(site.authorizations)
    assert "oauth" not in "".join(site.requests)


async def test_plain_http_to_another_machine_is_refused_unless_asked_for(site: WooCommerce) -> None:
    shop = a_client(site, url="http://loja.example")
    with pytest.raises(ShopRefusedError) as failure:
        await pages_of(shop)
    assert "https" in failure.value.fix


@pytest.mark.parametrize("url", ["", "loja.example", "ftp://loja.example", "https://", "http://[", "https://x:99999"])
async def test_an_address_that_is_none_is_refused(site: WooCommerce, url: str) -> None:
    with pytest.raises(ShopRefusedError):
        await a_client(site, url=url).fetch("1")


async def test_no_error_tells_the_secret(site: WooCommerce) -> None:
    for changes in ({"consumer_secret": SecretStr("cs_wrong")}, {"url": "http://127.0.0.1:1"}):
        shop = a_client(site, **changes)
        with pytest.raises(ShopError) as failure:
            await shop.fetch("1")
        await shop.close()
        chain = [failure.value, failure.value.__cause__]
        assert not any("cs_" in f"{error!r} {getattr(error, 'fix', '')}" for error in chain)


@pytest.mark.parametrize("missing", ["consumer_key", "consumer_secret"])
@pytest.mark.parametrize("value", [None, SecretStr("")])
async def test_half_a_key_cannot_ask(site: WooCommerce, missing: str, value: SecretStr | None) -> None:
    shop = a_client(site, **{missing: value})
    assert not shop.can_ask
    with pytest.raises(ShopRefusedError):
        await shop.fetch("1")


# -- check -----------------------------------------------------------------------


def a_webhook(topic: str, **changes: Any) -> dict[str, Any]:
    delivery_url = "https://syncd.example/webhooks/loja"
    return {"id": 1, "topic": topic, "status": "active", "delivery_url": delivery_url, **changes}


async def test_a_shop_in_order_has_nothing_to_fix(site: WooCommerce, shop: WooCommerceShop) -> None:
    site.webhooks = [a_webhook(topic) for topic in TOPICS]
    findings = await shop.check()
    assert [finding.fix for finding in findings if not finding.ok] == []
    assert len(findings) == 6


@pytest.mark.parametrize(
    ("webhooks", "told"),
    [
        ([], "none delivers to us"),
        ([a_webhook(topic, delivery_url="https://else.example/hook") for topic in TOPICS], "none delivers to us"),
        ([a_webhook(topic) for topic in TOPICS[1:]], "missing"),
        ([*map(a_webhook, TOPICS[1:]), a_webhook("order.created", status="disabled")], "disabled"),
        ([a_webhook(topic, api_version="wp_api_v2") for topic in TOPICS], "old API version"),
    ],
)
async def test_webhooks_that_do_not_reach_us_are_told_with_a_fix(
    site: WooCommerce, shop: WooCommerceShop, webhooks: list[dict[str, Any]], told: str
) -> None:
    site.webhooks = webhooks
    (wrong,) = [finding for finding in await shop.check() if not finding.ok]
    assert told in wrong.message
    assert "Webhooks" in wrong.fix


async def test_a_wrong_key_and_an_empty_secret_are_told(site: WooCommerce) -> None:
    shop = a_client(site, consumer_secret=SecretStr("cs_wrong"), webhook_secrets=(SecretStr(""),))
    secret, api = await shop.check()
    await shop.close()
    assert "webhook_secret" in secret.fix
    assert "consumer_key" in api.fix


async def test_webhooks_that_the_key_may_not_see_are_told(site: WooCommerce, shop: WooCommerceShop) -> None:
    denied = error(403, "woocommerce_rest_cannot_view", "Sorry, you cannot list resources.")
    site.answers += [answer([]), denied]
    assert "right to read" in (await shop.check())[-1].fix


async def test_without_a_key_only_that_is_told() -> None:
    secret, api = await captured.a_shop().check()
    assert secret.ok
    assert "webhooks only" in api.message
