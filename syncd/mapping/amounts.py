"""To the cent: fiscal amounts from what was paid, and the form in which a service arrives at the same sum.

Two calculations meet here. The *fiscal* amounts follow the law's own convention: gross is what was paid; per rate the
base is gross / (1 + rate), rounded once, the tax is the rest, and the lines' nets add up to the base. The *expected*
amounts are what the service's arithmetic will show for the unit prices that it is sent. Gross must be equal in both.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

from syncd.domain.capabilities import Arithmetic, Capabilities
from syncd.domain.document import Amounts, DocumentDraft, IssuedDocument, PriceMode
from syncd.domain.money import CENT, ZERO, cents

HUNDRED = Decimal(100)
ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Listed:
    """A line before its discounts: net and gross of the whole of it, unrounded where the shop tells only one of them.

    `parts` are its successive discounts but the last, which follows from what was paid: in per cent, unrounded.
    """

    net: Decimal
    gross: Decimal
    parts: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True)
class Charge:
    """What a document line must come to. `net` is given where the shop's nets are contractual, else None.

    `list_price` (net, per unit) is set for a line that is given away: the price shown before its 100 % discount.
    `listed` is how the shop prices it, where that is more than its sum: a unit price of its own, discounts to be shown.
    """

    quantity: Decimal
    gross: Decimal
    rate: Decimal
    exemption: str | None
    net: Decimal | None = None
    list_price: Decimal | None = None
    listed: Listed | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """What is sent for a line: unit price, net or gross by `mode`, before the successive discounts in per cent."""

    quantity: Decimal
    unit_price: Decimal
    discounts: tuple[Decimal, ...]
    rate: Decimal
    mode: PriceMode = PriceMode.NET

    @property
    def value(self) -> Decimal:
        """What the line comes to in the mode of its price, unrounded; discounts follow one another."""
        value = self.quantity * self.unit_price
        for discount in self.discounts:
            value = value * (HUNDRED - discount) / HUNDRED
        return value


@dataclass(frozen=True, slots=True)
class Form:
    """Prices and manual rounding whose sum at the service is what was paid; `lines` and `totals` are its figures."""

    prices: tuple[Price, ...]
    rounding: Decimal
    lines: tuple[Amounts, ...]
    totals: Amounts


def share(total: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """Split cents in proportion; what is left over goes to the largest remainders, ties to the earlier one."""
    whole = sum(weights, ZERO)
    if whole == 0:
        return [total if position == 0 else ZERO for position in range(len(weights))]
    return _whole_cents([total * weight / whole for weight in weights], total)


def fiscal_amounts(charges: Sequence[Charge]) -> list[Amounts]:
    """Net, tax and gross of each line so that each rate's lines add up to its base."""
    amounts: list[Amounts | None] = [None] * len(charges)
    for rate, positions in _by_rate(charges).items():
        grosses = [charges[position].gross for position in positions]
        nets = _nets(rate, grosses, [charges[position].net for position in positions])
        for position, gross, net in zip(positions, grosses, nets, strict=True):
            amounts[position] = Amounts(net=net, tax=gross - net, gross=gross)
    return [amount for amount in amounts if amount is not None]


def natural_prices(charges: Iterable[Charge], *, decimals: int, mode: PriceMode = PriceMode.NET) -> tuple[Price, ...]:
    """The unit prices that follow from what was paid, before any correction."""
    exponent = ONE.scaleb(-decimals)
    prices = []
    discounts: tuple[Decimal, ...]
    for charge in charges:
        factor = ONE + charge.rate / HUNDRED
        if charge.list_price is not None:
            price, discounts = charge.list_price * (factor if mode is PriceMode.GROSS else ONE), (HUNDRED,)
        elif mode is PriceMode.GROSS:
            price, discounts = charge.gross / charge.quantity, ()
        else:
            net = charge.net if charge.net is not None else charge.gross / factor
            price, discounts = net / charge.quantity, ()
        prices.append(Price(charge.quantity, price.quantize(exponent, ROUND_HALF_UP), discounts, charge.rate, mode))
    return tuple(prices)


def converted(price: Price, mode: PriceMode, *, decimals: int) -> Price:
    """A price as a series of this mode takes it; rounded down, for a credit note's must not exceed the original's."""
    if price.mode is mode:
        return price
    factor = ONE + price.rate / HUNDRED
    value = price.unit_price / factor if mode is PriceMode.NET else price.unit_price * factor
    return replace(price, unit_price=value.quantize(ONE.scaleb(-decimals), ROUND_DOWN), mode=mode)


def simulate(prices: Sequence[Price], arithmetic: Arithmetic) -> tuple[tuple[Amounts, ...], Amounts]:
    """The amounts that a service with this arithmetic shows, before any manual rounding.

    Gross prices keep their gross per line; rates and bases are rounded from the nets that are in them.
    """
    lines = tuple(_line_amounts(price) for price in prices)
    if arithmetic is Arithmetic.LINE:
        net = sum((line.net for line in lines), ZERO)
        tax = sum((line.tax for line in lines), ZERO)
        return lines, Amounts(net=net, tax=tax, gross=net + tax)
    net = tax = ZERO
    exact: dict[Decimal, Decimal] = {}
    for price in prices:
        exact[price.rate] = exact.get(price.rate, ZERO) + _exact_net(price)
    for rate, base in exact.items():
        rounded = cents(base)
        net += rounded
        tax += cents((rounded if arithmetic is Arithmetic.BASE else base) * rate / HUNDRED)
    return lines, Amounts(net=net, tax=tax, gross=net + tax)


def fit(
    prices: tuple[Price, ...], paid: Decimal, *, arithmetic: Arithmetic, able: Capabilities, dearer: bool = True
) -> Form | None:
    """The form whose gross at the service equals `paid`; None where no allowed form does.

    The natural prices are taken if they fit, else the smallest manual rounding; only where that is not enough are
    single lines moved by a cent of net. Without `dearer` no price may rise: a credit note never exceeds its original.
    """
    lines, totals = simulate(prices, arithmetic)
    missing = paid - totals.gross
    if abs(missing) > able.rounding:
        prices = _nudged(prices, paid, arithmetic=arithmetic, able=able, dearer=dearer)
        lines, totals = simulate(prices, arithmetic)
        missing = paid - totals.gross
        if abs(missing) > able.rounding:
            return None
    totals = Amounts(net=totals.net, tax=totals.tax, gross=paid)
    return Form(prices, missing, lines, totals)


def nearest(prices: Sequence[Price], arithmetic: Arithmetic) -> Decimal:
    """The gross that the service would show, for the message of a hold."""
    return simulate(prices, arithmetic)[1].gross


def explain(draft: DocumentDraft, issued: IssuedDocument) -> frozenset[Arithmetic]:
    """Every arithmetic under which the prices of `draft` come to what the service answered.

    Net, tax and gross of the document must be right, and those of each line where the answer tells them.
    """
    prices = sent_prices(draft)
    return frozenset(way for way in Arithmetic if _answers(prices, way, draft.rounding, issued))


def unlike(draft: DocumentDraft) -> frozenset[Arithmetic]:
    """Every arithmetic under which the service would show other totals than the draft expects."""
    prices, expected = sent_prices(draft), draft.expected
    shown = {way: simulate(prices, way)[1] for way in Arithmetic}
    return frozenset(
        way
        for way, totals in shown.items()
        if (totals.net, totals.tax, totals.gross + draft.rounding) != (expected.net, expected.tax, expected.gross)
    )


def sent_prices(draft: DocumentDraft) -> tuple[Price, ...]:
    """The prices that a draft sends."""
    return tuple(
        Price(line.quantity, line.unit_price, line.discounts, line.vat_rate, draft.price_mode) for line in draft.lines
    )


def _answers(prices: Sequence[Price], arithmetic: Arithmetic, rounding: Decimal, issued: IssuedDocument) -> bool:
    lines, totals = simulate(prices, arithmetic)
    told = issued.totals
    if (told.net, told.tax) != (totals.net, totals.tax) or told.gross != totals.gross + rounding:
        return False
    if len(issued.lines) != len(lines):
        return not issued.lines
    return all((line.net, line.gross) == (own.net, own.gross) for line, own in zip(issued.lines, lines, strict=True))


def _nudged(
    prices: tuple[Price, ...], paid: Decimal, *, arithmetic: Arithmetic, able: Capabilities, dearer: bool
) -> tuple[Price, ...]:
    """Move values of single lines by a cent, largest first, while that brings the sum nearer to what was paid."""
    moved = list(prices)
    missing = paid - simulate(moved, arithmetic)[1].gross
    order = sorted(range(len(moved)), key=lambda position: moved[position].value, reverse=True)
    for position in order:
        if abs(missing) <= able.rounding:
            break
        price = moved[position]
        if not price.value:
            continue
        value = cents(price.value) + CENT.copy_sign(missing)
        exponent = ONE.scaleb(-able.limits.price_decimals)
        unit_price = price.unit_price * value / price.value if price.discounts else value / price.quantity
        candidate = replace(price, unit_price=unit_price.quantize(exponent, ROUND_HALF_UP))
        too_dear = candidate.unit_price > price.unit_price and not dearer
        if value <= 0 or cents(candidate.value) != value or too_dear:
            continue
        moved[position] = candidate
        left = paid - simulate(moved, arithmetic)[1].gross
        if abs(left) < abs(missing):
            missing = left
        else:
            moved[position] = price
    return tuple(moved)


def _line_amounts(price: Price) -> Amounts:
    if price.mode is PriceMode.GROSS:
        gross = cents(price.value)
        net = cents(gross / (ONE + price.rate / HUNDRED))
        return Amounts(net=net, tax=gross - net, gross=gross)
    net = cents(price.value)
    tax = cents(net * price.rate / HUNDRED)
    return Amounts(net=net, tax=tax, gross=net + tax)


def _exact_net(price: Price) -> Decimal:
    if price.mode is PriceMode.GROSS:
        return price.value / (ONE + price.rate / HUNDRED)
    return price.value


def _by_rate(charges: Sequence[Charge]) -> dict[Decimal, list[int]]:
    groups: dict[Decimal, list[int]] = {}
    for position, charge in enumerate(charges):
        groups.setdefault(charge.rate, []).append(position)
    return groups


def _nets(rate: Decimal, grosses: list[Decimal], given: list[Decimal | None]) -> list[Decimal]:
    if rate == 0:
        return grosses
    contractual = [net for net in given if net is not None]
    if len(contractual) == len(given):
        return contractual
    divisor = ONE + rate / HUNDRED
    return _whole_cents([gross / divisor for gross in grosses], cents(sum(grosses, ZERO) / divisor))


def _whole_cents(exact: list[Decimal], total: Decimal) -> list[Decimal]:
    """Floor each figure to the cent and give the missing cents to the largest remainders."""
    floors = [figure.quantize(CENT, ROUND_DOWN) for figure in exact]
    missing = int((total - sum(floors, ZERO)) / CENT)
    if missing:
        step = CENT if missing > 0 else -CENT
        ranked = sorted(range(len(exact)), key=lambda at: (exact[at] - floors[at]) * step, reverse=True)
        for position in ranked[: abs(missing)]:
            floors[position] += step
    return floors
