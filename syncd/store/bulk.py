"""Many rows as one bound value, so that a statement has one text and one exchange with the database for any number.

A statement for each row, or with a place for each value, costs the driver more than the database. The rows travel as
a JSON array of arrays; `given` is that array as a table.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlmodel.sql.sqltypes import UTCDateTime

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = "rows"

_SQLITE = sqlite.dialect()


def given(dialect: str, columns: Sequence[sa.ColumnClause[Any]]) -> sa.Subquery:
    """What is bound as `ROWS`, with these columns in their sequence; it comes from `packed`."""
    if dialect == "sqlite":
        row = sa.func.json_each(sa.bindparam(ROWS, type_=sa.String())).table_valued("value")
        values = [
            # Written out: every bound path would be one more parameter.
            sa.func.json_extract(row.c.value, sa.literal_column(f"'$[{place}]'"), type_=column.type).label(column.name)
            for place, column in enumerate(columns)
        ]
        return sa.select(*values).subquery()
    text = sa.cast(sa.bindparam(ROWS, type_=sa.Text()), sa.JSON())
    typed = [sa.column(column.name, column.type) for column in columns]
    records = sa.func.json_to_recordset(text).table_valued(*typed).render_derived(with_types=True)
    return sa.select(*records.c).subquery()


def packed(dialect: str, columns: Sequence[sa.ColumnClause[Any]], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as `given` reads them."""
    if dialect != "sqlite":
        names = [column.name for column in columns]
        return orjson.dumps([{name: row[name] for name in names} for row in rows]).decode()
    writers = _writers(tuple(columns))
    lines = [[write(row[name]) if write else row[name] for name, write in writers] for row in rows]
    return orjson.dumps(lines).decode()


@cache
def _writers(columns: tuple[sa.ColumnClause[Any], ...]) -> "list[tuple[str, Callable[[Any], Any] | None]]":
    """How SQLite stores a value of each column; None for values that stay as they are."""
    return [(column.name, _writer(column.type)) for column in columns]


def _writer(kind: sa.types.TypeEngine[Any]) -> "Callable[[Any], Any] | None":
    if isinstance(kind, UTCDateTime):
        return _moment
    return kind.dialect_impl(_SQLITE).bind_processor(_SQLITE)


def _moment(value: datetime | None) -> str | None:
    """As SQLAlchemy writes it, for a fifth of the time: three of them are in each event."""
    if value is None:
        return None
    text = (value if value.tzinfo is UTC else value.astimezone(UTC)).isoformat(" ", "microseconds")
    return text[: -len("+00:00")]
