"""The schema's revisions. `HEAD` is written down here so that a start need not load alembic to know it."""

HEAD = "0009"
