"""One issuer per account, however many processes run.

A process that holds an account renews its lease in every transaction that the dispatcher writes, the one that writes
a request ahead among them: who has lost the account can neither claim, nor send, nor record. So a request leaves with
the whole lease before it, and as a time-out is shorter than a lease, it has ended before anybody else may begin.

What remains is a process that is stopped between the last look at the clock and the socket, and wakes up after its
lease. Its request was written ahead, so the next issuer finds it, waits for the settle time and searches for it.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.dispatch.gateway import AccountGateway
from syncd.domain.errors import SyncdError
from syncd.metrics import Metrics
from syncd.store import leases
from syncd.store.engine import Database, StoreUnavailableError

log = structlog.get_logger()

# How often a lease is renewed and asked for, in its own length.
RENEWALS = 4
LONGEST_PAUSE = timedelta(seconds=1)


class LeaseLostError(SyncdError):
    """Another process issues for this account, or may do so before a request could end: send and record nothing."""

    def __init__(self, account: str) -> None:
        super().__init__(f"account {account} is no longer held by this process", code="lease_lost")


def lease_name(account: str) -> str:
    """What the right to issue for an account is called in the ledger."""
    return f"issue:{account}"


class Lease:
    """One account's lease, held by this process or not; `timeout` is the longest that a request takes."""

    def __init__(self, database: Database, account: str, *, owner: str, length: timedelta, timeout: timedelta) -> None:
        self._database = database
        self._account = account
        self._owner = owner
        self._length = length
        self._spare = (length - timeout).total_seconds()
        self._tenure: leases.Tenure | None = None
        self._safe_until = 0.0  # a request that leaves before, by our own clock, ends within the lease

    @property
    def pause(self) -> float:
        """Seconds between two renewals, or two attempts to take it."""
        return (self._length / RENEWALS).total_seconds()

    async def take(self) -> bool:
        """Try once; True if it is ours now."""
        name = lease_name(self._account)
        self._tenure = await leases.take(self._database, name, owner=self._owner, length=self._length)
        return self._tenure is not None

    async def confirm(self, connection: AsyncConnection) -> datetime:
        """Renew it in this transaction; the database's time. LeaseLostError if it is no longer ours."""
        asked = time.monotonic()
        at = await leases.renew(connection, self._tenure, length=self._length) if self._tenure else None
        if at is None:
            raise LeaseLostError(self._account)
        self._safe_until = asked + self._spare
        return at

    def ensure_time(self) -> None:
        """LeaseLostError if a request that left now might outlive the lease: this process slept since it was renewed."""
        if time.monotonic() > self._safe_until:
            raise LeaseLostError(self._account)

    async def keep(self) -> None:
        """Renew it for ever, also while nothing is written; LeaseLostError once it is lost."""
        while True:
            await asyncio.sleep(self.pause)
            # Without a database nobody else can take it either, and nothing is sent.
            with suppress(StoreUnavailableError):
                async with self._database.write() as connection:
                    await self.confirm(connection)

    async def release(self) -> None:
        """Let another process have it at once; an unreachable database lets it run out."""
        if self._tenure is not None:
            with suppress(StoreUnavailableError):
                await leases.release(self._database, self._tenure)
        self._tenure = None


class Worker(Protocol):
    """What works for the account while it is held."""

    async def run(self, stop: asyncio.Event) -> None:
        """Until stopped."""


class Issuer:
    """Waits for an account's lease and works while it lasts; each time with a new worker that trusts no memory."""

    def __init__(
        self, account: str, lease: Lease, gateway: AccountGateway, metrics: Metrics, *, worker: Callable[[], Worker]
    ) -> None:
        self._account = account
        self._lease = lease
        self._gateway = gateway
        self._metrics = metrics
        self._worker = worker
        gateway.require(lease)

    async def run(self, stop: asyncio.Event) -> None:
        """Until stopped; then the lease is given back, so that another process goes on without waiting."""
        self._holding(held=False)
        while not stop.is_set():
            try:
                if await self._lease.take():
                    await self._hold(stop)
                    continue
            except* LeaseLostError:
                log.warning("lease.lost", account=self._account)
            except* StoreUnavailableError as errors:
                log.warning("lease.store_unavailable", account=self._account, error=str(errors.exceptions[0]))
            finally:
                self._holding(held=False)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), min(self._lease.pause, LONGEST_PAUSE.total_seconds()))

    async def _hold(self, stop: asyncio.Event) -> None:
        """Work until stopped or lost. Losing it cancels even a request under way: it is the next issuer's to settle."""
        await self._gateway.recover_budget()
        self._holding(held=True)
        log.info("lease.taken", account=self._account)
        async with asyncio.TaskGroup() as tasks:
            keeper = tasks.create_task(self._lease.keep(), name=f"lease:{self._account}")
            await self._worker().run(stop)
            keeper.cancel()
        await self._lease.release()

    def _holding(self, *, held: bool) -> None:
        self._metrics.issuing.labels(self._account).set(1 if held else 0)
