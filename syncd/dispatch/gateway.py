"""The way out: every request to a service takes a slot of the budget and is written down before it leaves."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.dispatch.throttle import PERIOD_SECONDS, Budget, Slot
from syncd.domain.document import DocumentKey
from syncd.domain.patience import DOWN_AFTER
from syncd.metrics import Metrics
from syncd.providers.port import Purpose, Usage
from syncd.store import attempts, engine, trail
from syncd.store.engine import Database

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Booking:
    """The document on whose behalf requests are made at the moment."""

    document_id: int
    key: DocumentKey
    marker: str


booking: ContextVar[Booking | None] = ContextVar("booking", default=None)


class Fence(Protocol):
    """Lets a request pass only while this process may issue for the account."""

    async def confirm(self, connection: AsyncConnection) -> datetime:
        """Check it in this transaction; the database's time."""

    def ensure_time(self) -> None:
        """Check that a request which leaves now ends in time."""


class JournalledCall:
    """One request under way; remembers the answer's status and what was said for the journal."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self.status: int | None = None
        self.said: dict[str, Mapping[str, object]] = {}

    def note(self, part: Literal["request", "answer"], said: Mapping[str, object]) -> None:
        self.said[part] = said

    def answered(self, usage: Usage) -> None:
        self.status = usage.status
        self._slot.answered(usage)


class AccountGateway:
    """`providers.port.Gateway` for one account."""

    def __init__(self, account: str, database: Database, budget: Budget, metrics: Metrics) -> None:
        self._account = account
        self._database = database
        self._budget = budget
        self._metrics = metrics
        self._pulse = Pulse(account, metrics)
        self._fence: Fence | None = None  # a person's command only asks, which anybody may do

    def require(self, fence: Fence) -> None:
        """From now on nothing leaves that this does not let pass."""
        self._fence = fence

    async def recover_budget(self) -> None:
        """Count what any process sent within the last period: those without an answer as if sent now."""
        async with self._database.read() as connection:
            now = await engine.now(connection)
            recent = await attempts.recent(connection, self._account, now - timedelta(seconds=PERIOD_SECONDS))
        self._budget.restore(
            (now - answered).total_seconds() if answered is not None else 0.0 for _, answered in recent
        )

    @asynccontextmanager
    async def request(self, purpose: Purpose, label: str) -> AsyncIterator[JournalledCall]:
        """Wait, write down, let the request leave; note how it ended, whatever happens to it."""
        async with self._budget.slot() as slot:
            on_behalf = booking.get()
            # Read before the database's clock is: an answer noted too early would free its slot too early elsewhere.
            sent = time.monotonic()
            attempt, sent_at = await self._write_ahead(purpose, label, on_behalf)
            if self._fence is not None:
                self._fence.ensure_time()  # its attempt stays without an end: whoever comes next searches for it
            call = JournalledCall(slot)
            outcome = "no answer"
            try:
                yield call
                outcome = "answered"
            except BaseException as error:
                outcome = type(error).__name__
                raise
            finally:
                self._metrics.requests.labels(self._account, purpose.value, str(call.status or "none")).inc()
                self._metrics.throttle.labels(self._account).set(self._budget.used)
                self._pulse.felt(call.status, outcome)
                ended_at = sent_at + timedelta(seconds=time.monotonic() - sent)
                answered_at = ended_at if call.status is not None else None
                async with self._database.write() as connection:
                    await attempts.end(
                        connection, attempt, answered_at=answered_at, status=call.status, outcome=outcome
                    )
                    if on_behalf is not None:
                        await trail.of_document(
                            connection,
                            on_behalf.key,
                            at=ended_at,
                            action=trail.REQUEST,
                            detail={
                                "attempt_id": attempt,
                                "purpose": purpose.value,
                                "label": label,
                                "marker": on_behalf.marker,
                                "sent_at": sent_at.isoformat(),
                                "answered_at": answered_at.isoformat() if answered_at else None,
                                "status": call.status,
                                "outcome": outcome,
                                **call.said,
                            },
                        )

    async def _write_ahead(self, purpose: Purpose, label: str, on_behalf: Booking | None) -> tuple[int, datetime]:
        """The attempt's id and time, by the database's clock: another process may have to count it."""
        async with self._database.write() as connection:
            now = await (engine.now if self._fence is None else self._fence.confirm)(connection)
            attempt = await attempts.begin(
                connection,
                account=self._account,
                document_id=on_behalf.document_id if on_behalf else None,
                purpose=purpose.value,
                label=label,
                marker=on_behalf.marker if on_behalf else "",
                sent_at=now,
            )
        return attempt, now


class Pulse:
    """Whether a service answers at all, as this process feels it: the metric, and a line in the log at each turn."""

    def __init__(self, account: str, metrics: Metrics) -> None:
        self._account = account
        self._up = metrics.service_up.labels(account)
        self._up.set(1)
        self._silences = 0
        self._down_since: float | None = None

    def felt(self, status: int | None, outcome: str) -> None:
        """A request ended: with this status, or with none and the name of an error."""
        if status is not None and status < 500:
            self._back()
        elif outcome != asyncio.CancelledError.__name__:  # that was ours
            self._silences += 1
            if self._silences == DOWN_AFTER:
                self._down_since = time.monotonic()
                self._up.set(0)
                log.warning("service.down", account=self._account, status=status, error=outcome)

    def _back(self) -> None:
        self._silences = 0
        if self._down_since is not None:
            log.info("service.up", account=self._account, seconds=round(time.monotonic() - self._down_since))
            self._down_since = None
            self._up.set(1)
