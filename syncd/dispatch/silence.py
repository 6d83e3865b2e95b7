"""Frees what processes hold that were stopped in the middle of an exchange with Postgres.

The server itself ends a session that falls silent between two statements of a transaction. It takes one for busy whose
driver has had a statement prepared and has not run it yet; no time-out of the server (before version 17) counts there, and
its locks, an order's or a lease's, would hold everybody up until somebody ends that process.
"""

import asyncio

import structlog

from syncd.dispatch.rounds import rounds
from syncd.store import postgres
from syncd.store.engine import Database

log = structlog.get_logger()

LOOK_SECONDS = 5.0


class Silence:
    """Looks for silent sessions of syncd's, also those of other processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, stop: asyncio.Event) -> None:
        """Until stopped."""
        await rounds(self.look, seconds=LOOK_SECONDS, stop=stop)

    async def look(self) -> None:
        """Once. A process that wakes up afterwards finds its session gone, and begins anew."""
        async with self._database.read() as connection:
            ended = await postgres.end_silent(connection)
        if ended:
            log.warning("sessions.ended", sessions=ended)
