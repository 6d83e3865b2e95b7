"""SQLite's connections: prepared alike, one turn of their thread for each statement, and one that needs no loop."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import aiosqlite
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from syncd.domain.errors import SyncdError
from syncd.store import chain

_T = TypeVar("_T")
# What is done in a transaction, and who is told what came of it.
Work = Callable[[sa.Connection], _T]
Job = tuple[Work[_T], Callable[[_T | Exception], None]]

_READING, _WRITING = "BEGIN", "BEGIN IMMEDIATE"
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
)


def engine(url: sa.URL, *, fix: str) -> AsyncEngine:
    """An engine for this file; SyncdError with this fix if it cannot be one."""
    name = url.database or ":memory:"
    if name == ":memory:":
        raise SyncdError("SQLite in memory forgets everything", code="database_url", fix=fix)
    folder = Path(name).absolute().parent
    if not folder.is_dir():
        raise SyncdError(f"the database's folder {folder} does not exist", code="database_url", fix="create it")
    url = _with_timeout(url)

    async def connect() -> aiosqlite.Connection:
        (file,), options = made.dialect.create_connect_args(url)
        return await _Connection(partial(sqlite3.connect, file, **options))

    made = create_async_engine(url, async_creator=connect)
    _prepared(made.sync_engine)
    return made


class Direct:
    """SQLite without a loop: one connection, used by one thread, which takes job after job."""

    def __init__(self, url: sa.URL, translated: Callable[[], AbstractContextManager[None]]) -> None:
        self._engine = _prepared(sa.create_engine(_with_timeout(url).set(drivername="sqlite+pysqlite")))
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._translated = translated

    async def transact_all(self, jobs: Iterable[Job[Any]]) -> None:
        loop = asyncio.get_running_loop()
        ended = loop.run_in_executor(self._thread, self._work_off, jobs, loop)
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError:
            await asyncio.wait([ended])  # the next writer must not begin before this one has ended
            raise

    def close(self) -> None:
        self._thread.shutdown()
        self._engine.dispose()

    def _work_off(self, jobs: Iterable[Job[Any]], loop: asyncio.AbstractEventLoop) -> None:
        for work, done in jobs:
            try:
                with self._translated(), self._engine.begin() as connection:
                    result = work(connection)
            except Exception as error:  # noqa: BLE001 - passed on
                loop.call_soon_threadsafe(done, error)
            else:
                loop.call_soon_threadsafe(done, result)


class _Connection(aiosqlite.Connection):
    """Few turns of the loop, since each waits for all that is ready, and costs more than most statements.

    The library makes its thread begin, open a cursor, execute, fetch, close and commit, with a turn for each. Here a
    transaction begins together with its first statement, and a statement brings its rows. One that only reads is no
    transaction at all: each statement sees what is committed, as on Postgres.
    """

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._thread.daemon = True  # as SQLAlchemy makes it: a forgotten one must not keep the process alive
        self._begins = False  # with the next statement
        self._begun = False

    def cursor(self) -> "_Cursor":  # type: ignore[override]
        return _Cursor(self)

    async def run(self, execute: Callable[..., sqlite3.Cursor], statement: str, parameters: Any) -> "_Result":  # noqa: ANN401 - the driver's
        """Execute in the thread. What SQLAlchemy says of a transaction's beginning is only noted."""
        if statement in {_READING, _WRITING}:
            self._begins = statement == _WRITING
            return _Result()
        begins, self._begins = self._begins, False
        self._begun = self._begun or begins
        work = partial(_execute, self._conn, begins, execute, statement, parameters)
        result: _Result = await self._execute(work)  # type: ignore[no-untyped-call]
        return result

    async def commit(self) -> None:
        await self._end(self._conn.commit)

    async def rollback(self) -> None:
        await self._end(self._conn.rollback)

    async def _end(self, end: Callable[[], None]) -> None:
        begun, self._begun, self._begins = self._begun, False, False
        if begun:
            await self._execute(end)  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class _Result:
    rows: list[Any] = field(default_factory=list)
    description: Any = None
    rowcount: int = -1
    lastrowid: int | None = None


def _execute(
    connection: sqlite3.Connection,
    begins: bool,  # noqa: FBT001 - as it is noted
    execute: Callable[..., sqlite3.Cursor],
    statement: str,
    parameters: Any,  # noqa: ANN401 - the driver's
) -> _Result:
    if begins:
        connection.execute(_WRITING)
    cursor = connection.cursor()
    try:
        execute(cursor, statement, parameters)
        rows = cursor.fetchall() if cursor.description else []
        return _Result(rows, cursor.description, cursor.rowcount, cursor.lastrowid)
    finally:
        cursor.close()


class _Cursor:
    """A cursor as SQLAlchemy uses it; its rows are there when `execute` returns."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._result = _Result()
        self._given = 0
        self.arraysize = 1

    @property
    def description(self) -> Any:  # noqa: ANN401 - the driver's
        return self._result.description

    @property
    def rowcount(self) -> int:
        return self._result.rowcount

    @property
    def lastrowid(self) -> int | None:
        return self._result.lastrowid

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, statement: str, parameters: Any = ()) -> None:  # noqa: ANN401 - the driver's
        self._result, self._given = await self._connection.run(sqlite3.Cursor.execute, statement, parameters), 0

    async def executemany(self, statement: str, parameters: Any) -> None:  # noqa: ANN401 - the driver's
        self._result, self._given = await self._connection.run(sqlite3.Cursor.executemany, statement, parameters), 0

    async def fetchone(self) -> Any:  # noqa: ANN401 - the driver's
        return next(iter(await self.fetchmany(1)), None)

    async def fetchmany(self, size: int | None = None) -> Sequence[Any]:
        some = self._result.rows[self._given : self._given + (size or self.arraysize)]
        self._given += len(some)
        return some

    async def fetchall(self) -> Sequence[Any]:
        return await self.fetchmany(len(self._result.rows) or 1)

    async def close(self) -> None:
        """Nothing: the driver's own cursor was closed in the thread."""


def _with_timeout(url: sa.URL) -> sa.URL:
    return url.set(query={"timeout": "10", **url.query})


def _prepared(made: sa.Engine) -> sa.Engine:
    # Without these listeners the driver begins transactions late: updates are lost and DDL is not rolled back.
    sa.event.listen(made, "connect", _prepare)
    sa.event.listen(made, "begin", _begin)
    return made


def _prepare(dbapi: Any, _record: object) -> None:  # noqa: ANN401 - the driver's connection
    dbapi.isolation_level = None
    cursor = dbapi.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
    # Postgres has one of its own; see `engine.sha256`.
    dbapi.create_function("sha256", 1, chain.sha256)


def _begin(connection: sa.Connection) -> None:
    readonly = connection.get_execution_options().get("readonly")
    connection.exec_driver_sql(_READING if readonly else _WRITING)
