"""WooCommerce's order (REST v3, as webhooks carry it too) read into the domain's. Pure."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from syncd.domain.errors import PayloadError
from syncd.domain.money import Money, rounded, smallest
from syncd.domain.order import Lifecycle, Order, Payment, PaymentState
from syncd.shops.port import OrderFacts
from syncd.shops.woocommerce.buyer import read_buyer
from syncd.shops.woocommerce.fields import (
    Record,
    changed_at,
    identity,
    loads,
    moment,
    number,
    record,
    records,
    status_of,
    text,
)
from syncd.shops.woocommerce.lines import doubtful_quantities, read_lines, settle
from syncd.shops.woocommerce.refunds import read_refunds

# What is not here is open: the usual states, and those that plug-ins add.
LIFECYCLES = {
    "auto-draft": Lifecycle.DRAFT,
    "checkout-draft": Lifecycle.DRAFT,
    "draft": Lifecycle.DRAFT,
    "new": Lifecycle.DRAFT,
    "cancelled": Lifecycle.CANCELLED,
    "failed": Lifecycle.CANCELLED,
    "refunded": Lifecycle.REFUNDED,
    "trash": Lifecycle.DELETED,
}

# A state may be left for one further down within the second that is all WooCommerce's times can tell apart.
PROGRESS = {
    "auto-draft": 0,
    "checkout-draft": 0,
    "draft": 0,
    "new": 0,
    "pending": 1,
    "failed": 2,
    "on-hold": 3,
    "processing": 4,
    "completed": 6,
    "cancelled": 7,
    "refunded": 8,
    "trash": 9,
}
OWN_STATE = 5  # of a plug-in: sent, ready for collection
MOST_REFUNDS_RANKED = 999


def read_order(facts: OrderFacts, *, shop: str, tax_id_keys: Sequence[str]) -> Order:
    """The order that the facts describe. Raises PayloadError naming the field that is wrong."""
    order = record(loads(facts.order), "the order")
    currency, total = _currency(order), number(order, "total", "")
    lines, mismatch = settle(read_lines(order, currency), total, unit=smallest(currency))
    refunds, doubtful_refunds = read_refunds(order, facts.refunds, currency)
    status, paid_at = status_of(order), moment(order, "date_paid_gmt")
    payment = _payment(total, status, paid_at)
    doubts = (
        mismatch,
        _doubt_of_total(total, currency),
        _doubt_of_parent(order),
        *doubtful_quantities(lines),
        *doubtful_refunds,
    )
    return Order(
        shop=shop,
        id=identity(order, "id"),
        number=text(order, "number") or text(order, "id"),
        updated_at=changed_at(order),
        created_at=moment(order, "date_created_gmt") or changed_at(order),
        state=status,
        lifecycle=Lifecycle.DELETED if facts.deleted else _lifecycle(status, paid_at),
        currency=currency,
        prices_include_tax=order.get("prices_include_tax") is True,
        total=rounded(total, currency),
        lines=lines,
        buyer=read_buyer(order, tax_id_keys=tax_id_keys),
        payment=payment,
        paid_at=paid_at,
        payments=_payments(order, Money(rounded(total, currency), currency), paid_at),
        refunds=refunds,
        note=text(order, "customer_note"),
        discount_codes=tuple(code for coupon in records(order, "coupon_lines") if (code := text(coupon, "code"))),
        doubts=tuple(doubt for doubt in doubts if doubt),
    )


def rank_of(order: Record) -> int:
    """Orders the states that one order can have within a second: by progress, then by refunds made."""
    refunds = order.get("refunds")
    made = min(len(refunds), MOST_REFUNDS_RANKED) if isinstance(refunds, list) else 0
    paid = 1 if order.get("date_paid_gmt") else 0
    return (PROGRESS.get(status_of(order), OWN_STATE) * (MOST_REFUNDS_RANKED + 1) + made) * 2 + paid


def _currency(order: Record) -> str:
    currency = text(order, "currency").upper()
    if len(currency) != 3 or not currency.isascii() or not currency.isalpha():
        raise PayloadError(f"currency: {currency[:40]!r} is no currency")
    return currency


def _lifecycle(status: str, paid_at: datetime | None) -> Lifecycle:
    if status == "failed" and paid_at:
        return Lifecycle.OPEN  # money came in although the last attempt failed
    return LIFECYCLES.get(status, Lifecycle.OPEN)


def _payment(total: Decimal, status: str, paid_at: datetime | None) -> PaymentState:
    """Paid is what has a date; the state alone says nothing, since cash on delivery is processed unpaid."""
    free = total == 0 and status in {"processing", "completed"}
    return PaymentState.PAID if paid_at or free else PaymentState.UNPAID


def _payments(order: Record, amount: Money, paid_at: datetime | None) -> tuple[Payment, ...]:
    if paid_at is None or not amount.amount:
        return ()
    gateway, transaction = text(order, "payment_method"), text(order, "transaction_id")
    return (Payment(gateway=gateway, amount=amount, paid_at=paid_at, id=transaction),)


def _doubt_of_total(total: Decimal, currency: str) -> str:
    if total == rounded(total, currency) and total >= 0:
        return ""
    return f"the order's total is {total}, which no document can show"


def _doubt_of_parent(order: Record) -> str:
    """Marketplace plug-ins split an order into parts and keep the whole as well: both would be invoiced."""
    parent = text(order, "parent_id")
    return f"it is a part of order {parent}, which holds the same sale" if parent not in {"", "0"} else ""
