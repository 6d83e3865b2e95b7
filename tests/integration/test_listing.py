"""Orders page by page and by name, and what each of them costs the database."""

from collections.abc import Iterable

import pytest
import sqlalchemy as sa

from syncd.domain.states import OrderState
from syncd.store import listing, orders
from syncd.store.engine import Database
from syncd.store.tables import document, shop_order
from tests.integration.stored_documents import answer, draft_of, issue, plan, take
from tests.integration.test_store_events import a_fact, say


async def order(
    db: Database, shop: str, order_id: str, state: OrderState = OrderState.ISSUED, number: str = ""
) -> None:
    await say(db, a_fact(order_id=order_id), shop=shop)
    async with db.write() as conn:
        mine = (shop_order.c.shop == shop) & (shop_order.c.order_id == order_id)
        await conn.execute(sa.update(shop_order).where(mine).values(state=state.value, number=number or f"#{order_id}"))


@pytest.fixture
async def ledger(database: Database) -> Database:
    """Ten orders of two shops; every third is held."""
    for number in range(10):
        held = OrderState.HELD if number % 3 == 0 else OrderState.ISSUED
        await order(database, "montra" if number % 2 else "loja", str(number), held)
    return database


def ids(rows: Iterable[orders.OrderRow]) -> str:
    return "".join(row.order_id for row in rows)


@pytest.mark.parametrize(
    ("which", "wanted"),
    [
        ({}, "9876543210"),
        ({"state": OrderState.HELD}, "9630"),
        ({"shop": "montra"}, "97531"),
        ({"state": OrderState.HELD, "shop": "montra"}, "93"),
        ({"state": OrderState.SKIPPED}, ""),
        ({"shop": "nobody"}, ""),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 10])
async def test_pages_together_show_each_order_once_and_the_newest_first(
    ledger: Database, which: dict[str, object], wanted: str, size: int
) -> None:
    shown, before = "", None
    async with ledger.read() as conn:
        while True:
            page = await listing.page(conn, **which, before=before, size=size)  # type: ignore[arg-type]
            assert len(page.rows) <= size
            shown, before = shown + ids(page.rows), page.older
            if before is None:
                break
    assert shown == wanted


async def test_a_whole_listing_is_read_page_by_page(ledger: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_BATCH", 2)
    async with ledger.read() as conn:
        assert ids([row async for row in listing.search(conn)]) == "9876543210"
        assert ids([row async for row in listing.search(conn, limit=3)]) == "987"
        assert ids([row async for row in listing.search(conn, state=OrderState.HELD)]) == "9630"
        counts = await orders.counts(conn)
    assert (counts[OrderState.HELD], counts[OrderState.ISSUED], counts[OrderState.PLANNED]) == (4, 6, 0)


@pytest.mark.parametrize("asked", ["1001", "#1001", " 1001 "])
async def test_an_order_is_found_by_its_number_or_id_in_every_shop(database: Database, asked: str) -> None:
    await order(database, "loja", "1001", number="1001")
    await order(database, "montra", "5550001", number="#1001")
    await order(database, "montra", "5550002", number="#10011")
    async with database.read() as conn:
        assert [row.shop for row in await listing.named(conn, asked, limit=10)] == ["montra", "loja"]
        assert [row.shop for row in await listing.named(conn, asked, limit=1)] == ["montra"]
        assert ids(await listing.named(conn, "5550002", limit=10)) == "5550002"
        assert await listing.named(conn, "", limit=10) == ()


async def test_an_order_is_found_by_the_number_of_its_document(database: Database) -> None:
    await plan(database, draft_of("1001"))
    await issue(database, await take(database), answer(number="FR 2026/7"))
    async with database.read() as conn:
        assert ids(await listing.named(conn, "FR 2026/7", limit=10)) == "1001"
        assert await listing.named(conn, "FR 2026/", limit=10) == ()


async def test_no_page_and_no_name_reads_more_than_its_own_rows(sqlite_url: str) -> None:
    """The plan of every statement, as SQLite tells it: an index for each, and nothing sorted or read through."""
    database = Database.open(sqlite_url)
    said: list[str] = []
    try:
        for shop in ("loja", "montra"):
            await order(database, shop, "1")
        async with database.read() as conn:
            sa.event.listen(conn.sync_connection, "before_cursor_execute", lambda *got: said.append(got[2]))
            await listing.page(conn, state=OrderState.HELD, before=9)
            await listing.page(conn, shop="loja")
            await listing.page(conn)
            await listing.named(conn, "1001", limit=10)
        statements, plans = list(dict.fromkeys(said)), []
        async with database.read() as conn:
            for statement in statements:
                blanks = ("",) * statement.count("?")
                told = await conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", blanks)
                plans += [row.detail for row in told]
    finally:
        await database.close()
    tables = {shop_order.name, document.name}
    whole = [line for line in plans if line.split()[0] == "SCAN" and line.split()[1] in tables]
    # The newest orders of all come off the table itself, backwards and only so many.
    assert whole == ["SCAN shop_order"]
    assert any("ix_shop_order_state_shop_id" in line for line in plans)
    assert any("ix_shop_order_number" in line for line in plans)
    assert any("ix_document_number" in line for line in plans)
