"""Who works on what alone: a row per lease, judged by the database's clock, because replicas' clocks differ."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.store.engine import Database
from syncd.store.tables import lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenure:
    """A lease that was taken: the fence proves it, and every later tenure of the same name has a higher one."""

    name: str
    fence: int


async def take(db: Database, name: str, *, owner: str, length: timedelta) -> Tenure | None:
    """Take a lease that is free, has run out, or is the owner's own; None if somebody else has it.

    On SQLite it is always free: the file's lock has proved that whoever had it is gone.
    """
    row = lease.c
    free = row.until.is_(None) | (row.until < _clock(db.dialect)) | (row.owner == owner)
    until = _clock(db.dialect, length)
    claim = sa.update(lease).where(row.name == name).values(owner=owner, fence=row.fence + 1, until=until)
    if db.dialect == "postgresql":
        claim = claim.where(free)
    blank = db.insert(lease).values(name=name, owner="", fence=0, until=None)
    async with db.write() as conn:
        await conn.execute(blank.on_conflict_do_nothing(index_elements=["name"]))
        fence = (await conn.execute(claim.returning(row.fence))).scalar_one_or_none()
    return None if fence is None else Tenure(name=name, fence=fence)


async def renew(conn: AsyncConnection, tenure: Tenure, *, length: timedelta) -> datetime | None:
    """Keep it for this long from now, in the caller's transaction; the database's time, None if it is lost.

    One that has run out, but that nobody took, is still ours.
    """
    values = {"until": _clock(conn.dialect.name, length)}
    renewed = sa.update(lease).where(_held(tenure)).values(**values).returning(lease.c.until)
    until: datetime | None = (await conn.execute(renewed)).scalar_one_or_none()
    return until - length if until is not None else None


async def release(db: Database, tenure: Tenure) -> None:
    """Let the next one have it at once."""
    async with db.write() as conn:
        await conn.execute(sa.update(lease).where(_held(tenure)).values(owner="", until=None))


async def holders(conn: AsyncConnection) -> dict[str, str]:
    """Who holds which lease at the moment, by its name; what nobody holds is left out."""
    held = sa.select(lease.c.name, lease.c.owner).where(lease.c.until >= _clock(conn.dialect.name))
    return {row.name: row.owner for row in await conn.execute(held)}


def _held(tenure: Tenure) -> sa.ColumnElement[bool]:
    return (lease.c.name == tenure.name) & (lease.c.fence == tenure.fence)


def _clock(dialect: str, later: timedelta = timedelta()) -> sa.ColumnElement[datetime]:
    """The time by the clock that all who share the database share."""
    if dialect == "sqlite":
        return sa.literal(datetime.now(UTC) + later, lease.c.until.type)
    return sa.func.clock_timestamp(type_=sa.DateTime(timezone=True)) + later
