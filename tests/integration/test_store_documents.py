import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from syncd.domain.document import Amounts, DocumentDraft, DocumentKey, DocumentKind, IssuedDocument, Reference
from syncd.domain.hold import Hold
from syncd.domain.states import DocumentState, OrderState
from syncd.store import attempts, documents, orders
from syncd.store.documents import Claimed, Claimer
from syncd.store.engine import Database
from syncd.store.tables import document
from tests.builders import a_draft
from tests.integration.test_store_events import a_fact, say

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOLD = Hold(code="refused", message="the service says no", fix="correct it")
SETTLE = timedelta(minutes=1)


def draft_of(order_id: str = "1001", part: str = "sale", *, minutes: int = 0, **changes: Any) -> DocumentDraft:
    """A draft that has been due since `minutes` after ten."""
    kind = changes.pop("kind", DocumentKind.FR)
    key = DocumentKey(changes.pop("account", "main"), changes.pop("shop", "loja"), order_id, kind, part)
    return replace(a_draft(), key=key, due_at=AT - timedelta(hours=2) + timedelta(minutes=minutes), **changes)


def credit_of(original: DocumentDraft, part: str = "refund-55") -> DocumentDraft:
    reference = Reference(key=original.key, amount=original.totals.gross)
    return draft_of(original.key.order_id, part, kind=DocumentKind.NC, references=(reference,))


def answer(provider_id: str = "901", number: str = "FR A/1") -> IssuedDocument:
    totals = Amounts(net=Decimal("10.00"), tax=Decimal("2.30"), gross=Decimal("12.30"))
    return IssuedDocument(provider_id=provider_id, number=number, issued_on=date(2026, 11, 20), totals=totals)


async def plan(db: Database, *drafts: DocumentDraft, lane: int = 0, now: datetime = AT) -> frozenset[str]:
    for draft in drafts:
        await say(db, a_fact(order_id=draft.key.order_id), shop=draft.key.shop)
    async with db.write() as conn:
        return await documents.put(conn, drafts, lane=lane, now=now)


async def take(db: Database, now: datetime = AT) -> Claimed:
    claimed = await Claimer(db, "main").planned(now)
    assert claimed is not None
    return claimed


async def issue(db: Database, claimed: Claimed, issued: IssuedDocument | None = None, hold: Hold | None = None) -> None:
    async with db.write() as conn:
        await documents.record_issued(conn, claimed.id, issued or answer(), now=AT, hold=hold)
        await orders.refresh_state(conn, claimed.key.shop, claimed.key.order_id)


async def record(db: Database, claimed: Claimed, state: DocumentState, hold: Hold | None = None, **more: Any) -> bool:
    async with db.write() as conn:
        return await documents.record_outcome(
            conn, claimed.id, state, run_at=more.pop("run_at", AT), hold=hold, now=AT, **more
        )


async def rows(db: Database, order_id: str = "1001") -> list[documents.DocumentRow]:
    async with db.read() as conn:
        return await documents.of_order(conn, "loja", order_id)


async def states(db: Database, order_id: str = "1001") -> list[str]:
    return [row.state.value for row in await rows(db, order_id)]


async def order_state(db: Database, order_id: str = "1001") -> OrderState | None:
    async with db.write() as conn:
        return await orders.refresh_state(conn, "loja", order_id)


# -- what should exist ------------------------------------------------------------


async def test_a_planned_document_is_known_exactly_as_it_was_planned(database: Database) -> None:
    draft = draft_of()
    assert await plan(database, draft) == {str(draft.key)}
    async with database.read() as conn:
        (known,) = await documents.known(conn, "loja", "1001")
    assert (known.key, known.state, known.draft, known.issued_at) == (draft.key, DocumentState.PLANNED, draft, None)


async def test_planning_the_same_again_changes_nothing(database: Database) -> None:
    await plan(database, draft_of())
    before = await rows(database)
    assert await plan(database, draft_of(), now=AT + timedelta(hours=1)) == frozenset()
    assert await rows(database) == before


async def test_an_unsent_document_takes_its_newest_content(database: Database) -> None:
    await plan(database, draft_of(notes="old"))
    await plan(database, draft_of(notes="new"))
    assert (await take(database)).draft.notes == "new"


@pytest.mark.parametrize("sent", ["issuing", "uncertain", "issued"])
async def test_a_document_that_the_service_may_have_is_never_changed(database: Database, sent: str) -> None:
    draft = draft_of(notes="as sent")
    await plan(database, draft)
    claimed = await take(database)
    if sent == "uncertain":
        await record(database, claimed, DocumentState.UNCERTAIN)
    if sent == "issued":
        await issue(database, claimed)
    assert await plan(database, draft_of(notes="other")) == frozenset()
    async with database.write() as conn:
        assert await documents.withdraw(conn, [draft.key], now=AT) == frozenset()
        (known,) = await documents.known(conn, "loja", "1001")
    assert (known.state, known.draft.notes) == (DocumentState(sent), "as sent")


@pytest.mark.parametrize("changes", [{"kind": DocumentKind.FT}, {"account": "other"}])
async def test_one_cause_never_has_two_documents_even_if_the_settings_change(
    database: Database, changes: dict[str, Any]
) -> None:
    await plan(database, draft_of())
    await issue(database, await take(database))
    assert await plan(database, draft_of(**changes)) == frozenset()
    assert await states(database) == ["issued"]


async def test_an_unsent_document_follows_a_change_of_kind_and_account(database: Database) -> None:
    await plan(database, draft_of())
    changed = draft_of(kind=DocumentKind.FT, account="other")
    async with database.write() as conn:
        await documents.withdraw(conn, [draft_of().key], now=AT)
        await documents.put(conn, [changed], lane=0, now=AT)
    ((row,), claimed) = (await rows(database), await Claimer(database, "other").planned(AT))
    assert (row.key, row.kind, row.account) == (str(changed.key), "FT", "other")
    assert claimed is not None
    assert claimed.key == changed.key


async def test_many_planners_at_once_make_one_document(database: Database, database_url: str) -> None:
    await say(database, a_fact())
    replicas = [Database.open(database_url) for _ in range(3)]
    kinds = [DocumentKind.FR, DocumentKind.FT, DocumentKind.FS]
    drafts = [draft_of(kind=kind) for kind in kinds]
    await asyncio.gather(*(plan(db, draft) for db, draft in zip(replicas, drafts, strict=True)))
    assert await states(database) == ["planned"]
    await asyncio.gather(*(db.close() for db in replicas))


async def test_the_database_itself_refuses_a_second_document_of_one_cause(database: Database) -> None:
    await plan(database, draft_of())
    async with database.read() as conn:
        row = dict((await conn.execute(sa.select(document))).one()._mapping)
    for twin in ({"id": 99, "key": "another/key"}, {"id": 99, "part": "payment"}):
        with pytest.raises(IntegrityError):
            async with database.write() as conn:
                await conn.execute(sa.insert(document).values({**row, **twin}))


async def test_a_document_of_an_order_that_is_not_known_is_refused(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.write() as conn:
            await documents.put(conn, [draft_of("7777")], lane=0, now=AT)


async def test_a_withdrawn_document_comes_back_if_it_is_due_again(database: Database) -> None:
    await plan(database, draft_of())
    async with database.write() as conn:
        assert await documents.withdraw(conn, [draft_of().key], now=AT) == {str(draft_of().key)}
    assert await Claimer(database, "main").planned(AT) is None
    assert await order_state(database) is OrderState.PENDING
    await plan(database, draft_of())
    assert await states(database) == ["planned"]


async def test_a_held_document_is_due_again_only_with_other_content_and_keeps_its_count(database: Database) -> None:
    await plan(database, draft_of())
    await record(database, await take(database), DocumentState.HELD, HOLD)
    await plan(database, draft_of())
    assert [(row.state, row.hold) for row in await rows(database)] == [(DocumentState.HELD, HOLD)]
    await plan(database, draft_of(notes="corrected"))
    assert [(row.state, row.hold, row.attempts) for row in await rows(database)] == [(DocumentState.PLANNED, None, 1)]
    assert (await take(database)).attempts == 2


async def test_a_person_can_have_a_held_document_sent_as_it_is(database: Database) -> None:
    await plan(database, draft_of())
    await record(database, await take(database), DocumentState.HELD, HOLD)
    assert await order_state(database) is OrderState.HELD
    async with database.write() as conn:
        assert await documents.release(conn, "loja", "1001", now=AT) == 1
    assert (await take(database)).attempts == 2


# -- documents that refer to others -------------------------------------------------


async def test_a_credit_note_waits_until_its_original_is_issued(database: Database) -> None:
    sale = draft_of()
    await plan(database, sale, credit_of(sale))
    assert await states(database) == ["planned", "waiting"]
    claimed = await take(database)
    assert claimed.key == sale.key
    assert await Claimer(database, "main").planned(AT) is None
    await issue(database, claimed)
    assert await states(database) == ["issued", "planned"]
    assert (await take(database)).key.kind is DocumentKind.NC


async def test_a_credit_note_of_an_issued_document_is_due_at_once(database: Database) -> None:
    sale = draft_of()
    await plan(database, sale)
    await issue(database, await take(database))
    await plan(database, credit_of(sale))
    assert await states(database) == ["issued", "planned"]
    async with database.read() as conn:
        assert await documents.originals(conn, [sale.key, credit_of(sale).key]) == {sale.key: answer()}


async def test_a_document_with_two_originals_waits_for_both(database: Database) -> None:
    first, second = draft_of(), draft_of(part="payment", kind=DocumentKind.RC, minutes=1)
    references = tuple(Reference(key=each.key, amount=Decimal(1)) for each in (first, second))
    await plan(database, first, second, draft_of(part="cancel", kind=DocumentKind.NC, references=references))
    await issue(database, await take(database), answer("901"))
    assert await states(database) == ["issued", "planned", "waiting"]
    await issue(database, await take(database), answer("902"))
    assert await states(database) == ["issued", "issued", "planned"]


# -- claiming ---------------------------------------------------------------------


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


# -- outcomes ---------------------------------------------------------------------


async def test_an_issued_document_keeps_what_the_service_answered(database: Database) -> None:
    await plan(database, draft_of())
    await issue(database, await take(database))
    async with database.read() as conn:
        (known,) = await documents.known(conn, "loja", "1001")
        (row,) = await documents.of_order(conn, "loja", "1001")
        answered = await documents.originals(conn, [known.key])
    assert (known.issued_at, answered) == (AT, {known.key: answer()})
    assert (row.number, row.net, row.gross, row.issued_at) == ("FR A/1", Decimal("10.00"), Decimal("12.30"), AT)
    assert await order_state(database) is OrderState.ISSUED


async def test_an_issued_document_that_is_not_what_was_planned_holds_its_order(database: Database) -> None:
    await plan(database, draft_of())
    await issue(database, await take(database), hold=HOLD)
    assert await states(database) == ["issued"]
    assert await order_state(database) is OrderState.HELD


async def test_adopting_the_same_document_twice_is_no_error(database: Database) -> None:
    await plan(database, draft_of())
    claimed = await take(database)
    await issue(database, claimed)
    await issue(database, claimed)
    assert [(row.state.value, row.hold) for row in await rows(database)] == [("issued", None)]


async def test_a_second_document_for_the_same_cause_is_never_hidden(database: Database) -> None:
    await plan(database, draft_of())
    claimed = await take(database)
    await issue(database, claimed)
    await issue(database, claimed, answer("902", "FR A/2"))
    (row,) = await rows(database)
    assert (row.number, row.hold and row.hold.code) == ("FR A/1", "issued_twice")
    assert await order_state(database) is OrderState.HELD


async def test_an_outcome_never_undoes_an_issued_document(database: Database) -> None:
    await plan(database, draft_of())
    claimed = await take(database)
    await issue(database, claimed)
    assert not await record(database, claimed, DocumentState.PLANNED)
    assert await states(database) == ["issued"]


async def test_the_outcome_of_an_earlier_attempt_does_not_touch_a_later_one(database: Database) -> None:
    await plan(database, draft_of())
    lost = await take(database)
    assert await record(database, lost, DocumentState.PLANNED, marker=lost.marker)
    current = await take(database)
    assert not await record(database, lost, DocumentState.PLANNED, marker=lost.marker)
    assert await states(database) == ["issuing"]
    assert await record(database, current, DocumentState.UNCERTAIN, marker=current.marker)


async def sent(db: Database, claimed: Claimed, purpose: str = "issue") -> int:
    async with db.write() as conn:
        return await attempts.begin(
            conn,
            account="main",
            purpose=purpose,
            label="POST /documents",
            marker=claimed.marker,
            document_id=claimed.id,
            sent_at=AT - timedelta(minutes=3),
        )


async def test_an_uncertain_document_is_looked_for_once_it_is_time_with_every_marker_it_had(database: Database) -> None:
    await plan(database, draft_of())
    first = await take(database)
    await sent(database, first)
    await record(database, first, DocumentState.PLANNED)
    second = await take(database)
    await record(database, second, DocumentState.UNCERTAIN, run_at=AT + SETTLE)
    claimer = Claimer(database, "main")
    assert await claimer.planned(AT + SETTLE) is None
    assert await claimer.uncertain(AT) is None
    claimed = await claimer.uncertain(AT + SETTLE)
    assert claimed is not None
    assert (claimed.attempts, claimed.first_sent_at) == (2, AT - timedelta(minutes=3))
    assert await Claimer(database, "main").uncertain(AT + SETTLE) == claimed  # who looks takes nothing with him
    async with database.read() as conn:
        assert await documents.markers(conn, claimed.id) == {first.marker, second.marker}


async def test_an_uncertain_document_that_a_person_must_see_is_left_until_released(database: Database) -> None:
    await plan(database, draft_of())
    await record(database, await take(database), DocumentState.UNCERTAIN, HOLD)
    claimer = Claimer(database, "main")
    assert await claimer.uncertain(AT) is None
    assert await order_state(database) is OrderState.HELD
    async with database.write() as conn:
        await documents.release(conn, "loja", "1001", now=AT)
    assert await claimer.uncertain(AT) is not None


@pytest.mark.parametrize(
    ("purposes", "state"), [((), "planned"), (("lookup",), "planned"), (("lookup", "issue"), "uncertain")]
)
async def test_what_a_killed_process_was_sending_is_uncertain_only_if_it_was_sent(
    database: Database, purposes: Sequence[str], state: str
) -> None:
    await plan(database, draft_of())
    earlier = await take(database)
    await sent(database, earlier)
    await record(database, earlier, DocumentState.PLANNED)
    claimed = await take(database)
    for purpose in purposes:
        await sent(database, claimed, purpose)
    async with database.write() as conn:
        told = await documents.stranded(conn, "main", now=AT, settle=SETTLE)
        assert await documents.stranded(conn, "main", now=AT, settle=SETTLE) == []
    assert told == [(str(claimed.key), DocumentState(state))]
    assert await states(database) == [state]


# -- figures ----------------------------------------------------------------------


async def test_the_queue_is_as_old_as_its_oldest_planned_document(database: Database) -> None:
    async with database.read() as conn:
        assert await documents.queue_age(conn, AT) == 0
    await plan(database, draft_of("1", minutes=60), draft_of("2", minutes=90))
    async with database.read() as conn:
        assert await documents.queue_age(conn, AT) == 3600
        assert (await documents.counts(conn))[DocumentState.PLANNED] == 2
