"""What is annulled at the service instead of credited.

A credit note is right whenever a real sale is undone; annulling is for a document that should never have existed, or
that names the wrong buyer, and only while it has not reached anybody (Ofício-Circulado 30136/2012, 14). So nothing is
annulled unless a person wants it: by a shop's `on_cancel`, or for one order by `syncd annul`. And only a sale that
stands alone: no credit note, no receipt, nothing that refers to it, and no request that may have brought it to its buyer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from syncd.domain.document import SALES, DocumentKey
from syncd.domain.hold import Hold
from syncd.domain.order import Order
from syncd.domain.states import DocumentState
from syncd.mapping.deadlines import annul_until
from syncd.mapping.known import KnownDocument
from syncd.mapping.policy import OnCancel, Policy
from syncd.mapping.sale import zone_of

ANNUL = "annul"
GAVE_NO_REASON = "Documento emitido por lapso"


@dataclass(frozen=True, slots=True, kw_only=True)
class Annulment:
    """A document that is to be annulled at the service, with the reason that the law wants to be told."""

    key: DocumentKey
    reason: str


def wish(part: str) -> str:
    """How a person's wish to annul a document stands among what a person has accepted.

    By its part, which no other document of the order ever has: what is issued in its place is not meant.
    """
    return f"{ANNUL}:{part}"


def annulments_of(
    order: Order, known: Sequence[KnownDocument], policy: Policy, accepted: frozenset[str], *, cancelled: bool
) -> tuple[Annulment, ...]:
    """All documents of an order, or none: one that stands would still need its credit note.

    `cancelled` says that the whole order is undone. No clock: what counts is when the shop cancelled it, and the service
    has the last word.
    """
    standing = [document for document in known if document.committed]
    if not standing or any(obstacle(document, policy) for document in standing):
        return ()
    if all(wish(document.key.part) in accepted for document in standing):
        reason = GAVE_NO_REASON
    elif cancelled and policy.on_cancel is OnCancel.ANNUL and all(_in_time(each, order, policy) for each in standing):
        reason = f"Anulação da encomenda {order.number}"
    else:
        return ()
    return tuple(Annulment(key=document.key, reason=reason) for document in standing)


def obstacle(document: KnownDocument, policy: Policy) -> str:
    """Why a document that the service may have cannot be annulled, or ''; its time is another matter."""
    if policy.capabilities.annuls is None:
        return "the service does not annul documents"
    if document.key.kind not in SALES or document.draft.references:
        return f"{document.key.kind} {document.key.part} stands beside it: it can only be credited"
    if document.state is not DocumentState.ISSUED or document.issued_at is None:
        return f"{document.key.part} is {document.state}, not issued"
    if document.told_of:
        return "it may have reached its buyer: it can only be credited"
    if document.key.account != policy.account:
        return f"it stands at the account {document.key.account}, which the shop no longer uses"
    return document.annul_refused


def refused(known: Sequence[KnownDocument], accepted: frozenset[str]) -> Hold | None:
    """What a person has to know who wanted a document annulled that the service would not annul."""
    if "annul_refused" in accepted:
        return None
    for document in known:
        if document.annul_refused and wish(document.key.part) in accepted:
            return Hold(
                code="annul_refused",
                message=f"{document.key.part} was not annulled: {document.annul_refused}",
                fix="give the money back or cancel the order in the shop for a credit note, or correct it by hand; "
                "then release the order",
            )
    return None


def last_day(document: KnownDocument, policy: Policy) -> date:
    """Until when a document that nothing else keeps from it can be annulled."""
    window, issued_at = policy.capabilities.annuls, document.issued_at
    if window is None or issued_at is None:
        raise ValueError(f"{document.key} cannot be annulled at all")
    return annul_until(issued_at.astimezone(zone_of(document.draft.region)).date(), window)


def _in_time(document: KnownDocument, order: Order, policy: Policy) -> bool:
    since = order.cancelled_at or order.updated_at
    return since.astimezone(zone_of(document.draft.region)).date() <= last_day(document, policy)
