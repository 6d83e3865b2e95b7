"""Money in advance: a document for it at once, one for the rest, and together they are the order."""

import random
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from syncd.domain.document import Amounts, DocumentDraft, DocumentKind
from syncd.domain.money import ZERO, Money, cents
from syncd.domain.order import Lifecycle, Order, OrderLine, Payment, PaymentState
from syncd.domain.states import DocumentState
from syncd.mapping.planner import Plan, plan
from tests.builders import PAID_AT, a_draft, a_line, a_policy, a_refund, an_order, issued, shipping

D = Decimal
VASE, BOOK = a_line("55.76", quantity="3"), a_line("15.00", id="2", sku="LIVRO", name="Livro", rate="6")
LINES = (VASE, BOOK, shipping("4.90"))


def an_order_with(*paid: str, lines: Sequence[OrderLine] = LINES, done: bool = False, **changes: Any) -> Order:
    payments = tuple(Payment(gateway="mbway", amount=Money(D(amount), "EUR"), paid_at=PAID_AT) for amount in paid)
    state = PaymentState.PAID if done else PaymentState.PARTIAL
    return an_order(*lines, payments=payments, payment=state, **changes)


def planned(order: Order, documents: list[DocumentDraft]) -> list[tuple[str, str, str]]:
    made = plan(order, issued(*documents), a_policy())
    assert not made.holds, made.holds
    documents.extend(made.documents)
    return [(draft.kind.value, draft.key.part, str(draft.totals.gross)) for draft in made.documents]


def by_rate(documents: Sequence[DocumentDraft]) -> dict[Decimal, Amounts]:
    sums: dict[Decimal, Amounts] = {}
    for document in documents:
        sign = -1 if document.kind is DocumentKind.NC else 1
        for tax in document.taxes:
            was = sums.get(tax.rate, Amounts(net=ZERO, tax=ZERO, gross=ZERO))
            net, vat = was.net + sign * tax.base, was.tax + sign * tax.tax
            sums[tax.rate] = Amounts(net=net, tax=vat, gross=net + vat)
    return sums


def test_a_deposit_is_invoiced_at_the_rates_of_its_goods_and_the_rest_at_the_balance() -> None:
    documents: list[DocumentDraft] = []
    assert planned(an_order_with("20.00"), documents) == [("FR", "deposit-1", "20.00")]
    # 60.66 of 75.66 at 23 %: 16.03; the rest of the 20.00 at 6 %.
    assert [(line.code, line.gross) for line in documents[0].lines] == [
        ("ADIANTAMENTO-23", D("16.03")),
        ("ADIANTAMENTO-6", D("3.97")),
    ]
    assert planned(an_order_with("20.00"), documents) == []
    assert planned(an_order_with("20.00", "55.66", done=True), documents) == [("FR", "sale", "55.66")]
    deposit, rest = documents
    assert [(reference.key, reference.amount) for reference in rest.references] == [(deposit.key, D("20.00"))]
    assert by_rate(documents) == by_rate([a_draft(an_order(*LINES))])
    assert planned(an_order_with("20.00", "55.66", done=True), documents) == []


def test_several_deposits_come_each_to_what_was_paid() -> None:
    documents: list[DocumentDraft] = []
    assert planned(an_order_with("20.00"), documents) == [("FR", "deposit-1", "20.00")]
    assert planned(an_order_with("20.00", "0.01", "30.33"), documents) == [("FR", "deposit-2", "30.34")]
    assert planned(an_order_with("20.00", "0.01", "30.33", "25.32", done=True), documents) == [("FR", "sale", "25.32")]
    assert by_rate(documents) == by_rate([a_draft(an_order(*LINES))])


def test_what_is_paid_in_full_before_anything_went_out_is_one_document() -> None:
    unsent = plan(an_order_with("20.00"), (), a_policy()).documents
    waiting = issued(*unsent, state=DocumentState.PLANNED)
    (whole,) = plan(an_order_with("20.00", "55.66", done=True), waiting, a_policy()).documents
    assert (whole.key.part, whole.totals.gross, whole.references) == ("sale", D("75.66"), ())


@pytest.mark.parametrize("lifecycle", [Lifecycle.CANCELLED, Lifecycle.OPEN])
def test_a_deposit_that_is_given_back_is_credited_at_its_own_rates(lifecycle: Lifecycle) -> None:
    documents: list[DocumentDraft] = []
    planned(an_order_with("20.00"), documents)
    back = an_order_with("20.00", refunds=(a_refund("20.00", ("1", "1", "20.00")),), lifecycle=lifecycle)
    assert planned(back, documents) == [("NC", "refund-55-deposit-1", "20.00")]
    assert by_rate(documents) == {
        D(23): Amounts(net=ZERO, tax=ZERO, gross=ZERO),
        D(6): Amounts(net=ZERO, tax=ZERO, gross=ZERO),
    }
    assert planned(back, documents) == []


def test_a_cancelled_order_gives_its_deposit_back() -> None:
    documents: list[DocumentDraft] = []
    planned(an_order_with("20.00"), documents)
    cancelled = an_order_with("20.00", lifecycle=Lifecycle.CANCELLED)
    assert planned(cancelled, documents) == [("NC", "cancel-deposit-1", "20.00")]


def test_a_line_that_is_given_back_after_the_balance_is_credited_at_its_own_rate_on_both_documents() -> None:
    documents: list[DocumentDraft] = []
    planned(an_order_with("20.00"), documents)
    paid = an_order_with("20.00", "55.66", done=True)
    planned(paid, documents)
    back = replace(paid, refunds=(a_refund("15.00", ("2", "1", "15.00")),))
    assert planned(back, documents) == [("NC", "refund-55", "11.03"), ("NC", "refund-55-deposit-1", "3.97")]
    assert by_rate(documents)[D(6)] == Amounts(net=ZERO, tax=ZERO, gross=ZERO)
    assert planned(back, documents) == []


def test_a_line_that_is_taken_off_after_the_balance_is_credited_on_both_documents_once() -> None:
    documents: list[DocumentDraft] = []
    planned(an_order_with("20.00"), documents)
    planned(an_order_with("20.00", "55.66", done=True), documents)
    edited = an_order_with("20.00", "55.66", done=True, lines=(VASE, LINES[2]))
    assert planned(edited, documents) == [("NC", "edit-1", "11.03"), ("NC", "edit-1-deposit-1", "3.97")]
    assert by_rate(documents)[D(6)] == Amounts(net=ZERO, tax=ZERO, gross=ZERO)
    assert planned(edited, documents) == []


def test_an_order_that_has_become_less_than_its_deposit_waits_for_a_person() -> None:
    documents: list[DocumentDraft] = []
    planned(an_order_with("70.00"), documents)
    made: Plan = plan(an_order_with("55.76", lines=(VASE,), done=True), issued(*documents), a_policy())
    assert (made.documents, made.holds[0].code) == ((), "deposit_exceeds")


def test_goods_that_change_between_deposit_and_balance_change_only_the_rest() -> None:
    documents: list[DocumentDraft] = []
    planned(an_order_with("20.00"), documents)
    more = (*LINES, a_line("7.99", id="4", sku="TACA", name="Taça"))
    assert planned(an_order_with("20.00", "63.65", lines=more, done=True), documents) == [("FR", "sale", "63.65")]
    assert by_rate(documents) == by_rate([a_draft(an_order(*more))])


def a_random_order(chance: random.Random) -> tuple[OrderLine, ...]:
    lines = [
        a_line(
            str(D(chance.randint(1, 20_000)) / 100),
            rate=chance.choice(["23", "13", "6"]),
            quantity=str(chance.choice([1, 2, 3, 7])),
            id=str(number),
            sku=f"ART-{number}",
        )
        for number in range(chance.randint(1, 5))
    ]
    return (*lines, shipping("4.90")) if chance.random() < 0.5 else tuple(lines)


@pytest.mark.parametrize("start", range(0, 120, 40))
def test_any_deposits_and_their_balance_are_the_order_to_the_cent(start: int) -> None:
    for seed in range(start, start + 40):
        chance = random.Random(seed)
        lines = a_random_order(chance)
        total = sum((line.gross for line in lines), ZERO)
        documents: list[DocumentDraft] = []
        paid: list[str] = []
        for _ in range(3):
            part = cents((total - sum(map(D, paid), ZERO)) * chance.randint(1, 70) / 100)
            if 0 < part < total - sum(map(D, paid), ZERO):
                paid.append(str(part))
                planned(an_order_with(*paid, lines=lines), documents)
                assert sum((document.totals.gross for document in documents), ZERO) == sum(map(D, paid), ZERO), seed
        paid.append(str(total - sum(map(D, paid), ZERO)))
        order = an_order_with(*paid, lines=lines, done=True)
        planned(order, documents)
        assert by_rate(documents) == by_rate([a_draft(an_order(*lines))]), seed
        assert planned(order, documents) == [], seed
        planned(replace(order, refunds=(a_refund(str(total)),)), documents)
        assert not any(left.gross or left.net for left in by_rate(documents).values()), seed
