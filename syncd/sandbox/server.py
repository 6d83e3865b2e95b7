"""Serving an emulator: by name for `syncd sandbox`, or one already built for tests and the demo."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from aiohttp import web

from syncd.sandbox.billpt import BillPt


class Sandbox(Protocol):
    """What every emulator offers."""

    name: str

    @property
    def token(self) -> str:
        """The token of an account that exists from the start."""

    def application(self) -> web.Application:
        """A new application over the emulator's state."""


SANDBOXES: Mapping[str, Callable[[], Sandbox]] = {BillPt.name: BillPt}


@dataclass(frozen=True, slots=True)
class Serving:
    """A sandbox that answers at `url`, until it is closed."""

    sandbox: Sandbox
    url: str
    runner: web.AppRunner

    async def close(self) -> None:
        await self.runner.cleanup()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def serve(provider: str | Sandbox, host: str = "127.0.0.1", port: int = 0) -> Serving:
    """Start a sandbox, named or built; port 0 takes any free one. ValueError names the known ones."""
    sandbox = _named(provider) if isinstance(provider, str) else provider
    runner = web.AppRunner(sandbox.application(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError:
        await runner.cleanup()
        raise
    bound = runner.addresses[0]
    return Serving(sandbox, f"http://{_host(bound[0])}:{bound[1]}", runner)


async def run_forever(provider: str, host: str, port: int) -> None:
    """Serve a sandbox until interrupted; prints where it answers and the token it takes."""
    async with await serve(provider, host, port) as serving:
        print(f"sandbox {provider}: {serving.url}\ntoken: {serving.sandbox.token}", flush=True)  # noqa: T201 - what the command is for
        await asyncio.Event().wait()


def _named(provider: str) -> Sandbox:
    if provider not in SANDBOXES:
        raise ValueError(f"unknown sandbox {provider!r}; known: {', '.join(sorted(SANDBOXES))}")
    return SANDBOXES[provider]()


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
