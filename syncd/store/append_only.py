"""Rows that nobody may change or take out, not even this program by mistake: the engines refuse it.

Only what is refused costs anything: inserting pays nothing for these triggers.
"""

import sqlalchemy as sa

_SQLITE = """\
CREATE TRIGGER {table}_{what}_refused BEFORE {operation} ON {table} {condition}
BEGIN SELECT RAISE(ABORT, '{table} is only ever added to'); END"""

_POSTGRES = """\
CREATE TRIGGER {table}_{what}_refused BEFORE {operation} ON {table}
FOR EACH ROW {condition} EXECUTE FUNCTION syncd_refuse()"""

_POSTGRES_FUNCTION = """\
CREATE OR REPLACE FUNCTION syncd_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is only ever added to', TG_TABLE_NAME; END $$"""

# A request is written down before it leaves, and completed once.
GUARDED = (
    ("event", ""),
    ("trail", ""),
    ("consultation", ""),
    ("rate_table", ""),
    ("attempt", "WHEN (OLD.outcome <> '')"),
)


def statements(dialect: str) -> list[str]:
    """What makes an engine refuse."""
    made = [] if dialect == "sqlite" else [_POSTGRES_FUNCTION]
    template = _SQLITE if dialect == "sqlite" else _POSTGRES
    for table, unless in GUARDED:
        made.append(template.format(table=table, what="update", operation="UPDATE", condition=unless))
        made.append(template.format(table=table, what="delete", operation="DELETE", condition=""))
    return made


def guard(metadata: sa.MetaData) -> None:
    """Have the triggers made with the tables."""

    def make(_: sa.MetaData, connection: sa.Connection, **_kw: object) -> None:
        for statement in statements(connection.dialect.name):
            connection.exec_driver_sql(statement)

    sa.event.listen(metadata, "after_create", make)
