"""Documents: what is to be issued, and what was."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from syncd.domain.customer import Customer
from syncd.domain.money import ZERO, Exchange


class DocumentKind(StrEnum):
    """SAF-T names; RC stands for an ordinary receipt, as the services call it."""

    FT = "FT"
    FR = "FR"
    FS = "FS"
    RC = "RC"
    NC = "NC"
    ND = "ND"


SALES = frozenset({DocumentKind.FT, DocumentKind.FR, DocumentKind.FS})


@dataclass(frozen=True, slots=True, order=True)
class DocumentKey:
    """Names a document before it exists. `part` is its cause: `sale`, `payment`, `refund-55`, `edit-1`."""

    account: str
    shop: str
    order_id: str
    kind: DocumentKind
    part: str

    def __str__(self) -> str:
        return f"{self.account}/{self.shop}/{self.order_id}/{self.kind}/{self.part}"


class Nature(StrEnum):
    """Goods or service: decides limits and places of taxation."""

    GOODS = "goods"
    SERVICE = "service"


class PriceMode(StrEnum):
    """What the unit prices of a document hold; a service decides it by series."""

    NET = "net"
    GROSS = "gross"  # VAT included


def place_of(kind: DocumentKind, series: str) -> str:
    """A name for the series of a kind of document, where that is the account's own for it ("") as well."""
    return f"{kind} {series}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Two decimals each; `gross == net + tax` unless a manual rounding stands between them."""

    net: Decimal
    tax: Decimal
    gross: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftLine:
    """One line. `net`, `tax`, `gross` are the fiscal amounts; `unit_price` (before discounts) is what is sent.

    `line_id` is the order line it comes from. On a credit note `original` is the position (0-based) of the original
    document's line that it corrects. Discounts and `vat_rate` are in per cent: first `discount`, then each of
    `successive`, of what those before it left. `exemption` is a code such as M05 and stands if and only if the rate is
    zero. `why` are codes of the rules that gave rate, place and article.
    """

    line_id: str
    code: str
    description: str
    nature: Nature
    quantity: Decimal
    unit_price: Decimal
    discount: Decimal
    vat_rate: Decimal
    exemption: str | None
    net: Decimal
    tax: Decimal
    gross: Decimal
    original: int | None = None
    why: str = ""
    successive: tuple[Decimal, ...] = ()

    @property
    def discounts(self) -> tuple[Decimal, ...]:
        """Its percentages in their sequence; none where there is no discount."""
        return (self.discount, *self.successive) if self.discount else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxTotal:
    """Base and tax of one rate (or one exemption)."""

    rate: Decimal
    exemption: str | None
    base: Decimal
    tax: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The document that this one corrects or settles; `amount` is what it takes of it (gross)."""

    key: DocumentKey
    amount: Decimal
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Covered:
    """How much (gross) of an order's line a document takes care of; negative on what takes some of it back."""

    line_id: str
    gross: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentDraft:
    """A document that should exist.

    `lines` and `totals` are the fiscal truth. `expected` is what the service's own arithmetic must answer for the
    unit prices and the manual `rounding` that are sent: per line, then the totals. Its gross equals the fiscal gross.
    `covers` is what a later state of the order is compared with, those lines included that policy left out.
    """

    key: DocumentKey
    customer: Customer
    lines: tuple[DraftLine, ...]
    taxes: tuple[TaxTotal, ...]
    totals: Amounts
    expected_lines: tuple[Amounts, ...]
    expected: Amounts
    rounding: Decimal = ZERO
    region: str = "PT"  # SAF-T TaxCountryRegion
    payment: str = ""  # SAF-T PaymentMechanism, empty where no money moved
    references: tuple[Reference, ...] = ()
    notes: str = ""  # printed on the document
    due_at: datetime  # since when it should exist; the oldest goes first
    price_mode: PriceMode = PriceMode.NET
    covers: tuple[Covered, ...] = ()
    exchange: Exchange | None = None  # where it was not paid in euro; a credit note has its original's
    series: str = ""  # of the account's names for them; "": the account's own for this kind
    why: str = ""  # in words: what made it this kind of document

    @property
    def kind(self) -> DocumentKind:
        return self.key.kind

    @property
    def place(self) -> str:
        """The series that it stands in, as far as it is known here."""
        return place_of(self.kind, self.series)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedLine:
    """A line as the service stored it; `id` is needed for later credit notes, `article_id` saves sending the article."""

    id: str
    article_id: str = ""
    code: str = ""
    vat_rate: Decimal | None = None
    exemption: str | None = None
    net: Decimal = ZERO
    tax: Decimal = ZERO
    gross: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedDocument:
    """A document as the service answered it. `final` is False for a draft, which has no legal effect."""

    provider_id: str
    number: str
    issued_on: date
    totals: Amounts
    lines: tuple[IssuedLine, ...] = ()
    customer_id: str = ""
    customer_name: str = ""  # as it stands on the document
    marker: str = ""
    final: bool = True
    annulled: bool = False
    download_token: str = ""
