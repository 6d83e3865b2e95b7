"""A webhook and a GraphQL answer about the same order must be read as the same order."""

from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest
from pydantic import SecretStr

from syncd.domain.errors import PayloadError
from syncd.domain.order import LineKind, Order, OrderLine
from syncd.shops.port import OrderFacts, ShopConfig
from syncd.shops.shopify import graphql
from syncd.shops.shopify.adapter import ShopifyShop
from tests.shopify_emulator import ORDERS, Json, as_graphql, payload, raw

D = Decimal

SHOP = ShopifyShop(ShopConfig(name="montra", url="https://montra.myshopify.com", webhook_secrets=(SecretStr("hush"),)))
# The shape of 2017 has no discounted_price for shipping and this sample no customer; GraphQL never looked like that.
COMPARED = [name for name in ORDERS if "old-shape" not in name and "test-notification" not in name]


def read(body: Json) -> Order:
    return SHOP.read(OrderFacts(order=raw(body)))


def _without_phone(order: Order) -> Order:
    """A customer's own telephone is not asked for by GraphQL."""
    return replace(order, buyer=replace(order.buyer, phone=""))


def _named(line: OrderLine) -> tuple[object, ...]:
    return (line.id, line.kind, line.name, line.quantity, line.net, line.gross, line.list_net, line.taxes)


@pytest.mark.parametrize("name", COMPARED)
def test_both_shapes_of_an_order_are_the_same_order(name: str) -> None:
    webhook, answer = read(payload(name)), read(as_graphql(payload(name)))
    assert [_named(line) for line in answer.lines] == [_named(line) for line in webhook.lines]
    assert answer.refunds == webhook.refunds
    assert answer.doubts == webhook.doubts
    assert _without_phone(answer) == _without_phone(webhook)


@pytest.mark.parametrize("wrap", [lambda o: {"data": {"order": o}}, lambda o: {"order": o}])
def test_wrapped_answers_are_unwrapped(wrap: object) -> None:
    assert callable(wrap)
    order = as_graphql(payload("order-zero-total.json"))
    assert read(wrap(order)) == read(order)
    assert read({"order": payload("order-zero-total.json")}).id == "7000000000002"


def test_the_checkouts_tax_number_is_found_where_webhooks_have_none() -> None:
    order = as_graphql(payload("order-fr-consumer-destination-vat.json"))
    order["localizedFields"] = {"nodes": [{"key": "TAX_CREDENTIAL_PT", "value": "501964843"}]}
    assert read(order).buyer.tax_id == "501964843"


def test_the_registration_of_a_buying_company_is_found() -> None:
    order = as_graphql(payload("order-fr-consumer-destination-vat.json"))
    order["purchasingEntity"] = {"location": {"taxSettings": {"taxRegistrationId": "FR40303265045"}}}
    assert read(order).buyer.tax_id == "FR40303265045"


def test_the_line_of_a_tip_is_recognised_by_its_amount() -> None:
    order = read(as_graphql(payload("order-pt-edited-with-tip.json")))
    assert [line.gross for line in order.lines if line.kind is LineKind.TIP] == [D("2.00")]
    assert order.doubts == ()


def test_transactions_tell_payments_in_shop_money() -> None:
    order = as_graphql(payload("order-two-currencies-paid-by-gift-card.json"))
    bag = {"shopMoney": {"amount": "162.04", "currencyCode": "EUR"}}
    order["transactions"] = [
        {
            "id": "gid://shopify/OrderTransaction/5",
            "kind": "SALE",
            "status": "SUCCESS",
            "gateway": "gift_card",
            "processedAt": "2025-10-28T15:17:40Z",
            "amountSet": bag,
        }
    ]
    (payment,) = read(order).payments
    assert (payment.id, payment.gateway, str(payment.amount)) == ("5", "gift_card", "162.04 EUR")


@pytest.mark.parametrize("key", ["lineItems", "totalPriceSet", "refunds", "customer", "shippingLines"])
@pytest.mark.parametrize("wrong", [5, "x", [5], {"nodes": [5]}, {"shopMoney": 5}])
def test_a_broken_answer_is_refused_and_never_a_crash(key: str, wrong: object) -> None:
    order = as_graphql(payload("order-zero-total.json")) | {key: wrong}
    with suppress(PayloadError):
        read(order)


@pytest.mark.parametrize("document", [graphql.CHANGED, graphql.ORDER, graphql.LINES, graphql.REFUND, graphql.CHECK])
def test_documents_are_balanced_and_define_each_fragment_that_they_use(document: str) -> None:
    assert document.count("{") == document.count("}")
    used = {word.removeprefix("...") for word in document.split() if word.startswith("...") and word != "..."}
    defined = {line.split()[1] for line in document.splitlines() if line.startswith("fragment ")}
    assert used == defined
