"""Receipts for the invoices (FT) of an order; each once, by its part."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from syncd.domain.document import DocumentDraft, DocumentKind
from syncd.domain.money import ZERO
from syncd.domain.order import PaymentState
from syncd.mapping.corrections import Books, by_time, suffix
from syncd.mapping.credit import receipt
from syncd.mapping.payments import mechanism_of, payment_mechanism


def settled(books: Books) -> None:
    """Receipts for the money that came for invoices (FT): one for all of it, or one for each of several payments.

    One receipt settles all the invoices that its money reaches; together they never exceed what is open of them.
    """
    order = books.order
    invoices = [sale for sale in books.sales if sale.kind is DocumentKind.FT]
    if invoices and (order.payment is PaymentState.PARTIAL or len(order.payments) > 1):
        _each_payment(books, invoices)
    if invoices and order.payment is PaymentState.PAID:
        mechanism = payment_mechanism(order, books.policy, books.accepted | {"unknown_payment"})
        shares = [(sale, books.unsettled(sale)) for sale in invoices]
        _receive(books, "payment", shares, mechanism, order.paid_at or order.updated_at)


def _each_payment(books: Books, invoices: Sequence[DocumentDraft]) -> None:
    """Receipts for single payments, the oldest invoice first; what settled itself (FR, FS) took its money before."""
    absorbed = sum((sale.totals.gross for sale in books.sales if sale.kind is not DocumentKind.FT), ZERO)
    for number, payment in enumerate(by_time(books.order.payments), start=1):
        if payment.amount.currency != books.order.currency:
            continue
        rest = max(payment.amount.amount - absorbed, ZERO)
        absorbed = max(absorbed - payment.amount.amount, ZERO)
        name = f"payment-{payment.id or number}"
        parts = {f"{name}{suffix(sale)}" for sale in invoices} & books.committed.keys()
        rest -= sum((books.committed[part].totals.gross for part in parts), ZERO)
        shares = []
        for sale in invoices:
            amount = max(min(rest, books.unsettled(sale)), ZERO)
            shares.append((sale, amount))
            rest -= amount
        mechanism = mechanism_of(payment, books.policy, books.accepted | {"unknown_payment"})
        _receive(books, name, shares, mechanism, payment.paid_at or books.order.paid_at or books.order.updated_at)


def _receive(
    books: Books, name: str, shares: Sequence[tuple[DocumentDraft, Decimal]], mechanism: str, when: datetime
) -> None:
    """One receipt over what a payment brings its invoices, named after the first; what has its receipt gets no other."""
    owed = [(sale, amount) for sale, amount in shares if amount > 0 and f"{name}{suffix(sale)}" not in books.committed]
    if owed:
        books.add(receipt(owed, mechanism, when, books.policy, part=f"{name}{suffix(owed[0][0])}"))
