from datetime import UTC, datetime, timedelta

import pytest

from syncd.domain.facts import FactKind
from syncd.domain.hold import Hold
from syncd.domain.states import DocumentState, OrderState
from syncd.store import orders
from syncd.store.engine import Database
from syncd.store.orders import OrderRow, state_of
from tests.integration.test_store_events import a_fact, say, the_order

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOLD = Hold(code="no_vat", message="line 1 has no rate", fix="set it in the shop")


async def arrive(db: Database, order_id: str, *, minutes: int = 0, lane: int = 0) -> None:
    await say(db, a_fact(order_id=order_id), received_at=AT - timedelta(minutes=minutes), lane=lane)


async def due(db: Database, limit: int = 10, after: tuple[str, str] | None = None) -> list[str]:
    async with db.read() as conn:
        return [order_id for _, order_id in await orders.due(conn, AT, limit, after)]


async def settle(db: Database, row: OrderRow, state: OrderState = OrderState.PENDING, hold: Hold | None = None) -> bool:
    async with db.write() as conn:
        return await orders.planned(conn, row, state=state, number="#1001", hold=hold, now=AT)


async def test_live_orders_are_planned_first_and_the_longest_waiting_of_them(database: Database) -> None:
    await arrive(database, "past", minutes=60, lane=1)
    await arrive(database, "new", minutes=1)
    await arrive(database, "old", minutes=9)
    await arrive(database, "future", minutes=-1)
    assert await due(database) == ["old", "new", "past"]
    assert await due(database, 2) == ["old", "new"]


async def test_a_pass_goes_on_past_an_order_that_stays_due(database: Database) -> None:
    for minutes in range(3):
        await arrive(database, str(minutes), minutes=minutes)
    assert await due(database, 1) == ["2"]
    assert await due(database, 1, ("loja", "2")) == ["1"]
    assert await due(database, 1, ("loja", "0")) == []
    assert await due(database, 1, ("loja", "nobody")) == ["2"]


async def test_a_planned_order_is_no_longer_due_and_shows_what_came_of_it(database: Database) -> None:
    await arrive(database, "1001")
    assert await settle(database, await the_order(database), OrderState.PENDING, HOLD)
    row = await the_order(database)
    assert (row.plan_at, row.number, row.hold, row.planned_at) == (None, "#1001", HOLD, AT)
    assert await due(database) == []


async def test_news_that_comes_while_an_order_is_planned_keeps_it_due(database: Database) -> None:
    await arrive(database, "1001")
    seen = await the_order(database)
    await say(database, a_fact(version=9))
    assert not await settle(database, seen)
    assert await due(database) == ["1001"]
    assert await settle(database, await the_order(database))


async def test_an_order_that_could_not_be_planned_waits_until_its_time_or_until_there_is_news(
    database: Database,
) -> None:
    await arrive(database, "1001", minutes=1)
    async with database.write() as conn:
        await orders.postpone(conn, await the_order(database), AT + timedelta(hours=1))
    assert await due(database) == []
    await say(database, a_fact(version=9), received_at=AT)
    assert await due(database) == ["1001"]


async def test_a_decision_is_kept_and_has_the_order_planned_again_at_once(database: Database) -> None:
    await arrive(database, "1001", lane=1)
    await settle(database, await the_order(database))
    async with database.write() as conn:
        assert await orders.decide(conn, "loja", "1001", {"action": "skip", "reason": "test order"}, now=AT)
        assert not await orders.decide(conn, "loja", "nobody", {"action": "skip"}, now=AT)
    row = await the_order(database)
    assert (row.decision, row.plan_at, row.lane) == ({"action": "skip", "reason": "test order"}, AT, 0)
    async with database.write() as conn:
        await orders.decide(conn, "loja", "1001", None, now=AT)
    assert (await the_order(database)).decision is None


async def test_planning_again_can_be_asked_for(database: Database) -> None:
    await arrive(database, "1001")
    await settle(database, await the_order(database))
    async with database.write() as conn:
        assert await orders.replan(conn, "loja", "1001", now=AT)
        assert not await orders.replan(conn, "loja", "nobody", now=AT)
    assert await due(database) == ["1001"]


async def test_a_shop_that_gives_no_answer_is_asked_again_later(database: Database) -> None:
    await arrive(database, "1001")
    async with database.write() as conn:
        await orders.ask(conn, "loja", "1001", now=AT)
        await orders.ask(conn, "loja", "1001", now=AT + timedelta(minutes=1))
        (wish,) = await orders.fetch_due(conn, AT, 10)
        await orders.fetch_failed(conn, wish, AT + timedelta(minutes=5))
        assert await orders.fetch_due(conn, AT, 10) == []
        (again,) = await orders.fetch_due(conn, AT + timedelta(minutes=5), 10)
        assert (again.tries, again.account) == (1, "main")
        await orders.fetched(conn, again)
        assert await orders.fetch_due(conn, AT + timedelta(days=1), 10) == []


async def test_an_order_of_which_only_a_hint_is_known_has_no_facts(database: Database) -> None:
    await say(database, a_fact(FactKind.HINT))
    async with database.read() as conn:
        assert await orders.facts(conn, await the_order(database)) is None
        assert await orders.get(conn, "loja", "nobody") is None
        assert await orders.lock(conn, "loja", "nobody") is None


async def test_what_a_person_skipped_stays_skipped(database: Database) -> None:
    await arrive(database, "1001")
    await settle(database, await the_order(database), OrderState.SKIPPED)
    async with database.write() as conn:
        assert await orders.refresh_state(conn, "loja", "1001") is OrderState.SKIPPED
        assert await orders.refresh_state(conn, "loja", "nobody") is None


@pytest.mark.parametrize(
    ("documents", "held", "state"),
    [
        ((), False, "pending"),
        ((), True, "held"),
        (("withdrawn",), False, "pending"),
        (("issued", "withdrawn"), False, "issued"),
        (("issued", "planned"), False, "planned"),
        (("issued", "waiting"), False, "planned"),
        (("planned", "issuing"), False, "issuing"),
        (("uncertain", "waiting"), False, "issuing"),
        (("issued", "held", "issuing"), False, "held"),
        (("issued",), True, "held"),
    ],
)
def test_an_order_stands_where_its_least_finished_document_stands(
    documents: tuple[str, ...], held: bool, state: str
) -> None:
    assert state_of(map(DocumentState, documents), held=held) is OrderState(state)
