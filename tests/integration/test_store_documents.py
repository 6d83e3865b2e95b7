"""The documents that should exist: one for each cause, and none before those that it refers to."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from syncd.domain.document import DocumentKind, Reference
from syncd.domain.states import DocumentState, OrderState
from syncd.store import documents
from syncd.store.documents import Claimer
from syncd.store.engine import Database
from syncd.store.tables import document
from tests.integration.stored_documents import (
    AT,
    HOLD,
    answer,
    credit_of,
    draft_of,
    issue,
    order_state,
    plan,
    record,
    rows,
    states,
    take,
)
from tests.integration.test_store_events import a_fact, say

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


# -- figures ----------------------------------------------------------------------


async def test_the_queue_is_as_old_as_its_oldest_planned_document(database: Database) -> None:
    async with database.read() as conn:
        assert await documents.queue_age(conn, AT) == 0
    await plan(database, draft_of("1", minutes=60), draft_of("2", minutes=90))
    async with database.read() as conn:
        assert await documents.queue_age(conn, AT) == 3600
        assert (await documents.counts(conn))[DocumentState.PLANNED] == 2
