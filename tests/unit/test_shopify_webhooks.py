"""Webhooks: who may speak, and what each topic tells."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from syncd.domain.errors import SignatureError, UnreadableError
from syncd.shops.port import Delivery, FactKind, ShopConfig, load_shop
from syncd.shops.shopify.adapter import ShopifyShop
from syncd.shops.shopify.client import Clock
from syncd.shops.shopify.verify import signature
from tests.shopify_emulator import DATA, ORDERS, Json, payload, raw

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CONFIG = ShopConfig(
    name="montra",
    url="https://Montra.myshopify.com",
    webhook_secrets=(SecretStr("old"), SecretStr("hush")),
    extra={"domains": "montra.example, second.myshopify.com"},
)
SHOP = ShopifyShop(CONFIG, clock=Clock(now=lambda: NOW))


def deliver(topic: str, body: bytes, *, secret: str = "hush", **headers: str) -> Delivery:
    signed = {"x-shopify-topic": topic, "x-shopify-hmac-sha256": signature(body, secret)}
    return SHOP.receive(signed | {f"x-shopify-{key.replace('_', '-')}": text for key, text in headers.items()}, body)


def test_the_platform_is_registered() -> None:
    assert load_shop("shopify") is ShopifyShop


def test_the_signature_is_the_one_that_shopify_makes() -> None:
    # Worked out with openssl: printf '{"id":1,"name":"Inês"}' | openssl dgst -sha256 -hmac hush -binary | base64
    assert signature('{"id":1,"name":"Inês"}'.encode(), "hush") == "gRlwdU6vQw8SPIk56LNXtfw5h1YZ058euHsaM62YTYU="


@pytest.mark.parametrize("secret", ["old", "hush"])
def test_any_of_the_secrets_may_have_signed(secret: str) -> None:
    assert deliver("orders/paid", (DATA / ORDERS[0]).read_bytes(), secret=secret).facts


def test_the_newer_header_names_are_understood() -> None:
    body = (DATA / "order-vat-included-unicode.json").read_bytes()
    headers = {"shopify-topic": "orders/paid", "shopify-hmac-sha256": signature(body, "hush")}
    assert SHOP.receive(headers, body).facts[0].kind is FactKind.ORDER


@pytest.mark.parametrize("given_signature", ["", "Zm9v", "ñ", "\udcff", signature(b"{}", "wrong")])
def test_a_bad_signature_is_refused_before_the_body_is_looked_at(given_signature: str) -> None:
    with pytest.raises(SignatureError):
        SHOP.receive({"x-shopify-topic": "orders/paid", "x-shopify-hmac-sha256": given_signature}, b"{not json")


@pytest.mark.parametrize("secrets", [(), (SecretStr(""),)])
def test_without_a_secret_nothing_is_believed(secrets: tuple[SecretStr, ...]) -> None:
    shop = ShopifyShop(ShopConfig(name="m", url=CONFIG.url, webhook_secrets=secrets))
    with pytest.raises(SignatureError):
        shop.receive({"x-shopify-hmac-sha256": signature(b"{}", "")}, b"{}")


def test_one_changed_byte_breaks_the_signature() -> None:
    body = (DATA / "order-vat-included-unicode.json").read_bytes()
    with pytest.raises(SignatureError):
        SHOP.receive({"x-shopify-hmac-sha256": signature(body, "hush")}, body + b" ")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a": NaN}', b"[" * 2000])
def test_a_signed_body_that_is_no_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        deliver("orders/paid", body)


@pytest.mark.parametrize("domain", ["montra.myshopify.com", "MONTRA.myshopify.com", "montra.example", ""])
def test_the_shops_own_names_pass(domain: str) -> None:
    assert deliver("orders/paid", (DATA / ORDERS[0]).read_bytes(), shop_domain=domain).facts


def test_a_body_of_another_shop_of_the_same_app_is_a_problem() -> None:
    told = deliver("orders/paid", (DATA / ORDERS[0]).read_bytes(), shop_domain="other.myshopify.com")
    assert (told.facts, "other.myshopify.com" in told.problem) == ((), True)


@pytest.mark.parametrize(
    "topic",
    [
        "orders/create",
        "orders/paid",
        "orders/updated",
        "orders/cancelled",
        "orders/fulfilled",
        "orders/partially_fulfilled",
    ],
)
def test_an_order_topic_tells_the_whole_state(topic: str) -> None:
    body = (DATA / "order-cancelled-refunded-unicode.json").read_bytes()
    (fact,) = deliver(topic, body).facts
    assert (fact.kind, fact.order_id, fact.topic, fact.payload) == (FactKind.ORDER, "6198821716268", topic, body)
    assert fact.version == datetime(2025, 1, 24, 2, 57, 18, tzinfo=UTC)


@pytest.mark.parametrize("name", ORDERS)
def test_every_sample_order_is_taken_in(name: str) -> None:
    assert deliver("orders/updated", (DATA / name).read_bytes()).facts[0].kind is FactKind.ORDER


def test_states_of_the_same_second_are_ranked_by_how_far_the_money_has_come() -> None:
    paid = payload("order-pt-three-vat-rates-nif-discount.json")
    pending = payload("refund-pt-pending.json")
    done = payload("refund-pt-one-item-and-shipping.json")
    stages: list[Json] = [
        {"financial_status": None},
        {"financial_status": "pending"},
        {"financial_status": "authorized"},
        {"financial_status": "partially_paid"},
        {"financial_status": "paid"},
        {"financial_status": "paid", "refunds": [pending]},
        {"financial_status": "paid", "cancelled_at": "2026-11-03T00:00:00Z"},
        {"financial_status": "partially_refunded", "refunds": [done]},
        {"financial_status": "partially_refunded", "refunds": [done, pending]},
        {"financial_status": "refunded", "refunds": [done, done]},
    ]
    ranks = [deliver("orders/updated", raw(paid | stage)).facts[0].rank for stage in stages]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(ranks) - 1  # no status and pending are one
    assert max(ranks) < 2**31


def test_a_body_cut_down_to_its_id_asks_to_be_fetched() -> None:
    body = (DATA / "order-too-large-body-is-only-id.json").read_bytes()
    (fact,) = deliver("orders/updated", body, triggered_at="2026-11-21T10:00:00.123456789Z").facts
    assert (fact.kind, fact.order_id) == (FactKind.HINT, "7000000000001")
    assert fact.version == datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("orders/edited", {"order_edit": {"id": 5, "order_id": 77}}),
        ("orders/edited", {"order_id": 77}),
        ("order_transactions/create", {"id": 5, "order_id": 77, "kind": "refund", "status": "success"}),
    ],
)
def test_what_concerns_an_order_without_being_one_is_a_hint(topic: str, body: dict[str, object]) -> None:
    (fact,) = deliver(topic, raw(body), triggered_at="nonsense").facts
    assert (fact.kind, fact.order_id, fact.version) == (FactKind.HINT, "77", NOW)


def test_a_deleted_order_is_told_as_such() -> None:
    (fact,) = deliver("orders/delete", b'{"id": 77}').facts
    assert (fact.kind, fact.order_id) == (FactKind.DELETED, "77")


@pytest.mark.parametrize(
    ("name", "order_id", "part"),
    [
        ("refund-two-lines-restocked.json", "450789469", "509562969"),
        ("refund-shipping-only.json", "450789469", "929361471"),
        ("refund-one-line-with-tax.json", "5361237360854", "887838376150"),
        ("refund-goodwill-no-lines.json", "3859935821927", "811293212775"),
        ("refund-pt-one-item-and-shipping.json", "7000000000001", "800000000001"),
        ("refund-pt-pending.json", "7000000000001", "800000000061"),
    ],
)
def test_a_refund_is_a_fact_of_its_order(name: str, order_id: str, part: str) -> None:
    (fact,) = deliver("refunds/create", (DATA / name).read_bytes()).facts
    assert (fact.kind, fact.order_id, fact.part) == (FactKind.REFUND, order_id, part)
    assert fact.version < NOW


@pytest.mark.parametrize(
    "topic", ["app/uninstalled", "returns/approve", "products/update", "customers/redact", "shop/redact"]
)
def test_other_topics_are_ignored_with_a_reason(topic: str) -> None:
    told = deliver(topic, b'{"id": 5}')
    assert (told.facts, told.problem, bool(told.ignored)) == ((), "", True)


def test_a_privacy_request_names_nobody() -> None:
    body = raw({"customer": {"email": "rita@example.com"}, "orders_to_redact": [1, 2]})
    told = deliver("customers/redact", body)
    assert "2 orders" in told.ignored
    assert "rita" not in told.ignored


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("orders/paid", b"[]"),
        ("orders/paid", b"5"),
        ("orders/paid", b'{"id": true}'),
        ("orders/paid", b'{"id": 5, "line_items": [], "updated_at": "yesterday"}'),
        ("orders/paid", b'{"id": 5, "line_items": [], "updated_at": "2026-11-02T10:00:00"}'),
        ("orders/paid", b'{"id": 5, "line_items": {}, "updated_at": "2026-11-02T10:00:00Z"}'),
        ("orders/paid", b'{"id": -5}'),
        ("orders/paid", b"{}"),
        ("orders/delete", b"{}"),
        ("refunds/create", b'{"id": 5}'),
        ("orders/edited", b'{"order_edit": 5}'),
        ("", b'{"id": 5}'),
    ],
)
def test_a_signed_body_that_is_no_order_is_a_problem(topic: str, body: bytes) -> None:
    told = deliver(topic, body)
    assert (told.facts, bool(told.problem)) == ((), True)


@given(
    topic=st.sampled_from(["orders/paid", "orders/delete", "refunds/create", "orders/edited", "customers/redact", "x"]),
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["id", "order_id", "updated_at", "line_items", "refunds", "transactions"]), inner
            )
        ),
    ),
)
def test_no_json_makes_a_webhook_crash(topic: str, body: object) -> None:
    told = deliver(topic, json.dumps(body).encode())
    assert told.facts or told.problem or told.ignored
