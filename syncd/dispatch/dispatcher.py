"""One account's documents, one at a time, oldest first: claim, send, record."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from syncd.dispatch.annulling import annul
from syncd.dispatch.gateway import Booking, booking
from syncd.dispatch.outcome import Outcome, outcome_of
from syncd.dispatch.proving import Prover
from syncd.dispatch.records import Records
from syncd.dispatch.recovery import Faults, Recovery, undecided
from syncd.dispatch.second_looks import SecondLooks
from syncd.domain.clock import UNMOVED, WallClock
from syncd.domain.document import DocumentKey, IssuedDocument
from syncd.domain.errors import (
    AccountBlockedError,
    MisjudgedAccountError,
    NoEffectError,
    ServiceError,
    StaleReferenceError,
    UncertainError,
)
from syncd.domain.patience import backoff
from syncd.domain.states import DocumentState
from syncd.metrics import Metrics
from syncd.providers.port import InvoicingService, Issue
from syncd.store import accounts, annulments, documents, references
from syncd.store.annulments import Annulling
from syncd.store.documents import Claimed, Claimer, new_marker
from syncd.store.engine import Database, StoreUnavailableError
from syncd.store.looks import SecondLook

log = structlog.get_logger()

IDLE_SECONDS = 1.0
LONGEST_PAUSE = timedelta(minutes=1)  # a paused account that is well again is noticed within this
LONGEST_REST = timedelta(seconds=15)  # a service that is back is noticed within this
# A search that fails without the network's fault fails again: after so many times a person looks.
MOST_SEARCHES = 5
_PASSING_TROUBLE = frozenset({"not_reached", "no_answer", "over_limit"})


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
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = lambda: time.monotonic(),  # noqa: PLW0108 - looked up late: it can be simulated
    ) -> None:
        self._account = account
        self._service = account.service
        self._database = database
        self._metrics = metrics
        self._work = work
        self._jitter = jitter
        self._now = now
        self._wall = WallClock(now, monotonic)
        self._leapt = UNMOVED  # and not yet made good
        self._claimer = Claimer(database, account.name, marker=lambda: f"syncd:{new_marker()}")
        self._prover = Prover(account.name, account.service, database, now=now)
        self._recovery = Recovery(account.name, account.service, database, self._prover, now=now)
        self._looks = SecondLooks(account.name, database, self._recovery, now=now)
        self._records = Records(account.name, database, metrics, now=now)
        self._failures = 0  # in a row, at the service; any sensible answer ends them
        self._check_at = datetime.min.replace(tzinfo=UTC)  # when a paused account is looked at again
        self._blocked = 0  # times in a row that it was; a document that goes through ends them
        self._faults = Faults()
        self._searches: dict[int, int] = {}  # that failed, by document
        self._just_looked = False  # between two second looks a document goes out: they can be many after an outage
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
                # A service in trouble is given its rest: new work must not wake us into asking it again and again.
                await _until(stop, asyncio.Event() if self._failures > 1 else self._work, wait)

    async def step(self) -> float:
        """Do one thing; seconds to wait before the next, 0 for none."""
        if self._unsettled:
            await self._take_over()
        self._leapt += self._wall.leap()
        if self._leapt:
            await self._wait_anew(self._leapt)
        if await self._paused():
            return max(0.0, (self._check_at - self._now()).total_seconds())
        now = self._now()
        look = self._looks.due(now)
        if (claimed := await self._claimer.uncertain(now)) is not None:
            await self._settle(claimed)
        elif look and not self._just_looked:
            await self._look_again(look)
        elif (taken := await annulments.take(self._database, self._account.name, now)) is not None:
            await self._annul(taken)
        elif (claimed := await self._claimer.planned(now)) is not None:
            self._just_looked = False
            await self._issue(claimed)
        elif look:
            await self._look_again(look)
        else:
            return IDLE_SECONDS
        if self._failures < 2:
            return 0.0
        return min(backoff(self._failures - 1, self._jitter()), LONGEST_REST).total_seconds()

    async def _take_over(self) -> None:
        """What was in flight when a process died: uncertain if it was sent, else due again."""
        async with self._database.write() as connection:
            stranded = await documents.stranded(
                connection, self._account.name, now=self._now(), settle=self._account.settle
            )
        await self._looks.load()
        if stranded:
            log.warning("dispatcher.taken_over", account=self._account.name, documents=stranded)
        self._unsettled = False

    async def _wait_anew(self, leap: timedelta) -> None:
        """The clock was set: no search may come before its time has really passed, and no try waits for a day."""
        log.warning("clock.set", account=self._account.name, seconds=round(leap.total_seconds()))
        async with self._database.write() as connection:
            await documents.wait_anew(connection, self._account.name, now=self._now(), settle=self._account.settle)
            await self._looks.shift(connection, leap)
        self._leapt = UNMOVED
        self._check_at = datetime.min.replace(tzinfo=UTC)

    async def _paused(self) -> bool:
        """Whether the account is paused; a paused one that passes its check again goes on by itself."""
        async with self._database.read() as connection:
            pause = await accounts.paused(connection, self._account.name)
        self._metrics.paused.labels(self._account.name).set(1 if pause else 0)
        if pause is None:
            return False
        if self._now() < self._check_at:
            return True
        self._rest_blocked()
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

    def _rest_blocked(self) -> None:
        """Longer each time: an account can pass its check and refuse the next document all the same."""
        self._blocked += 1
        self._check_at = self._now() + min(backoff(self._blocked, self._jitter()), LONGEST_PAUSE)

    async def _issue(self, claimed: Claimed) -> None:
        with self._on_behalf(claimed):
            try:
                issued = await self._send(claimed)
            except MisjudgedAccountError as error:
                verdict = await self._prover.verdict_on(claimed, error)
                await self._failed(claimed, verdict)
                if verdict is error:
                    await self._prover.learn(claimed, error.seen)
            except ServiceError as error:
                await self._failed(claimed, error)
            else:
                await self._succeeded(claimed, issued)

    async def _annul(self, taken: Annulling) -> None:
        with self._on_behalf(taken):
            outcome = await annul(
                self._service,
                self._database,
                taken,
                settle=self._account.settle,
                jitter=self._jitter(),
                now=self._now,
            )
        self._failures = self._failures + 1 if outcome.state is DocumentState.ANNULLING else 0
        await self._pause(outcome)
        self._metrics.documents.labels(self._account.name, taken.key.kind.value, outcome.state.value).inc()

    async def _send(self, claimed: Claimed) -> IssuedDocument:
        originals: Mapping[DocumentKey, IssuedDocument] = {}
        if claimed.draft.references:
            async with self._database.read() as connection:
                originals = await documents.originals(
                    connection, [original.key for original in claimed.draft.references]
                )
        return await self._prover.issue(claimed, Issue(draft=claimed.draft, marker=claimed.marker, originals=originals))

    async def _settle(self, claimed: Claimed) -> None:
        """Look for a document whose outcome is unknown: adopt it, plan it again, or hold it for a person."""
        with self._on_behalf(claimed):
            try:
                verdict = await self._recovery.verdict(claimed)
            except ServiceError as error:
                await self._not_settled(claimed, error)
                return
            self._failures = 0
            self._searches.pop(claimed.id, None)
            if verdict.adopted is not None:
                await self._succeeded(claimed, verdict.adopted, adopted=True)
            elif verdict.hold is not None:
                unclear = Outcome(state=DocumentState.UNCERTAIN, hold=verdict.hold)
                await self._records.not_done(claimed, unclear, verdict.hold.message)
            else:
                absent = Outcome(state=DocumentState.PLANNED)
                if hold := self._faults.hold(claimed.id):
                    absent = Outcome(state=DocumentState.HELD, hold=hold)
                promise = partial(self._looks.promise, claimed=claimed, settle=self._account.settle)
                await self._records.not_done(
                    claimed, absent, hold.message if hold else "certainly absent", also=promise
                )

    async def _not_settled(self, claimed: Claimed, error: ServiceError) -> None:
        """Nothing is known yet: search again later, or have a person do it; a blocked account is paused meanwhile."""
        self._failures += 1
        delay = min(backoff(self._failures + 1, self._jitter()), LONGEST_REST)
        outcome = Outcome(state=DocumentState.UNCERTAIN, delay=delay)
        cause = error if isinstance(error, AccountBlockedError) else error.__cause__
        if isinstance(cause, AccountBlockedError):
            blocked = outcome_of(cause, attempt=1, jitter=1.0, settle=self._account.settle)
            await self._pause(blocked)
        elif error.code not in _PASSING_TROUBLE:
            searches = self._searches[claimed.id] = self._searches.get(claimed.id, 0) + 1
            if searches >= MOST_SEARCHES:
                outcome = replace(outcome, hold=undecided(claimed, error))
                self._searches.pop(claimed.id)
        await self._records.not_done(claimed, outcome, str(error))

    async def _look_again(self, look: SecondLook) -> None:
        self._just_looked = True
        with self._on_behalf(look.claimed):
            try:
                await self._looks.take(look)
            except ServiceError as error:
                self._failures += 1
                later = max(self._account.settle, backoff(self._failures, self._jitter()))
                self._looks.put_off(look, self._now() + later)
                log.warning("document.not_looked_for", document=str(look.claimed.key), why=str(error))
            else:
                self._failures = 0

    async def _succeeded(self, claimed: Claimed, issued: IssuedDocument, *, adopted: bool = False) -> None:
        self._failures = self._blocked = 0
        self._faults.issued(claimed.id)
        await self._records.issued(claimed, issued, adopted=adopted)
        self._work.set()

    async def _failed(self, claimed: Claimed, error: ServiceError) -> None:
        self._faults.note(claimed.id, error)
        outcome = outcome_of(error, attempt=claimed.attempts, jitter=self._jitter(), settle=self._account.settle)
        if isinstance(error, UncertainError | NoEffectError) and not isinstance(error, StaleReferenceError):
            self._failures += 1
        else:
            self._failures = 0
        if isinstance(error, StaleReferenceError):
            async with self._database.write() as connection:
                await references.forget(connection, self._account.name, error.kinds)
        await self._pause(outcome)
        await self._records.not_done(claimed, outcome, str(error))

    async def _pause(self, outcome: Outcome) -> None:
        if outcome.pause is None:
            return
        self._rest_blocked()
        await self._records.paused(outcome.pause)

    @contextmanager
    def _on_behalf(self, claimed: Claimed | Annulling) -> Iterator[None]:
        """Requests inside are booked to this document."""
        token = booking.set(Booking(claimed.id, claimed.key, claimed.marker))
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
