"""What an invoicing service can do; planner and dispatcher read this and never ask which service it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from syncd.domain.document import DocumentKind, PriceMode
from syncd.domain.money import ZERO


class Arithmetic(StrEnum):
    """How a service adds up a document."""

    LINE = "line"  # net and tax of each line rounded, tax from the rounded net
    RATE = "rate"  # base and tax of each rate rounded independently from exact sums
    BASE = "base"  # tax from the rounded base of each rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How one account was seen to work, where no reference can tell it; `price_modes` by `DocumentDraft.place`."""

    arithmetic: Arithmetic | None = None
    price_modes: Mapping[str, PriceMode] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Longest texts in characters, most decimals in unit prices and percentages, most of these on a line."""

    name: int
    street: int
    postcode: int
    city: int
    article_code: int
    description: int
    notes: int
    price_decimals: int
    discount_decimals: int
    discounts: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnulWindow:
    """For how many days after the one on which it came into being a document can be annulled, as far as it is known."""

    days: int
    same_month: bool = True  # and never beyond the end of its month


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
    annuls: AnnulWindow | None = None  # None: what was issued is only ever credited
    limits: Limits
