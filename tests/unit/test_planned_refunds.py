"""What is given back is credited: to the cent, once, and never more than was invoiced."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from syncd.domain.document import DocumentKind
from syncd.domain.order import Lifecycle, RefundState
from syncd.mapping.planner import plan
from tests.builders import PAID_AT, a_line, a_policy, a_refund, an_order, grosses, issued, shipping


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


def test_a_full_refund_repeats_every_line_to_the_cent() -> None:
    order = an_order(a_line("55.76", quantity="3"), a_line("15.00", id="2", rate="6", quantity="2"), shipping("4.90"))
    documents = plan(order, (), a_policy()).documents
    (note,) = plan(replace(order, refunds=(a_refund("75.66"),)), issued(*documents), a_policy()).documents
    assert [(line.net, line.tax) for line in note.lines] == [(line.net, line.tax) for line in documents[0].lines]
