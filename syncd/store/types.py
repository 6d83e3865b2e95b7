"""Column types that mean the same on both engines."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from syncd.domain.errors import AmountError
from syncd.domain.hold import Hold

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# SQLite numbers its rows by itself only where the primary key is exactly INTEGER.
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# Not JSONB: it refuses the character NUL, which any payload may hold, and nothing here is searched by its content.
Json = sa.JSON(none_as_null=True)


class Money(sa.types.TypeDecorator[Decimal]):
    """Exact on both engines: NUMERIC on Postgres, a scaled integer on SQLite, whose own NUMERIC is a float."""

    impl = sa.Numeric
    cache_ok = True

    # Alembic writes these two names into migrations.
    def __init__(self, precision: int = 18, scale: int = 4) -> None:
        super().__init__(precision, scale)
        self.scale = scale

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        return dialect.type_descriptor(sa.BigInteger() if dialect.name == "sqlite" else self.impl_instance)

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Decimal | int | None:
        """What the driver is given; AmountError for digits that Postgres would round away silently."""
        if value is None:
            return None
        exact = value.quantize(Decimal(1).scaleb(-self.scale))
        if exact != value:
            raise AmountError(f"{value} has more than {self.scale} decimals")
        return int(exact.scaleb(self.scale)) if dialect.name == "sqlite" else exact

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ANN401 - the driver's type
        if value is None:
            return None
        return Decimal(value).scaleb(-self.scale) if dialect.name == "sqlite" else Decimal(value)


def microseconds(moment: datetime) -> int:
    """A moment as a number that sorts alike on both engines: microseconds since 1970 in UTC."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def hold_of(row: Any) -> Hold | None:  # noqa: ANN401 - a row of any table with the three columns
    """The hold of a row, None if its code is empty."""
    return Hold(code=row.hold_code, message=row.hold_message, fix=row.hold_fix) if row.hold_code else None


def hold_columns(hold: Hold | None) -> dict[str, str]:
    """The three columns of a hold, empty for none."""
    if hold is None:
        return {"hold_code": "", "hold_message": "", "hold_fix": ""}
    return {"hold_code": hold.code, "hold_message": hold.message, "hold_fix": hold.fix}
