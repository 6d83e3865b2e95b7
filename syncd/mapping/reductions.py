"""A discount that stands as a line of its own: which lines of an order's documents bear it once it comes after them."""

from collections.abc import Callable, Sequence
from decimal import Decimal

from syncd.domain.money import ZERO
from syncd.domain.order import Order, RefundLine
from syncd.mapping.amounts import share
from syncd.mapping.charges import parts_of_discount
from syncd.mapping.credit import OpenLine, open_gross
from syncd.mapping.refusal import Undecidable
from syncd.mapping.taxes import Place, show


def borne(
    lines: Sequence[RefundLine], order: Order, lefts: Sequence[Sequence[OpenLine]], place: Callable[[], Place]
) -> tuple[RefundLine, ...]:
    """With each discount among the lines that fall away on lines of its own rates, the largest first.

    `lefts` is what is open of each document. Undecidable where the discount's VAT does not say which rates it lowers, or
    where nothing is left of them.
    """
    discounts = {line.id: line for line in order.lines if line.gross < 0}
    own = [line for line in lines if line.line_id not in discounts]
    rest = _Rest(lefts, own)
    for given in lines:
        if (discount := discounts.get(given.line_id)) is None:
            continue
        parts = parts_of_discount(discount, place())
        if parts is None:
            raise _undecided(f"the VAT of the discount {discount.name!r} does not say which lines it lowers")
        for (rate, _, _), gross in zip(parts, share(given.gross, [-gross for _, gross, _ in parts]), strict=True):
            own.extend(rest.take(gross, rate))
    return tuple(own)


class _Rest:
    """What of each line is free to bear a discount, besides what falls away of it anyway."""

    def __init__(self, lefts: Sequence[Sequence[OpenLine]], gone: Sequence[RefundLine]) -> None:
        rates: dict[str, set[Decimal]] = {}
        lines = [line for left in lefts for line in left]
        for line in lines:
            rates.setdefault(line.line.line_id, set()).add(line.line.vat_rate)
        # Shipping can stand at several rates under one name: naming it would not say at which.
        self._rates = {name: next(iter(found)) for name, found in rates.items() if len(found) == 1}
        self._free = {
            name: open_gross(line for line in lines if line.line.line_id == name)
            - sum((each.gross for each in gone if each.line_id == name), ZERO)
            for name in self._rates
        }

    def take(self, gross: Decimal, rate: Decimal) -> list[RefundLine]:
        names = sorted(
            (name for name, at in self._rates.items() if at == rate and self._free[name] > 0),
            key=lambda name: -self._free[name],
        )
        if gross > sum((self._free[name] for name in names), ZERO):
            raise _undecided(f"a discount of {gross} at {show(rate)} % is more than is open of what was sold at it")
        taken = []
        for name in names:
            piece = min(gross, self._free[name])
            if piece > 0:
                taken.append(RefundLine(line_id=name, quantity=Decimal(0), net=piece, gross=piece))
                self._free[name] -= piece
                gross -= piece
        return taken


def _undecided(what: str) -> Undecidable:
    return Undecidable("order_changed", what, fix="credit it at the service by hand, then release the order")
