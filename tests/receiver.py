"""A receiver of alerts on loopback: keeps what it is sent, and refuses when told to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


class Receiver:
    """What chat services are to the daemon. `statuses` are answered first, one each, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.url = ""
        self.messages: list[dict[str, Any]] = []
        self._statuses = list(statuses)

    async def take(self, request: web.Request) -> web.Response:
        self.messages.append(await request.json())
        return web.Response(status=self._statuses.pop(0) if self._statuses else 200)

    def heard(self) -> list[tuple[str, str]]:
        """(event, code) of each message."""
        return [(message["event"], message["code"]) for message in self.messages]


@asynccontextmanager
async def a_receiver(*statuses: int) -> AsyncIterator[Receiver]:
    receiver = Receiver(*statuses)
    application = web.Application()
    application.router.add_post("/hooks/T0/B0", receiver.take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks/T0/B0"
    try:
        yield receiver
    finally:
        await runner.cleanup()
