"""Ask each shop on its schedule for what changed, and for single orders of which only a hint came.

APScheduler only ticks. Who polls, and from where, stands in the ledger: a row per shop with a cursor and a lease, so
that many replicas poll a shop once. A cursor is stored only when everything before it is durable.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from syncd.domain.clock import WallClock
from syncd.domain.errors import ShopError
from syncd.domain.patience import backoff
from syncd.intake.receive import Door, OverloadedError, incoming
from syncd.metrics import Metrics
from syncd.shops.port import Shop
from syncd.store import engine, orders, pollers
from syncd.store.engine import Database, StoreUnavailableError
from syncd.store.orders import FetchDue

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

log = structlog.get_logger()

LEASE = timedelta(minutes=5)
FETCH_SECONDS = 2
FETCH_BATCH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A shop that can be asked; `interval` zero means webhooks only, single orders are fetched all the same."""

    name: str
    account: str
    shop: Shop
    interval: timedelta


class Pollers:
    """Every shop's poller, and the fetcher of single orders."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        database: Database,
        door: Door,
        metrics: Metrics,
        *,
        owner: str,
        arrived: asyncio.Event,
        wall: WallClock | None = None,
        look_seconds: float = 5.0,
    ) -> None:
        self._sources = sources
        self._database = database
        self._door = door
        self._metrics = metrics
        self._owner = owner
        self._arrived = arrived
        self._wall = wall or WallClock(lambda: datetime.now(UTC), time.monotonic)
        self._look_seconds = look_seconds
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Tick until stopped, then let what is under way end."""
        # Loaded by whoever polls, and after the webhooks' address is open.
        from apscheduler.schedulers.asyncio import AsyncIOScheduler  # noqa: PLC0415

        # Without these defaults a tick is dropped when the loop was busy, and missed ticks are made up one by one.
        scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        now = datetime.now(UTC)
        for source in self._sources.values():
            if source.interval and source.shop.can_ask:
                scheduler.add_job(
                    self._owned,
                    "interval",
                    seconds=source.interval.total_seconds(),
                    args=[self.poll, source],
                    id=f"poll:{source.name}",
                    next_run_time=now,
                )
        scheduler.add_job(
            self._owned, "interval", seconds=FETCH_SECONDS, args=[self.fetch], id="fetch", next_run_time=now
        )
        scheduler.start()
        try:
            await self._until(stop, scheduler)
        finally:
            # shutdown() cancels running coroutines, so they are awaited first.
            scheduler.pause()
            await asyncio.gather(*self._running, return_exceptions=True)
            scheduler.shutdown(wait=False)

    async def _until(self, stop: asyncio.Event, scheduler: "AsyncIOScheduler") -> None:
        """The scheduler goes by the clock on the wall: where that was set, every job is due now."""
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._look_seconds)
            if self._wall.leap():
                for job in scheduler.get_jobs():
                    job.modify(next_run_time=datetime.now(UTC))

    async def poll(self, source: Source) -> None:
        """One pass over a shop, if it is due and nobody else has it."""
        now = await self._now()
        turn = await pollers.claim(
            self._database,
            f"poll:{source.name}",
            owner=self._owner,
            now=now,
            lease=LEASE,
            interval=source.interval,
        )
        if turn is None:
            return
        cursor, error, taken = turn.cursor, "", 0
        try:
            async for page in source.shop.changes(turn.cursor):
                taken += await self._door.put_all(
                    [incoming(source.name, source.account, fact, source="poll") for fact in page.facts]
                )
                cursor = page.cursor
                if not await pollers.renew(self._database, turn, until=await self._now() + LEASE):
                    break
        except (ShopError, OverloadedError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        self._metrics.polls.labels(source.name, "failed" if error else "ok").inc()
        kept = await pollers.finish(
            self._database,
            turn,
            cursor=cursor,
            next_at=now + source.interval,
            now=await self._now(),
            error=error,
        )
        if error:
            log.warning("poll.failed", shop=source.name, error=error)
        elif taken or not kept:
            log.info("poll.done", shop=source.name, new=taken, lease_kept=kept)

    async def fetch(self) -> None:
        """Ask for the orders of which only a hint came, if there are any and nobody else does."""
        if not await self._wanted():
            return
        now = await self._now()
        turn = await pollers.claim(self._database, "fetch", owner=self._owner, now=now, lease=LEASE)
        if turn is None:
            return
        try:
            # Read again: whoever had the turn before has fetched some of them.
            await self._fetch_all(await self._wanted())
        finally:
            await pollers.finish(self._database, turn, cursor=None, next_at=now, now=now)

    async def _wanted(self) -> list[FetchDue]:
        async with self._database.read() as connection:
            return await orders.fetch_due(connection, datetime.now(UTC), FETCH_BATCH)

    async def _fetch_all(self, due: list[FetchDue]) -> None:
        for wanted in due:
            source = self._sources.get(wanted.shop)
            if source is None or not source.shop.can_ask:
                await self._give_up(wanted)
                continue
            try:
                facts = await source.shop.fetch(wanted.order_id)
                await self._door.put_all(
                    [incoming(source.name, source.account, fact, source="fetch") for fact in facts]
                )
            except (ShopError, OverloadedError) as failure:
                retry_at = datetime.now(UTC) + backoff(wanted.tries + 2, 1.0)
                log.warning("fetch.failed", shop=wanted.shop, order=wanted.order_id, error=str(failure))
                async with self._database.write() as connection:
                    await orders.fetch_failed(connection, wanted, retry_at)
            else:
                async with self._database.write() as connection:
                    await orders.fetched(connection, wanted)

    async def _now(self) -> datetime:
        async with self._database.read() as connection:
            return await engine.now(connection)

    async def _give_up(self, wanted: FetchDue) -> None:
        """Nobody can be asked: plan with what is known, which holds the order if that is nothing."""
        async with self._database.write() as connection:
            await orders.fetched(connection, wanted)
            await orders.replan(connection, wanted.shop, wanted.order_id)
        self._arrived.set()

    async def _owned(self, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Run a job as a task that is awaited on the way down and whose failure is heard."""
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            await work(*arguments)
        except StoreUnavailableError as error:
            log.warning("poll.store_unavailable", error=str(error))
        except Exception:
            log.exception("poll.crashed")  # the scheduler would swallow it; the next tick tries again
        finally:
            self._running.discard(task)
