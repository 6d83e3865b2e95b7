"""Orders in other currencies: euro to the cent, what was paid and its rate on the document, refunds at the same rate."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from syncd.domain.document import DocumentDraft
from syncd.domain.money import Exchange, Money, cents, rounded
from syncd.domain.order import Lifecycle, Order, OrderLine, Payment, PaymentState, Refund, RefundLine
from syncd.domain.registers import Evidence, RateTable, ReferenceRates
from syncd.mapping.currency import noted
from syncd.mapping.planner import Plan, plan
from syncd.mapping.policy import PaidDocument, Rule, RuleAction
from tests.builders import PAID_AT, a_line, a_policy, a_refund, an_order, grosses, issued, shipping

POLICY = a_policy()
DAY = date(2026, 11, 19)  # PAID_AT is a Friday before 16:00 in Frankfurt
PER_EURO = {"USD": Decimal("1.0856"), "JPY": Decimal("163.45"), "KWD": Decimal("0.3331"), "HUF": Decimal("411.23")}
EVIDENCE = Evidence(rates={DAY: RateTable(day=DAY, published=DAY, source="BCE", per_euro=PER_EURO)})


def in_currency(currency: str, *lines: OrderLine, **changes: Any) -> Order:
    order = an_order(*lines)
    paid = tuple(replace(payment, amount=Money(payment.amount.amount, currency)) for payment in order.payments)
    return replace(order, currency=currency, payments=paid, **changes)


def planned(order: Order, *documents: DocumentDraft, evidence: Evidence = EVIDENCE) -> Plan:
    return plan(order, issued(*documents), POLICY, evidence=evidence)


def test_an_order_in_dollars_becomes_a_document_in_euro_that_names_them() -> None:
    (draft,) = planned(in_currency("USD", a_line("100.00"), shipping("20.00"))).documents
    assert (str(draft.totals.gross), draft.expected.gross) == ("110.54", draft.totals.gross)
    assert [str(line.gross) for line in draft.lines] == ["92.12", "18.42"]
    assert draft.notes == "Encomenda 1001. Total: 120,00 USD; 1 EUR = 1,0856 USD (BCE, 2026-11-19)"
    assert draft.exchange == Exchange(
        paid=Money(Decimal("120.00"), "USD"),
        euro=Decimal("110.54"),
        of=Decimal("120.00"),
        per_euro=Decimal("1.0856"),
        source="BCE",
        day=DAY,
    )


def test_a_unit_price_in_another_currency_is_not_shown() -> None:
    for unit_price in (None, Decimal("2.5")):
        (draft,) = planned(in_currency("USD", a_line("10.86", quantity="5", unit_price=unit_price))).documents
        assert [(line.gross, line.unit_price) for line in draft.lines] == [(Decimal("10.00"), Decimal("1.6260162602"))]


def test_without_a_rate_it_is_needed() -> None:
    made = planned(in_currency("USD"), evidence=Evidence())
    assert made.needs == (ReferenceRates(day=DAY),)
    assert [hold.code for hold in made.holds] == ["currency"]


def test_a_currency_that_the_bank_does_not_know_is_held_and_nobody_is_asked_again() -> None:
    made = planned(in_currency("AOA"))
    assert (made.needs, [hold.code for hold in made.holds]) == ((), ["currency"])
    assert "AOA" in made.holds[0].message


def test_nothing_is_needed_while_nothing_is_due() -> None:
    unpaid = in_currency("USD", payment=PaymentState.UNPAID)
    cancelled = in_currency("USD", lifecycle=Lifecycle.CANCELLED)
    assert [planned(order, evidence=Evidence()).needs for order in (unpaid, cancelled)] == [(), ()]


@pytest.mark.parametrize(
    ("currency", "total", "euro", "said"),
    [
        ("JPY", "12300.00", "75.25", "Total: 12300 JPY; 1 EUR = 163,45 JPY"),
        ("KWD", "12.345", "37.06", "Total: 12,345 KWD; 1 EUR = 0,3331 KWD"),
        ("HUF", "9990.00", "24.29", "Total: 9990,00 HUF; 1 EUR = 411,23 HUF"),
    ],
)
def test_amounts_are_written_with_the_decimals_of_their_currency(
    currency: str, total: str, euro: str, said: str
) -> None:
    gross = Decimal(total)
    tax = rounded(gross * 23 / 123, currency)
    line = a_line(total, net=gross - tax, taxes=())
    (draft,) = planned(in_currency(currency, line)).documents
    assert (str(draft.totals.gross), str(draft.lines[0].vat_rate)) == (euro, "23")
    assert said in draft.notes


def test_a_shop_in_euro_that_took_dollars_tells_its_own_rate() -> None:
    order = an_order(a_line("110.00"), paid_in=Money(Decimal("120.00"), "USD"))
    (draft,) = planned(order, evidence=Evidence()).documents
    assert str(draft.totals.gross) == "110.00"
    assert draft.notes == "Encomenda 1001. Total: 120,00 USD; 1 EUR = 1,090909 USD (loja)"


def test_a_shop_in_pounds_that_took_euro_is_documented_over_just_that() -> None:
    order = in_currency("GBP", a_line("85.00"), shipping("4.90"), paid_in=Money(Decimal("105.77"), "EUR"))
    (draft,) = planned(order, evidence=Evidence()).documents
    assert str(draft.totals.gross) == "105.77"
    assert "Total: 89,90 GBP; 1 EUR = 0,849957 GBP (loja)" in draft.notes


def test_a_shop_in_pounds_that_took_dollars_is_converted_from_what_was_paid() -> None:
    order = in_currency("GBP", a_line("85.00"), shipping("15.00"), paid_in=Money(Decimal("120.00"), "USD"))
    (draft,) = planned(order).documents
    assert grosses([draft]) == [("FR", "110.54")]
    assert [str(line.gross) for line in draft.lines] == ["93.96", "16.58"]


def test_what_costs_nothing_needs_no_rate_of_the_shops() -> None:
    gift = an_order(a_line("0.00", list_gross="5.00"), paid_in=Money(Decimal(0), "USD"))
    assert planned(gift, evidence=Evidence()).reason == planned(replace(gift, paid_in=None)).reason


def test_a_rate_that_tells_nothing_is_held() -> None:
    order = an_order(a_line("110.00"), paid_in=Money(Decimal(0), "USD"))
    assert [hold.code for hold in planned(order).holds] == ["currency"]


def test_the_shops_text_gives_way_to_what_was_paid() -> None:
    wordy = a_policy(notes="Obrigado pela sua compra! " * 12)
    (draft,) = plan(in_currency("USD"), (), wordy, evidence=EVIDENCE).documents
    assert len(draft.notes) <= wordy.capabilities.limits.notes
    assert draft.notes.endswith("pela. Total: 12,30 USD; 1 EUR = 1,0856 USD (BCE, 2026-11-19)")


def test_where_there_is_room_for_nothing_else_the_text_is_left_out() -> None:
    (draft,) = planned(in_currency("USD")).documents
    said, gross = "Total: 12,30 USD; 1 EUR = 1,0856 USD (BCE, 2026-11-19)", draft.totals.gross
    assert noted("Encomenda 1001", draft.exchange, len(said), gross=gross) == said
    assert noted("Encomenda 1001", draft.exchange, 20, gross=gross) == "Total: 12,30 USD; 1"
    assert noted("", draft.exchange, 200, gross=gross) == said


def test_a_rules_amounts_are_euro() -> None:
    rules = (Rule(action=RuleAction.HOLD, at_least=Decimal(100)),)
    order = in_currency("JPY", a_line("12300.00"))
    assert plan(order, (), a_policy(rules=rules), evidence=EVIDENCE).documents


def test_a_refund_is_worth_what_it_was_worth_at_the_sale_whatever_the_rate_is_now() -> None:
    order = in_currency("USD", a_line("100.00"), shipping("20.00"))
    (sale,) = planned(order).documents
    back = replace(order, refunds=(a_refund("20.00", ("ship", "1", "20.00")),))
    (note,) = planned(back, sale, evidence=Evidence()).documents
    assert grosses([note]) == [("NC", "18.42")]
    assert note.notes == "Devolução da encomenda 1001. Câmbio: 1 EUR = 1,0856 USD (BCE, 2026-11-19)"
    whole = replace(order, refunds=(*back.refunds, a_refund("100.00", id="56", created_at=PAID_AT + timedelta(1))))
    (rest,) = planned(whole, sale, note, evidence=Evidence()).documents
    assert grosses([rest]) == [("NC", "92.12")]


def test_a_cancellation_credits_all_that_is_left() -> None:
    order = in_currency("USD", a_line("100.00"), shipping("20.00"))
    (sale,) = planned(order).documents
    gone = replace(order, lifecycle=Lifecycle.CANCELLED, cancelled_at=PAID_AT)
    assert grosses(planned(gone, sale, evidence=Evidence()).documents) == [("NC", "110.54")]


def test_two_payments_in_dollars_get_receipts_that_settle_the_invoice() -> None:
    order = in_currency("USD", a_line("100.00"))
    parts = tuple(
        Payment(gateway="stripe", amount=Money(Decimal(part), "USD"), paid_at=PAID_AT, id=part)
        for part in ("33.33", "66.67")
    )
    policy = a_policy(paid_document=PaidDocument.FT_RC)
    made = plan(replace(order, payments=parts), (), policy, evidence=EVIDENCE).documents
    assert grosses(made) == [("FT", "92.11"), ("RC", "30.70"), ("RC", "61.41")]


NEXT_DAY = PAID_AT + timedelta(days=4)  # the rate of Monday, since it is before 16:00
LATER_RATES = RateTable(
    day=date(2026, 11, 23),
    published=date(2026, 11, 23),
    source="BCE",
    per_euro={currency: rate * Decimal("1.03") for currency, rate in PER_EURO.items()},
)
BOTH = Evidence(rates={**EVIDENCE.rates, LATER_RATES.day: LATER_RATES})


def grown(*lines: OrderLine, **changes: Any) -> Order:
    """The order as it is days later, and paid."""
    return in_currency("USD", *lines, **{"updated_at": NEXT_DAY, **changes})


def test_what_came_to_an_order_later_is_invoiced_at_the_rate_of_its_own_day() -> None:
    cup, bowl = a_line("100.00"), a_line("50.00", id="2", name="Taça")
    (sale,) = planned(in_currency("USD", cup)).documents
    more = grown(cup, bowl)
    assert planned(more, sale).needs == (ReferenceRates(day=LATER_RATES.day),)
    (extra,) = planned(more, sale, evidence=BOTH).documents
    assert (extra.key.part, extra.totals.gross) == ("extra-1", cents(50 / LATER_RATES.per_euro["USD"]))
    assert extra.notes.endswith("Total: 50,00 USD; 1 EUR = 1,118168 USD (BCE, 2026-11-23)")
    assert planned(more, sale, extra, evidence=Evidence()).documents == ()
    refund = a_refund("50.00", ("2", "1", "50.00"))
    (note,) = planned(replace(more, refunds=(refund,)), sale, extra, evidence=Evidence()).documents
    assert (note.references[0].key.part, note.totals.gross) == ("extra-1", extra.totals.gross)
    (gone,) = planned(grown(cup), sale, extra, evidence=Evidence()).documents
    assert (gone.key.part, gone.totals.gross) == ("edit-1-extra-1", extra.totals.gross)


def test_an_exchange_is_credited_at_the_old_rate_and_invoiced_at_the_new_one() -> None:
    cup, bowl = a_line("100.00"), a_line("100.00", id="2", name="Taça")
    (sale,) = planned(in_currency("USD", cup)).documents
    note, extra = planned(grown(bowl), sale, evidence=BOTH).documents
    assert (note.totals.gross, extra.totals.gross) == (sale.totals.gross, cents(100 / LATER_RATES.per_euro["USD"]))
    assert extra.payment == "CS"
    assert planned(grown(bowl), sale, note, extra, evidence=Evidence()).documents == ()


@pytest.mark.parametrize(
    ("now", "changes"),
    [
        ([a_line("120.00")], {}),
        ([a_line("200.00", quantity="2")], {}),
        ([a_line("100.00"), a_line("50.00", id="2")], {"paid_in": Money(Decimal("130.00"), "EUR")}),
    ],
    ids=["dearer", "more pieces", "the shop tells the rate of all of it"],
)
def test_what_has_no_rate_that_is_sure_waits_for_a_person(now: list[OrderLine], changes: dict[str, Any]) -> None:
    (sale,) = planned(in_currency("USD", a_line("100.00"))).documents
    made = planned(grown(*now, **changes), sale, evidence=BOTH)
    assert ([hold.code for hold in made.holds], made.documents) == (["order_changed"], ())
    assert plan(grown(*now), issued(sale), POLICY, frozenset({"order_changed"})).holds == ()


@pytest.mark.parametrize("currency", sorted(PER_EURO))
def test_an_order_that_grows_at_one_rate_and_shrinks_at_another_ends_at_zero(currency: str) -> None:
    chance = random.Random(currency)
    for _ in range(40):
        first, second = a_basket(chance, currency), a_basket(chance, currency)
        lines = tuple(replace(line, id=f"later-{line.id}") for line in second.lines)
        documents = list(planned(first).documents)
        both = in_currency(currency, *first.lines, *lines, updated_at=NEXT_DAY)
        documents.extend(planned(both, *documents, evidence=BOTH).documents)
        assert [made.totals.gross for made in documents] == [
            cents(first.total / PER_EURO[currency]),
            cents(second.total / LATER_RATES.per_euro[currency]),
        ]
        assert planned(both, *documents, evidence=Evidence()).documents == ()
        while len(both.lines) > 1:
            both = thinned(chance, both)
            made = planned(both, *documents, evidence=Evidence())
            assert (made.holds, made.needs) == ((), ())
            documents.extend(made.documents)
        gone = replace(both, lifecycle=Lifecycle.CANCELLED, cancelled_at=NEXT_DAY)
        documents.extend(planned(gone, *documents, evidence=Evidence()).documents)
        sold = sum(made.totals.gross for made in documents if made.kind.value == "FR")
        assert sold == sum(made.totals.gross for made in documents if made.kind.value == "NC")


def test_what_fell_away_is_credited_at_the_rate_of_its_document() -> None:
    cup, plate = a_line("99.99", quantity="3"), a_line("33.34", id="2")
    (sale,) = planned(in_currency("USD", cup, plate, shipping("20.00"))).documents
    worth = {line.line_id: line.gross for line in sale.lines}
    fewer = in_currency("USD", a_line("66.66", quantity="2"), plate, shipping("20.00"))
    (note,) = planned(fewer, sale, evidence=Evidence()).documents
    assert [(line.line_id, line.quantity) for line in note.lines] == [("1", Decimal(1))]
    assert note.totals.gross == worth["1"] - cents(Decimal("66.66") * sale.totals.gross / Decimal("153.33"))
    assert note.notes.endswith("Câmbio: 1 EUR = 1,0856 USD (BCE, 2026-11-19)")
    assert planned(fewer, sale, note, evidence=Evidence()).documents == ()
    left = in_currency("USD", a_line("66.66", quantity="2"))
    (rest,) = planned(left, sale, note, evidence=Evidence()).documents
    assert rest.totals.gross == worth["2"] + worth["ship"]


@pytest.mark.parametrize("named", [True, False])
def test_money_given_back_for_what_fell_away_is_credited_once(*, named: bool) -> None:
    cup, plate = a_line("99.99", quantity="3"), a_line("33.34", id="2")
    (sale,) = planned(in_currency("USD", cup, plate, shipping("20.00"))).documents
    refund = a_refund("33.34", *([("2", "1", "33.34")] if named else []))
    without = in_currency("USD", cup, shipping("20.00"), refunds=(refund,))
    (note,) = planned(without, sale, evidence=Evidence()).documents
    assert (note.key.part, [line.line_id for line in note.lines]) == ("refund-55", ["2"])
    assert note.totals.gross == sale.lines[1].gross
    assert planned(without, sale, note, evidence=Evidence()) == Plan(
        reason="everything due has been issued or is on its way"
    )


def test_lines_that_do_not_add_up_are_not_converted_away() -> None:
    order = replace(in_currency("KWD", a_line("12.345")), total=Decimal("12.346"))
    assert [hold.code for hold in planned(order).holds] == ["sum_mismatch"]


def a_basket(chance: random.Random, currency: str) -> Order:
    """One to twelve lines of mixed rates, with amounts as the currency writes them."""
    lines = []
    for number in range(chance.randint(1, 12)):
        quantity = chance.randint(1, 5)
        gross = rounded(Decimal(chance.randint(100, 3_000_000)) / 1000 * PER_EURO[currency], currency)
        rate = chance.choice(("23", "13", "6"))
        net = gross - rounded(gross * Decimal(rate) / (100 + Decimal(rate)), currency)
        line = a_line(str(gross), rate=rate, quantity=str(quantity), id=str(number), net=net)
        tax = replace(line.taxes[0], amount=gross - net)
        lines.append(replace(line, taxes=(tax,), list_net=net))
    return in_currency(currency, *lines)


def in_parts(chance: random.Random, order: Order) -> list[Refund]:
    """All of an order given back in up to six refunds: whole lines, shares of lines, sums without lines."""
    left = {line.id: line.gross for line in order.lines}
    refunds: list[Refund] = []
    for number in range(chance.randint(0, 5)):
        named = []
        for line_id in chance.sample(sorted(left), chance.randint(1, len(left))):
            part = left[line_id] if chance.random() < 0.5 else rounded(left[line_id] / 3, order.currency)
            if part > 0:
                left[line_id] -= part
                named.append(RefundLine(line_id=line_id, quantity=Decimal(0), net=part, gross=part))
        amount = sum((line.gross for line in named), Decimal(0))
        if amount and sum(left.values()):
            refunds.append(_refund(number, amount, named if chance.random() < 0.8 else ()))
        else:
            left |= {line.line_id: left[line.line_id] + line.gross for line in named}
    refunds.append(_refund(9, sum(left.values(), Decimal(0)), ()))
    return refunds


def thinned(chance: random.Random, order: Order) -> Order:
    """With a line less, or with fewer pieces of one at the same price."""
    at = chance.randrange(len(order.lines))
    line = order.lines[at]
    pieces = line.quantity - 1
    lines = [*order.lines[:at], *order.lines[at + 1 :]]
    if pieces:
        part = pieces / line.quantity
        gross, net = rounded(line.gross * part, order.currency), rounded(line.net * part, order.currency)
        tax = replace(line.taxes[0], amount=gross - net)
        fewer = replace(line, quantity=pieces, gross=gross, net=net, list_gross=gross, list_net=net, taxes=(tax,))
        lines.insert(at, fewer)
    return replace(order, lines=tuple(lines), total=sum((line.gross for line in lines), Decimal(0)))


@pytest.mark.parametrize("currency", sorted(PER_EURO))
def test_every_order_that_shrinks_step_by_step_and_is_cancelled_ends_at_zero(currency: str) -> None:
    chance = random.Random(currency)
    for _ in range(40):
        order = a_basket(chance, currency)
        documents = list(planned(order).documents)
        sold, exchange = documents[0].totals.gross, documents[0].exchange
        assert exchange is not None
        while len(order.lines) > 1:
            order = thinned(chance, order)
            made = planned(order, *documents, evidence=Evidence())
            assert made.holds == ()
            documents.extend(made.documents)
            assert planned(order, *documents, evidence=Evidence()).documents == ()
            left = sold - sum(note.totals.gross for note in documents[1:])
            # Each line was converted for itself, and keeps its cents.
            assert abs(left - order.total * sold / exchange.of) < Decimal("0.01") * len(order.lines)
        gone = replace(order, lifecycle=Lifecycle.CANCELLED, cancelled_at=PAID_AT)
        documents.extend(planned(gone, *documents, evidence=Evidence()).documents)
        assert sum(note.totals.gross for note in documents[1:]) == sold


def _refund(number: int, amount: Decimal, lines: Sequence[RefundLine]) -> Refund:
    return Refund(id=str(number), created_at=PAID_AT + timedelta(hours=number), amount=amount, lines=tuple(lines))


@pytest.mark.parametrize("currency", sorted(PER_EURO))
def test_every_sale_is_exact_and_every_chain_of_refunds_ends_at_zero(currency: str) -> None:
    chance = random.Random(currency)
    held = 0
    for _ in range(60):
        order = a_basket(chance, currency)
        (sale,) = planned(order).documents
        assert sale.totals.gross == sale.expected.gross == cents(order.total / PER_EURO[currency])
        assert sum(line.gross for line in sale.lines) == sale.totals.gross
        documents: list[DocumentDraft] = [sale]
        told: tuple[Refund, ...] = ()
        for refund in in_parts(chance, order):
            told = (*told, refund)
            made = planned(replace(order, refunds=told), *documents, evidence=Evidence())
            held += len(made.holds)
            documents.extend(made.documents)
        credited = sum(note.totals.gross for note in documents[1:])
        assert held or credited == sale.totals.gross
    assert held == 0
