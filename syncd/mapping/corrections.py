"""What follows an order's documents: credit notes, documents for what came later, receipts; each once, by its part."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from syncd.domain.document import SALES, Covered, DocumentDraft, DocumentKind
from syncd.domain.hold import Hold
from syncd.domain.money import ZERO
from syncd.domain.order import Lifecycle, Order, Payment, PaymentState, Refund, RefundState
from syncd.mapping.credit import OpenLine, credit_everything, credit_refund, open_gross, open_lines, receipt, split
from syncd.mapping.edits import Edit, edit_of, next_part
from syncd.mapping.known import KnownDocument
from syncd.mapping.payments import mechanism_of, payment_mechanism
from syncd.mapping.policy import Policy
from syncd.mapping.refusal import Undecidable
from syncd.mapping.sale import SALE, sale_draft

CANCEL = "cancel"
OFFSET = "CS"  # paid with what a credit note of the same edit gave back


@dataclass(slots=True)
class Books:
    """An order's documents: `sales` (the first is the order's own) and `notes`, those of this plan included."""

    order: Order
    policy: Policy
    accepted: frozenset[str]
    committed: Mapping[str, DocumentDraft]
    sales: list[DocumentDraft]
    notes: list[DocumentDraft]
    made: list[DocumentDraft] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)

    def left(self, sale: DocumentDraft) -> list[OpenLine]:
        """What is open of one of the sales."""
        return open_lines(sale, [note for note in self.notes if _whose(note) == sale.key.part])

    def unsettled(self, sale: DocumentDraft) -> Decimal:
        """What of a sale is neither credited nor, by a receipt, paid."""
        receipts = [made for made in (*self.committed.values(), *self.made) if made.kind is DocumentKind.RC]
        taken = [document for document in (*self.notes, *receipts) if _whose(document) == sale.key.part]
        return sale.totals.gross - sum((document.totals.gross for document in taken), ZERO)

    def add(self, document: DocumentDraft) -> None:
        self.made.append(document)
        if document.kind is DocumentKind.NC:
            self.notes.append(document)
        elif document.kind in SALES:
            self.sales.append(document)


def books_of(order: Order, known: Sequence[KnownDocument], policy: Policy, accepted: frozenset[str]) -> Books:
    """The books as the ledger knows them: only what the service may have already."""
    committed = {document.key.part: document.draft for document in known if document.committed}
    drafts = list(committed.values())
    # The order's own document first, then those of later edits in their sequence.
    sales = sorted((d for d in drafts if d.kind in SALES), key=lambda d: (d.key.part != SALE, len(d.key.part), d.key))
    notes = [draft for draft in drafts if draft.kind is DocumentKind.NC]
    return Books(order, policy, accepted, committed, sales, notes)


def edited(books: Books) -> None:
    """Credit what fell away since the documents went out, and draw up a document for what came."""
    order = books.order
    if order.lifecycle is not Lifecycle.OPEN or "order_changed" in books.accepted:
        return
    edit = edit_of(order, books.sales, books.notes, books.policy)
    if edit.gone or edit.come:
        check_doubts(order, books.accepted)
    credited = _credit_gone(books, edit) if edit.gone else ZERO
    if edit.come and (order.payment is PaymentState.PAID or books.policy.unpaid_document):
        _add_come(books, edit, credited)


def refunded(books: Books) -> None:
    """Credit notes for refunds and cancellation, oldest first; a hold stops them, since later ones depend on it."""
    try:
        for refund in _uncredited(books):
            _credit_refund(books, refund)
        if _cancelled(books.order):
            for sale in list(books.sales):
                part, left = CANCEL + _suffix(sale), books.left(sale)
                if part not in books.committed and open_gross(left):
                    when = books.order.cancelled_at or books.order.updated_at
                    reason = f"Anulação da encomenda {books.order.number}"
                    books.add(credit_everything(sale, left, books.policy, part=part, reason=reason, due_at=when))
    except Undecidable as undecided:
        books.holds.append(undecided.hold)


def settled(books: Books) -> None:
    """Receipts for the money that came for an FT: one for all of it, or one for each of several payments.

    Together they never exceed what is open of their invoice.
    """
    order = books.order
    invoices = [sale for sale in books.sales if sale.kind is DocumentKind.FT]
    if invoices and (order.payment is PaymentState.PARTIAL or len(order.payments) > 1):
        _each_payment(books, invoices)
    for sale in invoices:
        part = "payment" + _suffix(sale)
        amount = books.unsettled(sale)
        if order.payment is PaymentState.PAID and amount > 0 and part not in books.committed:
            mechanism = payment_mechanism(order, books.policy, books.accepted | {"unknown_payment"})
            books.add(receipt(sale, amount, mechanism, order.paid_at or order.updated_at, part=part))


def _each_payment(books: Books, invoices: Sequence[DocumentDraft]) -> None:
    """Receipts for single payments, the oldest invoice first; what settled itself (FR, FS) took its money before."""
    absorbed = sum((sale.totals.gross for sale in books.sales if sale.kind is not DocumentKind.FT), ZERO)
    for number, payment in enumerate(_by_time(books.order.payments), start=1):
        if payment.amount.currency != books.order.currency:
            continue
        rest = max(payment.amount.amount - absorbed, ZERO)
        absorbed = max(absorbed - payment.amount.amount, ZERO)
        parts = {sale.key.part: f"payment-{payment.id or number}{_suffix(sale)}" for sale in invoices}
        rest -= sum((books.committed[part].totals.gross for part in parts.values() if part in books.committed), ZERO)
        for sale in invoices:
            part, amount = parts[sale.key.part], min(rest, books.unsettled(sale))
            if amount > 0 and part not in books.committed:
                mechanism = mechanism_of(payment, books.policy, books.accepted | {"unknown_payment"})
                when = payment.paid_at or books.order.paid_at or books.order.updated_at
                books.add(receipt(sale, amount, mechanism, when, part=part))
                rest -= amount


def check_doubts(order: Order, accepted: frozenset[str]) -> None:
    """Nothing is drawn up from a payload that contradicts itself, unless a person has looked at it."""
    if order.doubts and "order_doubtful" not in accepted:
        raise Undecidable(
            "order_doubtful",
            "; ".join(order.doubts),
            fix="look at the order in the shop; if it is right there, release it, else invoice by hand and skip it",
        )


def _credit_gone(books: Books, edit: Edit) -> Decimal:
    order, prefix = books.order, next_part("edit", books.committed)
    amount = sum((line.gross for line in edit.gone), ZERO)
    whole = Refund(id=prefix, created_at=order.updated_at, amount=amount, lines=edit.gone)
    sales = list(books.sales)
    for line in edit.gone:
        lines = [each for sale in sales for each in books.left(sale) if each.line.line_id == line.line_id]
        if line.gross > open_gross(lines):
            raise Undecidable(
                "order_changed",
                f"line {line.line_id} shrank by {line.gross}, of which credit notes have taken a part already",
                fix="correct the document at the service by hand, then release the order",
            )
    for sale, share in zip(sales, split(whole, [books.left(sale) for sale in sales]), strict=True):
        if not share.amount:
            continue
        left = books.left(sale)
        reason = f"Alteração da encomenda {order.number}"
        note = credit_refund(share, sale, left, books.policy, part=prefix + _suffix(sale), reason=reason)
        covers = tuple(Covered(line.line_id, -line.gross, -line.quantity) for line in share.lines)
        books.add(replace(note, covers=covers))
    return amount


def _add_come(books: Books, edit: Edit, credited: Decimal) -> None:
    order, first = books.order, books.sales[0]
    total = sum((line.gross for line in edit.come), ZERO)
    paid = _by_time(order.payments)[-1:]
    later = [payment.paid_at for payment in paid if payment.paid_at is not None and payment.paid_at > first.due_at]
    since = later[0] if later else order.updated_at
    came = replace(order, lines=edit.come, total=total, payments=paid, paid_at=since, refunds=())
    draft = sale_draft(came, books.policy, books.accepted, part=next_part("extra", books.committed))
    if draft is None:
        return
    if draft.payment and credited and 2 * credited >= total:
        draft = replace(draft, payment=OFFSET)
    books.add(draft)


def _uncredited(books: Books) -> Iterator[Refund]:
    """Refunds whose money has moved, oldest first, without what is credited or never stood on a document."""
    on_documents = {line.line_id for sale in books.sales for line in sale.lines}
    for refund in sorted(books.order.refunds, key=lambda refund: (refund.created_at, refund.id)):
        if refund.state is not RefundState.DONE:
            continue
        parts = [f"refund-{refund.id}{_suffix(sale)}" for sale in books.sales]
        out = [books.committed[part] for part in parts if part in books.committed]
        if len(out) == len(parts):
            continue
        outside = sum((line.gross for line in refund.lines if line.line_id not in on_documents), ZERO)
        amount = refund.amount - outside - sum((note.totals.gross for note in out), ZERO)
        if amount > 0:
            yield replace(refund, amount=amount)


def _credit_refund(books: Books, refund: Refund) -> None:
    sales = [sale for sale in books.sales if f"refund-{refund.id}{_suffix(sale)}" not in books.committed]
    lefts = [books.left(sale) for sale in sales]
    total = sum((open_gross(left) for left in lefts), ZERO)
    if not total:
        return
    if not refund.detailed and refund.amount != total and "refund_details_missing" not in books.accepted:
        raise Undecidable(
            "refund_details_missing",
            f"refund {refund.id} gives back {refund.amount}, but the shop has not said for which lines",
            fix="give the shop's API keys in the settings so that syncd can ask, "
            "or release the order to spread the sum over the lines",
        )
    reason = refund.reason or f"Devolução da encomenda {books.order.number}"
    for sale, left, share in zip(sales, lefts, split(refund, lefts), strict=True):
        if share.amount:
            part = f"refund-{refund.id}{_suffix(sale)}"
            books.add(credit_refund(share, sale, left, books.policy, part=part, reason=reason))


def _cancelled(order: Order) -> bool:
    """Cancelled, with no refund on its way that would say what of it is given back."""
    waiting = any(refund.state is RefundState.PENDING for refund in order.refunds)
    return order.lifecycle is Lifecycle.CANCELLED and not waiting


def _whose(document: DocumentDraft) -> str:
    """The part of the sale that a document corrects or settles."""
    return document.references[0].key.part if document.references else SALE


def _suffix(sale: DocumentDraft) -> str:
    """What sets parts that concern a later document of the order apart from those of its first."""
    return "" if sale.key.part == SALE else f"-{sale.key.part}"


def _by_time(payments: Sequence[Payment]) -> tuple[Payment, ...]:
    """Oldest first; those without a time stay where they are, before the others."""
    return tuple(sorted(payments, key=lambda payment: _stamp(payment.paid_at)))


def _stamp(moment: datetime | None) -> float:
    return moment.timestamp() if moment is not None else 0.0
