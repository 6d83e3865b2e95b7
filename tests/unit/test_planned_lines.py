"""What stands on a document's lines: gifts, discounts, shipping, vouchers and tips."""

from dataclasses import replace
from decimal import Decimal

import pytest

from syncd.domain.document import DocumentKind
from syncd.domain.money import Money
from syncd.domain.order import Lifecycle, LineKind, Payment, TaxLine
from syncd.mapping.planner import plan
from syncd.mapping.policy import GiftCards, NonSupply, ZeroTotal
from syncd.mapping.reasons import why
from tests.builders import a_draft, a_line, a_policy, an_order, grosses, hold_code, issued, shipping

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
