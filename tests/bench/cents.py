"""`python -m tests.bench.cents [ORDERS] [SEED]`: generated orders to the cent, and their refunds down to exactly zero.

Rates are mixed; there are coupons, gifts, shipping, fees, fractional quantities and 1 to 60 lines; prices hold VAT or
not; services add up in each of the three ways and take unit prices net or gross; discounts are inside the prices, or
shown as up to three successive percentages. Ends with 1 if a single cent is off.
"""

import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from itertools import product

from syncd.domain.capabilities import Arithmetic
from syncd.domain.document import DocumentDraft, DraftLine, PriceMode
from syncd.domain.money import CENT, ZERO, cents
from syncd.domain.order import LineKind, Order, OrderLine, Refund, RefundLine, TaxLine
from syncd.domain.states import DocumentState
from syncd.mapping.amounts import sent_prices, simulate
from syncd.mapping.known import KnownDocument
from syncd.mapping.planner import plan
from syncd.mapping.policy import Policy
from tests.builders import ABLE, PAID_AT, a_policy, an_order

ORDERS = 100_000
RATES = [Decimal(rate) for rate in ("23", "23", "23", "13", "6")]
# Small baskets are what shops sell most; the large ones are where cents go astray.
SIZES = [*range(1, 9)] * 6 + [*range(9, 25)] + [30, 40, 50, 60]
WAYS = list(product(Arithmetic, PriceMode, (False, True)))


@dataclass(slots=True)
class Found:
    """What a run came to; `wrong` are sentences, each naming an order that can be generated again."""

    orders: int = 0
    notes: int = 0
    held: Counter[str] = field(default_factory=Counter)
    rounded: Counter[str] = field(default_factory=Counter)
    discounts: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def generated(dice: random.Random) -> Order:
    """A paid order of a shop that allocates its discounts to lines, as shops do."""
    included = dice.random() < 0.7
    coupon = Decimal(dice.choice((0, 0, 0, 5, 10, 15, 33, 50)))
    lines = [_article(dice, number, coupon, included=included) for number in range(dice.choice(SIZES))]
    if not any(line.gross for line in lines):
        lines.append(_line("paid", Decimal(999), Decimal(999), Decimal(1), RATES[0], included=included))
    if dice.random() < 0.6:
        amount = Decimal(dice.randint(100, 1500))
        kind = LineKind.SHIPPING if dice.random() < 0.8 else LineKind.FEE
        lines.append(_line("ship", amount, amount, Decimal(1), RATES[0], included=included, kind=kind))
    return an_order(*lines, prices_include_tax=included)


def _article(dice: random.Random, number: int, coupon: Decimal, *, included: bool) -> OrderLine:
    fraction = dice.random() < 0.1
    quantity = Decimal(dice.randint(1, 9_999)) / 1000 if fraction else Decimal(dice.choice((1, 1, 1, 2, 3, 5, 7, 12)))
    listed = Decimal(dice.randint(max(1, int(quantity)), 25_000))  # in cents
    gift = dice.random() < 0.04
    # A second coupon takes its part of what the first one left.
    parts = (coupon, *dice.choice(((), (), (Decimal(5),), (Decimal(10), Decimal("2.5"))))) if coupon else ()
    paid = listed
    for part in parts:
        paid = (paid * (100 - part) / 100).to_integral_value()
    line = _line(str(number), listed, ZERO if gift else paid, quantity, dice.choice(RATES), included=included)
    return replace(line, discounts=parts)


def _line(
    line_id: str,
    listed: Decimal,
    paid: Decimal,
    quantity: Decimal,
    rate: Decimal,
    *,
    included: bool,
    kind: LineKind = LineKind.ARTICLE,
) -> OrderLine:
    list_net, list_gross = _both(listed / 100, rate, included=included)
    net, gross = _both(paid / 100, rate, included=included)
    return OrderLine(
        id=line_id,
        kind=kind,
        name=f"Artigo {line_id}",
        sku=f"SKU-{line_id}",
        quantity=quantity,
        net=net,
        gross=gross,
        list_net=list_net,
        list_gross=list_gross,
        taxes=(TaxLine(rate=rate, amount=gross - net),),
    )


def _both(amount: Decimal, rate: Decimal, *, included: bool) -> tuple[Decimal, Decimal]:
    factor = 1 + rate / 100
    return (cents(amount / factor), cents(amount)) if included else (cents(amount), cents(amount * factor))


def refunds_of(order: Order, dice: random.Random) -> tuple[Refund, ...]:
    """Refunds that give back everything: single lines or amounts that name none, in a few steps."""
    rest = {line.id: line.gross for line in order.lines if line.gross}
    made: list[Refund] = []
    while rest and len(made) < 6:
        lines: tuple[RefundLine, ...] = ()
        if dice.random() < 0.6:
            chosen = dice.choice(sorted(rest))
            amount = rest.pop(chosen)
            quantity = next(line.quantity for line in order.lines if line.id == chosen)
            lines = (RefundLine(line_id=chosen, quantity=quantity, net=ZERO, gross=amount),)
        else:
            # An amount that names no line can empty any of them, so only amounts follow.
            break
        made.append(_refund(len(made), amount, lines))
    left = sum(rest.values(), ZERO)
    while left and len(made) < 9:
        amount = min(left, cents(left * dice.randint(1, 100) / 100) or CENT)
        made.append(_refund(len(made), amount, ()))
        left -= amount
    return (*made, _refund(len(made), left, ())) if left else tuple(made)


def _refund(number: int, amount: Decimal, lines: tuple[RefundLine, ...]) -> Refund:
    at = PAID_AT + timedelta(hours=number)
    return Refund(id=f"{number:02}", created_at=at, amount=amount, lines=lines)


def policies() -> Iterator[Policy]:
    """One for each way in which a service adds up, with discounts shown and not."""
    for arithmetic, mode, shown in WAYS:
        yield a_policy(
            arithmetic=arithmetic,
            price_mode=mode,
            show_discounts=shown,
            name_threshold=Decimal(10**9),
            capabilities=ABLE,
        )


def run(orders: int, seed: int) -> Found:
    """Generate, plan and check; the same seed gives the same orders."""
    found, ways = Found(), list(policies())
    for number in range(orders):
        dice = random.Random(f"{seed}:{number}")
        order = generated(dice)
        check(order, refunds_of(order, dice), ways[number % len(ways)], found, f"order {seed}:{number}")
    return found


def check(order: Order, refunds: tuple[Refund, ...], policy: Policy, found: Found, name: str) -> None:
    found.orders += 1
    made = plan(order, (), policy)
    if made.holds:
        found.held[made.holds[0].code] += 1
        return
    (sale,) = made.documents
    found.rounded[str(abs(sale.rounding))] += 1
    if policy.show_discounts:
        found.discounts.update(map(_percentages, sale.lines, order.lines))
    known = KnownDocument(key=sale.key, state=DocumentState.ISSUED, draft=sale)
    after = plan(replace(order, refunds=refunds), (known,), policy)
    found.notes += len(after.documents)
    if after.holds:
        found.held[f"{after.holds[0].code} of a credit note"] += 1
        return
    found.wrong += [f"{name}: {what}" for what in _faults(order, sale, after.documents, policy.arithmetic)]


def _faults(
    order: Order, sale: DocumentDraft, notes: tuple[DocumentDraft, ...], arithmetic: Arithmetic
) -> Iterator[str]:
    if not sale.totals.gross == sale.expected.gross == order.total == sum(line.gross for line in sale.lines):
        yield f"{sale.totals.gross} and {sale.expected.gross} for {order.total}"
    for draft in (sale, *notes):
        shown = simulate(sent_prices(draft), arithmetic)[1].gross
        if shown + draft.rounding != draft.totals.gross or abs(draft.rounding) > ABLE.rounding:
            yield f"{draft.key.part}: the service would show {shown} for {draft.totals.gross}"
    if sum((tax.base + tax.tax for tax in sale.taxes), ZERO) != order.total:
        yield "the summary of taxes does not add up"
    yield from _left(sale, notes)


def _percentages(drawn: DraftLine, line: OrderLine) -> int:
    """How many a line shows; -1 where it has a discount that none could show to the cent."""
    sold_for_less = 0 < line.gross < line.list_gross
    return len(drawn.discounts) if drawn.discounts or not sold_for_less else -1


def _left(sale: DocumentDraft, notes: tuple[DocumentDraft, ...]) -> Iterator[str]:
    for name in ("net", "tax", "gross"):
        left = getattr(sale.totals, name) - sum(getattr(note.totals, name) for note in notes)
        if left:
            yield f"{left} {name} is left after the last refund"
    for position, line in enumerate(sale.lines):
        taken = [each for note in notes for each in note.lines if each.original == position]
        if sum((each.gross for each in taken), ZERO) != line.gross:
            yield f"line {position} is not credited exactly"
        if sum((each.quantity for each in taken), ZERO) > line.quantity:
            yield f"line {position} gives back more pieces than were sold"


def main() -> int:
    """Run and print; figures besides the rate are the same on every machine."""
    orders = int(sys.argv[1]) if len(sys.argv) > 1 else ORDERS
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    started = time.perf_counter()
    found = run(orders, seed)
    seconds = time.perf_counter() - started
    lines = [
        f"orders               {found.orders:>9,}  in {seconds:.0f} s",
        f"credit notes         {found.notes:>9,}",
        *(f"rounding of {size:<4}     {count:>9,}" for size, count in sorted(found.rounded.items())),
        *(f"lines with {count} percentages  {lines:>9,}" for count, lines in sorted(found.discounts.items())),
        *(f"held: {code}  {count:>9,}" for code, count in found.held.most_common()),
        f"not to the cent      {len(found.wrong):>9,}",
        *found.wrong[:20],
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
