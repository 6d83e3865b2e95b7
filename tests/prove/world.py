"""The parts of a schedule: simulated time, an emulator that obeys it, and processes that can die at any moment.

Everything that decides is real: planner, ledger, reconciler, dispatcher, adapter, emulator, and HTTP between the last
two. Simulated are only time, the request budget (which would wait in real time), and death.
"""

import asyncio
import heapq
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from typing import Any

import aiosqlite
from aiohttp import web
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from syncd.dispatch.dispatcher import Account, Dispatcher
from syncd.dispatch.gateway import AccountGateway
from syncd.dispatch.reconciler import Desk, Reconciler
from syncd.dispatch.throttle import Budget, Slot
from syncd.metrics import Metrics
from syncd.providers.billpt.adapter import BillPt
from syncd.providers.port import AccountConfig, Usage
from syncd.sandbox.billpt import BillPt as Emulator
from syncd.sandbox.billpt import Clock, Settings
from syncd.sandbox.server import serve
from syncd.store.engine import Database
from syncd.store.references import LedgerDirectory

SETTLE = timedelta(seconds=60)
# An answer that comes later than this finds nobody waiting.
TIMEOUT_SECONDS = 30.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Time:
    """Time that passes when it is told to; whoever sleeps wakes in order."""

    def __init__(self) -> None:
        # Not a fixed day: requests are written down with the machine's time, and a search begins a day before.
        self._start = datetime.now(UTC).replace(microsecond=0)
        self._seconds = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []
        self._numbers = count()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._seconds)

    def seconds(self) -> float:
        return self._seconds

    def skip(self, seconds: float) -> None:
        self._seconds += seconds

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        heapq.heappush(self._sleepers, (self._seconds + seconds, next(self._numbers), woken))
        await woken.wait()

    def wake_next(self, until: float) -> bool:
        """Wake the first one who has slept enough by then; False if there is none."""
        if not self._sleepers or self._sleepers[0][0] > until:
            return False
        at, _, woken = heapq.heappop(self._sleepers)
        self._seconds = max(self._seconds, at)
        woken.set()
        return True


class Killed(BaseException):
    """The process is no more: nothing that it still does reaches the ledger or the service."""


class Fate:
    """Says at which touch of the outside world a process dies: `touches` of the ledger, or `requests` to the service."""

    def __init__(self, touches: int | None = None, requests: int | None = None) -> None:
        self._touches = touches
        self._requests = requests
        self.dead = False

    def touch(self) -> None:
        """At the ledger; raises Killed."""
        if self._touches is not None:
            self._touches -= 1
            self.dead = self.dead or self._touches <= 0
        if self.dead:
            raise Killed

    def strikes(self) -> bool:
        """At the service: whether death comes with this."""
        if self._requests is None or self.dead:
            return False
        self._requests -= 1
        self.dead = self._requests <= 0
        return self.dead


class MortalDatabase(Database):
    """The ledger as a process sees it that may die around every transaction."""

    fate = Fate()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        self.fate.touch()
        async with super().read() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        self.fate.touch()
        async with super().write() as connection:
            yield connection
            self.fate.touch()
        self.fate.touch()


class OpenBudget(Budget):
    """A budget without a limit: how it waits is proven elsewhere, in real time."""

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        yield Slot(self, 0, 0)

    def learn(self, usage: Usage, *, taken: int, granted: int) -> None:
        """Nothing: a 429 delays the document, which happens in simulated time."""


_request: ContextVar[web.Request] = ContextVar("request")


class Stage:
    """The emulator with simulated time, where answers come late, lack `Retry-After`, or find their asker dead."""

    name = "billpt"

    def __init__(self, time: Time, *, seed: str, chance: random.Random) -> None:
        clock = Clock(monotonic=time.seconds, now=time.now, sleep=self._sleep)
        self.emulator = Emulator(Settings(rate_limit=None), clock=clock, seed=seed)
        self.fate = Fate()
        self.met: Counter[str] = Counter()
        self._time = time
        self._chance = chance
        self._busy = 0

    @property
    def token(self) -> str:
        return self.emulator.token

    def application(self) -> web.Application:
        @web.middleware
        async def between(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._serve(request, handler)

        application = self.emulator.application()
        application.middlewares.append(between)
        return application

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and everything that becomes due in it happen in its order."""
        until = self._time.seconds() + seconds
        while self._time.wake_next(until):
            await self._quiet()
        self._time.skip(until - self._time.seconds())

    async def _quiet(self) -> None:
        await asyncio.sleep(0)
        while self._busy:  # noqa: ASYNC110 - what it waits for may end by falling asleep, which sets no event
            await asyncio.sleep(0)

    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._busy += 1
        _request.set(request)
        try:
            self._strike(request, "killed when a request had left")
            response = await handler(request)
            self._strike(request, "killed before an answer was there")
        finally:
            self._busy -= 1
        if response.status == 429 and not response.prepared and self._chance.random() < 0.5:
            response.headers.pop("Retry-After", None)
            self.met["429 without Retry-After"] += 1
        return response

    def _strike(self, request: web.Request, how: str) -> None:
        """The asker dies here; the service goes on with what it was asked."""
        if self.fate.strikes():
            self.met[how] += 1
            _hang_up(request)

    async def _sleep(self, seconds: float) -> None:
        """Within the time-out the asker waits; beyond, it has hung up, and the service goes on alone."""
        if seconds < TIMEOUT_SECONDS:
            self._time.skip(seconds)
            return
        _hang_up(_request.get())
        self._busy -= 1
        try:
            await self._time.sleep(seconds)
        finally:
            self._busy += 1


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()


@contextmanager
def sqlite_in_the_loop() -> Iterator[None]:
    """SQLite's calls are made where they are asked for, not in a thread for each connection: four times as fast."""

    async def execute(_: aiosqlite.Connection, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    threaded = aiosqlite.Connection._execute
    aiosqlite.Connection._execute = execute  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        aiosqlite.Connection._execute = threaded  # type: ignore[method-assign]


@cache
def _engine(url: str, *, of: str) -> AsyncEngine:
    """Processes share no connection, but the statements that SQLAlchemy has compiled: that is half of the time."""
    return Database.open(url)._engine


@dataclass(slots=True)
class Process:
    """What a daemon has in memory; a new one on the same ledger is a restart."""

    database: MortalDatabase
    service: BillPt
    reconciler: Reconciler
    dispatcher: Dispatcher

    async def close(self) -> None:
        await self.service.close()
        await self.database.close()


@dataclass(slots=True, kw_only=True)
class World:
    """One shop, one ledger, one account at one emulator, and the process that is alive at the moment."""

    time: Time
    stage: Stage
    ledger_url: str
    service_url: str
    desk: Desk
    fate: Fate = field(default_factory=Fate)

    def open_ledger(self) -> Database:
        """The ledger as an onlooker sees it."""
        return Database(_engine(self.ledger_url, of="an onlooker"))

    @asynccontextmanager
    async def process(self, fate: Fate | None = None) -> AsyncIterator[Process]:
        """A process that lives until the block ends, or until its fate strikes inside (then Killed is raised)."""
        self.fate = self.stage.fate = fate or Fate()
        database = MortalDatabase(_engine(self.ledger_url, of="a process"))
        database.fate = self.fate
        metrics = Metrics()
        gateway = AccountGateway("main", database, OpenBudget(100), metrics)
        config = AccountConfig(
            name="main",
            base_url=self.service_url,
            token=SecretStr(self.stage.token),
            timeout_seconds=TIMEOUT_SECONDS,
        )
        service = BillPt(config, gateway, LedgerDirectory(database, "main"))
        account = Account(name="main", service=service, settle=SETTLE)
        made = Process(
            database=database,
            service=service,
            reconciler=Reconciler(
                database, {"loja": self.desk}, work=asyncio.Event(), planned=lambda _: None, now=self.time.now
            ),
            dispatcher=Dispatcher(
                account, database, metrics, work=asyncio.Event(), jitter=lambda: 1.0, now=self.time.now
            ),
        )
        try:
            yield made
        finally:
            await made.close()


@asynccontextmanager
async def a_world(
    ledger_url: str, desk: Desk, *, seed: str = "prove", chance: random.Random | None = None
) -> AsyncIterator[World]:
    """A world whose emulator answers on loopback."""
    time = Time()
    stage = Stage(time, seed=seed, chance=chance or random.Random(seed))
    async with await serve(stage) as serving:
        yield World(time=time, stage=stage, ledger_url=ledger_url, service_url=serving.url, desk=desk)
