"""Which document goes out next, and what becomes of those that a killed process was sending."""

import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.domain.document import DocumentDraft, DocumentKey
from syncd.domain.states import DocumentState, Purpose
from syncd.store import orders, trail
from syncd.store.codec import load_draft
from syncd.store.engine import Database
from syncd.store.tables import attempt, document, shop_order

LIVE, BACKFILL = LANES = (0, 1)

_MARKER_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
_RECENT = 50

# A sweep passes over all dead rows in front; a tenth of a second is felt, and then sweeps are rationed.
_CHEAP_SWEEP_SECONDS = 0.05
_SWEEP_REST = 20

# Written out, not bound: the engines use a partial index only where they can read its condition in the query.
_PLANNED = document.c.state == sa.literal_column("'planned'")
_UNCERTAIN = document.c.state == sa.literal_column("'uncertain'")
_ANNULLING = document.c.state == sa.literal_column("'annulling'")
_ISSUING = document.c.state == sa.literal_column("'issuing'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A document taken for sending, or (uncertain) to be looked for.

    `attempts` counts this one, `floor` is the highest id at the service known before the first,
    `first_sent_at` when the first request for it left (now, if none has).
    """

    id: int
    key: DocumentKey
    draft: DocumentDraft
    lane: int
    marker: str
    attempts: int
    floor: str
    first_sent_at: datetime


def new_marker() -> str:
    """A short text that no other attempt carries and that nobody misreads."""
    return "".join(secrets.choice(_MARKER_LETTERS) for _ in range(12))


class Claimer:
    """Takes one account's documents one at a time: live before backfill, shops in turn, of each the longest due first.

    A document gets its date from the service when it is sent, so dates never go back, whichever is sent first. What
    the order decides is only who waits, and so a shop with thousands of documents does not make another one wait,
    even where both write in the same series.
    """

    def __init__(
        self,
        database: Database,
        account: str,
        *,
        marker: Callable[[], str] = new_marker,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._account = account
        self._marker = marker
        clock = monotonic if database.dialect == "postgresql" else None
        self._lanes = {lane: _Lane(clock) for lane in LANES}

    async def planned(self, now: datetime) -> Claimed | None:
        """Take the next due document: it is `issuing` with a new marker once this returns."""
        async with self._database.write() as conn:
            for lane in LANES:
                if found := await self._next(conn, lane, now):
                    floor = found.floor
                    if found.attempts == 1:
                        floor = await highest_provider_id(conn, self._account)
                        await conn.execute(sa.update(document).where(document.c.id == found.id).values(floor=floor))
                    await orders.refresh_state(conn, found.shop, found.order_id)
                    return await _claimed(conn, found, floor=floor, now=now)
        return None

    async def uncertain(self, now: datetime) -> Claimed | None:
        """The next document whose outcome is to be looked for now.

        Nothing is taken by that: only the account's one issuer looks, and whoever comes after it looks at once.
        """
        due = _UNCERTAIN & (document.c.run_at <= now)
        ours = due & (document.c.account == self._account) & (document.c.hold_code == "")
        async with self._database.read() as conn:
            oldest = sa.select(document).where(ours).order_by(document.c.run_at, document.c.id).limit(1)
            found = (await conn.execute(oldest)).one_or_none()
            return await _claimed(conn, found, floor=found.floor, now=now) if found else None

    async def _next(self, conn: AsyncConnection, number: int, now: datetime) -> sa.Row[Any] | None:
        lane = self._lanes[number]
        if lane.looks.are_cheap or lane.looks.are_due:
            with lane.looks.measured():
                lane.shops = [found.shop for found in await conn.execute(_shops(self._account, number))]
        for shop in lane.in_turn():
            if found := await self._of_shop(conn, number, shop, now):
                lane.served = shop
                return found
        return None

    async def _of_shop(self, conn: AsyncConnection, lane: int, shop: str, now: datetime) -> sa.Row[Any] | None:
        bound = self._lanes[lane].bounds[shop]
        low = None if bound.sweeps.are_due else bound.low
        found = await self._take(conn, (lane, shop), now, low)
        if found is None and low is not None and bound.sweeps.are_cheap:
            low = None
            found = await self._take(conn, (lane, shop), now, low)
        if found is not None or low is None:
            bound.low = found.run_at if found else now
        return found

    async def _take(
        self, conn: AsyncConnection, place: tuple[int, str], now: datetime, low: datetime | None
    ) -> sa.Row[Any] | None:
        lane, shop = place
        taken = claim(conn.dialect.name, (self._account, *place), now, low)
        changes = {"state": DocumentState.ISSUING.value, "marker": self._marker(), "changed_at": now}
        statement = taken.values(**changes, attempts=document.c.attempts + 1).returning(*_CLAIMED)
        if low is not None:
            return (await conn.execute(statement)).one_or_none()
        with self._lanes[lane].bounds[shop].sweeps.measured():
            return (await conn.execute(statement)).one_or_none()


class _Sweeps:
    """How often to look at everything: as often as that costs a twentieth of the time; always without a clock."""

    def __init__(self, clock: Callable[[], float] | None) -> None:
        self._clock = clock or (lambda: 0.0)
        self._seconds = 0.0
        self._next_at = 0.0

    @property
    def are_due(self) -> bool:
        return self._clock() >= self._next_at

    @property
    def are_cheap(self) -> bool:
        return self._seconds < _CHEAP_SWEEP_SECONDS

    @contextmanager
    def measured(self) -> Iterator[None]:
        started = self._clock()
        yield
        self._seconds = self._clock() - started
        self._next_at = self._clock() + _SWEEP_REST * self._seconds


class _Bound:
    """From where on a claim looks at a shop's documents.

    On Postgres claimed rows stay in the index until nobody's snapshot can see them, and every claim from the front
    would walk over all of them. So a claim starts where the last one found something, and looks from the front (for
    documents that are older, but came later) only now and then.
    """

    def __init__(self, clock: Callable[[], float] | None) -> None:
        self.low: datetime | None = None  # nothing due is known before this
        self.sweeps = _Sweeps(clock)


class _Lane:
    """Whose turn it is among the shops that have documents in a lane."""

    def __init__(self, clock: Callable[[], float] | None) -> None:
        self.looks = _Sweeps(clock)
        self.shops: list[str] = []
        self.bounds: defaultdict[str, _Bound] = defaultdict(lambda: _Bound(clock))
        self.served = ""

    def in_turn(self) -> list[str]:
        """Round by name, beginning behind the shop that was served last."""
        return sorted(self.shops, key=lambda shop: (shop <= self.served, shop))


_CLAIMED = (
    document.c.id,
    document.c.account,
    document.c.shop,
    document.c.order_id,
    document.c.kind,
    document.c.part,
    document.c.draft,
    document.c.lane,
    document.c.run_at,
    document.c.marker,
    document.c.attempts,
    document.c.floor,
)


def _shops(account: str, lane: int) -> sa.Select[tuple[str]]:
    """The shops that have planned documents in a lane: one leap through the index for each, however many they have."""
    row = document.c
    first = sa.select(sa.func.min(row.shop)).where(row.account == account, row.lane == lane, _PLANNED)
    found = first.correlate(None).scalar_subquery()
    leaps = sa.select(found.label("shop")).cte("shops", recursive=True)
    following = first.where(row.shop > leaps.c.shop).correlate(leaps).scalar_subquery()
    leaps = leaps.union_all(sa.select(following).where(leaps.c.shop.is_not(None)))
    return sa.select(leaps.c.shop).where(leaps.c.shop.is_not(None))


def claim(dialect: str, place: tuple[str, int, str], now: datetime, low: datetime | None) -> sa.Update:
    """UPDATE of the document that is next in an account's lane for a shop.

    On Postgres what others hold (or plan at the moment) is passed over.
    """
    row = document.c
    account, lane, shop = place
    query = sa.select(row.id).where(row.account == account, row.lane == lane, row.shop == shop)
    query = query.where(_PLANNED, row.run_at <= now).order_by(row.run_at, row.id).limit(1)
    if low is not None:
        query = query.where(row.run_at >= low)
    if dialect == "sqlite":
        return sa.update(document).where(row.id == query.correlate(None).scalar_subquery())
    # The order's row is taken as well, as everywhere before its documents; claiming must not wait for a plan.
    own = (shop_order.c.shop == row.shop) & (shop_order.c.order_id == row.order_id)
    picked = (
        query.select_from(document.join(shop_order, own))
        .with_for_update(skip_locked=True, key_share=True, of=[document, shop_order])
        .cte("picked")
    )
    return sa.update(document).where(row.id == picked.c.id)


async def stranded(
    conn: AsyncConnection, account: str, *, now: datetime, settle: timedelta
) -> list[tuple[str, DocumentState]]:
    """Documents that a process was sending when it died: uncertain if a request had been written down, else due again.

    Only for the account's one issuer, before it sends anything. Returns keys and their new states.
    """
    issuing = sa.select(document).where(document.c.account == account, _ISSUING)
    found = (await conn.execute(issuing)).all()
    await orders.lock_all(conn, ((row.shop, row.order_id) for row in found))
    changed = []
    for row in found:
        sent = sa.select(attempt.c.id).where(
            attempt.c.document_id == row.id, attempt.c.marker == row.marker, attempt.c.purpose == Purpose.ISSUE.value
        )
        left = (await conn.execute(sent.limit(1))).one_or_none() is not None
        state, run_at = (DocumentState.UNCERTAIN, now + settle) if left else (DocumentState.PLANNED, row.run_at)
        back = sa.update(document).where(document.c.id == row.id, _ISSUING)
        await conn.execute(back.values(state=state.value, run_at=run_at, changed_at=now))
        await orders.refresh_state(conn, row.shop, row.order_id)
        await trail.write(
            conn,
            at=now,
            shop=row.shop,
            order_id=row.order_id,
            document_key=row.key,
            actor="syncd",
            action="taken_over",
            detail={"marker": row.marker, "state": state.value},
        )
        changed.append((row.key, state))
    return changed


async def wait_anew(conn: AsyncConnection, account: str, *, now: datetime, settle: timedelta) -> None:
    """The clock was set: unknown outcomes rest for a whole settle time again, and what waits for another try is due."""
    resting = sa.update(document).where(document.c.account == account, _UNCERTAIN)
    await conn.execute(resting.values(run_at=now + settle))
    again = sa.update(document).where(document.c.account == account, _PLANNED, document.c.attempts > 0)
    await conn.execute(again.where(document.c.run_at > now).values(run_at=now))
    annulling = sa.update(document).where(document.c.account == account, _ANNULLING, document.c.run_at > now)
    await conn.execute(annulling.values(run_at=now))


async def live_due(conn: AsyncConnection, account: str, now: datetime) -> bool:
    """Whether a document that no backfill has brought waits to be sent, or any to be looked for."""
    row = document.c
    own = (row.account == account) & (row.run_at <= now)
    sent = sa.select(row.id).where(own, _PLANNED, row.lane == LIVE)
    unknown = sa.select(row.id).where(own, _UNCERTAIN, row.hold_code == "")
    return bool((await conn.execute(sa.select(sa.exists(sent) | sa.exists(unknown)))).scalar_one())


async def highest_provider_id(conn: AsyncConnection, account: str) -> str:
    """The highest id at the service among the documents issued last, "" if there is none; longer texts are higher."""
    query = (
        sa.select(document.c.provider_id)
        .where(document.c.account == account, document.c.issued_at.is_not(None))
        .order_by(document.c.issued_at.desc())
        .limit(_RECENT)
    )
    return max((await conn.execute(query)).scalars(), key=lambda known: (len(known), known), default="")


async def _claimed(conn: AsyncConnection, row: sa.Row[Any], *, floor: str, now: datetime) -> Claimed:
    sent = sa.select(sa.func.min(attempt.c.sent_at)).where(attempt.c.document_id == row.id)
    draft = load_draft(row.draft)
    return Claimed(
        id=row.id,
        key=draft.key,
        draft=draft,
        lane=row.lane,
        marker=row.marker,
        attempts=row.attempts,
        floor=floor,
        first_sent_at=(await conn.execute(sent)).scalar_one() or now,
    )
