"""Which documents should exist for an order and do not.

`plan` looks at states only, never at events: the newest known state of the order, and the documents that the ledger
already knows. Repeated, late or reordered events therefore end in the same documents.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from syncd.domain.document import DocumentDraft
from syncd.domain.hold import Hold
from syncd.domain.money import EURO, ZERO
from syncd.domain.order import Lifecycle, LineKind, Order, PaymentState
from syncd.domain.registers import NO_EVIDENCE, Evidence, Need
from syncd.domain.states import DocumentState
from syncd.mapping.amendments import add_lines, edited
from syncd.mapping.annulments import Annulment, annulments_of, refused
from syncd.mapping.corrections import (
    Books,
    books_of,
    cancelled,
    check_doubts,
    deposit,
    doubted,
    refunded,
    rest,
    unpaid_again,
)
from syncd.mapping.currency import at_the_rate_of, exchanged
from syncd.mapping.known import KnownDocument
from syncd.mapping.policy import Deposits, Policy, Rule, RuleAction, ZeroTotal
from syncd.mapping.receipts import settled
from syncd.mapping.refusal import Undecidable
from syncd.mapping.rules import rule_for, under
from syncd.mapping.sale import fiscal_day, sale_draft, taxed_elsewhere

NO_SALE = {
    Lifecycle.DRAFT: "a draft or test order is no sale",
    Lifecycle.CANCELLED: "cancelled, and no document stands",
    Lifecycle.DELETED: "deleted in the shop, and no document stands",
}
GIFT_LIMIT = Decimal(50)  # net a piece: gifts above it are taxed on their cost
LEFT_ALONE = "left alone by"
GIFT = "nothing was paid: a gift within the limits of CIVA art. 3 n.º 7 (zero_total)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`documents` should exist and have certainly not been sent yet; `holds` say what a person must decide.

    `annulments` are issued documents that should not exist. Nothing else is planned beside them: what follows depends on
    whether the service still allows it.
    `needs` are questions to public registers: with their answers as evidence, planning again goes further, and the
    hold beside them is for where nobody can be asked. `reason` says in words why there is nothing to do, where there
    is nothing; `decided` that it is more than waiting: by law or by a rule of the shop nothing is due for this sale.
    """

    documents: tuple[DocumentDraft, ...] = ()
    annulments: tuple[Annulment, ...] = ()
    holds: tuple[Hold, ...] = ()
    needs: tuple[Need, ...] = ()
    reason: str = ""
    decided: bool = False


def plan(
    order: Order,
    known: Sequence[KnownDocument],
    policy: Policy,
    accepted: frozenset[str] = frozenset(),
    evidence: Evidence = NO_EVIDENCE,
) -> Plan:
    """The documents due for an order. Pure: no clock, no I/O; the same input gives the same plan.

    `accepted` are the codes of holds that a person has released, `evidence` is what public registers have said.
    """
    known = [document for document in known if document.state is not DocumentState.WITHDRAWN]
    if any(document.state is DocumentState.ANNULLING for document in known):
        return Plan(reason="a document of it is being annulled")
    if gone := annulments_of(order, known, policy, accepted, cancelled=cancelled(order)):
        return Plan(annulments=gone)
    reason, told = "", order
    try:
        if order.currency != EURO or order.paid_in is not None:
            out = [document.draft for document in known if document.committed]
            order = _in_euro(order, out, evidence, accepted) if out or not _nothing_due(order, policy) else order
        rule, name = rule_for(order, policy) or (Rule(), "")
        books = books_of(order, known, under(rule, policy), accepted, evidence, told=told)
        books.rule = name
        if len(books.sales) > len(books.deposits):
            edited(books)
        else:
            reason = _first_sale(books, rule.action)
    except Undecidable as undecided:
        return Plan(holds=(undecided.hold,), needs=(undecided.need,) if undecided.need else ())
    refunded(books)
    settled(books)
    doubted(books)
    unpaid_again(books)
    if hold := refused(known, accepted):
        books.holds.append(hold)
    if books.made or books.holds:
        return Plan(documents=tuple(books.made), holds=tuple(books.holds))
    return Plan(reason=reason or _at_rest(books), decided=reason == GIFT or reason.startswith(LEFT_ALONE))


def _in_euro(order: Order, out: Sequence[DocumentDraft], evidence: Evidence, accepted: frozenset[str]) -> Order:
    """An order that was not paid in euro, at the rate of its documents if it has any."""
    if out:
        return at_the_rate_of(order, out)
    check_doubts(order, accepted)  # what contradicts itself has no sum that could be converted
    return exchanged(order, evidence)


def _first_sale(books: Books, action: RuleAction) -> str:
    """Draw up the order's own document; the reason where none is due. `action` is that of the rule that fits."""
    if reason := _nothing_due(books.order, books.policy):
        return reason
    if action is RuleAction.SKIP:
        return f"{LEFT_ALONE} {books.rule} of the shop"
    if action is RuleAction.HOLD and "held_by_rule" not in books.accepted:
        raise Undecidable(
            "held_by_rule",
            f"{books.rule} of the shop asks for a person",
            fix="release the order to issue it, or skip it",
        )
    if books.order.total == 0 and _is_gift(books) and books.policy.zero_total is not ZeroTotal.ISSUE:
        return GIFT
    _new_sale(books)
    if not books.made:
        return "the rest is not paid yet" if books.deposits else "nothing in this order is a taxable supply"
    return ""


def _at_rest(books: Books) -> str:
    order = books.order
    if order.payment is not PaymentState.PAID and order.total > sum(sale.totals.gross for sale in books.sales):
        return "what came to the order later is not paid yet"
    if order.lifecycle is Lifecycle.DELETED:
        return "deleted in the shop; what was issued stays until money is given back"
    return "everything due has been issued or is on its way"


def _nothing_due(order: Order, policy: Policy) -> str:
    """Why an order without any document needs none now, or ''."""
    if order.lifecycle in NO_SALE:
        return NO_SALE[order.lifecycle]
    if policy.start_after is not None and fiscal_day(order, policy) < policy.start_after:
        return f"older than start_after = {policy.start_after}"
    if order.payment is PaymentState.PARTIAL and not policy.unpaid_document:
        return "" if order.payments and policy.deposits is Deposits.INVOICE else "paid only in part"
    if order.payment is PaymentState.UNPAID and not policy.unpaid_document:
        return "not paid yet"
    # A sale that was paid and given back stays a sale: both documents are due.
    if order.state not in policy.issue_on and order.lifecycle is not Lifecycle.REFUNDED:
        return f"the state {order.state!r} is not one that makes a document due"
    return "" if order.lines else "the order has no lines"


def _new_sale(books: Books) -> None:
    order, policy = books.order, books.policy
    check_doubts(order, books.accepted)
    if order.payment is PaymentState.PARTIAL and not policy.unpaid_document:
        deposit(books)
        return
    portion, payments = rest(books)
    apart = taxed_elsewhere(order, policy, books.accepted, books.evidence)
    if apart or payments != order.payments:
        order = replace(
            order,
            lines=tuple(line for line in order.lines if line not in apart),
            total=order.total - sum((line.gross for line in apart), ZERO),
            payments=payments,
        )
    if draft := sale_draft(order, policy, books.accepted, books.evidence, portion=portion):
        books.add(draft)
    if apart:
        add_lines(books, apart, order=books.order, since=order.sold_at)


def _is_gift(books: Books) -> bool:
    """Whether an order over nothing gives something away; Undecidable where tax may be due on that."""
    order, policy = books.order, books.policy
    check_doubts(order, books.accepted)
    given = [line for line in order.lines if line.kind is LineKind.ARTICLE and line.quantity > 0]
    dear = [line.name for line in given if (line.list_net or line.list_gross) / line.quantity > GIFT_LIMIT]
    if (dear or policy.zero_total is ZeroTotal.HOLD) and "zero_total" not in books.accepted:
        raise Undecidable(
            "zero_total",
            f"nothing was paid{f', and {dear[0]!r} is worth more than {GIFT_LIMIT} EUR net' if dear else ''}",
            fix="decide whether tax is due on what was given away: if not, release the order; else invoice by hand and "
            "skip it",
        )
    return bool(given)
