"""What planning may need from public registers, and what they said: dated, with their own proof."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

# A confirmation is taken for sales up to so long after it, so that a busy customer's number is asked for once a day.
FRESH = timedelta(days=1)
# VIES tells today's state only. A later confirmation says little of the day of the sale.
LATE = timedelta(days=10)


class Register(StrEnum):
    """A public register; the value names it in settings, keys and metrics."""

    VIES = "vies"
    ECB = "ecb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """Needed: whether VIES knew this VAT number at the sale. `requester` is the seller's own, with its prefix."""

    number: str
    requester: str
    sold_at: datetime

    @property
    def register(self) -> Register:
        return Register.VIES

    @property
    def key(self) -> str:
        """What is asked of the register, whoever needs it."""
        return f"{Register.VIES}/{self.requester}/{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRates:
    """Needed: the European Central Bank's rates of this day, or the last ones published before."""

    day: date

    @property
    def register(self) -> Register:
        return Register.ECB

    @property
    def key(self) -> str:
        return f"{Register.ECB}/{self.day}"


Need = Confirmation | ReferenceRates


@dataclass(frozen=True, slots=True, kw_only=True)
class Consultation:
    """VIES' answer. `reference` is its consultation number, "" where it gave none; name and address as it has them."""

    number: str
    requester: str
    valid: bool
    asked_at: datetime
    reference: str = ""
    name: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTable:
    """Units of each currency for one euro, as of `published`, which is `day` or the last one published before."""

    day: date
    published: date
    source: str
    per_euro: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What registers have said so far: consultations by VAT number, tables by the day that was asked for."""

    consultations: Mapping[str, Consultation] = field(default_factory=dict)
    rates: Mapping[date, RateTable] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.consultations or self.rates)

    def __or__(self, other: "Evidence") -> "Evidence":
        return Evidence(
            consultations={**self.consultations, **other.consultations}, rates={**self.rates, **other.rates}
        )


NO_EVIDENCE = Evidence()
