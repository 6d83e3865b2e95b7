"""Money that comes before the goods: an invoice for it at once, and at the balance one for the rest.

A deposit is taxed as the goods that it is for, in proportion to their rates (CIVA art. 36 n.º 1 c); all its documents
and the one for the rest together come to base and tax of the whole order.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from syncd.domain.document import Amounts
from syncd.domain.money import ZERO
from syncd.domain.order import Order, OrderLine
from syncd.mapping.amounts import Charge, fiscal_amounts, share
from syncd.mapping.charges import Position
from syncd.mapping.policy import Policy
from syncd.mapping.refusal import Undecidable

DEPOSIT = "deposit-"
ARTICLE = "ADIANTAMENTO-"  # one for each rate
NOTHING = Amounts(net=ZERO, tax=ZERO, gross=ZERO)

Rate = tuple[Decimal, str | None]
Taken = Mapping[Rate, Amounts]  # what deposits have taken of each rate and was not given back


def advance(positions: Sequence[Position], amount: Decimal, taken: Taken) -> tuple[list[Position], list[Amounts]]:
    """`amount` of an order in advance: one position per rate, in proportion to what no deposit has taken of each."""
    groups = _by_rate(positions)
    free = [
        max(sum((positions[at].charge.gross for at in those), ZERO) - taken.get(rate, NOTHING).gross, ZERO)
        for rate, those in groups.items()
    ]
    amount = min(amount, sum(free, ZERO))  # a gift card that is bought with it stands on no document
    advanced = [
        Position(_line(rate, gross), Charge(Decimal(1), gross, *rate), positions[those[0]].why)
        for (rate, those), gross in zip(groups.items(), share(amount, free), strict=True)
        if gross
    ]
    return advanced, fiscal_amounts([position.charge for position in advanced])


def deducted(positions: Sequence[Position], taken: Taken) -> tuple[list[Position], list[Amounts]]:
    """The rest of an order after its deposits, with the base and tax that complete theirs."""
    whole = fiscal_amounts([position.charge for position in positions])
    groups = _by_rate(positions)
    rest: dict[int, tuple[Position, Amounts]] = {}
    for rate in groups.keys() | taken.keys():
        those = groups.get(rate, [])
        out = taken.get(rate, NOTHING)
        gross = sum((positions[at].charge.gross for at in those), ZERO) - out.gross
        if gross < 0:
            raise Undecidable(
                "deposit_exceeds",
                f"deposits or vouchers took {out.gross} at {rate[1] or f'{rate[0].normalize():f} %'}, the order has "
                f"{gross + out.gross} of it now",
                fix="credit the deposit at the service by hand, invoice the order there and skip it",
            )
        grosses = share(gross, [positions[at].charge.gross for at in those]) if those else []
        nets = share(sum((whole[at].net for at in those), ZERO) - out.net, grosses) if those else []
        for at, own, net in zip(those, grosses, nets, strict=True):
            charge = replace(positions[at].charge, gross=own, net=None, listed=None)  # what is off is no discount
            rest[at] = replace(positions[at], charge=charge), Amounts(net=net, tax=own - net, gross=own)
    left = [rest[at] for at in sorted(rest) if rest[at][1].gross or positions[at].charge.list_price is not None]
    return [position for position, _ in left], [amounts for _, amounts in left]


def with_voucher(taken: Taken, spent: Decimal, policy: Policy) -> Taken:
    """With what was paid by vouchers that were invoiced when they were sold, at the rate of what they are for."""
    if not spent:
        return taken
    if policy.gift_card_rate is None:
        raise Undecidable(
            "voucher_rate",
            f"{spent} was paid with a voucher that was invoiced when it was sold, at a rate that the settings do not tell",
            fix="set gift_card_vat in the shop's settings",
        )
    rate: Rate = policy.gift_card_rate, None
    was = taken.get(rate, NOTHING)
    (voucher,) = fiscal_amounts([Charge(Decimal(1), spent, *rate)])
    return {**taken, rate: Amounts(net=was.net + voucher.net, tax=was.tax + voucher.tax, gross=was.gross + spent)}


def outstanding(order: Order, invoiced: Decimal) -> Decimal:
    """What was received for an order that is not paid in full, and stands on no document yet."""
    received = sum((paid.amount.amount for paid in order.payments if paid.amount.currency == order.currency), ZERO)
    return min(received, order.total) - invoiced


def line_id(rate: Rate) -> str:
    """The name of a rate's line on the documents of deposits."""
    return f"{DEPOSIT}{rate[1] or f'{rate[0].normalize():f}'}"


def _by_rate(positions: Sequence[Position]) -> dict[Rate, list[int]]:
    groups: dict[Rate, list[int]] = defaultdict(list)
    for at, position in enumerate(positions):
        groups[position.charge.rate, position.charge.exemption].append(at)
    return groups


def _line(rate: Rate, gross: Decimal) -> OrderLine:
    return OrderLine(
        id=line_id(rate),
        name="Adiantamento por conta da encomenda",
        sku=ARTICLE + line_id(rate).removeprefix(DEPOSIT),
        quantity=Decimal(1),
        net=gross,
        gross=gross,
        list_net=gross,
        list_gross=gross,
    )
