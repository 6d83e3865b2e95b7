"""Orders whose state has changed: read, plan, write the ledger's rows; one transaction each."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd import __version__
from syncd.domain.clock import UNMOVED, WallClock
from syncd.domain.document import DocumentDraft
from syncd.domain.errors import PayloadError
from syncd.domain.facts import OrderFacts
from syncd.domain.hold import Hold
from syncd.domain.order import Order
from syncd.domain.registers import NO_EVIDENCE, Evidence, Need, Register
from syncd.domain.states import UNSENT, OrderState
from syncd.mapping.deadlines import deadline_of_held
from syncd.mapping.known import KnownDocument
from syncd.mapping.planner import Plan, plan
from syncd.mapping.policy import Policy, fingerprint
from syncd.mapping.report import evidence_json, exchange_json
from syncd.shops.port import Shop
from syncd.store import annulments, documents, orders, profiles, registers, trail
from syncd.store.engine import Database, StoreUnavailableError
from syncd.store.orders import OrderRow

log = structlog.get_logger()

BATCH = 64
IDLE_SECONDS = 1.0
MOST_NEEDS = 4  # of one order; an answer that raises its own question again must not go round for ever


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everything that turns one shop's orders into plans."""

    shop: Shop
    policy: Policy

    async def informed(self, connection: AsyncConnection) -> "Desk":
        """The same desk for its account as that was seen to work."""
        return replace(self, policy=self.policy.as_seen(await profiles.of(connection, self.policy.account)))

    async def decide(
        self,
        connection: AsyncConnection,
        facts: OrderFacts,
        known: Sequence[KnownDocument],
        accepted: frozenset[str],
        *,
        asked_again_at: datetime | None = None,
    ) -> tuple[Order | None, Plan, Evidence]:
        """Read and plan, with what the ledger knows of public registers. What cannot be read or decided is a hold."""
        try:
            order = self.shop.read(facts)
            made = plan(order, known, self.policy, accepted)
            evidence = NO_EVIDENCE
            for _ in range(MOST_NEEDS if made.needs else 0):
                found = await registers.evidence_for(connection, made.needs, asked_again_at=asked_again_at)
                if not found:
                    break
                evidence |= found
                made = plan(order, known, self.policy, accepted, evidence)
        except PayloadError as error:
            return _held("order_unreadable", str(error), error.fix or "look at the order in the shop")
        except Exception as error:
            # A defect of ours must neither lose this order nor stop the others: a person sees it, with its trace.
            log.exception("order.plan_failed", account=self.policy.account, events=facts.events)
            return _held(
                "internal_error",
                f"planning failed: {type(error).__name__}",
                "report it with the log entry order.plan_failed",
            )
        return order, made, evidence


class Reconciler:
    """Brings the ledger's documents in line with what each changed order asks for.

    What planning needs of a public register is asked if it is among `registers`; until then the order waits, and
    `asked` says that there is a new question. Without that register the plan's hold stands.
    """

    def __init__(
        self,
        database: Database,
        desks: Mapping[str, Desk],
        *,
        work: asyncio.Event,
        planned: Callable[[str], None],
        registers: frozenset[Register] = frozenset(),
        asked: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = lambda: time.monotonic(),  # noqa: PLW0108 - looked up late: it can be simulated
    ) -> None:
        self._database = database
        self._desks = desks
        self._work = work
        self._planned = planned
        self._registers = registers
        self._asked = asked
        self._now = now
        self._wall = WallClock(now, monotonic)
        self._set_back = False  # and not yet made good

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
        """Plan what is due now, until there is news, which may go before the rest; True if anything was due."""
        self._set_back = self._set_back or self._wall.leap() < UNMOVED
        if self._set_back:
            async with self._database.write() as connection:
                await orders.bring_forward(connection, self._now())
            self._set_back = False
        async with self._database.read() as connection:
            due = await orders.due(connection, self._now(), BATCH)
        for shop, order_id in due:
            await self.reconcile(shop, order_id)
            if self._work.is_set() or (stop is not None and stop.is_set()):
                break
        return bool(due)

    async def reconcile(self, shop: str, order_id: str) -> None:
        """Plan one order. What cannot be read or decided holds it; nothing is lost and the rest goes on."""
        async with self._database.write() as connection:
            row = await orders.lock(connection, shop, order_id)
            if row is None or row.plan_at is None:  # another process has planned it meanwhile
                return
            accounts, need = await self._plan(connection, row)
        for account in accounts:
            self._planned(account)
        if need is not None:
            self._asked()

    async def _plan(self, connection: AsyncConnection, row: OrderRow) -> tuple[set[str], Need | None]:
        now = self._now()
        known = await documents.known(connection, row.shop, row.order_id)
        facts = await orders.facts(connection, row)
        order, made, evidence = await self._decide(connection, row, facts, known)
        made = _in_their_words(made, row)
        wanted = {str(draft.key) for draft in made.documents}
        stale = [d.key for d in known if d.state in UNSENT and str(d.key) not in wanted]
        await documents.withdraw(connection, stale, now=now)
        await documents.put(connection, made.documents, lane=row.lane, now=now)
        await annulments.want(connection, made.annulments, now=now)
        state = OrderState.SKIPPED if row.skipped else OrderState.PENDING
        need = next((each for each in made.needs if each.register in self._registers), None)
        if need is not None:
            await registers.ask(connection, need, now=now)
        hold = made.holds[0] if made.holds and need is None else None
        await orders.planned(
            connection,
            row,
            state=state,
            number=order.number if order else row.number,
            hold=hold,
            awaits=need.key if need else None,
            now=now,
            deadline_at=self._deadline(row, order, known) if hold or need else None,
        )
        if any(hold.code == "refund_details_missing" for hold in made.holds) and self._desks[row.shop].shop.can_ask:
            await orders.ask(connection, row.shop, row.order_id, now=now)
        await orders.refresh_state(connection, row.shop, row.order_id)
        if made.documents or made.annulments or made.holds or made.decided or stale:
            await trail.write(
                connection,
                at=now,
                shop=row.shop,
                order_id=row.order_id,
                actor="syncd",
                action=trail.PLANNED if need is None else trail.WAITING,
                detail={
                    **_summary(made, evidence, need),
                    "basis": self._basis(row, facts),
                    "events": await trail.new_events(connection, row.shop, row.order_id, seq=row.trail_seq),
                },
            )
            log.info(
                "order.planned",
                shop=row.shop,
                order=row.order_id,
                documents=[draft.kind.value for draft in made.documents],
                annulments=len(made.annulments),
                hold=hold.code if hold else None,
                awaits=need.register.value if need else None,
            )
        accounts = {draft.key.account for draft in made.documents} | {each.key.account for each in made.annulments}
        return accounts, need

    def _deadline(self, row: OrderRow, order: Order | None, known: tuple[KnownDocument, ...]) -> datetime | None:
        """Until when a waiting order should have become a document; None where nobody can tell what it is."""
        return deadline_of_held(order, known, self._desks[row.shop].policy).ends_at if order else None

    async def _decide(
        self,
        connection: AsyncConnection,
        row: OrderRow,
        facts: OrderFacts | None,
        known: Sequence[KnownDocument],
    ) -> tuple[Order | None, Plan, Evidence]:
        if row.skipped:
            return None, Plan(reason="skipped by a person"), NO_EVIDENCE
        desk = self._desks.get(row.shop)
        if desk is None:
            return _held("unknown_shop", f"no shop {row.shop!r} is configured", "put it back into the settings")
        if facts is None:
            return _held(
                "order_unknown",
                "the shop has told that this order changed, but not what it is",
                "give the shop's API keys in the settings so that syncd can ask for it",
            )
        desk = await desk.informed(connection)
        return await desk.decide(connection, facts, known, row.accepted, asked_again_at=row.retried_at)

    def _basis(self, row: OrderRow, facts: OrderFacts | None) -> dict[str, object]:
        """What a plan was made from, so that it can be made again: see `syncd replay`."""
        desk = self._desks.get(row.shop)
        return {
            "events": facts.events if facts else (),
            "deleted": row.deleted,
            "accepted": sorted(row.accepted),
            "policy": fingerprint(desk.policy) if desk else "",
            "version": __version__,
        }


def _held(code: str, message: str, fix: str) -> tuple[None, Plan, Evidence]:
    return None, Plan(holds=(Hold(code=code, message=message, fix=fix),)), NO_EVIDENCE


def _in_their_words(made: Plan, row: OrderRow) -> Plan:
    """With the reason that a person gave for annulling, who has said so of this very order."""
    if not row.annul_reason:
        return made
    return replace(made, annulments=tuple(replace(each, reason=row.annul_reason) for each in made.annulments))


def _draft_summary(draft: DocumentDraft) -> dict[str, object]:
    said: dict[str, object] = {"key": str(draft.key), "gross": str(draft.totals.gross)}
    said["draft"] = trail.draft_print(draft)
    return {**said, "exchange": exchange_json(draft.exchange)} if draft.exchange else said


def _summary(made: Plan, evidence: Evidence, need: Need | None) -> dict[str, object]:
    holds = [{"code": hold.code, "message": hold.message} for hold in made.holds]
    said: dict[str, object] = {
        "documents": [_draft_summary(draft) for draft in made.documents],
        "holds": holds if need is None else [],
        "reason": made.reason,
    }
    if made.annulments:
        said["annulments"] = [{"key": str(each.key), "reason": each.reason} for each in made.annulments]
    if need is not None:
        said["waits_for"] = {"inquiry": need.key, "because": made.holds[0].message}
    if evidence.consultations:
        said["consultations"] = evidence_json(evidence)["consultations"]
    return said
