"""The whole way out (budget, journal, HTTP) against the emulator's limiter, with a minute that lasts a second."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import aiohttp
import pytest
from pydantic import SecretStr

from syncd.dispatch.gateway import AccountGateway
from syncd.dispatch.leases import Lease
from syncd.dispatch.throttle import Budget
from syncd.domain.errors import NoEffectError, UncertainError
from syncd.domain.patience import DOWN_AFTER
from syncd.metrics import Metrics
from syncd.providers.http import JsonApi, Request
from syncd.providers.port import Purpose
from syncd.sandbox.billpt import BillPt, Fault, FaultKind, RateMode, Settings
from syncd.sandbox.server import serve
from syncd.store.engine import Database

LIMIT, SECOND = 20, 1.0
QUICK = replace(Settings(), rate_limit=LIMIT, rate_window=SECOND)
READ = Request(method="GET", path="impostos", purpose=Purpose.LOOKUP, writes=False)


class Process:
    """One process' way to the service: what it knows of the budget goes with it."""

    def __init__(self, database: Database, url: str, token: str, owner: str) -> None:
        self.metrics = Metrics()
        self.budget = Budget(LIMIT, period=SECOND * 1.02)
        self.gateway = AccountGateway("main", database, self.budget, self.metrics)
        length, timeout = timedelta(seconds=60), timedelta(seconds=30)
        self.lease = Lease(database, "main", owner=owner, length=length, timeout=timeout)
        self.gateway.require(self.lease)
        self.api = JsonApi(f"{url}/api/1.0", SecretStr(token), self.gateway, timeout_seconds=30)

    async def begin(self) -> None:
        assert await self.lease.take()
        await self.gateway.recover_budget()

    async def ask(self, times: int) -> None:
        for _ in range(times):
            await self.api.send(READ)

    def up(self) -> float | None:
        return self.metrics.registry.get_sample_value("syncd_service_up", {"account": "main"})


@asynccontextmanager
async def a_process(database: Database, sandbox: BillPt, url: str, owner: str) -> AsyncIterator[Process]:
    process = Process(database, url, sandbox.token, owner)
    await process.begin()
    try:
        yield process
    finally:
        await process.lease.release()
        await process.api.close()


@pytest.mark.parametrize("mode", list(RateMode))
async def test_however_the_service_counts_nothing_is_refused_over_restarts_and_hand_overs(
    database: Database, mode: RateMode
) -> None:
    sandbox = BillPt(replace(QUICK, rate_mode=mode))
    async with await serve(sandbox) as serving:
        for owner, requests in (("first", 25), ("second", 3), ("first", 18), ("third", 25)):
            async with a_process(database, sandbox, serving.url, owner) as process:
                await process.ask(requests)
    assert len(sandbox.limiter.arrivals) == 71
    assert sandbox.limiter.refused == 0
    assert sandbox.limiter.worst_window() <= LIMIT


async def test_what_others_spend_is_seen_in_the_next_answer(database: Database) -> None:
    sandbox = BillPt(replace(QUICK, rate_window=60))
    async with await serve(sandbox) as serving, a_process(database, sandbox, serving.url, "us") as process:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {sandbox.token}"}) as stranger:
            for _ in range(10):
                async with stranger.get(f"{serving.url}/api/1.0/impostos") as answer:
                    assert answer.status == 200
        await process.ask(1)
        assert process.budget.taken == 11


async def test_after_a_429_it_waits_as_long_as_the_service_says(database: Database) -> None:
    sandbox = BillPt(replace(QUICK, rate_window=60))
    async with await serve(sandbox) as serving, a_process(database, sandbox, serving.url, "us") as process:
        for _ in range(LIMIT):
            sandbox.limiter.arrive()
        with pytest.raises(NoEffectError):
            await process.ask(1)
        assert process.budget.wait_seconds > 50


async def test_a_service_that_does_not_answer_is_down_once_and_up_with_its_first_answer(database: Database) -> None:
    sandbox = BillPt(replace(QUICK, rate_limit=None))
    async with await serve(sandbox) as serving, a_process(database, sandbox, serving.url, "us") as process:
        sandbox.faults.add(Fault(kind=FaultKind.ERROR_BEFORE, times=DOWN_AFTER))
        ups = []
        for _ in range(DOWN_AFTER + 1):
            with suppress(NoEffectError, UncertainError):
                await process.ask(1)
            ups.append(process.up())
    assert ups == [1.0] * (DOWN_AFTER - 1) + [0.0, 1.0]
