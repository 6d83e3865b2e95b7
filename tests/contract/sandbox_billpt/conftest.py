"""A served sandbox for each test, on a clock that stands still."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from syncd.sandbox.billpt import Settings
from tests.contract.sandbox_billpt.desk import Desk

OpenDesk = Callable[[Settings], Awaitable[Desk]]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    opened = await Desk.open()
    yield opened
    await opened.close()


@pytest.fixture
async def open_desk() -> AsyncIterator[OpenDesk]:
    """For sandboxes with other settings."""
    async with AsyncExitStack() as stack:

        async def opened(settings: Settings) -> Desk:
            desk = await Desk.open(settings)
            stack.push_async_callback(desk.close)
            return desk

        yield opened
