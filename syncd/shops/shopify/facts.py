"""What a verified webhook tells: facts about orders, or the reason why there are none."""

from collections.abc import Mapping
from datetime import datetime

import orjson

from syncd.domain.errors import PayloadError, UnreadableError
from syncd.shops.port import Delivery, Fact, FactKind
from syncd.shops.shopify.fields import Record, identity, moment, record, records, text
from syncd.shops.shopify.verify import header

ORDER_TOPICS = frozenset(
    {
        "orders/create",
        "orders/paid",
        "orders/updated",
        "orders/cancelled",
        "orders/fulfilled",
        "orders/partially_fulfilled",
    }
)
_HINT_TOPICS = frozenset({"orders/edited", "order_transactions/create"})
_COMPLIANCE_TOPICS = frozenset({"customers/data_request", "customers/redact", "shop/redact"})
_IGNORED = {
    "app/uninstalled": "the app was removed from the shop: its token is dead, issued documents stay",
    "bulk_operations/finish": "bulk queries are not used",
}

# How far the money has come; decides between two states of the same second.
_PROGRESS = {
    "authorized": 1,
    "expired": 2,
    "voided": 2,
    "partially_paid": 3,
    "paid": 4,
    "partially_refunded": 5,
    "refunded": 6,
}


def read_delivery(headers: Mapping[str, str], body: bytes, *, domains: frozenset[str], now: datetime) -> Delivery:
    """Sort a verified webhook by its topic. Raises UnreadableError where the body is not JSON.

    `domains` are the names of this shop in lower case; `now` dates what carries no time of its own.
    """
    try:
        found: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UnreadableError("the body is not JSON") from error
    topic, domain = header(headers, "topic").strip().lower(), header(headers, "shop-domain").strip().lower()
    if domain and domain not in domains:
        # Headers are not signed: a body of another shop of the same app would pass the signature.
        return Delivery(topic=topic, problem=f"sent for the shop {domain[:80]!r}, which is not this one")
    try:
        return _sorted(topic, record(found, "the body"), body, _triggered(headers, now))
    except PayloadError as error:
        return Delivery(topic=topic, problem=f"{topic or 'no topic'}: {error}")


def order_fact(order: Record, payload: bytes, topic: str) -> Fact:
    """The whole state of an order in the webhook's shape. Raises PayloadError."""
    order_id, version = identity(order.get("id")), moment(order.get("updated_at"), "updated_at")
    if not order_id or version is None or not isinstance(order.get("line_items"), list):
        raise PayloadError("this is no order: it lacks id, updated_at or line_items")
    return Fact(
        kind=FactKind.ORDER, order_id=order_id, topic=topic, payload=payload, version=version, rank=rank_of(order)
    )


def rank_of(order: Record) -> int:
    """Order of states that share `updated_at`, which counts whole seconds: money first, then refunds and their moves."""
    refunds = records(order.get("refunds"), "refunds")
    settled = sum(
        text(move.get("status")).lower() == "success"
        for refund in refunds
        for move in records(refund.get("transactions"), "transactions")
    )
    progress = 2 * _PROGRESS.get(text(order.get("financial_status")).lower(), 0) + bool(order.get("cancelled_at"))
    return (progress * 1000 + min(len(refunds), 999)) * 1000 + min(settled, 999)


def _sorted(topic: str, body: Record, payload: bytes, triggered: datetime) -> Delivery:
    if topic in ORDER_TOPICS:
        # The cloud routes cut a body that is too long for them down to its id.
        if body.keys() <= {"id", "admin_graphql_api_id"}:
            return _about(FactKind.HINT, body.get("id"), topic, payload, triggered)
        return Delivery(facts=(order_fact(body, payload, topic),), topic=topic)
    if topic == "orders/delete":
        return _about(FactKind.DELETED, body.get("id"), topic, payload, triggered)
    if topic in _HINT_TOPICS:
        edit = record(body.get("order_edit"), "order_edit")
        return _about(FactKind.HINT, body.get("order_id", edit.get("order_id")), topic, payload, triggered)
    if topic == "refunds/create":
        return _refund(body, topic, payload, triggered)
    if not topic:
        raise PayloadError("the topic header is missing")
    return Delivery(topic=topic, ignored=_why_ignored(body, topic))


def _about(kind: FactKind, value: object, topic: str, payload: bytes, version: datetime) -> Delivery:
    order_id = identity(value)
    if not order_id:
        raise PayloadError("it names no order")
    return Delivery(
        facts=(Fact(kind=kind, order_id=order_id, topic=topic, payload=payload, version=version),), topic=topic
    )


def _refund(body: Record, topic: str, payload: bytes, triggered: datetime) -> Delivery:
    order_id, part = identity(body.get("order_id")), identity(body.get("id"))
    if not order_id or not part:
        raise PayloadError("this is no refund: it lacks id or order_id")
    version = moment(body.get("processed_at") or body.get("created_at"), "processed_at")
    fact = Fact(
        kind=FactKind.REFUND,
        order_id=order_id,
        topic=topic,
        payload=payload,
        version=version or triggered,
        part=part,
    )
    return Delivery(facts=(fact,), topic=topic)


def _why_ignored(body: Record, topic: str) -> str:
    """Of a privacy request it says how much is asked for, never of whom."""
    if topic not in _COMPLIANCE_TOPICS:
        return _IGNORED.get(topic, f"{topic} states no fiscal fact")
    named = body.get("orders_requested", body.get("orders_to_redact"))
    count = len(named) if isinstance(named, list) else 0
    return (
        f"privacy request {topic} ({count} orders): answer it within 30 days; "
        "fiscal documents and what proves them are kept as long as tax law demands"
    )


def _triggered(headers: Mapping[str, str], now: datetime) -> datetime:
    try:
        return moment(header(headers, "triggered-at"), "triggered-at") or now
    except PayloadError:
        return now
