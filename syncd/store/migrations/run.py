"""Alembic on a connection that is already open."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config


def to_head(connection: sa.Connection) -> None:
    """Upgrade inside the connection's transaction."""
    command.upgrade(configured(connection), "head")


def configured(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
