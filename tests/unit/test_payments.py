"""Receipts for the money that comes for an invoice, and how it was paid."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from syncd.domain.document import DocumentDraft, DocumentKind
from syncd.domain.money import Money
from syncd.domain.order import Lifecycle, Order, Payment, PaymentState
from syncd.mapping.planner import plan
from syncd.mapping.policy import Deposits, PaidDocument
from tests.builders import PAID_AT, a_line, a_policy, a_refund, an_order, issued

POLICY = a_policy(unpaid_document=True)
UNPAID = an_order(a_line("100.00"), payment=PaymentState.UNPAID, paid_at=None, payments=())


def paid(amount: str, id: str = "", *, hours: int = 0, gateway: str = "bacs", currency: str = "EUR") -> Payment:  # noqa: A002 - the field's own name
    at: datetime = PAID_AT + timedelta(hours=hours)
    return Payment(gateway=gateway, amount=Money(Decimal(amount), currency), paid_at=at, id=id)


def with_payments(*payments: Payment, state: PaymentState = PaymentState.PARTIAL) -> Order:
    return replace(UNPAID, payment=state, payments=payments)


def receipts(order: Order, *documents: DocumentDraft) -> list[tuple[str, str]]:
    made = plan(order, issued(*documents), POLICY)
    assert not made.holds
    return [(draft.key.part, str(draft.totals.gross)) for draft in made.documents if draft.kind is DocumentKind.RC]


def test_each_of_several_payments_gets_its_receipt() -> None:
    (invoice,) = plan(UNPAID, (), POLICY).documents
    (first,) = plan(with_payments(paid("30.00", "a")), issued(invoice), POLICY).documents
    assert (first.key.part, first.totals.gross, first.payment) == ("payment-a", Decimal("30.00"), "TB")
    both = with_payments(paid("30.00", "a"), paid("70.00", "b", hours=1, gateway="stripe"), state=PaymentState.PAID)
    (second,) = plan(both, issued(invoice, first), POLICY).documents
    assert (second.key.part, second.totals.gross, second.payment) == ("payment-b", Decimal("70.00"), "CC")
    assert second.due_at == PAID_AT + timedelta(hours=1)
    assert receipts(both, invoice, first, second) == []


def test_a_payment_without_an_id_is_known_by_its_place_in_time() -> None:
    (invoice,) = plan(UNPAID, (), POLICY).documents
    both = with_payments(paid("70.00", hours=1), paid("30.00"))
    assert receipts(both, invoice) == [("payment-1", "30.00"), ("payment-2", "70.00")]


def test_receipts_never_exceed_what_is_open() -> None:
    (invoice,) = plan(UNPAID, (), POLICY).documents
    too_much = with_payments(paid("80.00", "a"), paid("80.00", "b", hours=1), state=PaymentState.PAID)
    assert receipts(too_much, invoice) == [("payment-a", "80.00"), ("payment-b", "20.00")]
    credited = replace(too_much, refunds=(a_refund("40.00"),))
    assert receipts(credited, invoice) == [("payment-a", "60.00")]


def test_what_the_list_of_payments_does_not_tell_is_settled_by_the_last_receipt() -> None:
    (invoice,) = plan(UNPAID, (), POLICY).documents
    order = with_payments(paid("30.00", "a"), paid("20.00", "b"), state=PaymentState.PAID)
    assert receipts(order, invoice) == [("payment-a", "30.00"), ("payment-b", "20.00"), ("payment", "50.00")]


def test_one_receipt_settles_several_invoices() -> None:
    order = with_payments(paid("100.00", "a"), state=PaymentState.UNPAID)
    (first,) = plan(UNPAID, (), POLICY).documents
    grown = replace(
        order, lines=(*order.lines, a_line("20.00", id="9", sku="NOVO")), total=Decimal("120.00"), payments=()
    )
    (second,) = plan(grown, issued(first), POLICY).documents
    settled = replace(grown, payment=PaymentState.PAID, payments=(paid("120.00", "a"),))
    (receipt,) = plan(settled, issued(first, second), POLICY).documents
    assert (receipt.key.part, receipt.totals.gross) == ("payment", Decimal("120.00"))
    assert [(told.key, told.amount) for told in receipt.references] == [
        (first.key, Decimal("100.00")),
        (second.key, Decimal("20.00")),
    ]
    assert plan(settled, issued(first, second, receipt), POLICY).documents == ()
    apart = replace(settled, payments=(paid("110.00", "a"), paid("10.00", "b", hours=1)))
    made = plan(apart, issued(first, second), POLICY).documents
    assert [(draft.key.part, [str(told.amount) for told in draft.references]) for draft in made] == [
        ("payment-a", ["100.00", "10.00"]),
        ("payment-b-extra-1", ["10.00"]),
    ]
    assert plan(apart, issued(first, second, *made), POLICY).documents == ()


def test_a_single_payment_in_full_is_one_receipt() -> None:
    (invoice,) = plan(UNPAID, (), POLICY).documents
    assert receipts(with_payments(paid("100.00", "a"), state=PaymentState.PAID), invoice) == [("payment", "100.00")]


def test_money_in_another_currency_gets_no_receipt_of_its_own() -> None:
    (invoice,) = plan(UNPAID, (), POLICY).documents
    assert receipts(with_payments(paid("30.00", "a", currency="USD")), invoice) == []


def test_a_part_payment_waits_for_the_rest_by_policy() -> None:
    made = plan(with_payments(paid("30.00")), (), a_policy(deposits=Deposits.WAIT))
    assert (made.documents, made.holds, made.reason) == ((), (), "paid only in part")


def test_a_receipt_refers_to_its_invoice_and_so_waits_for_it() -> None:
    made = plan(with_payments(paid("30.00", "a")), (), POLICY).documents
    assert [draft.kind.value for draft in made] == ["FT", "RC"]
    assert made[1].references[0].key == made[0].key
    together = plan(an_order(), (), a_policy(paid_document=PaidDocument.FT_RC)).documents
    assert together[1].references[0].key == together[0].key


@pytest.mark.parametrize("refunded", [True, False], ids=["refund", "cancellation"])
def test_an_unpaid_invoice_that_is_given_back_gets_no_receipt(refunded: bool) -> None:
    (invoice,) = plan(UNPAID, (), POLICY).documents
    cancelled = replace(UNPAID, lifecycle=Lifecycle.CANCELLED, cancelled_at=PAID_AT)
    order = replace(UNPAID, refunds=(a_refund("100.00"),)) if refunded else cancelled
    (note,) = plan(order, issued(invoice), POLICY).documents
    assert (note.kind, note.totals.gross) == (DocumentKind.NC, Decimal("100.00"))
    assert receipts(replace(order, payment=PaymentState.PAID), invoice, note) == []


def test_an_unpaid_invoice_that_is_partly_credited_is_settled_by_the_rest() -> None:
    (invoice,) = plan(UNPAID, (), POLICY).documents
    order = replace(UNPAID, refunds=(a_refund("25.00"),))
    (note,) = plan(order, issued(invoice), POLICY).documents
    now_paid = replace(order, payment=PaymentState.PAID, payments=(paid("75.00"),))
    assert receipts(now_paid, invoice, note) == [("payment", "75.00")]


def test_the_largest_payment_names_the_means_the_first_of_equal_ones() -> None:
    def of(*payments: Payment) -> str:
        return plan(an_order(payments=payments), (), a_policy()).documents[0].payment

    assert of(paid("2.30", gateway="gift_card"), paid("10.00", gateway="stripe")) == "CC"
    assert of(paid("6.15", gateway="gift_card"), paid("6.15", gateway="stripe")) == "CO"
    assert of() == "OU"


def test_the_merchants_map_goes_before_the_table() -> None:
    order = an_order(gateway="stripe")
    assert plan(order, (), a_policy(payments={"stripe": "CD"})).documents[0].payment == "CD"
