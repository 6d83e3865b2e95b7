"""An order that changes after its document went out: nothing issued is touched, what differs is corrected or added."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from syncd.domain.money import Money
from syncd.domain.order import Lifecycle, LineKind, OrderLine, Payment, PaymentState
from syncd.domain.states import DocumentState
from syncd.mapping.planner import Plan, plan
from syncd.mapping.policy import NonSupply, PaidDocument
from tests.builders import PAID_AT, a_line, a_policy, a_refund, an_order, grosses, issued, shipping
from tests.unit.edited_orders import BOOK, CUP, DISCOUNT, LATER, PLATE, held, now, planned, sold


def test_what_came_gets_a_document_of_its_own_once() -> None:
    _, documents = sold(CUP)
    grown = now(CUP, PLATE)
    assert planned(grown, documents) == [("FR", "extra-1", "5.00")]
    assert [line.code for line in documents[-1].lines] == ["PRATO"]
    assert planned(grown, documents) == []
    assert planned(now(CUP, PLATE, a_line("7.00", id="3")), documents) == [("FR", "extra-2", "7.00")]


def test_what_fell_away_without_a_refund_is_credited_once() -> None:
    _, documents = sold(CUP, PLATE)
    assert planned(now(CUP), documents) == [("NC", "edit-1", "5.00")]
    assert [line.original for line in documents[-1].lines] == [1]
    assert planned(now(CUP), documents) == []


def test_fewer_pieces_are_credited_as_pieces() -> None:
    _, documents = sold(a_line("30.00", quantity="3"))
    assert planned(now(a_line("20.00", quantity="2")), documents) == [("NC", "edit-1", "10.00")]
    assert [line.quantity for line in documents[-1].lines] == [Decimal(1)]
    assert planned(now(a_line("10.00", quantity="1")), documents) == [("NC", "edit-2", "10.00")]


def test_more_pieces_are_invoiced_as_pieces() -> None:
    _, documents = sold(a_line("10.00"))
    assert planned(now(a_line("30.00", quantity="3")), documents) == [("FR", "extra-1", "20.00")]
    assert [(line.quantity, line.gross) for line in documents[-1].lines] == [(Decimal(2), Decimal("20.00"))]


def test_an_exchange_is_a_credit_note_and_a_document_paid_by_offset() -> None:
    _, documents = sold(CUP, PLATE)
    bowl = a_line("6.00", id="3", sku="TACA", name="Taça")
    assert planned(now(CUP, bowl), documents) == [("NC", "edit-1", "5.00"), ("FR", "extra-1", "6.00")]
    assert documents[-1].payment == "CS"
    assert planned(now(CUP, bowl), documents) == []


def test_only_half_of_an_exchange_that_went_out_is_not_repeated() -> None:
    _, documents = sold(CUP, PLATE)
    exchanged = now(CUP, a_line("6.00", id="3"))
    note, _ = plan(exchanged, issued(*documents), a_policy()).documents
    assert planned(exchanged, [*documents, note]) == [("FR", "extra-1", "6.00")]


def test_planning_an_edit_again_before_it_is_sent_gives_the_same() -> None:
    _, documents = sold(CUP, PLATE)
    exchanged = now(CUP, a_line("6.00", id="3"))
    first = plan(exchanged, issued(*documents), a_policy())
    waiting = issued(*first.documents, state=DocumentState.PLANNED)
    assert plan(exchanged, (*issued(*documents), *waiting), a_policy()) == first
    back = plan(now(CUP, PLATE), (*issued(*documents), *waiting), a_policy())
    assert back.documents == ()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (CUP, a_line("12.00")),
        (CUP, a_line("8.00", quantity="2")),
        (a_line("10.00", quantity="2"), a_line("12.00")),
    ],
    ids=["dearer", "more-for-less", "less-for-more"],
)
def test_a_line_at_a_new_price_is_credited_as_it_was_and_invoiced_as_it_is(before: OrderLine, after: OrderLine) -> None:
    _, documents = sold(before, PLATE)
    waiting = now(after, PLATE, payment=PaymentState.PARTIAL)
    assert planned(waiting, documents) == []
    paid = now(after, PLATE)
    assert planned(paid, documents) == [("NC", "edit-1", "10.00"), ("FR", "extra-1", str(after.gross))]
    assert planned(paid, documents) == []
    assert [line.quantity for line in documents[-1].lines] == [after.quantity]


def test_an_article_that_loses_its_vat_is_no_price_reduction() -> None:
    _, documents = sold(CUP, PLATE)
    untaxed = replace(CUP, gross=CUP.net, taxes=())
    made = plan(now(untaxed, PLATE), issued(*documents), a_policy())
    assert (made.documents, made.holds[0].code) == ((), "untaxed_line")
    dutiful = a_policy(exemptions={"CAN-1": "M07"})
    assert grosses(plan(now(untaxed, PLATE), issued(*documents), dutiful).documents) == [
        ("NC", "10.00"),
        ("FR", "8.13"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ([CUP, PLATE], [CUP], {"refunds": (a_refund("3.00", ("2", "1", "3.00")),)}),
        ([CUP, PLATE], [CUP], {"refunds": (a_refund("3.00"),)}),
        ([CUP, DISCOUNT], [CUP], {"refunds": (a_refund("1.00", ("1", "0", "1.00")),)}),
        ([CUP], [CUP, a_line("-2.00", id="d", kind=LineKind.FEE, rate=None)], {}),
        ([CUP, BOOK], [CUP, BOOK, a_line("-10.01", id="d", kind=LineKind.FEE)], {}),
    ],
    ids=["other-refund", "other-amount", "lost discount and a refund", "without VAT", "more than there is"],
)
def test_what_is_neither_removal_nor_addition_waits_for_a_person(
    before: list[OrderLine], after: list[OrderLine], changes: dict[str, Any]
) -> None:
    _, documents = sold(*before)
    assert held(now(*after, **changes), documents)
    released = plan(now(*after), issued(*documents), a_policy(), frozenset({"order_changed"}))
    assert (released.documents, released.holds) == ((), ())


def test_what_is_not_paid_yet_waits_or_becomes_an_invoice_by_policy() -> None:
    _, documents = sold(CUP)
    card = Payment(gateway="stripe", amount=Money(Decimal("10.00"), "EUR"), paid_at=PAID_AT)
    grown = now(CUP, PLATE, payment=PaymentState.PARTIAL, payments=(card,))
    made = plan(grown, issued(*documents), a_policy())
    assert (made.documents, made.reason) == ((), "what came to the order later is not paid yet")
    invoice = plan(grown, issued(*documents), a_policy(unpaid_document=True)).documents
    assert grosses(invoice) == [("FT", "5.00")]
    receipt = plan(now(CUP, PLATE), issued(*documents, *invoice), a_policy(unpaid_document=True)).documents
    assert [(draft.kind.value, draft.key.part) for draft in receipt] == [("RC", "payment-extra-1")]


def test_a_document_for_what_came_is_dated_by_its_own_payment() -> None:
    _, documents = sold(CUP)
    card = Payment(gateway="stripe", amount=Money(Decimal("10.00"), "EUR"), paid_at=PAID_AT)
    transfer = Payment(gateway="bacs", amount=Money(Decimal("5.00"), "EUR"), paid_at=LATER)
    (extra,) = plan(now(CUP, PLATE, payments=(card, transfer)), issued(*documents), a_policy()).documents
    assert (extra.due_at, extra.payment) == (LATER, "TB")


def test_a_cancelled_order_is_credited_on_all_its_documents() -> None:
    _, documents = sold(CUP)
    planned(now(CUP, PLATE), documents)
    cancelled = now(CUP, PLATE, lifecycle=Lifecycle.CANCELLED, cancelled_at=LATER)
    assert planned(cancelled, documents) == [("NC", "cancel", "10.00"), ("NC", "cancel-extra-1", "5.00")]
    assert planned(cancelled, documents) == []


def test_a_line_that_only_changed_its_id_is_no_edit() -> None:
    _, documents = sold(CUP, shipping("4.90"))
    assert planned(now(CUP, replace(shipping("4.90"), id="shipping-1")), documents) == []


def test_cents_that_only_move_between_lines_are_no_edit() -> None:
    _, documents = sold(CUP, PLATE)
    assert planned(now(a_line("10.01"), replace(PLATE, gross=Decimal("4.99"))), documents) == []


def test_shipping_that_became_dearer_is_charged_for_the_difference() -> None:
    _, documents = sold(CUP, shipping("4.90"))
    assert planned(now(CUP, shipping("6.90")), documents) == [("FR", "extra-1", "2.00")]
    assert planned(now(CUP, shipping("3.90")), documents) == [("NC", "edit-1", "3.00")]


def test_an_edit_in_a_payload_that_contradicts_itself_waits() -> None:
    _, documents = sold(CUP)
    doubtful = now(CUP, PLATE, doubts=("lines come to 1.00, total is 15.00",))
    assert plan(doubtful, issued(*documents), a_policy()).holds[0].code == "order_doubtful"
    assert plan(doubtful, issued(*documents), a_policy(), frozenset({"order_doubtful"})).documents


def test_lines_that_share_an_id_are_compared_by_their_sum() -> None:
    twins = [CUP, replace(PLATE, id=CUP.id)]
    _, documents = sold(*twins)
    assert planned(now(*twins), documents) == []
    assert held(now(CUP), documents)


def test_what_came_and_went_again_is_credited_on_its_own_document() -> None:
    _, documents = sold(CUP)
    planned(now(CUP, PLATE), documents)
    assert planned(now(CUP), documents) == [("NC", "edit-1-extra-1", "5.00")]
    assert documents[-1].references[0].key == documents[1].key
    assert planned(now(CUP), documents) == []


def test_settings_that_change_later_correct_nothing() -> None:
    tip = a_line("2.00", rate=None, id="2", kind=LineKind.TIP)
    order, shown = sold(CUP, tip)
    left_out = a_policy(non_supply=NonSupply.LEAVE_OUT)
    assert plan(order, issued(*shown), left_out).documents == ()
    silent = list(plan(order, (), left_out).documents)
    assert plan(order, issued(*silent), a_policy()).documents == ()


def test_an_order_that_is_over_is_not_compared() -> None:
    _, documents = sold(CUP, PLATE)
    assert planned(now(CUP, lifecycle=Lifecycle.DELETED), documents) == []


def test_a_document_that_does_not_say_what_it_covers_is_compared_as_a_whole() -> None:
    _, documents = sold(CUP)
    old = [replace(documents[0], covers=())]
    assert plan(now(CUP), issued(*old), a_policy()).documents == ()
    assert held(now(CUP, PLATE), old)


def test_an_unsent_document_of_an_edited_order_is_planned_anew() -> None:
    _, documents = sold(CUP)
    waiting = issued(*documents, state=DocumentState.PLANNED)
    made: Plan = plan(now(CUP, PLATE), waiting, a_policy())
    assert [(d.key.part, str(d.totals.gross)) for d in made.documents] == [("sale", "15.00")]


def test_an_invoice_with_receipts_takes_what_came_the_same_way() -> None:
    policy = a_policy(paid_document=PaidDocument.FT_RC)
    documents = plan(an_order(CUP), (), policy).documents
    made = plan(now(CUP, PLATE), issued(*documents), policy).documents
    assert [(d.kind.value, d.key.part, str(d.totals.gross)) for d in made] == [
        ("FT", "extra-1", "5.00"),
        ("RC", "payment-extra-1", "5.00"),
    ]
