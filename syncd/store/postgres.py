"""Postgres' connections: how one is made, and how a dead one is found before anything is asked through it.

SQLAlchemy's own check (`pool_pre_ping`) costs three exchanges with the server for each transaction, half of all that a
batch of events takes. A connection that the server closed is known to be closed without asking; only one that lay idle
may have been lost without a word, by a firewall for instance.
"""

import time
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from syncd.domain.errors import SyncdError
from syncd.store.tables import complete_for_postgres

# Firewalls and balancers that forget a connection wait for minutes.
TRUSTED_SECONDS = 10.0
# A process that is stopped inside a transaction keeps its locks, the lease's among them, until its session is ended.
LONGEST_SILENCE = timedelta(seconds=15)
_NAME = "syncd"
_PUT_BACK_AT = "put_back_at"
_SESSION = ("pid", "application_name", "datname", "usename", "state", "wait_event", "state_change")


def engine(url: sa.URL, *, trusted_seconds: float = TRUSTED_SECONDS) -> AsyncEngine:
    """An engine for this server; a connection is asked for a sign of life after lying idle for so long."""
    complete_for_postgres()
    longest = str(LONGEST_SILENCE // timedelta(milliseconds=1))
    settings = {"application_name": _NAME, "idle_in_transaction_session_timeout": longest}
    arguments = {"timeout": 10, "command_timeout": 60, "server_settings": settings}
    try:
        made = create_async_engine(url, pool_timeout=10, connect_args=arguments)
    except ModuleNotFoundError as error:
        raise SyncdError(
            "asyncpg is not installed", code="database_driver", fix="pip install 'syncd[postgres]'"
        ) from error

    def put_back(_connection: object, record: sa.pool.ConnectionPoolEntry) -> None:
        record.info[_PUT_BACK_AT] = time.monotonic()

    def take(connection: Any, record: sa.pool.ConnectionPoolEntry, _proxy: object) -> None:  # noqa: ANN401 - the driver's
        idle_since = record.info.get(_PUT_BACK_AT, time.monotonic())
        if connection.driver_connection.is_closed() or (
            time.monotonic() - idle_since >= trusted_seconds and not _answers(made, connection)
        ):
            # The pool takes another; those that are as old as this one are looked at no more.
            raise exc.InvalidatePoolError

    sa.event.listen(made.sync_engine, "checkin", put_back)
    sa.event.listen(made.sync_engine, "checkout", take)
    return made


async def end_silent(connection: AsyncConnection) -> int:
    """End sessions of ours whose process has stopped in the middle of an exchange; how many there were.

    `active` while it waits for the client is what the server calls it then; busy ones wait for something else.
    """
    session = sa.table("pg_stat_activity", *map(sa.column, _SESSION)).c
    silent = (
        (session.application_name == _NAME)
        & (session.datname == sa.func.current_database())
        & (session.usename == sa.func.current_user())
        & (session.state == "active")
        & (session.wait_event == "ClientRead")
        & (session.state_change < sa.func.clock_timestamp() - LONGEST_SILENCE)
    )
    ended = (await connection.execute(sa.select(sa.func.pg_terminate_backend(session.pid)).where(silent))).scalars()
    return sum(ended)


def _answers(engine: AsyncEngine, connection: Any) -> bool:  # noqa: ANN401 - the driver's
    try:
        return engine.dialect.do_ping(connection)
    except (OSError, engine.dialect.loaded_dbapi.Error):
        return False
