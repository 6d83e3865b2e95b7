"""Credit notes: what of a document is still open, and how a sum given back is taken from it.

Value leads. A line on a credit note keeps article and price of the line that it corrects, and its quantity is what
carries the value: the returned pieces where they come to the sum given back, else the share that does. So quantities
and values of all credit notes together can never exceed the original, and the last one takes exactly what is left.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_DOWN, Decimal

from syncd.domain.document import Amounts, DocumentDraft, DocumentKind, DraftLine, PriceMode, Reference
from syncd.domain.money import ZERO
from syncd.domain.order import Refund, RefundLine
from syncd.mapping.amounts import HUNDRED, Charge, Form, Price, converted, fiscal_amounts, fit, nearest, share, simulate
from syncd.mapping.currency import noted
from syncd.mapping.deposits import line_id
from syncd.mapping.policy import Policy
from syncd.mapping.refusal import Undecidable
from syncd.mapping.sale import tax_totals, totals_of
from syncd.mapping.texts import shorten

QUANTITY_STEP = Decimal("0.0000000001")


@dataclass(frozen=True, slots=True)
class OpenLine:
    """What is left of a line of the original; `position` is its place there."""

    position: int
    line: DraftLine
    quantity: Decimal
    net: Decimal
    gross: Decimal


def open_lines(sale: DocumentDraft, credits_: Iterable[DocumentDraft]) -> list[OpenLine]:
    """The original's lines less what the credit notes take of each; closed ones stay in, with nothing left."""
    left = [OpenLine(at, line, line.quantity, line.net, line.gross) for at, line in enumerate(sale.lines)]
    for credit in credits_:
        for line in credit.lines:
            if line.original is not None:
                was = left[line.original]
                left[line.original] = replace(
                    was,
                    quantity=was.quantity - line.quantity,
                    net=was.net - line.net,
                    gross=was.gross - line.gross,
                )
    return left


def open_gross(lines: Iterable[OpenLine]) -> Decimal:
    return sum((line.gross for line in lines), ZERO)


def credit_everything(
    sale: DocumentDraft, left: Sequence[OpenLine], policy: Policy, *, part: str, reason: str, due_at: datetime
) -> DocumentDraft:
    """A credit note over all that is open; with nothing credited before, it mirrors the original to the last figure."""
    taken = {line.position: line.gross for line in left if line.gross > 0}
    return _credit_note(sale, left, taken, policy, part=part, reason=reason, due_at=due_at)


def credit_refund(
    refund: Refund, sale: DocumentDraft, left: Sequence[OpenLine], policy: Policy, *, part: str, reason: str
) -> DocumentDraft:
    """A credit note over the sum of one refund, on the lines that it names as far as it names them."""
    total = open_gross(left)
    if refund.amount > total:
        raise Undecidable(
            "refund_exceeds_invoice",
            f"refund {refund.id} gives back {refund.amount}, but only {total} of the document is open",
            fix="look whether a gift card, tip or second refund is in it; credit by hand what belongs to the invoice",
        )
    if refund.amount == total:
        return credit_everything(sale, left, policy, part=part, reason=reason, due_at=refund.created_at)
    taken = _taken(refund, left)
    return _credit_note(sale, left, taken, policy, part=part, reason=reason, due_at=refund.created_at, refund=refund)


def of_line(left: Iterable[OpenLine], line_id: str) -> list[OpenLine]:
    return [line for line in left if line.line.line_id == line_id]


def with_advances(refund: Refund, lefts: Sequence[Sequence[OpenLine]]) -> Refund:
    """A refund that also names the deposits' lines of the rates whose own lines cannot bear all that it names."""
    everything = [line for left in lefts for line in left]
    named = list(refund.lines)
    for given in refund.lines:
        own = of_line(everything, given.line_id)
        missing = given.gross - open_gross(own)
        if own and missing > 0:
            advance = line_id((own[0].line.vat_rate, own[0].line.exemption))
            gross = min(missing, open_gross(of_line(everything, advance)))
            named += [RefundLine(line_id=advance, quantity=Decimal(0), net=gross, gross=gross)] if gross > 0 else []
    return replace(refund, lines=tuple(named))


def split(refund: Refund, lefts: Sequence[Sequence[OpenLine]]) -> list[Refund]:
    """A refund's share in each of an order's documents: the lines that it names there, the rest in their sequence.

    What exceeds all of them stays with the first, which cannot bear it either.
    """
    if len(lefts) == 1:
        return [refund]
    rest = [line.gross for line in refund.lines]
    shares: list[Refund] = []
    budget = refund.amount
    for left in lefts:
        mine = []
        for at, named in enumerate(refund.lines):
            piece = min(rest[at], open_gross(line for line in left if line.line.line_id == named.line_id))
            if piece > 0:
                rest[at] -= piece
                mine.append(replace(named, gross=piece, quantity=named.quantity * piece / named.gross))
        amount = min(sum((line.gross for line in mine), ZERO), budget)
        budget -= amount
        shares.append(replace(refund, amount=amount, lines=tuple(mine)))
    for at, left in enumerate(lefts):
        more = min(budget, open_gross(left) - shares[at].amount)
        budget -= more
        shares[at] = replace(shares[at], amount=shares[at].amount + more)
    shares[0] = replace(shares[0], amount=shares[0].amount + budget)
    return shares


def _taken(refund: Refund, left: Sequence[OpenLine]) -> dict[int, Decimal]:
    """Gross taken of each original line, by position; adds up to the refund's amount."""
    taken: dict[int, Decimal] = {}
    for named in refund.lines:
        rest = named.gross
        for line in (line for line in left if line.line.line_id == named.line_id):
            piece = min(rest, line.gross - taken.get(line.position, ZERO))
            if piece > 0:
                taken[line.position] = taken.get(line.position, ZERO) + piece
                rest -= piece
    named_gross = sum(taken.values(), ZERO)
    if named_gross > refund.amount:
        positions = list(taken)
        parts = share(refund.amount, [taken[position] for position in positions])
        return {position: gross for position, gross in zip(positions, parts, strict=True) if gross}
    if named_gross < refund.amount:
        _spread(refund.amount - named_gross, left, taken)
    return taken


def _spread(amount: Decimal, left: Sequence[OpenLine], taken: dict[int, Decimal]) -> None:
    """Take an amount that names no line over the rates in proportion to what is open, largest line of a rate first."""
    free: dict[tuple[Decimal, str | None], list[tuple[Decimal, int]]] = {}
    for line in left:
        rest = line.gross - taken.get(line.position, ZERO)
        if rest > 0:
            free.setdefault((line.line.vat_rate, line.line.exemption), []).append((rest, line.position))
    groups = list(free.values())
    parts = share(amount, [sum((rest for rest, _ in group), ZERO) for group in groups])
    for part, group in zip(parts, groups, strict=True):
        missing = part
        for rest, position in sorted(group, key=lambda entry: (-entry[0], entry[1])):
            piece = min(missing, rest)
            if piece > 0:
                taken[position] = taken.get(position, ZERO) + piece
                missing -= piece


def _credit_note(
    sale: DocumentDraft,
    left: Sequence[OpenLine],
    taken: dict[int, Decimal],
    policy: Policy,
    *,
    part: str,
    reason: str,
    due_at: datetime,
    refund: Refund | None = None,
) -> DocumentDraft:
    chosen = [line for line in left if taken.get(line.position)]
    returned = {line.line_id: line for line in refund.lines} if refund else {}
    prices = tuple(
        _price(line, taken[line.position], returned.get(line.line.line_id), sale.price_mode, policy) for line in chosen
    )
    gross = sum(taken.values(), ZERO)
    form = _fitted(prices, [line.quantity for line in chosen], gross, policy)
    if form is None:
        raise Undecidable(
            "no_exact_form",
            f"the service would show {nearest(prices, policy.arithmetic)} where {gross} was given back",
            fix="credit by hand and release the order",
        )
    amounts = _fiscal(chosen, left, taken)
    lines = tuple(
        replace(
            line.line,
            quantity=price.quantity,
            unit_price=price.unit_price,
            net=amount.net,
            tax=amount.tax,
            gross=amount.gross,
            original=line.position,
        )
        for line, price, amount in zip(chosen, form.prices, amounts, strict=True)
    )
    limits = policy.capabilities.limits
    return replace(
        sale,
        key=replace(sale.key, kind=DocumentKind.NC, part=part),
        series=policy.series.get(DocumentKind.NC, ""),
        why="",
        lines=lines,
        taxes=tax_totals(lines),
        totals=totals_of(lines),
        expected_lines=form.lines,
        expected=form.totals,
        rounding=form.rounding,
        payment="TB" if sale.payment == "MB" else sale.payment,  # a Multibanco reference only takes money in
        references=(Reference(key=sale.key, amount=gross, reason=shorten(reason, limits.notes)),),
        notes=noted(reason, sale.exchange, limits.notes, gross=gross),
        due_at=due_at,
        price_mode=policy.price_mode_of(DocumentKind.NC),
        covers=(),
    )


def _fitted(prices: tuple[Price, ...], open_: Sequence[Decimal], gross: Decimal, policy: Policy) -> Form | None:
    """As on any document, but prices never rise; where that is not enough, one line gives back a little more or less."""
    able, arithmetic = policy.capabilities, policy.arithmetic
    form = fit(prices, gross, arithmetic=arithmetic, able=able, dearer=False)
    if form is not None:
        return form
    missing = gross - nearest(prices, arithmetic)
    for at, (price, most) in enumerate(zip(prices, open_, strict=True)):
        worth = simulate([replace(price, quantity=HUNDRED)], arithmetic)[1].gross / HUNDRED
        if price.quantity == most or not worth:
            continue
        quantity = (price.quantity + missing / worth).quantize(QUANTITY_STEP, ROUND_DOWN)
        if 0 < quantity <= most:
            moved = (*prices[:at], replace(price, quantity=quantity), *prices[at + 1 :])
            form = fit(moved, gross, arithmetic=arithmetic, able=able, dearer=False)
            if form is not None:
                return form
    return None


def _price(line: OpenLine, gross: Decimal, returned: RefundLine | None, sold_in: PriceMode, policy: Policy) -> Price:
    original = line.line
    if gross == line.gross:
        quantity = line.quantity
    else:
        worth = original.gross / original.quantity
        pieces = returned.quantity if returned is not None else ZERO
        if 0 < pieces < line.quantity and abs(pieces * worth - gross) <= Decimal("0.02"):
            quantity = pieces
        else:
            quantity = min((gross / worth).quantize(QUANTITY_STEP, ROUND_DOWN), line.quantity)
    price = Price(quantity, original.unit_price, original.discounts, original.vat_rate, sold_in)
    return converted(price, policy.price_mode_of(DocumentKind.NC), decimals=policy.capabilities.limits.price_decimals)


def _fiscal(chosen: Sequence[OpenLine], left: Sequence[OpenLine], taken: dict[int, Decimal]) -> list[Amounts]:
    """As on any document, but what empties a rate takes the base and tax that are still open."""
    amounts = fiscal_amounts(
        [Charge(line.quantity, taken[line.position], line.line.vat_rate, line.line.exemption) for line in chosen]
    )
    for rate in {line.line.vat_rate for line in chosen}:
        of_rate = [line for line in left if line.line.vat_rate == rate]
        if all(line.gross == taken.get(line.position, ZERO) for line in of_rate):
            base = sum((line.net for line in of_rate), ZERO)
            at = [index for index, line in enumerate(chosen) if line.line.vat_rate == rate]
            nets = [chosen[index].net for index in at]
            if sum(nets, ZERO) != base:  # an earlier note left a cent on a line that is closed
                nets = share(base, [amounts[index].gross for index in at])
            for index, net in zip(at, nets, strict=True):
                amounts[index] = Amounts(net=net, tax=amounts[index].gross - net, gross=amounts[index].gross)
    return amounts


def receipt(
    shares: Sequence[tuple[DocumentDraft, Decimal]], payment: str, due_at: datetime, policy: Policy, *, part: str
) -> DocumentDraft:
    """A receipt for money that came for one or several FT of a customer."""
    first = shares[0][0]
    amount = sum((each for _, each in shares), ZERO)
    amounts = Amounts(net=amount, tax=ZERO, gross=amount)
    return replace(
        first,
        key=replace(first.key, kind=DocumentKind.RC, part=part),
        series=policy.series.get(DocumentKind.RC, ""),
        why="",
        lines=(),
        taxes=(),
        totals=amounts,
        expected_lines=(),
        expected=amounts,
        rounding=ZERO,
        payment=payment,
        references=tuple(Reference(key=sale.key, amount=each) for sale, each in shares),
        due_at=due_at,
        covers=(),
    )
