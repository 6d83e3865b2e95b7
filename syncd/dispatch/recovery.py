"""Documents whose outcome is unknown: look for the marker, then adopt what is there or plan it again.

A request can stay on its way for longer than the settle time. So a document that was found absent and planned again is
looked for once more later: what surfaces then is adopted. A second one beside it should never have existed and has reached
nobody, so it is annulled; what the service will not annul is told to a person.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache

import structlog
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.dispatch.verify import differences
from syncd.domain.document import IssuedDocument
from syncd.domain.errors import RefusedError, ServiceError, UncertainError
from syncd.domain.hold import Hold
from syncd.domain.states import DocumentState
from syncd.providers.port import InvoicingService, Search
from syncd.store import documents, orders, references, trail
from syncd.store.documents import Claimed
from syncd.store.engine import Database

# The kind of reference under which documents that were found absent wait for their second look.
SECOND_LOOK = "second_look"
# In settle times. Proxies give a request up after minutes; beyond, only an audit can tell.
SECOND_LOOK_AFTER = 10
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondLook:
    """A document as it was sent when it was found absent, and when to look for it again."""

    at: datetime
    claimed: Claimed

    @classmethod
    def after(cls, claimed: Claimed, now: datetime, settle: timedelta) -> "SecondLook":
        return cls(at=now + SECOND_LOOK_AFTER * settle, claimed=claimed)


class Faults:
    """Answers of status 5xx that turned out to have had no effect, by document.

    A service's own trouble passes. But an answer that tells one of the service's own codes, or that comes while other documents go through,
    is about the document itself when it comes again and again: a person has to see it, or it would go round for ever.
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


def search_for(claimed: Claimed, markers: frozenset[str], customer_id: str) -> Search:
    """Where to look for a document: every marker it was ever sent with, from the day before it was first sent."""
    return Search(
        draft=claimed.draft,
        markers=markers,
        customer_id=customer_id,
        since=(claimed.first_sent_at - timedelta(days=1)).date(),
        newer_than=claimed.floor,
    )


async def settle(service: InvoicingService, search: Search, *, keep: str = "") -> Verdict:
    """Search, and remove drafts and duplicates that turn up; ServiceError where the service cannot tell now.

    `keep` is the id of the document that the ledger has; without one, the first that came into being is it.
    """
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


async def tell_of_duplicates(database: Database, claimed: Claimed, verdict: Verdict, *, now: datetime) -> None:
    """Write down which second documents were annulled."""
    for document in verdict.annulled:
        log.error("document.duplicate_annulled", document=str(claimed.key), number=document.number)
        async with database.write() as connection:
            await trail.write(
                connection,
                at=now,
                shop=claimed.key.shop,
                order_id=claimed.key.order_id,
                document_key=str(claimed.key),
                actor="syncd",
                action="duplicate_annulled",
                detail={"number": document.number, "provider_id": document.provider_id, "marker": document.marker},
            )


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


async def take_in(
    connection: AsyncConnection, claimed: Claimed, found: Sequence[IssuedDocument], *, now: datetime
) -> list[IssuedDocument]:
    """Record what surfaced late; returns the documents that the ledger did not know.

    Beside an issued document it is a duplicate, and the order is held; else it is the document, and the order is
    planned again, because it may have changed in the belief that there was none.
    """
    key = claimed.key
    await orders.lock_all(connection, [(key.shop, key.order_id)])
    rows = await documents.of_order(connection, key.shop, key.order_id)
    row = next(row for row in rows if row.id == claimed.id)
    if row.state in (DocumentState.ISSUING, DocumentState.UNCERTAIN):
        return []  # sent again, and not answered: that search finds all of them
    late = [document for document in found if document.provider_id != row.provider_id]
    for document in late:
        hold = discrepancy(claimed, document)
        await documents.record_issued(connection, claimed.id, document, now=now, hold=hold)
    if late:
        await orders.replan(connection, key.shop, key.order_id, now=now)
        await orders.refresh_state(connection, key.shop, key.order_id)
    return late


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


async def second_looks(directory: references.LedgerDirectory) -> dict[int, SecondLook]:
    """All that still wait, by document."""
    noted = await directory.table(SECOND_LOOK)
    return {int(document_id): _looks().validate_json(text) for document_id, text in noted.items()}


async def note_look(connection: AsyncConnection, account: str, look: SecondLook) -> None:
    entry = {str(look.claimed.id): _looks().dump_json(look).decode()}
    await references.put_many(connection, account, SECOND_LOOK, entry)


async def keep_looks(connection: AsyncConnection, account: str, looks: Mapping[int, SecondLook]) -> None:
    """These looks and no others are still to come."""
    await references.forget(connection, account, (SECOND_LOOK,))
    for look in looks.values():
        await note_look(connection, account, look)


@cache
def _looks() -> TypeAdapter[SecondLook]:
    return TypeAdapter(SecondLook)
