"""An order's lines as what a document must charge: rate, exemption and gross of each, discounts worked in."""

from collections import defaultdict
from dataclasses import dataclass, replace
from decimal import Decimal

from syncd.domain.money import ZERO
from syncd.domain.order import LineKind, Order, OrderLine
from syncd.mapping.amounts import HUNDRED, ONE, Charge, share
from syncd.mapping.policy import GiftCards, NonSupply, Policy
from syncd.mapping.refusal import Undecidable
from syncd.mapping.taxes import Place, charged_rates, check_tax, lawful_rate, show, tax_inside

NOT_SUBJECT = "M99"


@dataclass(frozen=True, slots=True)
class Position:
    """A charge and the order line that it comes from; a line with several rates makes several positions."""

    line: OrderLine
    charge: Charge


def charges_of(order: Order, policy: Policy, place: Place, accepted: frozenset[str]) -> tuple[Position, ...]:
    """Positions whose gross amounts add up to what the order's document must show.

    Gift cards and tips may be left out by policy. Undecidable where the tax of a line cannot be decided.
    """
    # A line that costs nothing and never did (free shipping) says nothing.
    kept = [line for line in order.lines if not _left_out(line, policy) and (line.gross or line.list_gross)]
    reader = _Reader(order, policy, place, accepted)
    supplies = [line for line in kept if line.kind in {LineKind.ARTICLE, LineKind.GIFT_CARD} and line.gross >= 0]
    positions = [position for line in supplies for position in reader.article(line)]
    goods = reader.weights(positions)
    for line in kept:
        if line.gross < 0:
            positions = reader.discount(line, positions)
        elif line.kind is LineKind.TIP:
            positions.append(Position(line, Charge(line.quantity, line.gross, ZERO, NOT_SUBJECT)))
        elif line.kind in {LineKind.SHIPPING, LineKind.FEE}:
            positions.extend(reader.accessory(line, goods))
    _check_sum(order, positions, left_out_of(order, policy))
    return tuple(positions)


def left_out_of(order: Order, policy: Policy) -> Decimal:
    """What of the order's total is deliberately on no document: gift cards sold, tips."""
    return sum((line.gross for line in order.lines if _left_out(line, policy)), ZERO)


def _left_out(line: OrderLine, policy: Policy) -> bool:
    if line.kind is LineKind.GIFT_CARD:
        return policy.gift_cards is GiftCards.MULTI_PURPOSE
    return line.kind is LineKind.TIP and policy.non_supply is NonSupply.LEAVE_OUT


def _check_sum(order: Order, positions: list[Position], left_out: Decimal) -> None:
    charged = sum((position.charge.gross for position in positions), ZERO)
    if charged + left_out != order.total:
        raise Undecidable(
            "sum_mismatch",
            f"the lines come to {charged + left_out}, the order's total is {order.total}",
            fix="look for a gift card, deposit or surcharge that the shop keeps outside the lines; invoice by hand",
        )


class _Reader:
    """What is the same for every line of one order."""

    def __init__(self, order: Order, policy: Policy, place: Place, accepted: frozenset[str]) -> None:
        self._order = order
        self._policy = policy
        self._place = place
        self._accepted = accepted

    def article(self, line: OrderLine) -> list[Position]:
        """An article bears one rate, or an exemption that the place gives."""
        if line.quantity <= 0:
            raise Undecidable(
                "bad_quantity",
                f"{line.name!r} has the quantity {line.quantity}",
                fix="correct the order in the shop",
            )
        rates = charged_rates(line, self._place)
        taxed = [(rate, tax) for rate, tax in rates if rate]
        if len(taxed) > 1:
            raise Undecidable(
                "several_taxes",
                f"{line.name!r} bears several taxes: {', '.join(show(rate) + ' %' for rate, _ in taxed)}",
                fix="a Portuguese document line has one rate; correct the shop's tax settings or invoice by hand",
            )
        if not taxed:
            return [self._position(line, *self._untaxed(line))]
        rate, tax = taxed[0]
        lawful = lawful_rate(rate, line, self._place, self._policy, self._accepted)
        if line.gross:
            check_tax(line, rate, tax, line.gross)
        return [self._position(line, lawful, None, contractual=lawful == rate)]

    def accessory(self, line: OrderLine, goods: dict[tuple[Decimal, str | None], Decimal]) -> list[Position]:
        """Shipping and fees: what the shop charged, unless that is less than the goods' own rates ask for."""
        rates = charged_rates(line, self._place)
        charged = sum((tax for rate, tax in rates if rate), ZERO)
        by_goods = list(goods.items())
        due = sum((tax_inside(line.gross, rate) * part for (rate, _), part in by_goods), ZERO)
        enough = charged + Decimal("0.01") >= due
        if by_goods and (self._policy.shipping_follows_goods or not enough or (not charged and due == 0)):
            parts = share(line.gross, [part for _, part in by_goods])
            return [
                Position(self._part(line, gross), Charge(line.quantity, gross, rate, exemption))
                for ((rate, exemption), _), gross in zip(by_goods, parts, strict=True)
                if gross
            ]
        return self._as_charged(line, rates)

    def discount(self, line: OrderLine, positions: list[Position]) -> list[Position]:
        """A negative fee lowers the positions of its own rate; without VAT it may be a means of payment: a person."""
        rates = {rate for rate, _ in charged_rates(line, self._place) if rate}
        if not rates and self._place.exempt:
            rates = {ZERO}
        targets = [at for at, position in enumerate(positions) if {position.charge.rate} == rates]
        open_gross = sum((positions[at].charge.gross for at in targets), ZERO)
        if len(rates) != 1 or open_gross + line.gross < 0:
            raise Undecidable(
                "negative_fee",
                f"{line.name!r} of {line.gross} is no discount on lines of one VAT rate",
                fix="if it is a gift card or deposit, invoice by hand; else give the fee the tax of the goods it lowers",
            )
        grosses = share(line.gross, [positions[at].charge.gross for at in targets])
        nets = share(line.net, [positions[at].charge.gross for at in targets])
        lowered = list(positions)
        for at, gross, net in zip(targets, grosses, nets, strict=True):
            charge = positions[at].charge
            lowered[at] = replace(
                positions[at],
                charge=replace(
                    charge,
                    gross=charge.gross + gross,
                    net=None if charge.net is None else charge.net + net,
                ),
            )
        return lowered

    def weights(self, positions: list[Position]) -> dict[tuple[Decimal, str | None], Decimal]:
        """The share of each rate in what was paid for the goods."""
        paid: dict[tuple[Decimal, str | None], Decimal] = defaultdict(lambda: ZERO)
        for position in positions:
            paid[position.charge.rate, position.charge.exemption] += position.charge.gross
        total = sum(paid.values(), ZERO)
        return {key: gross / total for key, gross in paid.items() if gross} if total else {}

    def _as_charged(self, line: OrderLine, rates: tuple[tuple[Decimal, Decimal], ...]) -> list[Position]:
        taxed = [(rate, tax) for rate, tax in rates if rate and tax]
        if not taxed:
            return [self._position(line, *self._untaxed(line))]
        lawful = [lawful_rate(rate, line, self._place, self._policy, self._accepted) for rate, _ in taxed]
        if len(taxed) == 1:
            check_tax(line, taxed[0][0], taxed[0][1], line.gross)
            return [self._position(line, lawful[0], None, contractual=lawful[0] == taxed[0][0])]
        # One document line has one rate: each tax tells the part of the line that it was charged on.
        parts = share(line.gross, [tax * (HUNDRED / rate + ONE) for rate, tax in taxed])
        return [
            Position(self._part(line, gross), Charge(line.quantity, gross, rate, None))
            for rate, gross in zip(lawful, parts, strict=True)
            if gross
        ]

    def _untaxed(self, line: OrderLine) -> tuple[Decimal, str | None]:
        if self._place.exemption:
            return ZERO, self._place.exemption
        if not line.gross:
            # Given away without a rate: any rate makes nothing of nothing, and a rate needs no exemption.
            return max(self._place.rates), None
        raise Undecidable(
            "untaxed_line",
            f"{line.name!r} bears no VAT, and nothing says why ({self._place.rule})",
            fix="give it a tax class in the shop, map it to an exempt article, or invoice by hand and skip the order",
        )

    def _position(
        self, line: OrderLine, rate: Decimal, exemption: str | None, *, contractual: bool = False
    ) -> Position:
        list_price = None
        if not line.gross:
            list_price = line.list_net / line.quantity
            if not line.list_net:
                list_price = line.list_gross / (ONE + rate / HUNDRED) / line.quantity
            list_price = list_price.quantize(Decimal("0.0001"))
        net = line.net if contractual and not self._order.prices_include_tax else None
        return Position(line, Charge(line.quantity, line.gross, rate, exemption, net, list_price))

    @staticmethod
    def _part(line: OrderLine, gross: Decimal) -> OrderLine:
        return line if gross == line.gross else replace(line, gross=gross)
