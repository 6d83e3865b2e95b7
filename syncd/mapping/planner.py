"""Which documents should exist for an order and do not.

`plan` looks at states only, never at events: the newest known state of the order, and the documents that the ledger
already knows. Repeated, late or reordered events therefore end in the same documents.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from syncd.domain.document import SALES, DocumentDraft, DocumentKind
from syncd.domain.hold import Hold
from syncd.domain.money import ZERO
from syncd.domain.order import Lifecycle, Order, PaymentState, Refund, RefundState
from syncd.domain.states import DocumentState
from syncd.mapping.charges import left_out_of
from syncd.mapping.credit import OpenLine, credit_everything, credit_refund, open_gross, open_lines, receipt
from syncd.mapping.known import KnownDocument
from syncd.mapping.payments import payment_mechanism
from syncd.mapping.policy import Policy, ZeroTotal
from syncd.mapping.refusal import Undecidable
from syncd.mapping.sale import fiscal_day, sale_draft

CANCEL = "cancel"
NO_SALE = {
    Lifecycle.DRAFT: "a draft or test order is no sale",
    Lifecycle.CANCELLED: "cancelled before anything was issued",
    Lifecycle.DELETED: "deleted in the shop before anything was issued",
}
GIFT_LIMIT = Decimal(50)  # net a piece: gifts above it are taxed on their cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`documents` should exist and have certainly not been sent yet; `holds` say what a person must decide.

    `reason` says in words why there is nothing to do, where there is nothing.
    """

    documents: tuple[DocumentDraft, ...] = ()
    holds: tuple[Hold, ...] = ()
    reason: str = ""


def plan(order: Order, known: Sequence[KnownDocument], policy: Policy, accepted: frozenset[str] = frozenset()) -> Plan:
    """The documents due for an order. Pure: no clock, no I/O; the same input gives the same plan.

    `accepted` are the codes of holds that a person has released.
    """
    known = [document for document in known if document.state is not DocumentState.WITHDRAWN]
    sale = next((d for d in known if d.kind in SALES and d.committed), None)
    try:
        if sale is not None:
            return _after_sale(order, sale, known, policy, accepted)
        reason = _nothing_due(order, policy)
        if reason:
            return Plan(reason=reason)
        draft = _new_sale(order, policy, accepted)
        if draft is None:
            return Plan(reason="nothing in this order is a taxable supply")
    except Undecidable as undecided:
        return Plan(holds=(undecided.hold,))
    return _with_corrections(order, draft, (draft,), known, policy, accepted)


def _nothing_due(order: Order, policy: Policy) -> str:
    """Why an order without any document needs none now, or ''."""
    if order.lifecycle in NO_SALE:
        return NO_SALE[order.lifecycle]
    if policy.start_after is not None and fiscal_day(order, policy) < policy.start_after:
        return f"older than start_after = {policy.start_after}"
    if order.payment is not PaymentState.PAID and not policy.unpaid_document:
        return "not paid yet" if order.payment is PaymentState.UNPAID else "paid only in part"
    # A sale that was paid and given back stays a sale: both documents are due.
    if order.state not in policy.issue_on and order.lifecycle is not Lifecycle.REFUNDED:
        return f"the state {order.state!r} is not one that makes a document due"
    return "" if order.lines else "the order has no lines"


def _new_sale(order: Order, policy: Policy, accepted: frozenset[str]) -> DocumentDraft | None:
    if order.doubts and "order_doubtful" not in accepted:
        raise Undecidable(
            "order_doubtful",
            "; ".join(order.doubts),
            fix="look at the order in the shop; if it is right there, release it, else invoice by hand and skip it",
        )
    if order.currency != "EUR":
        raise Undecidable(
            "currency",
            f"the order is in {order.currency}; fiscal documents are in EUR",
            fix="invoice by hand with the rate of the day and skip the order",
        )
    if order.total == 0:
        _check_gift(order, policy)
        return None
    return sale_draft(order, policy, accepted)


def _check_gift(order: Order, policy: Policy) -> None:
    dear = [line.name for line in order.lines if line.quantity > 0 and line.list_net / line.quantity > GIFT_LIMIT]
    if dear or policy.zero_total is ZeroTotal.HOLD:
        raise Undecidable(
            "zero_total",
            f"nothing was paid{f', and {dear[0]!r} is worth more than {GIFT_LIMIT} EUR net' if dear else ''}",
            fix="decide whether tax is due on the gift; skip the order if not",
        )


def _after_sale(
    order: Order, sale: KnownDocument, known: Sequence[KnownDocument], policy: Policy, accepted: frozenset[str]
) -> Plan:
    """The sale's document is out (or may be): only receipts and corrections can follow."""
    total = order.total - left_out_of(order, policy)
    if (
        total != sale.draft.totals.gross
        and order.lifecycle is not Lifecycle.DELETED
        and "order_changed" not in accepted
    ):
        raise Undecidable(
            "order_changed",
            f"the order came to {sale.draft.totals.gross} when its document was issued and to {total} now",
            fix="correct the document at the service by hand, then release the order",
        )
    return _with_corrections(order, sale.draft, (), known, policy, accepted)


def _with_corrections(
    order: Order,
    sale: DocumentDraft,
    fresh: tuple[DocumentDraft, ...],
    known: Sequence[KnownDocument],
    policy: Policy,
    accepted: frozenset[str],
) -> Plan:
    """Add what refunds, cancellation and payment ask for, each once: its part names its cause."""
    committed = {document.key.part: document for document in known if document.committed}
    credits_ = [document.draft for document in committed.values() if document.kind is DocumentKind.NC]
    documents: list[DocumentDraft] = list(fresh)
    holds: list[Hold] = []
    for cause in _causes(order, sale, committed):
        try:
            note = _credit_note(order, cause, sale, open_lines(sale, credits_), policy, accepted)
        except Undecidable as undecided:
            holds.append(undecided.hold)
            break  # what is open for the next one depends on this one
        if note is not None:
            documents.append(note)
            credits_.append(note)
    if sale.kind is DocumentKind.FT and order.payment is PaymentState.PAID and "payment" not in committed:
        amount = sale.totals.gross - sum((note.totals.gross for note in credits_), ZERO)
        if amount:
            mechanism = payment_mechanism(order, policy, accepted | {"unknown_payment"})
            documents.append(receipt(sale, amount, mechanism, order.paid_at or order.updated_at))
    return Plan(
        documents=tuple(documents),
        holds=tuple(holds),
        reason="" if documents or holds else "everything due has been issued or is on its way",
    )


def _causes(order: Order, sale: DocumentDraft, committed: Container[str]) -> Iterator[Refund | None]:
    """Refunds whose money has moved, oldest first, then None for a cancellation; without those already credited."""
    waiting = False
    for refund in sorted(order.refunds, key=lambda refund: (refund.created_at, refund.id)):
        waiting = waiting or refund.state is RefundState.PENDING
        if refund.state is RefundState.DONE and f"refund-{refund.id}" not in committed:
            yield _within(refund, sale)
    if order.lifecycle is Lifecycle.CANCELLED and not waiting and CANCEL not in committed:
        yield None


def _within(refund: Refund, sale: DocumentDraft) -> Refund:
    """The refund without what never stood on the document: gift cards and tips that were left out."""
    ids = {line.line_id for line in sale.lines}
    outside = sum((line.gross for line in refund.lines if line.line_id not in ids), ZERO)
    return replace(refund, amount=refund.amount - outside) if outside else refund


def _credit_note(
    order: Order,
    cause: Refund | None,
    sale: DocumentDraft,
    left: list[OpenLine],
    policy: Policy,
    accepted: frozenset[str],
) -> DocumentDraft | None:
    """The credit note for one cause; None where nothing is open any more or nothing of it concerns the document."""
    if not open_gross(left):
        return None
    if cause is None:
        when = order.cancelled_at or order.updated_at
        reason = f"Anulação da encomenda {order.number}"
        return credit_everything(sale, left, policy, part=CANCEL, reason=reason, due_at=when)
    if cause.amount <= 0:
        return None
    known_in_full = cause.detailed or cause.amount == open_gross(left)
    if not known_in_full and "refund_details_missing" not in accepted:
        raise Undecidable(
            "refund_details_missing",
            f"refund {cause.id} gives back {cause.amount}, but the shop has not said for which lines",
            fix="give the shop's API keys in the settings so that syncd can ask, "
            "or release the order to spread the sum over the lines",
        )
    return credit_refund(order, cause, sale, left, policy)
