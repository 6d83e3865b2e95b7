"""One alert for a cause, told until somebody has heard, whatever restarts and however many look."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from syncd.alerts.channel import Channel
from syncd.alerts.conditions import ON_ITS_WAY, Outlook
from syncd.alerts.watch import CALM, LEASE, Watch
from syncd.domain.alert import Alert
from syncd.domain.hold import Hold
from syncd.domain.patience import DOWN_AFTER
from syncd.domain.registers import ReferenceRates
from syncd.domain.states import DocumentState, OrderState
from syncd.mapping.deadlines import WHEN_LATE
from syncd.store import accounts, alerts, attempts, deadlines, documents, orders, registers
from syncd.store.engine import Database
from syncd.store.tables import alert, shop_order
from tests.integration.stored_documents import draft_of, issue, plan, take
from tests.integration.test_store_events import a_fact, say
from tests.receiver import Receiver, a_receiver

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TOKEN = Hold(code="billpt.208", message="the token is not valid", fix="set the account's token")


class Office:
    """A ledger, people who listen, and as many watches over it as there are processes."""

    def __init__(self, database: Database, receiver: Receiver) -> None:
        self.database = database
        self.receiver = receiver
        self.at = NOON

    def watch(self, **changes: Any) -> Watch:
        settings: dict[str, Any] = {"repeat": timedelta(hours=24), "now": lambda: self.at, **changes}
        outlook = Outlook(accounts=("main", "other"), before_deadline=timedelta(hours=8))
        return Watch(self.database, outlook, Channel(self.receiver.url), **settings)

    async def look(self, *watches: Watch, later: timedelta = timedelta()) -> list[tuple[str, str]]:
        """What was told since, after everyone has looked at the same time."""
        self.at += later
        before = len(self.receiver.messages)
        everyone = watches or (self.watch(),)
        await asyncio.gather(*(each.look() for each in everyone))
        while any(await asyncio.gather(*(each.tell() for each in everyone))):
            pass
        return self.receiver.heard()[before:]

    async def over(self) -> list[tuple[str, str]]:
        """What is told once the cause has been gone for long enough."""
        assert await self.look() == []
        return await self.look(later=CALM)

    async def pause(self, hold: Hold = TOKEN) -> None:
        async with self.database.write() as conn:
            await accounts.pause(conn, "main", hold, now=self.at)

    async def resume(self) -> None:
        async with self.database.write() as conn:
            await accounts.resume(conn, "main")

    async def open(self) -> list[Alert]:
        async with self.database.read() as conn:
            return await alerts.open_alerts(conn)

    async def rows(self) -> int:
        async with self.database.read() as conn:
            return (await conn.execute(sa.select(sa.func.count()).select_from(alert))).scalar_one()

    async def request(self, status: int | None, outcome: str = "answered", account: str = "main") -> None:
        self.at += timedelta(seconds=1)
        async with self.database.write() as conn:
            attempt = await attempts.begin(conn, account=account, purpose="issue", label="x", sent_at=self.at)
            answered_at = self.at if status else None
            await attempts.end(conn, attempt, answered_at=answered_at, status=status, outcome=outcome)

    async def hold(self, order_id: str, code: str, **changes: Any) -> None:
        await say(self.database, a_fact(order_id=order_id))
        async with self.database.write() as conn:
            row = await orders.lock(conn, "loja", order_id)
            assert row is not None
            held = Hold(code=code, message="of Rita Lopes", fix="decide") if code else None
            state = OrderState.HELD if code else OrderState.PENDING
            await orders.planned(conn, row, state=state, number="", hold=held, now=self.at, **changes)


@asynccontextmanager
async def opened(database: Database, *statuses: int) -> AsyncIterator[Office]:
    async with a_receiver(*statuses) as receiver:
        yield Office(database, receiver)


@pytest.fixture
async def office(database: Database) -> AsyncIterator[Office]:
    async with opened(database) as office:
        yield office


# -- once -----------------------------------------------------------------------


async def test_processes_that_see_the_same_raise_it_once_and_one_of_them_tells(office: Office) -> None:
    await office.pause()
    watches = [office.watch() for _ in range(8)]
    assert await office.look(*watches) == [("raised", "account_paused")]
    assert await office.look(*watches) == []
    await office.resume()
    assert await office.look(*watches) == []
    assert await office.look(*watches, later=CALM) == [("resolved", "account_paused")]
    assert await office.rows() == 1


async def test_an_account_that_resumes_and_is_paused_again_at_once_is_one_alert(office: Office) -> None:
    await office.pause()
    assert len(await office.look()) == 1
    for _ in range(5):
        await office.resume()
        assert await office.look(later=CALM / 2) == []
        await office.pause()
        assert await office.look(later=CALM / 2) == []
    await office.resume()
    assert await office.over() == [("resolved", "account_paused")]
    await office.pause()
    assert await office.look() == [("raised", "account_paused")]
    assert await office.rows() == 2


async def test_nothing_is_written_while_nothing_changes(office: Office) -> None:
    await office.pause()
    await office.look()

    async with office.database.write():  # whoever wanted to write would wait for this one for ever
        await asyncio.wait_for(office.watch().look(), 10)
        assert not await asyncio.wait_for(office.watch().tell(), 10)


# -- told -----------------------------------------------------------------------


async def test_what_cannot_be_told_is_told_later_under_the_same_id(database: Database) -> None:
    async with opened(database, 503, 404) as office:
        await office.pause()
        assert len(await office.look()) == 1
        assert await office.look() == []
        assert len(await office.look(later=timedelta(seconds=1))) == 1
        assert len(await office.look(later=timedelta(seconds=2))) == 1
        assert await office.look(later=timedelta(hours=1)) == []
        assert {message["id"] for message in office.receiver.messages} == {"1-raised"}


async def test_an_alert_that_nobody_heard_of_before_it_was_over_is_told_all_the_same(database: Database) -> None:
    async with opened(database, 500) as office:
        await office.pause()
        await office.look()
        await office.resume()
        await office.look()
        assert await office.look(later=CALM) == [("resolved", "account_paused")]
        assert await office.look(later=timedelta(days=2)) == []


async def test_a_process_that_dies_while_telling_leaves_it_to_the_others(office: Office) -> None:
    await office.pause()
    await office.watch().look()
    claimed = await alerts.claim(office.database, now=office.at, lease=LEASE)
    assert claimed is not None
    assert await office.look() == []
    assert await office.look(later=LEASE) == [("raised", "account_paused")]


async def test_what_is_resolved_while_it_is_told_is_told_as_well(office: Office) -> None:
    await office.pause()
    await office.watch().look()
    claimed = await alerts.claim(office.database, now=office.at, lease=LEASE)
    assert claimed is not None
    await office.resume()
    await office.watch().look()
    office.at += CALM
    await office.watch().look()
    await alerts.told(office.database, claimed, again_at=office.at + timedelta(days=1))
    assert await office.look() == [("resolved", "account_paused")]


@pytest.mark.parametrize(("hours", "reminders"), [(24, 2), (0, 0)])
async def test_an_alert_that_lasts_is_told_again_with_its_newest_words(
    office: Office, hours: int, reminders: int
) -> None:
    watch = office.watch(repeat=timedelta(hours=hours))
    await office.pause()
    await office.look(watch)
    await office.pause(Hold(code="billpt.309", message="the series was not reported", fix="report it"))
    assert await office.look(watch, later=timedelta(hours=1)) == []
    heard = [told for _ in range(2) for told in await office.look(watch, later=timedelta(hours=24))]
    assert heard == [("reminder", "account_paused")] * reminders
    (open_,) = await office.open()
    assert "not reported" in open_.condition.message
    if reminders:
        assert office.receiver.messages[-1]["message"] == open_.condition.message


async def test_a_lost_database_is_told_from_memory_and_so_is_its_return(database: Database) -> None:
    nowhere = Database.open("postgresql+asyncpg://nobody:x@127.0.0.1:1/nothing")
    async with opened(database, 200, 503) as office:
        watch = office.watch()
        watch._database = nowhere
        for _ in range(4):
            await watch.step()
            office.at += timedelta(seconds=5)
        assert office.receiver.heard() == [("raised", "database_down")]
        await watch.step()
        watch._database = database
        for _ in range(3):
            await watch.step()
        assert office.receiver.heard()[1:] == [("resolved", "database_down")] * 2
        assert len({message["id"] for message in office.receiver.messages}) == 2
    await nowhere.close()


async def test_a_database_that_is_back_in_a_moment_is_not_spoken_of(database: Database) -> None:
    nowhere = Database.open("postgresql+asyncpg://nobody:x@127.0.0.1:1/nothing")
    async with opened(database) as office:
        watch = office.watch()
        for _ in range(3):
            watch._database = nowhere
            await watch.step()
            office.at += timedelta(seconds=10)
            watch._database = database
            await watch.step()
        assert office.receiver.heard() == []
    await nowhere.close()


# -- conditions -------------------------------------------------------------------


async def test_a_service_is_down_after_some_silences_and_up_with_an_answer(office: Office) -> None:
    for _ in range(DOWN_AFTER - 1):
        await office.request(None, "UncertainError")
    await office.request(None, "CancelledError")
    await office.request(None, "")
    assert await office.look() == []
    await office.request(503, "UncertainError")
    for _ in range(DOWN_AFTER):
        await office.request(200, account="other")
    assert await office.look() == [("raised", "service_down")]
    await office.request(422, "RefusedError")
    assert await office.over() == [("resolved", "service_down")]


async def test_a_thousand_held_orders_are_one_alert_for_each_reason(office: Office) -> None:
    for number in range(30):
        await office.hold(str(number), "vat_rate_mismatch" if number % 3 else "untaxed_line")
    assert await office.look() == [("raised", "orders_held")] * 2
    by_subject = {each.condition.subject: each.condition.message for each in await office.open()}
    assert by_subject == {
        "loja: untaxed_line": "10 orders of loja held: untaxed_line",
        "loja: vat_rate_mismatch": "20 orders of loja held: vat_rate_mismatch",
    }
    assert "Rita" not in str(office.receiver.messages)
    await office.hold("0", "")
    assert await office.look() == []
    assert {each.condition.message for each in await office.open()} >= {"9 orders of loja held: untaxed_line"}
    for number in range(3, 30, 3):
        await office.hold(str(number), "")
    assert await office.over() == [("resolved", "orders_held")]


async def test_an_order_that_a_document_holds_is_counted_by_that_documents_reason(office: Office) -> None:
    await plan(office.database, draft_of(), now=office.at)
    claimed = await take(office.database, office.at)
    refused = Hold(code="billpt.206", message="no", fix="correct it")
    async with office.database.write() as conn:
        await documents.record_outcome(
            conn, claimed.id, DocumentState.HELD, run_at=office.at, hold=refused, now=office.at
        )
        await orders.refresh_state(conn, "loja", "1001")
    assert await office.look() == [("raised", "orders_held")]
    assert office.receiver.messages[0]["subject"] == "loja: billpt.206"


async def test_an_order_of_which_the_shop_is_asked_waits_for_nobody_yet(office: Office) -> None:
    await office.hold("1", "refund_details_missing")
    async with office.database.write() as conn:
        await orders.ask(conn, "loja", "1", now=office.at)
    assert await office.look() == []
    async with office.database.write() as conn:
        for _ in range(3):
            (wish,) = await orders.fetch_due(conn, office.at, 1)
            await orders.fetch_failed(conn, wish, office.at)
    assert await office.look() == [("raised", "orders_held")]


async def test_a_register_that_owes_an_answer_for_hours_is_alerted(office: Office) -> None:
    need = ReferenceRates(day=office.at.date())
    async with office.database.write() as conn:
        await registers.ask(conn, need, now=office.at)
    assert await office.look(later=timedelta(hours=5)) == []
    assert await office.look(later=timedelta(hours=1)) == [("raised", "register_silent")]
    assert "ecb has not answered since 2026-11-20 12:00" in office.receiver.messages[0]["message"]


# -- the legal clock ----------------------------------------------------------------


async def test_a_document_that_waits_is_alerted_before_its_last_day_ends_and_after(office: Office) -> None:
    await plan(office.database, draft_of(), now=office.at)  # paid at 10:00, so due until midnight
    assert await office.look(later=timedelta(hours=3)) == []
    assert await office.look(later=timedelta(hours=2)) == [("raised", "deadline_near")]
    near = office.receiver.messages[-1]["message"]
    assert near == "last lawful day of 1 document of account main: FR for order 1001 of loja first, until 2026-11-20"
    assert await office.look(later=timedelta(hours=8)) == [("raised", "deadline_passed")]
    assert WHEN_LATE in office.receiver.messages[-1]["fix"]
    assert await office.look(later=CALM) == [("resolved", "deadline_near")]
    await issue(office.database, await take(office.database, office.at))
    assert await office.over() == [("resolved", "deadline_passed")]


async def test_a_held_orders_clock_ticks_as_well(office: Office) -> None:
    midnight = NOON.replace(hour=23, minute=59, second=59)
    await office.hold("1", "vat_rate_mismatch", deadline_at=midnight)
    office.at = midnight + ON_ITS_WAY
    async with office.database.write() as conn:  # it came long ago
        await conn.execute(sa.update(shop_order).values(first_seen_at=NOON))
    assert sorted(await office.look()) == [("raised", "deadline_passed"), ("raised", "orders_held")]
    assert "order 1 of loja" in office.receiver.messages[-1]["message"] + office.receiver.messages[-2]["message"]


async def test_what_came_a_moment_ago_may_be_on_its_way(office: Office) -> None:
    office.at += timedelta(days=30)
    await plan(office.database, draft_of(), now=office.at)
    assert await office.look() == []
    assert await office.look(later=ON_ITS_WAY) == [("raised", "deadline_passed")]


async def test_the_nearest_deadline_is_that_of_what_is_still_due(database: Database) -> None:
    first, second = draft_of("1"), draft_of("2", minutes=3 * 24 * 60)

    async def nearest(account: str = "main") -> datetime | None:
        async with database.read() as conn:
            return await deadlines.nearest(conn, account)

    assert await nearest() is None
    await plan(database, first, second)
    assert await nearest() == datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC)
    assert await nearest("other") is None
    await issue(database, await take(database))
    assert await nearest() == datetime(2026, 11, 23, 23, 59, 59, tzinfo=UTC)
    async with database.write() as conn:
        await documents.withdraw(conn, [second.key], now=NOON)
    assert await nearest() is None
