"""The order document that other systems post: its fields, their meaning, and what may be left out.

`order.schema.json` beside this file is made from these models (`schema`), and a test keeps it so.
"""

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from syncd.domain.order import LineKind, Lifecycle, PaymentState, RefundState

_AMOUNT = r"^-?[0-9]{1,12}(\.[0-9]{1,2})?$"
_POSITIVE = r"^[0-9]{1,12}(\.[0-9]{1,2})?$"
_QUANTITY = r"^-?[0-9]{1,9}(\.[0-9]{1,6})?$"
_RATE = r"^([0-9]{1,2}(\.[0-9]{1,3})?|100)$"
# A cent is the finest amount; more would be rounded by somebody, and nobody could say who.
_HINT = {
    _AMOUNT: 'write it as a text with at most two decimals, such as "12.30"',
    _POSITIVE: 'write it as a text with at most two decimals and no sign, such as "12.30"',
    _QUANTITY: 'write it as a whole number, or as a text with at most six decimals, such as "1.5"',
    _RATE: 'write it in per cent, as a whole number or as a text, such as "23" or "5.5"',
}


def _decimal(pattern: str, *, whole: bool) -> BeforeValidator:
    expression = re.compile(pattern)

    def read(value: object) -> Decimal:
        if whole and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not expression.fullmatch(value):
            raise PydanticCustomError("decimal", "{hint}", {"hint": _HINT[pattern]})
        return Decimal(value)

    return BeforeValidator(read)


def _schema_of(pattern: str, *, whole: bool) -> WithJsonSchema:
    text: dict[str, Any] = {"type": "string", "pattern": pattern}
    return WithJsonSchema({"anyOf": [text, {"type": "integer"}]} if whole else text)


def _not_in_ages(value: datetime) -> datetime:
    # Years 1 and 9999 leave the calendar as soon as they are moved to another zone.
    return value


Amount = Annotated[Decimal, _decimal(_AMOUNT, whole=False), _schema_of(_AMOUNT, whole=False)]
Positive = Annotated[Decimal, _decimal(_POSITIVE, whole=False), _schema_of(_POSITIVE, whole=False)]
Quantity = Annotated[Decimal, _decimal(_QUANTITY, whole=True), _schema_of(_QUANTITY, whole=True)]
Rate = Annotated[Decimal, _decimal(_RATE, whole=True), _schema_of(_RATE, whole=True)]
