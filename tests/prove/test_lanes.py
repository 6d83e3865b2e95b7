"""Who goes first, with a backlog of 10,000: live orders before backfill, shops in turn, a command's requests last."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from syncd.dispatch.courtesy import LONGEST_WAIT_SECONDS, SHARE
from syncd.domain.hold import Hold
from syncd.sandbox.billpt import FaultKind
from syncd.store import accounts, events
from syncd.store.claims import BACKFILL, LIVE
from syncd.store.engine import Database
from syncd.store.tables import attempt, document, shop_order
from tests.prove.cases import Bench, a_bench, an_order
from tests.prove.clock import the_loop
from tests.prove.world import lease_of

MANY = 10_000
ISSUED_LIVE = ("issue", "loja/live")
PACED = 45  # requests in a minute after which the budget is spent evenly


async def pile_up(bench: Bench, shop: str, number: int, *, lane: int) -> None:
    """So many planned orders of one line, as the planner would have left them."""
    name = f"pattern-{shop}"
    async with onlooking(bench) as ledger:
        at = the_loop().now()
        await events.accept(ledger, [replace(an_order(name).incoming(0, at), lane=lane)])
        async with bench.world.process() as process:
            while await process.reconciler.work_off():
                pass
        async with ledger.write() as connection:
            order = (await connection.execute(_of(shop_order, name))).one()._asdict()
            planned = (await connection.execute(_of(document, name))).one()._asdict()
            await connection.execute(sa.delete(document).where(document.c.order_id == name))
            for row, table in ((order, shop_order), (planned, document)):
                row.pop("id", None)
                await connection.execute(sa.insert(table), list(_copies(row, shop, number)))


def _of(table: sa.Table, order_id: str) -> sa.Select[Any]:
    return sa.select(table).where(table.c.order_id == order_id)


def _copies(row: dict[str, Any], shop: str, number: int) -> Iterable[dict[str, Any]]:
    key, draft = row.get("key", ""), row.get("draft", "")
    for serial in range(number):
        named = row | {"shop": shop, "order_id": f"b{serial}"}
        if draft:
            texts = (text.replace(row["order_id"], f"b{serial}").replace("loja", shop) for text in (key, draft))
            named |= dict(zip(("key", "draft"), texts, strict=True))
        yield named


@asynccontextmanager
async def onlooking(bench: Bench) -> AsyncIterator[Database]:
    database = bench.world.open_ledger()
    try:
        yield database
    finally:
        await database.close()


async def sent(bench: Bench) -> list[tuple[str, str]]:
    """Purpose and order (as shop/id) of each request in the order of leaving."""
    query = sa.select(attempt.c.purpose, document.c.shop, document.c.order_id)
    query = query.select_from(attempt.outerjoin(document, attempt.c.document_id == document.c.id))
    async with onlooking(bench) as ledger, ledger.read() as connection:
        found = await connection.execute(query.order_by(attempt.c.id))
        return [(row.purpose, f"{row.shop}/{row.order_id}") for row in found]


async def until(bench: Bench, met: Callable[[list[tuple[str, str]]], bool]) -> None:
    while not met(await sent(bench)):  # noqa: ASYNC110 - simulated time passes only where somebody sleeps
        await asyncio.sleep(0.1)


async def test_a_live_order_waits_for_one_request_of_a_large_backfill(database_url: str) -> None:
    async with a_bench(database_url) as bench:
        await pile_up(bench, "loja", MANY, lane=BACKFILL)
        async with bench.world.process() as process, process.at_work():
            await until(bench, lambda left: len(left) >= PACED)
            await bench.tell(an_order("live"))
            process.arrived.set()
            before = len(await sent(bench))
            await until(bench, lambda left: len(left) >= before + 2)
        assert ISSUED_LIVE in (await sent(bench))[before : before + 2]


@pytest.mark.parametrize("lane", [LIVE, BACKFILL])
async def test_a_shop_with_a_large_backlog_keeps_no_other_one_waiting(lane: int, database_url: str) -> None:
    async with a_bench(database_url) as bench:
        await pile_up(bench, "loja", MANY, lane=lane)
        await pile_up(bench, "montra", 3, lane=lane)
        before = len(await sent(bench))
        async with bench.world.process() as process:
            for _ in range(8):
                await process.dispatcher.step()
        shops = [order.partition("/")[0] for _, order in (await sent(bench))[before:]]
        assert shops[:6] in (["loja", "montra"] * 3, ["montra", "loja"] * 3)


async def test_what_a_command_asks_leaves_behind_live_documents(database_url: str) -> None:
    async with a_bench(database_url) as bench, bench.world.process() as process, process.at_work():
        await asyncio.sleep(1)  # the account is held
        bench.fail(FaultKind.SLOW_AFTER, seconds=5, times=None)
        for number in range(3):
            await bench.tell(an_order(f"live{number}"))
        while await process.reconciler.work_off():
            pass
        before = len(await sent(bench))
        async with bench.world.command() as service:
            await service.check()
        purposes = [purpose for purpose, _ in (await sent(bench))[before:]]
        assert purposes == sorted(purposes)  # issue before lookup
        assert purposes.count("issue") >= 2


async def test_a_command_leaves_half_of_the_minute_to_documents(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench, bench.world.process() as process, process.at_work():
        await asyncio.sleep(120)
        begun = the_loop().now()
        async with bench.world.command() as service:
            while the_loop().now() < begun + timedelta(seconds=LONGEST_WAIT_SECONDS):
                await service.check()
        assert await left_since(bench, begun) <= SHARE * bench.world.limit + 1


async def test_without_a_daemon_a_command_takes_all_there_is(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench:
        await asyncio.sleep(120)
        begun = the_loop().now()
        async with bench.world.command() as service:
            while the_loop().now() < begun + timedelta(seconds=LONGEST_WAIT_SECONDS):
                await service.check()
        assert await left_since(bench, begun) > SHARE * bench.world.limit + 1


@pytest.mark.parametrize("paused", [True, False])
async def test_a_person_can_always_ask_why_nothing_goes_out(paused: bool, sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench, onlooking(bench) as ledger:
        await pile_up(bench, "loja", 1, lane=LIVE)
        assert await lease_of(ledger).take()  # and whoever has it does nothing
        if paused:
            async with ledger.write() as connection:
                hold = Hold(code="token", message="the token is not valid", fix="set it again")
                await accounts.pause(connection, "main", hold, now=the_loop().now())
        begun = the_loop().time()
        async with bench.world.command() as service:
            await service.check()
        waited = the_loop().time() - begun
        assert (waited == 0) is paused


async def left_since(bench: Bench, begun: datetime) -> int:
    query = sa.select(sa.func.count()).where(
        attempt.c.sent_at >= begun, attempt.c.sent_at < begun + timedelta(seconds=LONGEST_WAIT_SECONDS)
    )
    async with onlooking(bench) as ledger, ledger.read() as connection:
        found: int = (await connection.execute(query)).scalar_one()
        return found
