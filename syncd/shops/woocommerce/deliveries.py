"""What a webhook tells: verified first, then looked at as little as it takes to store it. Pure.

The body is the order as it was when the delivery ran. Money in it is read later, by `parse`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

import orjson

from syncd.domain.errors import PayloadError, UnreadableError
from syncd.shops.port import Delivery, Fact, FactKind
from syncd.shops.woocommerce.fields import Record, changed_at, is_id
from syncd.shops.woocommerce.parse import rank_of
from syncd.shops.woocommerce.verify import HEADER, verify

TOPIC = "x-wc-webhook-topic"
LONGEST_PING = 80

# What a shop posts, unsigned, to see whether anybody listens before it activates a webhook.
_PING = re.compile(rb"\s*(?:webhook_id=\d{1,18}|\{\s*\"webhook_id\"\s*:\s*\"?\d{1,18}\"?\s*\})\s*")

# Hooks whose first argument is the number of something else than an order.
_OTHER_ARGUMENT = re.compile(r"product|customer|coupon|user|stock|cart|note|item|refund_(?:created|deleted)")

_FIXES = {
    "woocommerce_rest_cannot_view": "make a shop manager the webhook's owner: save it again as one",
    "woocommerce_rest_invalid_shop_order_id": "set the webhook's API version to v3 (WP REST API Integration v3)",
    "rest_no_route": "remove the plug-in or filter that delivers webhooks synchronously",
}
_OLD_API = "set the webhook's API version to v3 (WP REST API Integration v3)"


def read_delivery(headers: Mapping[str, str], body: bytes, *, keys: Sequence[bytes], now: datetime) -> Delivery:
    """The facts of one webhook. Raises SignatureError or UnreadableError."""
    if len(body) <= LONGEST_PING and _PING.fullmatch(body):
        return Delivery(topic="ping", ping=True)
    verify(headers.get(HEADER, ""), body, keys)
    topic = headers.get(TOPIC, "")
    resource, _, event = topic.partition(".")
    if resource not in {"order", "action", ""}:
        return Delivery(topic=topic, ignored=f"topic {topic[:80]} concerns no order")
    found = _json(body)
    if not isinstance(found, dict):
        return Delivery(topic=topic, problem=f"the body is {type(found).__name__}, not an order")
    if resource == "action":
        return _hint(found, topic, event, now)
    try:
        return Delivery(facts=(_fact(found, topic, body, now),), topic=topic)
    except PayloadError as error:
        return Delivery(topic=topic, problem=f"{error} ({error.fix})" if error.fix else str(error))


def order_fact(order: Record, payload: bytes, *, topic: str) -> Fact:
    """The state of a whole order. Raises PayloadError where it has no id, time or status."""
    _check_id(order)
    return Fact(
        kind=FactKind.ORDER,
        order_id=str(order["id"]),
        topic=topic,
        payload=payload,
        version=changed_at(order),
        rank=rank_of(order),
    )


def deleted_fact(order_id: str, *, topic: str, now: datetime) -> Fact:
    """A deletion carries no time, so it counts from when it was heard of."""
    return Fact(
        kind=FactKind.DELETED, order_id=order_id, topic=topic, payload=b'{"id":%s}' % order_id.encode(), version=now
    )


def _fact(found: Record, topic: str, body: bytes, now: datetime) -> Fact:
    if topic == "order.deleted":
        _check_id(found)
        return deleted_fact(str(found["id"]), topic=topic, now=now)
    fact = order_fact(found, body, topic=topic)
    if topic != "order.restored":
        return fact
    # The deletion before it counts from when it was heard of, which may be later than the order's own change.
    return Fact(
        kind=fact.kind,
        order_id=fact.order_id,
        topic=topic,
        payload=body,
        version=max(fact.version, now),
        rank=fact.rank,
    )


def _hint(found: Record, topic: str, hook: str, now: datetime) -> Delivery:
    argument = found.get("arg")
    if isinstance(argument, str) and argument.isascii() and argument.isdecimal():
        argument = int(argument[:20])
    if not is_id(argument) or _OTHER_ARGUMENT.search(hook):
        return Delivery(topic=topic, ignored=f"{topic[:80]} names no order")
    payload = orjson.dumps({"id": argument})
    fact = Fact(kind=FactKind.HINT, order_id=str(argument), topic=topic, payload=payload, version=now)
    return Delivery(facts=(fact,), topic=topic)


def _json(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # The faster reader refuses halves of surrogate pairs, which shops send in emoji that a plug-in cut in two.
        try:
            return json.loads(body.decode())
        except (ValueError, RecursionError) as error:
            raise UnreadableError("the body is not JSON in UTF-8") from error


def _check_id(found: Record) -> None:
    if is_id(found.get("id")):
        return
    if "code" in found and "message" in found:
        code = str(found["code"])[:80]
        raise PayloadError(
            f"the shop sent an error instead of the order: {code}: {str(found['message'])[:200]}",
            fix=_FIXES.get(code, "look at the webhook's log in WooCommerce, Status, Logs"),
        )
    if isinstance(found.get("order"), dict):
        raise PayloadError("the body has the shape of the old API v1", fix=_OLD_API)
    raise PayloadError(f"the body is no order: its id is {str(found.get('id'))[:40]!r}")
