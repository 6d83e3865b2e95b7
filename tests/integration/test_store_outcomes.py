"""What came of a document: nothing issued is undone or hidden, and what is uncertain is looked for."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest

from syncd.domain.states import DocumentState, OrderState
from syncd.store import documents
from syncd.store.documents import Claimer
from syncd.store.engine import Database
from tests.integration.stored_documents import (
    AT,
    HOLD,
    SETTLE,
    answer,
    draft_of,
    issue,
    order_state,
    plan,
    record,
    rows,
    sent,
    states,
    take,
)


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
