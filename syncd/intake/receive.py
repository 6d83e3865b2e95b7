"""The one door: whatever the way in, an event is durable before anybody is told so.

Requests wait in a queue, and one task commits whatever has gathered: a group commit, which keeps its rate where a
transaction for each request would pay for every disk write alone.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import IntEnum

import structlog

from syncd.metrics import Metrics
from syncd.shops.port import Delivery, Fact
from syncd.store import events
from syncd.store.engine import Database, StoreUnavailableError
from syncd.store.events import Incoming

log = structlog.get_logger()

MOST_IN_BATCH = 256
MOST_WAITING = 4096


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
        self._metrics = metrics
        self._arrived = arrived
        self._queue: asyncio.Queue[tuple[Incoming, asyncio.Future[bool]]] = asyncio.Queue(MOST_WAITING)

    async def put(self, incoming: Incoming) -> bool:
        """Wait until this event is durable; False if it was known already.

        Raises OverloadedError, or StoreUnavailableError while the database is away: nothing was kept then.
        """
        durable: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait((incoming, durable))
        except asyncio.QueueFull:
            raise OverloadedError from None
        new = await durable
        self._metrics.events.labels(incoming.shop, incoming.source, "new" if new else "known").inc()
        return new

    async def put_all(self, batch: Sequence[Incoming]) -> int:
        """Several at once; how many were new. All are durable when it returns."""
        if len(batch) == 1:  # almost always, and a task for it would cost as much as checking its signature
            return int(await self.put(batch[0]))
        return sum(await asyncio.gather(*(self.put(incoming) for incoming in batch)))

    async def run(self) -> None:
        """Commit what has gathered, for ever; cancel it only when nobody puts any more."""
        while True:
            batch = [await self._queue.get()]
            while len(batch) < MOST_IN_BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            await self._write(batch)

    async def _write(self, batch: list[tuple[Incoming, asyncio.Future[bool]]]) -> None:
        try:
            new = await events.accept(self._database, [incoming for incoming, _ in batch])
        except StoreUnavailableError as error:
            log.warning("intake.store_unavailable", waiting=len(batch), error=str(error))
            _fail(batch, error)
        except Exception as error:  # one bad row must not fail its neighbours, so each is tried alone
            if len(batch) > 1:
                for item in batch:
                    await self._write([item])
                return
            log.exception("intake.rejected", event_id=batch[0][0].event_id)
            _fail(batch, error)
        else:
            for incoming, durable in batch:
                if not durable.done():  # the shop may have hung up; the event is kept all the same
                    durable.set_result(incoming.event_id in new)
            if new:
                self._arrived.set()


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


def _fail(batch: list[tuple[Incoming, asyncio.Future[bool]]], error: Exception) -> None:
    for _, durable in batch:
        if not durable.done():
            durable.set_exception(error)
