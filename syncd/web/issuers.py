"""Who issues for each account."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.dispatch.leases import lease_name
from syncd.store import leases


async def issuers(connection: AsyncConnection, accounts: Iterable[str], *, me: str) -> dict[str, str]:
    """By account, in words; `me` as a lease names its owner. On SQLite there is one process and no question."""
    if connection.dialect.name == "sqlite":
        return {}
    holders = await leases.holders(connection)
    known = {"": "nobody", me: "this process"}
    return {account: known.get(holders.get(lease_name(account), ""), "another process") for account in accounts}
