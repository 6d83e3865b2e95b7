"""Keeps the alerts in line with the conditions, and tells people: the log always, a channel if there is one.

Every process that issues looks every few seconds, and reads only. What it finds changed is changed in one transaction
that looks again, alone, so that replicas raise a cause once; and a message is claimed before it is sent, so that one
of them sends it.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.alerts.channel import TIMEOUT_SECONDS, Channel, Message, NotDeliveredError
from syncd.alerts.conditions import Outlook, conditions
from syncd.alerts.unreachable import Unreachable
from syncd.domain.alert import Changes, changes
from syncd.domain.patience import backoff
from syncd.store import alerts
from syncd.store.engine import Database, StoreUnavailableError

log = structlog.get_logger()

LOOK_SECONDS = 5.0
# Gone for so long is over: an account that resumes and is refused again has not been well in between.
CALM = timedelta(seconds=15)
# Nobody else sends a message while it may be under way.
LEASE = timedelta(seconds=6 * TIMEOUT_SECONDS)


class Watch:
    """Sees, raises, resolves, tells. `repeat` says how often an open alert is told again; zero for never."""

    def __init__(
        self,
        database: Database,
        outlook: Outlook,
        channel: Channel | None,
        *,
        repeat: timedelta,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._outlook = outlook
        self._channel = channel
        self._repeat = repeat
        self._now = now
        self._ledger = Unreachable(self._say, now)

    async def run(self, stop: asyncio.Event) -> None:
        """Until stopped."""
        while not stop.is_set():
            await self.step()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)

    async def step(self) -> None:
        """Look once, and tell everything that is to be told now."""
        try:
            await self.look()
            while await self.tell():
                pass
        except StoreUnavailableError as error:
            log.warning("alerts.store_unavailable", error=str(error))
            await self._ledger.lost()
        except Exception:
            log.exception("alerts.crashed")  # who only watches must not stop those who issue
        else:
            await self._ledger.found()

    async def look(self) -> None:
        """Bring the alerts in line with what is wrong now."""
        async with self._database.read() as connection:
            if not await self._changes(connection):
                return
        async with self._database.write() as connection:
            await alerts.alone(connection)
            await alerts.apply(connection, await self._changes(connection), now=self._now())

    async def tell(self) -> bool:
        """Tell people the next thing that they have not heard; False if there is nothing to tell now."""
        alert = await alerts.claim(self._database, now=self._now(), lease=LEASE)
        if alert is None:
            return False
        message = Message.of(alert)
        if await self._say(message):
            again = self._repeat and message.event != "resolved"
            await alerts.told(self._database, alert, again_at=self._now() + self._repeat if again else None)
        else:
            await alerts.not_told(self._database, alert, again_at=self._now() + backoff(alert.tries + 1))
        return True

    async def _say(self, message: Message) -> bool:
        """To the log the first time, and to the channel; False if the channel did not take it."""
        if message.alert.tries == 0:
            _log(message)
        try:
            if self._channel is not None:
                await self._channel.send(message)
        except NotDeliveredError as error:
            log.warning("alert.not_delivered", message_id=message.id, error=str(error))
            return False
        return True

    async def _changes(self, connection: AsyncConnection) -> Changes:
        now = self._now()
        wrong = await conditions(connection, self._outlook, now=now)
        return changes(await alerts.open_alerts(connection), wrong, now=now, calm=CALM)


def _log(message: Message) -> None:
    said = message.alert.condition
    say = log.info if message.event == "resolved" else log.error
    say(
        f"alert.{message.event}",
        message_id=message.id,
        code=said.code,
        subject=said.subject,
        message=said.message,
        fix=said.fix,
    )
