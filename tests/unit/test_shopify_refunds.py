"""Refunds: three descriptions that must be made to agree, or doubted."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from syncd.domain.errors import PayloadError
from syncd.domain.order import Order, Refund, RefundLine, RefundState
from syncd.shops.port import OrderFacts, ShopConfig
from syncd.shops.shopify.adapter import ShopifyShop
from tests.shopify_emulator import DATA, Json, payload, raw

D = Decimal

SHOP = ShopifyShop(ShopConfig(name="montra", url="https://montra.myshopify.com", webhook_secrets=(SecretStr("hush"),)))
PT = "order-pt-three-vat-rates-nif-discount.json"


def read(order: Json, *refunds: Json) -> Order:
    return SHOP.read(OrderFacts(order=raw(order), refunds=tuple(raw(refund) for refund in refunds)))


def the_refund(order: Json, *refunds: Json) -> Refund:
    (found,) = read(order, *refunds).refunds
    return found


def a_refund(lines: list[tuple[int, int, str, str]], *, paid: str | None = None, **more: Any) -> Json:
    """Lines are (line, quantity, subtotal, tax) as the shop writes them."""
    moves = [] if paid is None else [{"kind": "refund", "status": "success", "amount": paid, "currency": "EUR"}]
    return {
        "id": 99,
        "created_at": "2026-11-06T10:00:00Z",
        "note": None,
        "refund_line_items": [
            {"line_item_id": line, "quantity": quantity, "subtotal": D(subtotal), "total_tax": D(tax)}
            for line, quantity, subtotal, tax in lines
        ],
        "order_adjustments": [],
        "transactions": moves,
    } | more


def discrepancy(amount: str) -> Json:
    return {"kind": "refund_discrepancy", "amount": amount, "tax_amount": "0.00"}


# Each sample with the order it belongs to, or a stand-in that has its lines.
SAMPLES = {
    "refund-two-lines-restocked.json": ("order-partially-refunded-three-lines.json", "209.00", "399.29", 1),
    "refund-shipping-only.json": ("order-partially-refunded-three-lines.json", "5.00", "5.00", 0),
    "refund-one-line-with-tax.json": ("order-updated-three-partial-refunds.json", "884.94", "884.94", 0),
    "refund-goodwill-no-lines.json": ("order-updated-three-partial-refunds.json", "1.00", "0", 0),
    "refund-pt-one-item-and-shipping.json": (PT, "12.95", "12.95", 0),
    "refund-pt-pending.json": (PT, "31.41", "31.41", 0),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_refund_is_read_as_what_it_is(name: str) -> None:
    order_name, amount, explained, doubts = SAMPLES[name]
    order = read(payload(order_name) | {"refunds": []}, payload(name))
    (refund,) = order.refunds
    assert (refund.amount, sum(line.gross for line in refund.lines)) == (D(amount), D(explained))
    assert refund.state is (RefundState.PENDING if "pending" in name else RefundState.DONE)
    assert len(order.doubts) == doubts, order.doubts


def test_an_item_and_all_shipping_come_back_to_the_cent() -> None:
    refund = the_refund(payload(PT), payload("refund-pt-one-item-and-shipping.json"))
    assert refund.lines == (
        RefundLine(line_id="70000000001", quantity=D(1), net=D("7.59"), gross=D("8.05")),
        RefundLine(line_id="shipping-60000000001", quantity=D(1), net=D("4.28"), gross=D("4.90")),
    )
    assert refund.reason == "Garrafa partida"


def test_shipping_told_as_an_adjustment_only_is_the_same_refund() -> None:
    new = payload("refund-pt-one-item-and-shipping.json")
    old = {key: value for key, value in new.items() if key != "refund_shipping_lines"}
    assert the_refund(payload(PT), old) == the_refund(payload(PT), new)


@pytest.mark.parametrize("paid", ["8.05", None])
@pytest.mark.parametrize("subtotal", ["8.05", "7.59"])
def test_tax_is_inside_or_on_top_as_the_figures_say(subtotal: str, paid: str | None) -> None:
    refund = the_refund(payload(PT), a_refund([(70000000001, 1, subtotal, "0.46")], paid=paid))
    assert refund.lines == (RefundLine(line_id="70000000001", quantity=D(1), net=D("7.59"), gross=D("8.05")),)
    assert refund.amount == D("8.05")


def test_without_tax_inside_the_prices_it_is_on_top() -> None:
    order = payload("order-updated-three-partial-refunds.json")
    assert {(line.net, line.gross) for refund in read(order).refunds for line in refund.lines} == {
        (D("749.95"), D("884.94"))
    }


def test_goodwill_beyond_the_lines_stays_for_the_planner() -> None:
    goodwill = a_refund([(70000000001, 1, "8.05", "0.46")], paid="10.00", order_adjustments=[discrepancy("-1.95")])
    order = read(payload(PT), goodwill)
    assert (order.refunds[0].amount, order.refunds[0].lines[0].gross) == (D("10.00"), D("8.05"))
    assert order.doubts == ()


def test_a_restocking_fee_kept_is_no_contradiction() -> None:
    fee = a_refund([(70000000001, 1, "8.05", "0.46")], paid="6.05", order_adjustments=[discrepancy("2.00")])
    order = read(payload(PT), fee)
    assert (order.refunds[0].amount, order.doubts) == (D("6.05"), ())


def test_lines_that_explain_more_than_was_paid_are_doubted_with_both_figures() -> None:
    (doubt,) = read(payload(PT), a_refund([(70000000003, 1, "31.41", "5.87")], paid="20.00")).doubts
    assert "31.41" in doubt
    assert "20.00" in doubt


def test_lines_that_the_order_does_not_have_are_doubted() -> None:
    (doubt,) = read(payload(PT), a_refund([(5, 1, "8.05", "0.46")], paid="8.05")).doubts
    assert "lines that the order does not have: 5" in doubt


def test_a_pending_refund_waits_and_is_done_once_the_order_says_so() -> None:
    pending = payload("refund-pt-pending.json")
    assert the_refund(payload(PT), pending).state is RefundState.PENDING
    settled = pending | {
        "order_adjustments": [],
        "transactions": [pending["transactions"][0] | {"status": "success"}],
    }
    refund = the_refund(payload(PT) | {"refunds": [settled]}, pending)
    assert (refund.state, refund.amount) == (RefundState.DONE, D("31.41"))


@pytest.mark.parametrize(
    ("statuses", "state", "amount"),
    [
        (["failure"], RefundState.FAILED, "10.00"),
        (["error", "failure"], RefundState.FAILED, "20.00"),
        (["failure", "success"], RefundState.DONE, "10.00"),
        (["success", "success"], RefundState.DONE, "20.00"),
        (["success", "pending"], RefundState.PENDING, "20.00"),
        (["something_new"], RefundState.PENDING, "10.00"),
    ],
)
def test_the_transactions_say_whether_money_moved(statuses: list[str], state: RefundState, amount: str) -> None:
    moves = [{"kind": "refund", "status": status, "amount": "10.00", "currency": "EUR"} for status in statuses]
    refund = the_refund(payload(PT), a_refund([], transactions=moves))
    assert (refund.state, refund.amount) == (state, D(amount))


def test_a_transaction_in_the_buyers_currency_does_not_count_as_shop_money() -> None:
    moves = [{"kind": "refund", "status": "success", "amount": "7.07", "currency": "GBP"}]
    refund = the_refund(payload(PT), a_refund([(70000000001, 1, "8.05", "0.46")], transactions=moves))
    assert (refund.amount, refund.state) == (D("8.05"), RefundState.DONE)
    shop_money = {"amount": "8.05", "currency_code": "EUR"}
    refund = the_refund(payload(PT), a_refund([], transactions=[moves[0] | {"amount_set": {"shop_money": shop_money}}]))
    assert refund.amount == D("8.05")
    (doubt,) = read(payload(PT), a_refund([], transactions=moves)).doubts
    assert "EUR" in doubt


def test_goods_taken_back_while_the_money_is_still_owed_wait() -> None:
    order = payload(PT) | {"total_outstanding": "-8.05", "current_total_price": "74.92"}
    assert the_refund(order, a_refund([(70000000001, 1, "8.05", "0.46")])).state is RefundState.PENDING


@pytest.mark.parametrize("status", ["paid", "pending"])
def test_a_piece_taken_off_before_payment_was_never_sold(status: str) -> None:
    outstanding = "0.00" if status == "paid" else "74.92"
    changes = {"financial_status": status, "total_outstanding": outstanding, "current_total_price": "74.92"}
    found = read(payload(PT) | changes, a_refund([(70000000001, 1, "8.05", "0.46")]))
    assert (found.total, found.refunds, found.doubts) == (D("74.92"), (), ())
    (book,) = [line for line in found.lines if line.id == "70000000001"]
    before = read(payload(PT)).lines[0]
    assert (before.quantity - book.quantity, before.gross - book.gross, before.net - book.net) == (
        D(1),
        D("8.05"),
        D("7.59"),
    )
    assert book.taxes[0].amount == book.gross - book.net


def test_money_that_does_not_fit_what_was_taken_off_is_doubted_with_both_figures() -> None:
    order = payload(PT) | {"total_outstanding": "0.00", "current_total_price": "75.92"}
    (doubt,) = read(order, a_refund([(70000000001, 1, "8.05", "0.46")])).doubts
    assert "82.97" in doubt
    assert "75.92" in doubt


@pytest.mark.parametrize(("price", "paid"), [("8.05", None), ("9.05", None), ("6.00", "2.05")])
def test_an_exchange_leaves_what_the_buyer_has_and_paid(price: str, paid: str | None) -> None:
    order = payload(PT)
    tax = (D(price) * 6 / 106).quantize(D("0.01"))
    line = order["line_items"][0] | {"id": 4711, "quantity": 1, "price": price, "discount_allocations": []}
    line["tax_lines"] = [order["line_items"][0]["tax_lines"][0] | {"price": str(tax)}]
    total = D("82.97") - D("8.05") + D(price)
    exchanged = order | {
        "line_items": [*order["line_items"], line],
        "total_price": str(D("82.97") + D(price)),
        "total_tax": str(D("10.45") + tax),
        "current_total_price": str(total),
        "total_outstanding": "0.00",
    }
    found = read(exchanged, a_refund([(70000000001, 1, "8.05", "0.46")], paid=paid))
    assert (found.total, found.refunds, found.doubts) == (total, (), ())
    assert sum(line.gross for line in found.lines) == total
    assert found.lines[3].id == "4711"


def test_goods_of_one_refund_and_the_money_of_another_are_one() -> None:
    order = payload(PT) | {"total_outstanding": "0.00", "current_total_price": "74.92"}
    goods, money = a_refund([(70000000001, 1, "8.05", "0.46")]), a_refund([], paid="8.05", id=100)
    refund = the_refund(order, goods, money)
    assert (refund.id, refund.amount, refund.state) == ("100", D("8.05"), RefundState.DONE)
    assert [line.line_id for line in refund.lines] == ["70000000001"]
    assert read(order, goods, money).doubts == ()


def test_money_given_back_for_no_line_of_a_lower_total_is_doubted_until_an_invoice_tells() -> None:
    order = payload(PT) | {"total_outstanding": "0.00", "current_total_price": "82.97"}
    (doubt,) = read(order, a_refund([], paid="5.00")).doubts
    assert "87.97" in doubt


def test_a_refund_that_gives_nothing_back_is_none() -> None:
    assert read(payload(PT), a_refund([])).refunds == ()


def test_several_refunds_add_up_and_each_counts_once() -> None:
    order = payload("order-updated-three-partial-refunds.json")
    found = read(order, payload("refund-one-line-with-tax.json"))
    assert [refund.id for refund in found.refunds] == ["887838146774", "887838310614", "887838376150"]
    assert found.refunded == D("2654.82")


def test_single_refunds_come_out_of_every_wrapping_digit_for_digit() -> None:
    one = (DATA / "refund-one-line-with-tax.json").read_bytes()
    wrapped = [one, b"[%b, %b]" % (one, one), b'{"refunds": [%b]}' % one, b'{"refund": %b}' % one]
    assert [len(SHOP.refund_payloads(raw_)) for raw_ in wrapped] == [1, 2, 1, 1]
    (again,) = SHOP.refund_payloads(b'[{"id": 1, "subtotal": 8.10, "tax": 12345678901234567.89}]')
    assert again == b'{"id":1,"subtotal":8.10,"tax":12345678901234567.89}'
    assert SHOP.refund_payloads(b"[]") == ()


@pytest.mark.parametrize(
    "refund",
    [{}, {"id": 5}, {"id": 5, "created_at": "x"}, {"id": 5, "created_at": "2026-11-06T10:00:00Z", "transactions": 5}],
)
def test_a_refund_that_is_none_is_refused(refund: Json) -> None:
    with pytest.raises(PayloadError):
        read(payload(PT), refund)
