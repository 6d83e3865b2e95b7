"""Alerts: open while what they speak of lasts, and due to be told until somebody has heard.

A unique key over the open ones makes each cause one alert, whatever sees it, however often and in how many processes.
"""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.domain.alert import Alert, Changes, Condition
from syncd.store.engine import Database, insert
from syncd.store.tables import OPEN, alert


async def alone(conn: AsyncConnection) -> None:
    """Have nobody else raise or resolve until this transaction ends, so that what is read next is what is changed."""
    if conn.dialect.name == "postgresql":
        await conn.execute(sa.text("LOCK TABLE alert IN SHARE ROW EXCLUSIVE MODE"))


async def open_alerts(conn: AsyncConnection) -> list[Alert]:
    """Those whose cause lasts, the oldest first."""
    query = sa.select(alert).where(sa.text(OPEN)).order_by(alert.c.id)
    return [_alert(row) for row in await conn.execute(query)]


async def apply(conn: AsyncConnection, changed: Changes, *, now: datetime) -> None:
    """Store what `domain.alert.changes` found; what is raised or resolved is due to be told."""
    for condition in changed.raised:
        new = insert(conn, alert).values(**_words(condition), raised_at=now, tell_at=now, told=0, tries=0)
        await conn.execute(
            new.on_conflict_do_nothing(index_elements=["code", "subject"], index_where=sa.text(OPEN)),
        )
    for known, condition in changed.seen:
        await conn.execute(_change(known, **_words(condition), gone_at=None))
    for known in changed.gone:
        await conn.execute(_change(known, gone_at=now))
    for known in changed.resolved:
        await conn.execute(_change(known, resolved_at=now, tell_at=now, tries=0))


async def claim(db: Database, *, now: datetime, lease: timedelta) -> Alert | None:
    """An alert that is to be told now, which nobody else tells for as long as the lease; None if there is none."""
    due = sa.select(alert.c.id).where(alert.c.tell_at <= now).order_by(alert.c.tell_at, alert.c.id).limit(1)
    async with db.read() as conn:
        found = (await conn.execute(due)).scalar_one_or_none()
    if found is None:
        return None
    mine = _change(found, tell_at=now + lease).where(alert.c.tell_at <= now).returning(alert)
    async with db.write() as conn:
        row = (await conn.execute(mine)).one_or_none()
    return _alert(row) if row is not None else None


async def told(db: Database, known: Alert, *, again_at: datetime | None) -> None:
    """People have heard this; a change that came meanwhile stays due."""
    await _told(db, known, again_at, told=alert.c.told + 1, tries=0)


async def not_told(db: Database, known: Alert, *, again_at: datetime) -> None:
    """Nobody could be reached: try again then."""
    await _told(db, known, again_at, tries=alert.c.tries + 1)


async def _told(db: Database, known: Alert, again_at: datetime | None, **values: object) -> None:
    unchanged = alert.c.resolved_at.is_(None) if known.resolved_at is None else sa.true()
    async with db.write() as conn:
        next_ = sa.case((unchanged, sa.literal(again_at, alert.c.tell_at.type)), else_=alert.c.tell_at)
        await conn.execute(_change(known.id, tell_at=next_, **values))


def _change(known: int, **values: object) -> sa.Update:
    return sa.update(alert).where(alert.c.id == known).values(**values)


def _words(condition: Condition) -> dict[str, str]:
    return {name: getattr(condition, name) for name in ("code", "subject", "message", "fix")}


def _alert(row: sa.Row[Any]) -> Alert:
    words = {name: getattr(row, name) for name in ("code", "subject", "message", "fix")}
    plain = {name: getattr(row, name) for name in ("id", "raised_at", "gone_at", "resolved_at", "told", "tries")}
    return Alert(condition=Condition(**words), **plain)
