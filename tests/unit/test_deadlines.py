"""Until when a document is lawful."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from syncd.domain.document import DocumentDraft, DocumentKind
from syncd.domain.order import PaymentState
from syncd.mapping.deadlines import annul_until, easter_sunday, holidays, legal_clock, month_end, working_day_after
from syncd.mapping.planner import plan
from tests.builders import PAID_AT, a_draft, a_policy, a_refund, an_order, issued

FRIDAY = date(2026, 11, 20)


def invoice() -> DocumentDraft:
    order = an_order(payment=PaymentState.UNPAID, paid_at=None, payments=())
    return plan(order, (), a_policy(unpaid_document=True)).documents[0]


@pytest.mark.parametrize(
    ("due", "last"),
    [
        (date(2026, 12, 3), date(2026, 12, 11)),  # the 8th is a holiday
        (date(2026, 12, 23), date(2026, 12, 31)),
        (date(2026, 12, 24), date(2027, 1, 4)),
        (date(2026, 11, 20), date(2026, 11, 27)),
    ],
)
def test_the_fifth_working_day_passes_over_weekends_and_holidays(due: date, last: date) -> None:
    assert working_day_after(due, 5) == last


@pytest.mark.parametrize(
    ("good_friday", "corpus_christi"),
    [
        (date(2026, 4, 3), date(2026, 6, 4)),
        (date(2027, 3, 26), date(2027, 5, 27)),
        (date(2028, 4, 14), date(2028, 6, 15)),
    ],
)
def test_the_moving_holidays_follow_easter(good_friday: date, corpus_christi: date) -> None:
    found = holidays(good_friday.year)
    assert {good_friday, good_friday + timedelta(days=2), corpus_christi} <= found
    assert len(found) == 13


@pytest.mark.parametrize(("year", "month", "day"), [(1961, 4, 2), (2000, 4, 23), (2038, 4, 25), (2285, 3, 22)])
def test_easter_is_right_at_its_ends(year: int, month: int, day: int) -> None:
    assert easter_sunday(year) == date(year, month, day)


def test_what_is_paid_is_due_on_the_day_of_payment() -> None:
    clock = legal_clock(a_draft(), FRIDAY)
    assert (clock.last_day, clock.late) == (FRIDAY, False)
    assert "art. 36 n.º 1 c" in clock.text
    assert "today is the last day" in clock.text
    late = legal_clock(a_draft(), FRIDAY + timedelta(days=2))
    assert (late.last_day, late.late) == (FRIDAY, True)
    assert late.text.endswith("2 days late")


def test_the_day_is_the_sellers() -> None:
    midnight = a_draft(an_order(paid_at=datetime(2026, 7, 1, 23, 30, tzinfo=UTC)))
    assert legal_clock(midnight, FRIDAY).last_day == date(2026, 7, 2)
    assert legal_clock(replace(midnight, region="PT-AC"), FRIDAY).last_day == date(2026, 7, 1)


def test_an_invoice_and_a_credit_note_have_five_working_days() -> None:
    assert legal_clock(invoice(), FRIDAY).last_day == date(2026, 11, 27)
    (note,) = plan(an_order(refunds=(a_refund("12.30"),)), issued(a_draft()), a_policy()).documents
    assert (note.kind, legal_clock(note, FRIDAY).last_day) == (DocumentKind.NC, date(2026, 11, 27))
    assert legal_clock(note, FRIDAY).text.endswith("7 days left")


def test_a_receipt_is_due_on_the_day_of_the_money() -> None:
    (receipt,) = plan(an_order(), issued(invoice()), a_policy()).documents
    assert legal_clock(receipt, FRIDAY).last_day == PAID_AT.date()


def test_a_service_to_a_company_abroad_has_until_the_15th() -> None:
    lines = tuple(replace(line, exemption="M40") for line in invoice().lines)
    assert legal_clock(replace(invoice(), lines=lines), FRIDAY).last_day == date(2026, 12, 15)


def test_the_end_of_the_month_is_said() -> None:
    last = datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert "the month of its tax ends today" in legal_clock(a_draft(an_order(paid_at=last)), last.date()).text
    assert "month" not in legal_clock(a_draft(), FRIDAY).text


@pytest.mark.parametrize(
    ("issued_on", "until"),
    [(date(2026, 11, 20), date(2026, 11, 25)), (date(2026, 11, 28), date(2026, 11, 30))],
)
def test_annulling_ends_with_five_days_and_with_the_month(issued_on: date, until: date) -> None:
    assert annul_until(issued_on) == until


@pytest.mark.parametrize(("day", "end"), [(date(2028, 2, 3), 29), (date(2026, 12, 31), 31), (date(2026, 4, 30), 30)])
def test_months_end_where_they_do(day: date, end: int) -> None:
    assert month_end(day) == day.replace(day=end)
