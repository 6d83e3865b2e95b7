"""Tells this process of work that another one has stored: on Postgres receivers and issuers are different processes.

A look at the ends of two indexes, ten times a second. NOTIFY would be quicker by a twentieth of a second, but needs a
connection of its own, does not pass a pooler, and is lost with the connection, so that one would look all the same.
"""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

from syncd.dispatch.rounds import rounds
from syncd.store import documents, orders
from syncd.store.engine import Database

LOOK_SECONDS = 0.1


class Bell:
    """Rings for orders that wait to be planned, and for documents that are new."""

    def __init__(self, database: Database, *, arrived: asyncio.Event, planned: Iterable[asyncio.Event]) -> None:
        self._database = database
        self._arrived = arrived
        self._planned = tuple(planned)
        self._newest = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Until stopped."""
        await rounds(self.look, seconds=LOOK_SECONDS, stop=stop)

    async def look(self) -> None:
        """Once. Only what is new rings for documents: what is due may be waiting for its account or its service."""
        async with self._database.read() as connection:
            waiting = await orders.due(connection, datetime.now(UTC), 1)
            newest = await documents.newest(connection)
        if waiting:
            self._arrived.set()
        if newest > self._newest:
            self._newest = newest
            for event in self._planned:
                event.set()
