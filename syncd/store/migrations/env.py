"""What alembic runs. With `alembic -x url=...` it connects itself; the daemon hands it an open connection."""

import asyncio
from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext

from syncd.store.engine import Database
from syncd.store.tables import Ledger


def render_item(kind: str, thing: Any, autogen: AutogenContext) -> str | Literal[False]:  # noqa: ANN401 - any schema item
    """Write our own column types so that the revision imports them."""
    if kind == "type" and type(thing).__module__.startswith("syncd."):
        autogen.imports.add(f"import {type(thing).__module__}")
        return f"{type(thing).__module__}.{thing!r}"
    return False


def migrate(connection: sa.Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Ledger.metadata,
        render_item=render_item,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def connect_and_migrate(url: str) -> None:
    db = Database.open(url)
    try:
        async with db.write() as conn:
            await conn.run_sync(migrate)
    finally:
        await db.close()


connection = context.config.attributes.get("connection")
if connection is None:
    asyncio.run(connect_and_migrate(context.get_x_argument(as_dictionary=True)["url"]))
else:
    migrate(connection)
