"""Amounts: exact decimals, half up, never a float."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from syncd.domain.errors import AmountError

CENT = Decimal("0.01")
ZERO = Decimal("0.00")

# Larger figures are typing errors or attacks; the ledger's columns hold 14 digits before the point.
LARGEST = Decimal("1e12")


def cents(value: Decimal) -> Decimal:
    """Round to two decimals, halves away from zero, as the tax authority asks."""
    return value.quantize(CENT, ROUND_HALF_UP)


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
    if not number.is_finite() or abs(number) > LARGEST:
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
