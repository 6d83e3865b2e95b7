"""Webhooks: verified before they are looked at, understood or kept for a person, never a crash."""

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.domain.errors import SignatureError, UnreadableError
from syncd.shops.port import Delivery, Fact, FactKind
from tests.woocommerce import NOW, SECRET, a_shop, an_order, capture, signed


def receive(found: Any, topic: str = "order.updated", **shop: Any) -> Delivery:
    body = found if isinstance(found, bytes) else json.dumps(found).encode()
    return a_shop(**shop).receive(signed(body, topic), body)


def fact_of(found: Any, topic: str = "order.updated") -> Fact:
    (fact,) = receive(found, topic).facts
    return fact


@pytest.mark.parametrize(
    "body", [b"webhook_id=32", b"webhook_id=1\n", b'{"webhook_id":32}', b'{ "webhook_id" : "32" }']
)
def test_an_unsigned_ping_is_answered_and_stores_nothing(body: bytes) -> None:
    assert a_shop().receive({}, body) == Delivery(topic="ping", ping=True)


@pytest.mark.parametrize(
    "body", [b"webhook_id=32&id=7", b"webhook_id=", b"id=7", b'{"webhook_id":1,"id":7}', b"{}", b""]
)
def test_what_only_resembles_a_ping_needs_a_signature(body: bytes) -> None:
    with pytest.raises(SignatureError):
        a_shop().receive({"content-type": "application/x-www-form-urlencoded"}, body)


@pytest.mark.parametrize("given", ["", "x", "é", "\udcff", signed(b"{}")["x-wc-webhook-signature"].lower()])
def test_a_wrong_signature_is_refused_before_the_body_is_read(given: str) -> None:
    with pytest.raises(SignatureError):
        a_shop().receive({"x-wc-webhook-topic": "order.updated", "x-wc-webhook-signature": given}, b"no json")


def test_a_changed_byte_breaks_the_signature() -> None:
    made = capture("incl-single-bacs.01")
    with pytest.raises(SignatureError):
        a_shop().receive(made.headers, made.body.replace(b"24.80", b"24.81"))


def test_any_of_several_secrets_signs_so_that_one_can_be_replaced() -> None:
    made = capture("incl-single-bacs.01")
    assert a_shop("the new one", SECRET).receive(made.headers, made.body).facts


@pytest.mark.parametrize("secret", ["", " "])
def test_an_empty_secret_signs_nothing(secret: str) -> None:
    with pytest.raises(SignatureError):
        a_shop(secret).receive(signed(b"{}", secret=secret), b"{}")


def test_entities_in_a_secret_are_decoded_as_the_shop_does_before_it_signs() -> None:
    body = capture("incl-single-bacs.01").body
    for typed in ("a&b<c", "a&amp;b&lt;c"):
        assert a_shop(typed).receive(signed(body, secret="a&b<c"), body).facts


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe{}", b"{'id': 1}", b"[" * 100_000, b"webhook", b'{"id":NaN,}'])
def test_a_signed_body_that_is_no_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        a_shop().receive(signed(body), body)


@pytest.mark.parametrize(
    "found",
    [
        [],
        [{"id": 1}],
        1,
        1e400,
        "order",
        None,
        True,
        {},
        {"id": None},
        {"id": 0},
        {"id": -7},
        {"id": True},
        {"id": "430"},
        {"id": 4.3},
        {"id": 10**18},
        {"id": 10**40},
        {"id": [1]},
        {"id": 430},  # an order without a time
        {"id": 430, "date_modified_gmt": "yesterday", "status": "processing"},
        {"id": 430, "date_modified_gmt": 20261121, "status": "processing"},
        {"id": 430, "date_modified_gmt": "2026-11-21T01:33:45"},  # without a status
        {"id": 430, "date_modified_gmt": "2026-11-21T01:33:45", "status": {"a": 1}},
        {"code": "coupon", "message": None, "data": 5},
    ],
)
def test_signed_json_that_is_no_order_is_kept_as_a_problem(found: Any) -> None:
    body = b"1e400" if found == 1e400 else json.dumps(found).encode()
    delivery = receive(body)
    assert delivery.problem
    assert not delivery.facts


def test_an_error_instead_of_the_order_says_what_to_do() -> None:
    delivery = receive({"code": "woocommerce_rest_cannot_view", "message": "Sorry", "data": {"status": 401}})
    assert "woocommerce_rest_cannot_view: Sorry" in delivery.problem
    assert "shop manager" in delivery.problem


def test_an_old_api_version_says_which_to_set() -> None:
    delivery = receive({"order": {"id": 430, "order_number": "430", "total": "24.80"}})
    assert "API version to v3" in delivery.problem


def test_an_order_is_dated_by_its_own_last_change_in_utc() -> None:
    fact = fact_of(an_order(date_modified_gmt="2026-08-02T22:14:05", date_modified="2026-08-02T23:14:05"))
    assert fact.version == datetime(2026, 8, 2, 22, 14, 5, tzinfo=UTC)


def test_the_payload_is_kept_byte_for_byte() -> None:
    made = capture("incl-unicode-names.01")
    (fact,) = a_shop().receive(made.headers, made.body).facts
    assert fact.payload is made.body


def test_the_same_delivery_id_does_not_make_two_states_one() -> None:
    first, second = capture("incl-update-storm.03"), capture("incl-update-storm.05")
    assert first.headers["x-wc-webhook-delivery-id"] == second.headers["x-wc-webhook-delivery-id"]
    facts = {fact for made in (first, second) for fact in a_shop().receive(made.headers, made.body).facts}
    assert len(facts) == 2


def test_states_of_one_second_are_ranked_as_they_follow_each_other() -> None:
    refund = {"id": 9, "reason": "", "total": "-1.00"}
    following = [
        an_order(status="checkout-draft", date_paid_gmt=None),
        an_order(status="pending", date_paid_gmt=None),
        an_order(status="failed", date_paid_gmt=None),
        an_order(status="on-hold", date_paid_gmt=None),
        an_order(status="processing", date_paid_gmt=None),
        an_order(status="processing"),
        an_order(status="processing", refunds=[refund]),
        an_order(status="enviado"),
        an_order(status="wc-completed"),
        an_order(status="completed", refunds=[refund]),
        an_order(status="completed", refunds=[refund, refund]),
        an_order(status="cancelled"),
        an_order(status="refunded", refunds=[refund]),
        an_order(status="trash"),
    ]
    ranks = [fact_of(order).rank for order in following]
    assert ranks == sorted(set(ranks))


def test_a_deletion_counts_from_when_it_was_heard_of_and_a_restoration_outdoes_it() -> None:
    deleted = fact_of({"id": 430}, "order.deleted")
    assert (deleted.kind, deleted.order_id, deleted.version) == (FactKind.DELETED, "430", NOW)
    restored = fact_of(an_order(), "order.restored")
    assert restored.version >= deleted.version
    late = an_order(date_modified_gmt="2027-01-01T00:00:00")
    assert fact_of(late, "order.restored").version == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("topic", ["action.woocommerce_order_refunded", "action.woocommerce_payment_complete"])
@pytest.mark.parametrize("argument", [430, "430"])
def test_an_action_hints_at_its_order(topic: str, argument: Any) -> None:
    fact = fact_of({"action": topic.partition(".")[2], "arg": argument}, topic)
    assert (fact.kind, fact.order_id, fact.version) == (FactKind.HINT, "430", NOW)


@pytest.mark.parametrize(
    ("topic", "argument"),
    [
        ("action.woocommerce_order_refunded", {"id": 430}),
        ("action.woocommerce_order_refunded", None),
        ("action.woocommerce_order_refunded", 0),
        ("action.woocommerce_order_refunded", "9" * 40),
        ("action.woocommerce_refund_created", 431),  # the refund's number
        ("action.woocommerce_update_product", 12),
        ("action.woocommerce_new_customer_note", 12),
    ],
)
def test_an_action_that_names_no_order_is_left_alone(topic: str, argument: Any) -> None:
    delivery = receive({"action": topic, "arg": argument}, topic)
    assert delivery.ignored
    assert not delivery.facts


@pytest.mark.parametrize("topic", ["product.updated", "customer.created", "coupon.deleted"])
def test_other_resources_are_left_alone_even_where_they_look_like_orders(topic: str) -> None:
    assert receive(an_order(), topic).ignored


def test_a_lost_topic_header_loses_no_order() -> None:
    made = capture("incl-single-bacs.01")
    headers = {key: value for key, value in made.headers.items() if key != "x-wc-webhook-topic"}
    assert [fact.order_id for fact in a_shop().receive(headers, made.body).facts] == ["430"]


def test_half_a_surrogate_pair_loses_no_order() -> None:
    body = json.dumps(an_order(customer_note="cut \ud83d in two\0")).encode()
    fact = fact_of(body)
    assert fact.payload == body


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(
    found=JSON, topic=st.sampled_from(["order.updated", "order.deleted", "action.woocommerce_order_refunded", "", "x"])
)
def test_any_json_is_understood_or_kept(found: Any, topic: str) -> None:
    body = json.dumps(found).encode()
    try:
        delivery = receive(body, topic)
    except UnreadableError:
        return
    assert bool(delivery.facts) + bool(delivery.ignored) + bool(delivery.problem) == 1


@given(seed=st.integers(0, 2**32), junk=JSON)
def test_an_order_with_any_field_gone_wrong_is_understood_or_kept(seed: int, junk: Any) -> None:
    order = an_order()
    order[random.Random(seed).choice(list(order))] = junk
    delivery = receive(json.dumps(order).encode())
    assert bool(delivery.facts) != bool(delivery.problem)


def test_an_older_body_after_a_newer_one_is_told_by_its_version() -> None:
    newer, older = capture("incl-single-bacs.04"), capture("incl-single-bacs.01")
    (new,), (old,) = (a_shop().receive(made.headers, made.body).facts for made in (newer, older))
    assert new.version >= old.version
    assert (new.version, new.rank) > (old.version, old.rank)
    assert new.version - old.version < timedelta(minutes=1)
