"""Every paid order that was captured from real shops: which of them wait for a person, and why."""

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path

from pydantic import SecretStr

from syncd.domain.document import DocumentDraft
from syncd.domain.money import cents
from syncd.domain.order import Order, PaymentState
from syncd.domain.registers import Evidence, RateTable
from syncd.mapping.currency import reference_day
from syncd.mapping.planner import Plan, plan
from syncd.shops.port import OrderFacts, ShopConfig, load_shop
from tests.builders import a_policy, issued
from tests.woocommerce import a_shop, captures, order_bodies

SHOPIFY = Path(__file__).parents[1] / "data/shopify"
WOOCOMMERCE = a_shop()

# Rates are made up, and the same for every day.
PER_EURO = {"USD": Decimal("1.0856"), "HKD": Decimal("8.4472"), "PLN": Decimal("4.2515"), "INR": Decimal("91.565")}
# Each with the code of its hold; tests/README.md says what an accountant would.
HELD = {
    "incl-giftcard-untaxed.01.order.created": "untaxed_line",
    "incl-giftcard-untaxed.02.order.updated": "untaxed_line",
    "incl-nif-variant-06.01.order.created": "invalid_nif",
    "order-discounts-no-customer-no-address": "untaxed_line",
    "order-eu-company-no-vat-charged": "vies_unconfirmed",
    "order-fr-consumer-destination-vat": "vat_rate_mismatch",
    "order-partially-refunded-three-lines": "order_doubtful",
    "order-several-tax-lines-per-line": "several_taxes",
    "order-vat-included-unicode": "vat_rate_mismatch",
}


@cache
def details() -> dict[tuple[bool, str], tuple[bytes, ...]]:
    """What was captured of refunds, by store and order: both stores count their orders from the same number."""
    asked = [made for made in captures() if made.path.endswith("/refunds") and made.status == 200]
    return {
        (made.name.startswith("legacy"), made.path.split("/")[-2]): WOOCOMMERCE.refund_payloads(made.body)
        for made in asked
    }


def bodies() -> Iterator[tuple[int, str, str, bytes]]:
    """Order id, whether of the older store, name and body, in the sequence in which the shop wrote them."""
    for name, body in order_bodies():
        found = json.loads(body)
        yield found["id"], name, found["date_modified_gmt"], body


def from_woocommerce() -> Iterator[tuple[str, Order]]:
    for order_id, name, _, body in bodies():
        refunds = details().get((name.startswith("legacy"), str(order_id)), ())
        told = {str(refund["id"]) for refund in json.loads(body)["refunds"]}
        known = tuple(refund for refund in refunds if str(json.loads(refund)["id"]) in told)
        yield name, WOOCOMMERCE.read(OrderFacts(order=body, refunds=known))


def from_shopify() -> Iterator[tuple[str, Order]]:
    config = ShopConfig(name="montra", url="https://montra.myshopify.com", webhook_secrets=(SecretStr("secret"),))
    shop = load_shop("shopify")(config)
    for file in sorted(SHOPIFY.glob("order-*.json")):
        if file.stem != "order-too-large-body-is-only-id":
            yield file.stem, shop.read(OrderFacts(order=file.read_bytes()))


@cache
def paid() -> dict[str, Order]:
    found = dict([*from_woocommerce(), *from_shopify()])
    return {name: order for name, order in found.items() if order.payment is PaymentState.PAID}


def planned(order: Order, *documents: DocumentDraft) -> Plan:
    states = frozenset({"processing", "completed", "paid", "partially_refunded", "refunded"})
    day = reference_day(order.sold_at)
    rates = RateTable(day=day, published=day, source="BCE", per_euro=PER_EURO)
    policy = a_policy(issue_on=states)
    return plan(order, issued(*documents), policy, evidence=Evidence(rates={day: rates}))


def test_at_most_one_paid_order_in_ten_waits_and_each_for_its_reason() -> None:
    orders = paid()
    holds = {name: [hold.code for hold in planned(order).holds] for name, order in orders.items()}
    assert {name: codes[0] for name, codes in holds.items() if codes} == HELD
    assert all(len(codes) <= 1 for codes in holds.values())
    assert len(HELD) * 10 <= len(orders)


def test_what_is_not_held_comes_to_what_was_paid() -> None:
    for name, order in paid().items():
        made = planned(order)
        if made.documents and not made.holds:
            sale = made.documents[0]
            euro = order.total if order.currency == "EUR" else cents(order.total / PER_EURO[order.currency])
            assert sale.totals.gross == sale.expected.gross == euro, name
            assert [draft for draft in made.documents if draft.key.part.startswith(("edit", "extra"))] == []


def test_the_life_of_every_order_needs_each_document_once_and_no_correction_that_nobody_asked_for() -> None:
    orders = dict(from_woocommerce())
    lives: dict[tuple[bool, int], list[tuple[str, str]]] = {}
    for order_id, name, modified, _ in bodies():
        lives.setdefault((name.startswith("legacy"), order_id), []).append((modified, name))
    for life in lives.values():
        documents: list[DocumentDraft] = []
        for _, name in [*sorted(life), *sorted(life)[-1:]]:
            made = planned(orders[name], *documents)
            documents.extend(made.documents)
        parts = [draft.key.part for draft in documents]
        assert len(parts) == len(set(parts)), life
        assert not [part for part in parts if part.startswith(("edit", "extra"))], life
        assert planned(replace(orders[name], tags=("later",)), *documents).documents == ()
