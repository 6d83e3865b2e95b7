"""One request to a public register: its time-out, its largest answer, and what every failure means: ask again later."""

from dataclasses import dataclass
from typing import Any

import aiohttp

from syncd.domain.errors import SyncdError

LARGEST_ANSWER = 20_000_000  # bytes; all the rates since 1999 are a third of it


class RegisterError(SyncdError):
    """No answer: ask again later, guess nothing.

    `shared` says what has the same trouble: all subjects that begin with it, None for this one alone.
    """

    def __init__(self, problem: str, *, shared: str | None = "") -> None:
        super().__init__(problem)
        self.shared = shared


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer, whatever its status."""

    status: int
    body: bytes


class Line:
    """The line to one register; opened at the first request."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        self._url = url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str) -> Answer:
        return await self._send("GET", path, None)

    async def post(self, path: str, body: dict[str, Any]) -> Answer:
        return await self._send("POST", path, body)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _send(self, method: str, path: str, body: dict[str, Any] | None) -> Answer:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        url = f"{self._url}/{path}"
        try:
            # A redirect would be followed to wherever it leads; what is evidence comes from the address in the settings.
            async with self._session.request(method, url, json=body, allow_redirects=False) as response:
                raw = await response.content.read(LARGEST_ANSWER + 1)
                while len(raw) <= LARGEST_ANSWER and (more := await response.content.read(LARGEST_ANSWER)):
                    raw += more
        except TimeoutError as error:
            raise RegisterError("no answer in time") from error
        except aiohttp.ClientError as error:
            raise RegisterError(f"not reached ({type(error).__name__})") from error
        if len(raw) > LARGEST_ANSWER:
            raise RegisterError("the answer is too large")
        return Answer(response.status, raw)
