"""Questions to public registers: asked once, answered for all who wait, never guessed."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from syncd.dispatch.inquiries import Inquiries, Registers
from syncd.domain.registers import Register
from syncd.domain.states import OrderState
from syncd.mapping.currency import reference_day
from syncd.metrics import Metrics
from syncd.registers.ecb import Ecb
from syncd.registers.http import RegisterError
from syncd.registers.vies import Vies
from syncd.store import documents, orders, registers, trail
from syncd.store.engine import Database
from syncd.store.tables import consultation, inquiry, rate_table, shop_order
from syncd.web.ledger import one_order
from tests.builders import a_policy
from tests.integration.test_reconciler import Office, a_state
from tests.registers import TEST_NUMBERS, Emulator, emulated

NUMBER, SELLER = "DE136695976", "PT501964843"
POLICY = a_policy(issue_on=frozenset({"paid"}), seller_nif="501964843")
BOTH = frozenset({Register.VIES, Register.ECB})


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with emulated() as running:
        yield running


class Desk(Office):
    """The reconciler, and who asks registers for it."""

    def __init__(self, database: Database, emulator: Emulator, *, able: Registers | None = None) -> None:
        self.able = able or Registers(
            vies=Vies(emulator.vies_url, timeout_seconds=60), ecb=Ecb(emulator.ecb_url, timeout_seconds=60)
        )
        super().__init__(database, POLICY, self.able.names)
        self.arrived = asyncio.Event()
        self.inquiries = Inquiries(
            database, self.able, Metrics(), owner="test", wanted=asyncio.Event(), arrived=self.arrived
        )

    async def ask(self) -> None:
        """One round of questions, and the planning that it makes possible."""
        await self.inquiries.work_off(asyncio.Event())
        await self.work()

    async def wait_is_over(self) -> None:
        """As if the time until the next try had passed."""
        async with self.database.write() as connection:
            await connection.execute(sa.update(inquiry).values(next_at=datetime.now(UTC)))

    async def shown(self, order_id: str = "1001") -> dict[str, Any]:
        found = await one_order(self.database, "loja", order_id)
        assert found is not None
        return found


@pytest.fixture
async def desk(database: Database, emulator: Emulator) -> AsyncIterator[Desk]:
    desk = Desk(database, emulator)
    yield desk
    await desk.able.close()


def an_exempt_sale(order_id: str = "1001", *, number: str = NUMBER, days_ago: int = 0) -> bytes:
    """Goods to a company in Hamburg, for which the shop charged no VAT."""
    address = {"name": "E", "company": "Beispiel GmbH", "street": "Allee 8", "postcode": "20095", "city": "Hamburg"}
    germany = {**address, "country": "DE"}
    return a_state(
        0,
        id=order_id,
        created_at=(datetime.now(UTC) - timedelta(days=days_ago)).isoformat(),
        total="100.00",
        lines=[{"id": "a", "name": "Caneca", "quantity": 1, "gross": "100.00", "tax_rate": 0}],
        buyer={"name": "E", "tax_id": number, "tax_exempt": True, "billing": germany, "shipping": germany},
    )


async def test_an_order_waits_for_vies_and_is_issued_with_the_proof_in_its_story(
    desk: Desk, emulator: Emulator
) -> None:
    emulator.valid.add(NUMBER)
    await desk.tell(an_exempt_sale())
    await desk.work()
    assert (await desk.documents(), await desk.state()) == ([], OrderState.PENDING)
    shown = await desk.shown()
    assert (shown["hold"], shown["waiting"]["for"]) == (None, f"vies/{SELLER}/{NUMBER}")
    await desk.ask()
    assert await desk.documents() == [("sale", "FR", "100.00")]
    assert (await desk.shown())["waiting"] is None
    async with desk.database.read() as connection:
        story = await trail.timeline(connection, "loja", "1001")
        (kept,) = await connection.execute(sa.select(consultation))
    assert [entry.action for entry in story] == ["received", "waiting", "planned"]
    (proof,) = story[2].detail["consultations"]
    assert (proof["number"], proof["valid"], proof["reference"]) == (NUMBER, True, "WAPIAAAA00000001")
    assert (kept.requester, kept.name, kept.reference) == (SELLER, "Beispiel GmbH", "WAPIAAAA00000001")
    assert b'"requestIdentifier": "WAPIAAAA00000001"' in kept.answer


async def test_a_number_is_asked_for_once_for_all_who_wait(desk: Desk, emulator: Emulator) -> None:
    emulator.valid.add(NUMBER)
    await desk.tell(*(an_exempt_sale(str(number)) for number in range(1, 6)))
    await desk.work()
    await desk.ask()
    await desk.tell(an_exempt_sale("6"))  # a little later: the answer is still fresh
    await desk.work()
    assert len(emulator.vies_asked) == 1
    assert emulator.vies_asked[0] == {
        "countryCode": "DE",
        "vatNumber": "136695976",
        "requesterMemberStateCode": "PT",
        "requesterNumber": "501964843",
    }
    async with desk.database.read() as connection:
        counts = await orders.counts(connection)
    assert counts[OrderState.PLANNED] == 6


@pytest.mark.parametrize("trouble", [*sorted(set(TEST_NUMBERS.values()) - {"INVALID_INPUT"}), 503, 301, b"<html>", b""])
async def test_no_answer_is_never_taken_for_one(desk: Desk, emulator: Emulator, trouble: str | int | bytes) -> None:
    emulator.valid.add(NUMBER)
    emulator.trouble = trouble
    await desk.tell(an_exempt_sale())
    await desk.work()
    for tries in (1, 2):
        await desk.wait_is_over()
        asked_at = datetime.now(UTC)
        await desk.ask()
        assert (await desk.documents(), await desk.state()) == ([], OrderState.PENDING)
        waiting = (await desk.shown())["waiting"]
        assert waiting["tries"] == tries
        assert waiting["problem"]
        assert datetime.fromisoformat(waiting["next_try_at"]) > asked_at
    emulator.trouble = ""
    await desk.wait_is_over()
    await desk.ask()
    assert await desk.documents() == [("sale", "FR", "100.00")]


async def test_vies_that_does_not_answer_in_time_has_not_answered(emulator: Emulator) -> None:
    emulator.hang = asyncio.Event()
    vies = Vies(emulator.vies_url, timeout_seconds=0.1)
    with pytest.raises(RegisterError, match="no answer in time"):
        await vies.consult(NUMBER, SELLER)
    emulator.hang.set()
    await vies.close()


async def test_while_a_member_state_is_down_its_other_numbers_are_not_asked_for(desk: Desk, emulator: Emulator) -> None:
    emulator.trouble = "MS_UNAVAILABLE"
    emulator.valid |= {NUMBER, "DE129274202", "FR40303265045"}
    await desk.tell(
        an_exempt_sale("1", number="DE136695976"),
        an_exempt_sale("2", number="DE129274202"),
        an_exempt_sale("3", number="FR40303265045"),
    )
    await desk.work()
    async with desk.database.read() as connection:
        (first, *_) = await registers.due(connection, datetime.now(UTC), 10)
        until = datetime.now(UTC) + timedelta(minutes=1)
    async with desk.database.write() as connection:
        await registers.put_off(connection, first, until=until, problem="down", shared=first.subject[:2])
        left = await registers.due(connection, datetime.now(UTC), 10)
    assert {row.subject[:2] for row in left} == {"DE", "FR"} - {first.subject[:2]}


async def test_a_no_holds_the_order_until_a_person_has_it_looked_up_anew(desk: Desk, emulator: Emulator) -> None:
    await desk.tell(an_exempt_sale())
    await desk.work()
    await desk.ask()
    shown = await desk.shown()
    assert (shown["state"], shown["hold"]["code"], shown["waiting"]) == ("held", "vies_invalid", None)
    emulator.valid.add(NUMBER)
    await desk.work()
    assert len(emulator.vies_asked) == 1  # nothing has changed: nobody is asked again
    decision = {"action": "retry", "accepted": [], "reason": "", "at": datetime.now(UTC).isoformat()}
    async with desk.database.write() as connection:
        await orders.decide(connection, "loja", "1001", decision)
    await desk.work()
    await desk.ask()
    assert await desk.documents() == [("sale", "FR", "100.00")]
    assert len(emulator.vies_asked) == 2


async def test_a_confirmation_long_after_the_sale_says_nothing_of_it(desk: Desk, emulator: Emulator) -> None:
    emulator.valid.add(NUMBER)
    await desk.tell(an_exempt_sale(days_ago=11))
    await desk.work()
    await desk.ask()
    shown = await desk.shown()
    assert (shown["state"], shown["hold"]["code"]) == ("held", "vies_unconfirmed")


async def test_an_order_cancelled_while_it_waits_waits_no_more(desk: Desk, emulator: Emulator) -> None:
    emulator.valid.add(NUMBER)
    await desk.tell(an_exempt_sale())
    await desk.work()
    await desk.tell(a_state(2, lifecycle="cancelled"))
    await desk.work()
    await desk.ask()
    assert (await desk.documents(), (await desk.shown())["waiting"]) == ([], None)


async def test_an_answer_that_was_kept_just_before_a_crash_wakes_the_orders_afterwards(
    desk: Desk, emulator: Emulator
) -> None:
    emulator.valid.add(NUMBER)
    await desk.tell(an_exempt_sale())
    await desk.work()
    assert desk.able.vies is not None
    answer, raw = await desk.able.vies.consult(NUMBER, SELLER)
    async with desk.database.write() as connection:
        (asked,) = await registers.due(connection, datetime.now(UTC), 1)
        await registers.keep_consultation(connection, answer, raw, asked=asked)
    await desk.ask()
    assert desk.arrived.is_set()
    assert await desk.documents() == [("sale", "FR", "100.00")]


async def test_a_register_that_was_switched_off_leaves_no_order_waiting(desk: Desk, emulator: Emulator) -> None:
    await desk.tell(an_exempt_sale())
    await desk.work()
    without = Desk(desk.database, emulator, able=Registers())
    await without.ask()
    shown = await without.shown()
    assert (shown["state"], shown["hold"]["code"], shown["waiting"]) == ("held", "vies_unconfirmed", None)


def a_sale_in_dollars(order_id: str = "1001", *, hours_ago: int = 0, **changes: Any) -> bytes:
    sold_at = datetime.now(UTC) - timedelta(hours=hours_ago)
    return a_state(0, id=order_id, created_at=sold_at.isoformat(), currency="USD", **changes)


async def test_an_order_in_dollars_waits_for_the_days_rates_and_keeps_them(desk: Desk, emulator: Emulator) -> None:
    emulator.publish({"USD": "1.0856", "JPY": "163.45"})
    emulator.ecb_status = 503
    await desk.tell(a_sale_in_dollars("1001"), a_sale_in_dollars("1002"))
    await desk.work()
    await desk.ask()
    waiting = (await desk.shown())["waiting"]
    assert (waiting["problem"], waiting["tries"]) == ("the ECB answered with status 503", 1)
    emulator.ecb_status = 200
    await desk.wait_is_over()
    await desk.ask()
    assert await desk.documents() == [("sale", "FR", "22.66")]
    assert emulator.ecb_asked == ["eurofxref-daily.xml"] * 2
    async with desk.database.read() as connection:
        (kept,) = await connection.execute(sa.select(rate_table))
        (sale,) = await documents.known(connection, "loja", "1002")
        story = await trail.timeline(connection, "loja", "1001")
    assert (kept.day, kept.per_euro) == (reference_day(datetime.now(UTC)), {"USD": "1.0856", "JPY": "163.45"})
    assert sale.draft.exchange is not None
    assert (sale.draft.exchange.per_euro, sale.draft.exchange.day) == (Decimal("1.0856"), kept.published)
    assert story[-1].detail["documents"][0]["exchange"]["per_euro"] == "1.0856"


async def test_an_older_sale_takes_the_rates_of_its_own_day(desk: Desk, emulator: Emulator) -> None:
    emulator.publish({"USD": "1.2000"}, days=40)
    await desk.tell(a_sale_in_dollars(hours_ago=24 * 30))
    await desk.work()
    await desk.ask()
    assert emulator.ecb_asked == ["eurofxref-hist-90d.xml"]
    assert await desk.documents() == [("sale", "FR", "20.50")]


async def test_a_currency_without_a_rate_is_asked_for_once_and_held(desk: Desk, emulator: Emulator) -> None:
    emulator.publish({"USD": "1.0856"})
    await desk.tell(a_state(0, currency="AOA", created_at=_now()))
    await desk.work()
    await desk.ask()
    await desk.work()
    shown = await desk.shown()
    assert (shown["state"], shown["hold"]["code"], shown["waiting"]) == ("held", "currency", None)
    assert len(emulator.ecb_asked) == 1


async def test_a_company_abroad_that_pays_in_dollars_waits_for_both_registers(desk: Desk, emulator: Emulator) -> None:
    emulator.publish({"USD": "1.0856"})
    emulator.valid.add(NUMBER)
    await desk.tell(orjson.dumps({**orjson.loads(an_exempt_sale()), "currency": "USD"}))
    await desk.work()
    await desk.ask()
    await desk.ask()
    assert await desk.documents() == [("sale", "FR", "92.11")]
    assert (len(emulator.ecb_asked), len(emulator.vies_asked)) == (1, 1)


async def test_a_refund_keeps_the_rate_although_another_holds_now(desk: Desk, emulator: Emulator) -> None:
    emulator.publish({"USD": "1.0856"})
    await desk.tell(a_sale_in_dollars())
    await desk.work()
    await desk.ask()
    await desk.issue_all()
    emulator.publish({"USD": "2.0000"})
    await desk.tell(
        a_state(
            5,
            created_at=_now(),
            currency="USD",
            refunds=[
                {"id": "1", "created_at": _now(), "amount": "24.60", "lines": []},
            ],
        )
    )
    await desk.work()
    assert await desk.documents() == [("sale", "FR", "22.66"), ("refund-1", "NC", "22.66")]
    assert len(emulator.ecb_asked) == 1


def _now() -> str:
    return datetime.now(UTC).isoformat()


async def test_two_processes_ask_once(desk: Desk, emulator: Emulator, database_url: str) -> None:
    emulator.valid.add(NUMBER)
    await desk.tell(an_exempt_sale())
    await desk.work()
    other_database = Database.open(database_url)
    other = Desk(other_database, emulator)
    try:
        await asyncio.gather(*(each.inquiries.work_off(asyncio.Event()) for each in (desk, other) * 3))
    finally:
        await other.able.close()
        await other_database.close()
    await desk.work()
    assert len(emulator.vies_asked) == 1
    assert await desk.documents() == [("sale", "FR", "100.00")]


async def test_backfilled_orders_stay_behind_live_ones_while_they_wait(desk: Desk, emulator: Emulator) -> None:
    emulator.valid.add(NUMBER)
    await desk.tell(an_exempt_sale())
    async with desk.database.write() as connection:
        await connection.execute(sa.update(shop_order).values(lane=1))
    await desk.work()
    await desk.ask()
    async with desk.database.read() as connection:
        row = await orders.get(connection, "loja", "1001")
    assert row is not None
    assert row.lane == 1


@pytest.mark.parametrize(("number", "problem"), sorted(TEST_NUMBERS.items()))
async def test_every_code_of_the_test_service_is_understood(emulator: Emulator, number: str, problem: str) -> None:
    vies = Vies(emulator.vies_url, timeout_seconds=5)
    try:
        if problem == "INVALID_INPUT":
            assert not (await vies.consult(f"DE{number}", SELLER))[0].valid
        else:
            with pytest.raises(RegisterError):
                await vies.consult(f"DE{number}", SELLER)
    finally:
        await vies.close()


async def test_a_register_that_cannot_be_reached_has_not_answered() -> None:
    vies = Vies("http://127.0.0.1:9", timeout_seconds=5)
    with pytest.raises(RegisterError, match="not reached"):
        await vies.consult(NUMBER, SELLER)
    await vies.close()
