"""An order that was edited after its documents went out: credit notes and documents for what differs, each once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from syncd.domain.document import Covered
from syncd.domain.money import ZERO
from syncd.domain.order import Lifecycle, Order, OrderLine, PaymentState, Refund, RefundLine, RefundState
from syncd.mapping.amounts import share
from syncd.mapping.corrections import OFFSET, Books, by_time, check_doubts, suffix, whose
from syncd.mapping.credit import OpenLine, credit_everything, credit_refund, of_line, open_gross, split, with_advances
from syncd.mapping.currency import came_later, check_rate_of_its_own
from syncd.mapping.edits import Edit, edit_of, next_part
from syncd.mapping.reductions import borne
from syncd.mapping.refusal import Undecidable
from syncd.mapping.sale import Portion, leading_place, sale_draft


def edited(books: Books) -> None:
    """Credit what fell away since the documents went out, and draw up a document for what came."""
    order = books.order
    if order.lifecycle is not Lifecycle.OPEN or "order_changed" in books.accepted:
        return
    sales = [sale for sale in books.sales if sale not in books.deposits]
    edit = edit_of(order, sales, books.notes, books.policy)
    if edit.anew:
        _issue_anew(books, edit)
        return
    books.order = _naming(books, edit)
    if edit.gone or edit.come:
        check_doubts(order, books.accepted)
    credited = _credit_gone(books, edit) if edit.gone else ZERO
    if edit.come and (order.payment is PaymentState.PAID or books.policy.unpaid_document):
        _add_come(books, edit, credited)


def _issue_anew(books: Books, edit: Edit) -> None:
    """Credit all that stands, and draw up the order as it is now: its prices have risen, and a document cannot."""
    order = books.order
    if books.deposits or order.exchange is not None or order.refunded or any(not note.covers for note in books.notes):
        raise Undecidable(
            "order_changed",
            "a discount that stood as a line of its own was taken back, after deposits, refunds or a conversion to euro",
            fix="correct the document at the service by hand, then release the order",
        )
    check_doubts(order, books.accepted)
    prefix, credited = next_part("edit", books.parts), ZERO
    for sale in list(books.sales):
        left = books.left(sale)
        if not open_gross(left):
            continue
        reason = f"Alteração da encomenda {order.number}"
        note = credit_everything(
            sale, left, books.policy, part=prefix + suffix(sale), reason=reason, due_at=order.updated_at
        )
        told = [sale, *(made for made in books.notes if whose(made) == sale.key.part)]
        covers = tuple(Covered(part.line_id, -part.gross, -part.quantity) for made in told for part in made.covers)
        credited += note.totals.gross
        books.add(replace(note, covers=covers))
    _add_come(books, edit, credited)


def _naming(books: Books, edit: Edit) -> Order:
    """With the lines that fell away on the refund that gives them back without a name, so that their rates are credited."""
    order = books.order
    unnamed = [refund for refund in order.refunds if not refund.lines and refund.state is RefundState.DONE]
    if not edit.repaid or len(unnamed) != 1:
        return order
    named = unnamed[0]
    if order.exchange is not None:  # what fell away leads: a cent may lie between the two, each converted for itself
        named = replace(named, amount=sum((line.gross for line in edit.repaid), ZERO))
    out = [books.committed[part] for part in books.committed if f"{part}-".startswith(f"refund-{named.id}-")]
    if sum((note.totals.gross for note in out), ZERO) != named.amount:
        lines = _borne(books, edit.repaid, [books.left(sale) for sale in books.sales])
        named = replace(named, lines=lines, detailed=True)
    return replace(order, refunds=tuple(named if refund is unnamed[0] else refund for refund in order.refunds))


def _borne(books: Books, lines: tuple[RefundLine, ...], lefts: Sequence[Sequence[OpenLine]]) -> tuple[RefundLine, ...]:
    """What falls away, on lines that stand on documents."""
    order, policy, accepted, evidence = books.order, books.policy, books.accepted, books.evidence
    return borne(lines, order, lefts, lambda: leading_place(order, policy, accepted, evidence))


def _credit_gone(books: Books, edit: Edit) -> Decimal:
    order, prefix = books.order, next_part("edit", books.parts)
    amount = sum((line.gross for line in edit.gone), ZERO)
    sales = list(books.sales)
    lefts = [books.left(sale) for sale in sales]
    gone = _borne(books, edit.gone, lefts)
    whole = with_advances(Refund(id=prefix, created_at=order.updated_at, amount=amount, lines=gone), lefts)
    for line in gone:
        if line.gross > sum((open_gross(of_line(left, line.line_id)) for left in lefts), ZERO) and not books.deposits:
            raise Undecidable(
                "order_changed",
                f"line {line.line_id} shrank by {line.gross}, of which credit notes have taken a part already",
                fix="correct the document at the service by hand, then release the order",
            )
    shares = split(whole, lefts)
    # Each note says its part of what the edit took back, so that half of them out is half of it covered.
    covered = zip(*(share(line.gross, [mine.amount for mine in shares]) for line in edit.gone), strict=True)
    for sale, left, mine, grosses in zip(sales, lefts, shares, covered, strict=True):
        if not mine.amount:
            continue
        reason = f"Alteração da encomenda {order.number}"
        note = credit_refund(mine, sale, left, books.policy, part=prefix + suffix(sale), reason=reason)
        covers = tuple(
            Covered(line.line_id, -gross, -line.quantity * gross / line.gross)
            for line, gross in zip(edit.gone, grosses, strict=True)
            if gross
        )
        books.add(replace(note, covers=covers))
    return amount


def _add_come(books: Books, edit: Edit, credited: Decimal) -> None:
    order, first, lines = books.order, books.sales[0], edit.come
    paid = [payment.paid_at for payment in by_time(order.payments)[-1:]]
    later = [moment for moment in paid if moment is not None and moment > first.due_at]
    since = later[0] if later else order.updated_at
    if order.exchange is not None:
        check_rate_of_its_own(books.told, lines, books.sales)
        order = came_later(books.told, lines, since, books.evidence)
        lines = order.lines
    add_lines(books, lines, order=order, since=since, credited=credited)


def add_lines(
    books: Books, lines: tuple[OrderLine, ...], *, order: Order, since: datetime, credited: Decimal = ZERO
) -> None:
    """A document of their own for lines of the order that no other can show."""
    total = sum((line.gross for line in lines), ZERO)
    paid = by_time(order.payments)[-1:]
    came = replace(order, lines=lines, total=total, payments=paid, paid_at=since, refunds=())
    portion = Portion(part=next_part("extra", books.parts))
    draft = sale_draft(came, books.policy, books.accepted, books.evidence, portion=portion)
    if draft is None:
        return
    if draft.payment and credited and 2 * credited >= total:
        draft = replace(draft, payment=OFFSET)
    books.add(draft)
