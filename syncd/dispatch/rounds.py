"""Looking at the ledger again and again, for those who only look."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from syncd.store.engine import StoreUnavailableError


async def rounds(look: Callable[[], Awaitable[None]], *, seconds: float, stop: asyncio.Event) -> None:
    """Look, with so many seconds between, until stopped. That the ledger is away is said by those who work on it."""
    while not stop.is_set():
        with suppress(StoreUnavailableError):
            await look()
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)
