"""A discount that comes, grows or goes after the document went out."""

from dataclasses import replace
from decimal import Decimal

import pytest

from syncd.domain.order import Lifecycle, LineKind, OrderLine, PaymentState, TaxLine
from syncd.mapping.planner import plan
from tests.builders import a_line, a_policy, a_refund, issued
from tests.unit.edited_orders import BOOK, CUP, DISCOUNT, LATER, PLATE, now, planned, sold

D = Decimal


def test_a_discount_that_comes_as_a_line_of_its_own_is_credited_at_its_rate() -> None:
    _, documents = sold(CUP, PLATE, BOOK)
    lowered = now(CUP, PLATE, BOOK, DISCOUNT)
    assert planned(lowered, documents) == [("NC", "edit-1", "2.00")]
    assert [(line.code, line.vat_rate, line.gross) for line in documents[-1].lines] == [("CAN-1", D(23), D("2.00"))]
    assert planned(lowered, documents) == []
    more = now(CUP, PLATE, BOOK, a_line("-5.00", id="d", kind=LineKind.FEE))
    assert planned(more, documents) == [("NC", "edit-2", "3.00")]
    assert planned(more, documents) == []


def test_a_discount_over_several_rates_is_credited_at_each() -> None:
    _, documents = sold(CUP, BOOK)
    taxes = (TaxLine(rate=D(23), amount=D("-1.15")), TaxLine(rate=D(6), amount=D("-0.30")))
    both = a_line("-11.45", id="d", kind=LineKind.FEE, net=D("-10.00"), taxes=taxes)
    assert planned(now(CUP, BOOK, both), documents) == [("NC", "edit-1", "11.45")]
    assert [(tax.rate, tax.base + tax.tax) for tax in documents[-1].taxes] == [(D(23), D("6.15")), (D(6), D("5.30"))]


def test_a_discount_that_grows_is_credited_for_the_difference() -> None:
    _, documents = sold(CUP, PLATE, DISCOUNT)
    more = now(CUP, PLATE, a_line("-5.00", id="d", kind=LineKind.FEE))
    assert planned(more, documents) == [("NC", "edit-1", "3.00")]
    assert (
        planned(now(CUP, PLATE, a_line("-5.00", id="d", kind=LineKind.FEE), refunds=(a_refund("3.00"),)), documents)
        == []
    )


def test_a_discount_and_what_fell_away_with_it_are_one_credit_note() -> None:
    _, documents = sold(CUP, PLATE)
    assert planned(now(PLATE, DISCOUNT), documents) == [("NC", "edit-1", "12.00")]
    assert [(line.code, line.gross) for line in documents[-1].lines] == [("CAN-1", D("10.00")), ("PRATO", D("2.00"))]


@pytest.mark.parametrize("order", [0, 1], ids=["refund after", "refund with it"])
def test_a_discount_that_is_paid_out_is_credited_once(order: int) -> None:
    _, documents = sold(CUP, BOOK)
    lowered = now(CUP, BOOK, DISCOUNT)
    paid_out = replace(lowered, refunds=(a_refund("2.00"),))
    story = ([lowered] if order == 0 else []) + [paid_out, paid_out]
    assert [made for state in story for made in planned(state, documents)] == [
        ("NC", ("edit-1", "refund-55")[order], "2.00")
    ]
    assert {line.vat_rate for line in documents[-1].lines} == {D(23)}


def test_a_line_given_away_by_a_later_discount_is_not_looked_at_again() -> None:
    _, documents = sold(CUP, BOOK)
    free = a_line("-10.00", id="d", kind=LineKind.FEE)
    given = now(CUP, BOOK, free, refunds=(a_refund("10.00"),))
    assert planned(given, documents) == [("NC", "refund-55", "10.00")]
    assert planned(given, documents) == []


@pytest.mark.parametrize(
    ("after", "again"),
    [((), "25.60"), ((a_line("-1.00", id="d", kind=LineKind.FEE),), "24.60")],
    ids=["lost", "smaller"],
)
def test_a_discount_that_is_taken_back_has_all_credited_and_invoiced_anew(
    after: tuple[OrderLine, ...], again: str
) -> None:
    _, documents = sold(CUP, PLATE, BOOK, DISCOUNT)
    dearer = now(CUP, PLATE, BOOK, *after)
    assert planned(replace(dearer, payment=PaymentState.PARTIAL), documents) == []
    assert planned(dearer, documents) == [("NC", "edit-1", "23.60"), ("FR", "extra-1", again)]
    assert documents[-1].payment == "CS"
    assert planned(dearer, documents) == []
    lowered = now(CUP, PLATE, BOOK, a_line("-3.00", id="d", kind=LineKind.FEE))
    assert planned(lowered, documents) == [("NC", "edit-2-extra-1", str(D(again) - D("22.60")))]
    cancelled = replace(lowered, lifecycle=Lifecycle.CANCELLED, cancelled_at=LATER)
    assert planned(cancelled, documents) == [("NC", "cancel-extra-1", "22.60")]


def test_only_the_credit_note_of_what_is_issued_anew_is_not_repeated() -> None:
    _, documents = sold(CUP, DISCOUNT)
    dearer = now(CUP)
    note, anew = plan(dearer, issued(*documents), a_policy()).documents
    assert planned(dearer, [*documents, note]) == [("FR", "extra-1", "10.00")]
    assert (note.totals.gross, anew.totals.gross) == (D("8.00"), D("10.00"))


def test_what_came_later_is_issued_anew_with_the_rest() -> None:
    _, documents = sold(CUP, DISCOUNT)
    assert planned(now(CUP, PLATE, DISCOUNT), documents) == [("FR", "extra-1", "5.00")]
    assert planned(now(CUP, PLATE), documents) == [
        ("NC", "edit-1", "8.00"),
        ("NC", "edit-1-extra-1", "5.00"),
        ("FR", "extra-2", "15.00"),
    ]
    assert planned(now(CUP, PLATE), documents) == []
