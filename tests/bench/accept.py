"""How much of a bare handler's rate is left when every event is durable before its answer."""

import asyncio
import gc
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median
from typing import Any

from aiohttp import web
from pydantic import SecretStr

from syncd.intake.receive import Door
from syncd.intake.webhooks import Counter, Webhooks
from syncd.metrics import Metrics
from syncd.shops.port import ShopConfig, load_shop
from syncd.store.engine import Database

SECRET = "bench-secret"
CONNECTIONS = 64
BATCH = 2000
ROUNDS = 15


def bodies(sample: dict[str, Any], first: int, count: int) -> bytes:
    """Distinct orders of four articles, which makes about 5 kB, one a line."""
    sample["line_items"] = [{**sample["line_items"][0], "id": item} for item in range(1, 5)]
    out = []
    for number in range(first, first + count):
        sample["id"] = number
        out.append(json.dumps(sample, separators=(",", ":")).encode())
    return b"\n".join(out)


@asynccontextmanager
async def server(database: Database) -> AsyncIterator[int]:
    """The real receiving end, and beside it a handler that only reads, checks the signature and parses."""
    config = ShopConfig(name="loja", url="https://loja.example", webhook_secrets=(SecretStr(SECRET),))
    shop = load_shop("woocommerce")(config)
    metrics = Metrics()
    door = Door(database, metrics, arrived=asyncio.Event())

    async def bare(request: web.Request) -> web.Response:
        body = await request.read()
        delivery = shop.receive({key.lower(): value for key, value in request.headers.items()}, body)
        return web.Response(status=202, text=f"{len(delivery.facts)}\n")

    application = web.Application(client_max_size=5_000_000)
    counters = {"loja": Counter(shop=shop, account="main")}
    application.add_routes([web.post("/bare", bare), *Webhooks(counters, door, metrics).routes()])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    writing = asyncio.create_task(door.run())
    gc.freeze()  # as the daemon does when it is ready
    try:
        yield runner.addresses[0][1]
    finally:
        writing.cancel()
        await runner.cleanup()


async def load(port: int, path: str, lines: bytes) -> dict[str, float]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.load",
        "127.0.0.1",
        str(port),
        path,
        str(CONNECTIONS),
        SECRET,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate(lines)
    measured: dict[str, float] = json.loads(printed)
    assert not measured["wrong"], measured
    return measured


async def measure(database: Database, sample: dict[str, Any]) -> dict[str, float]:
    """Bare and durable in turn; medians over the rounds."""
    bare, durable = [], []
    async with server(database) as port:
        for number in range(ROUNDS + 1):
            lines = bodies(sample, 1_000_000 + number * BATCH, BATCH)
            bare.append(await load(port, "/bare", lines))
            durable.append(await load(port, "/webhooks/loja", lines))
    ratios = [d["rate"] / b["rate"] for d, b in zip(durable[1:], bare[1:], strict=True)]  # the first round warms up
    return {
        "bare_per_s": median(b["rate"] for b in bare[1:]),
        "durable_per_s": median(d["rate"] for d in durable[1:]),
        "ratio": median(ratios),
        "p99_ms": median(d["p99_ms"] for d in durable[1:]),
    }
