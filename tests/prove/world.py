"""The parts of a schedule: simulated time, the emulator at the end of a wire, and processes that can die at any step.

Everything that decides is real: intake, planner, ledger, reconciler, lease, dispatcher, budget, adapter, its HTTP
client, and the emulator with its HTTP server. Simulated are time, the wire between the last two, and death.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from functools import partial
from itertools import product
from typing import Any, cast
from unittest.mock import patch

import aiohttp
import sqlalchemy as sa
import structlog
from aiohttp import web
from pydantic import SecretStr

from syncd.dispatch import courtesy
from syncd.dispatch import dispatcher as dispatching
from syncd.dispatch import reconciler as reconciling
from syncd.dispatch.courtesy import CommandGateway
from syncd.dispatch.dispatcher import Account, Dispatcher
from syncd.dispatch.gateway import AccountGateway
from syncd.dispatch.leases import Issuer, Lease
from syncd.dispatch.proving import PROVEN
from syncd.dispatch.reconciler import Desk, Reconciler
from syncd.dispatch.throttle import Budget, Slot
from syncd.intake import receive
from syncd.metrics import Metrics
from syncd.providers.billpt import adapter
from syncd.providers.billpt.adapter import BillPt
from syncd.providers.port import AccountConfig
from syncd.sandbox.billpt import BillPt as Emulator
from syncd.sandbox.billpt import Clock, Settings
from syncd.sandbox.billpt.faults import Faults
from syncd.store import engine, leases, looks, references
from syncd.store.engine import Database
from syncd.store.references import LedgerDirectory
from syncd.store.tables import document as ledger
from syncd.store.tables import reference
from tests.prove.clock import the_loop
from tests.prove.fate import Fate, Mortal, living
from tests.prove.ledger import a_ledger
from tests.prove.wire import Network, Wire
from tests.provider_parts import OpenGateway

log = structlog.get_logger()

SETTLE = timedelta(seconds=60)
# An answer that comes later than this finds nobody waiting.
TIMEOUT_SECONDS = 30.0
# Renewed less often than in life, or most of a schedule would be renewals.
LEASE = timedelta(minutes=20)
LONGEST_SLEEP = 600.0
# What the world itself writes into the log.
DEATH, BUDGET_WAIT = "world.process_killed", "world.budget_waited_for"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Calendar(datetime):
    """`datetime` for modules that ask for the time of day themselves."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Any:
        return the_loop().now().astimezone(tz)


class Stage:
    """The emulator in simulated time, which may forget `Retry-After`, or find its asker dead."""

    def __init__(self, settings: Settings, *, seed: int, chance: random.Random) -> None:
        clock = Clock(monotonic=the_loop().time, now=the_loop().now, sleep=asyncio.sleep)
        self.emulator = Emulator(settings, clock=clock, seed="prove")
        self.emulator.faults = Faults(str(seed))
        self.fate = Fate()
        self.met: Counter[str] = Counter()
        self._chance = chance

    def application(self) -> web.Application:
        @web.middleware
        async def between(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._serve(request, handler)

        application = self.emulator.application()
        application.middlewares.append(between)
        return application

    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._strike("killed when a request had left")
        response = await handler(request)
        self._strike("killed before an answer was there")
        if response.status == 429 and not response.prepared and self._chance.random() < 0.5:
            response.headers.pop("Retry-After", None)
            self.met["429 without Retry-After"] += 1
        return response

    def _strike(self, how: str) -> None:
        """The asker dies here; the service goes on with what it was asked."""
        if self.fate.strikes_at_service():
            self.met[how] += 1


class WatchedBudget(Budget):
    """Tells in the log who had to wait for a place."""

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        asked = the_loop().time()
        async with super().slot() as slot:
            if the_loop().time() > asked:
                log.info(BUDGET_WAIT, seconds=the_loop().time() - asked)
            yield slot


def lease_of(database: Database) -> Lease:
    """The right to issue for the account."""
    return Lease(database, "main", owner="prove", length=LEASE, timeout=timedelta(seconds=TIMEOUT_SECONDS))


@dataclass(slots=True, kw_only=True)
class Process:
    """What a daemon has in memory; a new one on the same ledger is a restart."""

    fate: Fate
    database: Database
    service: BillPt
    gateway: AccountGateway
    account: Account
    metrics: Metrics
    door: receive.Door
    reconciler: Reconciler
    dispatcher: Dispatcher
    arrived: asyncio.Event
    wake: asyncio.Event

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[asyncio.TaskGroup]:
        """All roles at once, as the daemon runs them, drained at the end; whoever joins in shares their fate."""
        stop = asyncio.Event()
        lease = lease_of(self.database)
        ledger = self.database.guarded(lease.confirm)
        issuer = Issuer(
            "main",
            lease,
            self.gateway,
            self.metrics,
            worker=lambda: Dispatcher(
                self.account, ledger, self.metrics, work=self.wake, jitter=lambda: 1.0, now=the_loop().now
            ),
        )
        async with asyncio.TaskGroup() as tasks:
            intake = tasks.create_task(self.live(self.door.run))
            tasks.create_task(self.live(self.reconciler.run, stop))
            tasks.create_task(self.live(issuer.run, stop))
            yield tasks
            stop.set()
            self.arrived.set()
            intake.cancel()

    async def live(self, work: Callable[..., Coroutine[Any, Any, object]], *given: object) -> None:
        await Mortal(work(*given), self.fate)

    async def close(self) -> None:
        """What a dead process leaves open, the system closes; an open transaction is rolled back by that."""
        await self.service.close()
        await self.database.close()
        for close in self.fate.left_behind:
            close()


@dataclass(slots=True, kw_only=True)
class World:
    """One shop, one ledger, one account at one emulator, and the process that is alive at the moment."""

    stage: Stage
    network: Network
    ledger_url: str
    desk: Desk
    limit: int
    metrics: Metrics = field(default_factory=Metrics)

    def open_ledger(self) -> Database:
        """The ledger as an onlooker sees it."""
        return a_ledger(self.ledger_url)

    async def next_due(self) -> datetime | None:
        """When there is something to do for a dispatcher; None if nothing is foreseen."""
        row = ledger.c
        waits = row.state.in_(("planned", "uncertain", "annulling")) & (row.hold_code == "")
        database = self.open_ledger()
        async with database.read() as connection:
            first: datetime | None = (
                await connection.execute(sa.select(sa.func.min(row.run_at)).where(waits))
            ).scalar()
            promised = await looks.waiting(connection, "main")
        return min((*(look.at for look in promised.values()), *([first] if first else ())), default=None)

    async def be_in_use(self) -> None:
        """As if the account had issued before: its lists are read and its shapes proven, so a sale is one request."""
        if not _in_use:
            database = self.open_ledger()
            service = BillPt(self._config(), OpenGateway(), LedgerDirectory(database, "main"))
            await service.check()
            await service.close()
            limiter = self.stage.emulator.limiter
            limiter.set(limiter.limit, limiter.mode)  # whoever comes later is given the answers and asks nothing
            async with database.write() as connection:
                await references.put_many(connection, "main", PROVEN, dict.fromkeys(_shapes(), "before"))
                found = await connection.execute(sa.select(reference))
                _in_use.extend(dict(row._mapping) for row in found)
        else:
            async with self.open_ledger().write() as connection:
                await connection.execute(sa.insert(reference), _in_use)

    @asynccontextmanager
    async def process(self, fate: Fate | None = None) -> AsyncIterator[Process]:
        """A process that lives until the block ends, or until its fate strikes inside (then Killed is raised)."""
        fate = self.stage.fate = self.network.fate = fate or Fate()
        fate.at_death = self._mourn
        token = living.set(fate)
        made = self._process(fate)
        try:
            yield made
        finally:
            living.reset(token)
            await made.close()

    @asynccontextmanager
    async def command(self) -> AsyncIterator[BillPt]:
        """The service as a person's command asks it, whatever process is at work."""
        database = self.open_ledger()
        gateway = CommandGateway("main", database, WatchedBudget(self.limit), self.metrics)
        service = BillPt(self._config(), gateway, LedgerDirectory(database, "main"))
        try:
            yield service
        finally:
            await service.close()
            await database.close()

    def _config(self) -> AccountConfig:
        return AccountConfig(
            name="main",
            base_url="http://service.example",
            token=SecretStr(self.stage.emulator.token),
            timeout_seconds=TIMEOUT_SECONDS,
        )

    def _mourn(self) -> None:
        log.info(DEATH)
        self.network.hang_up()

    def _process(self, fate: Fate) -> Process:
        database = a_ledger(self.ledger_url, fate)
        gateway = AccountGateway("main", database, WatchedBudget(self.limit), self.metrics)
        service = BillPt(self._config(), gateway, LedgerDirectory(database, "main"))
        account = Account(name="main", service=service, settle=SETTLE)
        arrived, wake = asyncio.Event(), asyncio.Event()
        return Process(
            fate=fate,
            database=database,
            service=service,
            gateway=gateway,
            account=account,
            metrics=self.metrics,
            door=receive.Door(database, self.metrics, arrived=arrived),
            reconciler=Reconciler(
                database, {"loja": self.desk}, work=arrived, planned=lambda _: wake.set(), now=the_loop().now
            ),
            dispatcher=Dispatcher(account, database, self.metrics, work=wake, jitter=lambda: 1.0, now=the_loop().now),
            arrived=arrived,
            wake=wake,
        )


# What the ledger then knows of the account; every emulator here has the same one.
_in_use: list[dict[str, Any]] = []


def _shapes() -> Iterator[str]:
    for traits in product(("", "+discount"), ("", "+rates"), ("", "+rounding")):
        yield from (f"{base}{''.join(traits)}" for base in ("sale", "credit"))


@asynccontextmanager
async def a_world(
    ledger_url: str,
    desk: Desk,
    *,
    seed: int = 0,
    settings: Settings | None = None,
) -> AsyncIterator[World]:
    """A world in simulated time, until the block ends."""
    chance = random.Random(seed)
    settings = settings or Settings()
    with the_loop().simulated(), _simulated_calendar():
        stage = Stage(settings, seed=seed, chance=chance)
        runner = web.AppRunner(stage.application(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        network = Network(cast("Callable[[], asyncio.Protocol]", runner.server), chance)
        world = World(stage=stage, network=network, ledger_url=ledger_url, desk=desk, limit=settings.rate_limit or 100)
        with patch.object(aiohttp, "TCPConnector", partial(Wire, network)), _no_idle_turns(world):
            try:
                yield world
            finally:
                await world.open_ledger().close()
                await runner.cleanup()


@contextmanager
def _no_idle_turns(world: World) -> Iterator[None]:
    """Who has nothing to do sleeps until the ledger says otherwise, instead of looking there every second."""
    until = dispatching._until

    async def until_due(stop: asyncio.Event, work: asyncio.Event, seconds: float) -> None:
        if seconds == dispatching.IDLE_SECONDS:
            due = await world.next_due()
            idle = (due - the_loop().now()).total_seconds() if due else LONGEST_SLEEP
            seconds = max(seconds, min(idle, LONGEST_SLEEP))
        await until(stop, work, seconds)

    with patch.object(dispatching, "_until", until_due), patch.object(reconciling, "IDLE_SECONDS", LONGEST_SLEEP):
        yield


@contextmanager
def _simulated_calendar() -> Iterator[None]:
    with (
        patch.object(engine, "datetime", _Calendar),
        patch.object(leases, "datetime", _Calendar),
        patch.object(references, "datetime", _Calendar),
        patch.object(receive, "datetime", _Calendar),
        patch.object(adapter, "datetime", _Calendar),
        patch.object(courtesy, "datetime", _Calendar),
    ):
        yield
