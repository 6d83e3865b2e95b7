from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.domain.capabilities import Arithmetic
from syncd.domain.document import DocumentDraft
from syncd.domain.order import OrderLine
from syncd.domain.states import DocumentState
from syncd.mapping.amounts import Charge, Price, fiscal_amounts, fit, natural_prices, share, simulate
from syncd.mapping.known import KnownDocument
from syncd.mapping.planner import plan
from tests.builders import ABLE, a_line, a_policy, a_refund, an_order

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
    _, shown = simulate(_prices(draft), arithmetic)
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
    assert not made.holds
    notes = made.documents
    assert [note.totals.gross for note in notes] == amounts
    assert sum(note.totals.net for note in notes) == sale.totals.net
    assert sum(note.totals.tax for note in notes) == sale.totals.tax
    for position, line in enumerate(sale.lines):
        credited = [taken for note in notes for taken in note.lines if taken.original == position]
        assert sum(taken.quantity for taken in credited) <= line.quantity
        assert sum(taken.gross for taken in credited) == line.gross
        assert all(taken.unit_price <= line.unit_price for taken in credited)


def _prices(draft: DocumentDraft) -> list[Price]:

    return [Price(line.quantity, line.unit_price, line.discount, line.vat_rate) for line in draft.lines]
