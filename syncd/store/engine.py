"""What differs between SQLite and Postgres, and the one door to the ledger's connections."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from syncd.domain.errors import SyncdError
from syncd.store import sqlite
from syncd.store.migrations import HEAD

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

_T = TypeVar("_T")
Dialect = Literal["sqlite", "postgresql"]
# Called at the beginning of a transaction, which it refuses by raising.
Guard = Callable[[AsyncConnection], Awaitable[object]]
Work = sqlite.Work[_T]
Job = sqlite.Job[_T]

_FIX = "write sqlite+aiosqlite:///syncd.db or postgresql+asyncpg://user:password@host/name under [database] url"

# Postgres' classes of errors after which the same statement may succeed later: connection, transaction rolled back
# (deadlock), resources (disk full), locks, operator intervention (shutdown), system; and the states of a database that
# is not (yet) there, does not let us in, or is a standby.
_PASSING = frozenset({"08", "40", "53", "55", "57", "58", "28", "3D"})
_READ_ONLY = "25006"

# Any two processes that migrate the same Postgres database must meet at this number.
_MIGRATION_LOCK = 0x73796E6364


class StoreUnavailableError(SyncdError):
    """The database did not do its part: nothing was stored, the same may succeed later."""


class Database:
    """The ledger's database. One per process; `close` gives everything back."""

    def __init__(self, engine: AsyncEngine, direct: sqlite.Direct | None = None) -> None:
        self._engine = engine
        self._direct = direct
        self._writer: AsyncConnection | None = None
        self._turn = asyncio.Lock()

    @classmethod
    def open(cls, url: str) -> "Database":
        """Prepare the connections of a database URL; nothing is connected yet. SyncdError for an unusable URL."""
        try:
            parsed = sa.make_url(url)
        except exc.ArgumentError:
            # Its text would show the URL, and with it the password.
            raise SyncdError("the database URL cannot be read", code="database_url", fix=_FIX) from None
        match parsed.drivername:
            case "sqlite+aiosqlite":
                return cls(sqlite.engine(parsed, fix=_FIX), sqlite.Direct(parsed, _translated))
            case "postgresql+asyncpg":
                # Megabytes and milliseconds that SQLite need not pay; and the tables need this module's types.
                from syncd.store import postgres  # noqa: PLC0415

                return cls(postgres.engine(parsed))
            case other:
                raise SyncdError(f"the database driver {other!r} is not supported", code="database_url", fix=_FIX)

    @property
    def writers(self) -> int:
        """How many transactions at once make the most of this database: SQLite takes one at a time."""
        return 1 if self.dialect == "sqlite" else 2

    @property
    def dialect(self) -> Dialect:
        return "sqlite" if self._engine.dialect.name == "sqlite" else "postgresql"

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading; on SQLite it neither waits for a writer nor holds one up."""
        with _translated():
            async with self._engine.connect() as connection:
                await connection.execution_options(readonly=True)
                async with connection.begin():
                    yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """The same, but all statements see one state of the ledger. Keep it short: what it sees must be kept for it."""
        async with self.read() as connection:
            if self.dialect == "postgresql":
                await connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
                yield connection
                return
            await connection.exec_driver_sql("BEGIN DEFERRED")
            try:
                yield connection
            finally:
                await connection.exec_driver_sql("ROLLBACK")

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end, rolled back on any error or cancellation.

        No request may be made inside: on SQLite all writers of the process wait for each other, and on Postgres an
        old snapshot makes every claim slower. Raises StoreUnavailableError.
        """
        with _translated():
            if self.dialect == "postgresql":
                async with self._engine.begin() as connection:
                    yield connection
            else:
                # Writers that compete for SQLite's lock sleep and poll; writers that queue here do not.
                async with self._turn:
                    connection = await self._only_writer()
                    async with connection.begin():
                        yield connection

    async def transact(self, work: Work[_T]) -> _T:
        """One transaction for work that waits for nothing but the database. Raises StoreUnavailableError."""
        async with self.write() as connection:
            return await connection.run_sync(work)

    async def transact_all(self, jobs: Iterable[Job[_T]]) -> None:
        """A transaction for each job; what came of it, an error included, is given to the job's second part.

        On SQLite they are done in one go in a thread, which also takes the next job: a busy loop would let it wait for
        several milliseconds before each statement.
        """
        if self._direct is not None:
            async with self._turn:
                await self._direct.transact_all(jobs)
            return
        for work, done in jobs:
            try:
                result = await self.transact(work)
            except Exception as error:  # noqa: BLE001 - passed on
                done(error)
            else:
                done(result)

    def guarded(self, guard: Guard) -> "Database":
        """The same connections, but every transaction that writes is refused where the guard raises."""
        return _Guarded(self, self._engine, guard)

    def insert(self, table: sa.Table) -> "sqlite_dialect.Insert | postgresql.Insert":
        """INSERT with `on_conflict_do_nothing` and `on_conflict_do_update`."""
        return insert_on(self.dialect, table)

    async def close(self) -> None:
        if self._writer is not None:
            await self._writer.close()
            self._writer = None
        if self._direct is not None:
            self._direct.close()
        await self._engine.dispose()

    async def _only_writer(self) -> AsyncConnection:
        if self._writer is None or self._writer.closed:
            self._writer = await self._engine.connect()
        return self._writer


class _Guarded(Database):
    """A second door to a ledger; who opened the first one closes it."""

    def __init__(self, database: Database, engine: AsyncEngine, guard: Guard) -> None:
        super().__init__(engine)
        self._database = database
        self._guard = guard

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with self._database.read() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        async with self._database.write() as connection:
            await self._guard(connection)
            yield connection


def insert(conn: AsyncConnection, table: sa.Table) -> "sqlite_dialect.Insert | postgresql.Insert":
    """INSERT with `on_conflict_...` for the engine of this connection."""
    return insert_on(conn.dialect.name, table)


def insert_on(dialect: str, table: sa.Table) -> "sqlite_dialect.Insert | postgresql.Insert":
    """INSERT with `on_conflict_...` for an engine by its name."""
    if dialect == "sqlite":
        return sqlite_dialect.insert(table)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - megabytes and milliseconds that SQLite need not pay

    return postgresql.insert(table)


def sha256(dialect: str, text: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """The hash of a text in SQL, as `chain.sha256` tells it."""
    if dialect == "sqlite":
        return sa.func.sha256(text, type_=sa.Text)
    return sa.func.encode(sa.func.sha256(sa.func.convert_to(text, "UTF8")), "hex", type_=sa.Text)


async def now(conn: AsyncConnection) -> datetime:
    """The time by the database's clock, which all replicas share; on SQLite there is one process and its own clock."""
    if conn.dialect.name == "sqlite":
        return datetime.now(UTC)
    moment: datetime = (await conn.execute(sa.select(sa.func.clock_timestamp()))).scalar_one()
    return moment


async def one_moment(conn: AsyncConnection) -> None:
    """Show the ledger as it is now to every further statement of this transaction, as SQLite always does.

    Keep it short: an old snapshot makes every claim slower.
    """
    if conn.dialect.name == "postgresql":
        await conn.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


def head() -> str:
    """The schema revision that this version works on."""
    return HEAD


async def current(db: Database) -> str | None:
    """The database's schema revision; None for an empty database."""
    async with db.read() as conn:
        return await _revision(conn)


async def upgrade(db_url: str) -> None:
    """Bring the schema up to date; safe if several processes do it at once. SyncdError if the database is newer."""
    db = Database.open(db_url)
    try:
        if await current(db) != HEAD:
            await _migrate(db)
    finally:
        await db.close()


async def _migrate(db: Database) -> None:
    async with db.write() as conn:
        if db.dialect == "postgresql":
            await conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        revision = await _revision(conn)
        if revision is None:
            await conn.run_sync(_create)
        elif revision != HEAD:
            await conn.run_sync(_to_head)


def _create(connection: sa.Connection) -> None:
    """An empty database needs no history: the schema as it is now, which a test holds against the migrations."""
    from syncd.store.tables import Ledger  # noqa: PLC0415 - the tables need this module's types

    Ledger.metadata.create_all(connection, checkfirst=False)
    connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(sa.text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def _to_head(connection: sa.Connection) -> None:
    # Imported here: a daemon on a current schema starts faster and stays smaller without it.
    from alembic.util import CommandError  # noqa: PLC0415

    from syncd.store.migrations.run import to_head  # noqa: PLC0415

    try:
        to_head(connection)
    except CommandError as error:
        raise SyncdError(
            "the database was made by another version of syncd", code="database_newer", fix="install that version"
        ) from error


async def _revision(conn: AsyncConnection) -> str | None:
    if not await conn.run_sync(lambda sync: sa.inspect(sync).has_table("alembic_version")):
        return None
    revision: str | None = (await conn.execute(sa.text("SELECT version_num FROM alembic_version"))).scalar()
    return revision


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    # No request is made inside a transaction, so an OSError can only be the database's.
    except (OSError, exc.TimeoutError) as error:
        raise StoreUnavailableError("the database is not reached", code="database", fix="start it") from error
    except exc.DBAPIError as error:
        if not _passing(error):
            raise
        # The statement and its parameters stay in the cause: they may hold personal data.
        raise StoreUnavailableError(
            f"the database failed: {type(error.orig).__name__}", code="database", fix="see the database's own log"
        ) from error


def _passing(error: exc.DBAPIError) -> bool:
    """Whether the database is at fault, not the data."""
    state = getattr(error.orig, "sqlstate", None)
    if state:
        return state[:2] in _PASSING or state == _READ_ONLY
    return error.connection_invalidated or not isinstance(
        error, exc.IntegrityError | exc.DataError | exc.ProgrammingError
    )
