"""Annulling at the service, case by case, on both engines: lost answers, kills, refusals, and what is issued anew."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from syncd.audit.trail import TrailAudit
from syncd.domain.document import DocumentKey
from syncd.domain.states import OrderState
from syncd.mapping.annulments import wish
from syncd.mapping.policy import OnCancel
from syncd.sandbox.billpt import FaultKind
from syncd.store import annulments, documents, orders, trail
from syncd.store.engine import Database
from tests.prove.cases import ISSUING, Bench, a_bench, an_order
from tests.prove.clock import the_loop
from tests.prove.fate import Fate, Killed
from tests.prove.stories import Story
from tests.prove.world import SETTLE, Process

CANCELLED = 2
ANNUL = {"method": "PATCH", "path": ISSUING}


class Desk(Bench):
    """A shop that annuls what is cancelled, at an account in use."""

    async def cancel(self, process: Process, life: Story) -> None:
        """Told of the cancellation once it has happened, and worked off with all that follows from it."""
        await asyncio.sleep(120)  # a Postgres server's clock, by which requests are noted, is up to a minute ahead
        await self.tell(life, CANCELLED)
        await self.work(process)
        await self.work(process)

    async def states(self) -> list[tuple[str, str]]:
        return [(row.key.rpartition("/")[2], row.state.value) for row in await self.rows()]

    async def order_state(self) -> OrderState:
        async with self.world.open_ledger().read() as connection:
            row = await orders.get(connection, "loja", "1")
        assert row is not None
        return row.state

    def at_service(self) -> list[tuple[str, bool]]:
        """The order's documents: number without its series, and whether it was annulled."""
        books = self.world.stage.emulator.account.books
        told = [document for document in books.all.values() if "1" in document.observations.split()]
        return [(document.number.split("/")[0].split()[0], document.annulled) for document in told]

    async def actions(self) -> list[str]:
        async with self.world.open_ledger().read() as connection:
            told = await trail.timeline(connection, "loja", "1")
        return [entry.action for entry in told]

    async def audited(self) -> list[str]:
        database = Database.open(self.world.ledger_url)
        with the_loop().outside():
            found = [each.message async for each in TrailAudit(database).breaks()]
            await database.close()
        return found


@asynccontextmanager
async def a_shop(url: str, on_cancel: OnCancel = OnCancel.ANNUL) -> AsyncIterator[Desk]:
    async with a_bench(url) as bench:
        world = bench.world
        world.desk = replace(world.desk, policy=replace(world.desk.policy, on_cancel=on_cancel))
        yield Desk(world)


def a_life(**changes: Any) -> Story:
    """Paid now, cancelled ten seconds later, and (3) taken up again after thirty."""
    now = the_loop().now()
    told = an_order()
    paid, refunded, cancelled = (
        state | {"updated_at": (now + timedelta(seconds=10 * at)).isoformat()} for at, state in enumerate(told.states)
    )
    cancelled |= {"cancelled_at": (now + timedelta(seconds=10)).isoformat()} | changes
    again = paid | {"updated_at": (now + timedelta(seconds=30)).isoformat()}
    return replace(told, states=(paid, refunded, cancelled, again))


async def test_a_cancelled_order_is_annulled_by_one_request(database_url: str) -> None:
    async with a_shop(database_url) as shop, shop.world.process() as process:
        life = a_life()
        await shop.tell(life)
        await shop.work(process)
        before = await shop.requests()
        await shop.cancel(process, life)
        assert await shop.requests() - before == await shop.requests("annul") == 1
        assert await shop.states() == [("sale", "annulled")]
        assert shop.at_service() == [("FR", True)]
        assert await shop.order_state() is OrderState.PENDING
        assert (await shop.actions())[-1] == "annulled"
        assert await shop.audited() == []


async def test_an_order_that_is_taken_up_again_has_one_living_document(database_url: str) -> None:
    async with a_shop(database_url) as shop, shop.world.process() as process:
        life = a_life()
        for state in (0, CANCELLED, 3, 3):
            await asyncio.sleep(120)  # a Postgres server's clock, by which requests are noted, is up to a minute ahead
            await shop.tell(life, state)
            await shop.work(process)
        assert await shop.states() == [("sale", "annulled"), ("sale-2", "issued")]
        assert shop.at_service() == [("FR", True), ("FR", False)]
        assert await shop.order_state() is OrderState.ISSUED
        assert await shop.audited() == []


@pytest.mark.parametrize(
    "kind", [FaultKind.LOSE_ANSWER, FaultKind.TRUNCATE, FaultKind.HTML, FaultKind.ERROR_BEFORE, FaultKind.ERROR_AFTER]
)
async def test_an_unknown_outcome_is_read_back_and_the_document_annulled_once(
    kind: FaultKind, database_url: str
) -> None:
    async with a_shop(database_url) as shop, shop.world.process() as process:
        life = a_life()
        await shop.tell(life)
        await shop.work(process)
        shop.fail(kind, **ANNUL)
        await shop.cancel(process, life)
        assert await shop.states() == [("sale", "annulling")]
        assert await shop.order_state() is OrderState.ISSUING
        await shop.settle(process)
        assert await shop.states() == [("sale", "annulled")]
        assert shop.at_service() == [("FR", True)]
        assert await shop.requests("annul") == (2 if kind is FaultKind.ERROR_BEFORE else 1)


async def test_an_annulment_with_a_lost_answer_is_known_even_after_the_window(database_url: str) -> None:
    async with a_shop(database_url) as shop, shop.world.process() as process:
        life = a_life()
        await shop.tell(life)
        await shop.work(process)
        shop.fail(FaultKind.LOSE_ANSWER, **ANNUL)
        await shop.cancel(process, life)
        await asyncio.sleep(timedelta(days=6).total_seconds())
        await shop.work(process)
        assert (await shop.states(), shop.at_service()) == ([("sale", "annulled")], [("FR", True)])


@pytest.mark.parametrize("requests", [1, 2], ids=["when it has left", "before its answer is there"])
async def test_a_process_killed_while_annulling_leaves_the_rest_to_the_next(requests: int, database_url: str) -> None:
    async with a_shop(database_url) as shop:
        life = a_life()
        async with shop.world.process() as process:
            await shop.tell(life)
            await shop.work(process)
        await shop.tell(life, CANCELLED)
        async with shop.world.process(Fate(requests=requests)) as process:
            with suppress(Killed):
                await process.live(shop.work, process)
            assert process.fate.dead
        assert await shop.states() == [("sale", "annulling")]
        async with shop.world.process() as process:
            await shop.settle(process)
        assert (await shop.states(), shop.at_service()) == ([("sale", "annulled")], [("FR", True)])
        assert await shop.audited() == []


async def test_a_process_killed_at_any_step_of_annulling_annuls_once_and_credits_nothing(sqlite_url: str) -> None:
    async with a_shop(sqlite_url) as shop:
        life = a_life()
        async with shop.world.process() as process:
            await shop.tell(life)
            await shop.work(process)
        await shop.tell(life, CANCELLED)
        deaths, steps = 0, 0
        while True:
            steps += 1
            async with shop.world.process(Fate(steps)) as process:
                with suppress(Killed):
                    await process.live(shop.work, process)
                if not process.fate.dead:
                    break
                deaths += 1
            if await shop.states() == [("sale", "annulling")]:
                await asyncio.sleep(SETTLE.total_seconds())
        assert deaths > 10
        assert (await shop.states(), shop.at_service()) == ([("sale", "annulled")], [("FR", True)])
        assert await shop.audited() == []


async def test_a_refusal_ends_in_a_credit_note(database_url: str) -> None:
    async with a_shop(database_url) as shop, shop.world.process() as process:
        life = a_life()
        await shop.tell(life)
        await shop.work(process)
        # Told of it only when the service's five days are over.
        await asyncio.sleep(timedelta(days=6).total_seconds())
        await shop.cancel(process, life)
        assert await shop.states() == [("sale", "issued"), ("cancel", "issued")]
        assert shop.at_service() == [("FR", False), ("NC", False)]
        assert "annul_refused" in await shop.actions()
        assert await shop.audited() == []


async def test_what_may_have_reached_its_buyer_is_credited(database_url: str) -> None:
    async with a_shop(database_url) as shop, shop.world.process() as process:
        life = a_life()
        await shop.tell(life)
        await shop.work(process)
        (row,) = await shop.rows()
        with process.dispatcher._on_behalf(_named(row.id, await _key(shop))):
            await process.service.email(row.provider_id, "rita@loja.example")
        await shop.cancel(process, life)
        assert await shop.states() == [("sale", "issued"), ("cancel", "issued")]


async def test_nobody_can_tell_and_a_person_decides(database_url: str) -> None:
    async with a_shop(database_url) as shop, shop.world.process() as process:
        life = a_life()
        await shop.tell(life)
        await shop.work(process)
        for _ in range(5):
            shop.fail(FaultKind.ERROR_BEFORE, **ANNUL)
        await shop.cancel(process, life)
        await shop.settle(process, 6)
        (row,) = await shop.rows()
        assert row.hold is not None
        assert (row.hold.code, await shop.order_state()) == ("annul_unclear", OrderState.HELD)
        async with shop.world.open_ledger().write() as connection:
            await documents.release(connection, "loja", "1", now=the_loop().now())
        await shop.work(process)
        assert (await shop.states(), shop.at_service()) == ([("sale", "annulled")], [("FR", True)])


async def test_a_persons_wish_annuls_and_issues_anew_with_the_reason_told(database_url: str) -> None:
    async with a_shop(database_url, OnCancel.CREDIT) as shop, shop.world.process() as process:
        await shop.tell(a_life())
        await shop.work(process)
        decision = {"action": "annul", "accepted": [wish("sale")], "reason": "NIF em falta"}
        async with shop.world.open_ledger().write() as connection:
            await orders.decide(connection, "loja", "1", decision, now=the_loop().now())
        await shop.work(process)
        await shop.work(process)
        assert await shop.states() == [("sale", "annulled"), ("sale-2", "issued")]
        books = shop.world.stage.emulator.account.books
        assert [document.reason for document in books.all.values() if document.annulled] == ["NIF em falta"]


async def test_a_limit_or_a_blocked_account_only_delays_it(database_url: str) -> None:
    async with a_shop(database_url) as shop, shop.world.process() as process:
        life = a_life()
        await shop.tell(life)
        await shop.work(process)
        shop.fail(FaultKind.TOO_MANY, **ANNUL)
        shop.fail(FaultKind.REFUSE, **ANNUL)
        await shop.cancel(process, life)
        await shop.settle(process, 4)
        assert (await shop.states(), shop.at_service()) == ([("sale", "annulled")], [("FR", True)])


async def _key(shop: Desk) -> DocumentKey:
    async with shop.world.open_ledger().read() as connection:
        (known,) = await documents.known(connection, "loja", "1")
    return known.key


def _named(document_id: int, key: DocumentKey) -> annulments.Annulling:
    return annulments.Annulling(
        id=document_id, key=key, marker="", provider_id="", number="", reason="", tries=0, unclear=0
    )
