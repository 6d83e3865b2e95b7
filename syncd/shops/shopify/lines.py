"""What was sold: articles, vouchers, tips, shipping and charges, each with the tax that the shop charged on it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from syncd.domain.errors import PayloadError
from syncd.domain.money import ZERO, cents
from syncd.domain.order import LineKind, OrderLine, TaxLine
from syncd.shops.shopify.fields import (
    HUNDRED,
    Record,
    identity,
    money,
    money_or_zero,
    number,
    record,
    records,
    show,
    text,
)

SHIPPING_PREFIX = "shipping-"  # shipping lines count their ids apart from line items


@dataclass(frozen=True, slots=True, kw_only=True)
class Charged:
    """An amount as Shopify writes it: before and after discounts, tax inside or on top, and the tax lines."""

    before: Decimal
    after: Decimal
    taxes: tuple[TaxLine, ...]
    included: bool

    @property
    def tax(self) -> Decimal:
        return sum((tax.amount for tax in self.taxes), ZERO)

    @property
    def net(self) -> Decimal:
        return self.after - self.tax if self.included else self.after

    @property
    def gross(self) -> Decimal:
        return self.after if self.included else self.after + self.tax

    @property
    def list_net(self) -> Decimal:
        return self.before - self._list_tax if self.included else self.before

    @property
    def list_gross(self) -> Decimal:
        return self.before if self.included else self.before + self._list_tax

    @property
    def _list_tax(self) -> Decimal:
        """The tax that the price before discounts would have borne."""
        if self.before == self.after:
            return self.tax
        if self.included and self.after:
            return cents(self.before * self.tax / self.after)
        rate = sum((tax.rate or ZERO for tax in self.taxes), ZERO)
        return cents(self.before * rate / (HUNDRED + rate if self.included else HUNDRED))


def read_lines(order: Record) -> tuple[OrderLine, ...]:
    """All lines of an order: line items, a tip that has none, shipping, duties and additional fees."""
    included = order.get("taxes_included") is True
    items = [item_line(item, included=included) for item in records(order.get("line_items"), "line_items")]
    return (
        *(line for line in items if line.quantity),
        *_tip_without_line(order, items),
        *(
            shipping_line(shipping, position, included=included)
            for position, shipping in enumerate(records(order.get("shipping_lines"), "shipping_lines"), start=1)
            if shipping.get("is_removed") is not True
        ),
        *_charges(order),
    )


def item_line(item: Record, *, included: bool) -> OrderLine:
    """One line item, with the quantity as ordered: what was taken back later is told by the refunds."""
    key = identity(item.get("id"))
    where = f"line {key or '?'}"
    if not key:
        raise PayloadError("a line item has no id")
    quantity = number(item.get("quantity"), f"{where}.quantity")
    price = money(item, "price", where)
    if price is None:
        raise PayloadError(f"{where} has no price")
    before = price * quantity
    # `total_discount` repeats a part of the allocations, so it is not subtracted.
    shares = _allocated(item, where)
    charged = _charged(item, before, before - sum(shares, ZERO), included=included, where=where)
    line = _line(item, charged, id_=key, kind=_kind(item), quantity=quantity)
    return replace(line, discounts=_percentages(before, shares)) if len(shares) > 1 else line


def shipping_line(shipping: Record, position: int, *, included: bool) -> OrderLine:
    """One way of delivery; it may bear several taxes, because shipping follows the basket."""
    key = identity(shipping.get("id")) or str(position)  # GraphQL may leave the id away
    where = f"shipping line {key}"
    price = money_or_zero(shipping, "price", where)
    after = money(shipping, "discounted_price", where)
    if after is None:  # bodies before 2018
        after = price - sum(_allocated(shipping, where), ZERO)
    # A free-shipping code may have lowered the price itself.
    charged = _charged(shipping, max(price, after), after, included=included, where=where)
    return _line(shipping, charged, id_=SHIPPING_PREFIX + key, kind=LineKind.SHIPPING, quantity=Decimal(1))


def tax_doubts(order: Record) -> Iterable[str]:
    """Taxes that are not the shop's own to declare."""
    sources = [
        *records(order.get("line_items"), "line_items"),
        *records(order.get("shipping_lines"), "shipping_lines"),
    ]
    taxes = [tax for source in sources for tax in records(source.get("tax_lines"), "tax_lines")]
    if any(tax.get("channel_liable") is True for tax in taxes):
        yield "the sales channel declares a tax of this order itself (channel_liable)"


def _line(source: Record, charged: Charged, *, id_: str, kind: LineKind, quantity: Decimal) -> OrderLine:
    return OrderLine(
        id=id_,
        kind=kind,
        name=text(source.get("name")) or text(source.get("title")) or id_,
        sku=text(source.get("sku")),
        quantity=quantity,
        net=charged.net,
        gross=charged.gross,
        list_net=charged.list_net,
        list_gross=charged.list_gross,
        taxes=charged.taxes,
    )


def _kind(item: Record) -> LineKind:
    if item.get("gift_card") is True:
        return LineKind.GIFT_CARD
    # The key itself marks a tip, whatever it holds.
    return LineKind.TIP if "tip_payment_gateway" in item else LineKind.ARTICLE


def _allocated(source: Record, where: str) -> tuple[Decimal, ...]:
    """What each discount took off the line, in the sequence in which they were taken."""
    shares = records(source.get("discount_allocations"), f"{where}.discount_allocations")
    return tuple(money_or_zero(share, "amount", where) for share in shares)


def _percentages(before: Decimal, shares: Iterable[Decimal]) -> tuple[Decimal, ...]:
    """What each discount took of what those before it left, in per cent; none where that makes no sense."""
    found: list[Decimal] = []
    for taken in shares:
        if not 0 <= taken <= before:
            return ()
        if taken:
            found.append(HUNDRED * taken / before)
            before -= taken
    return tuple(found)


def _charged(source: Record, before: Decimal, after: Decimal, *, included: bool, where: str) -> Charged:
    taxes = [read_tax(tax, where) for tax in records(source.get("tax_lines"), f"{where}.tax_lines")]
    kept = tuple(tax for tax in taxes if _was_charged(tax, after, included=included))
    return Charged(before=before, after=after, taxes=kept, included=included)


def read_tax(tax: Record, where: str) -> TaxLine:
    rate = tax.get("rate")
    percent = None if rate is None else _plain(number(rate, f"{where}.rate") * HUNDRED)
    return TaxLine(rate=percent, amount=money_or_zero(tax, "price", where), title=text(tax.get("title")))


def _was_charged(tax: TaxLine, after: Decimal, *, included: bool) -> bool:
    """Exempt lines show the usual rate with no amount; on so little that the tax rounds to nothing, it does apply."""
    if tax.amount or not tax.rate:
        return True
    return cents(after * tax.rate / (HUNDRED + tax.rate if included else HUNDRED)) == 0


def _plain(rate: Decimal) -> Decimal:
    """23, not 23.00 nor 2.3E+1."""
    short = rate.normalize()
    return short.quantize(Decimal(1)) if short == short.to_integral_value() else short


def _tip_without_line(order: Record, items: Iterable[OrderLine]) -> Iterable[OrderLine]:
    tip = money_or_zero(order, "total_tip_received", "order")
    if tip > 0 and not any(line.kind is LineKind.TIP for line in items):
        yield _untaxed("tip", "Tip", LineKind.TIP, tip)


def _charges(order: Record) -> Iterable[OrderLine]:
    """Duties and additional fees stand beside the lines; duties that are inside the prices are not charged again."""
    names = {"original_total_additional_fees": "Additional fees"}
    if order.get("duties_included") is not True:
        names["original_total_duties"] = "Duties"
    for key, name in names.items():
        if amount := money_or_zero(order, key, "order"):
            yield _untaxed(key.removeprefix("original_total_"), name, LineKind.FEE, amount)


def _untaxed(id_: str, name: str, kind: LineKind, amount: Decimal) -> OrderLine:
    return OrderLine(
        id=id_, kind=kind, name=name, quantity=Decimal(1), net=amount, gross=amount, list_net=amount, list_gross=amount
    )


def total_doubts(order: Record, lines: Iterable[OrderLine]) -> Iterable[str]:
    """The totals are the check of the lines, exact to the cent."""
    lines = tuple(lines)
    total, summed = money_or_zero(order, "total_price", "order"), sum((line.gross for line in lines), ZERO)
    if summed != total:
        yield f"the lines come to {show(summed)}, total_price is {show(total)}"
    tax, stated = sum((line.gross - line.net for line in lines), ZERO), money(order, "total_tax", "order")
    if stated is not None and tax != stated:
        yield f"the lines' taxes come to {show(tax)}, total_tax is {show(stated)}"
    tips = sum((line.gross for line in lines if line.kind is LineKind.TIP), ZERO)
    received = money(order, "total_tip_received", "order")
    if received is not None and tips != received:
        yield f"the tip lines come to {show(tips)}, total_tip_received is {show(received)}"


def currency_doubts(order: Record, currency: str) -> Iterable[str]:
    shop_money = record(record(order.get("total_price_set"), "total_price_set").get("shop_money"), "shop_money")
    other = text(shop_money.get("currency_code"))
    if other and other != currency:
        yield f"total_price is in {currency} and in {other} at once"
