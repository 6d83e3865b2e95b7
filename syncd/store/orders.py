"""The newest known state of each order, and what is to be done about it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.domain.facts import FactKind, OrderFacts
from syncd.domain.hold import Hold
from syncd.domain.states import DocumentState, OrderState
from syncd.store.tables import document, event, shop_order
from syncd.store.types import hold_columns, hold_of

_ON_THE_WAY = frozenset({DocumentState.ISSUING, DocumentState.UNCERTAIN, DocumentState.ANNULLING})
_TO_COME = frozenset({DocumentState.PLANNED, DocumentState.WAITING})
_ASKED_ENOUGH = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """An order as the ledger has it. `event_id` is None while only refunds, hints or a deletion are known of it."""

    id: int
    shop: str
    order_id: str
    account: str
    number: str
    state: OrderState
    lane: int
    version: int
    event_id: str | None
    deleted: bool
    revision: int
    plan_at: datetime | None
    fetch_at: datetime | None
    fetch_tries: int
    hold: Hold | None
    decision: Mapping[str, Any] | None
    first_seen_at: datetime
    changed_at: datetime
    planned_at: datetime | None
    awaits: str | None
    deadline_at: datetime | None
    trail_seq: int

    @classmethod
    def of(cls, row: sa.Row[Any]) -> Self:
        values = row._mapping  # noqa: SLF001 - public in spite of its name
        return cls(
            state=OrderState(row.state),
            deleted=row.deleted_version is not None and row.deleted_version >= row.version,
            hold=hold_of(row),
            **{name: values[name] for name in _PLAIN},
        )

    @property
    def skipped(self) -> bool:
        """Whether a person decided that nothing (more) is issued."""
        return (self.decision or {}).get("action") == "skip"

    @property
    def accepted(self) -> frozenset[str]:
        """The codes of the holds that a person has released."""
        return frozenset((self.decision or {}).get("accepted", ()))

    @property
    def annul_reason(self) -> str:
        """Why a person wants its documents annulled, as long as that is the last decision."""
        decision = self.decision or {}
        return str(decision.get("reason", "")) if decision.get("action") == "annul" else ""

    @property
    def retried_at(self) -> datetime | None:
        """When a person last wanted another look, which is for a register that said no as well."""
        decision = self.decision or {}
        return datetime.fromisoformat(decision["at"]) if decision.get("action") == "retry" else None


_PLAIN = tuple(name for name in OrderRow.__slots__ if name not in {"state", "deleted", "hold"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchDue:
    """An order that the shop is to be asked for; `fetch_at` says which wish this is, should another come meanwhile."""

    shop: str
    order_id: str
    account: str
    lane: int
    fetch_at: datetime
    tries: int


async def due(
    conn: AsyncConnection, now: datetime, limit: int, after: tuple[str, str] | None = None
) -> list[tuple[str, str]]:
    """(shop, order id) of orders to be planned: live before backfill, the longest waiting first.

    With `after`, only what comes behind that order, as long as it is due itself: a pass can go on past one that fails.
    """
    row = shop_order.c
    query = (
        sa.select(row.shop, row.order_id)
        .where(row.plan_at.is_not(None), row.plan_at <= now)
        .order_by(row.lane, row.plan_at, row.id)
        .limit(limit)
    )
    if after is not None:
        last = (await conn.execute(sa.select(row.lane, row.plan_at, row.id).where(_is(*after)))).one_or_none()
        if last is not None and last.plan_at is not None:
            query = query.where(sa.tuple_(row.lane, row.plan_at, row.id) > tuple(last))
    return [(found.shop, found.order_id) for found in await conn.execute(query)]


async def get(conn: AsyncConnection, shop: str, order_id: str) -> OrderRow | None:
    found = (await conn.execute(sa.select(shop_order).where(_is(shop, order_id)))).one_or_none()
    return OrderRow.of(found) if found else None


async def lock(conn: AsyncConnection, shop: str, order_id: str) -> OrderRow | None:
    """The order, which nobody else changes until this transaction ends."""
    query = sa.select(shop_order).where(_is(shop, order_id)).with_for_update(key_share=True)
    found = (await conn.execute(query)).one_or_none()
    return OrderRow.of(found) if found else None


async def lock_all(conn: AsyncConnection, orders: Iterable[tuple[str, str]]) -> None:
    """Lock orders before their documents, in one order for all: whoever follows this never meets a deadlock."""
    if conn.dialect.name == "sqlite":
        return  # a writer is alone there
    for shop, order_id in sorted(set(orders)):
        await conn.execute(sa.select(shop_order.c.id).where(_is(shop, order_id)).with_for_update(key_share=True))


async def facts(conn: AsyncConnection, row: OrderRow) -> OrderFacts | None:
    """What the shop said of this order; None while the order itself is not known."""
    if row.event_id is None:
        return None
    order = (await conn.execute(sa.select(event.c.payload).where(event.c.id == row.event_id))).scalar_one()
    refunds = (
        sa.select(event.c.id, event.c.part, event.c.payload)
        .where(event.c.shop == row.shop, event.c.order_id == row.order_id, event.c.kind == FactKind.REFUND.value)
        .order_by(event.c.version, event.c.rank, event.c.id)
    )
    newest = {found.part: found for found in await conn.execute(refunds)}
    details = [newest[part] for part in sorted(newest)]
    return OrderFacts(
        order=order,
        refunds=tuple(detail.payload for detail in details),
        deleted=row.deleted,
        events=(row.event_id, *(detail.id for detail in details)),
    )


async def newest(conn: AsyncConnection, shop: str, limit: int) -> list[bytes]:
    """What a shop said of the orders that came in last."""
    told = sa.select(event.c.payload).join(shop_order, shop_order.c.event_id == event.c.id)
    return list(
        (
            await conn.execute(told.where(shop_order.c.shop == shop).order_by(shop_order.c.id.desc()).limit(limit))
        ).scalars()
    )


async def planned(
    conn: AsyncConnection,
    row: OrderRow,
    *,
    state: OrderState,
    number: str,
    hold: Hold | None,
    now: datetime,
    awaits: str | None = None,
    deadline_at: datetime | None = None,
) -> bool:
    """Store what planning this row came to; False if the order changed since it was read and stays due.

    `awaits` is the key of the inquiry whose answer it needs; `deadline_at` is that of what a waiting order would become.
    """
    current = shop_order.c.revision == row.revision
    values = {
        "state": state.value,
        "number": number,
        "planned_at": now,
        "awaits": awaits,
        "deadline_at": deadline_at,
        **hold_columns(hold),
    }
    await conn.execute(
        sa.update(shop_order)
        .where(_is(row.shop, row.order_id))
        .values(**values, plan_at=sa.case((current, None), else_=shop_order.c.plan_at))
    )
    unchanged = sa.select(current).where(_is(row.shop, row.order_id))
    return bool((await conn.execute(unchanged)).scalar_one())


async def postpone(conn: AsyncConnection, row: OrderRow, until: datetime) -> None:
    """Plan this order later, because planning it failed; news of it brings it forward again."""
    unchanged = _is(row.shop, row.order_id) & (shop_order.c.revision == row.revision)
    await conn.execute(sa.update(shop_order).where(unchanged).values(plan_at=until))


async def replan(conn: AsyncConnection, shop: str, order_id: str, *, now: datetime | None = None) -> bool:
    """Have the order planned again, ahead of any backfill; False if it is not known."""
    at = now or datetime.now(UTC)
    changes = {"revision": shop_order.c.revision + 1, "plan_at": at, "lane": 0, "changed_at": at}
    return (await conn.execute(sa.update(shop_order).where(_is(shop, order_id)).values(**changes))).rowcount > 0


async def replan_unsent(conn: AsyncConnection, account: str, *, now: datetime) -> None:
    """Have every order of an account planned again that has a document which has certainly not been sent."""
    row = shop_order.c
    unsent = document.c.state.in_(sorted({*_TO_COME, DocumentState.HELD})) & (document.c.account == account)
    own = (document.c.shop == row.shop) & (document.c.order_id == row.order_id) & unsent
    concerned = sa.exists().where(own)
    if conn.dialect.name == "postgresql":
        # In the sequence of `lock_all`, which goes by code points.
        query = sa.select(row.id).where(concerned).order_by(row.shop.collate("C"), row.order_id.collate("C"))
        await conn.execute(query.with_for_update(key_share=True))
    changes = {"revision": row.revision + 1, "plan_at": now, "changed_at": now}
    await conn.execute(sa.update(shop_order).where(concerned).values(**changes))


async def decide(
    conn: AsyncConnection,
    shop: str,
    order_id: str,
    decision: Mapping[str, Any] | None,
    *,
    now: datetime | None = None,
) -> bool:
    """Keep what the operator decided (None takes it back) and plan again; False if the order is not known."""
    kept = None if decision is None else dict(decision)
    await conn.execute(sa.update(shop_order).where(_is(shop, order_id)).values(decision=kept))
    return await replan(conn, shop, order_id, now=now)


async def ask(conn: AsyncConnection, shop: str, order_id: str, *, now: datetime) -> None:
    """Have the shop asked for this order, unless that is wished already."""
    wanted = sa.update(shop_order).where(_is(shop, order_id), shop_order.c.fetch_at.is_(None))
    await conn.execute(wanted.values(fetch_at=now, fetch_tries=0))


async def fetch_due(conn: AsyncConnection, now: datetime, limit: int) -> list[FetchDue]:
    """Orders that a shop is to be asked for: live before backfill, the longest waiting first."""
    row = shop_order.c
    query = (
        sa.select(row.shop, row.order_id, row.account, row.lane, row.fetch_at, row.fetch_tries.label("tries"))
        .where(row.fetch_at.is_not(None), row.fetch_at <= now)
        .order_by(row.lane, row.fetch_at)
        .limit(limit)
    )
    return [FetchDue(**found._mapping) for found in await conn.execute(query)]  # noqa: SLF001 - public in spite of its name


async def fetched(conn: AsyncConnection, wish: FetchDue) -> None:
    """The shop was asked and its answer accepted; a wish that came meanwhile stays."""
    done = sa.update(shop_order).where(_is(wish.shop, wish.order_id), shop_order.c.fetch_at == wish.fetch_at)
    await conn.execute(done.values(fetch_at=None, fetch_version=None, fetch_tries=0))


async def fetch_failed(conn: AsyncConnection, wish: FetchDue, retry_at: datetime) -> None:
    """The shop gave no useful answer: ask again then; a wish that came meanwhile stays."""
    later = sa.update(shop_order).where(_is(wish.shop, wish.order_id), shop_order.c.fetch_at == wish.fetch_at)
    await conn.execute(later.values(fetch_at=retry_at, fetch_tries=shop_order.c.fetch_tries + 1))


async def bring_forward(conn: AsyncConnection, now: datetime) -> None:
    """The clock was set back: what was to be planned or asked for later than now is due now."""
    for due in (shop_order.c.plan_at, shop_order.c.fetch_at):
        await conn.execute(sa.update(shop_order).where(due.is_not(None), due > now).values({due.name: now}))


async def counts(conn: AsyncConnection) -> dict[OrderState, int]:
    """How many orders stand in each state; every state is named."""
    query = sa.select(shop_order.c.state, sa.func.count()).group_by(shop_order.c.state)
    return dict.fromkeys(OrderState, 0) | {OrderState(state): count for state, count in await conn.execute(query)}


async def held(conn: AsyncConnection, limit: int) -> dict[tuple[str, str], int]:
    """How many held orders, of at most `limit`, wait for a person, by shop and the hold's code.

    Those whose shop is being asked are left out until it has failed to answer for a while.
    """
    own = (document.c.shop == shop_order.c.shop) & (document.c.order_id == shop_order.c.order_id)
    of_document = sa.select(sa.func.min(document.c.hold_code)).where(own, document.c.hold_code != "").scalar_subquery()
    code = sa.case((shop_order.c.hold_code != "", shop_order.c.hold_code), else_=of_document)
    waiting = (
        sa.select(shop_order.c.shop, sa.func.coalesce(code, "").label("code"))
        .where(shop_order.c.state == OrderState.HELD.value)
        .where(shop_order.c.fetch_at.is_(None) | (shop_order.c.fetch_tries >= _ASKED_ENOUGH))
        .limit(limit)
        .subquery()
    )
    query = sa.select(waiting.c.shop, waiting.c.code, sa.func.count()).group_by(waiting.c.shop, waiting.c.code)
    return {(shop, code): count for shop, code, count in await conn.execute(query)}


async def refresh_state(conn: AsyncConnection, shop: str, order_id: str) -> OrderState | None:
    """Bring an order's state in line with its documents, unless a person decided to skip it.

    Lock the order before its documents: call this first of all, or after functions that do so.
    """
    row = await lock(conn, shop, order_id)
    if row is None or row.state is OrderState.SKIPPED:
        return row.state if row else None
    own = (document.c.shop == shop) & (document.c.order_id == order_id)
    found = (await conn.execute(sa.select(document.c.state, document.c.hold_code).where(own))).all()
    # An issued document can have a hold as well, if it is not what was planned, and so can an uncertain one.
    held = row.hold is not None or any(each.hold_code for each in found)
    state = state_of((DocumentState(each.state) for each in found), held=held)
    if state is not row.state:
        await conn.execute(sa.update(shop_order).where(_is(shop, order_id)).values(state=state.value))
    return state


def state_of(documents: Iterable[DocumentState], *, held: bool) -> OrderState:
    """An order's state by those of its documents; what needs a person comes first."""
    states = frozenset(documents) - {DocumentState.WITHDRAWN, DocumentState.ANNULLED}
    if held or DocumentState.HELD in states:
        return OrderState.HELD
    if states & _ON_THE_WAY:
        return OrderState.ISSUING
    if states & _TO_COME:
        return OrderState.PLANNED
    return OrderState.ISSUED if states else OrderState.PENDING


def _is(shop: str, order_id: str) -> sa.ColumnElement[bool]:
    return (shop_order.c.shop == shop) & (shop_order.c.order_id == order_id)
