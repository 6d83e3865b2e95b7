"""The wire between adapter and emulator: HTTP as bytes in memory, so that it can break at any one of them."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

from tests.prove.fate import Fate, Killed

# When a doubled answer comes again: at once, or when the connection may be in use for the next request.
ECHO_SECONDS = (0.001, 0.01, 1.0, 5.0)


class Mishap(StrEnum):
    """What befalls an exchange on its way."""

    REFUSED = "connection refused"
    REQUEST_CUT = "cut within the request"
    ANSWER_CUT = "cut within the answer"
    ANSWER_TWICE = "answer doubled"


class Network:
    """Connects a process to the service, and lets mishaps happen: so many of each kind, with this probability."""

    def __init__(self, serve: Callable[[], asyncio.Protocol], chance: random.Random) -> None:
        self.fate = Fate()
        self.met: Counter[str] = Counter()
        self.mishaps: Counter[Mishap] = Counter()
        self.probability = 1.0
        self.chance = chance
        self._serve = serve
        self._links: list[Link] = []  # in the order of their making, which a replay repeats

    def connect(self, client: ResponseHandler) -> None:
        """OSError where nobody listens."""
        self.fate.step()
        if self.draw(Mishap.REFUSED):
            raise ConnectionRefusedError
        link = Link(self, client, self._serve())
        self._links.append(link)

    def draw(self, *kinds: Mishap) -> Mishap | None:
        """The mishap of these kinds that happens now, if any."""
        left = [kind for kind in kinds if self.mishaps[kind] > 0]
        if not left or self.chance.random() >= self.probability:
            return None
        kind = self.chance.choice(left)
        self.mishaps[kind] -= 1
        self.met[kind] += 1
        return kind

    def hang_up(self) -> None:
        """As the system does for a process that was killed: what was sent is sent."""
        loop = asyncio.get_running_loop()
        for link in self._links:
            loop.call_soon(link.end)
        self._links.clear()


class Wire(aiohttp.BaseConnector):
    """The client's side: takes the place of its TCP connector."""

    def __init__(self, network: Network, **options: Any) -> None:
        super().__init__(**options)
        self._network = network

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: object,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the base class asks for it
    ) -> ResponseHandler:
        client = self._factory()
        try:
            self._network.connect(client)
        except OSError as error:
            raise aiohttp.ClientConnectorError(req.connection_key, error) from error
        return client


class Link:
    """One connection, and the exchange that is under way on it."""

    def __init__(self, network: Network, client: asyncio.Protocol, server: asyncio.Protocol) -> None:
        self._network = network
        self._loop = asyncio.get_running_loop()
        self._mishap: Mishap | None = None
        self._answer: list[bytes] = []
        self._client = End(self, client, self._from_client)
        self._server = End(self, server, self._from_server)
        server.connection_made(self._server)
        client.connection_made(self._client)

    def end(self, error: Exception | None = None) -> None:
        """Both sides learn of it after what is on its way."""
        for side in (self._client, self._server):
            side.closing = True
            self._loop.call_soon(side.lose, error)

    def _from_client(self, data: bytes) -> None:
        if self._answer or not self._mishap:
            self._answer = []
            self._mishap = self._network.draw(Mishap.REQUEST_CUT, Mishap.ANSWER_CUT, Mishap.ANSWER_TWICE)
        if self._mishap is Mishap.REQUEST_CUT:
            self._mishap = None
            self._break_off(self._server, data)
            return
        if self._network.fate.strikes():  # some of it may have left
            self._loop.call_soon(self._server.receive, self._part_of(data))
            raise Killed
        self._loop.call_soon(self._server.receive, data)

    def _from_server(self, data: bytes) -> None:
        if self._mishap is Mishap.ANSWER_CUT:
            self._break_off(self._client, data)
            return
        if self._mishap is Mishap.ANSWER_TWICE and not self._answer:
            self._loop.call_later(self._network.chance.choice(ECHO_SECONDS), self._echo, self._answer)
        self._answer.append(data)
        self._loop.call_soon(self._to_client, data)

    def _to_client(self, data: bytes) -> None:
        if not self._network.fate.strikes():
            self._client.receive(data)

    def _echo(self, answer: list[bytes]) -> None:
        self._client.receive(b"".join(answer))

    def _break_off(self, receiver: "End", data: bytes) -> None:
        self._loop.call_soon(receiver.receive, self._part_of(data))
        self.end(ConnectionResetError())

    def _part_of(self, data: bytes) -> bytes:
        return data[: self._network.chance.randrange(len(data))]


class End(asyncio.Transport):
    """One side's end of a link."""

    def __init__(self, link: Link, protocol: asyncio.Protocol, send: Callable[[bytes], None]) -> None:
        super().__init__()
        self.closing = False
        self._link = link
        self._protocol = protocol
        self._send = send
        self._lost = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data and not self.closing:
            self._send(bytes(data))

    def receive(self, data: bytes) -> None:
        if data and not self._lost:
            self._protocol.data_received(data)

    def lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            self._protocol.connection_lost(error)

    def close(self) -> None:
        if not self.closing:
            self._link.end()

    abort = close

    def is_closing(self) -> bool:
        return self.closing

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 0) if name == "peername" else default

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        """Nothing here is long enough to be held back."""

    def resume_reading(self) -> None:
        """See `pause_reading`."""
