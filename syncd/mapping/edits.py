"""What changed in an order after its document went out: what fell away is credited, what came gets a document.

The documents say how much of each line they take care of; the difference to the order's lines now is the edit. A refund
that names what fell away leads, and its credit note is enough. What is neither a plain removal nor a plain addition
(a higher price for the same thing, a discount that changed) waits for a person.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from syncd.domain.document import DocumentDraft
from syncd.domain.money import ZERO, cents
from syncd.domain.order import LineKind, Order, OrderLine, RefundLine, RefundState
from syncd.mapping.articles import description
from syncd.mapping.charges import left_out, left_out_of
from syncd.mapping.policy import Policy
from syncd.mapping.refusal import Undecidable

NOTHING = (ZERO, Decimal(0))


@dataclass(frozen=True, slots=True)
class Edit:
    """Lines that fell away or shrank, by how much; lines that came or grew, cut down to what is new of them."""

    gone: tuple[RefundLine, ...] = ()
    come: tuple[OrderLine, ...] = ()


@dataclass(frozen=True, slots=True)
class _Change:
    """How a line differs from what documents cover of it; `line` is None where it is gone."""

    line_id: str
    line: OrderLine | None
    had: Decimal
    gross: Decimal
    quantity: Decimal


def edit_of(order: Order, sales: Sequence[DocumentDraft], notes: Iterable[DocumentDraft], policy: Policy) -> Edit:
    """The edit that no committed document takes care of yet; Undecidable where it is neither removal nor addition."""
    first = [part.line_id for part in sales[0].covers]
    if not first or not _distinct(first) or not _distinct([line.id for line in order.lines]):
        return _unchanged(order, sales[0], policy)
    gone: list[RefundLine] = []
    come: list[OrderLine] = []
    for change in _changes(order, sales, notes, policy):
        line, gross, quantity = change.line, change.gross, change.quantity
        if change.had < 0 or (line is not None and line.gross < 0):
            raise _undecided(order, sales, "a discount that stands as a line of its own has changed")
        if gross < 0:
            if quantity > 0:
                raise _undecided(order, sales, f"line {change.line_id} has more pieces for less money")
            gone.append(RefundLine(line_id=change.line_id, quantity=-quantity, net=ZERO, gross=-gross))
        elif line is not None:
            come.append(_portion(line, gross, quantity, order, sales) if change.had else line)
    gone, come = _without_renamed(gone, come, sales, policy)
    return Edit(_unexplained(order, sales, gone), tuple(come))


def _distinct(names: list[str]) -> bool:
    return len(set(names)) == len(names)


def _changes(
    order: Order, sales: Sequence[DocumentDraft], notes: Iterable[DocumentDraft], policy: Policy
) -> list[_Change]:
    covered = _covered((*sales, *notes))
    lines = {line.id: line for line in order.lines}
    billed = {line.line_id for sale in sales for line in sale.lines}
    changes = []
    for line_id in [*lines, *(known for known in covered if known not in lines)]:
        had, pieces = covered.get(line_id, NOTHING)
        line = lines.get(line_id)
        gross = (line.gross if line else ZERO) - had
        # What policy keeps off documents, or kept off them, is of no concern.
        if gross and not (left_out(line, policy) if line else line_id not in billed and had > 0):
            quantity = (line.quantity if line else Decimal(0)) - pieces
            changes.append(_Change(line_id, line, had, gross, quantity))
    if not any(change.quantity for change in changes) and not sum(change.gross for change in changes):
        return []  # the same things for the same sum: only the shop's way of sharing cents among lines differs
    return changes


def _without_renamed(
    gone: list[RefundLine], come: list[OrderLine], sales: Sequence[DocumentDraft], policy: Policy
) -> tuple[list[RefundLine], list[OrderLine]]:
    """Leave out what only changed its id: a shop's interfaces do not agree on the ids of shipping, for one."""
    texts = {line.line_id: line.description for sale in sales for line in sale.lines}
    stayed: list[RefundLine] = []
    for line in gone:
        told = (texts.get(line.line_id), line.quantity, line.gross)
        twin = next((n for n in come if (description(n, policy), n.quantity, n.gross) == told), None)
        if twin is None:
            stayed.append(line)
        else:
            come = [other for other in come if other is not twin]
    return stayed, come


def _covered(documents: Iterable[DocumentDraft]) -> dict[str, tuple[Decimal, Decimal]]:
    covered: dict[str, tuple[Decimal, Decimal]] = {}
    for document in documents:
        for part in document.covers:
            gross, quantity = covered.get(part.line_id, NOTHING)
            covered[part.line_id] = gross + part.gross, quantity + part.quantity
    return covered


def _unchanged(order: Order, sale: DocumentDraft, policy: Policy) -> Edit:
    """A document that does not say what it covers, or lines without names of their own, are compared as a whole."""
    if order.total - left_out_of(order, policy) != sale.totals.gross:
        raise _undecided(order, (sale,), "nothing says which of its lines")
    return Edit()


def _portion(
    line: OrderLine, gross: Decimal, quantity: Decimal, order: Order, sales: Sequence[DocumentDraft]
) -> OrderLine:
    """What is new of a line that grew: the further pieces, or a higher charge for shipping and the like."""
    if quantity < 0 or (not quantity and line.kind not in {LineKind.SHIPPING, LineKind.FEE, LineKind.TIP}):
        raise _undecided(order, sales, f"{line.name!r} costs more than on its document")
    part = gross / line.gross
    taxes = tuple(replace(tax, amount=cents(tax.amount * part)) for tax in line.taxes)
    tax = sum((tax.amount for tax in taxes), ZERO) if taxes else cents((line.gross - line.net) * part)
    return replace(
        line,
        quantity=quantity or Decimal(1),
        gross=gross,
        net=gross - tax,
        list_gross=gross,
        list_net=gross - tax,
        taxes=taxes,
    )


def _unexplained(order: Order, sales: Sequence[DocumentDraft], gone: list[RefundLine]) -> tuple[RefundLine, ...]:
    """Without what refunds give back anyway: by naming the line, or by an amount that is just what fell away."""
    if not gone:
        return ()
    refunds = [refund for refund in order.refunds if refund.state is not RefundState.FAILED]
    named: dict[str, Decimal] = {}
    for refund in refunds:
        for line in refund.lines:
            named[line.line_id] = named.get(line.line_id, ZERO) + line.gross
    left = [line for line in gone if named.get(line.line_id) != line.gross]
    if any(line.line_id in named for line in left):
        raise _undecided(order, sales, "a line shrank by another amount than its refunds give back")
    unnamed = sum((refund.amount for refund in refunds), ZERO) - sum(named.values(), ZERO)
    if unnamed <= 0 or not left:
        return tuple(left)
    if unnamed == sum((line.gross for line in left), ZERO):
        return ()
    raise _undecided(order, sales, "lines fell away, and a refund that names no lines gives back another amount")


def _undecided(order: Order, sales: Sequence[DocumentDraft], what: str) -> Undecidable:
    gross = sum((sale.totals.gross for sale in sales), ZERO)
    return Undecidable(
        "order_changed",
        f"the order came to {gross} on its documents and to {order.total} now: {what}",
        fix="correct the document at the service by hand, then release the order",
    )


def next_part(prefix: str, committed: Mapping[str, DocumentDraft]) -> str:
    """The part's name for the next edit: one above those that are out, so that planning again gives the same."""
    taken = [part.removeprefix(f"{prefix}-").partition("-")[0] for part in committed if part.startswith(f"{prefix}-")]
    return f"{prefix}-{max((int(number) for number in taken if number.isdigit()), default=0) + 1}"
