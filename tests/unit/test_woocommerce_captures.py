"""Everything that was captured from real shops goes through, and comes out as it should."""

import json
from decimal import Decimal

import pytest

from syncd.domain.order import Lifecycle, Order, PaymentState
from syncd.shops.port import FactKind, OrderFacts
from tests.woocommerce import Capture, a_shop, an_order, capture, captures, order_bodies, read

WEBHOOKS = [made for made in captures() if made.is_webhook]
ORDERS = dict(order_bodies())

# Signed bodies that are no orders, and the word that must be in what a person is told.
PROBLEMS = {
    "incl-sync-error-body.01.order.updated": "rest_no_route",
    "incl-sync-error-body.02.order.created": "rest_no_route",
    "webhook-user-without-permission.01.order.created": "shop manager",
    "webhook-api-v1-v2-versions.02.order.created": "API version to v3",
}


def lines_of(order: Order) -> list[str]:
    """Each line as kind, gross, rates."""
    return [
        " ".join(
            [
                line.kind.value,
                str(line.gross),
                *(f"{tax.rate:f}" if tax.rate is not None else "?" for tax in line.taxes),
            ]
        )
        for line in order.lines
    ]


def test_all_of_them_are_here() -> None:
    assert (len(captures()), len(WEBHOOKS), len(ORDERS)) == (301, 221, 226)


@pytest.mark.parametrize("made", WEBHOOKS, ids=lambda made: made.name)
def test_a_webhook_is_taken_for_what_it_is(made: Capture) -> None:
    delivery = a_shop().receive(made.headers, made.body)
    kinds = [(fact.kind, fact.order_id) for fact in delivery.facts]
    what = made.name.split(".", 2)[2]
    if made.name in PROBLEMS:
        assert PROBLEMS[made.name] in delivery.problem
        assert not kinds
    elif what == "ping":
        assert delivery.ping
    elif what.startswith(("product", "customer", "coupon")):
        assert delivery.ignored
        assert not kinds
    elif what.startswith("action."):
        assert kinds == [(FactKind.HINT, str(made.json["arg"]))]
    else:
        kind = FactKind.DELETED if what == "order.deleted" else FactKind.ORDER
        assert kinds == [(kind, str(made.json["id"]))]
    assert delivery.topic == ("ping" if what == "ping" else made.headers["x-wc-webhook-topic"])


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_reads_to_the_cent_and_without_doubts(name: str) -> None:
    order = a_shop().read(OrderFacts(order=ORDERS[name]))
    assert sum(line.gross for line in order.lines) == order.total
    assert order.doubts == ()
    assert all(tax.rate is not None for line in order.lines for tax in line.taxes)
    assert order.created_at.tzinfo is not None


@pytest.mark.parametrize("name", sorted({made.name for made in captures() if made.name.endswith("rest-refunds")}))
def test_refund_details_explain_the_order_s_own_list(name: str) -> None:
    shop, details = a_shop(), capture(name)
    payloads = shop.refund_payloads(details.body)
    scenario = name.partition(".")[0]
    before = [made for made in captures() if made.name.startswith(f"{scenario}.") and made.name < name]
    body = next(made.body for made in reversed(before) if made.name.split(".")[2] in {"order", "rest-order"})
    order = shop.read(OrderFacts(order=body, refunds=payloads))
    assert order.doubts == ()
    assert {refund.id for refund in order.refunds} == {str(json.loads(payload)["id"]) for payload in payloads}
    for refund in order.refunds:
        assert refund.detailed
        if refund.lines:
            assert sum(line.gross for line in refund.lines) == refund.amount
        assert {line.line_id for line in refund.lines} <= {line.id for line in order.lines}


@pytest.mark.parametrize(
    ("name", "total", "lines"),
    [
        ("incl-single-bacs.04", "24.80", ["article 19.90 23", "shipping 4.90 23"]),
        (
            "incl-mixed-mbway.03",
            "63.30",
            ["article 14.50 6", "article 24.00 13", "article 19.90 23", "shipping 4.90 23"],
        ),
        ("incl-shipping-untaxed.02", "21.90", ["article 19.90 23", "shipping 2.00"]),
        ("incl-free-shipping-coupon.02", "19.90", ["article 19.90 23", "shipping 0.00"]),
        ("incl-giftcard-untaxed.02", "49.80", ["article 25.00", "article 19.90 23", "shipping 4.90 23"]),
        ("incl-us-export.02", "114.31", ["article 16.18", "article 73.13", "shipping 25.00"]),
        ("incl-zero-total.02", "0.00", ["article 0.00 23", "article 0.00 6", "shipping 0.00"]),
        ("incl-fee-negative-single-rate.02", "22.96", ["article 19.90 23", "shipping 4.90 23", "fee -1.84 23"]),
    ],
)
def test_lines_have_the_rates_that_the_shop_charged(name: str, total: str, lines: list[str]) -> None:
    order = read(an_order(name))
    assert order.total == Decimal(total)
    assert lines_of(order) == lines


@pytest.mark.parametrize(
    ("name", "lifecycle", "payment"),
    [
        ("incl-multibanco-paid-later.01", Lifecycle.OPEN, PaymentState.UNPAID),
        ("incl-multibanco-paid-later.04", Lifecycle.OPEN, PaymentState.PAID),
        ("incl-cod-fee.02", Lifecycle.OPEN, PaymentState.UNPAID),  # cash on delivery is processed unpaid
        ("incl-cod-fee.03", Lifecycle.OPEN, PaymentState.PAID),
        ("incl-zero-total.02", Lifecycle.OPEN, PaymentState.PAID),
        ("incl-pending-cancelled.03", Lifecycle.CANCELLED, PaymentState.UNPAID),
        ("incl-completed-then-cancelled.04", Lifecycle.CANCELLED, PaymentState.PAID),
        ("incl-failed-then-paid.01", Lifecycle.CANCELLED, PaymentState.UNPAID),
        ("incl-failed-then-paid.03", Lifecycle.OPEN, PaymentState.PAID),
        ("incl-refund-full-lines.04", Lifecycle.REFUNDED, PaymentState.PAID),
        ("incl-trash-restore.05", Lifecycle.DELETED, PaymentState.UNPAID),
        ("legacy-incl-block-draft-abandoned.01", Lifecycle.DRAFT, PaymentState.UNPAID),
    ],
)
def test_states_mean_what_they_mean(name: str, lifecycle: Lifecycle, payment: PaymentState) -> None:
    order = read(an_order(name))
    assert (order.lifecycle, order.payment) == (lifecycle, payment)


def test_how_prices_were_typed_changes_no_amount() -> None:
    typed_gross, typed_net = read(an_order(prices_include_tax=True)), read(an_order(prices_include_tax=False))
    assert (typed_gross.prices_include_tax, typed_net.prices_include_tax) == (True, False)
    assert typed_gross.lines == typed_net.lines
