"""An account's lease on both engines, and on Postgres two processes that want it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import orjson
import pytest
import sqlalchemy as sa
from aiohttp.test_utils import make_mocked_request

from syncd.dispatch.gateway import AccountGateway
from syncd.dispatch.leases import Issuer, Lease, LeaseLostError
from syncd.dispatch.throttle import Budget
from syncd.metrics import Metrics
from syncd.providers.port import Purpose, Usage
from syncd.store.engine import Database
from syncd.store.tables import attempt, lease
from syncd.web.health import Health, Readiness

LONG, TIMEOUT = timedelta(seconds=60), timedelta(seconds=20)


@pytest.fixture
async def replica(postgres_url: str) -> AsyncIterator[Database]:
    db = Database.open(postgres_url)
    yield db
    await db.close()


def a_lease(database: Database, owner: str, *, length: timedelta = LONG, timeout: timedelta = TIMEOUT) -> Lease:
    return Lease(database, "main", owner=owner, length=length, timeout=timeout)


def a_gateway(database: Database) -> AccountGateway:
    return AccountGateway("main", database, Budget(100), Metrics())


async def run_out(database: Database) -> None:
    """As after a stop that was longer than the lease."""
    async with database.write() as conn:
        await conn.execute(sa.update(lease).values(until=datetime.now(UTC) - timedelta(seconds=1)))


async def sent(database: Database) -> int:
    async with database.read() as conn:
        found: int = (await conn.execute(sa.select(sa.func.count()).select_from(attempt))).scalar_one()
        return found


async def test_on_sqlite_the_files_lock_has_decided_so_a_dead_process_keeps_nobody_waiting(sqlite_url: str) -> None:
    database = Database.open(sqlite_url)
    assert await a_lease(database, "dead").take()
    assert await a_lease(database, "next").take()
    await database.close()


async def test_while_one_process_holds_an_account_no_other_gets_it(replica: Database) -> None:
    one, other = a_lease(replica, "one"), a_lease(replica, "other")
    assert await one.take()
    assert not await other.take()
    assert await one.take()  # its own, as after a slow moment
    await one.release()
    assert await other.take()


async def test_of_many_that_ask_at_once_one_gets_it(replica: Database) -> None:
    taken = await asyncio.gather(*(a_lease(replica, str(number)).take() for number in range(8)))
    assert sum(taken) == 1


async def test_a_lease_that_ran_out_is_kept_until_another_takes_it(replica: Database) -> None:
    one, other = a_lease(replica, "one"), a_lease(replica, "other")
    assert await one.take()
    await run_out(replica)
    async with replica.write() as conn:
        await one.confirm(conn)
    assert not await other.take()


async def test_who_lost_the_account_can_neither_write_nor_send(replica: Database) -> None:
    one, other = a_lease(replica, "one"), a_lease(replica, "other")
    gateway, ledger = a_gateway(replica), replica.guarded(one.confirm)
    gateway.require(one)
    assert await one.take()
    async with gateway.request(Purpose.ISSUE, "POST documentos") as call:
        call.answered(Usage(status=200))
    await run_out(replica)
    assert await other.take()
    with pytest.raises(LeaseLostError):
        async with gateway.request(Purpose.ISSUE, "POST documentos"):
            pytest.fail("a request left")
    with pytest.raises(LeaseLostError):
        async with ledger.write():
            pytest.fail("a transaction began")
    with pytest.raises(LeaseLostError):
        await one.keep()
    assert await sent(replica) == 1


async def test_a_process_that_slept_after_writing_ahead_sends_nothing(database: Database) -> None:
    short = a_lease(database, "one", timeout=LONG)  # as if the whole lease but a request's time had passed
    gateway = a_gateway(database)
    gateway.require(short)
    assert await short.take()
    with pytest.raises(LeaseLostError):
        async with gateway.request(Purpose.ISSUE, "POST documentos"):
            pytest.fail("a request left")
    assert await sent(database) == 1  # whoever comes next searches for it


async def test_a_request_is_stamped_with_the_databases_time(database: Database) -> None:
    gateway, held = a_gateway(database), a_lease(database, "one")
    gateway.require(held)
    assert await held.take()
    async with gateway.request(Purpose.ISSUE, "POST documentos") as call:
        call.answered(Usage(status=200))
    async with database.read() as conn:
        row = (await conn.execute(sa.select(attempt))).one()
    assert abs(row.sent_at - datetime.now(UTC)) < timedelta(seconds=30)
    assert row.sent_at <= row.answered_at


async def test_the_next_issuer_counts_what_the_last_one_sent(replica: Database) -> None:
    gateway = a_gateway(replica)
    for status in (200, 422, None):
        async with gateway.request(Purpose.ISSUE, "POST documentos") as call:
            if status is not None:
                call.answered(Usage(status=status))
    budget = Budget(100)
    following = AccountGateway("main", replica, budget, Metrics())
    await following.recover_budget()
    await following.recover_budget()  # taken again after having lost it: nothing counts twice
    assert budget.taken == 3


@dataclass
class Diary:
    """Who works, in turn; on SQLite and Postgres the same."""

    working: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, *expected: str) -> None:
        async with asyncio.timeout(30):
            while tuple(self.working) != expected:
                self.changed.clear()
                await self.changed.wait()


@dataclass
class Work:
    """Stands for the dispatcher: works until stopped, or until a write is refused."""

    name: str
    diary: Diary
    ledger: Database
    writes: asyncio.Event

    async def run(self, stop: asyncio.Event) -> None:
        self.diary.working.append(self.name)
        self.diary.changed.set()
        halted, written = asyncio.create_task(stop.wait()), asyncio.create_task(self.writes.wait())
        await asyncio.wait({halted, written}, return_when=asyncio.FIRST_COMPLETED)
        for waiter in (halted, written):
            waiter.cancel()
        if not stop.is_set():
            async with self.ledger.write():
                pytest.fail("a transaction began")


def an_issuer(database: Database, name: str, diary: Diary, writes: asyncio.Event) -> Issuer:
    held = a_lease(database, name, length=timedelta(seconds=8), timeout=timedelta(seconds=1))
    ledger = database.guarded(held.confirm)
    return Issuer("main", held, a_gateway(database), Metrics(), worker=lambda: Work(name, diary, ledger, writes))


async def test_a_stopped_issuer_hands_over_at_once_and_a_lost_one_waits_for_its_turn(replica: Database) -> None:
    diary, stop_one, stop_other = Diary(), asyncio.Event(), asyncio.Event()
    never, writes = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        one = tasks.create_task(an_issuer(replica, "one", diary, writes).run(stop_one))
        await diary.until("one")
        other = tasks.create_task(an_issuer(replica, "other", diary, never).run(stop_other))
        await run_out(replica)
        await diary.until("one", "other")
        writes.set()  # it learns only now, and its place is taken
        stop_other.set()
        await other
        await diary.until("one", "other", "one")
        stop_one.set()
        await one


async def test_a_process_stopped_inside_a_transaction_is_ended_by_the_server(postgres_url: str) -> None:
    database = Database.open(postgres_url)
    try:
        async with database.read() as connection:
            shown = (await connection.execute(sa.text("SHOW idle_in_transaction_session_timeout"))).scalar_one()
        assert shown == "15s"
    finally:
        await database.close()


async def test_readiness_tells_who_issues_for_each_account(replica: Database) -> None:
    async def issuer(me: str) -> object:
        readiness = Readiness(roles=dict, accounts=("main",), me=me)
        answer = await Health(replica, Metrics(), readiness).ready(make_mocked_request("GET", "/readyz"))
        assert answer.status == 200
        assert isinstance(answer.body, bytes)
        return orjson.loads(answer.body)["issuers"]

    assert await issuer("one") == {"main": "nobody"}
    assert await a_lease(replica, "one").take()
    assert [await issuer(me) for me in ("one", "other")] == [{"main": "this process"}, {"main": "another process"}]
    await run_out(replica)
    assert await issuer("one") == {"main": "nobody"}
