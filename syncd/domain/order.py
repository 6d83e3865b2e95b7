"""An order as every shop platform's payload is read into.

All amounts of one order are Decimals in the order's `currency`; `Money` appears only where another currency can
meet it (payments). All times are timezone-aware. Amounts of a line are for the whole line, after discounts.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from syncd.domain.money import ZERO, Exchange, Money


class LineKind(StrEnum):
    """What a line sells; shipping and fees are lines as well."""

    ARTICLE = "article"
    SHIPPING = "shipping"
    FEE = "fee"
    GIFT_CARD = "gift_card"
    TIP = "tip"


class Lifecycle(StrEnum):
    """What the platform's many states mean to us."""

    DRAFT = "draft"  # not a sale: a checkout in progress, a test order
    OPEN = "open"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"  # wholly
    DELETED = "deleted"  # gone from the shop


class PaymentState(StrEnum):
    """Money received, not authorised."""

    UNPAID = "unpaid"
    PARTIAL = "partial"
    PAID = "paid"


class RefundState(StrEnum):
    """Whether the money of a refund has moved."""

    DONE = "done"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxLine:
    """Tax that the shop charged: `rate` in per cent (None where the payload has none), `amount` for the whole line."""

    rate: Decimal | None
    amount: Decimal
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """One position. `gross` is what the customer paid for it, `gross - net` the tax that the shop charged.

    `list_gross` and `list_net` are the same before discounts; where the payload tells several of them apart, `discounts`
    says in per cent what each took of what those before it left, unrounded. `unit_price` is the price of one piece before
    discounts, in the terms of the shop's prices, where the shop tells it apart from its sums, which are rounded.
    `tax_class` and `product_type` are the platform's words, for mapping rules.
    """

    id: str
    kind: LineKind = LineKind.ARTICLE
    name: str
    sku: str = ""
    quantity: Decimal
    net: Decimal
    gross: Decimal
    list_net: Decimal
    list_gross: Decimal
    discounts: tuple[Decimal, ...] = ()
    unit_price: Decimal | None = None
    taxes: tuple[TaxLine, ...] = ()
    tax_class: str = ""
    product_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """Money received. `gateway` is the platform's id of the means, for the map to SAF-T mechanisms."""

    gateway: str
    amount: Money
    paid_at: datetime | None = None
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundLine:
    """What of an order line was given back; amounts positive. `quantity` 0 is a price reduction without a return."""

    line_id: str
    quantity: Decimal
    net: Decimal
    gross: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Money given back. `amount` (positive, gross) leads; `lines` may explain less or more of it.

    `detailed` is False while only the sum is known and the lines must still be asked for.
    """

    id: str
    created_at: datetime
    amount: Decimal
    lines: tuple[RefundLine, ...] = ()
    detailed: bool = True
    state: RefundState = RefundState.DONE
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """As the buyer typed it; empty strings for what is missing. `country` is ISO 3166-1 alpha-2 or empty."""

    name: str = ""
    company: str = ""
    street: str = ""
    postcode: str = ""
    city: str = ""
    region: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Buyer:
    """Who bought. `tax_id` is the raw text found in the payload, `tax_id_source` the field it stood in."""

    name: str = ""
    email: str = ""
    phone: str = ""
    tax_id: str = ""
    tax_id_source: str = ""
    tax_exempt: bool = False  # the shop says that it charged this buyer no VAT
    billing: Address = Address()
    shipping: Address | None = None  # None: nothing is shipped, or not told


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The newest known state of an order; `total` is the sale before refunds, tax included."""

    shop: str  # name of the shop in the settings
    id: str
    number: str  # shown to people, never a key
    updated_at: datetime
    created_at: datetime
    state: str  # the platform's own word, compared with `issue_on`
    lifecycle: Lifecycle = Lifecycle.OPEN
    currency: str
    prices_include_tax: bool
    total: Decimal
    lines: tuple[OrderLine, ...]
    buyer: Buyer
    payment: PaymentState
    paid_at: datetime | None = None
    payments: tuple[Payment, ...] = ()
    refunds: tuple[Refund, ...] = ()
    cancelled_at: datetime | None = None
    paid_in: Money | None = None  # the total in the buyer's currency, where the shop took it in another than its own
    exchange: Exchange | None = None  # how the amounts above became euro; no shop knows, the mapping does
    note: str = ""
    tags: tuple[str, ...] = ()
    discount_codes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()  # contradictions in the payload that the adapter saw: the order is held

    @property
    def sold_at(self) -> datetime:
        """When tax became due: with the money, else with the order."""
        return self.paid_at or self.created_at

    @property
    def refunded(self) -> Decimal:
        """Sum of what was given back for certain."""
        return sum((r.amount for r in self.refunds if r.state is RefundState.DONE), ZERO)
