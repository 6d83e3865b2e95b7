"""A world with one order, which is told, sent, lost and looked for step by step."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from syncd.mapping.policy import PaidDocument
from syncd.sandbox.billpt import Fault, FaultKind
from syncd.sandbox.billpt.records import Document
from syncd.store import attempts, documents, events
from syncd.store.documents import DocumentRow
from tests.prove.clock import the_loop
from tests.prove.stories import Story, a_desk
from tests.prove.world import SETTLE, Process, World, a_world

ISSUING = "/api/1.0/documentos"
NAMED: dict[str, Any] = {
    "name": "Rita Lopes",
    "tax_id": "212345672",
    "billing": {"name": "Rita Lopes", "street": "Rua 1", "postcode": "4000-100", "city": "Porto", "country": "PT"},
}


@dataclass
class Bench:
    """A world with the orders told so far."""

    world: World
    told: int = 0

    async def tell(self, story: Story, state: int = 0) -> None:
        database = self.world.open_ledger()
        await events.accept(database, [story.incoming(state, the_loop().now())])
        await database.close()

    def fail(self, kind: FaultKind, **options: Any) -> None:
        values = {"method": "POST", "path": ISSUING} | options
        self.world.stage.emulator.faults.add(Fault(kind=kind, **values))

    async def work(self, process: Process) -> None:
        """Everything that is due now, without waiting."""
        while await process.reconciler.work_off():
            pass
        while not await process.dispatcher.step():
            pass

    async def settle(self, process: Process, times: int = 1) -> None:
        for _ in range(times):
            await asyncio.sleep(SETTLE.total_seconds())
            await self.work(process)

    async def rows(self) -> list[DocumentRow]:
        database = self.world.open_ledger()
        async with database.read() as connection:
            found = await documents.of_order(connection, "loja", "1")
        await database.close()
        return found

    async def requests(self, purpose: str = "") -> int:
        """Spent on documents, without reference data."""
        database = self.world.open_ledger()
        async with database.read() as connection:
            spent = await attempts.per_purpose(connection)
        await database.close()
        return spent.get(purpose, 0) if purpose else sum(spent.values()) - spent.get("lookup", 0)

    def living(self) -> list[Document]:
        books = self.world.stage.emulator.account.books
        return [document for document in books.all.values() if document.final and not document.annulled]


@asynccontextmanager
async def a_bench(url: str, paid: PaidDocument = PaidDocument.FR, *, proven: bool = True) -> AsyncIterator[Bench]:
    """With `proven`, one order is issued before, so that the next of its shape takes one request."""
    async with a_world(url, a_desk(paid)) as world:
        bench = Bench(world)
        if proven:
            await bench.tell(an_order("first", buyer=NAMED))
            async with world.process() as process:
                await bench.work(process)
        yield bench


def an_order(order_id: str = "1", *, buyer: dict[str, Any] | None = None, **changes: Any) -> Story:
    state: dict[str, Any] = {
        "id": order_id,
        "created_at": "2025-11-20T10:29:00+00:00",
        "updated_at": "2025-11-20T10:30:00+00:00",
        "paid_at": "2025-11-20T10:30:00+00:00",
        "payment": "paid",
        "payments": [{"gateway": "stripe", "amount": "12.30"}],
        "total": "12.30",
        "lines": [{"id": "1", "name": "Caneca", "sku": "CAN-1", "gross": "12.30", "tax_rate": 23}],
        "buyer": buyer or {},
    }
    refund = {
        "id": "r1",
        "created_at": "2025-11-21T10:30:00+00:00",
        "amount": "12.30",
        "lines": [{"line_id": "1", "quantity": 1, "gross": "12.30"}],
    }
    refunded = state | {"updated_at": "2025-11-21T10:30:00+00:00", "refunds": [refund]}
    cancelled = state | {"updated_at": "2025-11-21T10:31:00+00:00", "cancelled_at": "2025-11-21T10:31:00+00:00"}
    return Story(
        order_id=order_id, states=(state | changes, refunded, cancelled), total=Decimal("12.30"), kept=Decimal("12.30")
    )
