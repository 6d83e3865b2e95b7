"""How a fact changes what is known of its order.

The rule stands twice, in Python for the facts of one batch and in SQL for what is stored: the newest state of the
order wins, a deletion holds until a newer state revives it, and a hint asks the shop unless a newer state came since.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from syncd.domain.facts import Fact, FactKind
from syncd.domain.states import OrderState
from syncd.store import bulk
from syncd.store.engine import insert_on
from syncd.store.tables import shop_order
from syncd.store.types import microseconds

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

LIVE = 0
BACKFILL = 1

# What `fold` says of an order.
GIVEN = tuple(
    shop_order.c[name]
    for name in (
        "shop",
        "order_id",
        "account",
        "lane",
        "version",
        "rank",
        "event_id",
        "deleted_version",
        "revision",
        "plan_at",
        "fetch_at",
        "fetch_version",
        "changed_at",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One fact on its way in, or (with `fact` None) a signed payload that could not be understood."""

    event_id: str
    shop: str
    account: str
    fact: Fact | None
    topic: str
    payload: bytes
    problem: str
    source: str  # webhook, poll, queue, backfill, fetch, cli
    lane: int
    received_at: datetime


@dataclass(slots=True, kw_only=True)
class _Change:
    """What the facts of one batch say together of one order."""

    account: str
    lane: int
    at: datetime
    version: int = 0
    rank: int = 0
    event_id: str | None = None
    deleted_version: int | None = None
    hinted_version: int | None = None
    refunded: bool = False

    def apply(self, fact: Fact, event_id: str) -> None:
        version = microseconds(fact.version)
        match fact.kind:
            case FactKind.ORDER:
                if self.event_id is None or (version, fact.rank) >= (self.version, self.rank):
                    self.version, self.rank, self.event_id = version, fact.rank, event_id
                if self.hinted_version is not None and version > self.hinted_version:
                    self.hinted_version = None
            case FactKind.REFUND:
                self.refunded = True
            case FactKind.DELETED:
                self.deleted_version = max(version, self.deleted_version or version)
            case FactKind.HINT:
                self.hinted_version = max(version, self.hinted_version or version)

    def row(self, shop: str, order_id: str) -> dict[str, Any]:
        asks = self.hinted_version is not None or (self.refunded and self.event_id is None)
        return {
            "shop": shop,
            "order_id": order_id,
            "account": self.account,
            "lane": self.lane,
            "version": self.version,
            "rank": self.rank,
            "event_id": self.event_id,
            "deleted_version": self.deleted_version,
            # More than 1 says that more than the order itself has changed, a reason to plan what is known.
            "revision": 2 if self.refunded or self.deleted_version is not None else 1,
            "plan_at": self.at if self.event_id else None,
            "fetch_at": self.at if asks else None,
            "fetch_version": self.hinted_version,
            "changed_at": self.at,
        }


def fold(batch: Iterable[Incoming]) -> list[dict[str, Any]]:
    """One row for `merge` per order, in the order in which every transaction takes its locks."""
    changes: dict[tuple[str, str], _Change] = {}
    for item in batch:
        if item.fact is None:
            continue
        blank = _Change(account=item.account, lane=item.lane, at=item.received_at)
        change = changes.setdefault((item.shop, item.fact.order_id), blank)
        change.lane = min(change.lane, item.lane)
        change.at = max(change.at, item.received_at)
        change.apply(item.fact, item.event_id)
    return [changes[key].row(*key) for key in sorted(changes)]


@cache  # building it takes a millisecond
def merge(dialect: str) -> "sqlite.Insert | postgresql.Insert":
    """Insert unknown orders and bring known ones up to date; rows that say nothing new change nothing."""
    stored = shop_order.c
    rows = bulk.given(dialect, GIVEN)
    empty: sa.ColumnClause[str] = sa.literal_column("''")
    same_for_all: dict[str, sa.ColumnElement[Any]] = {
        **dict.fromkeys(("number", "hold_code", "hold_message", "hold_fix"), empty),
        "state": sa.literal_column(f"'{OrderState.PENDING.value}'"),
        "fetch_tries": sa.literal_column("0"),
        "first_seen_at": rows.c.changed_at,
    }
    values = sa.select(*rows.c, *same_for_all.values()).where(sa.true())  # without WHERE SQLite takes ON for a join's
    upsert = insert_on(dialect, shop_order).from_select([*(column.name for column in GIVEN), *same_for_all], values)
    given = upsert.excluded
    at = given.changed_at
    newer = given.event_id.is_not(None) & (
        stored.event_id.is_(None) | (sa.tuple_(given.version, given.rank) >= sa.tuple_(stored.version, stored.rank))
    )
    replanned = (given.revision > 1) & stored.event_id.is_not(None)
    hinted = given.fetch_version.is_not(None)
    answered = newer & (stored.fetch_version.is_(None) | (given.version > stored.fetch_version))
    first_asked = given.fetch_at.is_not(None) & stored.event_id.is_(None) & stored.fetch_at.is_(None)
    due = newer | replanned
    return upsert.on_conflict_do_update(
        index_elements=["shop", "order_id"],
        set_={
            **{
                name: sa.case((newer, given[name]), else_=stored[name])
                for name in ("account", "version", "rank", "event_id")
            },
            "lane": sa.case((given.lane < stored.lane, given.lane), else_=stored.lane),
            "deleted_version": _latest(stored.deleted_version, given.deleted_version),
            "revision": stored.revision + sa.case((due, 1), else_=0),
            "plan_at": sa.case((due & (stored.plan_at.is_(None) | (stored.plan_at > at)), at), else_=stored.plan_at),
            "fetch_at": sa.case((hinted | first_asked, given.fetch_at), (answered, None), else_=stored.fetch_at),
            "fetch_version": sa.case(
                (hinted, _latest(stored.fetch_version, given.fetch_version)),
                (answered, None),
                else_=stored.fetch_version,
            ),
            "fetch_tries": sa.case((hinted | answered, 0), else_=stored.fetch_tries),
            "changed_at": at,
        },
        where=due | given.fetch_at.is_not(None) | given.deleted_version.is_not(None) | (given.lane < stored.lane),
    )


def _latest(stored: sa.ColumnElement[Any], given: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.case((stored.is_(None) | (given > stored), given), else_=stored)
