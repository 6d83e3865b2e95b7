"""Lines as the shop prices them: its own unit price, and in per cent what came off it, where that comes to the same cents.

The price that follows from what was paid is fitted first, since it always arrives there. Then each line that the shop
prices in a way of its own is written in that way, if the service makes the same cents of it.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal

from syncd.domain.capabilities import Arithmetic, Capabilities, Limits
from syncd.domain.document import PriceMode
from syncd.domain.money import cents
from syncd.mapping.amounts import HUNDRED, ONE, Charge, Form, Listed, Price, simulate


def as_listed(form: Form, charges: Sequence[Charge], *, arithmetic: Arithmetic, able: Capabilities) -> Form:
    """The form with the shop's prices and percentages on every line that keeps its cents; unchanged where its sum would not.

    Short percentages come first (10, not 10.01001). Where the service adds up what it has not rounded, they may move the
    sum: then all of them get as many decimals as it takes.
    """
    for shortest in (0, able.limits.discount_decimals):
        prices = tuple(
            (charge.listed and _listed(price, charge.listed, able.limits, shortest=shortest)) or price
            for price, charge in zip(form.prices, charges, strict=True)
        )
        lines, totals = simulate(prices, arithmetic)
        if totals.gross + form.rounding == form.totals.gross:
            return Form(prices, form.rounding, lines, replace(totals, gross=form.totals.gross))
    return form


def effective(discounts: Sequence[Decimal]) -> Decimal:
    """What successive percentages take off together, in per cent with five decimals."""
    left = HUNDRED
    for discount in discounts:
        left = left * (HUNDRED - discount) / HUNDRED
    return (HUNDRED - left).quantize(Decimal("0.00001"), ROUND_HALF_UP)


def _listed(price: Price, listed: Listed, limits: Limits, *, shortest: int) -> Price | None:
    """The line at its list price; None where no percentages that the service takes come to its cents."""
    amount = listed.gross if price.mode is PriceMode.GROSS else listed.net
    unit_price = (amount / price.quantity).quantize(ONE.scaleb(-limits.price_decimals), ROUND_HALF_UP)
    found = replace(price, unit_price=unit_price, discounts=())
    for part in listed.parts[: limits.discounts - 1]:
        found = _off(found, found.value * (HUNDRED - part) / HUNDRED, limits, shortest) or found
    if cents(found.value) == cents(price.value):
        return found
    return _off(found, price.value, limits, shortest)


def _off(price: Price, value: Decimal, limits: Limits, shortest: int) -> Price | None:
    """With one more discount, which lowers the line to the cents of `value`; the shortest percentage that does."""
    if not price.value:
        return None
    exact = HUNDRED - HUNDRED * value / price.value
    for decimals in range(shortest, limits.discount_decimals + 1):
        percentage = exact.quantize(ONE.scaleb(-decimals), ROUND_HALF_UP)
        lowered = replace(price, discounts=(*price.discounts, percentage))
        if 0 < percentage < HUNDRED and cents(lowered.value) == cents(value):
            return lowered
    return None
