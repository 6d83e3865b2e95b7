"""The way out: every request to a service takes a slot of the budget and is written down before it leaves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from syncd.dispatch.throttle import PERIOD_SECONDS, Budget, Slot
from syncd.metrics import Metrics
from syncd.providers.port import Purpose, Usage
from syncd.store import attempts
from syncd.store.engine import Database


@dataclass(frozen=True, slots=True)
class Booking:
    """The document on whose behalf requests are made at the moment."""

    document_id: int
    marker: str


booking: ContextVar[Booking | None] = ContextVar("booking", default=None)


class JournalledCall:
    """One request under way; remembers the answer's status for the journal."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self.status: int | None = None

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

    async def recover_budget(self) -> None:
        """Count what an earlier process sent within the last period: those without an answer as if sent now."""
        now = datetime.now(UTC)
        async with self._database.read() as connection:
            recent = await attempts.recent(connection, self._account, now - timedelta(seconds=PERIOD_SECONDS))
        self._budget.restore(
            (now - answered).total_seconds() if answered is not None else 0.0 for _, answered in recent
        )

    @asynccontextmanager
    async def request(self, purpose: Purpose, label: str) -> AsyncIterator[JournalledCall]:
        """Wait, write down, let the request leave; note how it ended, whatever happens to it."""
        on_behalf = booking.get()
        async with self._budget.slot() as slot:
            async with self._database.write() as connection:
                attempt = await attempts.begin(
                    connection,
                    account=self._account,
                    document_id=on_behalf.document_id if on_behalf else None,
                    purpose=purpose.value,
                    label=label,
                    marker=on_behalf.marker if on_behalf else "",
                    sent_at=datetime.now(UTC),
                )
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
                async with self._database.write() as connection:
                    await attempts.end(
                        connection,
                        attempt,
                        answered_at=datetime.now(UTC) if call.status is not None else None,
                        status=call.status,
                        outcome=outcome,
                    )
