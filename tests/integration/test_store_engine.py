import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import asyncpg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError, IntegrityError

from syncd.audit.trail import TrailAudit
from syncd.domain.errors import SyncdError
from syncd.store import engine, postgres, tables, trail
from syncd.store.engine import Database, StoreUnavailableError, current, head, upgrade
from syncd.store.migrations.run import configured, to_head
from syncd.store.tables import Ledger
from tests import stores

AT = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


AN_ORDER = {
    **dict.fromkeys(("account", "number", "hold_code", "hold_message", "hold_fix"), ""),
    **dict.fromkeys(("lane", "version", "rank", "revision", "fetch_tries"), 0),
    "shop": "loja",
    "state": "pending",
    "first_seen_at": AT,
    "changed_at": AT,
}
AN_ENTRY = {"shop": "loja", "at": AT, "actor": "ana", "action": "skip", "document_key": "", "detail": {"reason": "ü"}}


def an_account(name: str) -> dict[str, object]:
    return {"name": name, "paused_code": "", "paused_message": "", "paused_fix": "", "paused_at": AT}


async def names(db: Database) -> set[str]:
    async with db.read() as conn:
        return set((await conn.execute(sa.select(tables.account.c.name))).scalars())


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "sqlite:///syncd.db",
        "sqlite+aiosqlite://",
        "sqlite+aiosqlite:///:memory:",
        "mysql+aiomysql://somebody:geheim@host/name",
        "sqlite+aiosqlite:////nowhere/at/all/syncd.db",
    ],
)
def test_an_unusable_url_is_refused_with_a_way_out_and_without_its_password(url: str) -> None:
    with pytest.raises(SyncdError) as refused:
        Database.open(url)
    assert refused.value.fix
    assert "geheim" not in str(refused.value)


async def test_a_transaction_is_kept_as_a_whole_or_not_at_all(database: Database) -> None:
    async with database.write() as conn:
        await conn.execute(database.insert(tables.account), an_account("kept"))

    async def fail_in_the_middle() -> None:
        async with database.write() as conn:
            await conn.execute(database.insert(tables.account), an_account("lost"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_in_the_middle()
    assert await names(database) == {"kept"}


async def test_a_cancelled_writer_leaves_nothing_behind_and_holds_nobody_up(database: Database) -> None:
    async def write(name: str) -> None:
        async with database.write() as conn:
            await conn.execute(database.insert(tables.account), an_account(name))
            await conn.execute(database.insert(tables.account), an_account(f"{name}-too"))

    for steps in range(40):
        task = asyncio.create_task(write(f"{steps}"))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await write(f"after-{steps}")
    found = await names(database)
    assert {f"after-{steps}" for steps in range(40)} <= found
    assert all(f"{name}-too" in found for name in found if not name.endswith("-too"))


async def test_writers_of_one_process_take_turns_and_lose_no_update(database: Database) -> None:
    async with database.write() as conn:
        await conn.execute(database.insert(tables.account), an_account("0"))

    async def count_up() -> None:
        async with database.write() as conn:
            told = (await conn.execute(sa.select(tables.account.c.name).with_for_update())).scalar_one()
            await conn.execute(sa.update(tables.account).values(name=str(int(told) + 1)))

    await asyncio.gather(*(count_up() for _ in range(20)))
    assert await names(database) == {"20"}


async def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    async with database.write() as conn:
        await conn.execute(database.insert(tables.account), an_account("not yet"))
        assert await names(database) == set()


async def test_bad_data_is_not_mistaken_for_a_database_that_is_away(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.write() as conn:
            await conn.execute(database.insert(tables.account), [an_account("twice"), an_account("twice")])
    await database.close()


@pytest.mark.parametrize("name", ["\x00", 7])
async def test_what_postgres_cannot_store_is_bad_data_too(postgres_url: str, name: object) -> None:
    db = Database.open(postgres_url)
    with pytest.raises(DBAPIError):
        async with db.write() as conn:
            await conn.execute(db.insert(tables.account), {**an_account("x"), "name": name})
    await db.close()


async def test_a_locked_sqlite_file_is_a_store_that_is_unavailable(sqlite_url: str) -> None:
    holder, waiter = Database.open(sqlite_url), Database.open(sqlite_url + "?timeout=0.01")
    async with holder.write() as conn:
        await conn.execute(holder.insert(tables.account), an_account("mine"))
        with pytest.raises(StoreUnavailableError):
            async with waiter.write() as too_early:
                await too_early.execute(waiter.insert(tables.account), an_account("waiting"))
    async with waiter.write() as conn:
        await conn.execute(waiter.insert(tables.account), an_account("now mine"))
    assert await names(holder) == {"mine", "now mine"}
    await holder.close()
    await waiter.close()


async def test_a_postgres_server_that_is_away_is_a_store_that_is_unavailable(tmp_path: Path) -> None:
    nobody = Database.open(f"postgresql+asyncpg://postgres@/ledger?host={tmp_path}")
    for door in (nobody.read, nobody.write):
        with pytest.raises(StoreUnavailableError):
            async with door() as conn:
                await conn.execute(sa.select(1))
    await nobody.close()


async def test_a_missing_postgres_database_is_a_store_that_is_unavailable(postgres_url: str) -> None:
    nobody = Database.open(postgres_url + "_which_is_not_there")
    with pytest.raises(StoreUnavailableError):
        async with nobody.write() as conn:
            await conn.execute(sa.select(1))
    await nobody.close()


async def test_a_connection_cut_in_the_middle_is_a_store_that_is_unavailable_and_comes_back(postgres_url: str) -> None:
    db, other = Database.open(postgres_url), Database.open(postgres_url)

    async def cut_in_the_middle() -> None:
        async with db.write() as conn:
            await conn.execute(db.insert(tables.account), an_account("lost"))
            me = (await conn.execute(sa.text("SELECT pg_backend_pid()"))).scalar_one()
            async with other.write() as second:
                await second.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": me})
            await conn.execute(sa.select(1))

    with pytest.raises(StoreUnavailableError):
        await cut_in_the_middle()
    assert await names(db) == set()
    await db.close()
    await other.close()


async def test_a_server_that_was_restarted_between_two_transactions_is_not_noticed(postgres_url: str) -> None:
    db, other = Database.open(postgres_url), Database.open(postgres_url)
    async with db.write() as conn:
        first = (await conn.execute(sa.text("SELECT pg_backend_pid()"))).scalar_one()
    async with other.write() as conn:
        await conn.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": first})
    assert await names(db) == set()
    await db.close()
    await other.close()


async def test_who_was_stopped_in_the_middle_of_an_exchange_frees_its_locks(postgres_url: str) -> None:
    """The driver prepares a statement in one message and runs it in another: between them the server waits for ever."""
    db, silence = Database.open(postgres_url), timedelta(seconds=2)
    async with db.write() as conn:
        await conn.execute(db.insert(tables.account), an_account("lost"))
    stopped = await asyncpg.connect(postgres_url.replace("+asyncpg", ""), server_settings={"application_name": "syncd"})
    await stopped.execute("BEGIN; SELECT * FROM account FOR UPDATE")
    await stopped.prepare("SELECT 1")
    with patch.object(postgres, "LONGEST_SILENCE", silence):
        async with db.write() as conn:
            assert await postgres.end_silent(conn) == 0  # as busy as any session
        deadline = time.monotonic() + 10 * silence.total_seconds()
        ended = 0
        while not ended:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
            async with db.read() as conn:
                ended = await postgres.end_silent(conn)
    assert ended == 1
    async with db.write() as conn:
        await conn.execute(sa.delete(tables.account))
    await db.close()
    stopped.terminate()


class Firewall:
    """Passes on what is said between us and the server until it forgets the connections: the next word is refused."""

    def __init__(self, url: sa.URL) -> None:
        self._url = url
        self._passing: set[asyncio.StreamWriter] = set()
        self._forgotten: set[asyncio.StreamWriter] = set()

    def forget(self) -> None:
        self._forgotten |= self._passing

    async def let_through(self, questions: asyncio.StreamReader, us: asyncio.StreamWriter) -> None:
        answers, server = await self._reach_the_server()
        self._passing.add(us)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._pass_on(questions, server, unless_forgotten=us))
            both.create_task(self._pass_on(answers, us))

    async def _pass_on(
        self,
        said: asyncio.StreamReader,
        to: asyncio.StreamWriter,
        *,
        unless_forgotten: asyncio.StreamWriter | None = None,
    ) -> None:
        while part := await said.read(65_536):
            if unless_forgotten in self._forgotten:
                unless_forgotten.transport.abort()
                break
            to.write(part)
        to.close()

    async def _reach_the_server(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if folder := self._url.query.get("host"):
            return await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")
        return await asyncio.open_connection(self._url.host, self._url.port or 5432)


async def test_a_connection_that_was_lost_without_a_word_is_asked_before_it_is_used(postgres_url: str) -> None:
    url = sa.make_url(postgres_url)
    firewall = Firewall(url)
    async with await asyncio.start_server(firewall.let_through, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        through = url.set(host="127.0.0.1", port=port, query={})
        asked = Database(postgres.engine(through, trusted_seconds=0))
        trusted = Database(postgres.engine(through))
        assert await names(asked) == await names(trusted) == set()
        firewall.forget()
        assert await names(asked) == set()
        with pytest.raises(StoreUnavailableError):
            await names(trusted)
        assert await names(trusted) == set()
        await asked.close()
        await trusted.close()


async def test_the_database_says_the_time(database: Database) -> None:
    async with database.read() as conn:
        told = await engine.now(conn)
    assert abs((datetime.now(UTC) - told).total_seconds()) < 5


async def test_the_head_that_is_written_down_is_the_head_of_the_revisions(database: Database) -> None:
    async with database.read() as conn:
        script = await conn.run_sync(lambda sync: ScriptDirectory.from_config(configured(sync)))
    assert script.get_current_head() == head()
    assert await current(database) == head()


async def test_the_revisions_make_exactly_the_schema_of_the_code(database: Database) -> None:
    async with database.write() as conn:  # made from the code; make it again, revision by revision
        await conn.run_sync(Ledger.metadata.drop_all)
        await conn.execute(sa.text("DROP TABLE alembic_version"))
        await conn.run_sync(to_head)
    async with database.write() as conn:
        await conn.run_sync(lambda sync: command.check(configured(sync)))


async def test_an_empty_database_is_upgraded_once_by_many_at_a_time(tmp_path: Path) -> None:
    url = stores.sqlite_url(tmp_path)
    empty = Database.open(url)
    assert await current(empty) is None
    await asyncio.gather(*(upgrade(url) for _ in range(3)))
    assert await current(empty) == head()
    await empty.close()


async def test_many_replicas_upgrade_one_postgres_database_once(postgres_url: str) -> None:
    db = Database.open(postgres_url)
    async with db.write() as conn:
        await conn.execute(sa.text("DROP SCHEMA public CASCADE"))
        await conn.execute(sa.text("CREATE SCHEMA public"))
    await asyncio.gather(*(upgrade(postgres_url) for _ in range(4)))
    assert await current(db) == head()
    await db.close()


async def test_a_database_of_a_newer_version_is_left_alone(database: Database, database_url: str) -> None:
    async with database.write() as conn:
        await conn.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SyncdError, match="another version"):
        await upgrade(database_url)


async def test_the_revisions_make_the_triggers_of_the_code(database: Database) -> None:
    made = await _triggers(database)
    async with database.write() as conn:
        await conn.run_sync(Ledger.metadata.drop_all)
        await conn.execute(sa.text("DROP TABLE alembic_version"))
        await conn.run_sync(to_head)
    assert made
    assert await _triggers(database) == made


async def _triggers(db: Database) -> list[tuple[str, str]]:
    sqlite = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
    postgres = "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname"
    async with db.read() as conn:
        found = await conn.execute(sa.text(sqlite if db.dialect == "sqlite" else postgres))
        return [(name, definition) for name, definition in found]


async def test_a_trail_from_before_the_chain_is_linked_by_the_upgrade(database: Database) -> None:
    async with database.write() as conn:
        await conn.run_sync(lambda sync: command.downgrade(configured(sync), "0006"))
        for order_id in ("1", "2"):
            await conn.execute(sa.insert(tables.shop_order).values(**AN_ORDER, order_id=order_id))
        for order_id in ("1", "2", "1"):
            await conn.execute(sa.insert(tables.trail).values(**AN_ENTRY, order_id=order_id))
        await conn.run_sync(to_head)
        await trail.write(conn, at=AT, shop="loja", order_id="1", actor="ana", action="retry")
    audit = TrailAudit(database)
    assert [found async for found in audit.breaks()] == []
    assert (audit.orders, audit.entries) == (2, 4)
