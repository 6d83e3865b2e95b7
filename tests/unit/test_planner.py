from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from syncd.domain.document import DocumentKind
from syncd.domain.money import Money
from syncd.domain.order import Lifecycle, LineKind, Order, Payment, PaymentState, RefundState, TaxLine
from syncd.domain.states import DocumentState
from syncd.mapping.planner import plan
from syncd.mapping.policy import GiftCards, NonSupply, PaidDocument, Policy, ZeroTotal
from syncd.mapping.reasons import why
from tests.builders import (
    LISBON_BUYER,
    PAID_AT,
    a_draft,
    a_line,
    a_policy,
    a_refund,
    an_order,
    grosses,
    issued,
    shipping,
)


def hold_code(order: Order, policy: Policy | None = None) -> str:
    made = plan(order, (), policy or a_policy())
    assert not made.documents
    return made.holds[0].code if made.holds else ""


def test_a_paid_order_becomes_one_invoice_receipt_of_what_was_paid() -> None:
    made = plan(an_order(a_line("25.00"), shipping("4.90")), (), a_policy())
    assert grosses(made.documents) == [("FR", "29.90")]
    assert made.documents[0].expected.gross == Decimal("29.90")
    assert str(made.documents[0].key) == "main/loja/1001/FR/sale"


@pytest.mark.parametrize(
    "order",
    [
        an_order(payment=PaymentState.UNPAID, paid_at=None),
        an_order(payment=PaymentState.PARTIAL, payments=()),
        an_order(state="on-hold"),
        an_order(lifecycle=Lifecycle.DRAFT),
        an_order(lifecycle=Lifecycle.CANCELLED),
        an_order(lifecycle=Lifecycle.DELETED),
        an_order(a_line("0.00", list_gross="20.00")),
        an_order(a_line("25.00", rate=None, kind=LineKind.GIFT_CARD)),
    ],
    ids=["unpaid", "part-paid", "wrong-state", "draft", "cancelled", "deleted", "zero", "gift-card-only"],
)
def test_nothing_is_due(order: Order) -> None:
    made = plan(order, (), a_policy())
    assert (made.documents, made.holds) == ((), ())
    assert made.reason


def test_an_unpaid_order_becomes_an_invoice_by_policy_and_a_receipt_when_the_money_comes() -> None:
    policy = a_policy(unpaid_document=True)
    unpaid = an_order(payment=PaymentState.UNPAID, paid_at=None, payments=())
    (invoice,) = plan(unpaid, (), policy).documents
    assert invoice.kind is DocumentKind.FT
    assert plan(unpaid, issued(invoice), policy).documents == ()
    (receipt,) = plan(an_order(), issued(invoice), policy).documents
    assert (receipt.kind, receipt.totals.gross, receipt.references[0].key) == (
        DocumentKind.RC,
        invoice.totals.gross,
        invoice.key,
    )


def test_invoice_and_receipt_together_by_policy() -> None:
    made = plan(an_order(), (), a_policy(paid_document=PaidDocument.FT_RC))
    assert grosses(made.documents) == [("FT", "12.30"), ("RC", "12.30")]


@pytest.mark.parametrize(
    ("gross", "company", "services", "kind"),
    [
        ("87.50", False, False, "FS"),
        ("1000.00", False, False, "FS"),
        ("1000.01", False, False, "FR"),
        ("150.00", True, False, "FR"),
        ("99.00", True, False, "FS"),
        ("150.00", False, True, "FR"),
    ],
)
def test_a_simplified_invoice_only_within_its_limits(gross: str, company: bool, services: bool, kind: str) -> None:
    buyer = replace(LISBON_BUYER, tax_id="501964843", billing=replace(LISBON_BUYER.billing, company="Loja, Lda."))
    lines = [a_line(gross), shipping("3.00")] if services else [a_line(gross)]
    order = an_order(*lines, buyer=buyer if company else LISBON_BUYER)
    (draft,) = plan(order, (), a_policy(paid_document=PaidDocument.FS)).documents
    assert draft.kind.value == kind


def test_planning_again_changes_nothing() -> None:
    order = an_order(refunds=(a_refund("12.30"),))
    first = plan(order, (), a_policy())
    planned = plan(order, issued(*first.documents, state=DocumentState.PLANNED), a_policy())
    assert planned.documents == first.documents
    assert plan(order, issued(*first.documents), a_policy()).documents == ()


def test_a_full_refund_mirrors_the_invoice_to_the_last_figure() -> None:
    order = an_order(a_line("25.00"), a_line("12.50", rate="6", id="2"), shipping("4.90"))
    (sale,) = plan(order, (), a_policy()).documents
    (note,) = plan(replace(order, refunds=(a_refund("42.40"),)), issued(sale), a_policy()).documents
    assert note.kind is DocumentKind.NC
    assert (note.totals, note.taxes, note.expected, note.rounding) == (
        sale.totals,
        sale.taxes,
        sale.expected,
        sale.rounding,
    )
    assert [line.original for line in note.lines] == [0, 1, 2]


def test_a_partial_refund_takes_the_returned_pieces() -> None:
    order = an_order(a_line("39.90", quantity="3"))
    (sale,) = plan(order, (), a_policy()).documents
    (note,) = plan(
        replace(order, refunds=(a_refund("13.30", ("1", "1", "13.30")),)), issued(sale), a_policy()
    ).documents
    (line,) = note.lines
    assert (line.quantity, line.net, line.tax, line.gross) == (
        Decimal(1),
        Decimal("10.81"),
        Decimal("2.49"),
        Decimal("13.30"),
    )


def test_the_refund_that_empties_a_rate_takes_the_base_still_open() -> None:
    order = an_order(a_line("39.90", quantity="3"))
    (sale,) = plan(order, (), a_policy()).documents
    refunds = tuple(a_refund("13.30", ("1", "1", "13.30"), id=str(number)) for number in range(3))
    notes = plan(replace(order, refunds=refunds), issued(sale), a_policy()).documents
    assert [(str(note.totals.net), str(note.totals.tax)) for note in notes] == [
        ("10.81", "2.49"),
        ("10.81", "2.49"),
        ("10.82", "2.48"),
    ]


def test_a_refund_without_lines_is_spread_over_the_rates() -> None:
    order = an_order(a_line("60.00"), a_line("40.00", rate="6", id="2"))
    (sale,) = plan(order, (), a_policy()).documents
    (note,) = plan(replace(order, refunds=(a_refund("10.00"),)), issued(sale), a_policy()).documents
    assert [(str(line.vat_rate), str(line.gross)) for line in note.lines] == [("23", "6.00"), ("6", "4.00")]


def test_a_refund_in_the_same_breath_follows_its_invoice() -> None:
    order = an_order(refunds=(a_refund("12.30"),), lifecycle=Lifecycle.REFUNDED, state="refunded")
    assert grosses(plan(order, (), a_policy()).documents) == [("FR", "12.30"), ("NC", "12.30")]


@pytest.mark.parametrize("state", [RefundState.PENDING, RefundState.FAILED])
def test_money_that_has_not_moved_is_not_credited(state: RefundState) -> None:
    order = an_order()
    (sale,) = plan(order, (), a_policy()).documents
    waiting = replace(order, refunds=(a_refund("12.30", state=state),))
    assert plan(waiting, issued(sale), a_policy()).documents == ()


def test_cancelled_after_issuing_is_credited_once() -> None:
    order = an_order()
    (sale,) = plan(order, (), a_policy()).documents
    cancelled = replace(order, lifecycle=Lifecycle.CANCELLED, cancelled_at=PAID_AT + timedelta(hours=1))
    (note,) = plan(cancelled, issued(sale), a_policy()).documents
    assert (note.key.part, note.totals.gross) == ("cancel", Decimal("12.30"))
    later = replace(cancelled, refunds=(a_refund("12.30"),))
    assert plan(later, issued(sale, note), a_policy()).documents == ()


def test_a_refund_above_the_invoice_is_held() -> None:
    order = an_order()
    (sale,) = plan(order, (), a_policy()).documents
    made = plan(replace(order, refunds=(a_refund("12.31"),)), issued(sale), a_policy())
    assert (made.documents, made.holds[0].code) == ((), "refund_exceeds_invoice")


def test_a_partial_refund_of_unknown_lines_is_held_until_they_are_issued() -> None:
    order = an_order()
    (sale,) = plan(order, (), a_policy()).documents
    unknown = replace(order, refunds=(a_refund("5.00", detailed=False),))
    assert plan(unknown, issued(sale), a_policy()).holds[0].code == "refund_details_missing"
    assert plan(unknown, issued(sale), a_policy(), frozenset({"refund_details_missing"})).documents


def test_an_unsent_document_follows_the_order() -> None:
    (sale,) = plan(an_order(a_line("10.00")), (), a_policy()).documents
    made = plan(an_order(a_line("20.00")), issued(sale, state=DocumentState.PLANNED), a_policy())
    assert grosses(made.documents) == [("FR", "20.00")]


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (an_order(currency="USD"), "currency"),
        (an_order(total=Decimal("12.29")), "sum_mismatch"),
        (an_order(a_line("10.00", rate="22")), "vat_rate_mismatch"),
        (an_order(a_line("10.00", rate=None)), "untaxed_line"),
        (an_order(a_line("10.00", quantity="-1")), "bad_quantity"),
        (an_order(doubts=("lines come to 1.00, total is 2.00",)), "order_doubtful"),
        (an_order(buyer=replace(LISBON_BUYER, tax_id="501964842")), "invalid_nif"),
        (an_order(a_line("0.00", list_gross="90.00")), "zero_total"),
        (
            an_order(a_line("1500.00"), buyer=replace(LISBON_BUYER, billing=replace(LISBON_BUYER.billing, street=""))),
            "customer_incomplete",
        ),
        (an_order(a_line("10.00"), a_line("-2.00", rate=None, id="2", kind=LineKind.FEE)), "negative_fee"),
    ],
)
def test_what_cannot_be_decided_is_held_with_a_way_out(order: Order, code: str) -> None:
    made = plan(order, (), a_policy(zero_total=ZeroTotal.SKIP))
    assert [hold.code for hold in made.holds] == [code]
    assert made.documents == ()
    assert made.holds[0].message
    assert made.holds[0].fix


FREE = an_order(a_line("0.00", list_gross="20.00"), a_line("0.00", id="2", rate="6", list_gross="10.60", quantity="2"))
DEAR = an_order(a_line("0.00", list_gross="61.51"))


def test_a_gift_is_skipped_and_that_is_a_decision() -> None:
    made = plan(FREE, (), a_policy())
    assert (made.documents, made.holds, made.decided) == ((), (), True)
    assert "CIVA art. 3" in made.reason


def test_a_gift_can_be_a_document_of_list_prices_less_100_per_cent() -> None:
    (draft,) = plan(FREE, (), a_policy(zero_total=ZeroTotal.ISSUE)).documents
    assert [(line.unit_price, line.discount, line.gross) for line in draft.lines] == [
        (Decimal("16.2600"), Decimal(100), Decimal("0.00")),
        (Decimal("5.0000"), Decimal(100), Decimal("0.00")),
    ]
    assert (draft.kind, draft.payment, draft.totals) == (DocumentKind.FR, "", draft.expected)
    assert [str(tax.rate) for tax in draft.taxes] == ["23", "6"]
    assert not any(tax.base or tax.tax for tax in draft.taxes)
    policy = a_policy(zero_total=ZeroTotal.ISSUE)
    assert plan(FREE, issued(draft), policy).documents == ()
    assert plan(replace(FREE, lifecycle=Lifecycle.CANCELLED), issued(draft), policy).documents == ()


def test_a_discount_line_over_everything_gives_away_at_list_price() -> None:
    order = an_order(a_line("12.30"), a_line("-12.30", id="2", kind=LineKind.FEE))
    assert plan(order, (), a_policy()).decided
    (draft,) = plan(order, (), a_policy(zero_total=ZeroTotal.ISSUE)).documents
    assert [(line.unit_price, line.discount) for line in draft.lines] == [(Decimal("10.0000"), Decimal(100))]


def test_a_discount_line_over_all_of_one_rate_leaves_no_price_of_zero() -> None:
    order = an_order(a_line("12.30"), a_line("10.60", id="3", rate="6"), a_line("-12.30", id="2", kind=LineKind.FEE))
    (draft,) = plan(order, (), a_policy()).documents
    assert [(line.gross, line.discount) for line in draft.lines] == [
        (Decimal("0.00"), Decimal(100)),
        (Decimal("10.60"), Decimal(0)),
    ]
    assert all(line.unit_price for line in draft.lines)


@pytest.mark.parametrize(("setting", "issued_then"), [(ZeroTotal.SKIP, 0), (ZeroTotal.ISSUE, 1), (ZeroTotal.HOLD, 0)])
def test_a_dear_gift_waits_for_a_person_whatever_the_setting(setting: ZeroTotal, issued_then: int) -> None:
    policy = a_policy(zero_total=setting)
    assert [hold.code for hold in plan(DEAR, (), policy).holds] == ["zero_total"]
    released = plan(DEAR, (), policy, frozenset({"zero_total"}))
    assert (len(released.documents), released.holds) == (issued_then, ())


def test_free_shipping_is_no_gift() -> None:
    order = an_order(a_line("0.00", list_gross="20.00"), shipping("0.00", list_gross="80.00"))
    assert plan(order, (), a_policy()).decided


def test_a_unknown_payment_method_is_held_only_by_policy() -> None:
    order = an_order(gateway="quinquilharia")
    (draft,) = plan(order, (), a_policy()).documents
    assert draft.payment == "OU"
    assert "'quinquilharia' is in no table" in draft.why
    assert hold_code(order, a_policy(unknown_payment="hold")) == "unknown_payment"


@pytest.mark.parametrize(
    ("gateway", "code"),
    [
        ("bacs", "TB"),
        ("multibanco_ifthen_for_woocommerce", "MB"),
        ("mbway_ifthen_for_woocommerce", "CD"),
        ("stripe", "CC"),
        ("ppcp-gateway", "DE"),
        ("cod", "NU"),
        ("shopify_payments", "CC"),
        ("gift_card", "CO"),
        ("Transferência", "TB"),
        ("eupago_cofidispay", "OU"),
        ("klarna_checkout_payments", "OU"),
        ("kco", "OU"),
        ("easypay_mb", "MB"),
        ("easypay_mbway", "CD"),
        ("easypay_dd", "TB"),
        ("ifthenpay_mb", "MB"),
        ("hipay_professional_multibanco", "MB"),
        ("payshop_ifthen_for_woocommerce", "NU"),
        ("Débito direto", "TB"),
        ("Cartão de débito", "CD"),
        ("À cobrança", "NU"),
        ("stripe_giropay", "TB"),
        ("stripe_bancontact", "CD"),
        ("stripe_checkout", "CC"),
        ("wc_checkout_com_cards", "CC"),
        ("cheque", "CH"),
        ("edenred", "TR"),
        ("pontos", "DE"),
        ("paysafecard", "DE"),
        ("Bank Deposit", "TB"),
        ("bizumredsys", "TB"),
        ("viva_wallet", "CC"),
        ("shopify_store_credit", "CO"),
    ],
)
def test_gateways_have_their_saft_mechanism(gateway: str, code: str) -> None:
    assert plan(an_order(gateway=gateway), (), a_policy()).documents[0].payment == code


def test_a_discount_by_payment_method_lowers_the_lines_of_its_rate() -> None:
    order = an_order(a_line("20.00"), a_line("-2.00", id="2", kind=LineKind.FEE), shipping("4.90"))
    (draft,) = plan(order, (), a_policy()).documents
    assert [str(line.gross) for line in draft.lines] == ["18.00", "4.90"]


def test_a_discount_over_several_rates_lowers_each_by_the_part_that_its_tax_tells() -> None:
    taxes = (TaxLine(rate=Decimal(23), amount=Decimal("-0.46")), TaxLine(rate=Decimal(6), amount=Decimal("-0.06")))
    fee = a_line("-3.52", id="d", kind=LineKind.FEE, net=Decimal("-3.00"), taxes=taxes)
    order = an_order(a_line("24.60"), a_line("10.60", id="2", rate="6", sku="LIVRO"), fee)
    assert [(line.vat_rate, line.net, line.gross) for line in a_draft(order).lines] == [
        (Decimal(23), Decimal("18.00"), Decimal("22.14")),
        (Decimal(6), Decimal("9.00"), Decimal("9.54")),
    ]


def test_what_a_discount_takes_wholly_becomes_a_gift() -> None:
    """A price of zero is refused by the service."""
    order = an_order(a_line("20.00"), a_line("10.60", id="2", rate="6"), a_line("-20.00", id="3", kind=LineKind.FEE))
    gift, paid = plan(order, (), a_policy()).documents[0].lines
    assert (gift.unit_price, gift.discounts, gift.gross) == (Decimal("16.2602"), (Decimal(100),), Decimal(0))
    assert (paid.gross, paid.discounts) == (Decimal("10.60"), ())


def test_a_discount_whose_tax_is_not_that_of_its_rate_is_held() -> None:
    taxes = (TaxLine(rate=Decimal(23), amount=Decimal("-0.46")),)
    fee = a_line("-3.46", id="d", kind=LineKind.FEE, net=Decimal("-3.00"), taxes=taxes)
    assert hold_code(an_order(a_line("24.60"), fee)) == "negative_fee"


def test_a_full_refund_repeats_every_line_to_the_cent() -> None:
    order = an_order(a_line("55.76", quantity="3"), a_line("15.00", id="2", rate="6", quantity="2"), shipping("4.90"))
    documents = plan(order, (), a_policy()).documents
    (note,) = plan(replace(order, refunds=(a_refund("75.66"),)), issued(*documents), a_policy()).documents
    assert [(line.net, line.tax) for line in note.lines] == [(line.net, line.tax) for line in documents[0].lines]


def test_shipping_taxed_below_the_law_takes_the_rate_of_the_goods() -> None:
    order = an_order(a_line("19.90"), shipping("2.00", rate=None))
    (draft,) = plan(order, (), a_policy()).documents
    assert [(str(line.vat_rate), str(line.gross)) for line in draft.lines] == [("23", "19.90"), ("23", "2.00")]
    assert draft.totals.gross == Decimal("21.90")


def test_shipping_can_follow_the_goods_by_policy() -> None:
    order = an_order(a_line("30.00"), a_line("20.00", rate="6", id="2"), shipping("5.00"))
    (draft,) = plan(order, (), a_policy(shipping_follows_goods=True)).documents
    assert [(line.code, str(line.gross)) for line in draft.lines[2:]] == [("PORTES-23", "3.00"), ("PORTES-6", "2.00")]


def test_a_gift_is_a_line_at_its_list_price_with_full_discount() -> None:
    order = an_order(a_line("39.95"), a_line("0.00", id="2", list_gross="4.50", name="Porta-chaves"))
    gift = plan(order, (), a_policy()).documents[0].lines[1]
    assert (gift.unit_price, gift.discount, gift.gross) == (Decimal("3.6600"), Decimal(100), Decimal(0))


def test_gift_cards_sold_stay_off_the_document() -> None:
    order = an_order(a_line("20.00"), a_line("50.00", rate=None, id="2", kind=LineKind.GIFT_CARD))
    assert grosses(plan(order, (), a_policy()).documents) == [("FR", "20.00")]


CARD = a_line("50.00", rate=None, kind=LineKind.GIFT_CARD, id="card", name="Cartão", sku="")
SINGLE = a_policy(gift_cards=GiftCards.SINGLE_PURPOSE, gift_card_rate=Decimal(23))


def test_a_single_purpose_voucher_is_the_sale_itself_at_its_rate() -> None:
    (draft,) = plan(an_order(CARD), (), SINGLE).documents
    assert [(line.vat_rate, line.net, line.gross) for line in draft.lines] == [
        (Decimal(23), Decimal("40.65"), Decimal("50.00"))
    ]
    assert "single purpose" in why(draft.lines[0])
    assert hold_code(an_order(CARD), a_policy(gift_cards=GiftCards.SINGLE_PURPOSE)) == "untaxed_line"
    assert hold_code(an_order(CARD), replace(SINGLE, gift_card_rate=Decimal(22))) == "vat_rate_mismatch"


def test_only_what_exceeds_a_single_purpose_voucher_is_invoiced_when_it_is_spent() -> None:
    payments = tuple(
        Payment(gateway=gateway, amount=Money(Decimal(amount), "EUR"))
        for gateway, amount in (("gift_card", "50.00"), ("mbway", "10.00"))
    )
    order = an_order(a_line("60.00", quantity="2"), payments=payments)
    (draft,) = plan(order, (), SINGLE).documents
    assert (draft.totals.gross, draft.payment) == (Decimal("10.00"), "CD")
    # 48.78 for all of it, 40.65 of that when the voucher was sold.
    assert draft.totals.net == Decimal("8.13")
    assert plan(order, issued(draft), SINGLE).documents == ()
    whole = an_order(a_line("50.00"), payments=payments[:1])
    assert (plan(whole, (), SINGLE).documents, plan(whole, (), SINGLE).holds) == ((), ())
    assert hold_code(order, replace(SINGLE, gift_card_rate=None)) == "voucher_rate"
    book = an_order(a_line("60.00", rate="6"), payments=payments)
    assert hold_code(book, SINGLE) == "deposit_exceeds"
    assert grosses(plan(order, (), a_policy()).documents) == [("FR", "60.00")]


def test_tips_are_shown_outside_vat_or_left_out() -> None:
    order = an_order(a_line("20.00"), a_line("2.00", rate=None, id="2", kind=LineKind.TIP))
    shown = plan(order, (), a_policy()).documents[0]
    assert (shown.lines[1].exemption, shown.totals.gross) == ("M99", Decimal("22.00"))
    left_out = plan(order, (), a_policy(non_supply=NonSupply.LEAVE_OUT)).documents[0]
    assert left_out.totals.gross == Decimal("20.00")


def test_orders_before_the_start_are_left_alone() -> None:
    assert plan(an_order(), (), a_policy(start_after=date(2026, 12, 1))).documents == ()


def test_the_customer_is_anonymous_without_a_tax_number() -> None:
    (draft,) = plan(an_order(), (), a_policy()).documents
    assert (draft.customer.code, draft.customer.tax_id, draft.customer.name) == ("", "999999990", "Consumidor final")


def test_a_tax_number_names_the_customer() -> None:
    buyer = replace(LISBON_BUYER, tax_id="PT 501 964 843", billing=replace(LISBON_BUYER.billing, company="Loja, Lda."))
    (draft,) = plan(an_order(buyer=buyer), (), a_policy()).documents
    assert (draft.customer.code, draft.customer.tax_id, draft.customer.name) == (
        "PT501964843",
        "501964843",
        "Loja, Lda.",
    )


def to(country: str, **changes: str) -> Order:
    address = replace(LISBON_BUYER.billing, country=country, postcode=changes.get("postcode", "10115"))
    buyer = replace(LISBON_BUYER, billing=address, tax_id=changes.get("tax_id", ""))
    rate = changes.get("rate")
    return an_order(a_line("119.00", rate=rate), buyer=buyer)


def test_an_export_is_exempt_with_its_reason() -> None:
    (draft,) = plan(to("US"), (), a_policy()).documents
    assert [(str(line.vat_rate), line.exemption) for line in draft.lines] == [("0.00", "M05")]
    assert draft.customer.country == "US"


def test_an_export_that_was_taxed_is_held() -> None:
    assert hold_code(to("US", rate="23")) == "export_with_tax"


def test_the_canaries_are_outside_the_vat_territory() -> None:
    (draft,) = plan(to("ES", postcode="35001"), (), a_policy()).documents
    assert draft.lines[0].exemption == "M05"


def test_a_consumer_in_another_member_state_pays_home_rates_below_the_threshold_and_theirs_under_oss() -> None:
    assert plan(to("DE", rate="23"), (), a_policy()).documents[0].region == "PT"
    assert hold_code(to("DE", rate="19")) == "vat_rate_mismatch"
    (draft,) = plan(to("DE", rate="19"), (), a_policy(oss=True)).documents
    assert (draft.region, draft.totals.net) == ("DE", Decimal("100.00"))


def test_a_company_in_another_member_state_waits_for_vies() -> None:
    order = to("ES", tax_id="ESB58378431")
    assert hold_code(order) == "vies_unconfirmed"
    (draft,) = plan(order, (), a_policy(), frozenset({"vies_unconfirmed"})).documents
    assert (draft.lines[0].exemption, draft.customer.tax_id) == ("M16", "ESB58378431")


def test_a_small_business_charges_no_vat() -> None:
    (draft,) = plan(an_order(a_line("10.00", rate=None)), (), a_policy(regime="art53")).documents
    assert draft.lines[0].exemption == "M10"
