"""An adapter at an emulator of its own for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.billpt.bench import Bench, bench


@pytest.fixture
async def at_billpt() -> AsyncIterator[Bench]:
    async with bench() as made:
        yield made
