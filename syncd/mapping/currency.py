"""Orders in other currencies: documents are in euro, and say what was paid, at which rate, and by whom it is told.

The total is converted once; every line gets its part of it, so that the lines add up. A document keeps its rate, and
whatever corrects it is converted at the same one: a sale that is given back in full ends at exactly zero. What comes to an
order later is a sale of its own day, with that day's rate.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from syncd.domain.document import DocumentDraft, DocumentKind
from syncd.domain.money import CENT, EURO, ZERO, Exchange, Money, cents, decimals
from syncd.domain.order import Order, OrderLine, Payment, Refund, RefundState
from syncd.domain.registers import Evidence, ReferenceRates
from syncd.mapping.amounts import share
from syncd.mapping.refusal import Undecidable
from syncd.mapping.texts import shorten

FRANKFURT = ZoneInfo("Europe/Berlin")
PUBLISHED = time(16)
SATURDAY = 5
SHOP = "loja"  # as documents name it
RATE_STEP = Decimal("0.000001")
BY_HAND = "invoice by hand with a bank's rate of the day, and skip the order"


@dataclass(frozen=True, slots=True)
class Standing:
    """What documents took a line for in euro, and the factor by which they came to it."""

    gross: Decimal
    factor: Decimal


NOTHING_STANDS: Mapping[str, Standing] = {}


def reference_day(moment: datetime) -> date:
    """The day of the European Central Bank's last rates at a moment; on a bank holiday it published none after all."""
    local = moment.astimezone(FRANKFURT)
    day = local.date() if local.time() >= PUBLISHED else local.date() - timedelta(days=1)
    return day - timedelta(days=max(0, day.weekday() - SATURDAY + 1))


def exchanged(order: Order, evidence: Evidence) -> Order:
    """The order in euro, at the shop's own rate where it tells one. Undecidable while no rate is known."""
    if order.currency == EURO and not order.total:
        return order
    exchange = _exchange_of(order, evidence)
    return replace(order, exchange=exchange) if order.currency == EURO else _in_euro(order, exchange)


def at_the_rate_of(order: Order, documents: Sequence[DocumentDraft]) -> Order:
    """The order in euro at the rate of its documents; refunds that have a credit note are worth what they were then."""
    if order.currency == EURO:
        return order
    exchange = next((document.exchange for document in documents if document.exchange is not None), None)
    if exchange is None:
        raise Undecidable(
            "currency",
            f"the order is in {order.currency}, but its document was drawn up in euro without a rate",
            fix="correct the document at the service by hand and skip the order",
        )
    parts = [document.key.part for document in documents if document.kind is DocumentKind.NC]
    credited = (r.id for r in order.refunds if any(f"{part}-".startswith(f"refund-{r.id}-") for part in parts))
    names = [line.id for line in order.lines]
    standing = _standing(documents) if len(set(names)) == len(names) else {}
    return _in_euro(order, exchange, frozenset(credited), standing)


def _standing(documents: Iterable[DocumentDraft]) -> dict[str, Standing]:
    """What documents took each line for, at the rate of the first that has it."""
    found: dict[str, Standing] = {}
    for document in documents:
        for part in document.covers:
            was = found.get(part.line_id)
            if was is None and (exchange := document.exchange) is not None and exchange.of:
                was = Standing(ZERO, exchange.euro / exchange.of)
            if was is not None:
                found[part.line_id] = Standing(was.gross + part.gross, was.factor)
    return found


def came_later(told: Order, lines: Sequence[OrderLine], since: datetime, evidence: Evidence) -> Order:
    """What came to an order after its document, as an order of its own: sold later, and worth that day's rate.

    `told` is the order in its own currency, `lines` are those that came.
    """
    names = {line.id for line in lines}
    came = tuple(line for line in told.lines if line.id in names)
    total = sum((line.gross for line in came), ZERO)
    return exchanged(replace(told, lines=came, total=total, paid_at=since, refunds=()), evidence)


def check_rate_of_its_own(told: Order, came: Iterable[OrderLine], sales: Iterable[DocumentDraft]) -> None:
    """Hold what has no sure rate: part of a line that stands at an older one, or money of which the shop tells only all."""
    on_documents = {part.line_id for sale in sales for part in sale.covers}
    names = [line.name for line in came if line.id in on_documents]
    if names or told.paid_in is not None:
        what = f"{names[0]!r} grew or became dearer" if names else "goods were added"
        raise Undecidable(
            "order_changed",
            f"{what} after the document of this order, which was not paid in euro: what came later is worth the rate of its "
            "own day",
            fix="invoice what came by hand, then release the order",
        )


def noted(text: str, exchange: Exchange | None, limit: int, *, gross: Decimal) -> str:
    """A document's notes within `limit`, with the rate, and what was paid if it is over all of that: the text gives way."""
    if exchange is None:
        return shorten(text, limit)
    currency, rate = exchange.paid.currency, _figure(exchange.per_euro.normalize())
    of = exchange.source if exchange.source == SHOP else f"{exchange.source}, {exchange.day}"
    whole = gross == exchange.euro
    paid = f"Total: {_figure(exchange.paid.amount, decimals(currency))} {currency};" if whole else "Câmbio:"
    said = f"{paid} 1 EUR = {rate} {currency} ({of})"
    own = shorten(text, max(limit - len(said) - 2, 0))
    return f"{own}. {said}" if own else shorten(said, limit)


def _exchange_of(order: Order, evidence: Evidence) -> Exchange:
    paid = order.paid_in if order.paid_in and order.total else Money(order.total, order.currency)
    if order.currency == EURO:
        return _told_by_the_shop(order, paid, euro=order.total)
    if paid.currency == EURO:
        return _told_by_the_shop(order, Money(order.total, order.currency), euro=paid.amount)
    day = reference_day(order.sold_at)
    table = evidence.rates.get(day)
    if table is None:
        raise Undecidable(
            "currency",
            f"{paid} were paid, and documents are in euro: the European Central Bank's rate of {day} is not known here",
            fix=f"switch [registers.ecb] on; or {BY_HAND}",
            need=ReferenceRates(day=day),
        )
    rate = table.per_euro.get(paid.currency)
    if rate is None:
        raise Undecidable(
            "currency", f"{paid} were paid, and the European Central Bank has no rate for that currency", fix=BY_HAND
        )
    return Exchange(
        paid=paid,
        euro=cents(paid.amount / rate),
        of=order.total,
        per_euro=rate,
        source=table.source,
        day=table.published,
    )


def _told_by_the_shop(order: Order, paid: Money, *, euro: Decimal) -> Exchange:
    rate = (paid.amount / euro).quantize(RATE_STEP) if euro else Decimal(0)
    if rate <= 0:
        raise Undecidable(
            "currency", f"the shop says that {paid} are {euro} EUR, which tells no rate of exchange", fix=BY_HAND
        )
    day = order.sold_at.astimezone(FRANKFURT).date()
    return Exchange(paid=paid, euro=euro, of=order.total, per_euro=rate, source=SHOP, day=day)


def _in_euro(
    order: Order,
    exchange: Exchange,
    credited: frozenset[str] = frozenset(),
    standing: Mapping[str, Standing] = NOTHING_STANDS,
) -> Order:
    """At a rate of exchange. A line keeps the euro that its document took it for, whatever else has changed."""
    told = sum((line.gross for line in order.lines), ZERO)
    if told != order.total:
        raise Undecidable(
            "sum_mismatch",
            f"the lines come to {told} {order.currency}, the order's total is {order.total}",
            fix="look for a gift card, deposit or surcharge that the shop keeps outside the lines; invoice by hand",
        )
    factor = exchange.euro / exchange.of if exchange.of else 1 / exchange.per_euro
    if standing:
        grosses = [_as_before(line.gross, standing.get(line.id), factor) for line in order.lines]
        total = sum(grosses, ZERO)
    else:
        total = cents(order.total * factor)
        grosses = share(total, [line.gross for line in order.lines])
    lines = tuple(_line(line, gross, factor) for line, gross in zip(order.lines, grosses, strict=True))
    return replace(
        order,
        currency=EURO,
        total=total,
        lines=lines,
        # The shop's nets were agreed in its own currency; in euro only what was paid is exact.
        prices_include_tax=True,
        payments=_payments(order, factor),
        refunds=_last_takes_the_rest(order, total, credited, _refunds(order, lines, factor, standing)),
        exchange=exchange,
    )


def _line(line: OrderLine, gross: Decimal, factor: Decimal) -> OrderLine:
    part = gross / line.gross if line.gross else factor
    net = gross - cents((line.gross - line.net) * part)
    return replace(
        line,
        gross=gross,
        net=net,
        list_gross=gross if line.list_gross == line.gross else cents(line.list_gross * part),
        list_net=net if line.list_net == line.net else cents(line.list_net * part),
        unit_price=None,
        taxes=tuple(replace(tax, amount=cents(tax.amount * part)) for tax in line.taxes),
    )


def _payments(order: Order, factor: Decimal) -> tuple[Payment, ...]:
    """Payments of the order's currency, such that all of them together are worth the total."""
    made: list[Payment] = []
    before = ZERO
    for payment in order.payments:
        if payment.amount.currency == order.currency:
            after = before + payment.amount.amount
            worth = cents(after * factor) - cents(before * factor)
            made.append(replace(payment, amount=Money(worth, EURO)))
            before = after
        else:
            made.append(payment)
    return tuple(made)


def _refunds(
    order: Order, lines: Sequence[OrderLine], factor: Decimal, standing: Mapping[str, Standing]
) -> list[Refund]:
    """What was given back, in euro: of a line at its own worth, of one that is gone at what its document took it for."""
    was = {line.id: line.gross for line in order.lines}
    parts = {line.id: line.gross / was[line.id] for line in lines if was[line.id]}
    made = []
    for refund in order.refunds:
        named = []
        for line in refund.lines:
            stood = standing.get(line.line_id)
            part = parts.get(line.line_id, stood.factor if stood else factor)
            gross = cents(line.gross * part) if line.line_id in was else _as_before(line.gross, stood, factor)
            named.append(replace(line, gross=gross, net=cents(line.net * part)))
        unnamed = refund.amount - sum((line.gross for line in refund.lines), ZERO)
        amount = sum((line.gross for line in named), ZERO) + cents(unnamed * factor)
        made.append(replace(refund, amount=amount, lines=tuple(named)))
    return made


def _last_takes_the_rest(
    order: Order, total: Decimal, credited: frozenset[str], refunds: Sequence[Refund]
) -> tuple[Refund, ...]:
    """Once all of an order is given back, the last refund without a credit note takes what is left of its euro."""
    done = [refund for refund in refunds if refund.state is RefundState.DONE]
    open_ = [refund for refund in done if refund.id not in credited]
    if not open_ or order.refunded != order.total:
        return tuple(refunds)
    last = max(open_, key=lambda refund: (refund.created_at, refund.id))
    left = total - sum((each.amount for each in done if each is not last), ZERO)
    return tuple(replace(refund, amount=left) if refund is last else refund for refund in refunds)


def _as_before(gross: Decimal, stood: Standing | None, factor: Decimal) -> Decimal:
    """In euro: the cents that a document has shared out to it already, where it is worth the same."""
    if stood is None:
        return cents(gross * factor)
    worth = gross * stood.factor
    return stood.gross if abs(worth - stood.gross) < CENT else cents(worth)


def _figure(value: Decimal, places: int | None = None) -> str:
    """As Portuguese documents write it."""
    return (f"{value:f}" if places is None else f"{value:.{places}f}").replace(".", ",")
