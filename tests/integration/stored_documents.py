"""Documents in the ledger: planned, taken to be issued, and what came of them."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from syncd.domain.document import Amounts, DocumentDraft, DocumentKey, DocumentKind, IssuedDocument, Reference
from syncd.domain.hold import Hold
from syncd.domain.states import DocumentState, OrderState
from syncd.store import attempts, documents, orders
from syncd.store.documents import Claimed, Claimer
from syncd.store.engine import Database
from tests.builders import a_draft
from tests.integration.test_store_events import a_fact, say

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOLD = Hold(code="refused", message="the service says no", fix="correct it")
SETTLE = timedelta(minutes=1)


def draft_of(order_id: str = "1001", part: str = "sale", *, minutes: int = 0, **changes: Any) -> DocumentDraft:
    """A draft that has been due since `minutes` after ten."""
    kind = changes.pop("kind", DocumentKind.FR)
    key = DocumentKey(changes.pop("account", "main"), changes.pop("shop", "loja"), order_id, kind, part)
    return replace(a_draft(), key=key, due_at=AT - timedelta(hours=2) + timedelta(minutes=minutes), **changes)


def credit_of(original: DocumentDraft, part: str = "refund-55") -> DocumentDraft:
    reference = Reference(key=original.key, amount=original.totals.gross)
    return draft_of(original.key.order_id, part, kind=DocumentKind.NC, references=(reference,))


def answer(provider_id: str = "901", number: str = "FR A/1") -> IssuedDocument:
    totals = Amounts(net=Decimal("10.00"), tax=Decimal("2.30"), gross=Decimal("12.30"))
    return IssuedDocument(provider_id=provider_id, number=number, issued_on=date(2026, 11, 20), totals=totals)


async def plan(db: Database, *drafts: DocumentDraft, lane: int = 0, now: datetime = AT) -> frozenset[str]:
    for draft in drafts:
        await say(db, a_fact(order_id=draft.key.order_id), shop=draft.key.shop)
    async with db.write() as conn:
        return await documents.put(conn, drafts, lane=lane, now=now)


async def take(db: Database, now: datetime = AT) -> Claimed:
    claimed = await Claimer(db, "main").planned(now)
    assert claimed is not None
    return claimed


async def issue(db: Database, claimed: Claimed, issued: IssuedDocument | None = None, hold: Hold | None = None) -> None:
    async with db.write() as conn:
        await documents.record_issued(conn, claimed.id, issued or answer(), now=AT, hold=hold)
        await orders.refresh_state(conn, claimed.key.shop, claimed.key.order_id)


async def record(db: Database, claimed: Claimed, state: DocumentState, hold: Hold | None = None, **more: Any) -> bool:
    async with db.write() as conn:
        return await documents.record_outcome(
            conn, claimed.id, state, run_at=more.pop("run_at", AT), hold=hold, now=AT, **more
        )


async def rows(db: Database, order_id: str = "1001") -> list[documents.DocumentRow]:
    async with db.read() as conn:
        return await documents.of_order(conn, "loja", order_id)


async def states(db: Database, order_id: str = "1001") -> list[str]:
    return [row.state.value for row in await rows(db, order_id)]


async def order_state(db: Database, order_id: str = "1001") -> OrderState | None:
    async with db.write() as conn:
        return await orders.refresh_state(conn, "loja", order_id)


async def sent(db: Database, claimed: Claimed, purpose: str = "issue") -> int:
    async with db.write() as conn:
        return await attempts.begin(
            conn,
            account="main",
            purpose=purpose,
            label="POST /documents",
            marker=claimed.marker,
            document_id=claimed.id,
            sent_at=AT - timedelta(minutes=3),
        )
