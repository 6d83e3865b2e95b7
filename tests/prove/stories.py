"""Orders as a shop tells of them: paid, refunded, cancelled, told twice, and told in any order."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from syncd.dispatch.reconciler import Desk
from syncd.domain.facts import Fact, FactKind
from syncd.mapping.policy import PaidDocument
from syncd.providers.billpt.adapter import BillPt
from syncd.shops.generic.adapter import TOPIC, GenericShop
from syncd.shops.port import ShopConfig
from syncd.store.events import Incoming
from tests.builders import a_policy, an_event

TAX_NUMBERS = ("212345672", "508225280")
ARTICLES = (("CAN-1", "Caneca", 23), ("LIV-1", "Livro", 6), ("VIN-1", "Vinho", 13), ("CAM-1", "Camisola", 23))


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """An order's states in the order in which they came to be, and what the last one must end in.

    `kept` is what the merchant has in the end: the sale less all that was given back.
    """

    order_id: str
    states: tuple[dict[str, Any], ...]
    total: Decimal
    kept: Decimal
    cancelled: bool = False
    refunds: int = 0

    def incoming(self, state: int, at: datetime) -> Incoming:
        """A state as the store takes it, received at that time."""
        told = self.states[state]
        version = datetime.fromisoformat(told["updated_at"])
        fact = Fact(
            kind=FactKind.ORDER, order_id=self.order_id, topic=TOPIC, payload=orjson.dumps(told), version=version
        )
        return an_event(fact, at)


def a_desk(
    paid_document: PaidDocument = PaidDocument.FR,
    *,
    unpaid_document: bool = False,
    learns_arithmetic: bool = True,
    show_discounts: bool = False,
) -> Desk:
    """A shop of our own document at a Bill.pt account."""
    policy = a_policy(
        capabilities=BillPt.capabilities,
        paid_document=paid_document,
        unpaid_document=unpaid_document,
        issue_on=frozenset({"paid", "unpaid"} if unpaid_document else {"paid"}),
        unknown_payment="OU",
        payments={"stripe": "CC"},
        learns_arithmetic=learns_arithmetic,
        show_discounts=show_discounts,
    )
    return Desk(shop=GenericShop(ShopConfig(name="loja", url="", webhook_secrets=())), policy=policy)


def a_story(number: int, chance: random.Random, since: datetime) -> Story:
    """Some order with some life."""
    lines = _lines(chance)
    total = sum((Decimal(line["gross"]) for line in lines), Decimal("0.00"))
    base = {
        "id": str(number),
        "created_at": _text(since, 0),
        "payment": "paid",
        "paid_at": _text(since, 1),
        "payments": [{"gateway": "stripe", "amount": str(total)}],
        "total": str(total),
        "lines": lines,
        "buyer": _buyer(chance),
    }
    states: list[dict[str, Any]] = []
    if chance.random() < 0.3:
        states.append({**base, "payment": "unpaid", "payments": [], "paid_at": None})
    states.append(base)
    kept, cancelled = total, False
    refunds: list[dict[str, Any]] = []
    for kind in chance.choices(
        ("none", "refund", "refund, rest", "all", "cancel", "refund, cancel"), (5, 2, 2, 1, 2, 1)
    )[0].split(", "):
        at = _text(since, len(states) + 1)
        if kind == "cancel":
            states.append({**states[-1], "cancelled_at": at})
            kept, cancelled = Decimal("0.00"), True
        elif kind != "none":
            # Each line is given back whole and once: "refund" the first one, "rest" and "all" whatever is left.
            done = {line["line_id"] for refund in refunds for line in refund["lines"]}
            back = [line for line in lines if line["id"] not in done][: 1 if kind == "refund" else None]
            if not back:
                continue
            amount = sum((Decimal(line["gross"]) for line in back), Decimal("0.00"))
            given = [{"line_id": line["id"], "quantity": line["quantity"], "gross": line["gross"]} for line in back]
            refunds = [*refunds, {"id": f"r{len(refunds)}", "created_at": at, "amount": str(amount), "lines": given}]
            states.append({**states[-1], "refunds": refunds})
            kept -= amount
    dated = [state | {"updated_at": _text(since, minute)} for minute, state in enumerate(states)]
    return Story(
        order_id=str(number),
        states=tuple(dated),
        total=total,
        kept=kept,
        cancelled=cancelled,
        refunds=len(refunds),
    )


def _lines(chance: random.Random) -> list[dict[str, Any]]:
    lines = []
    for position, (sku, name, rate) in enumerate(chance.sample(ARTICLES, chance.choice((1, 1, 2, 3))), start=1):
        gross = Decimal(chance.choice((500, 999, 1230, 2500, 4999, 10_000)) * chance.choice((1, 1, 2))) / 100
        line = {"id": str(position), "name": name, "sku": sku, "quantity": 1, "gross": f"{gross:.2f}", "tax_rate": rate}
        if chance.random() < 0.2:
            line["list_gross"] = f"{gross + 3:.2f}"
        lines.append(line)
    if chance.random() < 0.3:
        lines.append(
            {"id": "ship", "kind": "shipping", "name": "Portes", "quantity": 1, "gross": "4.90", "tax_rate": 23}
        )
    return lines


def _buyer(chance: random.Random) -> dict[str, Any]:
    if chance.random() < 0.5:
        return {}
    number = chance.choice(TAX_NUMBERS)
    address = {
        "name": f"Cliente {number}",
        "street": "Rua Nova 5",
        "postcode": "4000-100",
        "city": "Porto",
        "country": "PT",
    }
    return {"name": f"Cliente {number}", "email": f"{number}@loja.example", "tax_id": number, "billing": address}


def _text(since: datetime, minutes: int) -> str:
    return (since + timedelta(minutes=minutes)).isoformat()
