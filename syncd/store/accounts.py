"""Whether an account may issue."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.domain.hold import Hold
from syncd.store.engine import insert
from syncd.store.tables import account

_PAUSED = sa.select(account).where(account.c.paused_code != "")  # asked before every request, so built once


async def pause(conn: AsyncConnection, name: str, hold: Hold, *, now: datetime) -> bool:
    """Nothing more is sent for this account until it is resumed; True if it was not paused for this reason before."""
    values = {"paused_code": hold.code, "paused_message": hold.message, "paused_fix": hold.fix, "paused_at": now}
    statement = (
        insert(conn, account)
        .values(name=name, **values)
        .on_conflict_do_update(index_elements=["name"], set_=values, where=account.c.paused_code != hold.code)
    )
    return (await conn.execute(statement.returning(account.c.name))).one_or_none() is not None


async def resume(conn: AsyncConnection, name: str) -> None:
    """The account may issue again."""
    values = {"paused_code": "", "paused_message": "", "paused_fix": "", "paused_at": None}
    await conn.execute(sa.update(account).where(account.c.name == name).values(**values))


async def paused(conn: AsyncConnection, name: str) -> Hold | None:
    """Why this account is paused, None if it is not."""
    return (await all_paused(conn)).get(name)


async def all_paused(conn: AsyncConnection) -> dict[str, Hold]:
    """Every paused account and why."""
    found = await conn.execute(_PAUSED)
    return {row.name: Hold(code=row.paused_code, message=row.paused_message, fix=row.paused_fix) for row in found}
