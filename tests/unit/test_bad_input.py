"""Every field of a real order gone wrong: understood, or kept for a person with the reason, and never a crash."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydantic import SecretStr

from syncd.domain.errors import PayloadError, UnreadableError
from syncd.domain.facts import FactKind, OrderFacts
from syncd.mapping.planner import plan
from syncd.mapping.report import plan_json
from syncd.shops.port import Shop, ShopConfig, load_shop
from syncd.shops.shopify.verify import signature
from syncd.store.codec import dump_draft, load_draft
from tests.bad_input import broken, gone_wrong, shopify_order, woocommerce_order
from tests.builders import a_policy
from tests.woocommerce import signed

POLICY = a_policy()
SECRET = "syncd-capture-secret"
Sign = Callable[[bytes], Mapping[str, str]]


def shopify_headers(body: bytes) -> dict[str, str]:
    return {"x-shopify-topic": "orders/paid", "x-shopify-hmac-sha256": signature(body, SECRET)}


SHOPS: dict[str, tuple[Sign, Callable[[], dict[str, Any]]]] = {
    "woocommerce": (signed, woocommerce_order),
    "shopify": (shopify_headers, shopify_order),
}


def a_shop(platform: str) -> Shop:
    return load_shop(platform)(
        ShopConfig(name="loja", url="https://loja.example", webhook_secrets=(SecretStr(SECRET),))
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("platform", SHOPS)
def test_any_field_may_go_wrong(platform: str, seed: int) -> None:
    sign, order = SHOPS[platform]
    shop = a_shop(platform)
    for what, body in gone_wrong(order(), seed):
        judge(shop, sign(body), body, what)


@pytest.mark.parametrize("platform", SHOPS)
def test_a_whole_body_may_be_wrong(platform: str) -> None:
    sign, order = SHOPS[platform]
    shop = a_shop(platform)
    for what, body in broken(order()):
        judge(shop, sign(body), body, what)


def judge(shop: Shop, headers: Mapping[str, str], body: bytes, what: str) -> None:
    try:
        delivery = shop.receive(headers, body)
    except UnreadableError:
        return
    assert bool(delivery.facts) + bool(delivery.ignored) + bool(delivery.problem) + delivery.ping == 1, what
    for fact in delivery.facts:
        if fact.kind is FactKind.ORDER:
            judge_order(shop, fact.payload, what)


def judge_order(shop: Shop, payload: bytes, what: str) -> None:
    try:
        order = shop.read(OrderFacts(order=payload))
    except PayloadError:
        return
    made = plan(order, (), POLICY)
    assert made.documents or made.holds or made.reason, what
    assert plan_json(made)
    for draft in made.documents:
        assert draft.totals.gross == sum(line.gross for line in draft.lines) >= 0, what
        assert draft == load_draft(dump_draft(draft)), what
