"""Field checks with the service's codes 1 to 10, 100 and 101; every error of a request is collected before it ends."""

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from syncd.sandbox.billpt.amounts import HUNDRED, ZERO

ANONYMOUS_NUMBER = "999999990"

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_POSTCODE = re.compile(r"\d{4}(-\d{3})?")
_INTEGER = re.compile(r"-?\d{1,18}")
T = TypeVar("T")

_MOMENT = "%Y-%m-%d %H:%M:%S"


class Refusal(Exception):  # noqa: N818 - it is the service's answer, nothing has failed here
    """The request is refused with these codes; `status` where it is not the usual one."""

    def __init__(self, *codes: str, status: int | None = None) -> None:
        super().__init__(", ".join(codes))
        self.codes = codes
        self.status = status


class Fields:
    """The fields of one object of a request. A reader notes what is wrong and returns None."""

    def __init__(self, values: Mapping[str, Any], errors: list[str] | None = None) -> None:
        self.values = values
        self.errors: list[str] = [] if errors is None else errors

    def finish(self) -> None:
        """Refuse the request if anything was wrong."""
        if self.errors:
            raise Refusal(*dict.fromkeys(self.errors))

    def given(self, name: str) -> Any:  # noqa: ANN401 - JSON is of any shape
        """The raw value; None where it is absent or empty, which is the same to the service."""
        value = self.values.get(name)
        return None if value == "" else value

    def text(self, name: str, *, most: int | None = None, least: int = 0, required: bool = False) -> str | None:
        value = self._present(name, required=required)
        if value is None:
            return None
        if isinstance(value, bool | list | dict):
            return self._checked(None, f"9.{name}", ok=False)
        text = str(value).strip()
        if most is not None and len(text) > most:
            return self._checked(text, f"101.{name}.{most}", ok=False)
        return self._checked(text, f"100.{name}.{least}", ok=len(text) >= least)

    def email(self, name: str, *, most: int = 150, required: bool = False) -> str | None:
        text = self.text(name, most=most, required=required)
        return self._checked(text, f"2.{name}", ok=not text or bool(_EMAIL.fullmatch(text)))

    def country(self, name: str = "pais") -> str | None:
        text = self.text(name, most=2, least=2)
        text = text.upper() if text else None
        return self._checked(text, f"9.{name}", ok=text is None or (text.isascii() and text.isalpha()))

    def choice(self, name: str, allowed: Collection[str]) -> str | None:
        text = self.text(name)
        return self._checked(text, f"9.{name}", ok=text is None or text in allowed)

    def integer(self, name: str, *, low: int = 0, high: int | None = None, required: bool = False) -> int | None:
        value = self._present(name, required=required)
        if value is None:
            return None
        if isinstance(value, bool) or not _INTEGER.fullmatch(str(value)):
            return self._checked(None, f"7.{name}", ok=False)
        number = int(value)
        return self._checked(number, f"9.{name}", ok=low <= number and (high is None or number <= high))

    def number(
        self, name: str, *, low: Decimal | None = None, high: Decimal | None = None, required: bool = False
    ) -> Decimal | None:
        value = self._present(name, required=required)
        if value is None:
            return None
        number = _decimal(value)
        if number is None:
            return self._checked(None, f"10.{name}", ok=False)
        within = (low is None or number >= low) and (high is None or number <= high)
        return self._checked(number, f"9.{name}", ok=within)

    def percentage(self, name: str) -> Decimal:
        return self.number(name, low=ZERO, high=HUNDRED) or ZERO

    def flag(self, name: str, *, default: int = 0) -> int:
        value = self.given(name)
        if value is None:
            return default
        if value in (True, "1", "true"):  # 1 == True
            return 1
        if value in (False, "0", "false"):
            return 0
        self.errors.append(f"5.{name}")
        return default

    def moment(self, name: str) -> datetime | None:
        text = self.text(name)
        if text is None:
            return None
        try:
            return datetime.strptime(text, _MOMENT)  # noqa: DTZ007 - the service's times carry no zone
        except ValueError:
            return self._checked(None, f"9.{name}", ok=False)

    def address(self, prefix: str = "", *, country: str | None = None) -> dict[str, str]:
        """Street, postal code and town under their names; a Portuguese postal code must look like one (214)."""
        found = {
            name: self.text(prefix + name, most=most) or ""
            for name, most in (("morada", 100), ("codigo_postal", 15), ("cidade", 50))
        }
        postcode = found["codigo_postal"]
        if postcode and country == "PT" and not _POSTCODE.fullmatch(postcode):
            self.errors.append("214")
        return found

    def _present(self, name: str, *, required: bool) -> Any:  # noqa: ANN401 - JSON is of any shape
        value = self.values.get(name)
        if value is not None and value != "":
            return value
        if required:
            self.errors.append(f"1.{name}")
        return None

    def _checked(self, value: T, code: str, *, ok: bool) -> T | None:
        if ok:
            return value
        self.errors.append(code)
        return None


def tax_number_is_valid(number: str) -> bool:
    """Nine digits of which the last is the check digit (weights 9 to 2, modulo 11)."""
    if not (len(number) == 9 and number.isascii() and number.isdigit()) or (number[0] in "04" and number[:2] != "45"):
        return False
    rest = sum(int(digit) * weight for digit, weight in zip(number, range(9, 1, -1), strict=False)) % 11
    return int(number[8]) == (0 if rest < 2 else 11 - rest)


def is_taxable_person(number: str, country: str) -> bool:
    """Whether a number says by itself that its bearer is a company; sole traders share the ranges of consumers."""
    if number in ("", ANONYMOUS_NUMBER):
        return False
    return country != "PT" or number[0] in "56789"


def _decimal(value: object) -> Decimal | None:
    if isinstance(value, bool | list | dict):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < Decimal("1e12") else None
