"""What an invoicing service can do; planner and dispatcher read this and never ask which service it is."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from syncd.domain.document import DocumentKind
from syncd.domain.money import ZERO


class Arithmetic(StrEnum):
    """How a service adds up a document whose lines hold net prices."""

    LINE = "line"  # net and tax of each line rounded, tax from the rounded net
    RATE = "rate"  # base and tax of each rate rounded independently from exact sums
    BASE = "base"  # tax from the rounded base of each rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Longest texts in characters, most decimals in unit prices and percentages."""

    name: int
    street: int
    postcode: int
    city: int
    article_code: int
    description: int
    notes: int
    price_decimals: int
    discount_decimals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """`rounding` is the largest manual correction of a total; `whole_rates` says that it takes whole per cents only."""

    kinds: frozenset[DocumentKind]
    drafts: bool
    arithmetic: Arithmetic
    rounding: Decimal = ZERO
    whole_rates: bool = False
    exempt_simplified: bool = True  # may an FS carry an exemption
    rate_limit: int  # requests per 60 s
    payment_codes: frozenset[str] = frozenset()  # SAF-T mechanisms that it knows; empty: all
    limits: Limits
