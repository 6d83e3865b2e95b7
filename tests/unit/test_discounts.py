from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.dispatch.verify import shape_of
from syncd.domain.capabilities import Arithmetic
from syncd.domain.document import DraftLine, PriceMode
from syncd.domain.money import Money
from syncd.domain.order import LineKind, Order, OrderLine, Payment, PaymentState
from syncd.mapping.amounts import sent_prices, simulate
from syncd.mapping.planner import plan
from syncd.mapping.report import drafts_of, plan_json
from tests.builders import PAID_AT, a_draft, a_line, a_policy, a_refund, an_order, issued, shipping

D = Decimal
SHOWN: dict[str, Any] = {"show_discounts": True, "name_threshold": D(10**9)}


def first(*lines: OrderLine, **policy: Any) -> DraftLine:
    return a_draft(an_order(*lines), a_policy(**SHOWN | policy)).lines[0]


def test_without_the_setting_a_line_has_the_price_after_its_discount() -> None:
    line = first(a_line("11.07", list_gross="12.30"), show_discounts=False)
    assert (line.unit_price, line.discounts) == (D("9.0000000000"), ())


@pytest.mark.parametrize(("mode", "unit_price"), [(PriceMode.NET, "10.0000000000"), (PriceMode.GROSS, "12.3000000000")])
def test_a_discount_is_shown_as_list_price_and_percentage(mode: PriceMode, unit_price: str) -> None:
    line = first(a_line("22.14", list_gross="24.60", quantity="2"), price_mode=mode)
    assert (line.unit_price, line.discounts, line.gross) == (D(unit_price), (D(10),), D("22.14"))


@pytest.mark.parametrize(
    ("list_gross", "paid", "percentage"),
    [("9.99", "8.99", "10"), ("29.90", "19.90", "33.44"), ("1999.99", "1333.33", "33.333"), ("0.05", "0.04", "20")],
)
def test_a_percentage_is_as_short_as_the_cent_allows(list_gross: str, paid: str, percentage: str) -> None:
    line = first(a_line(paid, list_gross=list_gross), price_mode=PriceMode.GROSS)
    assert line.discounts == (D(percentage),)


def test_prices_agreed_without_vat_are_shown_without_it() -> None:
    order = an_order(a_line("11.07", list_gross="12.30"), prices_include_tax=False)
    (line,) = a_draft(order, a_policy(**SHOWN)).lines
    assert (line.unit_price, line.discounts) == (D("10.0000000000"), (D(10),))


@pytest.mark.parametrize(
    ("taken", "discounts"),
    [
        ((), ("14.5",)),
        (("14.5",), ("14.5",)),
        (("10", "5"), ("10", "5")),
        (("5", "10"), ("5", "10")),
        (("5", "5", "5.263157894"), ("5", "5", "5.263")),
        (("5", "5", "4", "1.3157894"), ("5", "5", "5.263")),  # no more than the service takes
    ],
)
def test_successive_discounts_follow_one_another_as_the_shop_took_them(
    taken: Sequence[str], discounts: Sequence[str]
) -> None:
    paid = "85.50" if len(taken) < 3 else "855.00"
    line = first(
        a_line(paid, list_gross="100.00" if len(taken) < 3 else "1000.00", discounts=tuple(map(D, taken))),
        price_mode=PriceMode.GROSS,
    )
    assert [str(each) for each in line.discounts] == list(discounts)


def test_where_no_percentage_comes_to_the_cent_only_that_line_has_the_price_after_discount() -> None:
    dear = a_line("8999999.99", list_gross="9000000.00", id="2")
    draft = a_draft(an_order(a_line("11.07", list_gross="12.30"), dear), a_policy(**SHOWN))
    assert [line.discounts for line in draft.lines] == [(D(10),), ()]
    assert draft.totals.gross == draft.expected.gross == D("9000011.06")


def test_a_service_that_takes_whole_percentages_shows_those_that_hit_the_cent() -> None:
    able = a_policy().capabilities
    able = replace(able, limits=replace(able.limits, discount_decimals=0))
    lines = a_line("11.07", list_gross="12.30"), a_line("19.90", list_gross="29.90", id="2")
    draft = a_draft(an_order(*lines), a_policy(**SHOWN, capabilities=able))
    assert [line.discounts for line in draft.lines] == [(D(10),), ()]


@pytest.mark.parametrize("arithmetic", [Arithmetic.RATE, Arithmetic.BASE])
def test_where_short_percentages_would_move_the_sum_all_get_more_decimals(arithmetic: Arithmetic) -> None:
    lines = [a_line("8.99", list_gross="9.99", id=str(number)) for number in range(20)]
    draft = a_draft(an_order(*lines), a_policy(**SHOWN, arithmetic=arithmetic))
    assert {line.discounts for line in draft.lines} == {(D("10.01001"),)}
    assert draft.expected.gross == D("179.80")


def test_a_document_whose_sum_no_percentages_reach_has_the_prices_after_discount() -> None:
    able = a_policy().capabilities
    able = replace(able, limits=replace(able.limits, discount_decimals=0))
    lines = [a_line("8.99", list_gross="9.99", id=str(number)) for number in range(20)]
    policy = a_policy(**SHOWN, arithmetic=Arithmetic.RATE, capabilities=able)
    assert {line.discounts for line in a_draft(an_order(*lines), policy).lines} == {()}


@pytest.mark.parametrize("mode", list(PriceMode))
@pytest.mark.parametrize("show_discounts", [True, False])
def test_a_unit_price_of_the_shops_own_is_shown_with_all_its_decimals(mode: PriceMode, show_discounts: bool) -> None:
    own = {PriceMode.NET: "0.0375000000", PriceMode.GROSS: "0.0461250000"}
    order = an_order(a_line("1.53", quantity="33", unit_price=D("0.0375")), prices_include_tax=False)
    policy = a_policy(price_mode=mode, show_discounts=show_discounts)
    (line,) = a_draft(order, policy).lines
    if mode is PriceMode.NET:
        assert (line.unit_price, line.discounts, line.net) == (D(own[mode]), (), D("1.24"))
    else:
        assert line.unit_price == D("0.0463636364")  # 33 x 0.046125 would be 1.52


def test_a_unit_price_of_the_shops_own_stands_before_its_discount() -> None:
    line = a_line("1.35", list_gross="1.50", quantity="3", unit_price=D("0.4999"))
    shown = first(line, price_mode=PriceMode.GROSS)
    assert (shown.unit_price, shown.discounts) == (D("0.4999000000"), (D(10),))
    folded = first(line, price_mode=PriceMode.GROSS, show_discounts=False)
    assert (folded.unit_price, folded.discounts) == (D("0.4500000000"), ())


def test_a_unit_price_that_does_not_come_to_the_lines_cents_is_not_shown() -> None:
    line = first(a_line("10.00", quantity="3", unit_price=D("3.00")), price_mode=PriceMode.GROSS)
    assert line.unit_price == D("3.3333333333")


def test_shipping_shows_its_discount_and_a_gift_stays_a_gift() -> None:
    lines = a_line("0.00", list_gross="4.50"), shipping("2.45", list_gross="4.90")
    draft = a_draft(an_order(*lines), a_policy(**SHOWN))
    assert [line.discounts for line in draft.lines] == [(D(100),), (D(50),)]
    assert draft.lines[0].unit_price == D("3.6600")


def test_a_discount_that_the_shop_writes_as_a_fee_is_shown_on_the_lines_that_it_lowers() -> None:
    lines = a_line("24.60"), a_line("10.60", id="2", rate="6"), a_line("-2.46", id="fee", kind=LineKind.FEE)
    draft = a_draft(an_order(*lines), a_policy(**SHOWN))
    assert [(line.gross, line.discounts) for line in draft.lines] == [(D("22.14"), (D(10),)), (D("10.60"), ())]
    hidden = a_draft(an_order(*lines), a_policy())
    assert [(line.gross, line.discounts) for line in hidden.lines] == [(D("22.14"), ()), (D("10.60"), ())]


def test_what_a_deposit_took_is_no_discount() -> None:
    line = a_line("88.56", list_gross="98.40")
    part = Payment(gateway="stripe", amount=Money(D("30.00"), "EUR"), paid_at=PAID_AT, id="1")
    waiting = an_order(line, payment=PaymentState.PARTIAL, paid_at=None, payments=(part,))
    policy = a_policy(**SHOWN)
    (deposit,) = plan(waiting, (), policy).documents
    rest = Payment(gateway="stripe", amount=Money(D("58.56"), "EUR"), paid_at=PAID_AT, id="2")
    (balance,) = plan(an_order(line, payments=(part, rest)), issued(deposit), policy).documents
    assert [(drawn.gross, drawn.discounts) for drawn in balance.lines] == [(D("58.56"), ())]


def test_a_credit_note_has_its_originals_price_and_percentages() -> None:
    line = a_line("25.65", list_gross="30.00", quantity="3", discounts=(D(10), D(5)))
    order = an_order(line, refunds=(a_refund("8.55", ("1", "1", "8.55")), a_refund("17.10", id="60")))
    sale, *notes = plan(order, (), a_policy(**SHOWN)).documents
    (sold,) = sale.lines
    assert (sold.quantity, sold.discounts) == (D(3), (D(10), D(5)))
    assert [note.totals.gross for note in notes] == [D("8.55"), D("17.10")]
    for note in notes:
        (back,) = note.lines
        assert (back.unit_price, back.discounts) == (sold.unit_price, sold.discounts)


def test_a_plan_says_what_the_discounts_come_to_and_can_be_read_back() -> None:
    line = a_line("85.50", list_gross="100.00", discounts=(D(10), D(5)))
    order = an_order(line)
    made = plan(order, (), a_policy(**SHOWN))
    said = plan_json(made)
    (told,) = said["documents"][0]["lines"]
    assert (told["discount"], told["discounts"]) == ("14.5", ["10", "5"])
    (read,) = drafts_of(said)
    assert read.lines == made.documents[0].lines
    del told["discounts"]
    (read,) = drafts_of(said)
    assert read.lines[0].discounts == (D("14.5"),)


@pytest.mark.parametrize(
    ("shape", "line"),
    [
        ("sale", a_line("12.30")),
        ("sale+discount", a_line("0.00", list_gross="9.99")),
        ("sale+percentage", a_line("8.61", list_gross="12.30")),
        ("sale+percentage+successive", a_line("85.50", list_gross="100.00", discounts=(D(10), D(5)))),
    ],
)
def test_percentages_are_a_shape_that_gifts_do_not_prove(shape: str, line: OrderLine) -> None:
    gift = shape == "sale+discount"
    lines = (line, a_line("12.30", id="2")) if gift else (line,)
    assert shape_of(a_draft(an_order(*lines), a_policy(**SHOWN))) == shape


CENTS = st.integers(1, 60_000).map(lambda value: D(value) / 100)


@st.composite
def discounted(draw: st.DrawFn) -> Order:
    lines = []
    for number in range(draw(st.integers(1, 12))):
        paid = draw(CENTS)
        parts = draw(st.lists(st.integers(1, 60).map(D), max_size=4))
        lines.append(
            a_line(
                str(paid),
                list_gross=str(paid + draw(CENTS)),
                rate=draw(st.sampled_from(["23", "13", "6"])),
                quantity=str(draw(st.integers(1, 12))),
                id=str(number),
                discounts=tuple(parts),
            )
        )
    return an_order(*lines)


@settings(max_examples=60, deadline=None)
@given(discounted(), st.sampled_from(list(Arithmetic)), st.sampled_from(list(PriceMode)))
def test_showing_discounts_never_costs_a_cent(order: Order, arithmetic: Arithmetic, mode: PriceMode) -> None:
    policy = a_policy(**SHOWN, arithmetic=arithmetic, price_mode=mode)
    shown = a_draft(order, policy)
    folded = a_draft(order, replace(policy, show_discounts=False))
    assert shown.rounding == folded.rounding
    assert simulate(sent_prices(shown), arithmetic)[1].gross + shown.rounding == order.total
    for line in shown.lines:
        assert len(line.discounts) <= 3
        assert all(0 < each < 100 and each == round(each, 5) for each in line.discounts)
