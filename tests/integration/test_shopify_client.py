"""The client against a shop on loopback: real HTTP, no waiting."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from pydantic import SecretStr

from syncd.domain.errors import ShopRefusedError, ShopUnavailableError
from syncd.shops.port import Fact, FactKind, OrderFacts, Page, ShopConfig
from syncd.shops.shopify.adapter import ShopifyShop
from syncd.shops.shopify.client import Clock, api_base
from tests.shopify_emulator import Emulator, Json, as_graphql, graphql_error, payload, raw, serve

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CONFIG = ShopConfig(
    name="montra",
    url="https://montra.myshopify.com",
    webhook_secrets=(SecretStr("hush"),),
    access_token=SecretStr("shpat_good"),
)
GRANT = replace(CONFIG, access_token=None, client_id="app", client_secret=SecretStr("app-secret"))


@dataclass
class Hands:
    """A clock whose hands move only when somebody sleeps."""

    passed: float = 0.0
    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.passed += seconds

    @property
    def clock(self) -> Clock:
        return Clock(
            now=lambda: START + timedelta(seconds=self.passed),
            monotonic=lambda: self.passed,
            sleep=self.sleep,
            jitter=lambda: 0.0,
        )


@asynccontextmanager
async def a_shop(
    emulator: Emulator, config: ShopConfig = CONFIG, hands: Hands | None = None
) -> AsyncIterator[ShopifyShop]:
    async with serve(emulator) as url:
        shop = ShopifyShop(replace(config, url=url), clock=(hands or Hands()).clock)
        try:
            yield shop
        finally:
            await shop.close()


def an_order(number: int = 1, *, updated: str = "2026-11-21T11:00:00Z", name: str = "order-zero-total.json") -> Json:
    return as_graphql(payload(name) | {"id": number, "updated_at": updated})


async def passed(shop: ShopifyShop, cursor: str | None) -> list[Page]:
    return [page async for page in shop.changes(cursor)]


def facts_of(pages: list[Page]) -> list[Fact]:
    return [fact for page in pages for fact in page.facts]


def answer(status: int, **headers: str) -> Callable[[], web.Response]:
    return lambda: web.Response(
        status=status, text="<html>", headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


async def test_a_fetched_order_is_read_like_its_webhook() -> None:
    name = "order-pt-edited-with-tip.json"
    async with a_shop(Emulator(orders=[as_graphql(payload(name))])) as shop:
        (fact,) = await shop.fetch("7000000000004")
        assert (fact.kind, fact.version) == (FactKind.ORDER, datetime(2026, 11, 4, 9, 0, 6, tzinfo=UTC))
        assert fact.rank > 0
        assert shop.read(OrderFacts(order=fact.payload)) == shop.read(OrderFacts(order=raw(payload(name))))


async def test_more_than_fifty_lines_are_fetched_page_by_page() -> None:
    order = an_order()
    (line,) = order["lineItems"]["nodes"]
    order["lineItems"]["nodes"] = [line | {"id": f"gid://shopify/LineItem/{number}"} for number in range(1, 122)]
    emulator = Emulator(orders=[order])
    async with a_shop(emulator) as shop:
        (fact,) = await shop.fetch("1")
        lines = shop.read(OrderFacts(order=fact.payload)).lines
    assert [line.id for line in lines[:-1]] == [str(number) for number in range(1, 122)]
    assert emulator.operations == ["One", "Lines", "Lines"]


async def test_an_order_that_changes_between_two_pages_is_read_anew() -> None:
    order = an_order()
    order["lineItems"]["nodes"] *= 60
    emulator = Emulator(orders=[order])

    def change_once(operation: str) -> None:
        if operation == "Lines" and emulator.operations.count("Lines") == 1:
            order["updatedAt"] = "2026-11-21T11:30:00Z"

    emulator.before = change_once
    async with a_shop(emulator) as shop:
        (fact,) = await shop.fetch("1")
    assert fact.version == datetime(2026, 11, 21, 11, 30, tzinfo=UTC)
    assert emulator.operations == ["One", "Lines", "One", "Lines"]


async def test_an_absent_order_is_not_called_deleted() -> None:
    async with a_shop(Emulator()) as shop:
        assert await shop.fetch("5") == ()


async def test_without_a_cursor_the_watch_begins_now() -> None:
    emulator = Emulator(orders=[an_order()])
    async with a_shop(emulator) as shop:
        assert await passed(shop, None) == [Page(facts=(), cursor="2026-11-21T12:00:00Z")]
    assert emulator.operations == []


async def test_a_pass_brings_every_change_and_moves_the_cursor_at_its_end() -> None:
    orders = [an_order(number, updated=f"2026-11-21T11:{number:02}:00Z") for number in range(1, 31)]
    emulator = Emulator(orders=orders, listed_at_once=7)
    async with a_shop(emulator) as shop:
        pages = await passed(shop, "2026-11-21T11:02:00Z")
    assert [fact.order_id for fact in facts_of(pages)] == [str(number) for number in range(1, 31)]
    assert [page.cursor for page in pages] == ["2026-11-21T11:02:00Z", "2026-11-21T11:30:00Z"]
    assert emulator.variables[0]["filter"] == "updated_at:>='2026-11-21T10:57:00Z'"
    assert emulator.operations.count("Changed") == 5


async def test_the_overlap_is_not_fetched_twice_but_a_change_in_it_is() -> None:
    first, second = an_order(1, updated="2026-11-21T11:00:00Z"), an_order(2, updated="2026-11-21T11:01:00Z")
    emulator = Emulator(orders=[first, second])
    async with a_shop(emulator) as shop:
        pages = await passed(shop, "2026-11-21T10:59:00Z")
        assert len(facts_of(pages)) == 2
        assert facts_of(await passed(shop, pages[-1].cursor)) == []
        first["updatedAt"] = "2026-11-21T11:02:00Z"
        assert [fact.order_id for fact in facts_of(await passed(shop, pages[-1].cursor))] == ["1"]


async def test_a_change_of_this_very_minute_is_fetched_again() -> None:
    emulator = Emulator(orders=[an_order(updated="2026-11-21T11:59:58Z")])
    async with a_shop(emulator) as shop:
        pages = await passed(shop, "2026-11-21T11:59:00Z")
        assert len(facts_of(await passed(shop, pages[-1].cursor))) == 1


async def test_a_pass_that_breaks_leaves_the_cursor_where_it_was() -> None:
    emulator = Emulator(orders=[an_order(number, updated="2026-11-21T11:00:00Z") for number in range(1, 40)])

    def break_later(_: str) -> None:
        if len(emulator.operations) == 30:
            emulator.faults.append(answer(502))

    emulator.before = break_later
    async with a_shop(emulator) as shop:
        pages = shop.changes("2026-11-21T10:00:00Z")
        assert (await anext(pages)).cursor == "2026-11-21T10:00:00Z"
        with pytest.raises(ShopUnavailableError):
            await anext(pages)
        assert len(facts_of(await passed(shop, "2026-11-21T10:00:00Z"))) == 39


async def test_a_filter_that_the_shop_ignores_is_noticed() -> None:
    emulator = Emulator(orders=[an_order(updated="2020-01-01T00:00:00Z")], ignore_filter=True)
    async with a_shop(emulator) as shop:
        with pytest.raises(ShopRefusedError, match="ignored the filter"):
            await passed(shop, "2026-11-21T11:00:00Z")


async def test_throttling_at_status_200_waits_for_the_missing_points() -> None:
    hands, emulator = Hands(), Emulator(orders=[an_order()], faults=[graphql_error("THROTTLED", available=100.0)])
    async with a_shop(emulator, hands=hands) as shop:
        assert await shop.fetch("1")
    assert hands.slept == [4.0]  # (500 - 100) / 100 a second


async def test_throttling_that_tells_no_budget_waits_all_the_same() -> None:
    bare = {"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]}
    hands, emulator = Hands(), Emulator(orders=[an_order()], faults=[lambda: web.json_response(bare)])
    async with a_shop(emulator, hands=hands) as shop:
        assert await shop.fetch("1")
    assert hands.slept == [1.0]


async def test_the_budget_told_by_the_last_answer_is_kept() -> None:
    hands, emulator = Hands(), Emulator(orders=[an_order()], available=200.0)
    async with a_shop(emulator, hands=hands) as shop:
        await shop.fetch("1")
        await shop.fetch("1")
    assert hands.slept == [3.0]


async def test_429_is_obeyed_with_decimals() -> None:
    hands, emulator = Hands(), Emulator(orders=[an_order()], faults=[answer(429, Retry_After="2.5")])
    async with a_shop(emulator, hands=hands) as shop:
        assert await shop.fetch("1")
    assert hands.slept == [2.5]


@pytest.mark.parametrize("fault", [answer(429, Retry_After="1.0"), graphql_error("THROTTLED", available=499.0)])
async def test_endless_throttling_is_left_to_the_next_poll(fault: Callable[[], web.Response]) -> None:
    async with a_shop(Emulator(orders=[an_order()], faults=[fault] * 9)) as shop:
        with pytest.raises(ShopUnavailableError) as caught:
            await shop.fetch("1")
    assert caught.value.retry_after is not None


async def test_a_long_wait_is_left_to_the_next_poll() -> None:
    hands = Hands()
    async with a_shop(Emulator(faults=[answer(429, Retry_After="900")]), hands=hands) as shop:
        with pytest.raises(ShopUnavailableError) as caught:
            await shop.fetch("1")
    assert (caught.value.retry_after, hands.slept) == (timedelta(seconds=900), [])


async def test_partial_data_beside_errors_is_never_an_order() -> None:
    partial = {"order": as_graphql(payload("order-zero-total.json")) | {"lineItems": None}}
    async with a_shop(Emulator(faults=[graphql_error("INTERNAL_SERVER_ERROR", data=partial)])) as shop:
        with pytest.raises(ShopUnavailableError):
            await shop.fetch("1")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (answer(200), ShopUnavailableError),
        (lambda: web.json_response([]), ShopUnavailableError),
        (lambda: web.json_response({"data": None}), ShopUnavailableError),
        (lambda: web.json_response({"data": {"order": 5}}), ShopUnavailableError),
        (lambda: web.json_response({"errors": "nothing here"}), ShopUnavailableError),
        (lambda: web.json_response({"data": {"order": {"id": "gid://shopify/Order/1"}}}), ShopUnavailableError),
        (answer(500), ShopUnavailableError),
        (answer(503), ShopUnavailableError),
        (answer(401), ShopRefusedError),
        (answer(402), ShopRefusedError),
        (answer(403), ShopRefusedError),
        (answer(404), ShopRefusedError),
        (answer(302, Location="https://elsewhere.example/"), ShopRefusedError),
        (graphql_error("ACCESS_DENIED"), ShopRefusedError),
        (graphql_error("MAX_COST_EXCEEDED"), ShopRefusedError),
    ],
)
async def test_an_answer_that_is_none_says_what_happens_next(
    fault: Callable[[], web.Response], error: type[Exception]
) -> None:
    async with a_shop(Emulator(orders=[an_order()], faults=[fault])) as shop:
        with pytest.raises(error) as caught:
            await shop.fetch("1")
    assert "shpat_good" not in str(caught.value)
    assert isinstance(caught.value, ShopUnavailableError | ShopRefusedError)
    if isinstance(caught.value, ShopRefusedError):
        assert caught.value.fix


async def test_a_shop_that_is_not_there_is_unavailable() -> None:
    async with serve(Emulator()) as url:
        pass
    shop = ShopifyShop(replace(CONFIG, url=url))
    with pytest.raises(ShopUnavailableError):
        await shop.fetch("1")
    await shop.close()


async def test_a_token_is_granted_once_and_renewed_before_it_expires() -> None:
    hands, emulator = Hands(), Emulator(orders=[an_order()])
    async with a_shop(emulator, GRANT, hands) as shop:
        await shop.fetch("1")
        hands.passed += 86000
        await shop.fetch("1")
        assert emulator.grants == 1
        hands.passed += 300
        await shop.fetch("1")
        assert emulator.grants == 2


async def test_a_dead_token_is_renewed_once_and_then_believed() -> None:
    emulator = Emulator(orders=[an_order()], faults=[answer(401)])
    async with a_shop(emulator, GRANT) as shop:
        assert await shop.fetch("1")
        assert emulator.grants == 2
        emulator.faults = [answer(401), answer(401)]
        with pytest.raises(ShopRefusedError):
            await shop.fetch("1")
        assert emulator.grants == 3


async def test_wrong_client_credentials_are_refused_without_showing_them() -> None:
    async with a_shop(Emulator(), replace(GRANT, client_secret=SecretStr("mistyped"))) as shop:
        with pytest.raises(ShopRefusedError) as caught:
            await shop.fetch("1")
    assert "mistyped" not in f"{caught.value} {caught.value.fix}"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example",
        "http://montra.myshopify.com",
        "https://montra.myshopify.com.evil.example",
        "https://evil.example/montra.myshopify.com",
        "https://-montra.myshopify.com",
        "https://a.b.myshopify.com",
        "https://montra.myshopify.com:8443",
        "https://montra.myshopify.com@evil.example",
        "https://[montra",
        "montra",
        "",
    ],
)
def test_a_token_goes_to_no_other_host(url: str) -> None:
    with pytest.raises(ShopRefusedError) as caught:
        api_base(url)
    assert "myshopify.com" in caught.value.fix


def test_a_shops_address_is_its_host() -> None:
    assert api_base("https://Montra.myshopify.com/admin?x=1") == "https://montra.myshopify.com"


async def test_a_token_with_a_line_break_is_refused_without_showing_it() -> None:
    async with a_shop(Emulator(), replace(CONFIG, access_token=SecretStr("shpat_good\r\nx: y"))) as shop:
        with pytest.raises(ShopRefusedError) as caught:
            await shop.fetch("1")
    assert "shpat" not in f"{caught.value} {caught.value.fix}"


async def test_a_version_that_is_none_is_refused() -> None:
    async with a_shop(Emulator(), replace(CONFIG, api_version="../oauth")) as shop:
        with pytest.raises(ShopRefusedError):
            await shop.fetch("1")


TOPICS = ["ORDERS_CREATE", "ORDERS_PAID", "ORDERS_UPDATED", "ORDERS_CANCELLED", "REFUNDS_CREATE"]


async def test_check_is_content_with_a_good_shop() -> None:
    async with a_shop(Emulator(topics=TOPICS, scopes=["read_orders", "read_all_orders"])) as shop:
        findings = await shop.check()
    assert [finding.fix for finding in findings] == [""] * 4


async def test_check_notices_a_vanished_subscription_and_a_missing_scope() -> None:
    async with a_shop(Emulator(topics=TOPICS[1:], scopes=["read_products"])) as shop:
        wrong = [finding.message for finding in await shop.check() if not finding.ok]
    assert wrong == ["orders cannot be read", "not subscribed: ORDERS_CREATE"]


async def test_check_leaves_subscriptions_alone_that_the_api_does_not_show() -> None:
    async with a_shop(Emulator(), replace(CONFIG, extra={"subscriptions": "app"})) as shop:
        assert all(finding.ok for finding in await shop.check())


async def test_check_says_what_to_do_about_a_dead_token() -> None:
    async with a_shop(Emulator(token="another")) as shop:
        (wrong,) = [finding for finding in await shop.check() if not finding.ok]
    assert "access_token" in wrong.fix


async def test_check_without_credentials_is_webhooks_only() -> None:
    shop = ShopifyShop(replace(CONFIG, access_token=None))
    assert not shop.can_ask
    assert all(finding.ok for finding in await shop.check())
    bare = ShopifyShop(replace(CONFIG, access_token=None, webhook_secrets=()))
    assert [finding.ok for finding in await bare.check()] == [False, True]


async def test_a_list_whose_cursor_stands_still_ends() -> None:
    stuck = {"orders": {"nodes": [], "pageInfo": {"hasNextPage": True, "endCursor": "x"}}}
    fault = lambda: web.json_response({"data": stuck})  # noqa: E731 - a fault is a callable
    async with a_shop(Emulator(faults=[fault, fault, fault])) as shop:
        with pytest.raises(ShopUnavailableError):
            await passed(shop, "2026-11-21T11:00:00Z")


@pytest.mark.parametrize("cursor", ["", "yesterday", "2026-11-21T11:00:00"])
async def test_a_cursor_that_is_no_time_is_refused(cursor: str) -> None:
    async with a_shop(Emulator()) as shop:
        with pytest.raises(ShopRefusedError):
            await passed(shop, cursor)
