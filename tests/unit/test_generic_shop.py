import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from syncd.domain.errors import PayloadError, ShopRefusedError, SignatureError, UnreadableError
from syncd.domain.money import Money
from syncd.domain.order import Lifecycle, LineKind, Order, PaymentState, RefundState, TaxLine
from syncd.mapping.planner import plan
from syncd.shops.generic.adapter import GenericShop
from syncd.shops.generic.payload import schema
from syncd.shops.generic.verify import signature
from syncd.shops.port import Delivery, FactKind, OrderFacts, Page, Shop, ShopConfig, load_shop
from tests.builders import a_policy

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
KEY = "an own secret of more than 24 bytes"
DATA = Path(__file__).parents[1] / "data/generic"
EXAMPLES = {path.stem: json.loads(path.read_text()) for path in sorted(DATA.glob("*.json"))}
SCHEMA = Path(__file__).parents[2] / "syncd/shops/generic/order.schema.json"


def a_shop(*secrets: str) -> GenericShop:
    config = ShopConfig(
        name="balcao",
        url="https://balcao.example",
        webhook_secrets=tuple(SecretStr(secret) for secret in secrets or (KEY,)),
    )
    return GenericShop(config, now=lambda: NOW)


def a_document(**changes: Any) -> dict[str, Any]:
    return {**EXAMPLES["minimal"], **changes}


def a_line(**changes: Any) -> dict[str, Any]:
    return {"name": "Caneca", "gross": "12.30", "tax_rate": 23, **changes}


def read(document: Any, *, deleted: bool = False) -> Order:
    return a_shop().read(OrderFacts(order=json.dumps(document).encode(), deleted=deleted))


def post(body: bytes) -> Delivery:
    timestamp = str(int(NOW.timestamp()))
    signed = signature(KEY.encode(), message_id="m", timestamp=timestamp, body=body)
    headers = {"webhook-id": "m", "webhook-timestamp": timestamp, "webhook-signature": signed}
    return a_shop().receive(headers, body)


def test_few_fields_make_an_order() -> None:
    order = read(EXAMPLES["minimal"])
    (line,) = order.lines
    assert (order.shop, order.id, order.number, order.state) == ("balcao", "1001", "1001", "paid")
    assert (order.currency, order.prices_include_tax, order.total) == ("EUR", True, Decimal("12.30"))
    assert (order.payment, order.lifecycle, order.doubts) == (PaymentState.PAID, Lifecycle.OPEN, ())
    assert (line.id, line.kind, line.quantity) == ("1", LineKind.ARTICLE, Decimal(1))
    assert (line.net, line.gross, line.list_net, line.list_gross) == tuple(
        map(Decimal, ("10.00", "12.30", "10.00", "12.30"))
    )
    assert line.taxes == (TaxLine(rate=Decimal(23), amount=Decimal("2.30")),)


def test_every_field_arrives() -> None:
    order = read(EXAMPLES["everything"])
    assert order.doubts == ()
    assert (order.number, order.state, order.note) == ("77/2026", "expedida", "deixar no vizinho")
    assert (order.tags, order.discount_codes) == (("natal",), ("OLA10",))
    assert order.paid_at == datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
    assert order.updated_at == datetime(2026, 11, 22, 8, tzinfo=UTC)
    assert [line.kind for line in order.lines] == [
        *[LineKind.ARTICLE] * 3,
        LineKind.SHIPPING,
        LineKind.FEE,
        LineKind.TIP,
        LineKind.GIFT_CARD,
    ]
    assert [(line.net, line.gross, line.list_net, line.list_gross) for line in order.lines[:3]] == [
        tuple(map(Decimal, ("21.95", "27.00", "24.39", "30.00"))),
        tuple(map(Decimal, ("15.00", "15.90", "15.00", "15.90"))),
        tuple(map(Decimal, ("4.41", "4.98", "4.87", "5.50"))),
    ]
    assert order.lines[4].taxes == ()
    assert (order.lines[2].quantity, order.lines[2].unit_price) == (Decimal("0.25"), Decimal("21.992"))
    assert [payment.amount for payment in order.payments] == [Money(Decimal(a), "EUR") for a in ("50.00", "8.88")]
    done, pending = order.refunds
    assert (done.amount, done.state, done.reason) == (Decimal("9.00"), RefundState.DONE, "partida")
    assert [(line.line_id, line.quantity, line.net, line.gross) for line in done.lines] == [
        ("a", Decimal(1), Decimal("7.32"), Decimal("9.00"))
    ]
    assert pending.state is RefundState.PENDING
    assert (order.buyer.tax_id, order.buyer.tax_id_source) == ("PT 501964843", "buyer.tax_id")
    assert order.buyer.billing.company == "Empresa de Teste, Lda."
    assert order.buyer.shipping is not None
    assert order.buyer.shipping.postcode == "9000-060"


@pytest.mark.parametrize("name", ["minimal", "prices-without-tax", "refunded"])
def test_an_example_becomes_documents_of_what_was_paid(name: str) -> None:
    order = read(EXAMPLES[name])
    made = plan(order, (), a_policy(issue_on=frozenset(GenericShop.default_issue_on)))
    assert made.holds == ()
    assert [draft.totals.gross for draft in made.documents] == [order.total, *(r.amount for r in order.refunds)]


@pytest.mark.parametrize(
    ("changes", "lifecycle"),
    [
        ({}, Lifecycle.OPEN),
        ({"cancelled_at": "2026-11-20T11:00:00Z"}, Lifecycle.CANCELLED),
        ({"cancelled_at": "2026-11-20T11:00:00Z", "lifecycle": "open"}, Lifecycle.OPEN),
        ({"lifecycle": "draft"}, Lifecycle.DRAFT),
        ({"lifecycle": "deleted"}, Lifecycle.DELETED),
        ({"refunds": EXAMPLES["refunded"]["refunds"], "lines": EXAMPLES["refunded"]["lines"]}, Lifecycle.REFUNDED),
        ({"total": "0.00", "lines": [a_line(gross="0")]}, Lifecycle.OPEN),
    ],
)
def test_the_lifecycle_follows_from_what_is_told(changes: dict[str, Any], lifecycle: Lifecycle) -> None:
    assert read(a_document(**changes)).lifecycle is lifecycle


def test_what_the_shop_has_deleted_is_deleted() -> None:
    assert read(EXAMPLES["minimal"], deleted=True).lifecycle is Lifecycle.DELETED


@pytest.mark.parametrize(
    ("line", "net", "list_net"),
    [
        (a_line(gross="9.99", tax_rate=20), "8.33", "8.33"),  # a tie: half up
        (a_line(gross="-12.30"), "-10.00", "-10.00"),
        (a_line(gross="12.30", tax_rate=0), "12.30", "12.30"),
        (a_line(net="9.99"), "9.99", "9.99"),  # what is given counts
        (a_line(tax_rate=None, net="10.00", list_gross="24.60"), "10.00", "20.00"),
        (a_line(gross="0.00", list_gross="12.30"), "0.00", "10.00"),
        (a_line(gross="0.00", tax_rate=None, net="0.00", list_gross="12.30"), "0.00", "12.30"),
        (a_line(list_gross="24.60", list_net="19.00"), "10.00", "19.00"),
    ],
)
def test_nets_that_are_not_told_follow_from_the_rate(line: dict[str, Any], net: str, list_net: str) -> None:
    (read_line,) = read(a_document(lines=[line])).lines
    assert (read_line.net, read_line.list_net) == (Decimal(net), Decimal(list_net))


@pytest.mark.parametrize(
    ("changes", "figures"),
    [
        ({"total": "12.31"}, ("12.30", "12.31")),
        ({"payments": [{"gateway": "card", "amount": "12.00"}]}, ("12.00", "12.30")),
        (
            {"refunds": [{"id": "r", "created_at": "2026-11-20T11:00:00Z", "amount": "13"}]},
            ("13.00", "12.30"),
        ),
        (
            {
                "refunds": [
                    {
                        "id": "r",
                        "created_at": "2026-11-20T11:00:00Z",
                        "amount": "1",
                        "lines": [{"line_id": "9", "gross": "1"}],
                    }
                ]
            },
            ("refund r", "line 9"),
        ),
    ],
)
def test_sums_that_do_not_meet_are_doubts_with_both_figures(changes: dict[str, Any], figures: tuple[str, str]) -> None:
    (doubt,) = read(a_document(**changes)).doubts
    assert all(figure in doubt for figure in figures)


@pytest.mark.parametrize(
    "changes",
    [
        {"payment": "partial", "payments": [{"gateway": "card", "amount": "5.00"}]},
        {"payments": [{"gateway": "card", "amount": "14.00", "currency": "USD"}]},
    ],
)
def test_payments_that_need_not_meet_the_total_are_no_doubt(changes: dict[str, Any]) -> None:
    assert read(a_document(**changes)).doubts == ()


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"totl": "1"}, "totl: is not a field"),
    ({"total": 12.3}, "total: write it as a text"),
    ({"total": 1230}, "total: write it as a text"),
    ({"total": "12,30"}, "total: write it as a text"),
    ({"total": "12.301"}, "total: write it as a text"),
    ({"total": "-1"}, "total: write it as a text"),
    ({"total": "NaN"}, "total: write it as a text"),
    ({"total": "1e3"}, "total: write it as a text"),
    ({"total": "१२"}, "total: write it as a text"),
    ({"total": "12.30\n"}, "total: write it as a text"),
    ({"total": None}, "total: write it as a text"),
    ({"lines": []}, "lines: "),
    ({"lines": [a_line(), a_line(gross=True)]}, "lines[1].gross: write it as a text"),
    ({"lines": [a_line(unit_price="0.0375001")]}, "lines[0].unit_price: write it as a text with at most six decimals"),
    ({"lines": [a_line(unit_price="-1.5")]}, "lines[0].unit_price: write it as a text"),
    ({"lines": [a_line(quantity=0)]}, "lines[0].quantity: write a whole number above 0"),
    ({"lines": [a_line(quantity="0.00")]}, "lines[0].quantity: write a whole number above 0"),
    ({"lines": [a_line(quantity=1.5)]}, "lines[0].quantity: write a whole number above 0"),
    ({"lines": [a_line(quantity=True)]}, "lines[0].quantity: write a whole number above 0"),
    ({"lines": [a_line(quantity=10**100)]}, "lines[0].quantity: write a whole number above 0"),
    ({"lines": [a_line(tax_rate="101")]}, "lines[0].tax_rate: write it in per cent"),
    ({"lines": [a_line(tax_rate=None)]}, "lines[0]: give tax_rate or net"),
    ({"lines": [a_line(kind="goods")]}, "lines[0].kind: "),
    ({"lines": [a_line(name="")]}, "lines[0].name: "),
    ({"lines": [a_line(id="2"), a_line()]}, "lines[1].id repeats"),
    ({"lines": "none"}, "lines: "),
    ({"prices_include_tax": False}, "lines[0].net is missing"),
    ({"prices_include_tax": "yes"}, "prices_include_tax: "),
    ({"payment": "captured"}, "payment: "),
    ({"currency": "eur"}, "currency: "),
    ({"id": ""}, "id: "),
    ({"id": "2026/1"}, "id: "),
    ({"id": 1001}, "id: "),
    ({"updated_at": "2026-11-20T10:30:00"}, "updated_at: "),
    ({"updated_at": 1763634600}, "updated_at: "),
    ({"updated_at": "0001-01-01T00:00:00+14:00"}, "updated_at: "),
    ({"updated_at": "9999-12-31T23:59:59-12:00"}, "updated_at: "),
    ({"buyer": {"billing": {"country": "Portugal"}}}, "buyer.billing.country: "),
    ({"buyer": []}, "buyer: "),
]


@pytest.mark.parametrize(("changes", "said"), WRONG)
def test_what_is_wrong_is_named_by_its_path(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PayloadError) as refused:
        read(a_document(**changes))
    assert said in str(refused.value)
    assert "order.schema.json" in refused.value.fix
    assert refused.value.__cause__ is None  # pydantic's own error would show the buyer's data


@pytest.mark.parametrize("field", ["id", "created_at", "updated_at", "payment", "total", "lines"])
def test_required_fields_are_named_when_missing(field: str) -> None:
    document = a_document()
    del document[field]
    with pytest.raises(PayloadError, match=f"{field}: is missing"):
        read(document)


def test_a_long_list_of_complaints_is_cut() -> None:
    with pytest.raises(PayloadError, match="and 15 more"):
        read(a_document(lines=[a_line(gross=1)] * 20))


def test_a_complaint_shows_no_value() -> None:
    with pytest.raises(PayloadError) as refused:
        read(a_document(buyer={"email": ["rita@loja.example"], "tax_exempt": "501964843"}))
    assert "rita" not in str(refused.value)
    assert "501964843" not in str(refused.value)


def test_a_signed_post_is_a_version_of_its_order() -> None:
    body = json.dumps(EXAMPLES["minimal"]).encode()
    (fact,) = post(body).facts
    assert (fact.kind, fact.order_id, fact.payload) == (FactKind.ORDER, "1001", body)
    assert fact.version == datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
    assert a_shop().read(OrderFacts(order=fact.payload)).id == "1001"


def test_a_wrong_document_that_names_its_order_is_kept_as_its_version() -> None:
    delivery = post(json.dumps(a_document(total=1230)).encode())
    assert [fact.order_id for fact in delivery.facts] == ["1001"]
    with pytest.raises(PayloadError):
        a_shop().read(OrderFacts(order=delivery.facts[0].payload))


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b"1", b'"x"', b'{"id": "1"}', b'{"ping": false}'])
def test_what_names_no_order_is_kept_as_a_problem(body: bytes) -> None:
    delivery = post(body)
    assert delivery.problem
    assert not delivery.facts


def test_a_ping_is_answered_and_not_kept() -> None:
    assert post(b'{"ping": true}') == Delivery(topic="ping", ping=True)


@pytest.mark.parametrize(
    "body", [b"", b"id=1", b"{", b"\xff", b'{"id": NaN}', b'{"id": "\\ud800"}', b"[" * 100_000, b'{"id": 1}x']
)
def test_what_is_no_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        post(body)


def test_nothing_is_read_before_the_signature_fits() -> None:
    with pytest.raises(SignatureError):
        a_shop("another secret than the sender's").receive({}, b"no JSON")


async def test_it_cannot_be_asked_and_says_so() -> None:
    shop: Shop = a_shop()
    pages: list[Page] = [page async for page in shop.changes(None)]
    assert (shop.can_ask, pages, shop.refund_payloads(b"[]")) == (False, [], ())
    with pytest.raises(ShopRefusedError, match="1001"):
        await shop.fetch("1001")
    await shop.close()


async def test_a_check_names_weak_secrets_without_showing_them() -> None:
    strong, weak = await a_shop(KEY, "weak").check()
    assert (strong.ok, weak.ok) == (True, False)
    assert "weak" not in weak.message
    assert KEY not in strong.message


def test_the_platform_is_registered() -> None:
    assert load_shop("generic") is GenericShop


# -- the published schema ------------------------------------------------------


def accepts(document: Any) -> bool:
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return bool(jsonschema.Draft202012Validator(schema(), format_checker=checker).is_valid(document))


def test_the_published_schema_is_the_one_that_is_enforced() -> None:
    """After a change to the models write it anew: json.dumps(schema(), indent=2, ensure_ascii=False)."""
    jsonschema.Draft202012Validator.check_schema(schema())
    assert SCHEMA.read_text() == json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_schema_takes_the_examples(name: str) -> None:
    assert accepts(EXAMPLES[name])


# What JSON Schema cannot say: unique ids, zones and years of times, and that Python's `$` also ends before a line break.
BEYOND_SCHEMA = ("repeats", "updated_at", "give tax_rate")
REFUSED = [changes for changes, said in WRONG if not any(word in said for word in BEYOND_SCHEMA)]
REFUSED.remove({"total": "12.30\n"})


@pytest.mark.parametrize("changes", REFUSED)
def test_the_schema_refuses_what_we_refuse(changes: dict[str, Any]) -> None:
    assert not accepts(a_document(**changes))


def mappings(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for below in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from mappings(below)


def test_one_example_has_every_field_of_the_schema() -> None:
    documented = {name for part in mappings(schema()) for name in part.get("properties", {})}
    assert {name for part in mappings(EXAMPLES["everything"]) for name in part} == documented


# -- anything at all -------------------------------------------------------------

any_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["1", "12.30", "paid", "EUR"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def survives(body: bytes) -> None:
    try:
        delivery = post(body)
    except UnreadableError:
        delivery = Delivery()
    assert not (delivery.facts and delivery.problem)
    try:
        assert isinstance(a_shop().read(OrderFacts(order=body)), Order)
    except PayloadError as error:
        str(error).encode()


@given(any_json.map(encoded) | st.binary())
def test_any_body_is_an_order_or_an_error_of_ours(body: bytes) -> None:
    survives(body)


def paths(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield (*at, key)
        yield from paths(value, (*at, key))


@settings(max_examples=300)
@given(
    st.sampled_from(list(paths(EXAMPLES["everything"]))),
    any_json | st.decimals().map(str) | st.from_regex(r"-?[0-9]{0,14}(\.[0-9]{0,3})?"),
)
def test_any_value_in_any_field_is_an_order_or_an_error_of_ours(path: tuple[Any, ...], value: Any) -> None:
    document = json.loads(json.dumps(EXAMPLES["everything"]))
    node = document
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    survives(encoded(document))
