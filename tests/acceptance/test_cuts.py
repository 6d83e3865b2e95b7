"""A real daemon, killed by SIGKILL at every commit and around every exchange with the service; then counted there.

A plug-in on the daemon's path, written here and only for it, counts commits and requests and kills its own process at
the one that it was told. Nothing of it is in the program.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.processes import PATIENCE_SECONDS, SandboxProcess, SyncdProcess, running_sandbox, running_syncd
from tests.acceptance.shopfront import an_order, send
from tests.acceptance.test_daemon import assert_each_once, settled

PLUGIN = '''
"""Kill this process before or after its Nth commit, or at a stage of its Nth issuing request."""

import os
import signal
from asyncio import selector_events

import aiohttp
from sqlalchemy.engine import default

CUT, AT = os.environ["CUT"], int(os.environ["CUT_AT"])
counts = {}


def reached(stage):
    counts[stage] = counts.get(stage, 0) + 1
    if stage == CUT and counts[stage] == AT:
        os.kill(os.getpid(), signal.SIGKILL)


commit = default.DefaultDialect.do_commit


def do_commit(self, connection):
    reached("before commit")
    commit(self, connection)
    reached("after commit")


default.DefaultDialect.do_commit = do_commit
request = aiohttp.ClientSession._request


async def issuing(self, method, address, **options):
    issues = method == "POST" and str(address).endswith("/documentos")
    if not issues:
        return await request(self, method, address, **options)
    reached("before connecting")
    answer = await request(self, method, address, **options)
    reached("headers there")
    read = answer.read

    async def whole():
        body = await read()
        reached("answer there")
        return body

    answer.read = whole
    return answer


aiohttp.ClientSession._request = issuing
write = selector_events._SelectorSocketTransport.write


def writing(self, data):
    """On the socket itself: with a part of the request sent, and with all of it."""
    if not bytes(data[:5]) == b"POST " or b"/documentos" not in bytes(data[:200]):
        return write(self, data)
    reached("before send")
    counts["half sent"] = counts.get("half sent", 0) + 1
    if CUT == "half sent" and counts["half sent"] == AT:
        self._sock.send(bytes(data[: len(data) // 2]))
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, data)
    reached("sent")


selector_events._SelectorSocketTransport.write = writing
'''
# Until two orders are issued there are about ninety commits, those of reading included; the first request leaves after
# the fortieth. An idle daemon goes on reading, so that each of them is reached.
COMMITS = 90
SENT = [an_order(1), an_order(2, quantity=2)]


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a daemon dies."""

    stage: str
    at: int

    def __str__(self) -> str:
        return f"{self.stage} {self.at}"


STAGES = ("before connecting", "before send", "half sent", "sent", "headers there", "answer there")
REQUESTS = [Cut(stage, at) for stage in STAGES for at in (1, 2, 3)]
EVERY_COMMIT = [Cut(stage, at) for stage in ("before commit", "after commit") for at in range(1, COMMITS)]
SAMPLE = [
    *(Cut("after commit", at) for at in (30, 47, 62)),
    *(Cut("before commit", at) for at in (48, 54)),
    *(Cut(stage, at) for stage, at in (("half sent", 2), ("sent", 1), ("headers there", 1), ("answer there", 2))),
]
CUTS = [*EVERY_COMMIT, *REQUESTS] if os.environ.get("PROVE_EVERY_CUT") else SAMPLE


@contextmanager
def a_daemon(folder: Path, sandbox: SandboxProcess, database: str, cut: Cut | None = None) -> Iterator[SyncdProcess]:
    # The dead process' lease is waited out on Postgres.
    environ = {"SYNCD_ACCOUNTS__MAIN__TIMEOUT_SECONDS": "2", "SYNCD_ACCOUNTS__MAIN__LEASE_SECONDS": "5"}
    if cut is not None:
        (folder / "sitecustomize.py").write_text(PLUGIN, "utf-8")
        environ |= {"PYTHONPATH": str(folder), "CUT": cut.stage, "CUT_AT": str(cut.at)}
    with ExitStack() as stack:
        try:
            daemon = stack.enter_context(running_syncd(folder, sandbox, database=database, settle=1, environ=environ))
        except AssertionError as error:
            raise DeadBeforeReadyError from error
        yield daemon


class DeadBeforeReadyError(Exception):
    """The cut came while the daemon was starting."""


async def until_it_dies(daemon: SyncdProcess) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while daemon.process.poll() is None:
        assert time.monotonic() < deadline, "it lived on: the cut was never reached"
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("cut", CUTS, ids=str)
async def test_cut_anywhere_each_order_is_issued_once(cut: Cut, database_url: str, tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        with suppress(DeadBeforeReadyError), a_daemon(tmp_path, sandbox, database_url, cut) as daemon:
            # Dead before it has answered: the shop tells it again below.
            with suppress(aiohttp.ClientError):
                await send(daemon.address, *SENT, at_once=1)
            await until_it_dies(daemon)
        with a_daemon(tmp_path, sandbox, database_url) as daemon:
            await send(daemon.address, *SENT)
            found = await settled(tmp_path, len(SENT), "issued")
        await assert_each_once(sandbox, SENT, found)


@pytest.mark.parametrize("fault", ["lose_answer", "truncate"])
async def test_killed_while_an_answer_is_lost_or_half_there(fault: str, database_url: str, tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        await sandbox.fault(kind=fault, times=2, seconds=0.5, method="POST", path="/api/1.0/documentos")
        with a_daemon(tmp_path, sandbox, database_url, Cut("before commit", 52)) as daemon:
            await send(daemon.address, *SENT, at_once=1)
            await until_it_dies(daemon)
        with a_daemon(tmp_path, sandbox, database_url):
            found = await settled(tmp_path, len(SENT), "issued")
        await assert_each_once(sandbox, SENT, found)
