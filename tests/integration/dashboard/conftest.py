"""Who visits the operator's pages, and the order that waits there; on both engines."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from syncd.domain.states import OrderState
from syncd.store.engine import Database
from tests.integration.dashboard.browser import Browser, serving
from tests.integration.test_reconciler import Office, a_state

HELD = a_state(1, buyer={"name": "Ana", "tax_id": "123456780"})  # a wrong check digit


@pytest.fixture
async def visitor(database_url: str, tmp_path: Path) -> AsyncIterator[Browser]:
    async with serving(database_url, tmp_path) as browser:
        yield browser


@pytest.fixture
async def operator(visitor: Browser) -> Browser:
    assert (await visitor.login()).status == 303
    return visitor


@pytest.fixture
async def office(database: Database) -> Office:
    """One order, held for its buyer's tax number."""
    made = Office(database)
    await made.tell(HELD)
    await made.work()
    assert await made.state() is OrderState.HELD
    return made
