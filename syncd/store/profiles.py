"""How an account was seen to work: kept among its references, since it is one more thing that only it can tell."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.domain.capabilities import Arithmetic, Profile
from syncd.domain.document import PriceMode
from syncd.store import references
from syncd.store.tables import reference

KIND = "profile"
ARITHMETIC = "arithmetic"  # all other codes are places, and say how prices are taken there


async def of(conn: AsyncConnection, account: str) -> Profile:
    """What was seen so far."""
    noted = await references.table(conn, account, KIND)
    return Profile(
        arithmetic=Arithmetic(noted[ARITHMETIC]) if ARITHMETIC in noted else None,
        price_modes={place: PriceMode(mode) for place, mode in noted.items() if place != ARITHMETIC},
    )


async def note(conn: AsyncConnection, account: str, seen: Profile) -> None:
    """Keep what was seen; what it leaves open stays as it was."""
    entries = {place: mode.value for place, mode in seen.price_modes.items()}
    if seen.arithmetic is not None:
        entries[ARITHMETIC] = seen.arithmetic.value
    await references.put_many(conn, account, KIND, entries)


async def noted_at(conn: AsyncConnection, account: str, code: str) -> datetime | None:
    """Since when this stands as it is; None if it was never seen."""
    own = (reference.c.account == account) & (reference.c.kind == KIND) & (reference.c.code == code)
    found: datetime | None = (await conn.execute(sa.select(reference.c.updated_at).where(own))).scalar_one_or_none()
    return found
