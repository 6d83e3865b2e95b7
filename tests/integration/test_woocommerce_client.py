"""Asking a shop: nothing is lost between pages, no outage passes for an answer, no key leaves its header."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from syncd.domain.errors import ShopError, ShopRefusedError, ShopUnavailableError
from syncd.domain.order import Lifecycle
from syncd.shops.port import Fact, FactKind, OrderFacts, Page
from syncd.shops.woocommerce.adapter import WooCommerceShop
from tests import woocommerce as captured
from tests.integration.woocommerce_shop import KEY, SECRET, WooCommerce, a_woocommerce, answer, error, php_json

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CURSOR = "2026-11-22T11:00:00+00:00"
TOPICS = ("order.created", "order.updated", "order.deleted", "order.restored")


@pytest.fixture
async def site() -> AsyncIterator[WooCommerce]:
    async with a_woocommerce() as woocommerce:
        yield woocommerce


def a_client(site: WooCommerce, **changes: Any) -> WooCommerceShop:
    settings: dict[str, Any] = {
        "url": site.url,
        "consumer_key": SecretStr(KEY),
        "consumer_secret": SecretStr(SECRET),
        "timeout_seconds": 5.0,
    }
    return captured.a_shop(now=lambda: NOW, **{**settings, **changes})


@pytest.fixture
async def shop(site: WooCommerce) -> AsyncIterator[WooCommerceShop]:
    made = a_client(site)
    yield made
    await made.close()


def add(site: WooCommerce, number: int, modified: str = "2026-11-22T11:30:00", **changes: Any) -> dict[str, Any]:
    order = captured.an_order(id=number, number=str(number), date_modified_gmt=modified, **changes)
    site.orders[number] = json.loads(json.dumps(order, default=str))
    return site.orders[number]


async def pages_of(shop: WooCommerceShop, cursor: str | None = CURSOR) -> list[Page]:
    return [page async for page in shop.changes(cursor)]


async def ids_of(shop: WooCommerceShop, cursor: str | None = CURSOR) -> list[str]:
    return [fact.order_id for page in await pages_of(shop, cursor) for fact in page.facts]


# -- the poller ----------------------------------------------------------------


async def test_orders_that_share_a_second_are_all_found_over_pages(site: WooCommerce, shop: WooCommerceShop) -> None:
    for number in range(1, 102):
        add(site, number)
    pages = await pages_of(shop)
    assert [fact.order_id for page in pages for fact in page.facts] == [str(number) for number in range(1, 102)]
    assert [page.cursor for page in pages] == [CURSOR, CURSOR, "2026-11-22T11:30:00+00:00"]


async def test_exactly_full_pages_end_as_well(site: WooCommerce, shop: WooCommerceShop) -> None:
    for number in range(1, 201):
        add(site, number)
    assert len(await ids_of(shop)) == 200


async def test_the_next_round_overlaps_and_asks_in_utc(site: WooCommerce, shop: WooCommerceShop) -> None:
    add(site, 1, "2026-11-22T10:56:00")  # before the cursor, but it may have become visible since
    add(site, 2, "2026-11-22T10:54:00")
    assert await ids_of(shop) == ["1"]
    assert "modified_after=2026-11-22T10:55:00&dates_are_gmt=true&per_page=100&orderby=id&order=asc" in site.requests[0]


async def test_nothing_new_costs_one_request_and_keeps_the_cursor(site: WooCommerce, shop: WooCommerceShop) -> None:
    assert await pages_of(shop) == [Page(facts=(), cursor=CURSOR)]
    assert len(site.requests) == 1


async def test_the_first_round_begins_now(site: WooCommerce, shop: WooCommerceShop) -> None:
    add(site, 1, "2026-11-20T00:00:00")
    add(site, 2, "2026-11-22T11:59:00")
    pages = await pages_of(shop, None)
    assert [fact.order_id for page in pages for fact in page.facts] == ["2"]
    assert pages[-1].cursor == "2026-11-22T11:59:00+00:00"


async def test_an_order_that_moves_between_pages_is_found_by_the_next_pass(
    site: WooCommerce, shop: WooCommerceShop
) -> None:
    for number in range(1, 151):
        add(site, number)

    def trash_one_on_the_first_page(request: web.Request) -> None:
        if request.query.get("page") == "2":
            site.orders[5]["status"] = "trash"  # number 101 slips from page two to page one

    site.before_answer = trash_one_on_the_first_page
    assert sorted(map(int, await ids_of(shop))) == list(range(1, 151))


async def test_an_order_that_changes_between_pages_is_found_in_its_newest_state(
    site: WooCommerce, shop: WooCommerceShop
) -> None:
    for number in range(1, 151):
        add(site, number, status="on-hold")

    def change_one_already_seen(request: web.Request) -> None:
        if request.query.get("page") == "2" and site.orders[3]["status"] == "on-hold":
            site.orders[3].update(status="processing", date_modified_gmt="2026-11-22T11:31:00")

    site.before_answer = change_one_already_seen
    facts = [fact for page in await pages_of(shop) for fact in page.facts if fact.order_id == "3"]
    assert [json.loads(fact.payload)["status"] for fact in facts] == ["on-hold", "processing"]


async def test_a_shop_that_never_rests_still_comes_to_an_end(site: WooCommerce, shop: WooCommerceShop) -> None:
    for number in range(1, 151):
        add(site, number)
    minute = iter(range(31, 60))

    def change_one(_: web.Request) -> None:
        site.orders[1]["date_modified_gmt"] = f"2026-11-22T11:{next(minute)}:00"

    site.before_answer = change_one
    pages = await pages_of(shop)
    assert {fact.order_id for page in pages for fact in page.facts} == {str(number) for number in range(1, 151)}
    assert pages[-1].cursor <= "2026-11-22T11:32:00+00:00"


async def test_a_break_in_the_middle_keeps_the_old_cursor(site: WooCommerce, shop: WooCommerceShop) -> None:
    for number in range(1, 151):
        add(site, number)

    def break_down(request: web.Request) -> None:
        if request.query.get("page") == "2":
            site.answers.append(web.Response(status=502, text="<html>Bad gateway</html>", content_type="text/html"))

    site.before_answer = break_down
    changes = shop.changes(CURSOR)
    assert (await anext(changes)).cursor == CURSOR
    with pytest.raises(ShopUnavailableError):
        await anext(changes)


async def test_a_cache_that_repeats_a_page_is_an_outage(site: WooCommerce, shop: WooCommerceShop) -> None:
    full = [add(site, number) for number in range(1, 101)]
    site.answers += [answer(full), answer(full)]
    with pytest.raises(ShopUnavailableError, match="page 2"):
        await pages_of(shop)


async def test_a_shop_whose_clock_is_ahead_does_not_blind_us(site: WooCommerce, shop: WooCommerceShop) -> None:
    add(site, 1, "2031-01-01T00:00:00")
    pages = await pages_of(shop)
    assert pages[-1].cursor == NOW.isoformat()


async def test_refunds_come_with_their_orders_once(site: WooCommerce, shop: WooCommerceShop) -> None:
    refund = captured.capture("incl-refund-partial-line-qty.07").json[0]
    site.refunds[491] = [json.loads(json.dumps(refund, default=str))]
    site.orders[491] = captured.an_order("incl-refund-partial-line-qty.04", date_modified_gmt="2026-11-22T11:30:00")
    add(site, 492)
    (first, _) = await pages_of(shop)
    assert [(fact.kind, fact.order_id, fact.part) for fact in first.facts] == [
        (FactKind.ORDER, "491", ""),
        (FactKind.ORDER, "492", ""),
        (FactKind.REFUND, "491", "492"),
    ]
    order = shop.read(OrderFacts(order=first.facts[0].payload, refunds=(first.facts[2].payload,)))
    assert [line.line_id for line in order.refunds[0].lines] == ["1801"]
    assert sum("refunds" in request for request in site.requests) == 1
    assert await pages_of(shop) == [first, _]  # the same again is the same facts


async def test_a_poll_brings_the_bytes_that_the_webhook_brought(site: WooCommerce, shop: WooCommerceShop) -> None:
    made = captured.capture("incl-unicode-names.02")
    body = made.body.decode()
    site.answers.append(
        web.Response(text=f"[{body},\n {body}]", content_type="application/json", headers={"X-WP-TotalPages": "1"})
    )
    (page, _) = await pages_of(shop)
    (delivered,) = shop.receive(made.headers, made.body).facts
    assert page.facts == (replace(delivered, topic="rest.order"),)


async def test_an_order_that_cannot_be_read_does_not_stop_the_others(site: WooCommerce, shop: WooCommerceShop) -> None:
    orders = [{"id": 7, "status": "processing"}, add(site, 8)]
    site.answers.append(answer(orders, headers={"X-WP-TotalPages": "1"}))
    assert await ids_of(shop) == ["7", "8"]


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
