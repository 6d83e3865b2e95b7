"""An account shows by drafts how it adds up and how it takes prices, and what was planned otherwise is planned anew."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import zip_longest
from typing import Any

import pytest

from syncd.dispatch.proving import BLOCKED, LEFT_BEHIND, PROVEN
from syncd.domain.capabilities import Arithmetic, Profile
from syncd.domain.document import PriceMode
from syncd.domain.states import DocumentState
from syncd.sandbox.billpt import Fault, FaultKind
from syncd.sandbox.billpt import Settings as Sandbox
from syncd.sandbox.billpt.records import Document
from syncd.sandbox.billpt.settings import Arithmetic as Rounding
from syncd.store import documents, events, profiles, references
from syncd.store.documents import DocumentRow
from syncd.store.engine import Database
from tests.prove.clock import the_loop
from tests.prove.fate import Fate, Killed
from tests.prove.stories import Story, a_desk, a_story
from tests.prove.world import SETTLE, Process, World, a_world

# Under each way of adding up these lines come to another document.
TELLING = ("5.00", "7.99", "15.00", "0.99")
VAT_INSIDE = "IVA2026"


@dataclass
class Bench:
    """A world, with the ways to look at its books."""

    world: World

    @asynccontextmanager
    async def ledger(self) -> AsyncIterator[Database]:
        database = self.world.open_ledger()
        try:
            yield database
        finally:
            await database.close()

    async def tell(self, story: Story, state: int = 0) -> None:
        async with self.ledger() as database:
            await events.accept(database, [story.incoming(state, the_loop().now())])

    async def work(self, process: Process, minutes: int = 2) -> None:
        """Everything that becomes due within some minutes."""
        for _ in range(minutes * 6):
            while await process.reconciler.work_off():
                pass
            while not await process.dispatcher.step():
                pass
            await asyncio.sleep(10)

    async def release(self, order_id: str) -> None:
        async with self.ledger() as database, database.write() as connection:
            await documents.release(connection, "loja", order_id, now=the_loop().now())

    async def rows(self, order_id: str) -> list[DocumentRow]:
        async with self.ledger() as database, database.read() as connection:
            return await documents.of_order(connection, "loja", order_id)

    async def profile(self) -> Profile:
        async with self.ledger() as database, database.read() as connection:
            return await profiles.of(connection, "main")

    async def noted(self, kind: str) -> set[str]:
        async with self.ledger() as database, database.read() as connection:
            return set(await references.table(connection, "main", kind))

    @property
    def books(self) -> list[Document]:
        return list(self.world.stage.emulator.account.books.all.values())

    def requests(self) -> int:
        return sum(self.world.stage.emulator.counts.values())


@asynccontextmanager
async def a_bench(
    url: str, *, learns: bool = True, shows_discounts: bool = False, **sandbox: Any
) -> AsyncIterator[Bench]:
    desk = a_desk(learns_arithmetic=learns, show_discounts=shows_discounts)
    async with a_world(url, desk, settings=Sandbox(**sandbox)) as world:
        yield Bench(world)


def an_order(order_id: str, *grosses: str, off: Sequence[str] = ()) -> Story:
    lines = [
        {
            "id": str(at),
            "name": f"Artigo {at}",
            "sku": f"A-{at}",
            "gross": gross,
            "list_gross": str(Decimal(gross) + Decimal(discount)),
            "tax_rate": 23,
        }
        for at, (gross, discount) in enumerate(zip_longest(grosses, off, fillvalue="0.00"))
    ]
    total = sum(map(Decimal, grosses), Decimal("0.00"))
    state: dict[str, Any] = {
        "id": order_id,
        "created_at": "2025-11-20T10:29:00+00:00",
        "updated_at": "2025-11-20T10:30:00+00:00",
        "paid_at": "2025-11-20T10:30:00+00:00",
        "payment": "paid",
        "payments": [{"gateway": "stripe", "amount": str(total)}],
        "total": str(total),
        "lines": lines,
        "buyer": {},
    }
    return Story(order_id=order_id, states=(state,), total=total, kept=total)


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("series", ["B2026", VAT_INSIDE])
async def test_however_an_account_works_every_order_is_issued_and_credited_to_the_cent(
    rounding: Rounding, series: str, sqlite_url: str
) -> None:
    """Mixed rates, discounts, refunds down to nothing: each document at the service is what its plan says."""
    async with a_bench(sqlite_url, arithmetic=rounding, default_series=series, shows_discounts=True) as bench:
        chance = random.Random(f"{rounding} {series}")
        since = the_loop().now() - timedelta(hours=2)
        stories = [a_story(number, chance, since) for number in range(12)]
        async with bench.world.process() as process:
            for story in stories:
                for state in range(len(story.states)):
                    await bench.tell(story, state)
                    await bench.work(process, minutes=1)
            for story in stories:
                rows = [row for row in await bench.rows(story.order_id) if row.state is not DocumentState.WITHDRAWN]
                assert {row.state for row in rows} == {DocumentState.ISSUED}, rows
                assert not any(row.hold for row in rows)
                paid = sum(-row.gross if row.kind == "NC" else row.gross for row in rows if row.gross is not None)
                assert paid == story.kept
        assert all(document.final and document.series["nome"] == series for document in bench.books)
        seen = {"FR": PriceMode.GROSS, "NC": PriceMode.GROSS} if series == VAT_INSIDE else {}
        assert (await bench.profile()).price_modes == seen


@pytest.mark.parametrize("rounding", [Rounding.RATE, Rounding.BASE])
async def test_a_draft_teaches_how_the_account_adds_up_and_no_wrong_document_comes_into_being(
    rounding: Rounding, sqlite_url: str
) -> None:
    async with a_bench(sqlite_url, arithmetic=rounding) as bench, bench.world.process() as process:
        for number in range(3):
            await bench.tell(an_order(str(number), *TELLING))
        await bench.work(process)
        learned = (await bench.profile()).arithmetic
        assert learned is not None
        assert learned is not Arithmetic.LINE
        assert "not line" in await bench.noted(PROVEN)
        assert [document.sums.gross for document in bench.books] == [Decimal("28.98")] * 3
        assert await bench.noted(BLOCKED) == set()
        before = bench.requests()
        await bench.tell(an_order("9", *TELLING))
        await bench.work(process)
        assert bench.requests() - before == 1


async def test_what_was_proven_by_documents_that_tell_nothing_is_proven_again_by_one_that_does(sqlite_url: str) -> None:
    async with a_bench(sqlite_url, arithmetic=Rounding.RATE) as bench, bench.world.process() as process:
        await bench.tell(an_order("1", "12.30"))
        await bench.work(process)
        assert await bench.noted(PROVEN) == {"sale"}
        assert await bench.profile() == Profile()
        await bench.tell(an_order("2", *TELLING))
        await bench.work(process)
        (row,) = await bench.rows("2")
        assert (row.state, row.hold) == (DocumentState.ISSUED, None)
        assert (await bench.profile()).arithmetic is Arithmetic.RATE


async def test_the_first_document_that_shows_a_discount_is_proven_whatever_gifts_have_proven(sqlite_url: str) -> None:
    async with a_bench(sqlite_url, shows_discounts=True) as bench, bench.world.process() as process:
        await bench.tell(an_order("1", "12.30", "0.00", off=("0.00", "3.69")))
        await bench.work(process)
        assert await bench.noted(PROVEN) == {"sale+discount"}
        await bench.tell(an_order("2", "11.07", off=("1.23",)))
        await bench.work(process)
        assert await bench.noted(PROVEN) == {"sale+discount", "sale+percentage"}
        before = bench.requests()
        await bench.tell(an_order("3", "9.84", off=("2.46",)))
        await bench.work(process)
        assert bench.requests() - before == 1
        assert {document.sums.discount for document in bench.books} == {
            Decimal("3.00"),
            Decimal("1.00"),
            Decimal("2.00"),
        }


async def test_an_arithmetic_that_a_person_has_named_is_never_overridden(sqlite_url: str) -> None:
    async with a_bench(sqlite_url, learns=False, arithmetic=Rounding.RATE) as bench, bench.world.process() as process:
        await bench.tell(an_order("1", *TELLING))
        await bench.work(process)
        (row,) = await bench.rows("1")
        assert row.state is DocumentState.HELD
        assert row.hold is not None
        assert row.hold.code == "arithmetic_mismatch"
        assert "instead of" in row.hold.message
        before = bench.requests()
        await bench.tell(an_order("2", *TELLING))
        await bench.work(process)
        (row,) = await bench.rows("2")
        assert row.hold is not None
        assert row.hold.code == "shape_blocked"
        assert (bench.requests(), bench.books) == (before, [])
        await bench.tell(an_order("3", "12.30"))  # the same under every arithmetic
        await bench.work(process)
        (row,) = await bench.rows("3")
        assert row.state is DocumentState.ISSUED


async def test_figures_that_no_arithmetic_explains_hold_the_order_and_block_what_it_claims(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench, bench.world.process() as process:
        await bench.tell(an_order("1", "12.30"))
        await bench.work(process)
        for tax in bench.world.stage.emulator.account.taxes:
            if tax["valor"] == 23:  # somebody has changed a tax that is in use
                tax["valor"] = 22
        await bench.tell(an_order("2", *TELLING))
        await bench.work(process)
        (row,) = await bench.rows("2")
        assert row.hold is not None
        assert row.state is DocumentState.HELD
        assert row.hold.code == "arithmetic_mismatch"
        assert len(bench.books) == 1
        assert await bench.profile() == Profile()
        assert await bench.noted(BLOCKED) == {"sale+rounding", "not rate", "not base"}


@pytest.mark.parametrize(
    "fault",
    [Fault(kind=FaultKind.TOO_MANY), Fault(kind=FaultKind.REFUSE, code="254"), Fault(kind=FaultKind.REFUSE, code="9")],
    ids=["too many requests", "the plan is used up", "refused"],
)
async def test_a_proven_draft_outlives_the_process_that_made_it(fault: Fault, sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench:
        await bench.tell(an_order("1", "12.30"))
        async with bench.world.process() as process:
            await process.reconciler.work_off()
            send = process.service._api.send

            async def fails_once(request: Any) -> Any:
                if request.body and request.body.get("id"):
                    bench.world.stage.emulator.faults.add(fault)
                    process.service._api.send = send  # type: ignore[method-assign]
                return await send(request)

            process.service._api.send = fails_once  # type: ignore[method-assign]
            await process.dispatcher.step()
            (draft,) = bench.books
            assert not draft.final
            await bench.release("1")
        async with bench.world.process() as process:
            await bench.work(process, minutes=3)
        (only,) = bench.books
        assert only.final
        assert bench.world.stage.emulator.counts["POST /api/1.0/documentos"] == 3
        assert await bench.noted(LEFT_BEHIND) == set()


async def test_dying_at_any_moment_of_a_proof_leaves_one_document_and_no_draft(sqlite_url: str) -> None:
    async with a_bench(sqlite_url, arithmetic=Rounding.RATE) as bench:
        await bench.tell(an_order("1", *TELLING))
        for steps in range(10, 400, 13):
            try:
                async with bench.world.process(Fate(steps)) as process:
                    await bench.work(process)
            except Killed:
                continue
        async with bench.world.process() as process:
            await bench.work(process, minutes=12 * round(SETTLE.total_seconds() / 60))
        (only,) = bench.books
        assert only.final
        assert only.sums.gross == Decimal("28.98")


async def test_a_draft_that_went_with_a_search_that_died_is_made_anew(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench:
        await bench.tell(an_order("1", "12.30"))
        async with bench.world.process() as process:
            await process.reconciler.work_off()
            send, faults = process.service._api.send, [FaultKind.TOO_MANY, FaultKind.ERROR_BEFORE]

            async def fails_twice(request: Any) -> Any:
                if request.body and request.body.get("id") and faults:
                    bench.world.stage.emulator.faults.add(Fault(kind=faults.pop(0)))
                return await send(request)

            process.service._api.send = fails_twice  # type: ignore[method-assign]
            while faults:  # once it leaves the draft behind, once nobody knows
                await bench.work(process, minutes=1)
            assert await bench.noted(LEFT_BEHIND) != set()
        await asyncio.sleep(SETTLE.total_seconds())
        strikes = 0
        while bench.books:  # the last one dies when its removal is done, and has not been told
            strikes += 1
            with pytest.raises(Killed):
                async with bench.world.process(Fate(requests=strikes)) as process:
                    await bench.work(process)
        async with bench.world.process() as process:
            await bench.work(process, minutes=12 * round(SETTLE.total_seconds() / 60))
        (only,) = bench.books
        assert only.final
