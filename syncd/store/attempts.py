"""Every request to a service, written down before it leaves and again when it ends."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.store.tables import attempt

# No request is under way for longer than this.
_LONGEST = timedelta(minutes=10)
# Still under way, or broken off by ourselves.
_NOT_THE_SERVICE = ("", "CancelledError")


async def begin(
    conn: AsyncConnection,
    *,
    account: str,
    purpose: str,
    label: str,
    sent_at: datetime,
    marker: str = "",
    document_id: int | None = None,
) -> int:
    """A request is about to leave; commit before it does. Returns the attempt's id."""
    statement = sa.insert(attempt).values(
        account=account,
        purpose=purpose,
        label=label,
        marker=marker,
        document_id=document_id,
        sent_at=sent_at,
        outcome="",
    )
    attempt_id: int = (await conn.execute(statement.returning(attempt.c.id))).scalar_one()
    return attempt_id


async def end(
    conn: AsyncConnection,
    attempt_id: int,
    *,
    answered_at: datetime | None,
    status: int | None,
    outcome: str,
) -> None:
    """How it ended, said once; `answered_at` None if no answer came."""
    values = {"answered_at": answered_at, "status": status, "outcome": outcome}
    await conn.execute(sa.update(attempt).where(attempt.c.id == attempt_id).values(**values))


async def recent(conn: AsyncConnection, account: str, since: datetime) -> list[tuple[datetime, datetime | None]]:
    """(sent, answered) of what an account sent since then, or was answered since then, the oldest first.

    Requests that left a little earlier count: a service counts them when they arrive.
    """
    row = attempt.c
    query = (
        sa.select(row.sent_at, row.answered_at)
        .where(row.account == account, row.sent_at >= since - _LONGEST)
        .where((row.sent_at >= since) | (row.answered_at >= since))
        .order_by(row.sent_at)
    )
    return [(found.sent_at, found.answered_at) for found in await conn.execute(query)]


async def silent(conn: AsyncConnection, account: str, *, times: int) -> bool:
    """Whether the last so many requests of an account all got no usable answer; those that we broke off do not count."""
    row = attempt.c
    query = (
        sa.select(row.status)
        .where(row.account == account, row.outcome.not_in(_NOT_THE_SERVICE))
        .order_by(row.sent_at.desc())
        .limit(times)
    )
    last = list((await conn.execute(query)).scalars())
    return len(last) == times and all(status is None or status >= 500 for status in last)


async def per_purpose(
    conn: AsyncConnection, *, account: str | None = None, since: datetime | None = None
) -> dict[str, int]:
    """How many requests were spent on what."""
    query = sa.select(attempt.c.purpose, sa.func.count().label("requests")).group_by(attempt.c.purpose)
    if account is not None:
        query = query.where(attempt.c.account == account)
    if since is not None:
        query = query.where(attempt.c.sent_at >= since)
    return {row.purpose: row.requests for row in await conn.execute(query)}
