"""A test that asks for `database` (or `database_url`) runs twice: on SQLite and on Postgres."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from syncd.store.engine import Database
from tests import stores

# How long an example takes says more of the machine and its other work than of the code.
settings.register_profile("syncd", deadline=None)
settings.load_profile("syncd")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> stores.SqliteTemplate:
    return stores.SqliteTemplate(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[stores.PostgresServer]:
    with stores.postgres_server() as server:
        yield server


@pytest.fixture
def sqlite_url(sqlite_template: stores.SqliteTemplate, tmp_path: Path) -> str:
    return sqlite_template.copy_to(tmp_path)


@pytest.fixture
async def postgres_url(postgres_server: stores.PostgresServer) -> AsyncIterator[str]:
    url = await postgres_server.create()
    yield url
    await postgres_server.drop(url)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated, empty ledger."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    db = Database.open(database_url)
    yield db
    await db.close()
