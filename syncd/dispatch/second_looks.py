"""A request can stay on its way for longer than the settle time, so what was found absent is looked for once more.

What surfaces then is adopted; beside a document that was issued meanwhile it is a second one, and `recovery` annuls it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.dispatch.recovery import Recovery, discrepancy
from syncd.domain.document import IssuedDocument
from syncd.domain.states import DocumentState
from syncd.store import documents, looks, orders, trail
from syncd.store.documents import Claimed
from syncd.store.engine import Database
from syncd.store.looks import SecondLook

# In settle times. Proxies give a request up after minutes; beyond, only an audit can tell.
AFTER = 10

log = structlog.get_logger()


class SecondLooks:
    """One account's looks that are still to come. The ledger has them; here they are at hand."""

    def __init__(self, account: str, database: Database, recovery: Recovery, *, now: Callable[[], datetime]) -> None:
        self._account = account
        self._database = database
        self._recovery = recovery
        self._now = now
        self._waiting: dict[int, SecondLook] = {}

    async def load(self) -> None:
        """Those that an earlier process, or this one before it lost the database, has promised."""
        async with self._database.read() as connection:
            self._waiting = await looks.waiting(connection, self._account)

    def due(self, now: datetime) -> SecondLook | None:
        """The one that is the longest due."""
        due = [look for look in self._waiting.values() if look.at <= now]
        return min(due, key=lambda look: look.at, default=None)

    async def promise(self, connection: AsyncConnection, claimed: Claimed, settle: timedelta) -> None:
        """It was found absent just now, and will be sent again."""
        look = SecondLook(at=self._now() + AFTER * settle, claimed=claimed)
        await looks.note(connection, self._account, look)
        self._waiting[claimed.id] = look

    async def shift(self, connection: AsyncConnection, leap: timedelta) -> None:
        """The clock was set by so much."""
        shifted = {known: replace(look, at=look.at + leap) for known, look in self._waiting.items()}
        await looks.note(connection, self._account, *shifted.values())
        self._waiting = shifted

    def put_off(self, look: SecondLook, until: datetime) -> None:
        """The service could not tell; a process that dies before then looks at once."""
        self._waiting[look.claimed.id] = replace(look, at=until)

    async def take(self, look: SecondLook) -> None:
        """Look, and record what surfaced late. ServiceError where the service cannot tell now."""
        claimed = look.claimed
        async with self._database.read() as connection:
            known = (await documents.originals(connection, [claimed.key])).get(claimed.key)
        verdict = await self._recovery.verdict(claimed, keep=known.provider_id if known else "")
        now = self._now()
        attempt = {"attempt": claimed.attempts, "marker": claimed.marker}
        async with self._database.write() as connection:
            late = await _take_in(connection, claimed, verdict.found, now=now)
            await looks.done(connection, self._account, look)
            for document in late:
                told = {**attempt, **trail.figures(claimed.draft, document)}
                await trail.of_document(connection, claimed.key, at=now, action=trail.SURFACED_LATE, detail=told)
            if not late:
                told = {**attempt, "found": len(verdict.found)}
                await trail.of_document(connection, claimed.key, at=now, action="looked_again", detail=told)
        del self._waiting[claimed.id]
        for document in late:
            log.error("document.surfaced_late", document=str(claimed.key), number=document.number)


async def _take_in(
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
