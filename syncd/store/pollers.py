"""Work that one process does at a time: who has it, until when, and how far it came.

A lease is a row. Every claim raises its fence, and whoever comes back with an older fence has lost it. On Postgres
pass the database's own time (`engine.now`): replicas' clocks differ.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from syncd.store.engine import Database
from syncd.store.tables import poller

_LONGEST_INTERVAL = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A claim: where to go on, and the fence that proves it."""

    name: str
    cursor: str | None
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PollerRow:
    """How a poller stands."""

    name: str
    cursor: str | None
    next_at: datetime
    owner: str | None
    lease_until: datetime | None
    last_ok_at: datetime | None
    last_error: str


# Another process may have read its time a little after `now`, and written before us.
_APART = timedelta(minutes=5)


async def claim(
    db: Database, name: str, *, owner: str, now: datetime, lease: timedelta, interval: timedelta = _LONGEST_INTERVAL
) -> Turn | None:
    """Take the turn if it is due and nobody else has it; None otherwise. A name never heard of is due.

    What lies further off than the interval or the lease was written before the clock went back, and holds nobody up.
    """
    row = poller.c
    blank = {"name": name, "next_at": now, "fence": 0, "last_error": ""}
    due = (row.next_at <= now) | (row.next_at > now + interval + _APART)
    free = row.lease_until.is_(None) | (row.lease_until < now) | (row.lease_until > now + lease + _APART)
    take = (
        sa.update(poller)
        .where(row.name == name, due, free)
        .values(owner=owner, fence=row.fence + 1, lease_until=now + lease)
        .returning(row.cursor, row.fence)
    )
    async with db.write() as conn:
        await conn.execute(db.insert(poller).values(**blank).on_conflict_do_nothing(index_elements=["name"]))
        taken = (await conn.execute(take)).one_or_none()
    return Turn(name=name, cursor=taken.cursor, fence=taken.fence) if taken else None


async def renew(db: Database, turn: Turn, *, until: datetime) -> bool:
    """Keep the turn for longer; False if somebody else has taken it."""
    return await _mine(db, turn, lease_until=until)


async def keep(db: Database, turn: Turn, *, cursor: str) -> bool:
    """Store how far it came and go on; False (nothing stored) if the turn is lost."""
    return await _mine(db, turn, cursor=cursor)


async def finish(
    db: Database, turn: Turn, *, cursor: str | None, next_at: datetime, now: datetime, error: str = ""
) -> bool:
    """Store how far it came, once everything before the cursor is durable; False (nothing stored) if the turn is lost.

    With an error the time of the last success stays.
    """
    success = {} if error else {"last_ok_at": now}
    return await _mine(
        db, turn, cursor=cursor, next_at=next_at, lease_until=None, owner=None, last_error=error, **success
    )


async def all_pollers(db: Database) -> list[PollerRow]:
    """Every poller by name."""
    names = PollerRow.__slots__
    async with db.read() as conn:
        found = (await conn.execute(sa.select(*(poller.c[name] for name in names)).order_by(poller.c.name))).all()
    return [PollerRow(**row._mapping) for row in found]  # noqa: SLF001 - public in spite of its name


async def _mine(db: Database, turn: Turn, **values: object) -> bool:
    own = (poller.c.name == turn.name) & (poller.c.fence == turn.fence)
    async with db.write() as conn:
        return (await conn.execute(sa.update(poller).where(own).values(**values))).rowcount > 0
