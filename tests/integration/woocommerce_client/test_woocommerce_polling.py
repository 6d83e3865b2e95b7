"""Asking a shop what has changed: nothing is lost between pages, and no cursor runs ahead of what was read."""

import json
from dataclasses import replace

import pytest
from aiohttp import web

from syncd.domain.errors import ShopUnavailableError
from syncd.shops.port import FactKind, OrderFacts, Page
from syncd.shops.woocommerce.adapter import WooCommerceShop
from tests import woocommerce as captured
from tests.integration.woocommerce_client.client import CURSOR, NOW, add, ids_of, pages_of
from tests.integration.woocommerce_shop import WooCommerce, answer


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
