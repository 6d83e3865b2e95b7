"""What shops told us: stored once, and folded into the newest known state of each order."""

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import count
from secrets import randbits
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from syncd.store import bulk
from syncd.store.engine import Database, insert_on
from syncd.store.merge import GIVEN, Incoming, fold, merge
from syncd.store.tables import event
from syncd.store.types import microseconds

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["Incoming", "Problem", "accept", "new_event_id", "problems"]

# Payloads are no text for JSON to carry: they travel joined, and each row says where its own stands.
_PAYLOADS = "payloads"
# In bytes. For more, hashing lets go of the interpreter's lock, and getting it back from a busy loop takes longer.
_KEEPS_THE_LOCK = 2047
_PROCESS = randbits(20)
_COUNT = count()
_PLAIN = tuple(column for column in event.c if column.name != "payload")
_PACKED = (*_PLAIN, sa.column("start", sa.Integer()), sa.column("length", sa.Integer()))
_KNOWN = sa.select(event.c.id).where(event.c.id.in_(sa.bindparam("given", expanding=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A stored payload that describes no order."""

    event_id: str
    shop: str
    topic: str
    source: str
    problem: str
    received_at: datetime


def new_event_id() -> str:
    """An id that sorts by the time it was made, so that new rows stand together in the index.

    The process is told apart by chance, its ids of one moment by counting: asking the system for chance each time costs
    more than all the rest.
    """
    return f"{time.time_ns():016x}{_PROCESS:05x}{next(_COUNT) & 0xFFF:03x}"


async def accept(db: Database, batch: Sequence[Incoming]) -> frozenset[str]:
    """Store events and bring their orders up to date in one transaction; returns the ids of those that were new.

    Repetitions are dropped, an older state never replaces a newer one, and any order of arrival ends the same.
    """
    return await db.transact(lambda conn: store(conn, batch))


def store(conn: sa.Connection, batch: Sequence[Incoming]) -> frozenset[str]:
    """What `accept` does in its transaction."""
    if not batch:
        return frozenset()
    unique = {(item.shop, _digest(item)): item for item in reversed(batch)}
    # Every transaction takes its rows in the same order, so that no two wait for each other.
    rows = [_row(item, digest) for (_, digest), item in sorted(unique.items(), key=lambda entry: entry[0])]
    dialect = conn.dialect.name
    packed = bulk.packed(dialect, _PACKED, _with_places(rows))
    payloads = b"".join(row["payload"] for row in rows)
    stored = conn.execute(_once(dialect), {bulk.ROWS: packed, _PAYLOADS: payloads})
    given = [row["id"] for row in rows]
    # Asked for only if some were known: on SQLite every row of an answer is a turn with the interpreter's lock.
    everything = stored.rowcount == len(rows)
    new = frozenset(given if everything else conn.execute(_KNOWN, {"given": given}).scalars())
    if changes := fold(item for item in batch if item.event_id in new):
        conn.execute(merge(dialect), {bulk.ROWS: bulk.packed(dialect, GIVEN, changes)})
    return new


@cache  # building it takes a millisecond
def _once(dialect: str) -> "sqlite.Insert | postgresql.Insert":
    """Insert the events that are not yet there."""
    rows = bulk.given(dialect, _PACKED)
    whole = sa.bindparam(_PAYLOADS, type_=sa.LargeBinary())
    payload = sa.func.substr(whole, rows.c.start, rows.c.length)
    values = sa.select(*(rows.c[column.name] for column in _PLAIN), payload)
    insert = insert_on(dialect, event).from_select(
        [*(column.name for column in _PLAIN), "payload"], values.where(sa.true())
    )
    return insert.on_conflict_do_nothing(index_elements=["shop", "order_id", "digest"])


def _with_places(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Where each payload stands in the joined ones; SQL counts from 1."""
    start = 1
    for row in rows:
        length = len(row["payload"])
        yield {**row, "start": start, "length": length}
        start += length


async def problems(db: Database, limit: int = 100) -> list[Problem]:
    """The newest payloads that nobody understood."""
    columns = (event.c[name] for name in ("id", "shop", "topic", "source", "problem", "received_at"))
    newest = sa.select(*columns).where(sa.text("problem <> ''")).order_by(event.c.id.desc()).limit(limit)
    async with db.read() as conn:
        found = (await conn.execute(newest)).all()
    return [
        Problem(
            event_id=row.id,
            shop=row.shop,
            topic=row.topic,
            source=row.source,
            problem=row.problem,
            received_at=row.received_at,
        )
        for row in found
    ]


def digest_of(said: tuple[object, ...], payload: bytes) -> str:
    """What an event is known by: (kind, order id, part, version in microseconds, rank) and its payload."""
    digest = hashlib.blake2b(repr(said).encode(), digest_size=20)
    for start in range(0, len(payload), _KEEPS_THE_LOCK):
        digest.update(payload[start : start + _KEEPS_THE_LOCK])
    return digest.hexdigest()


def _digest(item: Incoming) -> str:
    """What makes two deliveries the same: not when or which way they came."""
    fact = item.fact
    said = (fact.kind, fact.order_id, fact.part, microseconds(fact.version), fact.rank) if fact else ("problem",)
    return digest_of(said, item.payload)


def _row(item: Incoming, digest: str) -> dict[str, Any]:
    fact = item.fact
    return {
        "id": item.event_id,
        "shop": item.shop,
        "kind": fact.kind.value if fact else "",
        "topic": _storable(item.topic),
        "order_id": fact.order_id if fact else "",
        "part": fact.part if fact else "",
        "version": microseconds(fact.version) if fact else 0,
        "rank": fact.rank if fact else 0,
        "digest": digest,
        "source": item.source,
        "problem": _storable(item.problem),
        "payload": item.payload,
        "received_at": item.received_at,
    }


def _storable(text: str) -> str:
    """Texts quoted from a broken payload can hold what no database stores as text: NUL and lone surrogates."""
    return text.replace("\x00", "").encode(errors="replace").decode()
