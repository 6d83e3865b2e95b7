"""Taking documents to issue them: in what order, and never two at once the same."""

import asyncio
from datetime import datetime, timedelta

import sqlalchemy as sa

from syncd.domain.document import DocumentDraft, DocumentKey
from syncd.domain.states import DocumentState, OrderState
from syncd.store import documents, orders
from syncd.store.documents import Claimer
from syncd.store.engine import Database
from tests.integration.stored_documents import (
    AT,
    answer,
    credit_of,
    draft_of,
    issue,
    order_state,
    plan,
    record,
    states,
    take,
)


async def claim_all(db: Database, claimer: Claimer, now: datetime = AT) -> list[str]:
    found = []
    while (claimed := await claimer.planned(now)) is not None:
        found.append(claimed.key.order_id)
    return found


async def taken(claimer: Claimer) -> DocumentKey:
    claimed = await claimer.planned(AT)
    assert claimed is not None
    return claimed.key


async def test_live_goes_before_backfill_and_the_longest_due_first(database: Database) -> None:
    await plan(database, draft_of("1", minutes=1), draft_of("2", minutes=9), lane=1)
    await plan(database, draft_of("3", minutes=20), draft_of("4", minutes=10))
    assert await claim_all(database, Claimer(database, "main", monotonic=lambda: 0.0)) == ["4", "3", "1", "2"]


async def test_a_document_that_comes_late_but_is_older_is_not_overlooked(database: Database) -> None:
    claimer = Claimer(database, "main", monotonic=lambda: 0.0)
    await plan(database, draft_of("1", minutes=50), draft_of("2", minutes=51))
    assert await claimer.planned(AT) is not None
    await plan(database, draft_of("3", minutes=5))
    assert sorted(await claim_all(database, claimer)) == ["2", "3"]


async def test_shops_take_turns_so_that_none_waits_for_the_backlog_of_another(database: Database) -> None:
    claimer = Claimer(database, "main", monotonic=lambda: 0.0)
    await plan(database, *(draft_of(str(number), minutes=number, shop="loja") for number in range(30)))
    for order_id in ("0", "1"):
        assert (await taken(claimer)).order_id == order_id
    await plan(database, draft_of("single", minutes=60, shop="montra"), draft_of("older", minutes=50, shop="feira"))
    turns = [await taken(claimer) for _ in range(5)]
    assert [(key.shop, key.order_id) for key in turns] == [
        ("montra", "single"),
        ("feira", "older"),
        ("loja", "2"),
        ("loja", "3"),
        ("loja", "4"),
    ]


async def test_a_shop_whose_documents_are_not_due_yet_holds_nobody_up(database: Database) -> None:
    await plan(database, draft_of("1", minutes=121, shop="feira"), draft_of("2", shop="loja"))
    assert await claim_all(database, Claimer(database, "main", monotonic=lambda: 0.0)) == ["2"]


async def test_what_is_not_due_yet_and_other_accounts_are_left_alone(database: Database) -> None:
    await plan(database, draft_of("1", minutes=121), draft_of("2", account="other"))
    assert await claim_all(database, Claimer(database, "main")) == []
    assert await claim_all(database, Claimer(database, "main"), AT + timedelta(minutes=1)) == ["1"]


async def test_an_order_brought_forward_takes_its_document_along(database: Database) -> None:
    await plan(database, draft_of("1", minutes=1), draft_of("2", minutes=2), lane=1)
    await plan(database, draft_of("2", minutes=2), lane=0)
    assert await claim_all(database, Claimer(database, "main")) == ["2", "1"]


async def test_a_claim_counts_the_attempt_and_marks_it_anew(database: Database) -> None:
    await plan(database, draft_of())
    first = await take(database)
    assert await order_state(database) is OrderState.ISSUING
    await record(database, first, DocumentState.PLANNED)
    second = await take(database)
    assert (first.attempts, second.attempts) == (1, 2)
    assert first.marker != second.marker


async def test_the_floor_is_the_highest_id_before_the_first_attempt(database: Database) -> None:
    for order_id, provider_id in (("1", "99"), ("2", "100")):
        await plan(database, draft_of(order_id))
        await issue(database, await take(database), answer(provider_id))
    await plan(database, draft_of("3"))
    first = await take(database)
    await record(database, first, DocumentState.PLANNED, run_at=AT + timedelta(minutes=5))
    await plan(database, draft_of("4"))
    await issue(database, await take(database), answer("101"))
    again = await take(database, AT + timedelta(minutes=5))
    assert (first.floor, again.floor) == ("100", "100")


async def test_two_issuers_never_take_the_same_document(database: Database, database_url: str) -> None:
    await plan(database, *(draft_of(str(number)) for number in range(40)))
    other = Database.open(database_url)
    taken = await asyncio.gather(*(claim_all(db, Claimer(db, "main")) for db in (database, other, database, other)))
    everything = [order_id for some in taken for order_id in some]
    # A claim passes over what another holds at the moment, so that a few may be left for the next pass.
    everything += await claim_all(database, Claimer(database, "main"))
    assert sorted(everything) == sorted(map(str, range(40)))
    await other.close()


async def test_a_claim_does_not_wait_for_an_order_that_is_being_planned(postgres_url: str) -> None:
    db, planner = Database.open(postgres_url), Database.open(postgres_url)
    await plan(db, draft_of("1", minutes=1), draft_of("2", minutes=2))
    async with planner.write() as conn:
        await orders.lock(conn, "loja", "1")
        assert (await take(db)).key.order_id == "2"
    assert (await take(db)).key.order_id == "1"
    await db.close()
    await planner.close()


async def test_planning_and_recording_at_the_same_time_end_without_a_deadlock(
    database: Database, database_url: str
) -> None:
    other = Database.open(database_url)
    sales = [draft_of(str(number)) for number in range(12)]
    await plan(database, *sales)
    claimer = Claimer(database, "main")

    async def replan(sale: DocumentDraft) -> None:
        async with other.write() as conn:
            await orders.lock(conn, "loja", sale.key.order_id)
            await documents.put(conn, [sale, credit_of(sale)], lane=0, now=AT)
            await orders.refresh_state(conn, "loja", sale.key.order_id)

    async def work() -> None:
        for _ in sales:
            claimed = await claimer.planned(AT)
            if claimed is not None:
                await issue(database, claimed, answer(claimed.key.order_id))

    await asyncio.gather(work(), *(replan(sale) for sale in sales))
    while (claimed := await claimer.planned(AT)) is not None:
        await issue(database, claimed, answer(f"{claimed.key}"))
    for sale in sales:
        assert await states(database, sale.key.order_id) == ["issued", "issued"]
    await other.close()


async def test_a_credit_note_planned_at_the_moment_its_original_is_issued_is_not_forgotten(postgres_url: str) -> None:
    db, planner = Database.open(postgres_url), Database.open(postgres_url)
    sale = draft_of()
    await plan(db, sale)
    claimed = await take(db)
    async with planner.write() as conn:
        await documents.put(conn, [credit_of(sale)], lane=0, now=AT)
        recording = asyncio.create_task(issue(db, claimed))
        while not recording.done() and not await somebody_waits_for_a_lock(db):
            pass
    await recording
    assert await states(db) == ["issued", "planned"]
    await db.close()
    await planner.close()


async def somebody_waits_for_a_lock(db: Database) -> bool:
    async with db.read() as conn:
        return bool((await conn.execute(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted"))).scalar())
