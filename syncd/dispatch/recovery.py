"""Documents whose outcome is unknown: look for the marker, then adopt what is there or plan it again.

A second document of ours should never have existed and has reached nobody, so it is annulled; what the service will not
annul is told to a person.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from syncd.dispatch.proving import Prover
from syncd.dispatch.verify import differences
from syncd.domain.document import IssuedDocument
from syncd.domain.errors import RefusedError, ServiceError, UncertainError
from syncd.domain.hold import Hold
from syncd.providers.port import InvoicingService, Search
from syncd.store import documents, references, trail
from syncd.store.documents import Claimed
from syncd.store.engine import Database

# The same fault after so many searches that found nothing is no accident.
MOST_FAULTS = 5
DUPLICATE = "Documento emitido em duplicado"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a search proved: the one final document, or none; `hold` where a person must look. `drafts` go.

    `found` are all living final documents, `annulled` the second ones among those that were.
    """

    adopted: IssuedDocument | None = None
    hold: Hold | None = None
    drafts: tuple[str, ...] = ()
    found: tuple[IssuedDocument, ...] = ()
    annulled: tuple[IssuedDocument, ...] = ()


class Faults:
    """Answers of status 5xx that turned out to have had no effect, by document.

    A service's own trouble passes. But an answer that tells one of the service's own codes, or that comes while other
    documents go through, is about the document itself when it comes again and again: a person has to see it, or it
    would go round for ever.
    """

    def __init__(self) -> None:
        self._seen: dict[int, _Fault] = {}

    def note(self, document_id: int, error: ServiceError) -> None:
        """An attempt ended so; any other answer than the last one begins the count anew."""
        status = error.answer.status
        if not isinstance(error, UncertainError) or status is None or status < 500:
            self._seen.pop(document_id, None)
            return
        last = self._seen.get(document_id)
        if last is None or last.text != str(error):
            self._seen[document_id] = _Fault(
                text=str(error), own=any(code[:1].isdecimal() for code in error.answer.codes)
            )
        else:
            last.times += 1

    def issued(self, document_id: int) -> None:
        """One document went through: what happens to the others meanwhile is their own."""
        self._seen.pop(document_id, None)
        for fault in self._seen.values():
            fault.own = True

    def hold(self, document_id: int) -> Hold | None:
        """The evidence for a person, once it is enough."""
        fault = self._seen.get(document_id)
        if fault is None or not fault.own or fault.times < MOST_FAULTS:
            return None
        return Hold(
            code="service_fault",
            message=f"{fault.times} times in a row the service answered the same, and nothing had come into being: "
            f"{fault.text}",
            fix="look whether the service minds something in this document; correct it, then retry the order",
        )


@dataclass(slots=True)
class _Fault:
    text: str
    own: bool  # the document's, not the service's
    times: int = 1


class Recovery:
    """Finds out what became of one account's documents at the service."""

    def __init__(
        self,
        account: str,
        service: InvoicingService,
        database: Database,
        prover: Prover,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._service = service
        self._database = database
        self._prover = prover
        self._now = now
        self._directory = references.LedgerDirectory(database, account)

    async def verdict(self, claimed: Claimed, *, keep: str = "") -> Verdict:
        """Search, and remove drafts and duplicates that turn up; ServiceError where the service cannot tell now.

        `keep` is the id of the document that the ledger has; without one, the first that came into being is it.
        """
        verdict = await settle(self._service, await self._search(claimed), keep=keep)
        for document in verdict.annulled:
            log.error("document.duplicate_annulled", document=str(claimed.key), number=document.number)
            told = {"number": document.number, "provider_id": document.provider_id, "marker": document.marker}
            async with self._database.write() as connection:
                await trail.of_document(
                    connection, claimed.key, at=self._now(), action="duplicate_annulled", detail=told
                )
        await self._prover.forget_draft(claimed)
        return verdict

    async def _search(self, claimed: Claimed) -> Search:
        """Where to look: every marker it was ever sent with, from the day before it was first sent."""
        async with self._database.read() as connection:
            markers = await documents.markers(connection, claimed.id)
        code = claimed.draft.customer.code
        known = await self._directory.get("customer", (code,))
        return Search(
            draft=claimed.draft,
            markers=markers,
            customer_id=known.get(code, ""),
            since=(claimed.first_sent_at - timedelta(days=1)).date(),
            newer_than=claimed.floor,
        )


async def settle(service: InvoicingService, search: Search, *, keep: str = "") -> Verdict:
    """What `Recovery.verdict` asks of the service."""
    verdict = judge(await service.find(search))
    for draft in verdict.drafts:
        await service.delete_draft(draft)
    kept = keep or min((document.provider_id for document in verdict.found), key=_age, default="")
    annulled = await _annul_duplicates(service, verdict.found, kept)
    if not annulled:
        return verdict
    left = [document for document in verdict.found if document not in annulled]
    return replace(judge(left), drafts=verdict.drafts, annulled=annulled)


async def _annul_duplicates(
    service: InvoicingService, found: Sequence[IssuedDocument], kept: str
) -> tuple[IssuedDocument, ...]:
    """Annul what another attempt of ours has issued beside the document that is kept.

    Each attempt has a marker of its own, so two markers prove two attempts. Where one stands on several documents somebody
    has copied them, which is for a person; so is what the service refuses to annul.
    """
    carried = Counter(document.marker for document in found)
    first = next((document for document in found if document.provider_id == kept), None)
    if first is None or service.capabilities.annuls is None:
        return ()
    annulled = []
    for document in found:
        if document is first or carried[document.marker] > 1:
            continue
        try:
            await service.annul(document.provider_id, DUPLICATE)
        except RefusedError:
            continue
        annulled.append(document)
    return tuple(annulled)


def _age(provider_id: str) -> tuple[int, str]:
    return len(provider_id), provider_id


def judge(found: Sequence[IssuedDocument]) -> Verdict:
    """Exactly one living final document is ours; drafts have no legal effect; anything else is for a person."""
    final = tuple(document for document in found if document.final and not document.annulled)
    drafts = tuple(document.provider_id for document in found if not document.final)
    hold = None
    if len(final) > 1:
        numbers = ", ".join(document.number for document in final)
        hold = Hold(
            code="several_found",
            message=f"several documents carry this document's marker: {numbers}",
            fix="decide which one stands, annul or credit the others at the service, then release the order",
        )
    elif not final and (annulled := [document.number for document in found if document.annulled]):
        hold = Hold(
            code="annulled_at_service",
            message=f"the document was issued, but somebody has annulled it at the service: {', '.join(annulled)}",
            fix="issue by hand if it is still due, then skip the order",
        )
    return Verdict(adopted=final[0] if len(final) == 1 else None, hold=hold, drafts=drafts, found=final)


def undecided(claimed: Claimed, error: ServiceError) -> Hold:
    """The evidence for a person, where searching has failed time and again."""
    return Hold(
        code="search_failed",
        message=f"sent at {claimed.first_sent_at:%Y-%m-%d %H:%M:%S %Z} with the marker {claimed.marker}, "
        f"the answer was lost, and it cannot be looked for: {error}",
        fix=error.fix or "look for the marker at the service; then release the order to have it looked for again",
    )


def discrepancy(claimed: Claimed, issued: IssuedDocument) -> Hold | None:
    """The hold for a document that is not what was planned."""
    wrong = differences(claimed.draft, issued)
    if not wrong:
        return None
    return Hold(
        code="discrepancy",
        message=f"{issued.number} shows {'; '.join(wrong[:4])}",
        fix="correct it at the service by hand; it is never issued again by itself",
    )
