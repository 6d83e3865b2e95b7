"""The one door: whatever the way in, an event is durable before anybody is told so.

Requests wait in a queue, and one task commits whatever has gathered: a group commit, which keeps its rate where a
transaction for each request would pay for every disk write alone.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import IntEnum
from functools import cache, partial
from itertools import islice

import structlog

from syncd.metrics import Metrics
from syncd.shops.port import Delivery, Fact
from syncd.store import events
from syncd.store.engine import Database, Job, StoreUnavailableError
from syncd.store.events import Incoming

log = structlog.get_logger()

# So that the loop reads the next events while these are written, instead of both waiting for each other in turn.
MOST_IN_BATCH = 48
MOST_WAITING = 4096
# Then other writers have theirs.
MOST_BATCHES_IN_A_TURN = 8

_Waiting = tuple[Incoming, asyncio.Future[bool]]


class Lane(IntEnum):
    """Live orders go before the past."""

    LIVE = 0
    BACKFILL = 1


class OverloadedError(Exception):
    """More events wait than we can hold: the sender must come again."""


class Door:
    """Takes events in and answers once they are durable: True for each that was new."""

    def __init__(self, database: Database, metrics: Metrics, *, arrived: asyncio.Event) -> None:
        self._database = database
        self._arrived = arrived
        self._waiting: deque[_Waiting] = deque()  # a thread may take from it
        self._alone: deque[list[_Waiting]] = deque()
        self._gathered = asyncio.Event()
        self._counted = cache(lambda shop, source, new: metrics.events.labels(shop, source, "new" if new else "known"))

    async def put(self, incoming: Incoming) -> bool:
        """Wait until this event is durable; False if it was known already.

        Raises OverloadedError, or StoreUnavailableError while the database is away: nothing was kept then.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise OverloadedError
        durable: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((incoming, durable))
        self._gathered.set()
        new = await durable
        self._counted(incoming.shop, incoming.source, new).inc()
        return new

    async def put_all(self, batch: Sequence[Incoming]) -> int:
        """Several at once; how many were new. All are durable when it returns."""
        if len(batch) == 1:  # almost always, and a task for it would cost as much as checking its signature
            return int(await self.put(batch[0]))
        return sum(await asyncio.gather(*(self.put(incoming) for incoming in batch)))

    async def run(self) -> None:
        """Commit what has gathered, for ever; cancel it only when nobody puts any more."""
        async with asyncio.TaskGroup() as writers:
            for _ in range(self._database.writers):
                writers.create_task(self._write())

    async def _write(self) -> None:
        while True:
            await self._gathered.wait()
            self._gathered.clear()
            await self._database.transact_all(islice(self._jobs(), MOST_BATCHES_IN_A_TURN))
            if self._waiting:
                self._gathered.set()

    def _jobs(self) -> Iterator[Job[frozenset[str]]]:
        """Batches of what has gathered, until nothing has."""
        while batch := self._take():
            yield partial(events.store, batch=[incoming for incoming, _ in batch]), partial(self._settle, batch)

    def _take(self) -> list[_Waiting]:
        with suppress(IndexError):
            return self._alone.popleft()
        batch: list[_Waiting] = []
        with suppress(IndexError):
            while len(batch) < MOST_IN_BATCH:
                batch.append(self._waiting.popleft())
        return batch

    def _settle(self, batch: list[_Waiting], result: frozenset[str] | Exception) -> None:
        if isinstance(result, StoreUnavailableError):
            log.warning("intake.store_unavailable", waiting=len(batch), error=str(result))
            _fail(batch, result)
        elif not isinstance(result, Exception):
            for incoming, durable in batch:
                if not durable.done():  # the shop may have hung up; the event is kept all the same
                    durable.set_result(incoming.event_id in result)
            if result:
                self._arrived.set()
        elif len(batch) > 1:  # one bad row must not fail its neighbours, so each is tried alone
            self._alone.extend([item] for item in batch)
            self._gathered.set()
        else:
            log.error("intake.rejected", event_id=batch[0][0].event_id, exc_info=result)
            _fail(batch, result)


def incoming(shop: str, account: str, fact: Fact, *, source: str, lane: Lane = Lane.LIVE) -> Incoming:
    """A fact as the store takes it."""
    return Incoming(
        event_id=events.new_event_id(),
        shop=shop,
        account=account,
        fact=fact,
        topic=fact.topic,
        payload=fact.payload,
        problem="",
        source=source,
        lane=lane,
        received_at=datetime.now(UTC),
    )


def problem(shop: str, account: str, delivery: Delivery, body: bytes) -> Incoming:
    """A signed body that nobody understands: kept for a person."""
    return Incoming(
        event_id=events.new_event_id(),
        shop=shop,
        account=account,
        fact=None,
        topic=delivery.topic,
        payload=body,
        problem=delivery.problem,
        source="webhook",
        lane=Lane.LIVE,
        received_at=datetime.now(UTC),
    )


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for _, durable in batch:
        if not durable.done():
            durable.set_exception(error)
