"""Until when a document is lawful."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from syncd.domain.document import DocumentDraft, DocumentKind
from syncd.domain.order import PaymentState
from syncd.mapping.deadlines import annul_until, deadline_of, deadline_of_held, holidays, month_end, working_day_after
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


def test_what_is_paid_is_due_on_the_day_of_payment() -> None:
    deadline = deadline_of(a_draft())
    assert deadline.last_day == FRIDAY
    assert deadline.ends_at == datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC)
    assert "art. 36 n.º 1 c" in deadline.rule
    assert deadline.standing(PAID_AT) == "today is the last day"
    assert deadline.standing(PAID_AT - timedelta(days=1)) == "1 day left"
    assert deadline.standing(PAID_AT + timedelta(days=2)) == "2 days late"
    assert deadline.overrun(PAID_AT) == {}
    assert str(deadline.overrun(PAID_AT + timedelta(days=1))["late"]).endswith("until 2026-11-20, 1 day late")


def test_the_day_is_the_sellers() -> None:
    midnight = a_draft(an_order(paid_at=datetime(2026, 7, 1, 23, 30, tzinfo=UTC)))
    assert deadline_of(midnight).last_day == date(2026, 7, 2)
    assert deadline_of(midnight).ends_at == datetime(2026, 7, 2, 22, 59, 59, tzinfo=UTC)
    azores = deadline_of(replace(midnight, region="PT-AC"))
    assert azores.last_day == date(2026, 7, 1)
    assert azores.standing(datetime(2026, 7, 1, 23, 45, tzinfo=UTC)) == "today is the last day"


def test_an_invoice_and_a_credit_note_have_five_working_days() -> None:
    assert deadline_of(invoice()).last_day == date(2026, 11, 27)
    (note,) = plan(an_order(refunds=(a_refund("12.30"),)), issued(a_draft()), a_policy()).documents
    assert (note.kind, deadline_of(note).last_day) == (DocumentKind.NC, date(2026, 11, 27))
    assert "n.º 3" in deadline_of(note).rule


def test_a_receipt_is_due_on_the_day_of_the_money() -> None:
    (receipt,) = plan(an_order(), issued(invoice()), a_policy()).documents
    assert deadline_of(receipt).last_day == PAID_AT.date()


def test_a_service_to_a_company_abroad_has_until_the_15th() -> None:
    lines = tuple(replace(line, exemption="M40") for line in invoice().lines)
    assert deadline_of(replace(invoice(), lines=lines)).last_day == date(2026, 12, 15)


def test_the_end_of_the_month_is_said() -> None:
    last = datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert "the month of its tax ends today" in deadline_of(a_draft(an_order(paid_at=last))).standing(last)
    assert "month" not in deadline_of(a_draft()).standing(PAID_AT)
    assert "month" not in deadline_of(invoice()).standing(last)


def test_a_held_orders_clock_goes_on() -> None:
    paid = deadline_of_held(an_order(), (), a_policy())
    assert (paid.last_day, "n.º 1 c" in paid.rule) == (FRIDAY, True)
    unpaid = an_order(payment=PaymentState.UNPAID, paid_at=None, payments=())
    assert deadline_of_held(unpaid, (), a_policy()).last_day == date(2026, 11, 27)


def test_of_a_held_refund_the_day_of_the_return_counts() -> None:
    first = a_refund("12.30")
    second = replace(first, id="second", created_at=first.created_at + timedelta(days=3))
    order = an_order(refunds=(first, second))
    sale = issued(a_draft())
    assert deadline_of_held(order, sale, a_policy()).last_day == date(2026, 11, 27)
    (note, *_) = plan(replace(order, refunds=(first,)), sale, a_policy()).documents
    both = deadline_of_held(order, issued(a_draft(), note), a_policy())
    assert (both.last_day, "n.º 3" in both.rule) == (date(2026, 11, 30), True)


def test_of_a_held_edit_the_day_of_the_edit_counts() -> None:
    edited = an_order(updated_at=PAID_AT + timedelta(days=4))
    assert deadline_of_held(edited, issued(a_draft()), a_policy()).last_day == date(2026, 12, 2)


@pytest.mark.parametrize(
    ("issued_on", "until"),
    [(date(2026, 11, 20), date(2026, 11, 25)), (date(2026, 11, 28), date(2026, 11, 30))],
)
def test_annulling_ends_with_five_days_and_with_the_month(issued_on: date, until: date) -> None:
    assert annul_until(issued_on) == until


@pytest.mark.parametrize(("day", "end"), [(date(2028, 2, 3), 29), (date(2026, 12, 31), 31), (date(2026, 4, 30), 30)])
def test_months_end_where_they_do(day: date, end: int) -> None:
    assert month_end(day) == day.replace(day=end)
