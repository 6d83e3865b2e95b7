"""The smaller tables: requests, references, accounts, turns, the trail; and the texts that documents are kept as."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from syncd.domain.document import Amounts
from syncd.domain.errors import AmountError
from syncd.domain.hold import Hold
from syncd.store import accounts, attempts, codec, pollers, references, trail
from syncd.store.engine import Database
from syncd.store.references import LedgerDirectory
from syncd.store.tables import document
from syncd.store.types import Money, microseconds
from tests.integration.stored_documents import answer, draft_of, issue, plan, sent, take
from tests.integration.test_store_events import a_fact, say

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LEASE = timedelta(minutes=5)
HOLD = Hold(code="token", message="the token is refused", fix="make a new one")


def after(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


# -- requests ---------------------------------------------------------------------


async def request(db: Database, sent_at: datetime, answered_at: datetime | None, purpose: str = "issue") -> None:
    async with db.write() as conn:
        attempt = await attempts.begin(conn, account="main", purpose=purpose, label="POST /x", sent_at=sent_at)
        if answered_at is not None:
            await attempts.end(conn, attempt, answered_at=answered_at, status=200, outcome="answered")


async def test_the_budget_counts_what_left_or_was_answered_within_the_period(database: Database) -> None:
    await request(database, after(-70), after(-65))
    await request(database, after(-61), after(-58))
    await request(database, after(-30), None, "verify")
    await request(database, after(-1), after(0))
    async with database.read() as conn:
        recent = await attempts.recent(conn, "main", after(-60))
        assert await attempts.recent(conn, "other", after(-60)) == []
        assert await attempts.per_purpose(conn, account="main", since=after(-61)) == {"issue": 2, "verify": 1}
        assert await attempts.per_purpose(conn) == {"issue": 3, "verify": 1}
    assert recent == [(after(-61), after(-58)), (after(-30), None), (after(-1), after(0))]


# -- references ---------------------------------------------------------------------


async def test_known_ids_are_found_by_code_and_unknown_ones_left_out(database: Database) -> None:
    directory = LedgerDirectory(database, "main")
    async with database.write() as conn:
        await references.put_many(conn, "main", "article", {"CAN-1": "7", "CAN-2": "8"})
        await references.put_many(conn, "main", "article", {"CAN-2": "9"})
        await references.put_many(conn, "main", "article", {})
        await references.put_many(conn, "other", "article", {"CAN-3": "1"})
    assert await directory.get("article", ("CAN-1", "CAN-2", "CAN-3")) == {"CAN-1": "7", "CAN-2": "9"}
    assert await directory.get("article", ()) == {}
    assert await directory.table("series") == {}


async def test_a_list_is_replaced_as_a_whole_and_seen_by_all_at_once(database: Database) -> None:
    directory, another = LedgerDirectory(database, "main"), LedgerDirectory(database, "main")
    await directory.replace("series", {"A": "1", "B": "2"})
    assert await another.table("series") == {"A": "1", "B": "2"}
    await another.replace("series", {"C": "3"})
    assert await directory.table("series") == {"C": "3"}


async def test_forgotten_lists_are_read_anew_and_others_stay(database: Database) -> None:
    directory = LedgerDirectory(database, "main")
    await directory.replace("series", {"A": "1"})
    await directory.replace("tax", {"NOR": "1"})
    async with database.write() as conn:
        await references.forget(conn, "main", ("series",))
    assert await directory.table("series") == {}
    assert await directory.table("tax") == {"NOR": "1"}


# -- accounts -----------------------------------------------------------------------


async def test_an_account_is_paused_once_per_reason_and_goes_on_when_resumed(database: Database) -> None:
    async with database.write() as conn:
        assert await accounts.paused(conn, "main") is None
        assert await accounts.pause(conn, "main", HOLD, now=AT)
        assert not await accounts.pause(conn, "main", HOLD, now=AT)
        assert await accounts.paused(conn, "main") == HOLD
        assert await accounts.all_paused(conn) == {"main": HOLD}
        await accounts.resume(conn, "main")
        assert await accounts.all_paused(conn) == {}
        assert await accounts.pause(conn, "main", HOLD, now=AT)


# -- turns --------------------------------------------------------------------------


async def claim(db: Database, owner: str, now: datetime = AT) -> pollers.Turn | None:
    return await pollers.claim(db, "poll:loja", owner=owner, now=now, lease=LEASE)


async def test_of_many_replicas_one_has_the_turn(database: Database, database_url: str) -> None:
    replicas = [Database.open(database_url) for _ in range(4)]
    turns = await asyncio.gather(*(claim(db, f"{number}") for number, db in enumerate(replicas)))
    assert sum(turn is not None for turn in turns) == 1
    await asyncio.gather(*(db.close() for db in replicas))


async def test_the_next_turn_goes_on_from_the_cursor_when_it_is_due(database: Database) -> None:
    turn = await claim(database, "a")
    assert turn is not None
    assert turn.cursor is None
    assert await pollers.finish(database, turn, cursor="page 2", next_at=after(60), now=AT)
    assert await claim(database, "b", after(59)) is None
    following = await claim(database, "b", after(60))
    assert following is not None
    assert following.cursor == "page 2"


async def test_who_was_slower_than_the_lease_stores_nothing(database: Database) -> None:
    slow = await claim(database, "slow")
    late = AT + LEASE + timedelta(seconds=1)
    quick = await claim(database, "quick", late)
    assert slow is not None
    assert quick is not None
    assert not await pollers.renew(database, slow, until=late + LEASE)
    assert not await pollers.finish(database, slow, cursor="old", next_at=late, now=late)
    assert await pollers.renew(database, quick, until=late + LEASE)
    assert await pollers.finish(database, quick, cursor="new", next_at=late, now=late)
    (row,) = await pollers.all_pollers(database)
    assert (row.cursor, row.owner, row.lease_until) == ("new", None, None)


async def test_a_failure_is_shown_and_the_last_success_stays(database: Database) -> None:
    for error in ("", "the shop is away"):
        turn = await claim(database, "a", after(60))
        assert turn is not None
        await pollers.finish(database, turn, cursor="c", next_at=after(60), now=after(bool(error)), error=error)
    (row,) = await pollers.all_pollers(database)
    assert (row.last_ok_at, row.last_error) == (AT, "the shop is away")


async def test_who_has_read_its_clock_a_little_earlier_does_not_take_a_turn_that_is_taken_or_done(
    database: Database,
) -> None:
    turn = await claim(database, "a", after(1))
    assert turn is not None
    assert await claim(database, "b") is None
    interval = timedelta(seconds=60)
    assert await pollers.finish(database, turn, cursor="c", next_at=after(1) + interval, now=after(1))
    again = await pollers.claim(database, "poll:loja", owner="b", now=AT, lease=LEASE, interval=interval)
    assert again is None


async def test_a_clock_that_was_set_back_stops_no_poller(database: Database) -> None:
    turn = await claim(database, "a", after(48 * 3600))
    assert turn is not None
    back = await claim(database, "b")  # two days earlier, and the lease runs until the day after tomorrow
    assert back is not None
    await pollers.finish(database, back, cursor="c", next_at=after(49 * 3600), now=after(48 * 3600))
    assert await claim(database, "b") is not None


# -- the trail ----------------------------------------------------------------------


async def test_a_document_can_be_traced_to_its_event_its_requests_and_each_decision(database: Database) -> None:
    await plan(database, draft_of())
    await say(database, a_fact(order_id="1002"))
    claimed = await take(database)
    await sent(database, claimed)
    await issue(database, claimed)
    async with database.write() as conn:
        for number, action in enumerate(("issued", "skipped")):
            await trail.write(
                conn,
                at=after(number),
                shop="loja",
                order_id="1001",
                actor="ana",
                action=action,
                document_key=str(claimed.key),
                detail={"reason": "\x00 \ud800 ü"},
            )
        story = await trail.timeline(conn, "loja", "1001")
    assert [entry.action for entry in story] == ["received", "request", "issued", "skipped"]
    assert story[1].detail["marker"] == claimed.marker
    assert story[3].detail == {"reason": "\x00 \ud800 ü"}


# -- texts and columns --------------------------------------------------------------

AMOUNT = st.decimals(min_value=-(10**12), max_value=10**12, places=2)
PRICE = st.decimals(min_value=0, max_value=10**6, places=10)
AMOUNTS = st.builds(Amounts, net=AMOUNT, tax=AMOUNT, gross=AMOUNT)
# Lone surrogates are no text in any encoding; payloads are cleaned of them before they come here.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(amounts=AMOUNTS, price=PRICE, notes=TEXT, due_at=st.datetimes(timezones=st.just(UTC)))
def test_a_draft_comes_back_digit_for_digit(amounts: Amounts, price: Decimal, notes: str, due_at: datetime) -> None:
    plain = draft_of()
    lines = tuple(replace(line, unit_price=price, description=notes) for line in plain.lines)
    draft = replace(plain, lines=lines, totals=amounts, notes=notes, due_at=due_at)
    text = codec.dump_draft(draft)
    assert repr(codec.load_draft(text).lines) == repr(draft.lines)
    assert codec.load_draft(text) == draft
    assert codec.dump_draft(codec.load_draft(text)) == text


@given(amounts=AMOUNTS, number=TEXT)
def test_an_issued_document_comes_back_digit_for_digit(amounts: Amounts, number: str) -> None:
    issued = replace(answer(), totals=amounts, number=number)
    assert codec.load_issued(codec.dump_issued(issued)) == issued


@pytest.mark.parametrize("amount", ["0.0001", "-12.30", "99999999999999.9999", "0"])
async def test_an_amount_comes_back_exactly_and_sums_exactly(database: Database, amount: str) -> None:
    await plan(database, draft_of())
    async with database.write() as conn:
        await conn.execute(sa.update(document).values(gross=Decimal(amount), net=None))
        row = (await conn.execute(sa.select(document.c.gross, document.c.net))).one()
    assert row == (Decimal(amount), None)


async def test_digits_that_would_be_lost_are_refused(database: Database) -> None:
    await plan(database, draft_of())
    with pytest.raises((AmountError, sa.exc.StatementError), match="more than 4 decimals"):
        async with database.write() as conn:
            await conn.execute(sa.update(document).values(gross=Decimal("0.00001")))


def test_the_money_type_is_written_into_revisions_so_that_it_can_be_read() -> None:
    assert repr(Money()) == "Money(precision=18, scale=4)"


def test_a_version_is_exact_to_the_microsecond_in_any_zone() -> None:
    moment = datetime(2026, 11, 20, 12, 0, 0, 1, tzinfo=UTC)
    assert microseconds(moment) - microseconds(AT) == 1
