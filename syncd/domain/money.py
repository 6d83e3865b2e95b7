"""Amounts: exact decimals, half up, never a float."""

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from syncd.domain.errors import AmountError

CENT = Decimal("0.01")
ZERO = Decimal("0.00")
EURO = "EUR"

# ISO 4217; all others have two decimals.
NO_DECIMALS = frozenset(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ]
)
THREE_DECIMALS = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])

# Larger figures are typing errors or attacks; the ledger's columns hold 14 digits before the point.
LARGEST = Decimal("1e12")


def cents(value: Decimal) -> Decimal:
    """Round to two decimals, halves away from zero, as the tax authority asks."""
    return value.quantize(CENT, ROUND_HALF_UP)


def decimals(currency: str) -> int:
    """How many decimals amounts in a currency have."""
    return 0 if currency in NO_DECIMALS else 3 if currency in THREE_DECIMALS else 2


def smallest(currency: str) -> Decimal:
    """The smallest sum that orders in a currency are written in: a cent even where there are no cents."""
    return Decimal("0.001") if currency in THREE_DECIMALS else CENT


def rounded(value: Decimal, currency: str) -> Decimal:
    """To the smallest sum of its currency, halves away from zero."""
    return value.quantize(smallest(currency), ROUND_HALF_UP)


def decimal_of(value: object, *, where: str = "amount") -> Decimal:
    """Read a number as payloads carry it: a string, an int or a Decimal.

    Floats are refused because they have lost digits already; so are NaN, infinities and absurd sizes.
    `where` names the field in the error.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise AmountError(f"{where}: {type(value).__name__} is not an exact number")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise AmountError(f"{where}: {str(value)[:40]!r} is not a number") from None
    # Compared as it is: abs() of an absurd exponent overflows.
    if not number.is_finite() or not -LARGEST <= number <= LARGEST:
        raise AmountError(f"{where}: {str(value)[:40]!r} is out of range")
    return number


@dataclass(frozen=True, slots=True)
class Money:
    """An amount that carries its currency, for places where two currencies can meet."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal):
            raise AmountError(f"Money takes a Decimal, not {type(self.amount).__name__}")

    def __add__(self, other: "Money") -> "Money":
        return Money(self.amount + self._same(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.amount - self._same(other), self.currency)

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"

    def _same(self, other: "Money") -> Decimal:
        if other.currency != self.currency:
            raise AmountError(f"{self} and {other} are different currencies")
        return other.amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """How an order in another currency became euro: `paid` is worth `euro`, `per_euro` units for one euro.

    `of` is the total as the order states it, of which every other amount of the order is a part. `source` is who said
    so, and `day` of when it is.
    """

    paid: Money
    euro: Decimal
    of: Decimal
    per_euro: Decimal
    source: str
    day: date
