"""Which documents should exist for an order and do not.

`plan` looks at states only, never at events: the newest known state of the order, and the documents that the ledger
already knows. Repeated, late or reordered events therefore end in the same documents.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from syncd.domain.document import DocumentDraft
from syncd.domain.hold import Hold
from syncd.domain.order import Lifecycle, Order, PaymentState
from syncd.domain.states import DocumentState
from syncd.mapping.corrections import Books, books_of, check_doubts, edited, refunded, settled
from syncd.mapping.known import KnownDocument
from syncd.mapping.policy import Policy, RuleAction, ZeroTotal
from syncd.mapping.refusal import Undecidable
from syncd.mapping.rules import describe, rule_for
from syncd.mapping.sale import fiscal_day, sale_draft

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
    books = books_of(order, known, policy, accepted)
    try:
        if books.sales:
            edited(books)
        elif reason := _first_sale(books):
            return Plan(reason=reason)
    except Undecidable as undecided:
        return Plan(holds=(undecided.hold,))
    refunded(books)
    settled(books)
    return Plan(
        documents=tuple(books.made),
        holds=tuple(books.holds),
        reason="" if books.made or books.holds else _at_rest(order, books),
    )


def _first_sale(books: Books) -> str:
    """Draw up the order's own document; the reason where none is due."""
    order, policy = books.order, books.policy
    if reason := _nothing_due(order, policy):
        return reason
    rule = rule_for(order, policy) if policy.rules else None
    if rule is not None:
        if rule.action is RuleAction.SKIP:
            return f"left alone by a rule of the shop: {describe(rule)}"
        if rule.action is RuleAction.HOLD and "held_by_rule" not in books.accepted:
            raise Undecidable(
                "held_by_rule",
                f"a rule of the shop asks for a person: {describe(rule)}",
                fix="release the order to issue it, or skip it",
            )
        if rule.document is not None:
            policy = replace(policy, paid_document=rule.document)
    draft = _new_sale(order, policy, books.accepted)
    if draft is None:
        return "nothing in this order is a taxable supply"
    books.add(draft)
    return ""


def _at_rest(order: Order, books: Books) -> str:
    if order.payment is not PaymentState.PAID and order.total > sum(sale.totals.gross for sale in books.sales):
        return "what came to the order later is not paid yet"
    return "everything due has been issued or is on its way"


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
    check_doubts(order, accepted)
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
