"""What the merchant decided: how orders of one shop become documents at one account."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from syncd.domain.capabilities import Arithmetic, Capabilities


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

    MULTI_PURPOSE = "multi_purpose"
    SINGLE_PURPOSE = "single_purpose"


class NonSupply(StrEnum):
    """Tips and donations are outside VAT: shown with M99, or left out."""

    SHOW = "show"
    LEAVE_OUT = "leave_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything that `plan` needs beside the order; regions are SAF-T's (PT, PT-MA, PT-AC)."""

    account: str
    capabilities: Capabilities
    arithmetic: Arithmetic
    ship_from: str = "PT"
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
    shipping_code: str = "PORTES"
    shipping_follows_goods: bool = False
    fee_code: str = "TAXA"
    on_rate_mismatch: RatePolicy = RatePolicy.HOLD
    hold_invalid_nif: bool = True
    gift_cards: GiftCards = GiftCards.MULTI_PURPOSE
    non_supply: NonSupply = NonSupply.SHOW
    zero_total: ZeroTotal = ZeroTotal.SKIP
    name_threshold: Decimal = Decimal(1000)  # from here a consumer's name and address are mandatory
