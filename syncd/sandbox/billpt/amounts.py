"""The service's arithmetic: what a line comes to, and how lines become totals. Half up, never binary floats."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from syncd.sandbox.billpt.settings import Arithmetic

ZERO = Decimal(0)
ONE = Decimal(1)
HUNDRED = Decimal(100)

CENT = Decimal("0.01")
FIVE = Decimal("0.00001")
TEN = Decimal("0.0000000001")


@dataclass(frozen=True, slots=True)
class Sums:
    """Two decimals each; `discount` is net."""

    net: Decimal
    tax: Decimal
    gross: Decimal
    discount: Decimal


@dataclass(frozen=True, slots=True)
class Priced:
    """A line's figures: quantity and price with ten decimals, discounts in per cent with five, rate in per cent.

    `vat_inside` says that the price holds the tax, as in a series with `iva_incluido`.
    """

    quantity: Decimal
    price: Decimal
    discounts: tuple[Decimal, Decimal, Decimal]
    rate: Decimal
    vat_inside: bool

    @property
    def exact(self) -> Decimal:
        """Quantity times price after the discounts, in the series' own terms, unrounded."""
        return self.quantity * self.unit_price

    @property
    def unit_price(self) -> Decimal:
        """Price after the three successive discounts."""
        price = self.price
        for discount in self.discounts:
            if discount:
                price = price * (HUNDRED - discount) / HUNDRED
        return price

    @property
    def net_unit_price(self) -> Decimal:
        return self.unit_price / (ONE + self.rate / HUNDRED) if self.vat_inside else self.unit_price

    def sums(self) -> Sums:
        """The line as it is printed."""
        net, tax = _split(self.exact, self.rate, vat_inside=self.vat_inside)
        before, _ = _split(self.quantity * self.price, self.rate, vat_inside=self.vat_inside)
        return Sums(net, tax, net + tax, before - net)


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def stored(number: Decimal, exponent: Decimal) -> Decimal:
    """A number as its column keeps it."""
    return number.quantize(exponent, ROUND_HALF_UP)


def total(lines: Iterable[Priced], arithmetic: Arithmetic) -> Sums:
    """The document's totals before any manual rounding."""
    priced = tuple(lines)
    printed = [line.sums() for line in priced]
    discount = sum((line.discount for line in printed), ZERO)
    if arithmetic is Arithmetic.LINE:
        net = sum((line.net for line in printed), ZERO)
        tax = sum((line.tax for line in printed), ZERO)
    else:
        net, tax = _by_rate(priced, arithmetic)
    return Sums(net, tax, net + tax, discount)


def _split(amount: Decimal, rate: Decimal, *, vat_inside: bool) -> tuple[Decimal, Decimal]:
    if vat_inside:
        gross = cents(amount)
        net = cents(gross / (ONE + rate / HUNDRED))
        return net, gross - net
    net = cents(amount)
    return net, cents(net * rate / HUNDRED)


def _by_rate(lines: tuple[Priced, ...], arithmetic: Arithmetic) -> tuple[Decimal, Decimal]:
    bases: dict[Decimal, Decimal] = {}
    for line in lines:
        exact = line.exact / (ONE + line.rate / HUNDRED) if line.vat_inside else line.exact
        bases[line.rate] = bases.get(line.rate, ZERO) + exact
    net = tax = ZERO
    for rate, base in bases.items():
        net += cents(base)
        tax += cents((cents(base) if arithmetic is Arithmetic.BASE else base) * rate / HUNDRED)
    return net, tax
