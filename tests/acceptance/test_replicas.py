"""Two daemons on one Postgres: one issues, the other waits; whatever is done to the first, each order has one document."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.processes import (
    PATIENCE_SECONDS,
    SyncdProcess,
    orders,
    running_sandbox,
    running_syncd,
)
from tests.acceptance.shopfront import an_order, send
from tests.acceptance.test_daemon import assert_each_once, settled

SHORT_LEASE = {"SYNCD_ACCOUNTS__MAIN__TIMEOUT_SECONDS": "1", "SYNCD_ACCOUNTS__MAIN__LEASE_SECONDS": "2"}


# Stops its process inside the transaction that writes a request ahead: the lease's row is renewed, and locked, in it.
STOPPED_INSIDE = """
import os
import signal

from sqlalchemy import event
from sqlalchemy.engine import Engine

left = 3


@event.listens_for(Engine, "after_cursor_execute")
def stop(connection, cursor, statement, *_):
    global left
    left -= statement.startswith("INSERT INTO attempt")
    if not left:
        left -= 1
        os.kill(os.getpid(), signal.SIGSTOP)
"""


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def said(daemon: SyncdProcess, event: str) -> int:
    """How often it has logged this."""
    return sum(entry["event"] == event for entry in daemon.events())


async def has_said(daemon: SyncdProcess, event: str, times: int) -> bool:
    return said(daemon, event) >= times


async def issues(daemon: SyncdProcess) -> bool:
    async with aiohttp.ClientSession(daemon.address) as session, session.get("/metrics") as answer:
        return 'syncd_account_issuing{account="main"} 1.0' in await answer.text()


@pytest.fixture
def two_folders(tmp_path: Path) -> tuple[Path, Path]:
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
    return folders


async def test_stopped_beyond_its_lease_woken_and_killed_each_order_still_has_one_document(
    two_folders: tuple[Path, Path], postgres_url: str
) -> None:
    sent = [an_order(number, quantity=number % 5 + 1) for number in range(1, 61)]
    one, two = two_folders
    with running_sandbox(one) as sandbox:
        await sandbox.fault(kind="slow_after", times=None, seconds=0.05, method="POST", path="/api/1.0/documentos")
        with (
            running_syncd(one, sandbox, database=postgres_url, environ=SHORT_LEASE) as first,
            running_syncd(two, sandbox, database=postgres_url, environ=SHORT_LEASE, name="second") as second,
        ):
            await until(lambda: issues(first))
            assert not await issues(second)
            # Either takes webhooks, whoever issues.
            assert set(await send(first.address, *sent[:30])) | set(await send(second.address, *sent[30:])) == {202}
            await until(lambda: has_said(first, "document.done", 10))
            os.kill(first.pid, signal.SIGSTOP)
            await until(lambda: issues(second))
            await until(lambda: has_said(second, "document.done", 5))
            issued = said(first, "document.done")
            os.kill(first.pid, signal.SIGCONT)
            await until(lambda: has_said(first, "lease.lost", 1))
            first.kill()
            # What it had recorded already may only now be logged.
            assert said(first, "document.done") <= issued + 1
            found = await settled(two, 60, "issued")
            await assert_each_once(sandbox, sent, found)
            assert second.stop() == 0


async def test_stopped_inside_the_transaction_that_holds_the_lease_it_is_replaced_and_sends_nothing_more(
    two_folders: tuple[Path, Path], postgres_url: str
) -> None:
    sent = [an_order(number, quantity=number) for number in range(1, 7)]
    one, two = two_folders
    (one / "sitecustomize.py").write_text(STOPPED_INSIDE, "utf-8")
    stops = SHORT_LEASE | {"PYTHONPATH": str(one)}
    with (
        running_sandbox(two) as sandbox,
        running_syncd(one, sandbox, database=postgres_url, environ=stops) as first,
    ):
        await until(lambda: issues(first))
        with running_syncd(two, sandbox, database=postgres_url, environ=SHORT_LEASE, name="second") as second:
            assert set(await send(second.address, *sent)) == {202}
            await until(lambda: is_stopped(first))
            # Its locks last until the server ends the idle session; its lease has long run out by then.
            await until(lambda: issues(second))
            done = said(first, "document.done")
            found = await settled(two, len(sent), "issued")
            requests = (await sandbox.state())["requests"]
            os.kill(first.pid, signal.SIGCONT)
            await until(lambda: has_woken(first))
            assert (await sandbox.state())["requests"] == requests
            assert said(first, "document.done") == done
            await assert_each_once(sandbox, sent, found)
            assert second.stop() == 0


def state_of(pid: int) -> str:
    """The kernel's letter for it, T for stopped."""
    return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]


async def is_stopped(daemon: SyncdProcess) -> bool:
    return state_of(daemon.pid) == "T"


async def has_woken(daemon: SyncdProcess) -> bool:
    """It has noticed that its transaction is gone, or its lease."""
    return (
        said(daemon, "lease.store_unavailable")
        + said(daemon, "lease.lost")
        + said(daemon, "dispatcher.store_unavailable")
        > 0
    )


async def test_a_drained_issuer_hands_over_at_once(two_folders: tuple[Path, Path], postgres_url: str) -> None:
    one, two = two_folders
    long_lease = {"SYNCD_ACCOUNTS__MAIN__LEASE_SECONDS": "3600"}
    with (
        running_sandbox(one) as sandbox,
        running_syncd(one, sandbox, database=postgres_url, environ=long_lease) as first,
    ):
        await until(lambda: issues(first))
        with running_syncd(two, sandbox, database=postgres_url, environ=long_lease, name="second") as second:
            assert await send(second.address, an_order(1)) == [202]
            await settled(two, 1, "issued")  # by the first: it is told across the processes
            assert said(first, "document.done") == 1
            assert first.stop() == 0
            await until(lambda: issues(second))
            assert await send(second.address, an_order(2)) == [202]
            await settled(two, 2, "issued")
            assert len(orders(two)) == 2
