"""The state of affairs in one look: what the first page shows. Every figure comes off an index."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from syncd.domain.alert import Alert
from syncd.domain.hold import Hold
from syncd.domain.states import DocumentState, OrderState
from syncd.store import accounts, alerts, attempts, deadlines, documents, orders
from syncd.store.engine import Database
from syncd.web.issuers import issuers

MINUTE = timedelta(minutes=1)
MOST_HELD = 1_000  # orders that are counted by reason


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """One account: who issues for it, what stops it, how much of its minute is spent, what waits."""

    name: str
    issuer: str  # "" where there is one process and no question
    paused: Hold | None
    spent: int
    limit: int
    queue: Mapping[DocumentState, int]
    deadline: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldView:
    """How many orders of a shop wait for a person, and for what."""

    shop: str
    code: str
    orders: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything on the first page; `queue_seconds` is how long the oldest due document has waited."""

    orders: Mapping[OrderState, int]
    held: Sequence[HeldView]
    alerts: Sequence[Alert]
    accounts: Sequence[AccountView]
    queue_seconds: float


async def overview(database: Database, limits: Mapping[str, int], *, me: str, now: datetime) -> Overview:
    """Read it; `limits` are the accounts' requests a minute, `me` as a lease names its owner."""
    async with database.read() as connection:
        paused = await accounts.all_paused(connection)
        issuing = await issuers(connection, limits, me=me)
        queue = await documents.queue(connection)
        held = await orders.held(connection, MOST_HELD)
        return Overview(
            orders=await orders.counts(connection),
            held=[HeldView(shop=shop, code=code, orders=count) for (shop, code), count in sorted(held.items())],
            alerts=await alerts.open_alerts(connection),
            accounts=[
                AccountView(
                    name=name,
                    issuer=issuing.get(name, ""),
                    paused=paused.get(name),
                    spent=len(await attempts.recent(connection, name, now - MINUTE)),
                    limit=limit,
                    queue=queue.get(name, {}),
                    deadline=await deadlines.nearest(connection, name),
                )
                for name, limit in sorted(limits.items())
            ],
            queue_seconds=await documents.queue_age(connection, now),
        )
