"""What became of a document: into the ledger and its order's trail, then the metrics and the log."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.dispatch.outcome import Outcome
from syncd.dispatch.recovery import discrepancy
from syncd.domain.document import IssuedDocument
from syncd.domain.hold import Hold
from syncd.mapping.deadlines import deadline_of
from syncd.metrics import Metrics
from syncd.store import accounts, documents, orders, references, trail
from syncd.store.documents import Claimed
from syncd.store.engine import Database

log = structlog.get_logger()

# More that is to be written down in the same transaction.
Also = Callable[[AsyncConnection], Awaitable[None]]


class Records:
    """One account's."""

    def __init__(self, account: str, database: Database, metrics: Metrics, *, now: Callable[[], datetime]) -> None:
        self._account = account
        self._database = database
        self._metrics = metrics
        self._now = now

    async def issued(self, claimed: Claimed, issued: IssuedDocument, *, adopted: bool = False) -> None:
        """It exists; `adopted` if a search has found it. One that is not what was planned holds its order."""
        hold, now = discrepancy(claimed, issued), self._now()
        async with self._database.write() as connection:
            await documents.record_issued(connection, claimed.id, issued, now=now, hold=hold)
            await references.learn(connection, self._account, claimed.draft, issued)
            await orders.refresh_state(connection, claimed.key.shop, claimed.key.order_id)
            detail = {**trail.figures(claimed.draft, issued), **deadline_of(claimed.draft).overrun(now)}
            await self._tell(connection, claimed, trail.ADOPTED if adopted else trail.ISSUED, detail, now=now)
        result = "discrepancy" if hold else "adopted" if adopted else "issued"
        self._metrics.documents.labels(self._account, claimed.key.kind.value, result).inc()
        self._metrics.issue_seconds.observe(max(0.0, (now - claimed.draft.due_at).total_seconds()))
        log.info("document.done", result=result, account=self._account, document=str(claimed.key), number=issued.number)

    async def not_done(self, claimed: Claimed, outcome: Outcome, why: str, *, also: Also | None = None) -> None:
        """The attempt did not bring it about, or nobody knows; nothing is written if another one has overtaken it."""
        now = self._now()
        async with self._database.write() as connection:
            ours = await documents.record_outcome(
                connection,
                claimed.id,
                outcome.state,
                run_at=now + outcome.delay,
                hold=outcome.hold,
                now=now,
                marker=claimed.marker,
            )
            if not ours:
                log.warning("document.overtaken", account=self._account, document=str(claimed.key))
                return
            await orders.refresh_state(connection, claimed.key.shop, claimed.key.order_id)
            await self._tell(connection, claimed, outcome.state.value, {"why": why}, now=now)
            if also is not None:
                await also(connection)
        self._metrics.documents.labels(self._account, claimed.key.kind.value, outcome.state.value).inc()
        log.warning(
            "document.not_done",
            state=outcome.state.value,
            account=self._account,
            document=str(claimed.key),
            why=why,
        )

    async def paused(self, pause: Hold) -> None:
        """Nothing can be issued on this account until what is wrong with it is mended."""
        async with self._database.write() as connection:
            await accounts.pause(connection, self._account, pause, now=self._now())
        log.error("account.paused", account=self._account, code=pause.code, message=pause.message)

    async def _tell(
        self, connection: AsyncConnection, claimed: Claimed, action: str, detail: Mapping[str, Any], *, now: datetime
    ) -> None:
        told = {"attempt": claimed.attempts, "marker": claimed.marker, **detail}
        await trail.of_document(connection, claimed.key, at=now, action=action, detail=told)
