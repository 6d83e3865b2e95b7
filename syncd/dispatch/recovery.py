"""Documents whose outcome is unknown: look for the marker, then adopt what is there or plan it again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from syncd.domain.document import IssuedDocument
from syncd.domain.hold import Hold
from syncd.providers.port import InvoicingService, Search
from syncd.store.documents import Claimed


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a search proved: the one final document, or none; `hold` where a person must look. `drafts` go."""

    adopted: IssuedDocument | None = None
    hold: Hold | None = None
    drafts: tuple[str, ...] = ()


async def settle(service: InvoicingService, claimed: Claimed, markers: frozenset[str], customer_id: str) -> Verdict:
    """Search for every marker the document was ever sent with; NoEffectError where the service cannot tell now."""
    found = await service.find(
        Search(
            draft=claimed.draft,
            markers=markers,
            customer_id=customer_id,
            since=(claimed.first_sent_at - timedelta(days=1)).date(),
            newer_than=claimed.floor,
        )
    )
    verdict = judge(found)
    for draft in verdict.drafts:
        await service.delete_draft(draft)
    return verdict


def judge(found: Sequence[IssuedDocument]) -> Verdict:
    """Exactly one living final document is ours; drafts have no legal effect; anything else is for a person."""
    final = [document for document in found if document.final and not document.annulled]
    drafts = tuple(document.provider_id for document in found if not document.final)
    if len(final) > 1:
        numbers = ", ".join(document.number for document in final)
        return Verdict(
            hold=Hold(
                code="several_found",
                message=f"several documents carry this document's marker: {numbers}",
                fix="decide which one stands, annul or credit the others at the service, then release the order",
            )
        )
    if not final and any(document.annulled for document in found):
        return Verdict(
            hold=Hold(
                code="annulled_at_service",
                message="the document was issued, but somebody has annulled it at the service",
                fix="issue by hand if it is still due, then skip the order",
            )
        )
    return Verdict(adopted=final[0] if final else None, drafts=drafts)
