"""An order as Shopify's webhooks and REST write it, read into ours; GraphQL answers are reshaped into it first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from syncd.domain.errors import PayloadError
from syncd.domain.money import ZERO, Money
from syncd.domain.order import Lifecycle, Order, OrderLine, Payment, PaymentState
from syncd.shops.port import OrderFacts
from syncd.shops.shopify import graphql
from syncd.shops.shopify.buyer import read_buyer
from syncd.shops.shopify.fields import (
    Record,
    identity,
    loads,
    moment,
    money,
    money_or_zero,
    record,
    records,
    show,
    text,
)
from syncd.shops.shopify.lines import currency_doubts, read_lines, tax_doubts, total_doubts
from syncd.shops.shopify.refunds import Sale, read_refunds
from syncd.shops.shopify.settlement import settle
from syncd.shops.shopify.transactions import amount_in

_PAYMENT = {
    "": PaymentState.UNPAID,
    "pending": PaymentState.UNPAID,
    "authorized": PaymentState.UNPAID,
    "expired": PaymentState.UNPAID,
    "voided": PaymentState.UNPAID,
    "partially_paid": PaymentState.PARTIAL,
    "paid": PaymentState.PAID,
    "partially_refunded": PaymentState.PAID,
    "refunded": PaymentState.PAID,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Received:
    state: PaymentState
    paid_at: datetime | None
    payments: tuple[Payment, ...]


def read_order(facts: OrderFacts, *, shop: str, tax_id_keys: Sequence[str] = ()) -> Order:
    """The order in shop money. Raises PayloadError where the facts describe none."""
    order = order_record(facts.order)
    order_id, currency, total = (
        identity(order.get("id")),
        text(order.get("currency")),
        money(order, "total_price", "order"),
    )
    if not order_id or not currency or total is None or "line_items" not in order:
        raise PayloadError("this is no order: it lacks id, currency, total_price or line_items")
    updated, created = moment(order.get("updated_at"), "updated_at"), moment(order.get("created_at"), "created_at")
    if updated is None or created is None:
        raise PayloadError(f"order {order_id} lacks updated_at or created_at")
    lines = read_lines(order)
    status = _status(order, total)
    state = _PAYMENT.get(status, PaymentState.UNPAID)
    refunds = read_refunds(_refund_records(order, facts.refunds), _sale(order, currency, lines))
    settled = settle(order, lines, total, state, refunds)
    received = _received(order, state, currency, settled.total, created)
    return Order(
        shop=shop,
        id=order_id,
        number=text(order.get("name")) or text(order.get("order_number")) or order_id,
        updated_at=updated,
        created_at=created,
        state=status,
        lifecycle=Lifecycle.DELETED if facts.deleted else _lifecycle(order, status),
        currency=currency,
        prices_include_tax=order.get("taxes_included") is True,
        total=settled.total,
        lines=settled.lines,
        buyer=read_buyer(order, tax_id_keys=tax_id_keys),
        payment=received.state,
        paid_at=received.paid_at,
        payments=received.payments,
        refunds=settled.refunds,
        paid_in=_paid_in(order, currency),
        cancelled_at=moment(order.get("cancelled_at"), "cancelled_at"),
        note=text(order.get("note")),
        tags=_tags(order.get("tags")),
        discount_codes=_codes(order),
        doubts=(
            *currency_doubts(order, currency),
            *total_doubts(order, lines),
            *tax_doubts(order),
            *_payment_doubts(order, status, total),
            *settled.doubts,
            *(doubt for read in refunds for doubt in read.doubts),
        ),
    )


def _paid_in(order: Record, currency: str) -> Money | None:
    """The total in the buyer's currency, where that is another than the shop's."""
    told = record(record(order.get("total_price_set"), "total_price_set").get("presentment_money"), "presentment_money")
    other, amount = text(told.get("currency_code")), money(told, "amount", "presentment_money")
    return Money(amount, other) if other not in {"", currency} and amount is not None else None


def order_record(raw: bytes) -> Record:
    """The order object of a payload in the webhook's shape, whichever way it came."""
    found = record(loads(raw), "the payload")
    for wrapper in ("data", "order"):
        if wrapper in found and "id" not in found:
            found = record(found[wrapper], wrapper)
    return graphql.order_to_webhook(found) if text(found.get("id")).startswith("gid://") else found


def refund_records(raw: bytes) -> list[Record]:
    """The refunds of a payload that is one refund, a list of them, or either under its name."""
    found = loads(raw)
    if isinstance(found, dict) and "id" not in found:
        if not found.keys() & {"refunds", "refund"}:
            raise PayloadError("this is no refund: it has no id")
        found = found.get("refunds", found.get("refund"))
    return records(found if isinstance(found, list) else [found], "refunds")


def _refund_records(order: Record, known: Iterable[bytes]) -> list[Record]:
    """The order's own copies come first: a transaction that was pending in the webhook may be settled in them."""
    own = records(order.get("refunds"), "refunds")
    return [*own, *(graphql.refund_to_webhook(found) for raw in known for found in refund_records(raw))]


def _status(order: Record, total: Decimal) -> str:
    """The financial status; where Shopify gives none, an order that costs nothing is settled."""
    return text(order.get("financial_status")).lower() or ("pending" if total else "paid")


def _lifecycle(order: Record, status: str) -> Lifecycle:
    if order.get("test") is True:
        return Lifecycle.DRAFT
    if order.get("cancelled_at"):
        return Lifecycle.CANCELLED
    return Lifecycle.REFUNDED if status == "refunded" else Lifecycle.OPEN


def _received(order: Record, state: PaymentState, currency: str, total: Decimal, created: datetime) -> _Received:
    if state is PaymentState.UNPAID:
        return _Received(state=state, paid_at=None, payments=())
    # Webhooks tell no payments, only when the order was placed and by which gateways somebody tried to pay.
    placed = moment(order.get("processed_at"), "processed_at") or created
    payments = tuple(_told_payments(order, currency)) or tuple(_presumed_payment(order, state, currency, total, placed))
    times = [payment.paid_at for payment in payments if payment.paid_at]
    return _Received(state=state, paid_at=max(times, default=placed), payments=payments)


def _told_payments(order: Record, currency: str) -> Iterable[Payment]:
    for move in records(order.get("transactions"), "transactions"):
        where = f"transaction {text(move.get('id')) or '?'}"
        amount = amount_in(move, currency, where)
        kind, status = text(move.get("kind")).lower(), text(move.get("status")).lower()
        if kind in {"sale", "capture"} and status == "success" and amount:
            yield Payment(
                id=identity(move.get("id")),
                gateway=text(move.get("gateway")),
                amount=Money(amount, currency),
                paid_at=moment(move.get("processed_at"), where),
            )


def _presumed_payment(
    order: Record, state: PaymentState, currency: str, total: Decimal, placed: datetime
) -> Iterable[Payment]:
    """One payment by the gateway tried last; a gift card only where nothing else was, as it often pays a part."""
    names = order.get("payment_gateway_names")
    gateways = [name for item in (names if isinstance(names, list) else []) if (name := text(item))]
    others = [name for name in gateways if name != "gift_card"]
    open_ = money(order, "total_outstanding", "order") if state is PaymentState.PARTIAL else ZERO
    amount = ZERO if open_ is None else total - open_
    if amount > 0 and (gateways or state is PaymentState.PARTIAL):
        yield Payment(gateway=(others or gateways or [""])[-1], amount=Money(amount, currency), paid_at=placed)


def _sale(order: Record, currency: str, lines: Iterable[OrderLine]) -> Sale:
    return Sale(
        currency=currency,
        prices_include_tax=order.get("taxes_included") is True,
        lines={line.id: line for line in lines},
        owed=money_or_zero(order, "total_outstanding", "order") < 0,
    )


def _payment_doubts(order: Record, status: str, total: Decimal) -> Iterable[str]:
    if status not in _PAYMENT:
        yield f"the financial status {status!r} is not known"
    rounding = money_or_zero(order, "total_cash_rounding_payment_adjustment", "order")
    if rounding:
        yield f"{show(rounding)} was added to {show(total)} to round the cash payment"


def _tags(value: object) -> tuple[str, ...]:
    tags = value if isinstance(value, list) else text(value).split(",")
    return tuple(tag for item in tags if (tag := text(item)))


def _codes(order: Record) -> tuple[str, ...]:
    codes = records(order.get("discount_codes"), "discount_codes")
    return tuple(code for item in codes if (code := text(item.get("code"))))
