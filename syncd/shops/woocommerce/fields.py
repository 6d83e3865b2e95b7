"""Reading WooCommerce's JSON without trusting its shape: what is wrong becomes a PayloadError that names the field."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from html import unescape
from typing import NoReturn, TypeAlias

from syncd.domain.errors import AmountError, PayloadError
from syncd.domain.money import decimal_of
from syncd.shops.moments import moment_of

Record: TypeAlias = Mapping[str, object]

MOST_ID_DIGITS = 18  # more would not fit a MySQL BIGINT, nor ours

_BREAK = re.compile(r"<(?:br|/?(?:p|div|li))\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z][^<>]*>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30});", re.IGNORECASE)


def loads(raw: bytes) -> object:
    """JSON with exact numbers: a tax rate or quantity may be one. Raises PayloadError."""
    try:
        return _DECODER.decode(raw.decode())
    except (ValueError, RecursionError) as error:
        raise PayloadError("the payload is not JSON in UTF-8") from error


def objects(raw: bytes) -> list[tuple[Record, bytes]]:
    """The objects of a JSON list (or the single object), each with its bytes as they came. Raises PayloadError.

    Written anew they would differ from what a webhook brings, and the same state would count as two.
    """
    found = loads(raw)
    if isinstance(found, dict):
        return [(found, raw.strip())]
    if not isinstance(found, list):
        raise PayloadError(f"{_kind(found)} instead of a list of objects")
    # It was read as a whole, so that each piece must read as well.
    whole, at, pieces = raw.decode(), 0, []
    for item in [record(item, "the list") for item in found]:
        start = whole.index("{", at)
        _, at = _DECODER.raw_decode(whole, start)
        pieces.append((item, whole[start:at].encode()))
    return pieces


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse)


def record(value: object, where: str) -> Record:
    """An object. Raises PayloadError."""
    if not isinstance(value, dict):
        raise PayloadError(f"{where}: {_kind(value)} instead of an object")
    return value


def records(source: Record, key: str) -> list[Record]:
    """A list of objects; empty where absent."""
    value = source.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise PayloadError(f"{key}: {_kind(value)} instead of a list")
    for at, item in enumerate(value):
        if not isinstance(item, dict):
            raise PayloadError(f"{key}[{at}]: {_kind(item)} instead of an object")
    return value


def identity(source: Record, where: str) -> str:
    """The `id` in digits. Raises PayloadError where it is no positive whole number."""
    number = source.get("id")
    if not is_id(number):
        raise PayloadError(f"{where}: {str(number)[:40]!r} is no id")
    return str(number)


def is_id(value: object) -> bool:
    return type(value) is int and 0 < value < 10**MOST_ID_DIGITS


def text(source: Record, key: str) -> str:
    """A text with its entities decoded, without blanks around it; empty where absent or no text."""
    value = source.get(key)
    if not isinstance(value, str):
        return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else ""
    return plain(value)


def plain(value: str) -> str:
    """Entities decoded; without what databases and documents cannot hold: NUL and halves of surrogate pairs."""
    if "&" in value:
        value = _ENTITY.sub(lambda match: unescape(match[0]), value)
    if not value.isascii():
        value = value.encode("utf-8", "replace").decode()
    return value.replace("\0", "").strip()


def name(source: Record, key: str) -> str:
    """A title as the customer saw it: no tags, no entities, one line."""
    value = source.get(key)
    if not isinstance(value, str):
        return ""
    if "<" in value:
        value = _TAG.sub("", _BREAK.sub(" ", value))
    return " ".join(plain(value).split())


def number(source: Record, key: str, where: str) -> Decimal:
    """A number, exact. Raises PayloadError where it is missing or malformed."""
    value = source.get(key)
    if value is None:
        raise PayloadError(f"{where}{key}: missing")
    try:
        return decimal_of(value, where=key)
    except AmountError as error:
        raise PayloadError(f"{where}{error}") from error


def moment(source: Record, key: str, where: str = "") -> datetime | None:
    """A `*_gmt` time, which WooCommerce writes without a zone; None where absent. Raises PayloadError."""
    value = source.get(key)
    if value is None or value == "":
        return None
    try:
        return moment_of(value if isinstance(value, str) else "", utc_by_default=True)
    except ValueError:
        raise PayloadError(f"{where}{key}: {str(value)[:40]!r} is no time") from None


def changed_at(order: Record) -> datetime:
    """When the order last changed, which versions its state. Raises PayloadError where it does not say."""
    time = moment(order, "date_modified_gmt") or moment(order, "date_created_gmt")
    if time is None:
        raise PayloadError("date_modified_gmt: missing")
    return time


def status_of(order: Record) -> str:
    """The status without the prefix that the database gives it. Raises PayloadError where there is none."""
    status = text(order, "status").removeprefix("wc-")
    if not status:
        raise PayloadError("status: missing")
    return status


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__
