"""Past orders, taken in through the same door as new ones, at lower priority, and resumable.

How far it came stands in the ledger after every page, so that a backfill that was killed goes on where it was. Whoever
begins the same one again takes it over; what is read twice is stored once. It needs no daemon, and disturbs none: on
SQLite, too, it is only one more writer of short transactions.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog

from syncd.domain.errors import ShopUnavailableError, SyncdError
from syncd.domain.patience import backoff
from syncd.intake.receive import Door, Lane, incoming
from syncd.shops.port import FactKind, Page, Shop
from syncd.store import engine, pollers
from syncd.store.engine import Database

log = structlog.get_logger()

MOST_FAILURES = 6  # in a row: a minute
# Neither lease nor interval: a killed one must not make its successor wait, and two harm nobody.
AT_ONCE = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Orders placed from `since` to before `until`; the days are how a person named them, `last` None for "to now"."""

    first: date
    last: date | None
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """All orders placed before `at` are in the ledger; this run has read so many, and so many facts were new."""

    at: datetime
    orders: int = 0
    new: int = 0


class TakenOverError(SyncdError):
    """Somebody has begun the same backfill again."""

    def __init__(self) -> None:
        super().__init__("the same backfill was begun again elsewhere, and goes on there", code="taken_over")


class Backfill:
    """One shop's orders of a period."""

    def __init__(
        self, name: str, shop: Shop, period: Period, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._name = name
        self._shop = shop
        self._period = period
        self._sleep = sleep

    async def pages(self, cursor: str | None = None) -> AsyncIterator[Page]:
        """What the shop has from the cursor on; asked again while it is out of reach for less than a minute.

        Raises ShopUnavailableError or ShopRefusedError.
        """
        failures = 0
        while True:
            try:
                async for page in self._shop.placed(self._period.since, self._period.until, cursor):
                    yield page
                    cursor, failures = page.cursor, 0
            except ShopUnavailableError as error:
                failures += 1
                if failures == MOST_FAILURES:
                    raise
                log.warning("backfill.waiting", shop=self._name, error=str(error))
                await self._sleep(max(backoff(failures), error.retry_after or timedelta()).total_seconds())
            else:
                return

    async def take_in(self, database: Database, door: Door, *, account: str, owner: str) -> AsyncIterator[Progress]:
        """Store what is left of the period; says after each page how far it came.

        Raises as `pages`, and TakenOverError.
        """
        name = f"backfill:{self._name}:{self._period.first}:{self._period.last or ''}"
        turn = await pollers.claim(
            database, name, owner=owner, now=await _now(database), lease=AT_ONCE, interval=AT_ONCE
        )
        if turn is None:
            raise TakenOverError
        made = Progress(at=datetime.fromisoformat(turn.cursor) if turn.cursor else self._period.since)
        yield made
        async for page in self.pages(turn.cursor):
            new = await door.put_all(
                [incoming(self._name, account, fact, source="backfill", lane=Lane.BACKFILL) for fact in page.facts]
            )
            if not await pollers.keep(database, turn, cursor=page.cursor):
                raise TakenOverError
            orders = sum(fact.kind is FactKind.ORDER for fact in page.facts)
            made = Progress(at=datetime.fromisoformat(page.cursor), orders=made.orders + orders, new=made.new + new)
            yield made
        now = await _now(database)
        await pollers.finish(database, turn, cursor=None, next_at=now, now=now)


async def _now(database: Database) -> datetime:
    async with database.read() as connection:
        return await engine.now(connection)
