"""Thirty cases of Portuguese invoicing: order, seller and event in, documents or a hold out."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from syncd.domain.document import DocumentDraft, DocumentKind
from syncd.domain.money import Money, cents
from syncd.domain.order import Address, Buyer, LineKind, Order, OrderLine, Payment, PaymentState, TaxLine
from syncd.domain.states import DocumentState
from syncd.mapping.known import KnownDocument
from syncd.mapping.planner import Plan, plan
from syncd.mapping.policy import PaidDocument, Policy
from syncd.mapping.tables import SAFT_REGION
from tests.builders import PAID_AT, a_policy, a_refund

EXAMPLES = json.loads(Path(__file__).parents[1].joinpath("data/fiscal/worked-examples.json").read_text("utf-8"))[
    "examples"
]


def line_of(told: dict[str, Any], number: int, rate: Decimal, included: bool, **changes: Any) -> OrderLine:
    quantity = Decimal(told.get("quantity", "1"))
    listed = Decimal(told.get("unit_price", told.get("amount", "0"))) * quantity
    paid = listed - Decimal(told.get("discount", "0"))
    factor = 1 + rate / 100
    net, gross = (cents(paid / factor), paid) if included else (paid, cents(paid * factor))
    list_net, list_gross = (cents(listed / factor), listed) if included else (listed, cents(listed * factor))
    values: dict[str, Any] = {
        "id": str(number),
        "name": told.get("description", "Portes de envio"),
        "sku": told.get("sku", ""),
        "quantity": quantity,
        "net": net,
        "gross": gross,
        "list_net": list_net,
        "list_gross": list_gross,
        "taxes": (TaxLine(rate=rate, amount=gross - net),) if rate else (),
    }
    return OrderLine(**{**values, **changes})


def order_of(example: dict[str, Any]) -> Order:
    told, documents = example["order"], example["expected"]["documents"]
    included = told["prices_include_tax"]
    rates = {line["code"]: Decimal(line["vat_rate"]) for line in documents[0]["lines"]} if documents else {}
    grosses = {line["code"]: Decimal(line["gross"]) for line in documents[0]["lines"]} if documents else {}
    lines = []
    for number, line in enumerate(told["lines"], start=1):
        charged = line.get("shop_tax_rate")
        rate = Decimal(charged) if charged is not None else rates.get(line["sku"], Decimal(0))
        made = line_of(line, number, rate, included)
        if told["order_discount"]:  # a shop tells its own allocation
            gross = grosses[line["sku"]]
            net = cents(gross / (1 + rate / 100))
            made = replace(made, gross=gross, net=net, taxes=(TaxLine(rate=rate, amount=gross - net),))
        lines.append(made)
    if told["shipping"]:
        rate = next((rate for code, rate in rates.items() if code.startswith("PORTES")), Decimal(0))
        lines.append(line_of(told["shipping"], 99, rate, included, kind=LineKind.SHIPPING))
    customer = told["customer"]
    address = Address(
        name=customer["name"] or "",
        company=(customer["name"] or "") if customer["kind"] == "business" else "",
        street=customer.get("address") or "",
        postcode=customer["postal_code"] or "",
        city="Cidade",
        country=customer["country"],
    )
    total = sum((line.gross for line in lines), Decimal(0))
    return Order(
        shop="loja",
        id=example["id"],
        number=example["id"],
        updated_at=PAID_AT,
        created_at=PAID_AT,
        state="processing",
        currency=told["currency"],
        prices_include_tax=included,
        total=total,
        lines=tuple(lines),
        buyer=Buyer(
            name=customer["name"] or "" or "", tax_id=customer.get("tax_id") or "", billing=address, shipping=address
        ),
        payment=PaymentState.PAID,
        paid_at=PAID_AT,
        payments=(Payment(gateway=told["payment_method"], amount=Money(total, "EUR")),),
    )


def policy_of(example: dict[str, Any]) -> Policy:
    seller = example["seller"]
    return a_policy(
        region=SAFT_REGION[seller["established"]],
        ship_from=SAFT_REGION[seller["ship_from"]],
        regime=seller["regime"],
        oss=seller["oss"],
        retailer=seller["retailer"],
        paid_document=PaidDocument(seller["paid_document"]),
        shipping_follows_goods=True,
        services=frozenset(line["sku"] for line in example["order"]["lines"] if line["nature"] == "service"),
    )


def planned(example: dict[str, Any]) -> tuple[list[DocumentDraft], Plan]:
    """The documents of an example's events in their order."""
    order, policy = order_of(example), policy_of(example)
    accepted = frozenset({"vies_unconfirmed"}) if example["order"]["customer"].get("vies_valid") else frozenset()
    documents: list[DocumentDraft] = []

    def step(now: Order, **changes: Any) -> Plan:
        known = tuple(KnownDocument(key=d.key, state=DocumentState.ISSUED, draft=d) for d in documents)
        made = plan(now, known, replace(policy, **changes), accepted)
        documents.extend(made.documents)
        return made

    if example["event"].startswith("fulfilled"):
        step(replace(order, payment=PaymentState.UNPAID, paid_at=None, payments=()), unpaid_document=True)
    made = step(order)
    refunds: tuple[Any, ...] = ()
    for number, refund in enumerate(_listed(example.get("refund"))):
        named = [
            (str(line["line"]), line["quantity"], str(Decimal(refund["amount"])))
            for line in refund["lines"]
            if len(refund["lines"]) == 1  # a refund of everything need not say how much is whose
        ]
        at = PAID_AT + timedelta(hours=number)
        refunds = (*refunds, a_refund(refund["amount"], *named, id=f"{number}", created_at=at))
        made = step(replace(order, refunds=refunds))
    return documents, made


def _listed(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


@pytest.mark.parametrize("example", EXAMPLES, ids=[f"{e['id']} {e['title']}" for e in EXAMPLES])
def test_worked_example(example: dict[str, Any]) -> None:
    documents, made = planned(example)
    expected = example["expected"]
    if example["event"] == "refunded":  # tells of the refund alone, its invoice is another example's
        documents = documents[1:]
    assert [document.kind.value for document in documents] == [d["kind"] for d in expected["documents"]], made.holds
    assert [hold.code for hold in made.holds] == ([expected["hold"]["code"]] if expected["hold"] else [])
    for document, told in zip(documents, expected["documents"], strict=True):
        if document.kind is DocumentKind.RC:
            assert str(document.totals.gross) == told["amount"]
            assert document.payment == told["payment_mechanism"]
            continue
        assert document.region == told["tax_region"]
        if document.kind is not DocumentKind.FT:
            assert document.payment == told["payment_mechanism"]
        taxes = [(tax.rate, tax.exemption, str(tax.base), str(tax.tax)) for tax in document.taxes]
        assert taxes == [(Decimal(t["rate"]), t["exemption"], t["base"], t["tax"]) for t in told["taxes"]]
        assert str(document.totals.gross) == told["totals"]["gross"]
        assert document.expected.gross == document.totals.gross
        shown = [(line.code, str(line.net), str(line.tax), str(line.gross)) for line in document.lines]
        assert shown == [(line["code"], line["net"], line["tax"], line["gross"]) for line in told["lines"]]
