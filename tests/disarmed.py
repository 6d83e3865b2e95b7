"""Ledgers that let rows be changed and taken out, as somebody with the database's own tools can."""

import sqlalchemy as sa

from syncd.store import append_only
from syncd.store.engine import Database


async def disarm(database: Database) -> None:
    """Drop the triggers that refuse it."""
    async with database.write() as connection:
        for table, _ in append_only.GUARDED:
            for what in ("update", "delete"):
                where = f" ON {table}" if database.dialect == "postgresql" else ""
                await connection.execute(sa.text(f"DROP TRIGGER IF EXISTS {table}_{what}_refused{where}"))
