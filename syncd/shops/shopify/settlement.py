"""What an order came to where lines were taken off, exchanged or made cheaper after the checkout.

Shopify keeps a line as it was ordered. What was taken off stands as a refund, whether money moved or not, and the money
of one removal may come in the refund of another day. The money received says which of it is a sale undone, and which
never became one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from syncd.domain.money import ZERO, cents
from syncd.domain.order import LineKind, OrderLine, PaymentState, Refund, RefundLine, RefundState
from syncd.shops.shopify.fields import Record, money, show
from syncd.shops.shopify.refunds import ReadRefund


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The sale without what never became one; `refunds` undo the rest of it."""

    lines: tuple[OrderLine, ...]
    total: Decimal
    refunds: tuple[Refund, ...]
    doubts: tuple[str, ...] = ()


def settle(
    order: Record, lines: tuple[OrderLine, ...], total: Decimal, state: PaymentState, told: Sequence[ReadRefund]
) -> Settled:
    """The order after what its refunds say besides giving money back."""
    told = _paid_later(told)
    done = [read for read in told if read.refund.state is RefundState.DONE]
    short = [read for read in done if read.short]
    received = _received(order, done)
    if short and all(_in_goods(lines, read) for read in short if read.moved):
        reduced = _reduced(lines, total, told, short)
        returned = sum((read.refund.amount for read in short if read.moved), ZERO)
        if state is not PaymentState.PAID or received == reduced.total + returned:
            return reduced
    found = Settled(lines=lines, total=total, refunds=tuple(read.refund for read in told))
    if state is not PaymentState.PAID:
        return found
    return replace(found, doubts=tuple(_doubts(total, received, done)))


def _doubts(total: Decimal, received: Decimal | None, done: Sequence[ReadRefund]) -> Iterable[str]:
    """Refunds and money that tell different stories of a paid order."""
    for read in done:
        if read.moved and read.short:
            lines, paid = _gross(read.refund.lines), read.refund.amount
            yield f"refund {read.refund.id}: its lines come to {show(lines)}, {show(paid)} was paid back"
    if received is None:
        return
    if received != total and any(not read.moved for read in done):
        yield f"the lines come to {show(total)}, but {show(received)} was received"
    unnamed = sum((read.refund.amount for read in done if not read.refund.lines), ZERO)
    if 0 < unnamed == received - total:
        # Lowered after the payment, the total has the money given back in it already; as goodwill it has not.
        yield f"{show(received)} was received for {show(total)}, and a refund of {show(unnamed)} names no lines"


def _in_goods(lines: Sequence[OrderLine], read: ReadRefund) -> bool:
    """Whether what was not paid back came as goods: an exchange adds its lines behind the others."""
    added = ZERO
    for line in reversed([line for line in lines if line.kind is LineKind.ARTICLE]):
        if line.id in {part.line_id for part in read.refund.lines}:
            return False
        added += line.gross
        if added >= read.short:
            return added == read.short
    return False


def _received(order: Record, done: Iterable[ReadRefund]) -> Decimal | None:
    """All the money that ever came, what was given back included; None where old bodies do not tell."""
    current, outstanding = money(order, "current_total_price", "order"), money(order, "total_outstanding", "order")
    if current is None or outstanding is None:
        return None
    return current - outstanding + sum((read.refund.amount for read in done if read.moved), ZERO)


def _paid_later(told: Sequence[ReadRefund]) -> tuple[ReadRefund, ...]:
    """Goods taken back in one refund and their money in another, which names nothing, are one."""
    goods = [read for read in told if not read.moved and read.refund.lines]
    paid = [read for read in told if read.moved and not read.refund.lines]
    for given in paid:
        back = next((read for read in goods if read.refund.amount == given.refund.amount), None)
        if back is not None:
            goods.remove(back)
            joined = replace(given, refund=replace(given.refund, lines=back.refund.lines))
            told = [joined if read is given else read for read in told if read is not back]
    return tuple(told)


def _reduced(
    lines: tuple[OrderLine, ...], total: Decimal, told: Sequence[ReadRefund], short: Sequence[ReadRefund]
) -> Settled:
    """Without what was taken off before it was paid, or was paid for with other goods."""
    gone = [line for read in short for line in read.refund.lines]
    kept = [_cut(line, [part for part in gone if part.line_id == line.id]) for line in lines]
    unbilled = sum((line.gross for line in lines), ZERO) - sum((line.gross for line in kept), ZERO)
    return Settled(
        lines=tuple(line for line in kept if line.quantity),
        total=total - unbilled,
        refunds=tuple(read.refund for read in told if read not in short),
        doubts=tuple(
            f"more was taken off line {line.id} than it came to" for line in kept if min(line.quantity, line.gross) < 0
        ),
    )


def _cut(line: OrderLine, gone: Sequence[RefundLine]) -> OrderLine:
    if not gone:
        return line
    quantity = line.quantity - sum((part.quantity for part in gone), Decimal(0))
    net = line.net - sum((part.net for part in gone), ZERO)
    gross = line.gross - _gross(gone)
    if not quantity:
        net = gross = ZERO  # all of it; a refund's own rounding may differ by a cent
    stays = quantity / line.quantity
    tax, before = gross - net, line.gross - line.net
    taxes = [replace(told, amount=cents(told.amount * tax / before) if before else ZERO) for told in line.taxes]
    if taxes:
        taxes[0] = replace(taxes[0], amount=tax - sum((told.amount for told in taxes[1:]), ZERO))
    return replace(
        line,
        quantity=quantity,
        net=net,
        gross=gross,
        list_net=cents(line.list_net * stays),
        list_gross=cents(line.list_gross * stays),
        taxes=tuple(taxes),
    )


def _gross(lines: Iterable[RefundLine]) -> Decimal:
    return sum((line.gross for line in lines), ZERO)
