"""Documents that are to be annulled at their service, and what became of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.domain.document import DocumentKey, DocumentKind
from syncd.domain.hold import Hold
from syncd.domain.states import DocumentState, Purpose
from syncd.mapping.annulments import Annulment
from syncd.store import orders
from syncd.store.engine import Database
from syncd.store.tables import attempt, document
from syncd.store.types import hold_columns

_AGAIN = timedelta(minutes=1)  # for what a killed process was annulling
# Written out: a bound value would keep the partial index from being used.
_ANNULLING = document.c.state == sa.literal_column("'annulling'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Annulling:
    """A document taken for annulling. `tries` were made before, `unclear` of them ended so that it may be annulled."""

    id: int
    key: DocumentKey
    marker: str
    provider_id: str
    number: str
    reason: str
    tries: int
    unclear: int


async def want(conn: AsyncConnection, wanted: Iterable[Annulment], *, now: datetime) -> None:
    """Have these documents annulled. Only for issued ones, and under their order's lock."""
    for each in wanted:
        issued = (document.c.key == str(each.key)) & (document.c.state == DocumentState.ISSUED.value)
        changes = {"state": DocumentState.ANNULLING.value, "annul_reason": each.reason, "run_at": now}
        await conn.execute(sa.update(document).where(issued).values(**changes, changed_at=now, **hold_columns(None)))


async def take(database: Database, account: str, now: datetime) -> Annulling | None:
    """The next document that is to be annulled now; it rests for a minute, should nobody say what became of it."""
    row = document.c
    due = _ANNULLING & (row.account == account) & (row.run_at <= now) & (row.hold_code == "")
    oldest = sa.select(row.id).where(due).order_by(row.run_at).limit(1).correlate(None).scalar_subquery()
    columns = (row.id, row.account, row.shop, row.order_id, row.kind, row.part)
    taken = sa.update(document).where(row.id == oldest, _ANNULLING).values(run_at=now + _AGAIN, changed_at=now)
    async with database.read() as conn:
        if (await conn.execute(sa.select(row.id).where(due).limit(1))).one_or_none() is None:
            return None  # as nearly always, and no writer had to wait for it
    async with database.write() as conn:
        statement = taken.returning(*columns, row.marker, row.provider_id, row.number, row.annul_reason)
        found = (await conn.execute(statement)).one_or_none()
        if found is None:
            return None
        query = sa.select(attempt.c.status).where(attempt.c.document_id == found.id)
        before = list((await conn.execute(query.where(attempt.c.purpose == Purpose.ANNUL.value))).scalars())
    return Annulling(
        id=found.id,
        key=DocumentKey(found.account, found.shop, found.order_id, DocumentKind(found.kind), found.part),
        marker=found.marker,
        provider_id=found.provider_id,
        number=found.number,
        reason=found.annul_reason,
        tries=len(before),
        unclear=sum(status is None or not 400 <= status < 500 for status in before),
    )


async def record(
    conn: AsyncConnection,
    taken: Annulling,
    state: DocumentState,
    *,
    refused: str = "",
    run_at: datetime,
    hold: Hold | None = None,
    now: datetime,
) -> None:
    """What became of it: annulled, issued as before (`refused` says why), or still to be annulled at `run_at`.

    Once it is settled its order is planned again.
    """
    key = taken.key
    await orders.lock_all(conn, [(key.shop, key.order_id)])
    changes = {"state": state.value, "annul_refused": refused, "run_at": run_at, "changed_at": now}
    own = (document.c.id == taken.id) & _ANNULLING
    await conn.execute(sa.update(document).where(own).values(**changes, **hold_columns(hold)))
    if state is not DocumentState.ANNULLING:
        await orders.replan(conn, key.shop, key.order_id, now=now)
    await orders.refresh_state(conn, key.shop, key.order_id)
