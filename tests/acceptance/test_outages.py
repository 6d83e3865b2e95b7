"""What the daemon does while the service, the database or the disk is away: take in or refuse, never lose, go on."""

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from syncd.sandbox.billpt import BillPt, Settings
from syncd.sandbox.server import serve
from tests import stores
from tests.acceptance.processes import PATIENCE_SECONDS, SandboxProcess, SyncdProcess, running_sandbox, running_syncd
from tests.acceptance.shopfront import an_order, send
from tests.acceptance.test_daemon import assert_each_once, settled


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def shows(daemon: SyncdProcess, figure: str) -> bool:
    async with aiohttp.ClientSession(daemon.address) as session, session.get("/metrics") as answer:
        return figure in await answer.text()


async def readiness(daemon: SyncdProcess) -> int:
    async with aiohttp.ClientSession(daemon.address) as session, session.get("/readyz") as answer:
        return answer.status


def said(daemon: SyncdProcess, event: str) -> list[str]:
    """The levels at which it has logged this."""
    return [entry["level"] for entry in daemon.events() if entry["event"] == event]


async def test_while_the_service_is_down_orders_are_taken_in_and_one_alert_is_given(tmp_path: Path) -> None:
    sent = [an_order(number, quantity=number % 2 + 1) for number in range(1, 64)]
    service = BillPt(Settings(rate_limit=None))
    async with AsyncExitStack() as up:
        serving = await up.enter_async_context(await serve(service))
        port = int(serving.url.rsplit(":", 1)[1])
        sandbox = SandboxProcess(serving.url, service.token)
        with running_syncd(tmp_path, sandbox, rate_limit=100_000) as daemon:
            await send(daemon.address, *sent[:2])
            await settled(tmp_path, 2, "issued")
            await up.aclose()
            assert set(await send(daemon.address, *sent[2:-1])) == {202}
            await until(lambda: shows(daemon, 'syncd_service_up{account="main"} 0.0'))
            await until(lambda: shows(daemon, 'syncd_alerts{code="service_down"} 1.0'))
            assert await readiness(daemon) == 200  # taking in goes on, so shops may come
            async with await serve(service, port=port):
                assert await send(daemon.address, sent[-1]) == [202]
                found = await settled(tmp_path, len(sent), "issued")
                await assert_each_once(sandbox, sent, found)
                assert await shows(daemon, 'syncd_service_up{account="main"} 1.0')
                assert daemon.stop() == 0
            assert said(daemon, "service.down") == ["warning"]
            assert said(daemon, "service.up") == ["info"]
            assert [(entry["event"], entry["code"]) for entry in daemon.events() if entry["level"] == "error"] == [
                ("alert.raised", "service_down")
            ]


async def test_while_postgres_is_away_shops_are_asked_to_come_again(
    tmp_path: Path, postgres_server: stores.PostgresServer, postgres_url: str
) -> None:
    sent = [an_order(number) for number in range(1, 21)]
    name = sa.make_url(postgres_url).database
    with running_sandbox(tmp_path) as sandbox, running_syncd(tmp_path, sandbox, database=postgres_url) as daemon:
        assert set(await send(daemon.address, *sent[:10])) == {202}  # some are under way when it happens
        await command(
            postgres_server.url,
            f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false',
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
        )
        assert set(await send(daemon.address, *sent[10:])) == {503}
        assert await readiness(daemon) == 503
        await command(postgres_server.url, f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')
        assert set(await send(daemon.address, *sent[10:])) == {202}
        found = await settled(tmp_path, 20, "issued")
        await assert_each_once(sandbox, sent, found)
        assert await readiness(daemon) == 200
        assert daemon.stop() == 0


async def test_while_the_disk_is_full_shops_are_asked_to_come_again(tmp_path: Path) -> None:
    sent = [an_order(number) for number in range(1, 41)]
    with running_sandbox(tmp_path) as sandbox, running_syncd(tmp_path, sandbox) as daemon:
        await send(daemon.address, sent[0])
        await settled(tmp_path, 1, "issued")
        largest = largest_file(tmp_path)
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (largest + 200_000, resource.RLIM_INFINITY))
        statuses = [(await send(daemon.address, order))[0] for order in sent[1:]]
        assert set(statuses) == {202, 503}
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        again = [order for order, status in zip(sent[1:], statuses, strict=True) if status == 503]
        assert set(await send(daemon.address, *again)) == {202}
        found = await settled(tmp_path, 40, "issued")
        await assert_each_once(sandbox, sent, found)
        assert daemon.stop() == 0


def largest_file(folder: Path) -> int:
    """In bytes; it is the ledger's journal, far ahead of the log."""
    return max(file.stat().st_size for file in folder.iterdir())


async def command(url: str, *statements: str) -> None:
    """On a server's own database, outside of transactions."""
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        for statement in statements:
            await connection.execute(sa.text(statement))
    await engine.dispose()
