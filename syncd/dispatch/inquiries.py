"""Asks public registers what planning needs, one question at a time, and has the orders planned that waited for it.

An outage is no answer: the question is asked again, at growing intervals, and whatever shares the trouble waits as well.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.domain.patience import backoff
from syncd.domain.registers import Register
from syncd.metrics import Metrics
from syncd.registers.ecb import Ecb
from syncd.registers.http import RegisterError
from syncd.registers.vies import Vies
from syncd.store import engine, pollers, registers
from syncd.store.engine import Database, StoreUnavailableError
from syncd.store.registers import InquiryRow

log = structlog.get_logger()

TURN = "inquiries"
LEASE = timedelta(minutes=5)
IDLE_SECONDS = 2.0
BATCH = 20
PAUSE_SECONDS = 0.5  # between two questions: registers are shared by a continent
# An invoice is due on the fifth working day: time enough to repair what is ours.
OVERDUE = timedelta(hours=4)

Keep = Callable[[AsyncConnection], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registers:
    """The registers that may be asked; None for one that the settings switch off."""

    vies: Vies | None = None
    ecb: Ecb | None = None

    @property
    def names(self) -> frozenset[Register]:
        known = {Register.VIES: self.vies, Register.ECB: self.ecb}
        return frozenset(name for name, register in known.items() if register is not None)

    async def close(self) -> None:
        for register in (self.vies, self.ecb):
            if register is not None:
                await register.close()


class Inquiries:
    """The open questions of the ledger. `wanted` says that there may be a new one, `arrived` that orders are due."""

    def __init__(
        self,
        database: Database,
        able: Registers,
        metrics: Metrics,
        *,
        owner: str,
        wanted: asyncio.Event,
        arrived: asyncio.Event,
    ) -> None:
        self._database = database
        self._able = able
        self._metrics = metrics
        self._owner = owner
        self._wanted = wanted
        self._arrived = arrived

    async def run(self, stop: asyncio.Event) -> None:
        """Until stopped: ask what is due, then wait for a new question or a moment."""
        while not stop.is_set():
            # Cleared before looking, so that what comes meanwhile is seen in the next round.
            self._wanted.clear()
            try:
                await self.work_off(stop)
            except StoreUnavailableError as error:
                log.warning("inquiries.store_unavailable", error=str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), IDLE_SECONDS)

    async def work_off(self, stop: asyncio.Event) -> None:
        """Ask everything that is due, unless another process does; then wake the orders that wait for nothing more."""
        await registers.drop(self._database, keep=self._able.names)
        if await self._due():
            now = await self._now()
            turn = await pollers.claim(self._database, TURN, owner=self._owner, now=now, lease=LEASE)
            if turn is not None:
                try:
                    # Read again: whoever had the turn before has settled some of them.
                    await self._settle_all(await self._due(), turn, stop)
                finally:
                    await pollers.finish(self._database, turn, cursor=None, next_at=now, now=now)
        if await registers.wake(self._database, now=datetime.now(UTC)):
            self._arrived.set()

    async def _settle_all(self, due: list[InquiryRow], turn: pollers.Turn, stop: asyncio.Event) -> None:
        for number, inquiry in enumerate(due):
            if number:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), PAUSE_SECONDS)
            if stop.is_set() or not await pollers.renew(self._database, turn, until=await self._now() + LEASE):
                return
            await self._settle(inquiry)

    async def _settle(self, inquiry: InquiryRow) -> None:
        bound = log.bind(register=inquiry.register.value, subject=inquiry.subject)
        try:
            keep = await self._answer(inquiry)
        except RegisterError as error:
            self._metrics.inquiries.labels(inquiry.register.value, "none").inc()
            now = datetime.now(UTC)
            until = now + backoff(inquiry.tries + 2, random.uniform(0.8, 1.2))  # noqa: S311 - spreads load, hides nothing
            async with self._database.write() as connection:
                await registers.put_off(connection, inquiry, until=until, problem=str(error), shared=error.shared)
            say = bound.error if now - inquiry.since > OVERDUE else bound.warning
            say("register.no_answer", problem=str(error), waiting_since=inquiry.since, next_at=until)
        else:
            self._metrics.inquiries.labels(inquiry.register.value, "answered").inc()
            async with self._database.write() as connection:
                await keep(connection)
            bound.info("register.answered")

    async def _answer(self, inquiry: InquiryRow) -> Keep:
        """Ask, and say how the answer is kept."""
        able = self._able
        if inquiry.register is Register.VIES and able.vies is not None:
            consultation, raw = await able.vies.consult(inquiry.subject, inquiry.requester)
            return lambda connection: registers.keep_consultation(connection, consultation, raw, asked=inquiry)
        if inquiry.register is Register.ECB and able.ecb is not None:
            table, now = await able.ecb.rates(date.fromisoformat(inquiry.subject)), datetime.now(UTC)
            return lambda connection: registers.keep_rates(connection, table, asked=inquiry, now=now)
        raise RegisterError(f"{inquiry.register} has just been switched off in the settings")

    async def _due(self) -> list[InquiryRow]:
        async with self._database.read() as connection:
            return await registers.due(connection, datetime.now(UTC), BATCH)

    async def _now(self) -> datetime:
        async with self._database.read() as connection:
            return await engine.now(connection)
