"""From a posted document to an order. Pure."""

from collections.abc import Iterator
from decimal import Decimal

from pydantic import ValidationError

from syncd.domain.errors import PayloadError
from syncd.domain.money import ZERO, Money, cents
from syncd.domain.order import (
    Address,
    Buyer,
    Lifecycle,
    Order,
    OrderLine,
    Payment,
    PaymentState,
    Refund,
    RefundLine,
    RefundState,
    TaxLine,
)
from syncd.shops.generic.payload import (
    AddressPart,
    BuyerPart,
    LinePart,
    OrderPart,
    PaymentPart,
    RefundLinePart,
    RefundPart,
)

MOST_NAMED = 5
HUNDRED = 100


def parse(raw: bytes) -> OrderPart:
    """The document in these bytes; PayloadError names each wrong field by its path, never its value."""
    try:
        return OrderPart.model_validate_json(raw)
    except ValidationError as error:
        # Not `from` it: pydantic's error holds the input, which is a person's data.
        raise PayloadError(
            _complaint(error), code="payload", fix="correct the document after order.schema.json and post it again"
        ) from None


def order_of(document: OrderPart, *, shop: str, deleted: bool) -> Order:
    """The order that a document describes; sums that do not meet become doubts."""
    lines = tuple(_line(part, id) for part, id in zip(document.lines, document.line_ids, strict=True))  # noqa: A001 - the field's own name
    refunds = tuple(_refund(part, lines) for part in document.refunds)
    return Order(
        shop=shop,
        id=document.id,
        number=document.number or document.id,
        updated_at=document.updated_at,
        created_at=document.created_at,
        state=document.state or document.payment.value,
        lifecycle=Lifecycle.DELETED if deleted else document.lifecycle or _lifecycle(document),
        currency=document.currency,
        prices_include_tax=document.prices_include_tax,
        total=cents(document.total),
        lines=lines,
        buyer=_buyer(document.buyer),
        payment=document.payment,
        paid_at=document.paid_at,
        payments=tuple(_payment(part, document.currency) for part in document.payments),
        refunds=refunds,
        cancelled_at=document.cancelled_at,
        note=document.note,
        tags=document.tags,
        discount_codes=document.discount_codes,
        doubts=tuple(_doubts(document)),
    )


def _line(part: LinePart, line_id: str) -> OrderLine:
    gross, net = cents(part.gross), _net(part)
    list_gross = gross if part.list_gross is None else cents(part.list_gross)
    return OrderLine(
        id=line_id,
        kind=part.kind,
        name=part.name,
        sku=part.sku,
        quantity=part.quantity,
        net=net,
        gross=gross,
        list_net=_list_net(part, list_gross, net),
        list_gross=list_gross,
        unit_price=part.unit_price,
        taxes=() if part.tax_rate is None else (TaxLine(rate=part.tax_rate, amount=gross - net),),
        tax_class=part.tax_class,
        product_type=part.product_type,
    )


def _net(part: LinePart) -> Decimal:
    if part.net is not None:
        return cents(part.net)
    assert part.tax_rate is not None  # the model asks for one of the two
    return _without_tax(part.gross, part.tax_rate)


def _list_net(part: LinePart, list_gross: Decimal, net: Decimal) -> Decimal:
    if part.list_net is not None:
        return cents(part.list_net)
    if list_gross == part.gross:
        return net
    if part.tax_rate is not None:
        return _without_tax(list_gross, part.tax_rate)
    return _in_proportion(list_gross, net, part.gross)


def _without_tax(gross: Decimal, rate: Decimal) -> Decimal:
    return cents(gross * HUNDRED / (HUNDRED + rate))


def _in_proportion(gross: Decimal, net: Decimal, of: Decimal) -> Decimal:
    return cents(gross * net / of) if of else gross


def _refund(part: RefundPart, lines: tuple[OrderLine, ...]) -> Refund:
    by_id = {line.id: line for line in lines}
    return Refund(
        id=part.id,
        created_at=part.created_at,
        amount=cents(part.amount),
        lines=tuple(_refund_line(each, by_id.get(each.line_id)) for each in part.lines),
        state=part.state,
        reason=part.reason,
    )


def _refund_line(part: RefundLinePart, line: OrderLine | None) -> RefundLine:
    gross = cents(part.gross)
    net = _in_proportion(gross, line.net, line.gross) if line else gross
    return RefundLine(
        line_id=part.line_id,
        quantity=part.quantity,
        net=net if part.net is None else cents(part.net),
        gross=gross,
    )


def _payment(part: PaymentPart, currency: str) -> Payment:
    amount = Money(cents(part.amount), part.currency or currency)
    return Payment(gateway=part.gateway, amount=amount, paid_at=part.paid_at, id=part.id)


def _buyer(part: BuyerPart) -> Buyer:
    return Buyer(
        name=part.name,
        email=part.email,
        phone=part.phone,
        tax_id=part.tax_id,
        tax_id_source="buyer.tax_id" if part.tax_id else "",
        tax_exempt=part.tax_exempt,
        billing=_address(part.billing),
        shipping=None if part.shipping is None else _address(part.shipping),
    )


def _address(part: AddressPart) -> Address:
    return Address(**part.model_dump())


def _lifecycle(document: OrderPart) -> Lifecycle:
    if document.cancelled_at is not None:
        return Lifecycle.CANCELLED
    return Lifecycle.REFUNDED if document.total and _given_back(document) == document.total else Lifecycle.OPEN


def _given_back(document: OrderPart) -> Decimal:
    return sum((refund.amount for refund in document.refunds if refund.state is RefundState.DONE), ZERO)


def _doubts(document: OrderPart) -> Iterator[str]:
    total = cents(document.total)
    lines = sum((line.gross for line in document.lines), ZERO)
    if lines != total:
        yield f"the lines come to {lines}, the total says {total}"
    paid = sum((payment.amount for payment in document.payments), ZERO)
    same_currency = all(payment.currency in {None, document.currency} for payment in document.payments)
    if document.payment is PaymentState.PAID and document.payments and same_currency and paid != total:
        yield f"payment says paid, but the payments come to {paid} and the total says {total}"
    if (back := _given_back(document)) > total:
        yield f"the refunds come to {back}, the total says {total}"
    for refund in document.refunds:
        for unknown in sorted({line.line_id for line in refund.lines} - set(document.line_ids)):
            yield f"refund {refund.id} names the line {unknown}, which the order does not have"


def _complaint(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_input=False, include_context=False)
    places = [detail["loc"] for detail in details]
    lines = [
        f"{_path(detail['loc'])}: {_words(detail['type'], detail['msg'])}"
        for detail in details
        # pydantic counts wrong items as absent, and calls a list of nothing else too short.
        if not (detail["type"] == "too_short" and any(_is_below(place, detail["loc"]) for place in places))
    ]
    more = f"; and {len(lines) - MOST_NAMED} more" if len(lines) > MOST_NAMED else ""
    return "; ".join(lines[:MOST_NAMED]) + more


def _words(kind: str, message: str) -> str:
    return {"missing": "is missing", "extra_forbidden": "is not a field of the schema"}.get(kind, message)


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part[:40]}" if path else part[:40]
    return path or "the document"


def _is_below(place: tuple[int | str, ...], other: tuple[int | str, ...]) -> bool:
    return len(place) > len(other) and place[: len(other)] == other
