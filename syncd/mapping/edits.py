"""What changed in an order after its document went out: what fell away is credited, what came gets a document.

The documents say how much of each line they take care of; the difference to the order's lines now is the edit. A refund
that names what fell away leads, and its credit note is enough. A line at a new price is both: credited as it was, and
invoiced as it is. A discount that comes as a line of its own lowers the lines of its rates; one that is taken back makes
them dearer, so that all is credited and invoiced anew.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from syncd.domain.document import DocumentDraft
from syncd.domain.money import CENT, ZERO, cents
from syncd.domain.order import LineKind, Order, OrderLine, PaymentState, Refund, RefundLine, RefundState
from syncd.mapping.articles import description
from syncd.mapping.charges import left_out, left_out_of
from syncd.mapping.policy import Policy
from syncd.mapping.refusal import Undecidable

NOTHING = (ZERO, Decimal(0))


@dataclass(frozen=True, slots=True)
class Edit:
    """Lines that fell away or shrank, by how much; lines that came or grew, cut down to what is new of them.

    `repaid` fell away as well, and a refund that names no lines gives just that back. With `anew` all that stands is
    credited, and `come` is the whole order as it is now.
    """

    gone: tuple[RefundLine, ...] = ()
    come: tuple[OrderLine, ...] = ()
    repaid: tuple[RefundLine, ...] = ()
    anew: bool = False


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
    notes = tuple(notes)
    changes = _changes(order, sales, notes, policy)
    if any(_taken_back(change) for change in changes):
        due = order.payment is PaymentState.PAID or policy.unpaid_document
        return (
            Edit(come=tuple(line for line in order.lines if not left_out(line, policy)), anew=True) if due else Edit()
        )
    gone, come = _told_apart(order, sales, changes, policy)
    gone, come = _without_renamed(gone, come, sales, policy)
    left = _unnamed(order, sales, gone, exchanged := sum((line.gross for line in come), ZERO))
    unnamed = _given_back(order, notes, exchanged)
    gross = sum((line.gross for line in left), ZERO)
    if not left or unnamed <= 0 or unnamed == gross - exchanged != gross:
        return Edit(left, tuple(come))
    if _same(unnamed, gross, order):
        return Edit((), tuple(come), left)
    raise _undecided(order, sales, "lines fell away, and a refund that names no lines gives back another amount")


def _taken_back(change: _Change) -> bool:
    """Whether a discount that stood as a line of its own fell away or became smaller: goods are dearer than invoiced."""
    discount = change.had < 0 or (change.line is not None and change.line.gross < 0)
    return discount and (change.gross > 0 or change.had > 0)


def _told_apart(
    order: Order, sales: Sequence[DocumentDraft], changes: Sequence[_Change], policy: Policy
) -> tuple[list[RefundLine], list[OrderLine]]:
    """What fell away and what came."""
    gone: list[RefundLine] = []
    come: list[OrderLine] = []
    for change in changes:
        line, gross, quantity = change.line, change.gross, change.quantity
        if line is not None and line.gross < 0:
            gone.append(RefundLine(line_id=line.id, quantity=-quantity, net=ZERO, gross=-gross))
        elif line is not None and change.had and (_repriced(line, gross, quantity) or _retaxed(line, sales)):
            if order.payment is PaymentState.PAID or policy.unpaid_document:
                gone.append(RefundLine(line_id=line.id, quantity=line.quantity - quantity, net=ZERO, gross=change.had))
                come.append(line)
        elif gross < 0:
            gone.append(RefundLine(line_id=change.line_id, quantity=-quantity, net=ZERO, gross=-gross))
        elif line is not None:
            come.append(_portion(line, gross, quantity) if change.had else line)
    return gone, come


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


def _repriced(line: OrderLine, gross: Decimal, quantity: Decimal) -> bool:
    """Whether pieces became dearer, or more of them cost less: the line is credited and invoiced anew at its new price."""
    if gross < 0:
        return quantity > 0
    return quantity < 0 or (not quantity and line.kind not in {LineKind.SHIPPING, LineKind.FEE, LineKind.TIP})


def _retaxed(line: OrderLine, sales: Sequence[DocumentDraft]) -> bool:
    """Whether an article lost its VAT since its document, or came to bear some: its difference is no price reduction."""
    billed = {drawn.vat_rate > 0 for sale in sales for drawn in sale.lines if drawn.line_id == line.id}
    return line.kind is LineKind.ARTICLE and bool(line.gross) and billed == {line.gross == line.net}


def _portion(line: OrderLine, gross: Decimal, quantity: Decimal) -> OrderLine:
    """What is new of a line that grew: the further pieces, or a higher charge for shipping and the like."""
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


def _unnamed(
    order: Order, sales: Sequence[DocumentDraft], gone: list[RefundLine], exchanged: Decimal
) -> tuple[RefundLine, ...]:
    """Without the lines that refunds give back by their names."""
    named: dict[str, Decimal] = {}
    for refund in order.refunds:
        if _counts(refund) and not _paid_in_goods(refund, exchanged):
            for line in refund.lines:
                named[line.line_id] = named.get(line.line_id, ZERO) + line.gross
    left = tuple(line for line in gone if not _same(named.get(line.line_id, ZERO), line.gross, order))
    if any(line.line_id in named for line in left):
        raise _undecided(order, sales, "a line shrank by another amount than its refunds give back")
    return left


def _given_back(order: Order, notes: Iterable[DocumentDraft], exchanged: Decimal) -> Decimal:
    """Money that was given back for no line in particular.

    A credit note whose refund the shop no longer tells of counts as well: the lines may tell the same by now.
    """
    counting = [refund for refund in order.refunds if _counts(refund)]
    named = [line.gross for refund in counting if not _paid_in_goods(refund, exchanged) for line in refund.lines]
    untold = [note.totals.gross for note in untold_notes(order, notes)]
    return sum((refund.amount for refund in counting), ZERO) - sum(named, ZERO) + sum(untold, ZERO)


def untold_notes(order: Order, notes: Iterable[DocumentDraft]) -> list[DocumentDraft]:
    """Credit notes for refunds that the shop does not tell of any more."""
    told = tuple(f"refund-{refund.id}-" for refund in order.refunds)
    return [
        note
        for note in notes
        if note.key.part.startswith("refund-") and not f"{note.key.part}-".startswith(told or ("\0",))
    ]


def _same(one: Decimal, other: Decimal, order: Order) -> bool:
    """Whether two sums of an order are one; where both were converted to euro, a cent may lie between them."""
    return one == other or (order.exchange is not None and abs(one - other) <= CENT)


def _counts(refund: Refund) -> bool:
    return refund.state is not RefundState.FAILED


def _paid_in_goods(refund: Refund, exchanged: Decimal) -> bool:
    """Whether a refund gives less money back than its lines are worth, because other goods came for the rest."""
    return 0 < exchanged == sum((line.gross for line in refund.lines), ZERO) - refund.amount


def _undecided(order: Order, sales: Sequence[DocumentDraft], what: str) -> Undecidable:
    gross = sum((sale.totals.gross for sale in sales), ZERO)
    return Undecidable(
        "order_changed",
        f"the order came to {gross} on its documents and to {order.total} now: {what}",
        fix="correct the document at the service by hand, then release the order",
    )


def next_part(prefix: str, taken: Iterable[str]) -> str:
    """The part's name for the next edit: one above those that are out, so that planning again gives the same."""
    taken = [part.removeprefix(f"{prefix}-").partition("-")[0] for part in taken if part.startswith(f"{prefix}-")]
    return f"{prefix}-{max((int(number) for number in taken if number.isdigit()), default=0) + 1}"
