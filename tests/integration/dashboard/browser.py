"""A browser without a screen, and the real application that it visits."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from multidict import CIMultiDictProxy

from syncd.app import Daemon
from syncd.settings import load

PASSWORD = "correct horse battery"
TOKEN = "token-of-the-service-account"

SETTINGS = f"""
[database]
url = "{{url}}"
[http]
port = 0
{{dashboard}}
[accounts.main]
provider = "billpt"
base_url = "http://127.0.0.1:9"
token = "{TOKEN}"
[shops.loja]
platform = "generic"
account = "main"
url = "https://loja.example"
webhook_secret = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ="
"""

WITH_PASSWORD = f'[dashboard]\npassword = "{PASSWORD}"'


@dataclass(slots=True)
class Answer:
    status: int
    text: str
    headers: CIMultiDictProxy[str]


@dataclass(slots=True)
class Browser:
    """Keeps cookies, follows no redirect, and reads tokens out of forms."""

    http: aiohttp.ClientSession
    address: str
    _token: str = field(default="")

    async def get(self, path: str, **headers: str) -> Answer:
        async with self.http.get(self.address + path, headers=headers, allow_redirects=False) as answer:
            return await self._read(answer)

    async def post(self, path: str, **form: str) -> Answer:
        """As the last page's form would."""
        return await self.post_raw(path, {"token": self._token, **form})

    async def post_raw(self, path: str, form: dict[str, str], **headers: str) -> Answer:
        url = self.address + path
        async with self.http.post(url, data=form, headers=headers, allow_redirects=False) as answer:
            return await self._read(answer)

    async def login(self, password: str = PASSWORD, **form: str) -> Answer:
        await self.get("/login")
        return await self.post("/login", password=password, **form)

    async def decide(self, action: str, reason: str = "because", **form: str) -> Answer:
        """With the page open that shows order 1001."""
        page = await self.get("/order?shop=loja&id=1001")
        seen = re.search(r'name="seen" value="(\d+)"', page.text)
        assert seen is not None
        given = {"shop": "loja", "id": "1001", "seen": seen[1], "action": action, "reason": reason}
        return await self.post("/order", **{**given, **form})

    async def _read(self, answer: aiohttp.ClientResponse) -> Answer:
        text = await answer.text()
        if found := re.search(r'name="token" value="(\w+)"', text):
            self._token = found[1]
        return Answer(answer.status, text, answer.headers)


@asynccontextmanager
async def serving(
    url: str, folder: Path, *, roles: tuple[str, ...] = ("web",), dashboard: str = WITH_PASSWORD
) -> AsyncIterator[Browser]:
    file = folder / "syncd.toml"
    file.write_text(SETTINGS.format(url=url, dashboard=dashboard), "utf-8")
    daemon, stop = Daemon(load(file, {}), roles), asyncio.Event()
    running = asyncio.create_task(daemon.run(stop))
    await asyncio.wait({running, started := asyncio.create_task(daemon.started.wait())}, return_when="FIRST_COMPLETED")
    started.cancel()
    try:
        # An address is no site, so a cookie for it needs leave.
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            yield Browser(http, f"http://127.0.0.1:{daemon.port}")
    finally:
        stop.set()
        await running
