"""A load generator in a process of its own: raw HTTP/1.1 over a fixed number of kept connections.

Reads one request body per line from standard input, sends each once, prints requests per second and the 99th
percentile of the answer times as JSON. It shares the processor with what it measures, hence bare sockets: a loop of
asyncio would take three times as much of it.
"""

import base64
import hashlib
import hmac
import json
import select
import socket
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


def whole(answer: bytes) -> bool:
    """Whether an answer has come to its end."""
    head, separator, text = answer.partition(b"\r\n\r\n")
    return bool(separator) and len(text) >= int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])


def drive(host: str, port: int, waiting: list[bytes], connections: int) -> tuple[list[float], int]:
    """Each connection sends a request as soon as the one before is answered; answer times, and how many were not 2xx."""
    poll, opened = select.epoll(), {}
    started: dict[int, float] = {}
    answers: dict[int, bytes] = {}
    for _ in range(connections):
        connection = socket.create_connection((host, port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poll.register(connection, select.EPOLLIN)
        opened[connection.fileno()] = connection
    times, wrong, clock = [], 0, time.perf_counter

    def send(number: int) -> None:
        if waiting:
            answers[number], started[number] = b"", clock()
            opened[number].sendall(waiting.pop())
        else:
            poll.unregister(number)
            opened.pop(number).close()

    for number in list(opened):
        send(number)
    while opened:
        for number, _ in poll.poll():
            part = opened[number].recv(65_536)
            answers[number] += part
            if part and not whole(answers[number]):
                continue
            times.append(clock() - started[number])
            wrong += not answers[number].startswith(b"HTTP/1.1 2")
            send(number)
    return times, wrong


def main(host: str, port: int, path: str, connections: int, secret: str) -> None:
    waiting = [request(path, line.rstrip(b"\n"), secret.encode()) for line in sys.stdin.buffer]
    started = time.perf_counter()
    times, wrong = drive(host, port, waiting, connections)
    seconds = time.perf_counter() - started
    times.sort()
    p99 = times[int(len(times) * 0.99)] * 1000
    json.dump({"rate": len(times) / seconds, "p99_ms": p99, "wrong": wrong}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5])
