"""One account's documents, one at a time, oldest first: claim, send, record."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.dispatch import recovery
from syncd.dispatch.gateway import Booking, booking
from syncd.dispatch.outcome import Outcome, outcome_of
from syncd.dispatch.verify import differences, shape_of
from syncd.domain.document import DocumentKey, IssuedDocument
from syncd.domain.errors import (
    DiscrepancyError,
    NoEffectError,
    RefusedError,
    ServiceError,
    StaleReferenceError,
    UncertainError,
)
from syncd.domain.hold import Hold
from syncd.domain.patience import backoff
from syncd.domain.states import DocumentState
from syncd.metrics import Metrics
from syncd.providers.port import InvoicingService, Issue
from syncd.store import accounts, documents, orders, references, trail
from syncd.store.documents import Claimed, Claimer, new_marker
from syncd.store.engine import Database, StoreUnavailableError

log = structlog.get_logger()

IDLE_SECONDS = 1.0
PAUSE_CHECK_SECONDS = 60.0
# Kinds of references: document shapes that the service was seen to add up as planned, and those that it did not.
PROVEN, BLOCKED = "proven_shape", "blocked_shape"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An invoicing account as the dispatcher needs it."""

    name: str
    service: InvoicingService
    settle: timedelta


class Dispatcher:
    """Works off one account. Sequential on purpose: documents of a series keep their order, dates never go back."""

    def __init__(
        self,
        account: Account,
        database: Database,
        metrics: Metrics,
        *,
        work: asyncio.Event,
        jitter: Callable[[], float] = lambda: random.uniform(0.8, 1.2),  # noqa: S311 - spreads retries, no secret
    ) -> None:
        self._account = account
        self._service = account.service
        self._database = database
        self._metrics = metrics
        self._work = work
        self._jitter = jitter
        self._claimer = Claimer(database, account.name, marker=lambda: f"syncd:{new_marker()}")
        self._directory = references.LedgerDirectory(database, account.name)
        self._failures = 0  # in a row, at the service; any sensible answer ends them
        self._check_at = 0.0  # when a paused account is looked at again
        self._unsettled = True  # something may have been left in flight by an earlier process or a lost database

    async def run(self, stop: asyncio.Event) -> None:
        """Until stopped; a stop never cuts a request in two."""
        while not stop.is_set():
            self._work.clear()
            try:
                wait = await self.step()
            except StoreUnavailableError as error:
                self._unsettled = True
                log.warning("dispatcher.store_unavailable", account=self._account.name, error=str(error))
                wait = IDLE_SECONDS
            if wait:
                await _until(stop, self._work, wait)

    async def step(self) -> float:
        """Do one thing; seconds to wait before the next, 0 for none."""
        if self._unsettled:
            await self._take_over()
        if await self._paused():
            return PAUSE_CHECK_SECONDS
        now = datetime.now(UTC)
        if (claimed := await self._claimer.uncertain(now)) is not None:
            await self._settle(claimed)
        elif (claimed := await self._claimer.planned(now)) is not None:
            await self._issue(claimed)
        else:
            return IDLE_SECONDS
        return backoff(self._failures - 1, self._jitter()).total_seconds() if self._failures > 1 else 0.0

    async def _take_over(self) -> None:
        """What was in flight when a process died: uncertain if it was sent, else due again."""
        async with self._database.write() as connection:
            stranded = await documents.stranded(
                connection, self._account.name, now=datetime.now(UTC), settle=self._account.settle
            )
        if stranded:
            log.warning("dispatcher.taken_over", account=self._account.name, documents=stranded)
        self._unsettled = False

    async def _paused(self) -> bool:
        """Whether the account is paused; a paused one that passes its check again goes on by itself."""
        async with self._database.read() as connection:
            pause = await accounts.paused(connection, self._account.name)
        self._metrics.paused.labels(self._account.name).set(1 if pause else 0)
        if pause is None:
            return False
        if time.monotonic() < self._check_at:
            return True
        self._check_at = time.monotonic() + PAUSE_CHECK_SECONDS
        try:
            findings = await self._service.check()
        except ServiceError as error:
            log.info("account.still_paused", account=self._account.name, code=pause.code, error=str(error))
            return True
        if any(not finding.ok for finding in findings):
            return True
        async with self._database.write() as connection:
            await accounts.resume(connection, self._account.name)
        log.info("account.resumed", account=self._account.name, code=pause.code)
        return False

    async def _issue(self, claimed: Claimed) -> None:
        with self._on_behalf(claimed):
            try:
                issued = await self._send(claimed)
            except ServiceError as error:
                await self._failed(claimed, error)
            else:
                await self._succeeded(claimed, issued)

    async def _send(self, claimed: Claimed) -> IssuedDocument:
        """One request for a shape that is proven; a shape's first document goes out as a draft before it is final."""
        originals = await self._originals(claimed)
        shape = shape_of(claimed.draft)
        final = Issue(draft=claimed.draft, marker=claimed.marker, originals=originals)
        if not (self._service.capabilities.drafts and claimed.draft.lines):
            return await self._service.issue(final)
        if await self._directory.get(PROVEN, (shape,)):
            return await self._service.issue(final)
        if await self._directory.get(BLOCKED, (shape,)):
            raise RefusedError(
                f"an earlier document of this shape ({shape}) did not add up at the service",
                code="shape_blocked",
                fix="settle that order first; retrying either of them proves the shape again",
            )
        draft = await self._service.issue(
            Issue(draft=claimed.draft, marker=claimed.marker, originals=originals, as_draft=True)
        )
        if wrong := differences(claimed.draft, draft):
            await self._service.delete_draft(draft.provider_id)
            await self._remember(shape, BLOCKED)
            raise RefusedError(
                f"as a draft the service shows {'; '.join(wrong[:4])}",
                code="arithmetic_mismatch",
                fix="compare the account's rounding and price settings (fiscal.arithmetic), then retry the order",
            )
        issued = await self._service.issue(
            Issue(draft=claimed.draft, marker=claimed.marker, originals=originals, finalise=draft.provider_id)
        )
        await self._remember(shape, PROVEN)
        return issued

    async def _originals(self, claimed: Claimed) -> Mapping[DocumentKey, IssuedDocument]:
        keys = [reference.key for reference in claimed.draft.references]
        if not keys:
            return {}
        async with self._database.read() as connection:
            return await documents.originals(connection, keys)

    async def _remember(self, shape: str, proof: str) -> None:
        async with self._database.write() as connection:
            await references.put_many(connection, self._account.name, proof, {shape: datetime.now(UTC).isoformat()})

    async def _settle(self, claimed: Claimed) -> None:
        with self._on_behalf(claimed):
            async with self._database.read() as connection:
                markers = await documents.markers(connection, claimed.id)
            known = await self._directory.get("customer", (claimed.draft.customer.code,))
            try:
                verdict = await recovery.settle(
                    self._service, claimed, markers, known.get(claimed.draft.customer.code, "")
                )
            except ServiceError as error:
                self._failures += 1
                delay = backoff(self._failures + 1, self._jitter())
                await self._record(claimed, Outcome(state=DocumentState.UNCERTAIN, delay=delay), str(error))
                return
            self._failures = 0
            if verdict.adopted is not None:
                await self._succeeded(claimed, verdict.adopted, adopted=True)
            elif verdict.hold is not None:
                await self._record(claimed, Outcome(state=DocumentState.UNCERTAIN, hold=verdict.hold), "several found")
            else:
                await self._record(claimed, Outcome(state=DocumentState.PLANNED), "certainly absent")

    async def _succeeded(self, claimed: Claimed, issued: IssuedDocument, *, adopted: bool = False) -> None:
        self._failures = 0
        wrong = differences(claimed.draft, issued)
        hold = None
        if wrong:
            error = DiscrepancyError(
                f"{issued.number} shows {'; '.join(wrong[:4])}",
                code="discrepancy",
                fix="correct it at the service by hand; it is never issued again by itself",
            )
            hold = Hold(code=error.code, message=str(error), fix=error.fix)
        now = datetime.now(UTC)
        async with self._database.write() as connection:
            await documents.record_issued(connection, claimed.id, issued, now=now, hold=hold)
            await self._learn(connection, claimed, issued)
            await orders.refresh_state(connection, claimed.key.shop, claimed.key.order_id)
            await self._write_trail(connection, claimed, "adopted" if adopted else "issued", {"number": issued.number})
        result = "discrepancy" if wrong else "adopted" if adopted else "issued"
        self._metrics.documents.labels(self._account.name, claimed.key.kind.value, result).inc()
        self._metrics.issue_seconds.observe(max(0.0, (now - claimed.draft.due_at).total_seconds()))
        log.info(
            "document.done", result=result, account=self._account.name, document=str(claimed.key), number=issued.number
        )
        self._work.set()

    async def _learn(self, connection: AsyncConnection, claimed: Claimed, issued: IssuedDocument) -> None:
        """Keep the service's ids: known customers and articles go by id, and a search finds them."""
        customer = claimed.draft.customer
        if issued.customer_id:
            await references.put_many(connection, self._account.name, "customer", {customer.code: issued.customer_id})
        articles = {
            line.code: answered.article_id
            for line, answered in zip(claimed.draft.lines, issued.lines, strict=False)
            if answered.article_id and not claimed.draft.references
        }
        if articles:
            await references.put_many(connection, self._account.name, "article", articles)

    async def _failed(self, claimed: Claimed, error: ServiceError) -> None:
        outcome = outcome_of(error, attempt=claimed.attempts, jitter=self._jitter(), settle=self._account.settle)
        if isinstance(error, UncertainError | NoEffectError) and not isinstance(error, StaleReferenceError):
            self._failures += 1
        else:
            self._failures = 0
        if isinstance(error, StaleReferenceError):
            async with self._database.write() as connection:
                await references.forget(connection, self._account.name, error.kinds)
        if outcome.pause is not None:
            async with self._database.write() as connection:
                await accounts.pause(connection, self._account.name, outcome.pause, now=datetime.now(UTC))
            log.error(
                "account.paused", account=self._account.name, code=outcome.pause.code, message=outcome.pause.message
            )
        await self._record(claimed, outcome, str(error))

    async def _record(self, claimed: Claimed, outcome: Outcome, why: str) -> None:
        now = datetime.now(UTC)
        async with self._database.write() as connection:
            await documents.record_outcome(
                connection, claimed.id, outcome.state, run_at=now + outcome.delay, hold=outcome.hold, now=now
            )
            await orders.refresh_state(connection, claimed.key.shop, claimed.key.order_id)
            await self._write_trail(connection, claimed, outcome.state.value, {"why": why})
        self._metrics.documents.labels(self._account.name, claimed.key.kind.value, outcome.state.value).inc()
        log.warning(
            "document.not_done",
            state=outcome.state.value,
            account=self._account.name,
            document=str(claimed.key),
            why=why,
        )

    async def _write_trail(
        self, connection: AsyncConnection, claimed: Claimed, action: str, detail: dict[str, object]
    ) -> None:
        await trail.write(
            connection,
            at=datetime.now(UTC),
            shop=claimed.key.shop,
            order_id=claimed.key.order_id,
            document_key=str(claimed.key),
            actor="syncd",
            action=action,
            detail={"attempt": claimed.attempts, "marker": claimed.marker, **detail},
        )

    @contextmanager
    def _on_behalf(self, claimed: Claimed) -> Iterator[None]:
        """Requests inside are booked to this document."""
        token = booking.set(Booking(claimed.id, claimed.marker))
        try:
            yield
        finally:
            booking.reset(token)


async def _until(stop: asyncio.Event, work: asyncio.Event, seconds: float) -> None:
    """Wait for either event or the time."""
    waiters = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(work.wait())]
    try:
        await asyncio.wait(waiters, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()
