"""Money given back. The order lists its refunds with their sums; what they contain is another answer of the shop's."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from syncd.domain.errors import PayloadError
from syncd.domain.money import rounded
from syncd.domain.order import Refund, RefundLine
from syncd.shops.woocommerce.fields import (
    Record,
    changed_at,
    identity,
    loads,
    moment,
    number,
    record,
    records,
    text,
)

ORIGINAL = "_refunded_item_id"


def read_refunds(order: Record, details: Sequence[bytes], currency: str) -> tuple[tuple[Refund, ...], tuple[str, ...]]:
    """The order's refunds and what is doubtful about them. Raises PayloadError.

    The order alone says which refunds exist: a detail may be of one that was deleted since.
    """
    known = _by_id(details)
    refunds, doubts = [], []
    for at, listed in enumerate(records(order, "refunds")):
        where = f"refunds[{at}]."
        refund_id = identity(listed, where + "id")
        amount = rounded(abs(number(listed, "total", where)), currency)
        detail = known.get(refund_id)
        if detail is None:
            refunds.append(
                Refund(
                    id=refund_id,
                    created_at=changed_at(order),
                    amount=amount,
                    detailed=False,
                    reason=text(listed, "reason"),
                )
            )
            continue
        refund = _detailed(detail, refund_id, currency)
        refunds.append(refund)
        if refund.amount != amount:
            doubts.append(f"refund {refund_id} is {refund.amount}, the order says {amount}")
    return tuple(refunds), tuple(doubts)


def made_at(refund: Record) -> datetime:
    """When the refund was made. Raises PayloadError."""
    time = moment(refund, "date_created_gmt", "refund: ")
    if time is None:
        raise PayloadError("refund: date_created_gmt: missing")
    return time


def _by_id(details: Sequence[bytes]) -> dict[str, Record]:
    found = [record(loads(detail), "refund") for detail in details]
    return {identity(refund, "refund id"): refund for refund in found}


def _detailed(detail: Record, refund_id: str, currency: str) -> Refund:
    where = f"refund {refund_id}: "
    return Refund(
        id=refund_id,
        created_at=made_at(detail),
        amount=rounded(abs(number(detail, "amount", where)), currency),
        lines=tuple(_lines(detail, where, currency)),
        reason=text(detail, "reason"),
    )


def _lines(detail: Record, where: str, currency: str) -> Iterator[RefundLine]:
    """Lines in the domain's sign. One that names no original is left out: the amount leads, and mapping asks."""
    for key in ("line_items", "shipping_lines", "fee_lines"):
        for at, item in enumerate(records(detail, key)):
            place = f"{where}{key}[{at}]."
            net, tax = number(item, "total", place), number(item, "total_tax", place)
            # Shipping and fees have no quantity: what is given back of them is a part of the price.
            quantity = abs(number(item, "quantity", place)) if key == "line_items" else Decimal(0)
            original = _original(item)
            if original and (quantity or net or tax):
                net, gross = rounded(-net, currency), rounded(-net - tax, currency)
                yield RefundLine(line_id=original, quantity=quantity, net=net, gross=gross)


def _original(item: Record) -> str:
    return next((text(entry, "value") for entry in records(item, "meta_data") if entry.get("key") == ORIGINAL), "")
