"""The ledger as a simulated process sees it: it may die before and after every statement and every commit.

On SQLite, statements and transactions are the program's own, but the driver is called where it is asked, not in a
thread behind a queue. That is three times as fast, and a schedule spends nearly all of its time there.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from syncd.store import engine, sqlite
from syncd.store.engine import Database
from tests.prove.clock import the_loop
from tests.prove.fate import Fate, Killed, living


def a_ledger(url: str, fate: Fate | None = None) -> Database:
    """A process's, or without a fate an onlooker's."""
    of = "a process" if fate else "an onlooker"
    kind = DirectDatabase if sa.make_url(url).get_backend_name() == "sqlite" else ServerDatabase
    return kind(_engine(url, of), fate or Fate())


class ServerDatabase(Database):
    """On Postgres. What a server does takes no simulated time."""

    def __init__(self, made: AsyncEngine, fate: Fate) -> None:
        super().__init__(made)
        self._fate = fate

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        self._fate.step()
        with the_loop().outside(lambda: self._fate.dead):
            async with super().read() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        self._fate.step()
        with the_loop().outside(lambda: self._fate.dead):
            async with super().write() as connection:
                yield connection
        self._fate.step()

    async def close(self) -> None:
        with the_loop().outside():
            await super().close()


class DirectDatabase(Database):
    """On SQLite, without the thread."""

    def __init__(self, made: AsyncEngine, fate: Fate) -> None:
        super().__init__(made)
        self._fate = fate

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        await self._others()
        with engine._translated(), self._sync.connect() as connection:
            connection.execution_options(readonly=True)
            with connection.begin():
                yield _awaitable(connection)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        await self._others()
        async with self._turn:
            with engine._translated(), self._sync.begin() as connection:
                yield _awaitable(connection)
        self._fate.step()

    async def close(self) -> None:
        self._sync.dispose()

    @property
    def _sync(self) -> sa.Engine:
        return cast("sa.Engine", self._engine)

    async def _others(self) -> None:
        """Where a driver would be waited for, other tasks go on."""
        self._fate.step()
        await asyncio.sleep(0)


class _Awaitable:
    """The part of an AsyncConnection that the store uses."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self.dialect = connection.dialect

    async def execute(self, statement: sa.Executable, parameters: Any = None) -> Any:
        return self._connection.execute(statement, parameters)

    async def run_sync(self, work: Callable[[sa.Connection], Any]) -> Any:
        return work(self._connection)


def _awaitable(connection: sa.Connection) -> AsyncConnection:
    return cast("AsyncConnection", _Awaitable(connection))


@cache
def _engine(url: str, of: str) -> AsyncEngine:
    """One for each URL: processes share no connection, but the statements that are compiled already."""
    database = Database.open(url)
    made: Any = database._engine
    listened = made.sync_engine
    if database.dialect == "sqlite":
        made = listened = sa.create_engine(sa.make_url(url).set(drivername="sqlite"))
        sa.event.listen(made, "connect", sqlite._prepare)
        sa.event.listen(made, "begin", _begin)
    if of == "a process":
        sa.event.listen(listened, "before_cursor_execute", _step)
        sa.event.listen(listened, "after_cursor_execute", _stepped)
        sa.event.listen(listened, "commit", _step)
        sa.event.listen(listened, "connect", _opened)
    return cast("AsyncEngine", made)


def _begin(connection: sa.Connection) -> None:
    """As the program's own driver does: reading needs no transaction."""
    if not connection.get_execution_options().get("readonly"):
        connection.exec_driver_sql(sqlite._WRITING)


def _step(*_: object) -> None:
    if fate := living.get():
        fate.step()


def _stepped(_: object, cursor: Any, *__: object) -> None:
    try:
        _step()
    except Killed:
        cursor.close()  # SQLite keeps a closed connection's locks as long as one of its statements is not finished
        raise


def _opened(connection: Any, _: object) -> None:
    if fate := living.get():
        driver = connection.driver_connection if hasattr(connection, "driver_connection") else connection
        fate.left_behind.append(driver.close if isinstance(driver, sqlite3.Connection) else driver.terminate)
