"""An order that changes after its document went out: nothing issued is touched, what differs is corrected or added."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from syncd.domain.document import DocumentDraft
from syncd.domain.money import Money
from syncd.domain.order import Lifecycle, LineKind, Order, OrderLine, Payment, PaymentState, RefundState, TaxLine
from syncd.domain.states import DocumentState
from syncd.mapping.planner import Plan, plan
from syncd.mapping.policy import NonSupply, PaidDocument
from tests.builders import PAID_AT, a_line, a_policy, a_refund, an_order, grosses, issued, shipping

LATER = PAID_AT + timedelta(hours=3)
CUP, PLATE = a_line("10.00"), a_line("5.00", id="2", sku="PRATO", name="Prato")
BOOK = a_line("10.60", id="3", sku="LIVRO", name="Livro", rate="6")
D = Decimal


def sold(*lines: OrderLine) -> tuple[Order, list[DocumentDraft]]:
    order = an_order(*lines)
    return order, list(plan(order, (), a_policy()).documents)


def now(*lines: OrderLine, **changes: Any) -> Order:
    return an_order(*lines, **{"updated_at": LATER, **changes})


def planned(order: Order, documents: list[DocumentDraft]) -> list[tuple[str, str, str]]:
    """What the plan adds, as kind, part and gross; it goes to the documents."""
    made = plan(order, issued(*documents), a_policy())
    assert not made.holds, made.holds
    documents.extend(made.documents)
    return [(draft.kind.value, draft.key.part, str(draft.totals.gross)) for draft in made.documents]


def held(order: Order, documents: list[DocumentDraft]) -> str:
    made = plan(order, issued(*documents), a_policy())
    assert made.documents == ()
    return made.holds[0].message if made.holds and made.holds[0].code == "order_changed" else ""


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


def test_a_credit_note_whose_refund_the_shop_deleted_is_shown_to_a_person() -> None:
    _, documents = sold(CUP, PLATE)
    planned(now(CUP, PLATE, refunds=(a_refund("5.00"),)), documents)
    (hold,) = plan(now(CUP, PLATE), issued(*documents), a_policy()).holds
    assert (hold.code, "5.00" in hold.message) == ("refund_withdrawn", True)
    assert plan(now(CUP, PLATE), issued(*documents), a_policy(), frozenset({"refund_withdrawn"})).holds == ()
    assert plan(now(CUP), issued(*documents), a_policy()).holds == ()


DISCOUNT = a_line("-2.00", id="d", kind=LineKind.FEE)


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


def test_refunds_find_the_document_that_their_line_stands_on() -> None:
    _, documents = sold(CUP)
    planned(now(CUP, PLATE), documents)
    refund = a_refund("15.00", ("1", "1", "10.00"), ("2", "1", "5.00"))
    whole = now(CUP, PLATE, refunds=(refund,))
    assert planned(whole, documents) == [("NC", "refund-55", "10.00"), ("NC", "refund-55-extra-1", "5.00")]
    assert documents[-1].references[0].key.part == "extra-1"
    assert planned(whole, documents) == []


def test_a_cancelled_order_is_credited_on_all_its_documents() -> None:
    _, documents = sold(CUP)
    planned(now(CUP, PLATE), documents)
    cancelled = now(CUP, PLATE, lifecycle=Lifecycle.CANCELLED, cancelled_at=LATER)
    assert planned(cancelled, documents) == [("NC", "cancel", "10.00"), ("NC", "cancel-extra-1", "5.00")]
    assert planned(cancelled, documents) == []


def test_a_refund_above_all_documents_is_held() -> None:
    _, documents = sold(CUP)
    planned(now(CUP, PLATE), documents)
    made = plan(now(CUP, PLATE, refunds=(a_refund("15.01"),)), issued(*documents), a_policy())
    assert (made.documents, made.holds[0].code) == ((), "refund_exceeds_invoice")


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


def test_more_than_is_open_of_a_line_is_not_taken_from_others() -> None:
    _, documents = sold(CUP, PLATE)
    planned(now(CUP, PLATE, a_line("7.00", id="3")), documents)
    given_back = now(CUP, PLATE, a_line("7.00", id="3"), refunds=(a_refund("12.00"),))
    assert planned(given_back, documents)
    failed = (a_refund("12.00", state=RefundState.FAILED),)
    edited = replace(given_back, lines=(PLATE, a_line("7.00", id="3")), refunds=failed, total=Decimal("12.00"))
    assert "credit notes have taken a part" in plan(edited, issued(*documents), a_policy()).holds[0].message


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
