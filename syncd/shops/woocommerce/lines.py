"""What was sold: articles, shipping and fees as lines, and the cents that rounding mislaid.

Amounts of WooCommerce's lines are without VAT, whatever `prices_include_tax` says; gross is `total + total_tax`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from syncd.domain.money import ZERO, cents, rounded
from syncd.domain.order import LineKind, OrderLine, TaxLine
from syncd.shops.woocommerce.fields import Record, identity, name, number, records, text

ONE = Decimal(1)
HUNDRED = Decimal(100)
LARGEST_QUANTITY = Decimal(1_000_000)

KINDS = (("line_items", LineKind.ARTICLE), ("shipping_lines", LineKind.SHIPPING), ("fee_lines", LineKind.FEE))


def read_lines(order: Record, currency: str) -> tuple[OrderLine, ...]:
    """All lines, articles first. Raises PayloadError."""
    rates = _rates(order)
    return tuple(
        _line(item, kind, f"{key}[{at}].", rates, currency)
        for key, kind in KINDS
        for at, item in enumerate(records(order, key))
    )


def settle(lines: Sequence[OrderLine], total: Decimal, *, unit: Decimal) -> tuple[tuple[OrderLine, ...], str]:
    """Make the lines meet the order's total, or say in a sentence why they cannot.

    With tax rounded at subtotal the shop's own sums may miss each other by cents. One cent (`unit`) is moved on each of as
    many lines as needed, those with the largest gross first; more than a cent per line is no rounding.
    """
    found = sum((line.gross for line in lines), ZERO)
    missing = total - found
    if not missing:
        return tuple(lines), ""
    by_size = sorted((at for at, line in enumerate(lines) if line.gross > unit), key=lambda at: -lines[at].gross)
    if missing % unit or abs(missing) > unit * len(by_size):
        return tuple(lines), f"lines, shipping and fees come to {found}, the order's total is {total}"
    moved = set(by_size[: int(abs(missing) / unit)])
    step = unit.copy_sign(missing)
    return tuple(_moved(line, step) if at in moved else line for at, line in enumerate(lines)), ""


def doubtful_quantities(lines: Sequence[OrderLine]) -> tuple[str, ...]:
    """A sentence for each article whose quantity cannot be meant."""
    return tuple(
        f"{line.name or line.sku or line.id!r} has the quantity {line.quantity}"
        for line in lines
        if not 0 < line.quantity <= LARGEST_QUANTITY
    )


def _line(item: Record, kind: LineKind, where: str, rates: Mapping[str, Decimal | None], currency: str) -> OrderLine:
    total, total_tax = number(item, "total", where), number(item, "total_tax", where)
    net, gross = rounded(total, currency), rounded(total + total_tax, currency)
    list_net, list_gross = net, gross
    is_article = kind is LineKind.ARTICLE
    if is_article:
        listed = number(item, "subtotal", where)
        list_tax = number(item, "subtotal_tax", where)
        list_net, list_gross = rounded(listed, currency), rounded(listed + list_tax, currency)
    return OrderLine(
        id=identity(item, where + "id"),
        kind=kind,
        name=name(item, "method_title" if kind is LineKind.SHIPPING else "name"),
        sku=text(item, "sku"),
        quantity=number(item, "quantity", where) if is_article else ONE,
        net=net,
        gross=gross,
        list_net=list_net,
        list_gross=list_gross,
        taxes=_taxes(item, net, where, rates),
        tax_class=text(item, "tax_class"),
    )


def _taxes(item: Record, net: Decimal, where: str, rates: Mapping[str, Decimal | None]) -> tuple[TaxLine, ...]:
    found = []
    for at, entry in enumerate(records(item, "taxes")):
        # An empty total marks a rate of another line; the list holds them side by side.
        if entry.get("total") in ("", None):
            continue
        rate, amount = rates.get(str(entry.get("id"))), number(entry, "total", f"{where}taxes[{at}].")
        if amount or _may_be_nothing(rate, net):
            found.append(TaxLine(rate=rate, amount=amount))
    return tuple(found)


def _may_be_nothing(rate: Decimal | None, net: Decimal) -> bool:
    """Whether this rate makes no tax of this amount: a zero rate, or too little to tax."""
    return rate is not None and cents(net * rate / HUNDRED) == 0


def _rates(order: Record) -> dict[str, Decimal | None]:
    """Per cent by the id of the rate; the order keeps what the shop may have deleted since."""
    return {
        str(line.get("rate_id")): None
        if line.get("rate_percent") in ("", None)
        else number(line, "rate_percent", f"tax_lines[{at}].")
        for at, line in enumerate(records(order, "tax_lines"))
    }


def _moved(line: OrderLine, step: Decimal) -> OrderLine:
    """A cent more or less, in the tax; an untaxed line has only its net to move."""
    net = ZERO if line.taxes else step
    return replace(
        line,
        net=line.net + net,
        gross=line.gross + step,
        list_net=line.list_net + net,
        list_gross=line.list_gross + step,
    )
