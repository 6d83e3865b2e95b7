"""Orders whose state has changed: read, plan, write the ledger's rows; one transaction each."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.domain.document import DocumentDraft
from syncd.domain.errors import PayloadError
from syncd.domain.hold import Hold
from syncd.domain.order import Order
from syncd.domain.states import UNSENT, OrderState
from syncd.mapping.known import KnownDocument
from syncd.mapping.planner import Plan, plan
from syncd.mapping.policy import Policy
from syncd.shops.port import Shop
from syncd.store import documents, orders, trail
from syncd.store.engine import Database, StoreUnavailableError
from syncd.store.orders import OrderRow

log = structlog.get_logger()

BATCH = 64
IDLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everything that turns one shop's orders into plans."""

    shop: Shop
    policy: Policy


class Reconciler:
    """Brings the ledger's documents in line with what each changed order asks for."""

    def __init__(
        self,
        database: Database,
        desks: Mapping[str, Desk],
        *,
        work: asyncio.Event,
        planned: Callable[[str], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._desks = desks
        self._work = work
        self._planned = planned
        self._now = now

    async def run(self, stop: asyncio.Event) -> None:
        """Until stopped: plan what is due, then wait for news or a second."""
        while not stop.is_set():
            self._work.clear()
            try:
                busy = await self.work_off(stop)
            except StoreUnavailableError as error:
                log.warning("reconciler.store_unavailable", error=str(error))
                busy = False
            if not busy:
                try:
                    await asyncio.wait_for(self._work.wait(), IDLE_SECONDS)
                except TimeoutError:
                    continue

    async def work_off(self, stop: asyncio.Event | None = None) -> bool:
        """Plan every order that is due now; True if there was any."""
        async with self._database.read() as connection:
            due = await orders.due(connection, self._now(), BATCH)
        for shop, order_id in due:
            if stop is not None and stop.is_set():
                break
            await self.reconcile(shop, order_id)
        return bool(due)

    async def reconcile(self, shop: str, order_id: str) -> None:
        """Plan one order. What cannot be read or decided holds it; nothing is lost and the rest goes on."""
        async with self._database.write() as connection:
            row = await orders.lock(connection, shop, order_id)
            if row is None or row.plan_at is None:  # another process has planned it meanwhile
                return
            accounts = await self._plan(connection, row)
        for account in accounts:
            self._planned(account)

    async def _plan(self, connection: AsyncConnection, row: OrderRow) -> set[str]:
        now = self._now()
        decision = row.decision or {}
        known = await documents.known(connection, row.shop, row.order_id)
        order, made = await self._decide(connection, row, known, decision)
        wanted = {str(draft.key) for draft in made.documents}
        stale = [d.key for d in known if d.state in UNSENT and str(d.key) not in wanted]
        await documents.withdraw(connection, stale, now=now)
        await documents.put(connection, made.documents, lane=row.lane, now=now)
        state = OrderState.SKIPPED if decision.get("action") == "skip" else OrderState.PENDING
        hold = made.holds[0] if made.holds else None
        await orders.planned(
            connection, row, state=state, number=order.number if order else row.number, hold=hold, now=now
        )
        if any(hold.code == "refund_details_missing" for hold in made.holds) and self._desks[row.shop].shop.can_ask:
            await orders.ask(connection, row.shop, row.order_id, now=now)
        await orders.refresh_state(connection, row.shop, row.order_id)
        if made.documents or made.holds or stale:
            await trail.write(
                connection,
                at=now,
                shop=row.shop,
                order_id=row.order_id,
                actor="syncd",
                action="planned",
                detail=_summary(made.documents, made),
            )
            log.info(
                "order.planned",
                shop=row.shop,
                order=row.order_id,
                documents=[draft.kind.value for draft in made.documents],
                hold=hold.code if hold else None,
            )
        return {draft.key.account for draft in made.documents}

    async def _decide(
        self,
        connection: AsyncConnection,
        row: OrderRow,
        known: tuple[KnownDocument, ...],
        decision: Mapping[str, object],
    ) -> tuple[Order | None, Plan]:
        if decision.get("action") == "skip":
            return None, Plan(reason="skipped by a person")
        desk = self._desks.get(row.shop)
        if desk is None:
            return None, _held("unknown_shop", f"no shop {row.shop!r} is configured", "put it back into the settings")
        facts = await orders.facts(connection, row)
        if facts is None:
            return None, _held(
                "order_unknown",
                "the shop has told that this order changed, but not what it is",
                "give the shop's API keys in the settings so that syncd can ask for it",
            )
        accepted = decision.get("accepted")
        codes = frozenset(str(code) for code in accepted) if isinstance(accepted, list) else frozenset()
        try:
            order = desk.shop.read(facts)
            return order, plan(order, known, desk.policy, codes)
        except PayloadError as error:
            return None, _held("order_unreadable", str(error), error.fix or "look at the order in the shop")
        except Exception as error:
            # A defect of ours must neither lose this order nor stop the others: a person sees it, with its trace.
            log.exception("order.plan_failed", shop=row.shop, order=row.order_id)
            return None, _held(
                "internal_error",
                f"planning failed: {type(error).__name__}",
                "report it with the log entry order.plan_failed",
            )


def _held(code: str, message: str, fix: str) -> Plan:
    return Plan(holds=(Hold(code=code, message=message, fix=fix),))


def _summary(drafts: tuple[DocumentDraft, ...], made: Plan) -> dict[str, object]:
    return {
        "documents": [{"key": str(draft.key), "gross": str(draft.totals.gross)} for draft in drafts],
        "holds": [{"code": hold.code, "message": hold.message} for hold in made.holds],
        "reason": made.reason,
    }
