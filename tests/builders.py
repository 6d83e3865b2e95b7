"""Orders, policies and drafts for tests: ordinary by default, special only in what a test names."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from syncd.domain.capabilities import Arithmetic, Capabilities, Limits
from syncd.domain.document import Amounts, DocumentDraft, DocumentKind, IssuedDocument, IssuedLine
from syncd.domain.facts import Fact
from syncd.domain.money import Money, cents
from syncd.domain.order import (
    Address,
    Buyer,
    LineKind,
    Order,
    OrderLine,
    Payment,
    PaymentState,
    Refund,
    RefundLine,
    TaxLine,
)
from syncd.domain.states import DocumentState
from syncd.intake.receive import incoming
from syncd.mapping.known import KnownDocument
from syncd.mapping.planner import plan
from syncd.mapping.policy import Policy
from syncd.store.events import Incoming

PAID_AT = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
LISBON_BUYER = Buyer(
    name="Rita Lopes",
    email="rita@loja.example",
    billing=Address(name="Rita Lopes", street="Rua Nova 5", postcode="1000-001", city="Lisboa", country="PT"),
)

LIMITS = Limits(
    name=150,
    street=100,
    postcode=15,
    city=50,
    article_code=30,
    description=200,
    notes=200,
    price_decimals=10,
    discount_decimals=5,
    discounts=3,
)
ABLE = Capabilities(
    kinds=frozenset(DocumentKind),
    drafts=True,
    arithmetic=Arithmetic.LINE,
    rounding=Decimal("0.03"),
    whole_rates=True,
    exempt_simplified=False,
    rate_limit=100,
    limits=LIMITS,
)


def a_policy(**changes: Any) -> Policy:
    settings: dict[str, Any] = {
        "account": "main",
        "capabilities": ABLE,
        "arithmetic": Arithmetic.LINE,
        "issue_on": frozenset({"processing", "completed", "paid"}),
    }
    return Policy(**{**settings, **changes})


def a_line(  # a line of the given gross amount, VAT inside
    gross: str = "12.30",
    *,
    rate: str | None = "23",
    quantity: str = "1",
    kind: LineKind = LineKind.ARTICLE,
    name: str = "Caneca",
    sku: str = "CAN-1",
    id: str = "1",  # noqa: A002 - the field's own name
    list_gross: str | None = None,
    **changes: Any,
) -> OrderLine:
    paid, list_ = Decimal(gross), Decimal(list_gross or gross)
    factor = 1 + Decimal(rate or 0) / 100
    net = cents(paid / factor)
    taxes = () if rate is None else (TaxLine(rate=Decimal(rate), amount=paid - net),)
    values: dict[str, Any] = {
        "id": id,
        "kind": kind,
        "name": name,
        "sku": sku,
        "quantity": Decimal(quantity),
        "net": net,
        "gross": paid,
        "list_net": cents(list_ / factor),
        "list_gross": list_,
        "taxes": taxes,
    }
    return OrderLine(**{**values, **changes})


def shipping(gross: str = "4.90", *, rate: str | None = "23", **changes: Any) -> OrderLine:
    return a_line(gross, rate=rate, kind=LineKind.SHIPPING, name="Portes de envio", sku="", id="ship", **changes)


def an_order(*lines: OrderLine, gateway: str = "stripe", **changes: Any) -> Order:
    lines = lines or (a_line(),)
    total = sum((line.gross for line in lines), Decimal("0.00"))
    values: dict[str, Any] = {
        "shop": "loja",
        "id": "1001",
        "number": "1001",
        "updated_at": PAID_AT,
        "created_at": PAID_AT,
        "state": "processing",
        "currency": "EUR",
        "prices_include_tax": True,
        "total": total,
        "lines": tuple(lines),
        "buyer": LISBON_BUYER,
        "payment": PaymentState.PAID,
        "paid_at": PAID_AT,
        "payments": (Payment(gateway=gateway, amount=Money(total, "EUR"), paid_at=PAID_AT),),
    }
    return Order(**{**values, **changes})


def a_refund(amount: str, *lines: tuple[str, str, str], id: str = "55", **changes: Any) -> Refund:  # noqa: A002
    """Lines are (line id, quantity, gross)."""
    named = tuple(
        RefundLine(
            line_id=line, quantity=Decimal(quantity), net=cents(Decimal(gross) / Decimal("1.23")), gross=Decimal(gross)
        )
        for line, quantity, gross in lines
    )
    values: dict[str, Any] = {"id": id, "created_at": PAID_AT, "amount": Decimal(amount), "lines": named}
    return Refund(**{**values, **changes})


def a_draft(order: Order | None = None, policy: Policy | None = None) -> DocumentDraft:
    """The draft of an ordinary paid order."""
    made = plan(order or an_order(), (), policy or a_policy())
    assert made.documents, made
    return made.documents[0]


def issued(*drafts: DocumentDraft, state: DocumentState = DocumentState.ISSUED) -> tuple[KnownDocument, ...]:
    """Drafts as the ledger knows them."""
    return tuple(KnownDocument(key=draft.key, state=state, draft=draft) for draft in drafts)


def grosses(documents: Sequence[DocumentDraft]) -> list[tuple[str, str]]:
    return [(draft.kind.value, str(draft.totals.gross)) for draft in documents]


def hold_code(order: Order, policy: Policy | None = None) -> str:
    """The code of the hold that keeps an order without documents; empty if nothing is due."""
    made = plan(order, (), policy or a_policy())
    assert not made.documents
    return made.holds[0].code if made.holds else ""


def an_event(fact: Fact, at: datetime = PAID_AT) -> Incoming:
    """What shop `loja` says, as the store takes it, received at that time."""
    return replace(incoming("loja", "main", fact, source="webhook"), received_at=at)


def an_answer(number: int, draft: DocumentDraft) -> IssuedDocument:
    """A draft as a service would have issued it: under this id and number, to the cent."""
    lines = tuple(IssuedLine(id=f"{number}-{position}") for position, _ in enumerate(draft.lines))
    totals = Amounts(net=draft.expected.net, tax=draft.expected.tax, gross=draft.expected.gross)
    return IssuedDocument(
        provider_id=str(number), number=f"{draft.kind} A/{number}", issued_on=PAID_AT.date(), totals=totals, lines=lines
    )
