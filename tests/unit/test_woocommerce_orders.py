"""How a WooCommerce order becomes the domain's, field by field, and what is said of a broken one."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.domain.errors import PayloadError
from syncd.domain.money import Money
from syncd.domain.order import Lifecycle, LineKind, PaymentState, RefundLine, TaxLine
from syncd.shops.port import OrderFacts
from tests.woocommerce import a_shop, an_order, capture, read


def an_item(**changes: Any) -> dict[str, Any]:
    item: dict[str, Any] = {**an_order()["line_items"][0], **changes}
    return item


def with_items(*items: dict[str, Any], total: str, **changes: Any) -> dict[str, Any]:
    return an_order(line_items=list(items), shipping_lines=[], total=total, **changes)


def refund_answer(name: str) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = json.loads(capture(name).body)
    return answer


# -- head ----------------------------------------------------------------------


def test_times_are_utc_whatever_the_shop_s_zone() -> None:
    order = read(an_order("incl-summer-date.02"))
    raw = an_order("incl-summer-date.02")
    assert raw["date_created"] != raw["date_created_gmt"]
    assert order.created_at == datetime.fromisoformat(raw["date_created_gmt"]).replace(tzinfo=UTC)


def test_a_number_is_shown_and_the_id_is_the_key() -> None:
    order = read(an_order(number="2026-0001/A"))
    assert (order.id, order.number) == ("432", "2026-0001/A")


@pytest.mark.parametrize(
    ("status", "state", "lifecycle"),
    [
        ("enviado", "enviado", Lifecycle.OPEN),
        ("wc-completed", "completed", Lifecycle.OPEN),
        ("auto-draft", "auto-draft", Lifecycle.DRAFT),
        ("checkout-draft", "checkout-draft", Lifecycle.DRAFT),
        ("trash", "trash", Lifecycle.DELETED),
    ],
)
def test_own_states_are_open_ones(status: str, state: str, lifecycle: Lifecycle) -> None:
    order = read(an_order(status=status))
    assert (order.state, order.lifecycle) == (state, lifecycle)


def test_a_failed_order_that_was_paid_is_open() -> None:
    assert read(an_order(status="failed")).lifecycle is Lifecycle.OPEN
    assert read(an_order(status="failed", date_paid_gmt=None)).lifecycle is Lifecycle.CANCELLED


def test_an_order_deleted_in_the_shop_is_deleted_whatever_its_last_state() -> None:
    body = json.dumps(an_order()).encode()
    assert a_shop().read(OrderFacts(order=body, deleted=True)).lifecycle is Lifecycle.DELETED


def test_a_payment_carries_its_gateway_and_the_whole_total() -> None:
    order = read(an_order("incl-paypal.02"))
    (payment,) = order.payments
    assert (payment.gateway, payment.amount) == ("ppcp-gateway", Money(order.total, "EUR"))
    assert payment.id


@pytest.mark.parametrize(("status", "payment"), [("processing", "paid"), ("completed", "paid"), ("on-hold", "unpaid")])
def test_a_free_order_is_paid_once_it_is_processed_and_no_money_moved(status: str, payment: str) -> None:
    order = read(an_order("incl-zero-total.02", status=status, date_paid_gmt=None))
    assert (order.payment, order.payments) == (PaymentState(payment), ())


def test_coupons_are_named_and_their_discount_is_inside_the_lines() -> None:
    order = read(an_order("incl-coupon-percent-mixed.02"))
    assert order.discount_codes
    assert any(line.list_gross > line.gross for line in order.lines)
    assert sum(line.gross for line in order.lines) == order.total


# -- lines ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Pão &amp; Vinho", "Pão & Vinho"),
        ("Caneca <em>azul</em>", "Caneca azul"),
        ("Camisola &ndash; <span>M</span>", "Camisola – M"),
        ("a<br/>b&nbsp; c\n", "a b c"),
        ("&lt;b&gt; 5 < 6", "<b> 5 < 6"),
        ("Silva&copyright", "Silva&copyright"),
        ("&#8364; &#x20AC;", "€ €"),
        ("x\0y\ud83d", "xy?"),
    ],
)
def test_names_are_shown_as_the_customer_saw_them(raw: str, shown: str) -> None:
    line = read(with_items(an_item(name=raw), total="14.50")).lines[0]
    assert line.name == shown


def test_a_line_without_a_product_has_no_sku() -> None:
    assert read(an_order("incl-line-without-product.02")).lines[0].sku == ""


def test_shipping_may_bear_several_rates() -> None:
    shipping = {**an_order()["shipping_lines"][0], "total": "3.98", "total_tax": "0.62"}
    shipping["taxes"] = [{"id": 3, "total": "0.49", "subtotal": ""}, {"id": 9, "total": "0.13", "subtotal": ""}]
    line = read(an_order(shipping_lines=[shipping])).lines[-1]
    assert line.kind is LineKind.SHIPPING
    assert line.taxes == (
        TaxLine(rate=Decimal(23), amount=Decimal("0.49")),
        TaxLine(rate=Decimal(6), amount=Decimal("0.13")),
    )


def test_rates_of_other_lines_are_not_this_line_s() -> None:
    taxes = [{"id": 3, "total": "", "subtotal": ""}, {"id": 6, "total": "0.00"}, {"id": 9, "total": "0.82"}]
    line = read(with_items(an_item(taxes=taxes), total="14.50")).lines[0]
    assert line.taxes == (TaxLine(rate=Decimal(6), amount=Decimal("0.82")),)


def test_a_zero_rate_is_a_rate_and_no_taxes_are_none() -> None:
    zero = read(an_order("incl-exempt-zero-rate.02"))
    assert TaxLine(rate=Decimal(0), amount=Decimal("0.00")) in [tax for line in zero.lines for tax in line.taxes]
    assert read(with_items(an_item(taxes=[], total_tax="0.00"), total="13.68")).lines[0].taxes == ()


def test_a_rate_that_the_order_does_not_know_is_left_open() -> None:
    line = read(with_items(an_item(taxes=[{"id": 77, "total": "0.82"}]), total="14.50")).lines[0]
    assert line.taxes == (TaxLine(rate=None, amount=Decimal("0.82")),)


def test_a_rate_with_decimals_is_exact() -> None:
    rates = [{"id": 1, "rate_id": 9, "rate_percent": 5.5}]
    assert read(with_items(an_item(), total="14.50", tax_lines=rates)).lines[0].taxes[0].rate == Decimal("5.5")


def test_a_negative_fee_keeps_its_rate() -> None:
    fee = read(an_order("incl-fee-negative-single-rate.02")).lines[-1]
    assert (fee.kind, fee.gross, fee.taxes[0].rate) == (LineKind.FEE, Decimal("-1.84"), Decimal(23))


def test_six_decimals_are_rounded_line_by_line() -> None:
    order = read(an_order("rest-lists.08"))
    assert sum(line.gross for line in order.lines) == order.total
    assert all(line.gross == line.gross.quantize(Decimal("0.01")) for line in order.lines)


# -- cents ---------------------------------------------------------------------


def test_a_missing_cent_goes_to_the_largest_line() -> None:
    before, order = read(an_order()), read(an_order(total="63.31"))
    moved = [now.gross - was.gross for was, now in zip(before.lines, order.lines, strict=True)]
    assert moved == [0, Decimal("0.01"), 0, 0]
    assert [line.net for line in order.lines] == [line.net for line in before.lines]
    assert order.doubts == ()


def test_two_cents_too_many_come_off_two_lines() -> None:
    before, order = read(an_order()), read(an_order(total="63.28"))
    moved = [now.gross - was.gross for was, now in zip(before.lines, order.lines, strict=True)]
    assert moved == [0, Decimal("-0.01"), Decimal("-0.01"), 0]
    assert sum(line.gross for line in order.lines) == order.total


def test_a_cent_on_an_untaxed_line_makes_no_tax() -> None:
    order = read(with_items(an_item(taxes=[], total_tax="0.00"), total="13.69"))
    assert order.lines[0].net == order.lines[0].gross == Decimal("13.69")


@pytest.mark.parametrize("total", ["63.35", "53.30", "0.00", "-63.30", "63.305"])
def test_more_than_a_cent_a_line_is_doubtful_with_both_figures(total: str) -> None:
    doubt = " ".join(read(an_order(total=total)).doubts)
    assert "63.30" in doubt
    assert total in doubt


@pytest.mark.parametrize("quantity", [0, -1, 1_000_001])
def test_a_quantity_that_cannot_be_meant_is_doubtful(quantity: int) -> None:
    (doubt,) = read(with_items(an_item(quantity=quantity), total="14.50")).doubts
    assert str(quantity) in doubt


def test_a_part_of_another_order_is_doubtful() -> None:
    (doubt,) = read(an_order(parent_id=400)).doubts
    assert "400" in doubt


# -- refunds -------------------------------------------------------------------


def test_without_detail_only_the_sum_of_a_refund_is_known() -> None:
    (refund,) = read(an_order("incl-refund-partial-line-qty.04")).refunds
    assert (refund.id, refund.amount, refund.lines, refund.detailed) == ("492", Decimal("19.90"), (), False)


def test_a_refunded_line_names_its_original_in_positive_figures() -> None:
    (refund,) = read(
        an_order("incl-refund-partial-line-qty.04"), *refund_answer("incl-refund-partial-line-qty.07")
    ).refunds
    assert refund.detailed
    assert refund.lines == (
        RefundLine(line_id="1801", quantity=Decimal(1), net=Decimal("16.18"), gross=Decimal("19.90")),
    )
    assert refund.reason == "Tamanho errado"


def test_refunded_shipping_is_a_line_as_well() -> None:
    (refund,) = read(an_order("incl-refund-shipping-only.04"), *refund_answer("incl-refund-shipping-only.06")).refunds
    assert [(line.line_id, line.gross) for line in refund.lines] == [("1812", Decimal("4.90"))]


def test_a_price_reduction_has_no_quantity() -> None:
    (refund,) = read(
        an_order("incl-refund-line-amount-no-qty.04"), *refund_answer("incl-refund-line-amount-no-qty.06")
    ).refunds
    assert [line.quantity for line in refund.lines] == [0]
    assert sum(line.gross for line in refund.lines) == refund.amount


@pytest.mark.parametrize("name", ["incl-refund-amount-only-single-rate", "incl-refund-full-by-status"])
def test_an_amount_without_lines_is_known_in_full(name: str) -> None:
    answers = {"incl-refund-amount-only-single-rate": ("04", "06"), "incl-refund-full-by-status": ("03", "05")}
    order, detail = answers[name]
    (refund,) = read(an_order(f"{name}.{order}"), *refund_answer(f"{name}.{detail}")).refunds
    assert (refund.lines, refund.detailed) == ((), True)
    assert refund.amount > 0


def test_a_refund_that_was_deleted_in_the_shop_is_gone_though_its_detail_is_known() -> None:
    detail = refund_answer("incl-refund-partial-line-qty.07")
    assert read(an_order("incl-refund-partial-line-qty.04", refunds=[]), *detail).refunds == ()


def test_order_and_refund_that_disagree_are_doubtful() -> None:
    (detail,) = refund_answer("incl-refund-partial-line-qty.07")
    order = read(an_order("incl-refund-partial-line-qty.04"), {**detail, "amount": "10.00"})
    assert order.refunds[0].amount == Decimal("10.00")
    assert order.doubts == ("refund 492 is 10.00, the order says 19.90",)


def test_a_refunded_line_without_its_original_is_left_out_and_the_amount_stays() -> None:
    (detail,) = refund_answer("incl-refund-partial-line-qty.07")
    detail["line_items"][0]["meta_data"] = []
    (refund,) = read(an_order("incl-refund-partial-line-qty.04"), detail).refunds
    assert (refund.lines, refund.amount) == ((), Decimal("19.90"))


def test_refunds_are_split_byte_for_byte() -> None:
    one, two = b'{"id": 1, "amount":"1.0\\u0030"}', b'{"id":2}'
    shop = a_shop()
    assert shop.refund_payloads(b" [" + one + b" ,\n" + two + b"]\n") == (one, two)
    assert shop.refund_payloads(one) == (one,)
    assert shop.refund_payloads(b"[]") == ()


@pytest.mark.parametrize("raw", [b"", b"[", b"[1]", b"7", b'[{"id":1}', b'[{"id":1}]x', b"\xff", b"[NaN]", b"[null]"])
def test_what_holds_no_refunds_is_said_so(raw: bytes) -> None:
    with pytest.raises(PayloadError):
        a_shop().refund_payloads(raw)


# -- buyer ---------------------------------------------------------------------


def test_nothing_shipped_is_no_address() -> None:
    assert read(an_order("incl-virtual-only.02")).buyer.shipping is None


def test_shipped_elsewhere_is_both_addresses() -> None:
    buyer = read(an_order("incl-ship-to-other-region.02")).buyer
    assert buyer.shipping is not None
    assert buyer.shipping.postcode != buyer.billing.postcode


def test_a_buyer_without_a_billing_name_is_named_by_the_shipping_one() -> None:
    nameless = {**an_order()["billing"], "first_name": "", "last_name": " "}
    buyer = read(an_order(billing=nameless)).buyer
    assert buyer.shipping is not None
    assert buyer.name == buyer.shipping.name != ""


def test_exempt_is_what_the_plug_in_says() -> None:
    assert read(an_order("incl-spain-company-vat-exempt.02")).buyer.tax_exempt
    assert not read(an_order()).buyer.tax_exempt


def test_entities_and_company_signs_are_decoded() -> None:
    billing = {**an_order()["billing"], "company": "Inven&ccedil;&otilde;es &amp; Ideias, Lda."}
    assert read(an_order(billing=billing)).buyer.billing.company == "Invenções & Ideias, Lda."


def test_the_configured_key_for_tax_numbers_is_used() -> None:
    meta = [{"id": 1, "key": "_nif_da_loja", "value": 599999993}, {"id": 2, "key": "x", "value": {"a": [1]}}]
    buyer = read(an_order(meta_data=meta), tax_id_keys=("_nif_da_loja",)).buyer
    assert (buyer.tax_id, buyer.tax_id_source) == ("599999993", "_nif_da_loja")


def test_our_own_note_in_the_metadata_changes_nothing() -> None:
    echo = [*an_order()["meta_data"], {"id": 9, "key": "_syncd_invoice", "value": {"number": "FR 2026/1"}}]
    assert read(an_order(meta_data=echo)) == read(an_order())


# -- broken --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"line_items": [{**an_item(), "total": "abc"}]}, "line_items[0].total: 'abc' is not a number"),
        ({"line_items": [an_item(), {**an_item(), "total_tax": None}]}, "line_items[1].total_tax: missing"),
        ({"line_items": [{**an_item(), "total": 1.5e300}]}, "line_items[0].total"),
        ({"line_items": [{**an_item(), "quantity": True}]}, "line_items[0].quantity"),
        ({"line_items": [{**an_item(), "id": "x"}]}, "line_items[0].id: 'x' is no id"),
        ({"line_items": [{**an_item(), "taxes": [{"id": 9, "total": "1,5"}]}]}, "line_items[0].taxes[0].total: '1,5'"),
        ({"line_items": {}}, "line_items: dict instead of a list"),
        ({"shipping_lines": [7]}, "shipping_lines[0]: int instead of an object"),
        ({"tax_lines": [{"rate_id": 9, "rate_percent": "six"}]}, "tax_lines[0].rate_percent: 'six'"),
        ({"total": ""}, "total: '' is not a number"),
        ({"total": "NaN"}, "total: 'NaN' is out of range"),
        ({"total": None}, "total: missing"),
        ({"currency": "euro"}, "currency: 'EURO' is no currency"),
        ({"status": None}, "status: missing"),
        ({"id": 0}, "id: '0' is no id"),
        ({"date_paid_gmt": "soon"}, "date_paid_gmt: 'soon' is no time"),
        ({"billing": "Rua"}, "billing: str instead of an object"),
        ({"refunds": [{"id": 1, "total": "x"}]}, "refunds[0].total: 'x' is not a number"),
    ],
)
def test_a_broken_field_is_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(PayloadError) as failure:
        read(an_order(**change))
    assert said in str(failure.value)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{}", b"\xff", b"[" * 100_000, b'{"id":NaN}', b'{"id":430}'])
def test_what_is_no_order_at_all_is_a_payload_error(body: bytes) -> None:
    with pytest.raises(PayloadError):
        a_shop().read(OrderFacts(order=body))


def test_a_broken_refund_is_named() -> None:
    (detail,) = refund_answer("incl-refund-partial-line-qty.07")
    for key, value, said in [("amount", "x", "refund 492: amount"), ("date_created_gmt", None, "date_created_gmt")]:
        with pytest.raises(PayloadError) as failure:
            read(an_order("incl-refund-partial-line-qty.04"), {**detail, key: value})
        assert said in str(failure.value)


JUNK = st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.lists(st.integers() | st.none(), max_size=2)


@given(data=st.data())
def test_whatever_goes_wrong_in_an_order_it_is_read_or_refused(data: st.DataObject) -> None:
    order = an_order("incl-rest-order-fee.02")
    place: Any = order
    while True:  # one field, anywhere in the tree
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not (isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans())):
            break
        place = place[key]
    place[key] = data.draw(JUNK | st.dictionaries(st.text(max_size=3), JUNK, max_size=2))
    try:
        found = read(order)
    except PayloadError:
        return
    assert found.doubts or sum(line.gross for line in found.lines) == found.total
