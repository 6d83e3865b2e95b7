"""What a command asks of a service, beside the daemon that issues: behind live documents, and out of half the budget."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from syncd.dispatch.gateway import AccountGateway, JournalledCall
from syncd.dispatch.leases import lease_name
from syncd.providers.port import Purpose
from syncd.store import accounts, claims, leases

# With so much of the budget spent, by whomever, the rest is for documents.
SHARE = 0.5
# Then it leaves all the same: a document that does not get through must not keep a person from asking why.
LONGEST_WAIT_SECONDS = 20.0
LOOK_SECONDS = 0.2


class CommandGateway(AccountGateway):
    """The way out for a command. What other processes send counts in its budget: it looks before each request."""

    @asynccontextmanager
    async def request(self, purpose: Purpose, label: str) -> AsyncIterator[JournalledCall]:
        """Give way, then as ever."""
        await self._give_way()
        async with super().request(purpose, label) as call:
            yield call

    async def _give_way(self) -> None:
        patience_ends = time.monotonic() + LONGEST_WAIT_SECONDS
        while True:
            await self.recover_budget()
            full_for = self._budget.wait_seconds
            if not full_for and (time.monotonic() >= patience_ends or not await self._in_the_way()):
                return
            await asyncio.sleep(min(full_for or LOOK_SECONDS, LOOK_SECONDS))

    async def _in_the_way(self) -> bool:
        """Whether somebody issues for the account who has work for this moment, or soon may."""
        async with self._database.read() as connection:
            if lease_name(self._account) not in await leases.holders(connection):
                return False
            if self._budget.used >= SHARE:
                return True
            if await accounts.paused(connection, self._account):  # nothing goes out, and it may be asked for the cause
                return False
            return await claims.live_due(connection, self._account, datetime.now(UTC))
