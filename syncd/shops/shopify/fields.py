"""Reading Shopify's JSON without trusting its shape: wrong types become PayloadError, never a crash."""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import NoReturn, TypeAlias

import orjson

from syncd.domain.errors import AmountError, PayloadError
from syncd.domain.money import CENT, ZERO, decimal_of
from syncd.shops.moments import moment_of

Record: TypeAlias = Mapping[str, object]

HUNDRED = Decimal(100)


def loads(raw: bytes) -> object:
    """JSON with exact numbers: refunds and tax rates carry money and rates as JSON numbers."""
    try:
        return json.loads(raw, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise PayloadError("the payload is not JSON") from error


def dumps(value: object) -> bytes:
    """The reverse of `loads`, digit for digit."""
    return orjson.dumps(value, default=_exact)


def _exact(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} is not JSON")


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def record(value: object, where: str) -> Record:
    """An object; an absent one is empty."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise PayloadError(f"{where} is {type(value).__name__}, not an object")
    return value


def records(value: object, where: str) -> list[Record]:
    """A list of objects; an absent one is empty."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise PayloadError(f"{where} is {type(value).__name__}, not a list")
    return [record(item, where) for item in value if item is not None]


def text(value: object) -> str:
    """A text without blanks around it; what is neither text nor number is empty."""
    if isinstance(value, str):
        return value.replace("\0", "").strip()  # Postgres takes no null characters
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    return ""


def identity(value: object) -> str:
    """An id as Shopify writes it (a positive whole number, as number, text or `gid://`) in digits; empty if none."""
    digits = text(value).rpartition("/")[2].partition("?")[0]
    return digits if digits.isascii() and digits.isdecimal() and digits.strip("0") else ""


def moment(value: object, where: str) -> datetime | None:
    """A time with its offset, in UTC; None where absent."""
    given = text(value)
    if not given:
        return None
    try:
        return moment_of(given)
    except ValueError:
        raise PayloadError(f"{where}: {given[:40]!r} is no time with an offset") from None


def number(value: object, where: str) -> Decimal:
    """A number, exact. Raises PayloadError."""
    try:
        return decimal_of(value, where=where)
    except AmountError as error:
        raise PayloadError(str(error)) from error


def money(source: Record, key: str, where: str) -> Decimal | None:
    """The amount under `key` in the shop's currency, from the plain field or its `_set`; None where absent."""
    value = source.get(key)
    if value is None:
        shop_money = record(record(source.get(f"{key}_set"), where).get("shop_money"), where)
        value = shop_money.get("amount")
    if value is None or value == "":
        return None
    amount = number(value, f"{where}.{key}")
    # "55.0", "55" and "55.00" are written for the same sum; what has more decimals stays as it is.
    return amount.quantize(CENT) if amount == amount.quantize(CENT) else amount


def money_or_zero(source: Record, key: str, where: str) -> Decimal:
    amount = money(source, key, where)
    return ZERO if amount is None else amount


def show(amount: Decimal) -> str:
    """An amount for a sentence: two decimals, more only where there are more."""
    return str(amount.quantize(CENT)) if amount == amount.quantize(CENT) else str(amount.normalize())
