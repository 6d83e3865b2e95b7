"""What the merchant decided: how orders of one shop become documents at one account."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from syncd.domain.capabilities import Arithmetic, Capabilities, Profile
from syncd.domain.document import DocumentKind, Nature, PriceMode, place_of


class PaidDocument(StrEnum):
    """What a paid order becomes."""

    FR = "FR"
    FS = "FS"  # within its limits, else FR
    FT_RC = "FT+RC"


class RatePolicy(StrEnum):
    """What to do when the shop charged another rate than the law asks for."""

    HOLD = "hold"
    FOLLOW_SHOP = "follow_shop"
    FOLLOW_LAW = "follow_law"


class ZeroTotal(StrEnum):
    """What to do with an order that costs nothing."""

    SKIP = "skip"  # up to 50 EUR a piece; above, tax may be due and a person decides
    ISSUE = "issue"  # the same, but with a document whose lines bear a discount of 100 %
    HOLD = "hold"


class GiftCards(StrEnum):
    """Single-purpose vouchers are the sale itself; multi-purpose ones are a means of payment."""

    MULTI_PURPOSE = "multi_purpose"  # left out of the document
    MULTI_PURPOSE_SHOWN = "multi_purpose_shown"  # a line outside VAT
    SINGLE_PURPOSE = "single_purpose"


class NonSupply(StrEnum):
    """Tips and donations are outside VAT: shown with M99, or left out."""

    SHOW = "show"
    LEAVE_OUT = "leave_out"


class Deposits(StrEnum):
    """What to do with money that came for an order that is not paid in full."""

    INVOICE = "invoice"  # at once, as the law wants; the rest at the balance
    WAIT = "wait"  # one document for the whole order when it is paid


class OnCancel(StrEnum):
    """What becomes of the documents of an order that is cancelled."""

    CREDIT = "credit"
    ANNUL = "annul"  # while the service allows it, and for documents that reach nobody before the goods leave


class RuleAction(StrEnum):
    """What happens to the orders that a rule matches."""

    ISSUE = "issue"
    SKIP = "skip"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What to do with some orders; each condition that is given must hold, and the first rule that fits decides.

    `countries` are those that the goods go to, `gateways` the platform's ids of means of payment; `at_least` and
    `below` bound the order's total. `document` is what the order becomes instead of the account's `paid_document`,
    `series` the one that its invoices stand in.
    """

    action: RuleAction = RuleAction.ISSUE
    tags: frozenset[str] = frozenset()
    countries: frozenset[str] = frozenset()
    gateways: frozenset[str] = frozenset()
    at_least: Decimal | None = None
    below: Decimal | None = None
    document: PaidDocument | None = None
    series: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything that `plan` needs beside the order; regions are SAF-T's (PT, PT-MA, PT-AC).

    Keys of `articles`, `exemptions`, `services` and `goods` are SKUs, product types or tax classes.
    """

    account: str
    capabilities: Capabilities
    arithmetic: Arithmetic
    price_mode: PriceMode = PriceMode.NET  # of a series that has not been seen yet
    price_modes: Mapping[str, PriceMode] = field(default_factory=dict)
    learns_arithmetic: bool = False  # it is only the adapter's guess: what the account was seen to do goes before it
    seller_nif: str = ""  # asks VIES
    region: str = "PT"  # where the business is: services to consumers are taxed there
    ship_from: str = "PT"  # where the goods start
    regime: str = "normal"  # or "art53", the small-business exemption
    oss: bool = False
    retailer: bool = True
    paid_document: PaidDocument = PaidDocument.FR
    series: Mapping[DocumentKind, str] = field(default_factory=dict)  # where not the account's own
    unpaid_document: bool = False  # an FT as soon as the state makes it due, an RC when the money comes
    issue_on: frozenset[str] = frozenset()
    start_after: date | None = None
    payments: Mapping[str, str] = field(default_factory=dict)
    unknown_payment: str = "OU"  # or "hold"
    articles: Mapping[str, str] = field(default_factory=dict)
    exemptions: Mapping[str, str] = field(default_factory=dict)  # why a line without VAT bears none: M13, M07 ...
    services: frozenset[str] = frozenset()
    goods: frozenset[str] = frozenset()
    default_nature: Nature = Nature.GOODS
    shipping_code: str = "PORTES"
    shipping_follows_goods: bool = False
    fee_code: str = "TAXA"
    on_rate_mismatch: RatePolicy = RatePolicy.HOLD
    hold_invalid_nif: bool = True
    gift_cards: GiftCards = GiftCards.MULTI_PURPOSE
    gift_card_rate: Decimal | None = None  # of what single-purpose ones are for, where the shop charges no VAT on them
    non_supply: NonSupply = NonSupply.SHOW
    deposits: Deposits = Deposits.INVOICE
    non_supply_names: frozenset[str] = frozenset()  # donations and the like, as `texts.folded` writes them
    zero_total: ZeroTotal = ZeroTotal.SKIP
    on_cancel: OnCancel = OnCancel.CREDIT
    rules: tuple[Rule, ...] = ()
    show_discounts: bool = False  # list prices and percentages where they hit the cent, else prices after discount
    notes: str = "Encomenda {number}"
    delay: timedelta = timedelta(0)  # between payment and document, never beyond the day of payment
    name_threshold: Decimal = Decimal(1000)  # from here a consumer's name and address are mandatory

    def as_seen(self, profile: Profile) -> "Policy":
        """The same policy for the account as it was seen to work; an arithmetic that a person has named stands."""
        learned = profile.arithmetic if self.learns_arithmetic else None
        return replace(self, arithmetic=learned or self.arithmetic, price_modes=profile.price_modes)

    def price_mode_of(self, kind: DocumentKind) -> PriceMode:
        """How the series of this kind of document takes prices."""
        return self.price_modes.get(place_of(kind, self.series.get(kind, "")), self.price_mode)


def fingerprint(policy: Policy) -> str:
    """A short name for what was decided here, the same in every process; what the service can do is no decision."""
    decided = [_canonical(getattr(policy, own.name)) for own in fields(policy) if own.name != "capabilities"]
    return hashlib.blake2b(repr(decided).encode(), digest_size=8).hexdigest()


def _canonical(value: object) -> str:
    """A text that does not depend on the order in which sets and mappings are kept."""
    match value:
        case frozenset():
            return repr(sorted(map(_canonical, value)))
        case Mapping():
            return repr(sorted((_canonical(key), _canonical(each)) for key, each in value.items()))
        case tuple():
            return repr([_canonical(each) for each in value])
        case _ if is_dataclass(value):
            return repr([_canonical(getattr(value, own.name)) for own in fields(value)])
        case _:
            return str(value)
