"""Transactions that are given as jobs, as the receiving end does; on SQLite a thread works them off."""

import asyncio
import threading
from collections.abc import Iterator
from functools import partial

import pytest
import sqlalchemy as sa

from syncd.store import tables
from syncd.store.engine import Database, Job

FRUIT = ("apple", "banana", "cherry")


def keep(conn: sa.Connection, *names: str) -> str:
    for name in names:
        row = {"name": name, "paused_code": "", "paused_message": "", "paused_fix": "", "paused_at": None}
        conn.execute(sa.insert(tables.account).values(row))
    return names[-1]


async def kept(database: Database) -> set[str]:
    async with database.read() as conn:
        return set((await conn.execute(sa.select(tables.account.c.name))).scalars())


async def test_each_job_is_told_what_came_of_it_and_a_failure_leaves_nothing(database: Database) -> None:
    told: list[str | Exception] = []

    def keeping(*names: str) -> Job[str]:
        return (lambda conn: keep(conn, *names)), told.append

    jobs = [keeping("apple"), keeping("plum", "apple")]
    await database.transact_all(jobs)
    await asyncio.sleep(0)  # what a thread hands over comes with the loop's next turn
    await database.transact_all([(lambda conn: keep(conn, "banana"), told.append)])
    await asyncio.sleep(0)
    first, refused, last = told
    assert (first, last) == ("apple", "banana")
    assert isinstance(refused, sa.exc.IntegrityError)
    assert await kept(database) == {"apple", "banana"}


async def test_jobs_are_taken_one_by_one_while_others_come(database: Database) -> None:
    told: list[str | Exception] = []
    waiting = list(FRUIT)

    def jobs() -> Iterator[Job[str]]:
        while waiting:
            yield partial(lambda name, conn: keep(conn, name), waiting.pop(0)), told.append

    await database.transact_all(jobs())
    await asyncio.sleep(0)
    assert told == list(FRUIT)
    assert await kept(database) == set(FRUIT)


async def test_whoever_gives_up_waiting_leaves_the_next_writer_a_finished_transaction(sqlite_url: str) -> None:
    database = Database.open(sqlite_url)
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow(conn: sa.Connection) -> str:
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(30)
        return keep(conn, "slow")

    told: list[str | Exception] = []
    giving_up = asyncio.create_task(database.transact_all([(slow, told.append)]))
    await begun.wait()
    giving_up.cancel()
    next_writer = asyncio.create_task(database.transact(lambda conn: keep(conn, "next")))
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await giving_up
    assert await next_writer == "next"
    assert told == ["slow"]
    assert await kept(database) == {"slow", "next"}
    await database.close()


async def test_a_transaction_without_a_statement_holds_nothing(sqlite_url: str) -> None:
    idle, busy = Database.open(sqlite_url), Database.open(sqlite_url + "?timeout=0.01")
    async with idle.write(), busy.write() as conn:
        await conn.run_sync(keep, "apple")
    assert await kept(idle) == {"apple"}
    await idle.close()
    await busy.close()


async def test_rows_can_be_fetched_in_parts(sqlite_url: str) -> None:
    database = Database.open(sqlite_url)
    await database.transact(lambda conn: keep(conn, *FRUIT))
    query = sa.select(tables.account.c.name).order_by(tables.account.c.name)
    async with database.read() as conn:
        found = await conn.stream(query)
        parts = [[row.name for row in part] async for part in found.partitions(2)]
        first = (await conn.execute(query)).fetchone()
    assert parts == [["apple", "banana"], ["cherry"]]
    assert first is not None
    assert first.name == "apple"
    await database.close()
