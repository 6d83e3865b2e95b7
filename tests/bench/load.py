"""A load generator in a process of its own: raw HTTP/1.1 over a fixed number of kept connections.

Reads one request body per line from standard input, sends each once, prints requests per second and the 99th
percentile of the answer times as JSON.
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


async def connection(host: str, port: int, waiting: list[bytes], times: list[float], wrong: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    while waiting:
        message = waiting.pop()
        started = time.perf_counter()
        writer.write(message)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        times.append(time.perf_counter() - started)
        if not head.startswith(b"HTTP/1.1 2"):
            wrong.append(head[:20])
    writer.close()


async def main(host: str, port: int, path: str, connections: int, secret: str) -> None:
    waiting = [request(path, line.rstrip(b"\n"), secret.encode()) for line in sys.stdin.buffer]
    count = len(waiting)
    times: list[float] = []
    wrong: list[bytes] = []
    started = time.perf_counter()
    await asyncio.gather(*(connection(host, port, waiting, times, wrong) for _ in range(connections)))
    seconds = time.perf_counter() - started
    times.sort()
    json.dump({"rate": count / seconds, "p99_ms": times[int(count * 0.99)] * 1000, "wrong": len(wrong)}, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]))
