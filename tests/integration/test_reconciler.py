"""From stored facts to the ledger's documents: whatever the order and the number of the same events."""

import asyncio
import itertools
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from syncd import __version__
from syncd.dispatch.reconciler import Desk, Reconciler
from syncd.domain.facts import Fact, FactKind
from syncd.domain.registers import Register
from syncd.domain.states import DocumentState, OrderState
from syncd.mapping.policy import Policy, fingerprint
from syncd.shops.port import ShopConfig, load_shop
from syncd.store import documents, events, orders, trail
from syncd.store.engine import Database
from syncd.web.ledger import list_orders
from tests.builders import PAID_AT, a_policy, an_answer, an_event
from tests.disarmed import disarm

POLICY = a_policy(issue_on=frozenset({"paid"}))

Documents = list[tuple[str, str, str]]


def a_state(version: int, **changes: Any) -> bytes:
    """The order as our own document, `version` minutes after it was paid."""
    order = {
        "id": "1001",
        "created_at": PAID_AT.isoformat(),
        "updated_at": (PAID_AT + timedelta(minutes=version)).isoformat(),
        "payment": "paid",
        "state": "paid",
        "total": "24.60",
        "lines": [{"id": "a", "name": "Caneca", "quantity": 2, "gross": "24.60", "tax_rate": 23}],
    }
    return orjson.dumps({**order, **changes})


def a_refund(number: int, gross: str, quantity: int) -> dict[str, Any]:
    return {
        "id": str(number),
        "created_at": (PAID_AT + timedelta(hours=number)).isoformat(),
        "amount": gross,
        "lines": [{"line_id": "a", "quantity": quantity, "gross": gross, "net": gross}],
    }


UNPAID = a_state(0, payment="unpaid", state="open")
PAID = a_state(1)
ONE_BACK = a_state(2, refunds=[a_refund(1, "12.30", 1)])
ALL_BACK = a_state(3, refunds=[a_refund(1, "12.30", 1), a_refund(2, "12.30", 1)])


class Office:
    """A ledger and the reconciler that keeps it."""

    def __init__(
        self, database: Database, policy: Policy | None = None, registers: frozenset[Register] = frozenset()
    ) -> None:
        config = ShopConfig(
            name="loja", url="https://loja.example", webhook_secrets=(SecretStr("whsec_" + "c2VjcmV0" * 5),)
        )
        desk = Desk(shop=load_shop("generic")(config), policy=policy or POLICY)
        self.database = database
        self.news = asyncio.Event()
        self.desks = {"loja": desk}
        self.reconciler = Reconciler(database, self.desks, work=self.news, planned=lambda _: None, registers=registers)

    async def tell(self, *bodies: bytes, lane: int = 0) -> None:
        for body in bodies:
            told = orjson.loads(body)
            from_text = PAID_AT.fromisoformat(told["updated_at"])
            fact = Fact(kind=FactKind.ORDER, order_id=told["id"], topic="order", payload=body, version=from_text)
            await events.accept(self.database, [replace(an_event(fact), lane=lane)])

    async def work(self) -> None:
        while await self.reconciler.work_off():
            pass

    async def documents(self) -> Documents:
        async with self.database.read() as connection:
            known = await documents.known(connection, "loja", "1001")
        return [
            (d.key.part, d.kind.value, str(d.draft.totals.gross))
            for d in known
            if d.state is not DocumentState.WITHDRAWN
        ]

    async def issue_all(self) -> None:
        """As the dispatcher does it, with the service's answer as planned."""
        claimer = documents.Claimer(self.database, "main")
        while (claimed := await claimer.planned(PAID_AT + timedelta(days=1))) is not None:
            async with self.database.write() as connection:
                await documents.record_issued(connection, claimed.id, an_answer(claimed.id, claimed.draft), now=PAID_AT)
                await orders.refresh_state(connection, "loja", "1001")

    async def state(self) -> OrderState:
        async with self.database.read() as connection:
            row = await orders.get(connection, "loja", "1001")
        assert row is not None
        return row.state


EXPECTED = [("sale", "FR", "24.60"), ("refund-1", "NC", "12.30"), ("refund-2", "NC", "12.30")]


def orders_of_arrival() -> list[Sequence[bytes]]:
    """Every order of the four states, and some with repetitions."""
    states = (UNPAID, PAID, ONE_BACK, ALL_BACK)
    chance = random.Random(7)
    repeated = [chance.sample([ALL_BACK, *chance.choices(states, k=9)], 10) for _ in range(20)]
    return [*itertools.permutations(states), *repeated]


async def test_what_was_credited_is_not_shown_as_to_be_annulled(database: Database) -> None:
    office = Office(database)
    seen = []
    for body in (PAID, ONE_BACK):
        await office.tell(body)
        await office.work()
        await office.issue_all()
        (listed,) = [entry async for entry in list_orders(database)]
        seen.append([document["annul_until"] for document in listed["documents"]])
    assert seen == [["2026-11-25"], [None, None]]


async def test_that_a_gift_needs_no_document_stands_in_the_trail(database: Database) -> None:
    office = Office(database)
    line = {"id": "a", "name": "Oferta", "quantity": 1, "gross": "0.00", "list_gross": "20.00", "tax_rate": 23}
    await office.tell(a_state(1, total="0.00", lines=[line]))
    await office.work()
    async with database.read() as connection:
        told = await trail.timeline(connection, "loja", "1001")
    assert [entry.detail["reason"] for entry in told if entry.action == "planned"] == [
        "nothing was paid: a gift within the limits of CIVA art. 3 n.º 7 (zero_total)"
    ]
    assert await office.documents() == []


async def test_any_order_and_repetition_of_the_same_events_ends_in_the_same_documents(database_url: str) -> None:
    """Planned and issued at any moment in between, or only at the end."""
    chance = random.Random(11)
    for arrival in orders_of_arrival():
        database = Database.open(database_url)
        office = Office(database)
        try:
            await _clear(database)
            for body in arrival:
                await office.tell(body)
                if chance.random() < 0.5:
                    await office.work()
                if chance.random() < 0.3:
                    await office.issue_all()
            await office.work()
            await office.issue_all()
            await office.work()
            assert sorted(await office.documents()) == sorted(EXPECTED)
            assert await office.state() is OrderState.ISSUED
        finally:
            await database.close()


async def _clear(database: Database) -> None:
    from syncd.store.tables import Ledger  # noqa: PLC0415 - only here are rows ever taken out

    await disarm(database)
    async with database.write() as connection:
        for table in reversed(Ledger.metadata.sorted_tables):
            await connection.execute(table.delete())


async def test_what_is_unpaid_waits(database: Database) -> None:
    office = Office(database)
    await office.tell(UNPAID)
    await office.work()
    assert (await office.documents(), await office.state()) == ([], OrderState.PENDING)


async def test_an_order_cancelled_before_it_was_sent_is_withdrawn(database: Database) -> None:
    office = Office(database)
    await office.tell(PAID)
    await office.work()
    await office.tell(a_state(2, lifecycle="cancelled"))
    await office.work()
    assert (await office.documents(), await office.state()) == ([], OrderState.PENDING)


async def test_a_credit_note_waits_for_its_invoice(database: Database) -> None:
    office = Office(database)
    await office.tell(ONE_BACK)
    await office.work()
    async with database.read() as connection:
        states = {d.key.part: d.state for d in await documents.known(connection, "loja", "1001")}
    assert states == {"sale": DocumentState.PLANNED, "refund-1": DocumentState.WAITING}


async def test_an_order_that_makes_no_sense_is_held_and_the_next_goes_on(database: Database) -> None:
    office = Office(database)
    await office.tell(a_state(1, total="99.99"))
    await office.tell(orjson.dumps({**orjson.loads(PAID), "id": "1002"}))
    await office.work()
    assert await office.state() is OrderState.HELD
    async with database.read() as connection:
        other = await orders.get(connection, "loja", "1002")
    assert other is not None
    assert other.state is OrderState.PLANNED


async def test_a_defect_of_ours_holds_one_order_and_says_so(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(database)
    await office.tell(PAID)

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("syncd.dispatch.reconciler.plan", broken)
    await office.work()
    async with database.read() as connection:
        row = await orders.get(connection, "loja", "1001")
    assert row is not None
    assert row.hold is not None
    assert row.hold.code == "internal_error"


async def test_a_skipped_order_issues_nothing_more(database: Database) -> None:
    office = Office(database)
    await office.tell(PAID)
    await office.work()
    async with database.write() as connection:
        await orders.decide(connection, "loja", "1001", {"action": "skip"}, now=PAID_AT)
    await office.work()
    assert (await office.documents(), await office.state()) == ([], OrderState.SKIPPED)


async def test_the_story_of_an_order_tells_what_was_planned(database: Database) -> None:
    office = Office(database)
    await office.tell(PAID)
    await office.work()
    async with database.read() as connection:
        story = await trail.timeline(connection, "loja", "1001")
    assert [entry.action for entry in story] == ["received", "planned"]
    (told,) = story[1].detail["documents"]
    assert (told["key"], told["gross"]) == ("main/loja/1001/FR/sale", "24.60")
    assert story[1].detail["basis"] == {
        "events": [story[0].detail["event"]],
        "deleted": False,
        "accepted": [],
        "policy": fingerprint(POLICY),
        "version": __version__,
    }


async def test_a_clock_that_was_set_back_does_not_keep_an_order_waiting(database: Database) -> None:
    office = Office(database)
    shown = [PAID_AT]
    reconciler = Reconciler(
        database,
        office.desks,
        work=asyncio.Event(),
        planned=lambda _: None,
        now=lambda: shown[-1],
        monotonic=lambda: 0.0,
    )
    await office.tell(a_state(1))
    shown.append(PAID_AT - timedelta(days=1))
    assert await reconciler.work_off()
    assert await office.documents() == [EXPECTED[0]]


async def test_news_is_looked_at_before_the_rest_of_a_backfill_is_planned(database: Database) -> None:
    office = Office(database)
    await office.tell(*(a_state(1, id=str(number)) for number in range(5)), lane=1)
    office.news.set()
    await office.reconciler.work_off()
    await office.tell(a_state(1, id="live"))
    await office.reconciler.work_off()
    office.news.clear()
    claimer = documents.Claimer(database, "main", monotonic=lambda: 0.0)
    planned = [await claimer.planned(PAID_AT + timedelta(days=1)) for _ in range(2)]
    assert [claimed.key.order_id for claimed in planned if claimed] == ["live", "0"]
    await office.work()
    rest = [await claimer.planned(PAID_AT + timedelta(days=1)) for _ in range(4)]
    assert [claimed.key.order_id for claimed in rest if claimed] == ["1", "2", "3", "4"]


async def test_a_live_event_takes_an_order_out_of_the_backfill(database: Database) -> None:
    office = Office(database)
    await office.tell(a_state(1, id="1"), a_state(1, id="2"), lane=1)
    await office.work()
    await office.tell(a_state(2, id="2", refunds=[a_refund(1, "12.30", 1)]))
    await office.work()
    claimer = documents.Claimer(database, "main", monotonic=lambda: 0.0)
    found = [await claimer.planned(PAID_AT + timedelta(days=1)) for _ in range(2)]
    assert [(claimed.key.order_id, claimed.lane) for claimed in found if claimed] == [("2", 0), ("1", 1)]
