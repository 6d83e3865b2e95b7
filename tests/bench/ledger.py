"""What a claim costs as the ledger grows: waiting rows, finished rows, and an old snapshot that keeps dead ones."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from statistics import median

import sqlalchemy as sa

from syncd.store.codec import dump_draft
from syncd.store.documents import Claimer
from syncd.store.engine import Database
from syncd.store.tables import document, shop_order
from tests.builders import PAID_AT, a_draft

CLAIMS = 60
CHUNK = 5_000


async def fill(database: Database, state: str, first: int, count: int) -> None:
    """Documents in a state, each with its order, the oldest first."""
    draft = dump_draft(a_draft())
    for start in range(first, first + count, CHUNK):
        numbers = range(start, min(start + CHUNK, first + count))
        async with database.write() as connection:
            await connection.execute(sa.insert(shop_order), [_order(number) for number in numbers])
            await connection.execute(sa.insert(document), [_document(number, state, draft) for number in numbers])


async def claim_ms(database: Database) -> float:
    """The median of some claims; the first ones find the place and do not count."""
    claimer, times = Claimer(database, "main"), []
    now = PAID_AT + timedelta(days=400)
    for _ in range(CLAIMS):
        started = time.perf_counter()
        assert await claimer.planned(now) is not None
        times.append((time.perf_counter() - started) * 1000)
    return median(times[10:])


@asynccontextmanager
async def old_snapshot(database: Database) -> AsyncIterator[None]:
    """A transaction that stays open and has seen the ledger as it was."""
    async with database.read() as connection:
        await connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        await connection.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await connection.execute(sa.select(sa.func.count()).select_from(document).limit(1))
        yield


async def finish(database: Database, count: int) -> None:
    """Issue the oldest documents the way claims do it: their index entries die one by one."""
    async with database.write() as connection:
        oldest = sa.select(document.c.id).where(document.c.state == "planned").order_by(document.c.id).limit(count)
        await connection.execute(
            sa.update(document).where(document.c.id.in_(oldest)).values(state="issued", issued_at=PAID_AT)
        )


def _order(number: int) -> dict[str, object]:
    blank = dict.fromkeys(("hold_code", "hold_message", "hold_fix"), "")
    return {
        "shop": "loja",
        "order_id": str(number),
        "account": "main",
        "number": str(number),
        "state": "planned",
        "lane": 0,
        "version": 0,
        "rank": 0,
        "revision": 1,
        "fetch_tries": 0,
        "first_seen_at": PAID_AT,
        "changed_at": PAID_AT,
        **blank,
    }


def _document(number: int, state: str, draft: str) -> dict[str, object]:
    due = PAID_AT + timedelta(seconds=number)
    blank = dict.fromkeys(
        ("original_key", "shape", "marker", "floor", "provider_id", "number", "hold_code", "hold_message", "hold_fix"),
        "",
    )
    return {
        "key": f"main/loja/{number}/FR/sale",
        "account": "main",
        "shop": "loja",
        "order_id": str(number),
        "kind": "FR",
        "part": "sale",
        "state": state,
        "lane": 0,
        "due_at": due,
        "run_at": due,
        "draft": draft,
        "attempts": 0,
        "created_at": PAID_AT,
        "changed_at": PAID_AT,
        "issued_at": PAID_AT if state == "issued" else None,
        **blank,
    }
