"""What the merchant decided: how orders of one shop become documents at one account."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from syncd.domain.capabilities import Arithmetic, Capabilities
from syncd.domain.document import Nature, PriceMode


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


class RuleAction(StrEnum):
    """What happens to the orders that a rule matches."""

    ISSUE = "issue"
    SKIP = "skip"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What to do with some orders; each condition that is given must hold, and the first rule that fits decides.

    `countries` are those that the goods go to, `gateways` the platform's ids of means of payment; `at_least` and
    `below` bound the order's total. `document` is what the order becomes instead of the account's `paid_document`.
    """

    action: RuleAction = RuleAction.ISSUE
    tags: frozenset[str] = frozenset()
    countries: frozenset[str] = frozenset()
    gateways: frozenset[str] = frozenset()
    at_least: Decimal | None = None
    below: Decimal | None = None
    document: PaidDocument | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything that `plan` needs beside the order; regions are SAF-T's (PT, PT-MA, PT-AC).

    Keys of `articles`, `exemptions`, `services` and `goods` are SKUs, product types or tax classes.
    """

    account: str
    capabilities: Capabilities
    arithmetic: Arithmetic
    price_mode: PriceMode = PriceMode.NET
    region: str = "PT"  # where the business is: services to consumers are taxed there
    ship_from: str = "PT"  # where the goods start
    regime: str = "normal"  # or "art53", the small-business exemption
    oss: bool = False
    retailer: bool = True
    paid_document: PaidDocument = PaidDocument.FR
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
    non_supply: NonSupply = NonSupply.SHOW
    non_supply_names: frozenset[str] = frozenset()  # donations and the like, as `texts.folded` writes them
    zero_total: ZeroTotal = ZeroTotal.SKIP
    rules: tuple[Rule, ...] = ()
    notes: str = "Encomenda {number}"
    delay: timedelta = timedelta(0)  # between payment and document, never beyond the day of payment
    name_threshold: Decimal = Decimal(1000)  # from here a consumer's name and address are mandatory
