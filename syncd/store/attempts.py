"""Every request to a service, written down before it leaves and again when it ends."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.store.tables import attempt

# No request is under way for longer than this.
_LONGEST = timedelta(minutes=10)


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
    detail: Mapping[str, Any] | None = None,
) -> None:
    """How it ended; `answered_at` None if no answer came. `detail` holds no secret and nothing personal."""
    values = {"answered_at": answered_at, "status": status, "outcome": outcome}
    kept = None if detail is None else dict(detail)
    await conn.execute(sa.update(attempt).where(attempt.c.id == attempt_id).values(**values, detail=kept))


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
