from collections import Counter
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.domain.capabilities import Arithmetic
from syncd.domain.document import DocumentDraft, IssuedDocument, IssuedLine, PriceMode
from syncd.domain.order import OrderLine
from syncd.domain.states import DocumentState
from syncd.mapping.amounts import (
    Charge,
    explain,
    fiscal_amounts,
    fit,
    natural_prices,
    sent_prices,
    share,
    simulate,
    unlike,
)
from syncd.mapping.known import KnownDocument
from syncd.mapping.planner import plan
from tests.bench import cents
from tests.builders import ABLE, a_draft, a_line, a_policy, a_refund, an_order

CENTS = st.integers(1, 60_000).map(lambda value: Decimal(value) / 100)
RATES = st.sampled_from(["23", "13", "6"])


@st.composite
def order_lines(draw: st.DrawFn) -> list[OrderLine]:
    return [
        a_line(str(draw(CENTS)), rate=draw(RATES), quantity=str(draw(st.integers(1, 12))), id=str(number))
        for number in range(draw(st.integers(1, 30)))
    ]


@pytest.mark.parametrize("gross", ["5.00", "7.99", "15.00", "25.00"])
def test_grosses_that_no_whole_cent_net_reaches_get_a_manual_rounding(gross: str) -> None:
    charge = Charge(Decimal(1), Decimal(gross), Decimal(23), None)
    form = fit(natural_prices([charge], decimals=10), Decimal(gross), arithmetic=Arithmetic.LINE, able=ABLE)
    assert form is not None
    assert abs(form.rounding) == Decimal("0.01")
    assert form.totals.gross == Decimal(gross)


def test_where_no_rounding_is_allowed_an_unreachable_gross_has_no_form() -> None:
    charge = Charge(Decimal(1), Decimal("25.00"), Decimal(23), None)
    unable = replace(ABLE, rounding=Decimal(0))
    prices = natural_prices([charge], decimals=10)
    assert fit(prices, Decimal("25.00"), arithmetic=Arithmetic.LINE, able=unable) is None


def test_the_base_of_a_rate_is_rounded_once_and_its_lines_add_up_to_it() -> None:
    charges = [Charge(Decimal(1), Decimal(gross), Decimal(23), None) for gross in ("9.99", "3.90")]
    assert [str(amount.net) for amount in fiscal_amounts(charges)] == ["8.12", "3.17"]
    charges = [Charge(Decimal(1), Decimal(gross), Decimal(6), None) for gross in ("20.00", "2.00")]
    assert [str(amount.net) for amount in fiscal_amounts(charges)] == ["18.87", "1.88"]


@given(st.lists(CENTS, min_size=1, max_size=20), CENTS)
def test_a_share_adds_up(weights: list[Decimal], total: Decimal) -> None:
    parts = share(total, weights)
    assert sum(parts) == total
    assert all(part >= 0 for part in parts)


@settings(max_examples=40, deadline=None)
@given(order_lines(), st.sampled_from(list(Arithmetic)))
def test_every_order_comes_to_what_was_paid(lines: list[OrderLine], arithmetic: Arithmetic) -> None:
    order = an_order(*lines)
    made = plan(order, (), a_policy(arithmetic=arithmetic, name_threshold=Decimal(10**9)))
    (draft,) = made.documents
    assert draft.totals.gross == draft.expected.gross == order.total
    assert sum(line.gross for line in draft.lines) == order.total
    _, shown = simulate(sent_prices(draft), arithmetic)
    assert shown.gross + draft.rounding == order.total
    assert abs(draft.rounding) <= ABLE.rounding


@settings(max_examples=40, deadline=None)
@given(order_lines(), st.lists(st.integers(1, 100), min_size=1, max_size=5))
def test_every_chain_of_refunds_ends_at_exactly_zero(lines: list[OrderLine], parts: list[int]) -> None:
    order, policy = an_order(*lines), a_policy(name_threshold=Decimal(10**9))
    (sale,) = plan(order, (), policy).documents
    amounts = [amount for amount in share(order.total, [Decimal(part) for part in parts]) if amount]
    refunds = tuple(a_refund(str(amount), id=f"{number:02}") for number, amount in enumerate(amounts))
    issued = KnownDocument(key=sale.key, state=DocumentState.ISSUED, draft=sale)
    made = plan(replace(order, refunds=refunds), (issued,), policy)
    notes = made.documents
    if made.holds:  # some sums have no form at the service; how seldom that is, the generated orders below tell
        assert [hold.code for hold in made.holds] == ["no_exact_form"]
        assert [note.totals.gross for note in notes] == amounts[: len(notes)]
        return
    assert [note.totals.gross for note in notes] == amounts
    assert sum(note.totals.net for note in notes) == sale.totals.net
    assert sum(note.totals.tax for note in notes) == sale.totals.tax
    for position, line in enumerate(sale.lines):
        credited = [taken for note in notes for taken in note.lines if taken.original == position]
        assert sum(taken.quantity for taken in credited) <= line.quantity
        assert sum(taken.gross for taken in credited) == line.gross
        assert all(taken.unit_price <= line.unit_price for taken in credited)


def test_generated_orders_of_every_kind_are_right_to_the_cent() -> None:
    """A sample of what `python -m tests.bench.cents` runs by the hundred thousand."""
    found = cents.run(240, seed=7)
    assert (found.orders, found.wrong, found.held) == (240, [], Counter())
    assert found.notes > found.orders


@pytest.mark.parametrize("gross", ["5.00", "7.99", "15.00", "25.00"])
@pytest.mark.parametrize("rate", [23, 22, 13, 6])
def test_a_series_with_vat_included_reaches_every_gross(gross: str, rate: int) -> None:
    charge = Charge(Decimal(3), Decimal(gross), Decimal(rate), None)
    prices = natural_prices([charge], decimals=10, mode=PriceMode.GROSS)
    form = fit(prices, Decimal(gross), arithmetic=Arithmetic.LINE, able=ABLE)
    assert form is not None
    assert not form.rounding
    assert (form.totals.gross, form.lines[0].gross) == (Decimal(gross), Decimal(gross))
    assert form.totals.net == fiscal_amounts([charge])[0].net


def test_gross_prices_of_shops_without_vat_in_them_come_to_what_was_paid() -> None:
    charge = Charge(Decimal(1), Decimal("12.30"), Decimal(23), None, net=Decimal("10.00"))
    (price,) = natural_prices([charge], decimals=4, mode=PriceMode.GROSS)
    assert (price.unit_price, price.mode) == (Decimal("12.3000"), PriceMode.GROSS)
    gift = Charge(Decimal(1), Decimal("0.00"), Decimal(23), None, list_price=Decimal("10.00"))
    (price,) = natural_prices([gift], decimals=4, mode=PriceMode.GROSS)
    assert (price.unit_price, price.discounts) == (Decimal("12.3000"), (Decimal(100),))


def test_a_credit_note_sends_prices_as_its_document_did() -> None:
    order = an_order(a_line("30.00", quantity="3"), refunds=(a_refund("10.00", ("1", "1", "10.00")),))
    sale, note = plan(order, (), a_policy(price_mode=PriceMode.GROSS)).documents
    assert (sale.price_mode, note.price_mode) == (PriceMode.GROSS, PriceMode.GROSS)
    assert (sale.lines[0].unit_price, note.lines[0].unit_price) == (Decimal(10), Decimal(10))
    assert note.expected.gross == Decimal("10.00")
    assert not note.rounding


@pytest.mark.parametrize("sold_in", list(PriceMode))
def test_a_credit_note_in_a_series_of_the_other_kind_still_comes_to_what_was_given_back(sold_in: PriceMode) -> None:
    """The series was changed since the sale: the prices are converted and never exceed the original's."""
    other = PriceMode.GROSS if sold_in is PriceMode.NET else PriceMode.NET
    policy = a_policy(price_mode=sold_in, price_modes={"NC": other})
    lines = [a_line("4.99", quantity="3"), a_line("7.77", rate="6", id="2"), a_line("0.99", rate="13", id="3")]
    refunds = (a_refund("3.33", id="1"), a_refund("10.42", id="2"))
    sale, *notes = plan(an_order(*lines, refunds=refunds), (), policy).documents
    assert (sale.price_mode, {note.price_mode for note in notes}) == (sold_in, {other})
    assert [note.expected.gross for note in notes] == [Decimal("3.33"), Decimal("10.42")]
    for note in notes:
        for line in note.lines:
            assert line.original is not None
            net, sold = (
                price.unit_price / (1 + price.rate / 100) if price.mode is PriceMode.GROSS else price.unit_price
                for price in (sent_prices(replace(note, lines=(line,)))[0], sent_prices(sale)[line.original])
            )
            assert net <= sold + Decimal("1e-20")


# Lines whose nets the three ways of adding up round to three different documents.
TELLING = [a_line(gross, rate="23", id=str(number)) for number, gross in enumerate(("5.00", "7.99", "15.00", "0.99"))]


def answer(draft: DocumentDraft, arithmetic: Arithmetic, *, lines: bool = True) -> IssuedDocument:
    """What a service that adds up in this way says to the draft's prices."""
    shown, totals = simulate(sent_prices(draft), arithmetic)
    told = tuple(IssuedLine(id=str(at), net=a.net, tax=a.tax, gross=a.gross) for at, a in enumerate(shown))
    return IssuedDocument(
        provider_id="1", number="FR 1", issued_on=date(2026, 11, 20), totals=totals, lines=told if lines else ()
    )


@pytest.mark.parametrize("lines", [True, False])
@pytest.mark.parametrize("mode", list(PriceMode))
def test_an_answer_tells_the_arithmetic_that_made_it(mode: PriceMode, lines: bool) -> None:
    draft = a_draft(an_order(*TELLING), a_policy(price_mode=mode))
    answers = {arithmetic: answer(draft, arithmetic, lines=lines) for arithmetic in Arithmetic}
    for arithmetic, told in answers.items():
        rounded = replace(told, totals=replace(told.totals, gross=told.totals.gross + draft.rounding))
        alike = {way for way, other in answers.items() if other.totals == told.totals}
        assert explain(draft, rounded) == alike
        assert arithmetic in alike
    assert unlike(draft) == {way for way, told in answers.items() if told.totals != answers[Arithmetic.LINE].totals}
    assert unlike(draft)


@pytest.mark.parametrize("arithmetic", list(Arithmetic))
def test_a_document_of_one_round_line_is_the_same_under_every_arithmetic(arithmetic: Arithmetic) -> None:
    assert unlike(a_draft(an_order(a_line("12.30")), a_policy(arithmetic=arithmetic))) == frozenset()


def test_an_answer_that_no_arithmetic_gives_stays_unexplained() -> None:
    draft = a_draft(an_order(*TELLING))
    told = answer(draft, Arithmetic.LINE)
    told = replace(told, totals=draft.expected)
    assert Arithmetic.LINE in explain(draft, told)
    wrong = replace(told.totals, tax=told.totals.tax + 1, gross=told.totals.gross + 1)
    assert explain(draft, replace(told, totals=wrong)) == frozenset()
    assert explain(draft, replace(told, lines=told.lines[1:])) == frozenset()
    shifted = (replace(told.lines[0], net=told.lines[0].net + 1), *told.lines[1:])
    assert explain(draft, replace(told, lines=shifted)) == frozenset()


def test_an_answer_that_leaves_the_manual_rounding_out_is_no_arithmetics() -> None:
    draft = a_draft(an_order(*TELLING))
    assert draft.rounding
    assert explain(draft, answer(draft, Arithmetic.LINE)) == frozenset()
