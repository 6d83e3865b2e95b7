"""An order's books, and the credit notes that follow its documents; each once, by its part."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from syncd.domain.document import SALES, Amounts, DocumentDraft, DocumentKind, Reference
from syncd.domain.hold import Hold
from syncd.domain.money import ZERO
from syncd.domain.order import Lifecycle, Order, Payment, PaymentState, Refund, RefundState
from syncd.domain.registers import Evidence
from syncd.mapping.charges import left_out, left_out_of
from syncd.mapping.credit import (
    OpenLine,
    credit_everything,
    credit_refund,
    open_gross,
    open_lines,
    split,
    with_advances,
)
from syncd.mapping.deposits import DEPOSIT, NOTHING, Rate, outstanding, with_voucher
from syncd.mapping.edits import next_part, untold_notes
from syncd.mapping.known import KnownDocument
from syncd.mapping.payments import spent_vouchers
from syncd.mapping.policy import Policy
from syncd.mapping.refusal import Undecidable
from syncd.mapping.sale import SALE, Portion, sale_draft

CANCEL = "cancel"
OFFSET = "CS"  # paid with what a credit note of the same edit gave back


@dataclass(slots=True)
class Books:
    """An order's documents: `sales` (the first is the order's own) and `notes`, those of this plan included."""

    order: Order
    told: Order  # the same in the currency in which the shop tells it
    policy: Policy
    accepted: frozenset[str]
    evidence: Evidence
    committed: Mapping[str, DocumentDraft]
    annulled: frozenset[str]  # parts of documents that were: taken for ever, and nothing else of them counts
    sales: list[DocumentDraft]
    notes: list[DocumentDraft]
    made: list[DocumentDraft] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    rule: str = ""  # the merchant's rule that the policy follows, by its name

    @property
    def parts(self) -> frozenset[str]:
        """All that are taken."""
        return self.annulled | self.committed.keys()

    @property
    def deposits(self) -> list[DocumentDraft]:
        """Documents for money in advance; all other sales are for goods and services."""
        return [sale for sale in self.sales if sale.key.part.startswith(DEPOSIT)]

    def advanced(self) -> dict[Rate, Amounts]:
        """What deposits have taken of each rate, less what of it was given back."""
        taken: dict[Rate, Amounts] = {}
        for line in (line for deposit in self.deposits for line in self.left(deposit) if line.gross):
            rate = line.line.vat_rate, line.line.exemption
            was = taken.get(rate, NOTHING)
            net, gross = was.net + line.net, was.gross + line.gross
            taken[rate] = Amounts(net=net, tax=gross - net, gross=gross)
        return taken

    def left(self, sale: DocumentDraft) -> list[OpenLine]:
        """What is open of one of the sales."""
        return open_lines(sale, [note for note in self.notes if whose(note) == sale.key.part])

    def unsettled(self, sale: DocumentDraft) -> Decimal:
        """What of a sale is neither credited nor, by a receipt, paid."""
        receipts = [made for made in (*self.committed.values(), *self.made) if made.kind is DocumentKind.RC]
        told = [reference for document in (*self.notes, *receipts) for reference in document.references]
        return sale.totals.gross - sum((each.amount for each in told if each.key.part == sale.key.part), ZERO)

    def add(self, document: DocumentDraft) -> None:
        if self.rule and document.kind in SALES:
            document = replace(document, why=f"{document.why}; {self.rule} of the shop")
        self.made.append(document)
        if document.kind is DocumentKind.NC:
            self.notes.append(document)
        elif document.kind in SALES:
            self.sales.append(document)


def books_of(
    order: Order,
    known: Sequence[KnownDocument],
    policy: Policy,
    accepted: frozenset[str],
    evidence: Evidence,
    *,
    told: Order,
) -> Books:
    """The books as the ledger knows them: only what the service may have already."""
    committed = {document.key.part: document.draft for document in known if document.committed}
    drafts = list(committed.values())
    # The order's own document first, then those of later edits in their sequence.
    sales = sorted((d for d in drafts if d.kind in SALES), key=lambda d: (not _own(d), len(d.key.part), d.key))
    notes = [draft for draft in drafts if draft.kind is DocumentKind.NC]
    annulled = frozenset(document.key.part for document in known if document.annulled)
    return Books(order, told, policy, accepted, evidence, committed, annulled, sales, notes)


def deposit(books: Books) -> None:
    """A document for the money that came in advance since the last one."""
    order = books.order
    amount = outstanding(order, sum((made.totals.gross for made in books.deposits), ZERO))
    if amount <= 0:
        return
    paid = by_time(order.payments)[-1:]
    since = paid[0].paid_at or order.paid_at or order.updated_at
    portion = Portion(part=next_part("deposit", books.parts), amount=amount, taken=books.advanced())
    paid_in = replace(order, payments=paid, paid_at=since)
    if draft := sale_draft(paid_in, books.policy, books.accepted, books.evidence, portion=portion):
        books.add(draft)


def rest(books: Books) -> tuple[Portion, tuple[Payment, ...]]:
    """What of an order neither a deposit nor a voucher that was a sale itself has taken, and how that was paid."""
    taken = [(made, open_gross(books.left(made))) for made in books.deposits]
    references = tuple(Reference(key=made.key, amount=gross) for made, gross in taken if gross)
    spent, others = spent_vouchers(books.order, books.policy)
    before = sum(part.partition("-")[0] == SALE for part in books.annulled)
    part = f"{SALE}-{before + 1}" if before else SALE
    return Portion(part=part, taken=with_voucher(books.advanced(), spent, books.policy), references=references), others


def refunded(books: Books) -> None:
    """Credit notes for refunds and cancellation, oldest first; a hold stops them, since later ones depend on it."""
    try:
        for refund in _uncredited(books):
            _credit_refund(books, refund)
        if cancelled(books.order):
            for sale in list(books.sales):
                part, left = CANCEL + suffix(sale), books.left(sale)
                if part not in books.committed and open_gross(left):
                    when = books.order.cancelled_at or books.order.updated_at
                    reason = f"Anulação da encomenda {books.order.number}"
                    books.add(credit_everything(sale, left, books.policy, part=part, reason=reason, due_at=when))
    except Undecidable as undecided:
        books.holds.append(undecided.hold)


def doubted(books: Books) -> None:
    """A hold where a credit note stands for a refund that the shop has taken back, and nothing else explains it."""
    order, withdrawn = books.order, untold_notes(books.order, books.notes)
    if not withdrawn or books.holds or order.lifecycle is not Lifecycle.OPEN or "refund_withdrawn" in books.accepted:
        return
    stands = sum((sale.totals.gross for sale in books.sales), ZERO)
    stands -= sum((note.totals.gross for note in books.notes), ZERO)
    if stands < order.total - left_out_of(order, books.policy) - order.refunded:
        parts = ", ".join(note.key.part for note in withdrawn)
        amount = sum((note.totals.gross for note in withdrawn), ZERO)
        books.holds.append(
            Hold(
                code="refund_withdrawn",
                message=f"a credit note over {amount} was issued for a refund ({parts}) that the shop has deleted since",
                fix="invoice the amount again by hand if it was not given back, then release the order",
            )
        )


def unpaid_again(books: Books) -> None:
    """A hold where a document says that money was received, and the shop says now that there is none.

    A payment that was taken back lowers no price: the sale may stand as a debt, be undone, or never have been one.
    """
    order = books.order
    settled = [sale for sale in books.sales if sale.kind is not DocumentKind.FT and open_gross(books.left(sale))]
    settled += [document for document in books.committed.values() if document.kind is DocumentKind.RC]
    if not settled or books.holds or order.lifecycle is not Lifecycle.OPEN or "payment_lost" in books.accepted:
        return
    if order.payment is PaymentState.UNPAID:
        told = f"{settled[0].kind} {settled[0].key.part} says that {settled[0].totals.gross} was paid"
        books.holds.append(
            Hold(
                code="payment_lost",
                message=f"{told}, and the shop says now that the order is not paid",
                fix="annul the document if it has reached nobody (syncd annul), cancel the order in the shop if the sale is "
                "undone, or release the order if the money is still owed",
            )
        )


def check_doubts(order: Order, accepted: frozenset[str]) -> None:
    """Nothing is drawn up from a payload that contradicts itself, unless a person has looked at it."""
    if order.doubts and "order_doubtful" not in accepted:
        raise Undecidable(
            "order_doubtful",
            "; ".join(order.doubts),
            fix="look at the order in the shop; if it is right there, release it, else invoice by hand and skip it",
        )


def _uncredited(books: Books) -> Iterator[Refund]:
    """Refunds whose money has moved, oldest first, less what is credited already or never stood on a document."""
    on_documents = {line.line_id for sale in books.sales for line in sale.lines}
    if books.deposits:  # they stand for every line that a document may show
        on_documents |= {line.id for line in books.order.lines if not left_out(line, books.policy)}
    due: list[Refund] = []
    for refund in sorted(books.order.refunds, key=lambda refund: (refund.created_at, refund.id)):
        if refund.state is not RefundState.DONE:
            continue
        parts = [f"refund-{refund.id}{suffix(sale)}" for sale in books.sales]
        out = [books.committed[part] for part in parts if part in books.committed]
        outside = sum((line.gross for line in refund.lines if line.line_id not in on_documents), ZERO)
        amount = refund.amount - outside - sum((note.totals.gross for note in out), ZERO)
        if amount > 0 and len(out) < len(parts):
            due.append(replace(refund, amount=amount))
    yield from _beyond_edits(books, due)


def _beyond_edits(books: Books, due: Sequence[Refund]) -> list[Refund]:
    """Without the refunds that pay out what credit notes of edits gave back already: those that come to just that."""
    edits, owed = _owed(books)
    fitting = [refund for refund in due if all(line.line_id in edits for line in refund.lines)]
    if not owed or not fitting or "refund_unclear" in books.accepted:
        return list(due)
    paid = [[refund] for refund in fitting] + [fitting[:count] for count in range(2, len(fitting) + 1)]
    for some in paid:
        if sum((refund.amount for refund in some), ZERO) == owed:
            return [refund for refund in due if refund not in some]
    amount = sum((refund.amount for refund in fitting), ZERO)
    raise Undecidable(
        "refund_unclear",
        f"{amount} was given back, and the buyer was owed {owed} for what fell away from the order: part of that, or more?",
        fix="give back what is owed in the shop, or release the order to credit the refund as well",
    )


def _owed(books: Books) -> tuple[frozenset[str], Decimal]:
    """The lines that edits credited, and what the buyer still gets back for them: not what an exchange was paid with."""
    edits = [note for note in books.notes if note.key.part.startswith("edit-")]
    exchanged = [sale.totals.gross for sale in books.sales if sale.payment == OFFSET]
    credited = sum((note.totals.gross for note in edits), ZERO)
    lines = frozenset(part.line_id for note in edits for part in note.covers)
    return lines, max(credited - sum(exchanged, ZERO), ZERO)


def _credit_refund(books: Books, refund: Refund) -> None:
    sales = [sale for sale in books.sales if f"refund-{refund.id}{suffix(sale)}" not in books.committed]
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
    for sale, left, mine in zip(sales, lefts, split(with_advances(refund, lefts), lefts), strict=True):
        if mine.amount:
            part = f"refund-{refund.id}{suffix(sale)}"
            books.add(credit_refund(mine, sale, left, books.policy, part=part, reason=reason))


def cancelled(order: Order) -> bool:
    """Cancelled, with no refund on its way that would say what of it is given back."""
    waiting = any(refund.state is RefundState.PENDING for refund in order.refunds)
    return order.lifecycle is Lifecycle.CANCELLED and not waiting


def whose(document: DocumentDraft) -> str:
    """The part of the sale that a document corrects or settles."""
    return document.references[0].key.part if document.references else SALE


def _own(sale: DocumentDraft) -> bool:
    """Whether it is the order's own document: `sale`, or `sale-2` where that was annulled."""
    return sale.key.part.partition("-")[0] == SALE


def suffix(sale: DocumentDraft) -> str:
    """What sets parts that concern a later document of the order apart from those of its first."""
    return "" if sale.key.part == SALE else f"-{sale.key.part}"


def by_time(payments: Sequence[Payment]) -> tuple[Payment, ...]:
    """Oldest first; those without a time stay where they are, before the others."""
    return tuple(sorted(payments, key=lambda payment: _stamp(payment.paid_at)))


def _stamp(moment: datetime | None) -> float:
    return moment.timestamp() if moment is not None else 0.0
