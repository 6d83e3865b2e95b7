"""The ledger as people and programs read it: the objects of `syncd orders --json` and `syncd order --json`."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.domain.document import SALES
from syncd.domain.states import DocumentState, OrderState
from syncd.mapping.deadlines import annul_until
from syncd.mapping.report import document_json
from syncd.mapping.sale import LISBON
from syncd.store import documents, listing, orders, registers, trail
from syncd.store.documents import DocumentRow
from syncd.store.engine import Database
from syncd.store.orders import OrderRow

GONE = frozenset({DocumentState.WITHDRAWN, DocumentState.ANNULLED})
# Documents whose deadline still runs.
NOT_YET = frozenset(DocumentState) - {
    DocumentState.ISSUED,
    DocumentState.WITHDRAWN,
    DocumentState.ANNULLING,
    DocumentState.ANNULLED,
}


async def list_orders(
    database: Database, *, state: OrderState | None = None, shop: str | None = None, limit: int | None = None
) -> AsyncIterator[dict[str, Any]]:
    """One object per order, the newest first."""
    async with database.read() as connection:
        async for row in listing.search(connection, state=state, shop=shop, limit=limit):
            yield await with_documents(connection, row)


async def with_documents(connection: AsyncConnection, row: OrderRow) -> dict[str, Any]:
    """The public shape of an order that was found."""
    return order_json(row, await documents.of_order(connection, row.shop, row.order_id))


async def one_order(database: Database, shop: str, order_id: str) -> dict[str, Any] | None:
    """An order with its documents line by line, each with its reasons, and its whole timeline; None if not known."""
    async with database.read() as connection:
        row = await orders.get(connection, shop, order_id)
        if row is None:
            return None
        found = order_json(row, await documents.of_order(connection, shop, order_id))
        drafts = {str(each.key): each.draft for each in await documents.known(connection, shop, order_id)}
        entries = await trail.timeline(connection, shop, order_id)
        inquiry = await registers.get(connection, row.awaits) if row.awaits else None
    if inquiry is not None:
        found["waiting"] = {
            "for": inquiry.key,
            "since": inquiry.since.isoformat(),
            "tries": inquiry.tries,
            "problem": inquiry.problem,
            "next_try_at": inquiry.next_at.isoformat(),
        }
    for document in found["documents"]:
        planned = document_json(drafts[document["key"]])
        document.update({name: planned[name] for name in ("why", "customer", "lines", "taxes", "totals", "references")})
    found["timeline"] = [
        {
            "at": entry.at.isoformat(),
            "actor": entry.actor,
            "action": entry.action,
            "document": entry.document_key,
            "detail": entry.detail,
            "entry": entry.seq or None,
            "hash": entry.hash or None,
        }
        for entry in entries
    ]
    return found


def order_json(row: OrderRow, found: list[DocumentRow]) -> dict[str, Any]:
    """The public shape; amounts are strings with two decimals, None until issued."""
    hold = row.hold or next((document.hold for document in found if document.hold), None)
    # Only sales that nothing corrects or settles can be annulled.
    alone = all(document.kind in SALES for document in found if document.state not in GONE)
    due = [row.deadline_at, *(document.deadline_at for document in found if document.state in NOT_YET)]
    deadline = min((moment for moment in due if moment is not None), default=None)
    return {
        "shop": row.shop,
        "order_id": row.order_id,
        "order_number": row.number,
        "state": row.state.value,
        "hold": {"code": hold.code, "message": hold.message, "fix": hold.fix} if hold else None,
        "waiting": {"for": row.awaits} if row.awaits else None,
        "deadline": _local(deadline),
        "documents": [_document(document, alone=alone) for document in found],
    }


def _document(row: DocumentRow, *, alone: bool) -> dict[str, Any]:
    return {
        "key": row.key,
        "kind": row.kind,
        "state": row.state.value,
        "number": row.number or None,
        "provider_id": row.provider_id or None,
        "net": None if row.net is None else f"{row.net:.2f}",
        "tax": None if row.tax is None else f"{row.tax:.2f}",
        "gross": None if row.gross is None else f"{row.gross:.2f}",
        "issued_at": row.issued_at.isoformat() if row.issued_at else None,
        "deadline": _local(row.deadline_at),
        "annul_until": annul_until(row.issued_at.astimezone(LISBON).date()).isoformat()
        if alone and row.issued_at and row.state not in GONE
        else None,
    }


def _local(moment: datetime | None) -> str | None:
    """With the day as it is in Portugal."""
    return moment.astimezone(LISBON).isoformat() if moment else None
