"""A load generator in a process of its own: raw HTTP/1.1 over a fixed number of kept connections.

Reads one request body per line from standard input, sends each once, prints requests per second and the 99th
percentile of the answer times as JSON. Protocols instead of streams, so that it takes as little as it can of the
processor that the measured process needs as well.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import sys
import time


def request(path: str, body: bytes, secret: bytes) -> bytes:
    signature = base64.b64encode(hmac.digest(secret, body, hashlib.sha256)).decode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"X-WC-Webhook-Topic: order.updated\r\nX-WC-Webhook-Signature: {signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection(asyncio.Protocol):
    """Sends a request as soon as the one before is answered."""

    def __init__(self, waiting: list[bytes], times: list[float], wrong: list[bytes]) -> None:
        self.waiting, self.times, self.wrong = waiting, times, wrong
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.send()

    def send(self) -> None:
        if not self.waiting:
            self.transport.close()
            return
        message = self.waiting.pop()
        self.started = time.perf_counter()
        self.transport.write(message)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        head, separator, text = self.answer.partition(b"\r\n\r\n")
        if not separator or len(text) < int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]):
            return
        self.times.append(time.perf_counter() - self.started)
        if not head.startswith(b"HTTP/1.1 2"):
            self.wrong.append(head[:20])
        self.answer = b""
        self.send()

    def connection_lost(self, error: Exception | None) -> None:
        self.ended.set_result(None)


async def main(host: str, port: int, path: str, connections: int, secret: str) -> None:
    waiting = [request(path, line.rstrip(b"\n"), secret.encode()) for line in sys.stdin.buffer]
    count = len(waiting)
    times: list[float] = []
    wrong: list[bytes] = []
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    opened = [loop.create_connection(lambda: Connection(waiting, times, wrong), host, port) for _ in range(connections)]
    made = await asyncio.gather(*opened)
    await asyncio.gather(*(protocol.ended for _, protocol in made))
    seconds = time.perf_counter() - started
    times.sort()
    wrong += [b"lost"] * (count - len(times))
    json.dump({"rate": count / seconds, "p99_ms": times[int(count * 0.99)] * 1000, "wrong": len(wrong)}, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]))
