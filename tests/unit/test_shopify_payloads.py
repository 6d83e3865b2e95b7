"""Real payloads: what each of them must be read as."""

import json
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from syncd.domain.errors import PayloadError
from syncd.domain.money import ZERO
from syncd.domain.order import Lifecycle, LineKind, Order, PaymentState, TaxLine
from syncd.shops.port import OrderFacts, ShopConfig
from syncd.shops.shopify.adapter import ShopifyShop
from tests.shopify_emulator import DATA, ORDERS, Json, payload, raw

D = Decimal

SHOP = ShopifyShop(ShopConfig(name="montra", url="https://montra.myshopify.com", webhook_secrets=(SecretStr("hush"),)))


def read(name: str, **changes: object) -> Order:
    return SHOP.read(OrderFacts(order=raw(payload(name) | changes)))


@dataclass(frozen=True)
class Expected:
    total: str
    lifecycle: Lifecycle = Lifecycle.OPEN
    payment: PaymentState = PaymentState.PAID
    kinds: str = "article"
    refunded: str = "0"
    tax: str = "0"
    tax_id: str = ""
    gateway: str = ""
    doubts: int = 0


DRAFT, CANCELLED, UNPAID = Lifecycle.DRAFT, Lifecycle.CANCELLED, PaymentState.UNPAID
EXPECTED = {
    "order-cancelled-free-shipping-code.json": Expected(
        "3256.56", DRAFT, kinds="article article shipping", refunded="3256.56", tax="496.76", gateway="bogus"
    ),
    "order-cancelled-refunded-unicode.json": Expected("99.00", CANCELLED, refunded="99.00", gateway="manual"),
    "order-discounts-no-customer-no-address.json": Expected(
        "186.90", kinds="article article shipping", gateway="manual"
    ),
    "order-eu-company-no-vat-charged.json": Expected(
        "265.00", kinds="article shipping", tax_id="ESB12345674", gateway="shopify_payments"
    ),
    "order-eur-custom-tax-no-customer.json": Expected("238.47", tax="13.50"),
    "order-eur-old-shape-without-money-sets.json": Expected(
        "470.00", DRAFT, kinds="article article shipping", refunded="150.00", gateway="bogus"
    ),
    "order-fr-consumer-destination-vat.json": Expected(
        "64.82", kinds="article article shipping", tax="6.80", gateway="shopify_payments"
    ),
    "order-gift-card-bought.json": Expected("10.00", DRAFT, kinds="gift_card", gateway="bogus"),
    "order-partially-paid.json": Expected("199.00", payment=PaymentState.PARTIAL),
    "order-partially-refunded-three-lines.json": Expected(
        "598.94",
        kinds="article article article shipping",
        refunded="209.00",
        tax="11.94",
        gateway="bogus",
        doubts=1,
    ),
    "order-pln-vat-on-top.json": Expected(
        "2147.58", kinds="article article", tax="401.58", gateway="manual_in_shopify_test"
    ),
    "order-pt-edited-with-tip.json": Expected(
        "29.50", kinds="article tip shipping", refunded="12.00", tax="5.14", gateway="shopify_payments"
    ),
    "order-pt-madeira-shipping-discount-unpaid.json": Expected(
        "116.00", payment=UNPAID, kinds="article shipping", tax="20.92", tax_id="500000000"
    ),
    "order-pt-three-vat-rates-nif-discount.json": Expected(
        "82.97",
        kinds="article article article shipping",
        tax="10.45",
        tax_id="PT 123 456 789",
        gateway="shopify_payments",
    ),
    "order-several-tax-lines-per-line.json": Expected("270.37", kinds="article article article", tax="14.45"),
    "order-test-notification.json": Expected("403.00", DRAFT, UNPAID, kinds="article article shipping"),
    "order-two-currencies-paid-by-gift-card.json": Expected("162.04", kinds="article shipping", gateway="gift_card"),
    "order-updated-three-partial-refunds.json": Expected(
        "4283.11", DRAFT, kinds="article article shipping", refunded="2654.82", tax="653.36", gateway="bogus"
    ),
    "order-vat-included-unicode.json": Expected("39.98", kinds="article shipping", tax="6.38", gateway="paypal"),
    "order-zero-total.json": Expected("0.00", kinds="article shipping"),
}


@pytest.mark.parametrize("name", ORDERS)
def test_every_sample_order_is_read_as_what_it_is(name: str) -> None:
    expected, order = EXPECTED[name], SHOP.read(OrderFacts(order=(DATA / name).read_bytes()))
    assert order.total == D(expected.total) == sum((line.gross for line in order.lines), ZERO)
    assert sum((line.gross - line.net for line in order.lines), ZERO) == D(expected.tax)
    assert (order.lifecycle, order.payment) == (expected.lifecycle, expected.payment)
    assert " ".join(line.kind for line in order.lines) == expected.kinds
    assert order.refunded == D(expected.refunded)
    assert order.buyer.tax_id == expected.tax_id
    assert " ".join(payment.gateway for payment in order.payments) == expected.gateway
    assert len(order.doubts) == expected.doubts, order.doubts
    assert (order.paid_at is None) == (order.payment is PaymentState.UNPAID)


def test_a_body_of_only_an_id_is_no_order() -> None:
    with pytest.raises(PayloadError):
        SHOP.read(OrderFacts(order=(DATA / "order-too-large-body-is-only-id.json").read_bytes()))


def test_discounts_come_from_the_allocations_and_the_list_price_is_kept() -> None:
    oil = read("order-pt-three-vat-rates-nif-discount.json").lines[0]
    assert (oil.gross, oil.net, oil.list_gross, oil.list_net) == (D("24.16"), D("22.79"), D("26.85"), D("25.33"))
    assert oil.taxes == (TaxLine(rate=D(6), amount=D("1.37"), title="PT IVA"),)


@pytest.mark.parametrize(
    ("amounts", "percentages"),
    [(("2.685", "1.20825"), (10, 5)), (("2.69",), ()), (("26.85", "1.00"), ()), (("0.00", "2.685"), (10,))],
)
def test_several_discounts_are_told_apart_in_per_cent_of_what_the_one_before_left(
    amounts: tuple[str, ...], percentages: tuple[int, ...]
) -> None:
    name = "order-pt-three-vat-rates-nif-discount.json"
    items = payload(name)["line_items"]
    items[0]["discount_allocations"] = [{"amount": amount} for amount in amounts]
    order = read(name, line_items=items)
    assert order.lines[0].discounts == percentages


def test_tax_on_top_is_added_to_the_list_price_at_the_lines_rates() -> None:
    pod = read("order-partially-refunded-three-lines.json").lines[0]
    assert (pod.net, pod.gross, pod.list_net, pod.list_gross) == (D("195.66"), D("199.64"), D("199.00"), D("210.94"))


def test_rates_are_exact_and_plainly_written() -> None:
    sardines, apron, _ = read("order-fr-consumer-destination-vat.json").lines
    assert [str(line.taxes[0].rate) for line in (sardines, apron)] == ["5.5", "20"]


def test_shipping_keeps_every_tax_that_it_bears() -> None:
    shipping = read("order-pt-three-vat-rates-nif-discount.json").lines[-1]
    assert [(tax.rate, tax.amount) for tax in shipping.taxes] == [
        (D(6), D("0.09")),
        (D(13), D("0.16")),
        (D(23), D("0.37")),
    ]


def test_a_free_line_keeps_its_rate_and_an_exempt_one_does_not() -> None:
    free = read("order-zero-total.json").lines[0]
    assert free.taxes == (TaxLine(rate=D(23), amount=D("0.00"), title="PT IVA"),)
    exempt = payload("order-eu-company-no-vat-charged.json")
    exempt["line_items"][0]["tax_lines"] = [{"title": "PT IVA", "rate": D("0.23"), "price": "0.00"}]
    assert SHOP.read(OrderFacts(order=raw(exempt))).lines[0].taxes == ()


def test_a_tip_without_a_line_becomes_one_and_a_tip_with_a_line_stays_one() -> None:
    edited = payload("order-pt-edited-with-tip.json")
    tips = [line for line in SHOP.read(OrderFacts(order=raw(edited))).lines if line.kind is LineKind.TIP]
    assert [tip.gross for tip in tips] == [D("2.00")]
    edited["line_items"] = [line for line in edited["line_items"] if "tip_payment_gateway" not in line]
    order = SHOP.read(OrderFacts(order=raw(edited)))
    assert [line.gross for line in order.lines if line.kind is LineKind.TIP] == [D("2.00")]
    assert order.doubts == ()


def test_removed_shipping_is_not_sold() -> None:
    order = payload("order-pt-madeira-shipping-discount-unpaid.json")
    order["shipping_lines"].append(order["shipping_lines"][0] | {"id": 1, "is_removed": True})
    assert SHOP.read(OrderFacts(order=raw(order))).doubts == ()


def test_duties_are_a_fee_and_count_in_the_total() -> None:
    duties = {"shop_money": {"amount": "7.00", "currency_code": "EUR"}}
    order = read("order-fr-consumer-destination-vat.json", original_total_duties_set=duties, total_price="71.82")
    assert (order.lines[-1].kind, order.lines[-1].gross, order.doubts) == (LineKind.FEE, D("7.00"), ())


@pytest.mark.parametrize(
    ("changes", "figures"),
    [
        ({"total_price": "82.98"}, ("82.97", "82.98")),
        ({"total_tax": "10.44"}, ("10.45", "10.44")),
        ({"total_tip_received": "1.00", "total_price": "84.97"}, ("83.97", "84.97")),
        ({"financial_status": "haunted"}, ("haunted",)),
    ],
)
def test_totals_that_do_not_agree_are_doubted_with_both_figures(changes: Json, figures: tuple[str, ...]) -> None:
    order = read("order-pt-three-vat-rates-nif-discount.json", **changes)
    assert any(all(figure in doubt for figure in figures) for doubt in order.doubts), order.doubts


def test_a_tax_that_the_sales_channel_declares_is_doubted() -> None:
    order = payload("order-fr-consumer-destination-vat.json")
    order["line_items"][0]["tax_lines"][0]["channel_liable"] = True
    assert any("channel" in doubt for doubt in SHOP.read(OrderFacts(order=raw(order))).doubts)


@pytest.mark.parametrize(
    ("status", "cancelled", "payment", "lifecycle", "state"),
    [
        ("authorized", None, UNPAID, Lifecycle.OPEN, "authorized"),
        ("expired", None, UNPAID, Lifecycle.OPEN, "expired"),
        ("voided", "2026-11-02T10:00:00Z", UNPAID, CANCELLED, "voided"),
        ("paid", "2026-11-02T10:00:00Z", PaymentState.PAID, CANCELLED, "paid"),
        ("refunded", None, PaymentState.PAID, Lifecycle.REFUNDED, "refunded"),
        ("partially_refunded", None, PaymentState.PAID, Lifecycle.OPEN, "partially_refunded"),
        (None, None, UNPAID, Lifecycle.OPEN, "pending"),
    ],
)
def test_only_received_money_counts_as_paid(
    status: str | None, cancelled: str | None, payment: PaymentState, lifecycle: Lifecycle, state: str
) -> None:
    name = "order-pt-three-vat-rates-nif-discount.json"
    order = read(name, financial_status=status, cancelled_at=cancelled)
    assert (order.payment, order.lifecycle, order.state) == (payment, lifecycle, state)


def test_an_order_that_costs_nothing_is_settled_without_a_status() -> None:
    order = read("order-zero-total.json", financial_status=None)
    assert (order.payment, order.state) == (PaymentState.PAID, "paid")


@pytest.mark.parametrize(
    ("gateways", "expected"),
    [
        (["gift_card", "shopify_payments", ""], "shopify_payments"),
        (["paypal", "gift_card"], "paypal"),
        (["gift_card"], "gift_card"),
        (["failed_one", "Multibanco"], "Multibanco"),
    ],
)
def test_the_whole_total_is_put_on_the_last_gateway_that_is_no_gift_card(gateways: list[str], expected: str) -> None:
    (payment,) = read("order-pt-three-vat-rates-nif-discount.json", payment_gateway_names=gateways).payments
    assert (payment.gateway, payment.amount.amount) == (expected, D("82.97"))


def test_known_transactions_say_who_paid_what_and_when() -> None:
    moves = [
        {
            "id": number,
            "kind": kind,
            "status": status,
            "gateway": gateway,
            "currency": "EUR",
            "amount": amount,
            "processed_at": f"2026-11-0{number}T10:00:00Z",
        }
        for number, kind, status, gateway, amount in [
            (1, "sale", "success", "gift_card", "20.00"),
            (2, "capture", "success", "shopify_payments", "62.97"),
            (3, "sale", "failure", "paypal", "62.97"),
            (4, "refund", "success", "shopify_payments", "1.00"),
        ]
    ]
    order = read("order-pt-three-vat-rates-nif-discount.json", transactions=moves)
    assert [(p.gateway, str(p.amount)) for p in order.payments] == [
        ("gift_card", "20.00 EUR"),
        ("shopify_payments", "62.97 EUR"),
    ]
    assert order.paid_at is not None
    assert order.paid_at.day == 2


def test_the_checkouts_own_tax_number_outranks_what_a_theme_wrote() -> None:
    fields = [{"key": "TAX_CREDENTIAL_PT", "value": "501964843"}]
    buyer = read("order-pt-three-vat-rates-nif-discount.json", localized_fields=fields).buyer
    assert (buyer.tax_id, buyer.tax_id_source) == ("501964843", "TAX_CREDENTIAL_PT")


def test_the_buyer_is_read_with_both_addresses() -> None:
    order = read("order-pt-madeira-shipping-discount-unpaid.json")
    assert order.buyer.billing.company == "Exemplo & Filhos, Lda."
    assert order.buyer.billing.country == "PT"
    assert order.buyer.billing.postcode.startswith("9")
    assert read("order-eur-custom-tax-no-customer.json").buyer.shipping is None


def test_an_order_thrown_away_is_deleted_and_keeps_its_content() -> None:
    body = (DATA / "order-zero-total.json").read_bytes()
    order = SHOP.read(OrderFacts(order=body, deleted=True))
    assert (order.lifecycle, len(order.lines)) == (Lifecycle.DELETED, 2)


@pytest.mark.parametrize("wrong", ["", "0", "x", "NaN", "Infinity", "1e99", [], {}, True, None])
@pytest.mark.parametrize("key", ["price", "quantity", "discount_allocations", "tax_lines", "id"])
def test_whatever_stands_in_a_line_is_read_or_refused_but_never_a_crash(key: str, wrong: object) -> None:
    order = payload("order-pt-three-vat-rates-nif-discount.json")
    order["line_items"][0][key] = wrong
    with suppress(PayloadError):
        SHOP.read(OrderFacts(order=raw(order)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(data=st.data())
def test_any_json_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    order = payload("order-pt-edited-with-tip.json")
    target: Any = order
    for step in data.draw(
        st.sampled_from([(), ("customer",), ("refunds", 0), ("line_items", 0), ("shipping_lines", 0)])
    ):
        target = target[step]
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(JSON)
    with suppress(PayloadError):
        SHOP.read(OrderFacts(order=json.dumps(order, default=float).encode()))


prices = st.integers(0, 500_00).map(lambda c: D(c) / 100)
rates = st.sampled_from([D("0.06"), D("0.13"), D("0.23"), D("0.055"), D(0)])


@given(
    included=st.booleans(),
    items=st.lists(st.tuples(prices, st.integers(1, 9), st.integers(0, 100), rates), min_size=1, max_size=5),
    shipping=prices,
)
def test_the_lines_of_a_consistent_order_come_to_its_total(
    included: bool, items: list[tuple[D, int, int, D]], shipping: D
) -> None:
    lines: list[Json] = []
    total, taxed = shipping, ZERO
    for number, (price, quantity, percent, rate) in enumerate(items, start=1):
        off = (price * quantity * percent / 100).quantize(D("0.01"))
        paid = price * quantity - off
        tax = (paid * rate / (1 + rate) if included else paid * rate).quantize(D("0.01"))
        total, taxed = total + paid + (0 if included else tax), taxed + tax
        lines.append(
            {
                "id": number,
                "name": "Queijo",
                "quantity": quantity,
                "price": f"{price:.2f}",
                "discount_allocations": [{"amount": f"{off:.2f}"}],
                "tax_lines": [{"title": "IVA", "rate": rate, "price": f"{tax:.2f}"}],
            }
        )
    order = read(
        "order-fr-consumer-destination-vat.json",
        taxes_included=included,
        line_items=lines,
        shipping_lines=[{"id": 7, "title": "CTT", "price": f"{shipping:.2f}", "discounted_price": f"{shipping:.2f}"}],
        total_price=f"{total:.2f}",
        total_tax=f"{taxed:.2f}",
    )
    assert order.doubts == ()
    assert sum((line.gross for line in order.lines), ZERO) == order.total
    assert all(line.list_gross >= line.gross and line.list_net >= line.net for line in order.lines)
