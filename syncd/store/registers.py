"""Questions to public registers, what they answered, and the orders that wait for it.

An inquiry is a row only while it has no answer. Whoever plans an order opens it in the transaction in which the order
begins to wait; whoever has the answer stores it and removes the row; `wake` then finds every order that waits for
nothing any more. No step needs the one before to have been seen by the same process.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.domain.registers import (
    FRESH,
    NO_EVIDENCE,
    Confirmation,
    Consultation,
    Evidence,
    Need,
    RateTable,
    ReferenceRates,
    Register,
)
from syncd.store import orders
from syncd.store.engine import Database, insert
from syncd.store.tables import consultation, inquiry, rate_table, shop_order


@dataclass(frozen=True, slots=True, kw_only=True)
class InquiryRow:
    """A question without an answer: asked `tries` times, the next time at `next_at`."""

    key: str
    register: Register
    subject: str
    requester: str
    since: datetime
    next_at: datetime
    tries: int
    problem: str


async def evidence_for(conn: AsyncConnection, needs: Iterable[Need], *, asked_again_at: datetime | None) -> Evidence:
    """What the ledger knows of these needs.

    A no from before `asked_again_at` is forgotten: a person had it looked up anew.
    """
    found = NO_EVIDENCE
    for need in needs:
        match need:
            case Confirmation():
                found |= await _consultation(conn, need, asked_again_at)
            case ReferenceRates(day=day):
                found |= await _rates(conn, day)
    return found


async def ask(conn: AsyncConnection, need: Need, *, now: datetime) -> None:
    """Have this asked, unless it is already; in the transaction that has an order wait for it."""
    subject, requester = (need.number, need.requester) if isinstance(need, Confirmation) else (str(need.day), "")
    row = {"key": need.key, "addressee": need.register.value, "subject": subject, "requester": requester}
    statement = insert(conn, inquiry).values(**row, since=now, next_at=now, tries=0, problem="")
    # An update that changes nothing, so that this waits for whoever is just removing the row.
    await conn.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"key": need.key}))


async def due(conn: AsyncConnection, now: datetime, limit: int) -> list[InquiryRow]:
    """What is to be asked now, the longest waiting first."""
    query = sa.select(inquiry).where(inquiry.c.next_at <= now).order_by(inquiry.c.next_at, inquiry.c.key).limit(limit)
    return [_row(found) for found in await conn.execute(query)]


async def get(conn: AsyncConnection, key: str) -> InquiryRow | None:
    found = (await conn.execute(sa.select(inquiry).where(inquiry.c.key == key))).one_or_none()
    return _row(found) if found else None


async def put_off(
    conn: AsyncConnection, asked: InquiryRow, *, until: datetime, problem: str, shared: str | None
) -> None:
    """No answer: ask again then. What shares the trouble (subjects that begin with `shared`) is not asked earlier."""
    own = sa.update(inquiry).where(inquiry.c.key == asked.key)
    await conn.execute(own.values(next_at=until, tries=asked.tries + 1, problem=problem))
    if shared is not None:
        others = (inquiry.c.addressee == asked.register.value) & inquiry.c.subject.startswith(shared, autoescape=True)
        await conn.execute(
            sa.update(inquiry).where(others, inquiry.c.next_at < until).values(next_at=until, problem=problem)
        )


async def keep_consultation(conn: AsyncConnection, answer: Consultation, raw: bytes, *, asked: InquiryRow) -> None:
    """Store VIES' answer as evidence; the question is settled."""
    await conn.execute(
        sa.insert(consultation).values(
            number=answer.number,
            requester=answer.requester,
            valid=answer.valid,
            asked_at=answer.asked_at,
            reference=answer.reference,
            name=answer.name,
            address=answer.address,
            answer=raw,
        )
    )
    await _settle(conn, asked)


async def keep_rates(conn: AsyncConnection, table: RateTable, *, asked: InquiryRow, now: datetime) -> None:
    """Store a day's rates; the question is settled. The first table of a day stays, so that plans stay."""
    row = {
        "day": table.day,
        "published": table.published,
        "source": table.source,
        "per_euro": {currency: str(rate) for currency, rate in table.per_euro.items()},
        "fetched_at": now,
    }
    await conn.execute(insert(conn, rate_table).values(**row).on_conflict_do_nothing(index_elements=["day"]))
    await _settle(conn, asked)


async def drop(db: Database, *, keep: frozenset[Register]) -> None:
    """Withdraw the questions to registers that are switched off: the orders that wait for them are to be held."""
    off = inquiry.c.addressee.not_in(sorted(keep))
    async with db.read() as conn:
        found = (await conn.execute(sa.select(inquiry.c.key).where(off).limit(1))).one_or_none()
    if found is not None:
        async with db.write() as conn:
            await conn.execute(sa.delete(inquiry).where(off))


async def wake(db: Database, *, now: datetime) -> int:
    """Have every order planned that waits for an inquiry which is settled; how many there were."""
    settled = shop_order.c.awaits.is_not(None) & ~sa.exists().where(inquiry.c.key == shop_order.c.awaits)
    async with db.read() as conn:
        found = (await conn.execute(sa.select(shop_order.c.shop, shop_order.c.order_id).where(settled))).all()
    if not found:
        return 0
    async with db.write() as conn:
        await orders.lock_all(conn, [(row.shop, row.order_id) for row in found])
        changes = {"plan_at": now, "revision": shop_order.c.revision + 1, "awaits": None}
        return (await conn.execute(sa.update(shop_order).where(settled).values(**changes))).rowcount


async def oldest(conn: AsyncConnection) -> dict[Register, datetime]:
    """Since when each register has owed an answer; those that owe none are left out."""
    query = sa.select(inquiry.c.addressee, sa.func.min(inquiry.c.since)).group_by(inquiry.c.addressee)
    return {Register(addressee): since for addressee, since in await conn.execute(query)}


async def _consultation(conn: AsyncConnection, need: Confirmation, asked_again_at: datetime | None) -> Evidence:
    """The first yes that speaks of the sale, else the newest no after it."""
    row = consultation.c
    own = (row.number == need.number) & (row.requester == need.requester)
    yes = sa.select(consultation).where(own, row.valid, row.asked_at >= need.sold_at - FRESH).order_by(row.asked_at)
    since = max(need.sold_at, asked_again_at or need.sold_at)
    no = sa.select(consultation).where(own, ~row.valid, row.asked_at >= since).order_by(row.asked_at.desc())
    for query in (yes, no):
        found = (await conn.execute(query.limit(1))).one_or_none()
        if found is not None:
            answer = Consultation(**{name: getattr(found, name) for name in Consultation.__slots__})
            return Evidence(consultations={need.number: answer})
    return NO_EVIDENCE


async def _rates(conn: AsyncConnection, day: date) -> Evidence:
    found = (await conn.execute(sa.select(rate_table).where(rate_table.c.day == day))).one_or_none()
    if found is None:
        return NO_EVIDENCE
    per_euro = {currency: Decimal(rate) for currency, rate in found.per_euro.items()}
    table = RateTable(day=found.day, published=found.published, source=found.source, per_euro=per_euro)
    return Evidence(rates={day: table})


async def _settle(conn: AsyncConnection, asked: InquiryRow) -> None:
    await conn.execute(sa.delete(inquiry).where(inquiry.c.key == asked.key))


def _row(found: sa.Row[tuple[object, ...]]) -> InquiryRow:
    values = dict(found._mapping)  # noqa: SLF001 - public in spite of its name
    return InquiryRow(register=Register(values.pop("addressee")), **values)
