"""How fast past orders are planned again: a ledger of real-shaped orders, each with its raw event and its invoice."""

import json
import os
import time
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from syncd.domain.facts import OrderFacts
from syncd.mapping.planner import plan
from syncd.mapping.policy import fingerprint
from syncd.replay import Front, fronts, outline, replay
from syncd.settings import load
from syncd.store.codec import dump_draft
from syncd.store.engine import Database
from syncd.store.tables import document, event, shop_order, trail
from tests.acceptance.shopfront import an_order
from tests.bench import ledger
from tests.builders import PAID_AT

ORDERS = 20_000
CHUNK = 1_000
SETTINGS = """
[database]
url = "{url}"
[accounts.main]
provider = "billpt"
base_url = "https://app.bill.pt"
token = "{token}"
[shops.loja]
platform = "woocommerce"
account = "main"
url = "https://loja.example"
webhook_secret = "bench-secret"
"""


async def measure(url: str, folder: Path, count: int = ORDERS) -> dict[str, float]:
    """Orders a second with every core, processor time of one order, and whether anything differed by mistake."""
    file = folder / "syncd.toml"
    file.write_text(SETTINGS.format(url=url, token="t" * 128), "utf-8")
    shops = fronts(load(file, {}))
    database = Database.open(url)
    try:
        for first in range(1, count + 1, CHUNK):
            await _fill(database, shops["loja"], range(first, min(first + CHUNK, count + 1)))
    finally:
        await database.close()
    started, spent = time.perf_counter(), _cpu_seconds()
    spans, _ = await outline(url, PAID_AT - timedelta(days=1), "")
    replayed = [span async for span in replay(url, shops, spans)]
    seconds = time.perf_counter() - started
    orders = sum(span.orders for span in replayed)
    return {
        "orders_per_s": orders / seconds,
        "cpu_ms": (_cpu_seconds() - spent) / orders * 1000,
        "missed": count - orders,
        "differing": sum(len(span.differing) for span in replayed),
    }


def _cpu_seconds() -> float:
    """Of this process and of those that it has waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


async def _fill(database: Database, front: Front, numbers: range) -> None:
    """Orders that came in by webhook, were planned and have been issued."""
    desk, mark = front.desk(), fingerprint(front.policy)
    rows: dict[str, list[dict[str, object]]] = {"event": [], "order": [], "document": [], "trail": []}
    for number in numbers:
        event_id, body = f"{number:024x}", json.dumps(an_order(number, quantity=1 + number % 5)).encode()
        (draft,) = plan(desk.shop.read(OrderFacts(order=body)), (), desk.policy).documents
        rows["event"].append(_event(number, event_id, body))
        rows["order"].append(ledger._order(number) | {"state": "issued", "event_id": event_id})
        rows["document"].append(ledger._document(number, "issued", dump_draft(draft)))
        basis = {"events": [event_id], "deleted": False, "accepted": [], "policy": mark, "version": "0"}
        planned = {"documents": [{"key": str(draft.key), "gross": str(draft.totals.gross)}], "holds": []}
        rows["trail"].append(_entry(number, {**planned, "reason": "", "basis": basis}))
    async with database.write() as connection:
        for table, name in ((event, "event"), (shop_order, "order"), (document, "document"), (trail, "trail")):
            await connection.execute(sa.insert(table), rows[name])


def _event(number: int, event_id: str, body: bytes) -> dict[str, object]:
    said = {"shop": "loja", "kind": "order", "topic": "order.updated", "order_id": str(number), "part": ""}
    way = {"version": 0, "rank": 0, "digest": event_id, "source": "webhook", "problem": "", "received_at": PAID_AT}
    return {"id": event_id, "payload": body, **said, **way}


def _entry(number: int, detail: dict[str, object]) -> dict[str, object]:
    # Replay does not walk the chain, so that its links may be anything.
    what = {"actor": "syncd", "action": "planned", "document_key": "", "detail": detail, "seq": 1, "hash": ""}
    return {"at": PAID_AT, "shop": "loja", "order_id": str(number), **what}
