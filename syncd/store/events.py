"""What shops told us: stored once, and folded into the newest known state of each order."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex
from typing import Any

import sqlalchemy as sa

from syncd.store.engine import Database
from syncd.store.merge import Incoming, fold, merge
from syncd.store.tables import event
from syncd.store.types import microseconds

__all__ = ["Incoming", "Problem", "accept", "new_event_id", "problems"]


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
    """An id that sorts by the time it was made, so that new rows stand together in the index."""
    return f"{time.time_ns():016x}{token_hex(4)}"


async def accept(db: Database, batch: Sequence[Incoming]) -> frozenset[str]:
    """Store events and bring their orders up to date in one transaction; returns the ids of those that were new.

    Repetitions are dropped, an older state never replaces a newer one, and any order of arrival ends the same.
    """
    unique = {(item.shop, _digest(item)): item for item in reversed(batch)}
    # Every transaction takes its rows in the same order, so that no two wait for each other.
    rows = [_event_row(item, digest) for (_, digest), item in sorted(unique.items(), key=lambda entry: entry[0])]
    if not rows:
        return frozenset()
    async with db.write() as conn:
        once = db.insert(event).on_conflict_do_nothing(index_elements=["shop", "digest"]).returning(event.c.id)
        new = frozenset((await conn.execute(once, rows)).scalars())
        if changes := fold(item for item in batch if item.event_id in new):
            await conn.execute(merge(db.dialect), changes)
    return new


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


def _digest(item: Incoming) -> str:
    """What makes two deliveries the same: not when or which way they came."""
    fact = item.fact
    said = (fact.kind, fact.order_id, fact.part, microseconds(fact.version), fact.rank) if fact else ("problem",)
    return hashlib.blake2b(repr(said).encode() + item.payload, digest_size=20).hexdigest()


def _event_row(item: Incoming, digest: str) -> dict[str, Any]:
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
