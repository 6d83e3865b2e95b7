"""Refunds: lines, adjustments and transactions tell the same story three times; here they are reconciled.

Two things Shopify does not say, so the figures decide: whether a refunded line's `subtotal` has its tax inside, and
whether a shipping refund's has. The reading is taken whose sum is the money that moved; where no money tells, the
one that is nearest to the line as it was sold.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product

from syncd.domain.errors import PayloadError
from syncd.domain.money import CENT, ZERO, cents
from syncd.domain.order import LineKind, OrderLine, Refund, RefundLine, RefundState
from syncd.shops.shopify.fields import (
    Record,
    identity,
    moment,
    money,
    money_or_zero,
    number,
    record,
    records,
    text,
)
from syncd.shops.shopify.lines import SHIPPING_PREFIX
from syncd.shops.shopify.transactions import amount_in, is_refund

_FAILED = frozenset({"failure", "error"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """What a refund is read against. `owed` says that the shop still owes the buyer money."""

    currency: str
    prices_include_tax: bool
    lines: Mapping[str, OrderLine]
    owed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRefund:
    refund: Refund
    moved: bool  # by transactions, not only computed from the lines
    short: Decimal = ZERO  # what its lines are worth beyond the money, with nothing that says why
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A refunded line before it is known whether `tax` is inside `subtotal`. `tax` None: not told."""

    line_id: str
    quantity: Decimal
    subtotal: Decimal
    tax: Decimal | None
    sold: OrderLine | None

    def read(self, *, inside: bool) -> RefundLine:
        if self.tax is None:
            net = cents(self.subtotal * self.sold.net / self.sold.gross) if self.sold and self.sold.gross else None
            net, gross = self.subtotal if net is None else net, self.subtotal
        elif inside:
            net, gross = self.subtotal - self.tax, self.subtotal
        else:
            net, gross = self.subtotal, self.subtotal + self.tax
        return RefundLine(line_id=self.line_id, quantity=self.quantity, net=net, gross=gross)

    def looks_inside(self, *, otherwise: bool) -> bool:
        """Whether the subtotal is nearer to the gross than to the net of what was sold."""
        if not self.sold or not self.sold.quantity or not self.tax:
            return otherwise
        share = self.sold.gross * self.quantity / self.sold.quantity
        return abs(self.subtotal - share) < abs(self.subtotal + self.tax - share)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Money:
    """What the transactions say; `amount` None where they are in the buyer's currency or there are none."""

    state: RefundState
    amount: Decimal | None
    known: bool


def read_refunds(payloads: Sequence[Record], sale: Sale) -> tuple[ReadRefund, ...]:
    """Every refund that gave something back, oldest first, each id once (the first payload wins)."""
    by_id: dict[str, ReadRefund] = {}
    for payload in payloads:
        key = identity(payload.get("id"))
        if not key:
            raise PayloadError("a refund has no id")
        if key not in by_id:
            by_id[key] = read_refund(key, payload, sale)
    found = (read for read in by_id.values() if read.doubts or read.refund.amount or _gross(read.refund.lines))
    return tuple(sorted(found, key=lambda read: (read.refund.created_at, int(read.refund.id))))


def read_refund(key: str, payload: Record, sale: Sale) -> ReadRefund:
    where = f"refund {key}"
    created = moment(payload.get("created_at") or payload.get("processed_at"), f"{where}.created_at")
    if created is None:
        raise PayloadError(f"{where} has no time")
    parts = _line_parts(payload, sale, where)
    shipping, stray = _shipping_parts(payload, sale, where)
    extra = _discrepancy(payload, where)
    paid = _money(payload, sale.currency, where)
    lines = _fit(parts, shipping, sale, paid.amount, (extra + stray, stray))
    amount, state = paid.amount, paid.state
    if amount is None:
        told = _gross(lines) + stray
        amount = told + extra if told + extra > 0 else told
        # Either the goods are back and the money is not, or it waits at the gateway: credited once it has moved.
        if not paid.known and told and (sale.owed or told + extra <= 0):
            state = RefundState.PENDING
    refund = Refund(
        id=key,
        created_at=created,
        amount=amount,
        lines=lines,
        state=state,
        reason=" ".join(text(payload.get("note")).split()),
    )
    doubts = [*_strangers(refund, sale, where)]
    if paid.known and not amount:
        doubts.append(f"{where}: money moved, but how much in {sale.currency} is not told")
    short = _shortfall(refund, extra, stray) if paid.known else _gross(lines)
    return ReadRefund(refund=refund, moved=paid.known, short=short, doubts=tuple(doubts))


def _line_parts(payload: Record, sale: Sale, where: str) -> list[_Part]:
    parts = []
    for item in records(payload.get("refund_line_items"), f"{where}.refund_line_items"):
        line_id = identity(item.get("line_item_id")) or identity(record(item.get("line_item"), where).get("id"))
        parts.append(
            _Part(
                line_id=line_id,
                quantity=number(item.get("quantity"), f"{where}.quantity"),
                subtotal=money_or_zero(item, "subtotal", where),
                tax=money(item, "total_tax", where) or ZERO,
                sold=sale.lines.get(line_id),
            )
        )
    return parts


def _shipping_parts(payload: Record, sale: Sale, where: str) -> tuple[list[_Part], Decimal]:
    """Refunded shipping, and what of it belongs to no shipping line that is known.

    Older bodies tell it as an adjustment only, newer ones as lines and again as the adjustment.
    """
    parts = []
    for item in records(payload.get("refund_shipping_lines"), f"{where}.refund_shipping_lines"):
        nested = record(item.get("shipping_line"), where)
        line_id = SHIPPING_PREFIX + (identity(item.get("shipping_line_id")) or identity(nested.get("id")))
        subtotal, tax = money_or_zero(item, "subtotal_amount", where), money(item, "tax_amount", where)
        parts.append(_shipping_part(line_id, subtotal, tax, sale))
    if parts:
        return parts, ZERO
    subtotal, tax = _adjusted(payload, "shipping_refund", where)
    if not subtotal + tax:
        return [], ZERO
    sold = [line for line in sale.lines.values() if line.kind is LineKind.SHIPPING and line.gross >= subtotal]
    if len(sold) != 1:
        return [], subtotal + tax
    return [_shipping_part(sold[0].id, subtotal, tax, sale)], ZERO


def _shipping_part(line_id: str, subtotal: Decimal, tax: Decimal | None, sale: Sale) -> _Part:
    sold = sale.lines.get(line_id)
    whole = sold is not None and subtotal + (tax or ZERO) >= sold.gross
    return _Part(line_id=line_id, quantity=Decimal(whole), subtotal=subtotal, tax=tax, sold=sold)


def _discrepancy(payload: Record, where: str) -> Decimal:
    """What was paid back beyond the lines (positive) or kept (negative); Shopify signs it the other way round."""
    amount, tax = _adjusted(payload, "refund_discrepancy", where)
    return amount + tax


def _adjusted(payload: Record, kind: str, where: str) -> tuple[Decimal, Decimal]:
    """Amount and tax of the adjustments of one kind, positive where money was given back."""
    found = [
        item
        for item in records(payload.get("order_adjustments"), f"{where}.order_adjustments")
        if text(item.get("kind")) == kind
    ]
    amount = sum((money_or_zero(item, "amount", where) for item in found), ZERO)
    tax = sum((money_or_zero(item, "tax_amount", where) for item in found), ZERO)
    return ZERO - amount, ZERO - tax


def _money(payload: Record, currency: str, where: str) -> _Money:
    moves = [move for move in records(payload.get("transactions"), f"{where}.transactions") if is_refund(move)]
    words = [text(move.get("status")).lower() for move in moves]
    if not moves:
        return _Money(state=RefundState.DONE, amount=None, known=False)
    counted = [move for move, word in zip(moves, words, strict=True) if word not in _FAILED]
    if not counted:
        state, counted = RefundState.FAILED, moves
    else:
        # One part still on its way: a credit note now would have to be followed by another for the same refund.
        state = RefundState.DONE if _FAILED.issuperset(set(words) - {"success"}) else RefundState.PENDING
    amounts = [amount_in(move, currency, where) for move in counted]
    known = [amount for amount in amounts if amount is not None]
    return _Money(state=state, amount=sum(known, ZERO) if len(known) == len(amounts) else None, known=True)


def _fit(
    parts: Sequence[_Part],
    shipping: Sequence[_Part],
    sale: Sale,
    amount: Decimal | None,
    extras: Iterable[Decimal],
) -> tuple[RefundLine, ...]:
    """The reading whose sum is the money that moved; else the likeliest."""
    likely = _likely(parts, otherwise=sale.prices_include_tax)
    readings = [
        (*(part.read(inside=lines) for part in parts), *(part.read(inside=freight) for part in shipping))
        for freight, lines in product((False, True), (likely, not likely))
    ]
    for extra in extras:
        for reading in readings:
            if amount is not None and _gross(reading) + extra == amount:
                return reading
    return readings[0]


def _gross(lines: Iterable[RefundLine]) -> Decimal:
    return sum((line.gross for line in lines), ZERO)


def _likely(parts: Sequence[_Part], *, otherwise: bool) -> bool:
    told = [part.looks_inside(otherwise=otherwise) for part in parts]
    return otherwise if told.count(True) == told.count(False) else told.count(True) > told.count(False)


def _strangers(refund: Refund, sale: Sale, where: str) -> Iterable[str]:
    unknown = sorted({line.line_id for line in refund.lines if line.gross} - sale.lines.keys())
    if unknown:
        yield f"{where} gives back lines that the order does not have: {', '.join(unknown)}"


def _shortfall(refund: Refund, extra: Decimal, stray: Decimal) -> Decimal:
    """What the lines explain beyond what was paid back, where no adjustment says why."""
    explained = _gross(refund.lines) + stray
    rounding = CENT * len(refund.lines)
    short = explained - refund.amount
    return short if short > rounding and abs(short + extra) > rounding else ZERO
