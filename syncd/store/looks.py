"""Documents that were found absent and sent again, and are to be looked for once more.

Kept among the account's references, so that a look outlives the process that promised it.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cache

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.store import references
from syncd.store.documents import Claimed

KIND = "second_look"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondLook:
    """A document as it was sent when it was found absent, and when to look for it again."""

    at: datetime
    claimed: Claimed


async def waiting(conn: AsyncConnection, account: str) -> dict[int, SecondLook]:
    """All that are still to come, by document."""
    noted = await references.table(conn, account, KIND)
    return {int(document_id): _looks().validate_json(text) for document_id, text in noted.items()}


async def note(conn: AsyncConnection, account: str, *looks: SecondLook) -> None:
    """Promise these looks; one of the same document is moved."""
    entries = {str(look.claimed.id): _looks().dump_json(look).decode() for look in looks}
    await references.put_many(conn, account, KIND, entries)


async def done(conn: AsyncConnection, account: str, look: SecondLook) -> None:
    """Take back the promise."""
    await references.forget_one(conn, account, KIND, str(look.claimed.id))


@cache  # at the first use: an adapter costs milliseconds
def _looks() -> TypeAdapter[SecondLook]:
    return TypeAdapter(SecondLook)
