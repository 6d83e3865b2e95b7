"""Orders as shops would write them, composed at random: what is planned comes to what was paid and given back."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from pydantic import SecretStr

from syncd.domain.document import DocumentDraft, DocumentKind
from syncd.domain.money import ZERO, cents
from syncd.domain.order import Order
from syncd.mapping.planner import Plan, plan
from syncd.shops.port import OrderFacts, ShopConfig
from syncd.shops.shopify.adapter import ShopifyShop
from tests.builders import a_policy, issued
from tests.shopify_emulator import Json, raw

D = Decimal
SHOP = ShopifyShop(ShopConfig(name="montra", url="https://montra.myshopify.com", webhook_secrets=(SecretStr("hush"),)))
POLICY = a_policy(issue_on=frozenset({"paid", "partially_refunded", "refunded"}), show_discounts=True)
HOME = {"name": "Rita Lopes", "address1": "Rua Nova 5", "zip": "1000-001", "city": "Lisboa", "country_code": "PT"}


@dataclass
class Sold:
    """A line as it was ordered, and what of it was given back."""

    quantity: int
    amount: Decimal  # after discounts, with or without tax as the shop writes prices
    rate: Decimal
    back: int = 0
    taken: list[tuple[Decimal, Decimal]] = field(default_factory=list)

    def tax(self, amount: Decimal, *, included: bool) -> Decimal:
        return cents(amount * self.rate / (1 + self.rate) if included else amount * self.rate)


class Shop:
    """One order's life at a shop that rounds as Shopify does; every figure is a cent's multiple."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.included = self.random.random() < 0.7
        self.refunds: list[Json] = []
        self.given = ZERO
        self.sold: list[Sold] = []
        items = [self._item(number) for number in range(1, self.random.randint(1, 6) + 1)]
        self.freight = self._freight()
        self.tip = cents(D(self.random.randint(50, 500)) / 100) if self.random.random() < 0.15 else ZERO
        taxes = [D(tax["price"]) for source in (*items, *self.freight) for tax in source["tax_lines"]]
        net = sum((line.amount for line in self.sold), ZERO) + sum((D(line["price"]) for line in self.freight), ZERO)
        self.total = net + self.tip + (ZERO if self.included else sum(taxes, ZERO))
        self.body: Json = {
            "id": 5001,
            "name": "#1001",
            "currency": "EUR",
            "taxes_included": self.included,
            "total_price": str(self.total),
            "total_tax": str(sum(taxes, ZERO)),
            "total_tip_received": str(self.tip),
            "created_at": "2026-11-20T10:00:00Z",
            "updated_at": "2026-11-20T10:00:05Z",
            "processed_at": "2026-11-20T10:00:00Z",
            "payment_gateway_names": [self.random.choice(["shopify_payments", "paypal", "Multibanco"])],
            "line_items": items,
            "shipping_lines": self.freight,
            "total_outstanding": "0.00",
            "billing_address": HOME,
            "shipping_address": HOME,
        }

    def read(self) -> Order:
        back = "refunded" if self.given == self.total else "partially_refunded"
        return SHOP.read(
            OrderFacts(
                order=raw(
                    self.body
                    | {
                        "financial_status": back if self.refunds else "paid",
                        "current_total_price": str(self.total - self.given),
                        "refunds": self.refunds,
                    }
                )
            )
        )

    def give_back(self) -> bool:
        """One more refund of any kind; False where nothing is left for it."""
        kind = self.random.choice(["pieces", "pieces", "shipping", "amount", "everything"])
        lines, amount = self._pieces(kind) if kind in {"pieces", "everything"} else ([], ZERO)
        adjustments = []
        if kind == "shipping" and self.freight and not any(refund["order_adjustments"] for refund in self.refunds):
            tax = sum((D(tax["price"]) for tax in self.freight[0]["tax_lines"]), ZERO)
            net = D(self.freight[0]["price"]) - (tax if self.included else ZERO)
            adjustments.append({"kind": "shipping_refund", "amount": str(-net), "tax_amount": str(-tax)})
            amount += net + tax
        rest = self.total - self.given - amount
        if kind == "amount" and rest > D("0.02"):
            more = cents(rest * self.random.randint(1, 50) / 100)
            adjustments.append({"kind": "refund_discrepancy", "amount": str(-more), "tax_amount": "0.00"})
            amount += more
        if kind == "pieces" and amount > 2 and self.random.random() < 0.2:  # a fee for taking it back is kept
            adjustments.append({"kind": "refund_discrepancy", "amount": "1.00", "tax_amount": "0.00"})
            amount -= 1
        if not 0 < amount <= self.total - self.given:
            return False
        self.given += amount
        number = len(self.refunds)
        move = {"id": 70 + number, "kind": "refund", "status": "success", "amount": str(amount), "currency": "EUR"}
        self.refunds.append(
            {
                "id": 900 + number,
                "created_at": f"2026-11-21T10:0{number}:00Z",
                "refund_line_items": lines,
                "order_adjustments": adjustments,
                "transactions": [move],
            }
        )
        return True

    def _item(self, number: int) -> Json:
        price, quantity = D(self.random.randint(1, 15_000)) / 100, self.random.choice([1, 1, 1, 2, 3, 5, 12])
        full = price * quantity
        discount = cents(full * self.random.choice([0, 0, 0, 7, 10, 33, 100]) / 100)
        line = Sold(quantity, full - discount, D(self.random.choice(["0.23", "0.13", "0.06"])))
        self.sold.append(line)
        return {
            "id": number,
            "name": f"Artigo {number}",
            "sku": f"ART-{number}",
            "quantity": quantity,
            "price": str(price),
            "discount_allocations": self._allocated(discount),
            "tax_lines": [self._tax(line.rate, line.tax(line.amount, included=self.included))],
        }

    def _allocated(self, discount: Decimal) -> list[Json]:
        """All of it to one code, or to two that were used together."""
        first = cents(discount * self.random.choice([0, 0, 50, 80]) / 100)
        return [{"amount": str(part)} for part in (first, discount - first) if part]

    def _freight(self) -> list[Json]:
        """Shipping at one rate, or at those of the goods in proportion."""
        if self.random.random() < 0.4:
            return []
        price = D(self.random.randint(100, 1_500)) / 100
        rates = {line.rate for line in self.sold if line.amount}
        paid = {rate: sum((line.amount for line in self.sold if line.rate == rate), ZERO) for rate in rates}
        if not paid or self.random.random() < 0.5:
            paid = {D("0.23"): D(1)}
        whole = sum(paid.values(), ZERO)
        taxes = [
            self._tax(rate, Sold(1, ZERO, rate).tax(price * part / whole, included=self.included))
            for rate, part in sorted(paid.items())
        ]
        return [{"id": 101, "title": "CTT", "price": str(price), "discounted_price": str(price), "tax_lines": taxes}]

    def _pieces(self, kind: str) -> tuple[list[Json], Decimal]:
        lines, total = [], ZERO
        for number, line in enumerate(self.sold, start=1):
            left = line.quantity - line.back
            if not left or (kind == "pieces" and self.random.random() < 0.5):
                continue
            pieces = left if kind == "everything" else self.random.randint(1, left)
            line.back += pieces
            amount = cents(line.amount * pieces / line.quantity)
            tax = line.tax(amount, included=self.included)
            if line.back == line.quantity:  # the last ones take what is left
                amount = line.amount - sum((was for was, _ in line.taken), ZERO)
                tax = line.tax(line.amount, included=self.included) - sum((was for _, was in line.taken), ZERO)
            line.taken.append((amount, tax))
            total += amount + (ZERO if self.included else tax)
            lines.append({"line_item_id": number, "quantity": pieces, "subtotal": str(amount), "total_tax": str(tax)})
        return lines, total

    @staticmethod
    def _tax(rate: Decimal, amount: Decimal) -> Json:
        return {"title": "IVA", "rate": str(rate), "price": str(amount)}


def net_of(documents: Sequence[DocumentDraft]) -> Decimal:
    return sum((-d.totals.gross if d.kind is DocumentKind.NC else d.totals.gross for d in documents), ZERO)


@pytest.mark.parametrize("start", range(0, 200, 50))
def test_documents_come_to_what_was_paid_and_given_back_after_every_step(start: int) -> None:
    for seed in range(start, start + 50):
        shop = Shop(seed)
        order = shop.read()
        if not order.total:
            continue
        documents = list(settled(plan(order, (), POLICY), order))
        assert net_of(documents) == shop.total, seed
        for _ in range(4):
            if not shop.give_back():
                continue
            order = shop.read()
            documents.extend(settled(plan(order, issued(*documents), POLICY), order))
            assert net_of(documents) == shop.total - shop.given, seed
            assert plan(order, issued(*documents), POLICY).documents == (), seed
        if shop.given == shop.total:
            assert not any(by_rate(documents).values()), seed


def settled(made: Plan, order: Order) -> tuple[DocumentDraft, ...]:
    assert (made.holds, order.doubts) == ((), ())
    return made.documents


def by_rate(documents: Sequence[DocumentDraft]) -> dict[Decimal, Decimal]:
    """The base of each rate that is left of all documents."""
    left: dict[Decimal, Decimal] = {}
    for document in documents:
        for tax in document.taxes:
            base = -tax.base if document.kind is DocumentKind.NC else tax.base
            left[tax.rate] = left.get(tax.rate, ZERO) + base
    return left
