"""What an adapter is given: a gateway without a limit, a directory in memory, and servers that answer as told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from syncd.providers.port import Purpose, Usage


@dataclass
class Booked:
    """One request as the journal would have it."""

    purpose: Purpose
    label: str
    usage: Usage | None = None
    said: dict[str, Mapping[str, object]] = field(default_factory=dict)

    def note(self, part: str, said: Mapping[str, object]) -> None:
        self.said[part] = said

    def answered(self, usage: Usage) -> None:
        self.usage = usage


@dataclass
class OpenGateway:
    """`providers.port.Gateway` that lets every request leave at once and remembers it."""

    booked: list[Booked] = field(default_factory=list)

    @asynccontextmanager
    async def request(self, purpose: Purpose, label: str) -> AsyncIterator[Booked]:
        call = Booked(purpose, label)
        self.booked.append(call)
        yield call

    @property
    def labels(self) -> list[str]:
        return [call.label for call in self.booked]

    def of(self, purpose: Purpose) -> list[str]:
        return [call.label for call in self.booked if call.purpose is purpose]


@dataclass
class MemoryDirectory:
    """`providers.port.Directory` in memory."""

    kinds: dict[str, dict[str, str]] = field(default_factory=dict)

    async def get(self, kind: str, codes: tuple[str, ...]) -> Mapping[str, str]:
        known = self.kinds.get(kind, {})
        return {code: known[code] for code in codes if code in known}

    async def table(self, kind: str) -> Mapping[str, str]:
        return dict(self.kinds.get(kind, {}))

    async def replace(self, kind: str, entries: Mapping[str, str]) -> None:
        self.kinds[kind] = dict(entries)


@dataclass
class Seen:
    """A request as the scripted service got it."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes


Reply = tuple[int, object] | Callable[[Seen], tuple[int, object]]


@dataclass
class ScriptedService:
    """Answers `METHOD path` with the replies given for it, in turn; the last one stays."""

    replies: dict[str, list[Reply]]
    seen: list[Seen] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        seen = Seen(request.method, request.path, dict(request.query), dict(request.headers), body=await request.read())
        self.seen.append(seen)
        replies = self.replies[f"{request.method} {request.path}"]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        status, content = reply(seen) if callable(reply) else reply
        return web.Response(status=status, body=orjson.dumps(content), content_type="application/json")

    def bodies(self, label: str) -> list[Any]:
        return [orjson.loads(seen.body) for seen in self.seen if f"{seen.method} {seen.path}" == label]


@asynccontextmanager
async def scripted(replies: Mapping[str, list[Reply]]) -> AsyncIterator[ScriptedService]:
    service = ScriptedService({label: list(answers) for label, answers in replies.items()})
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.answer)
    async with TestServer(app) as server:
        service.url = str(server.make_url("")).rstrip("/")
        yield service


Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(behaviour: Behaviour) -> AsyncIterator[str]:
    """A TCP server that does to each connection what it is told; yields its address as http://host:port."""
    working: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        working.add(task)
        try:
            await behaviour(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            working.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        for task in tuple(working):
            task.cancel()
        server.close()
        await server.wait_closed()


def everything_said(error: BaseException) -> str:
    """All that a log or traceback could show of an error: text and repr of it, its fields and its visible causes."""
    said: list[str] = []
    current: BaseException | None = error
    while current is not None:
        said += [str(current), repr(current), repr(vars(current))]
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\n".join(said)
