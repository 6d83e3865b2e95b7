import asyncio
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from syncd.domain.facts import Fact, FactKind
from syncd.domain.states import OrderState
from syncd.store import orders
from syncd.store.engine import Database
from syncd.store.events import Incoming, accept, new_event_id, problems
from syncd.store.orders import OrderRow
from syncd.store.tables import event
from syncd.store.types import microseconds

AT = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


def a_fact(kind: FactKind = FactKind.ORDER, version: int = 0, **changes: Any) -> Fact:
    values: dict[str, Any] = {
        "kind": kind,
        "order_id": "1001",
        "topic": "orders/updated",
        "payload": f"{kind} {version} {changes}".encode(),
        "version": AT + timedelta(seconds=version),
    }
    return Fact(**{**values, **changes})


def incoming(fact: Fact | None, **changes: Any) -> Incoming:
    values: dict[str, Any] = {
        "event_id": new_event_id(),
        "shop": "loja",
        "account": "main",
        "fact": fact,
        "topic": fact.topic if fact else "",
        "payload": fact.payload if fact else b"",
        "problem": "",
        "source": "webhook",
        "lane": 0,
        "received_at": AT,
    }
    return Incoming(**{**values, **changes})


async def say(db: Database, *facts: Fact, **changes: Any) -> frozenset[str]:
    return await accept(db, [incoming(fact, **changes) for fact in facts])


async def the_order(db: Database, order_id: str = "1001") -> OrderRow:
    async with db.read() as conn:
        row = await orders.get(conn, "loja", order_id)
    assert row is not None
    return row


async def payload_of(db: Database, row: OrderRow) -> bytes | None:
    async with db.read() as conn:
        facts = await orders.facts(conn, row)
    return facts.order if facts else None


async def stored_events(db: Database) -> int:
    async with db.read() as conn:
        return (await conn.execute(sa.select(sa.func.count()).select_from(event))).scalar_one()


async def test_an_order_is_stored_and_due_for_planning(database: Database) -> None:
    new = await say(database, a_fact(payload=b"{}"))
    row = await the_order(database)
    assert len(new) == 1
    assert (row.event_id, row.plan_at, row.fetch_at, row.revision) == (*new, AT, None, 1)
    assert await payload_of(database, row) == b"{}"


async def test_a_repeated_delivery_is_known_and_changes_nothing(database: Database) -> None:
    await say(database, a_fact())
    before = await the_order(database)
    assert await say(database, a_fact(), source="poll", received_at=AT + timedelta(hours=1)) == frozenset()
    assert await the_order(database) == before


async def test_repetitions_within_a_batch_are_stored_once_and_the_first_counts(database: Database) -> None:
    first, second = incoming(a_fact()), incoming(a_fact())
    assert await accept(database, [first, second]) == {first.event_id}
    assert await stored_events(database) == 1


async def test_an_older_state_never_replaces_a_newer_one(database: Database) -> None:
    await say(database, a_fact(version=2, payload=b"new"))
    before = await the_order(database)
    await say(database, a_fact(version=1, payload=b"old"))
    assert await the_order(database) == before


async def test_rank_decides_between_states_of_the_same_time(database: Database) -> None:
    await say(database, a_fact(rank=2, payload=b"paid"), a_fact(rank=1, payload=b"pending"))
    assert await payload_of(database, await the_order(database)) == b"paid"


async def test_of_two_states_that_claim_the_same_place_the_last_to_arrive_counts(database: Database) -> None:
    await say(database, a_fact(payload=b"first"))
    await say(database, a_fact(payload=b"second"))
    assert await payload_of(database, await the_order(database)) == b"second"


async def test_a_refund_of_an_unknown_order_has_the_shop_asked(database: Database) -> None:
    await say(database, a_fact(FactKind.REFUND, part="55"))
    row = await the_order(database)
    assert (row.event_id, row.plan_at, row.fetch_at) == (None, None, AT)
    await say(database, a_fact())
    row = await the_order(database)
    assert (row.plan_at, row.fetch_at) == (AT, None)


async def test_a_refund_of_a_known_order_has_it_planned_again(database: Database) -> None:
    await say(database, a_fact())
    await settle(database)
    await say(database, a_fact(FactKind.REFUND, part="55"))
    row = await the_order(database)
    assert (row.plan_at, row.fetch_at, row.revision) == (AT, None, 2)


async def test_the_newest_detail_of_each_refund_is_handed_to_the_planner(database: Database) -> None:
    details = [(2, "55", b"55 late"), (1, "55", b"55 early"), (1, "56", b"56")]
    refunds = [a_fact(FactKind.REFUND, version, part=part, payload=body) for version, part, body in details]
    await say(database, a_fact(), *refunds)
    async with database.read() as conn:
        facts = await orders.facts(conn, await the_order(database))
    assert facts is not None
    assert facts.refunds == (b"55 late", b"56")


async def test_a_hint_has_the_shop_asked_and_a_later_state_makes_that_superfluous(database: Database) -> None:
    await say(database, a_fact(FactKind.HINT, version=3))
    assert (await the_order(database)).fetch_at == AT
    await say(database, a_fact(version=2))
    assert (await the_order(database)).fetch_at == AT
    await say(database, a_fact(version=4))
    assert (await the_order(database)).fetch_at is None


async def test_a_hint_that_comes_while_the_shop_is_asked_is_not_lost(database: Database) -> None:
    await say(database, a_fact(FactKind.HINT, version=1))
    async with database.read() as conn:
        (wish,) = await orders.fetch_due(conn, AT, 10)
    later = AT + timedelta(seconds=1)
    await say(database, a_fact(FactKind.HINT, version=2), received_at=later)
    async with database.write() as conn:
        await orders.fetched(conn, wish)
    assert (await the_order(database)).fetch_at == later


async def test_a_deletion_holds_until_a_newer_state_revives_the_order(database: Database) -> None:
    await say(database, a_fact(version=1))
    await say(database, a_fact(FactKind.DELETED, version=2))
    row = await the_order(database)
    assert (row.deleted, row.plan_at, row.revision) == (True, AT, 2)
    await say(database, a_fact(version=2))
    assert (await the_order(database)).deleted
    await say(database, a_fact(version=3))
    assert not (await the_order(database)).deleted


async def test_a_live_event_takes_an_order_out_of_the_backfill_and_never_back(database: Database) -> None:
    await say(database, a_fact(version=1), lane=1)
    assert (await the_order(database)).lane == 1
    await say(database, a_fact(version=2), lane=0)
    await say(database, a_fact(version=3), lane=1)
    assert (await the_order(database)).lane == 0


async def test_what_nobody_understands_is_kept_and_shown_and_makes_no_order(database: Database) -> None:
    new = await accept(database, [incoming(None, payload=b"{\x00", problem="no order \x00 here \ud800", topic="?")])
    (problem,) = await problems(database, 10)
    assert (problem.event_id, problem.problem) == (*new, "no order  here ?")
    async with database.read() as conn:
        assert await orders.counts(conn) == dict.fromkeys(OrderState, 0)


async def test_one_impossible_event_fails_its_batch_without_a_trace(database: Database) -> None:
    with pytest.raises((DBAPIError, TypeError)):
        await say(database, a_fact(), a_fact(order_id="1002", rank=2**70))
    assert await stored_events(database) == 0


async def test_the_same_deliveries_at_many_receivers_are_each_new_once(database: Database, database_url: str) -> None:
    replicas = [Database.open(database_url) for _ in range(3)]
    facts = [a_fact(version=version, order_id=str(version % 7)) for version in range(40)]
    taken = await asyncio.gather(
        *(say(db, *some) for db, some in zip(replicas, (facts, facts[::-1], facts[20:] + facts[:20]), strict=True))
    )
    assert sum(map(len, taken)) == 40
    assert len(frozenset.union(*taken)) == 40
    assert (await the_order(database, "4")).version == microseconds(AT + timedelta(seconds=39))
    await asyncio.gather(*(db.close() for db in replicas))


async def settle(db: Database) -> None:
    async with db.write() as conn:
        row = await orders.lock(conn, "loja", "1001")
        assert row is not None
        await orders.planned(conn, row, state=row.state, number="", hold=None, now=AT)


def essence(row: OrderRow) -> tuple[object, ...]:
    return row.version, row.event_id is None, row.deleted, row.lane, row.plan_at is None, row.account


VERSIONED = [
    (kind, version, part)
    for kind, part in ((FactKind.ORDER, ""), (FactKind.REFUND, "55"), (FactKind.DELETED, ""), (FactKind.HINT, ""))
    for version in range(5)
]
DELIVERIES = st.lists(
    st.tuples(st.sampled_from(VERSIONED), st.sampled_from((0, 1))),
    min_size=1,
    max_size=8,
    unique_by=lambda fact: fact[0],
)
CASES = itertools.count()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=DELIVERIES, data=st.data())
async def test_any_order_and_repetition_of_facts_ends_in_the_same_order(
    database: Database, said: list[tuple[tuple[FactKind, int, str], int]], data: st.DataObject
) -> None:
    ends, payloads = [], []
    for _ in range(2):
        order_id = str(next(CASES))
        heard = data.draw(st.permutations(said + data.draw(st.lists(st.sampled_from(said), max_size=4))))
        for batch in in_batches(heard, data.draw(st.integers(1, 4))):
            deliveries = [
                incoming(a_fact(kind, version, part=part, order_id=order_id, payload=b"%d" % version), lane=lane)
                for (kind, version, part), lane in batch
            ]
            await accept(database, deliveries)
        row = await the_order(database, order_id)
        ends.append(essence(row))
        payloads.append(await payload_of(database, row))
        states = [version for (kind, version, _), _ in said if kind is FactKind.ORDER]
        hints = [version for (kind, version, _), _ in said if kind is FactKind.HINT]
        if hints and max(hints) >= max(states, default=-1):
            assert row.fetch_at is not None
    assert ends[0] == ends[1]
    assert payloads[0] == payloads[1]


def in_batches(heard: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [heard[start : start + size] for start in range(0, len(heard), size)]


async def test_event_ids_sort_by_the_time_they_were_made() -> None:
    made = [new_event_id() for _ in range(100)]
    assert made == sorted(made)
    assert len(set(made)) == 100
