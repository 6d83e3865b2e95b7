"""An edited order whose money comes back: a refund leads, and nothing is credited twice."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from syncd.domain.order import RefundState
from syncd.mapping.planner import plan
from tests.builders import a_line, a_policy, a_refund, grosses, issued
from tests.unit.edited_orders import BOOK, CUP, LATER, PLATE, now, planned, sold

D = Decimal


@pytest.mark.parametrize("state", [RefundState.DONE, RefundState.PENDING])
def test_a_refund_that_says_so_leads(state: RefundState) -> None:
    _, documents = sold(CUP, PLATE)
    refund = a_refund("5.00", ("2", "1", "5.00"), state=state)
    expected = [("NC", "refund-55", "5.00")] if state is RefundState.DONE else []
    assert planned(now(CUP, refunds=(refund,)), documents) == expected
    assert planned(now(CUP, refunds=(refund,)), documents) == []


def test_a_refund_of_just_the_amount_that_fell_away_leads() -> None:
    _, documents = sold(CUP, PLATE)
    assert planned(now(CUP, refunds=(a_refund("5.00"),)), documents) == [("NC", "refund-55", "5.00")]


def test_a_refund_of_just_what_fell_away_is_credited_at_its_rate() -> None:
    _, documents = sold(CUP, BOOK)
    cheaper = now(replace(CUP, gross=D("8.00"), net=D("6.50")), BOOK, refunds=(a_refund("2.00"),))
    assert planned(cheaper, documents) == [("NC", "refund-55", "2.00")]
    assert [(line.code, line.vat_rate) for line in documents[-1].lines] == [("CAN-1", D(23))]
    assert planned(cheaper, documents) == []


@pytest.mark.parametrize("lines", [(), (("2", "1", "5.00"),)], ids=["unnamed", "named"])
def test_money_that_comes_back_after_its_edit_was_credited_is_not_credited_again(
    lines: tuple[tuple[str, str, str], ...],
) -> None:
    _, documents = sold(CUP, PLATE)
    assert planned(now(CUP), documents) == [("NC", "edit-1", "5.00")]
    assert planned(now(CUP, refunds=(a_refund("5.00", *lines),)), documents) == []
    more = (a_refund("5.00", *lines), a_refund("1.00", id="56", created_at=LATER))
    assert planned(now(CUP, refunds=more), documents) == [("NC", "refund-56", "1.00")]
    assert planned(now(CUP, refunds=more), documents) == []


def test_money_that_comes_back_in_steps_is_waited_for_until_it_is_what_is_owed() -> None:
    _, documents = sold(CUP, PLATE)
    planned(now(CUP), documents)
    steps = (a_refund("3.00"), a_refund("2.00", id="56", created_at=LATER))
    (hold,) = plan(now(CUP, refunds=steps[:1]), issued(*documents), a_policy()).holds
    assert (hold.code, "3.00" in hold.message, "5.00" in hold.message) == ("refund_unclear", True, True)
    assert planned(now(CUP, refunds=steps), documents) == []
    more = now(CUP, refunds=(*steps, a_refund("1.00", id="57", created_at=LATER + timedelta(hours=1))))
    assert planned(more, documents) == [("NC", "refund-57", "1.00")]
    released = plan(now(CUP, refunds=steps[:1]), issued(*documents[:2]), a_policy(), frozenset({"refund_unclear"}))
    assert grosses(released.documents) == [("NC", "3.00")]


def test_a_refund_for_other_lines_does_not_pay_for_the_edit() -> None:
    _, documents = sold(CUP, PLATE)
    planned(now(CUP), documents)
    assert planned(now(CUP, refunds=(a_refund("3.00", ("1", "0", "3.00")),)), documents) == [
        ("NC", "refund-55", "3.00")
    ]


def test_what_a_refund_gave_back_is_not_credited_again_when_the_order_says_it_by_its_lines() -> None:
    _, documents = sold(CUP, PLATE)
    assert planned(now(CUP, PLATE, refunds=(a_refund("5.00"),)), documents) == [("NC", "refund-55", "5.00")]
    assert planned(now(CUP), documents) == []


@pytest.mark.parametrize("lines", [(), (("2", "1", "5.00"),)], ids=["unnamed", "named"])
def test_an_exchange_for_something_cheaper_gives_back_only_the_difference(
    lines: tuple[tuple[str, str, str], ...],
) -> None:
    _, documents = sold(CUP, PLATE)
    exchanged = now(CUP, a_line("3.00", id="3"), refunds=(a_refund("2.00", *lines),))
    assert planned(exchanged, documents) == [("NC", "edit-1", "5.00"), ("FR", "extra-1", "3.00")]
    assert documents[-1].payment == "CS"
    assert planned(exchanged, documents) == []


def test_a_refund_that_failed_says_nothing() -> None:
    _, documents = sold(CUP, PLATE)
    refund = a_refund("5.00", ("2", "1", "5.00"), state=RefundState.FAILED)
    assert planned(now(CUP, refunds=(refund,)), documents) == [("NC", "edit-1", "5.00")]


def test_a_credit_note_whose_refund_the_shop_deleted_is_shown_to_a_person() -> None:
    _, documents = sold(CUP, PLATE)
    planned(now(CUP, PLATE, refunds=(a_refund("5.00"),)), documents)
    (hold,) = plan(now(CUP, PLATE), issued(*documents), a_policy()).holds
    assert (hold.code, "5.00" in hold.message) == ("refund_withdrawn", True)
    assert plan(now(CUP, PLATE), issued(*documents), a_policy(), frozenset({"refund_withdrawn"})).holds == ()
    assert plan(now(CUP), issued(*documents), a_policy()).holds == ()


def test_refunds_find_the_document_that_their_line_stands_on() -> None:
    _, documents = sold(CUP)
    planned(now(CUP, PLATE), documents)
    refund = a_refund("15.00", ("1", "1", "10.00"), ("2", "1", "5.00"))
    whole = now(CUP, PLATE, refunds=(refund,))
    assert planned(whole, documents) == [("NC", "refund-55", "10.00"), ("NC", "refund-55-extra-1", "5.00")]
    assert documents[-1].references[0].key.part == "extra-1"
    assert planned(whole, documents) == []


def test_a_refund_above_all_documents_is_held() -> None:
    _, documents = sold(CUP)
    planned(now(CUP, PLATE), documents)
    made = plan(now(CUP, PLATE, refunds=(a_refund("15.01"),)), issued(*documents), a_policy())
    assert (made.documents, made.holds[0].code) == ((), "refund_exceeds_invoice")


def test_more_than_is_open_of_a_line_is_not_taken_from_others() -> None:
    _, documents = sold(CUP, PLATE)
    planned(now(CUP, PLATE, a_line("7.00", id="3")), documents)
    given_back = now(CUP, PLATE, a_line("7.00", id="3"), refunds=(a_refund("12.00"),))
    assert planned(given_back, documents)
    failed = (a_refund("12.00", state=RefundState.FAILED),)
    edited = replace(given_back, lines=(PLATE, a_line("7.00", id="3")), refunds=failed, total=Decimal("12.00"))
    assert "credit notes have taken a part" in plan(edited, issued(*documents), a_policy()).holds[0].message
