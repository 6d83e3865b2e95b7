"""`make bench`: every figure that the project claims, measured side by side on this machine."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

from syncd.mapping.planner import plan
from syncd.sandbox.billpt import RateMode
from syncd.store.engine import Database
from tests import stores
from tests.acceptance.shopfront import SAMPLE
from tests.bench import accept, ledger, limiter, process, replayed
from tests.builders import a_line, a_policy, an_order, shipping

PLANS = 5_000


def report(name: str, figure: str, target: str) -> None:
    print(f"{name:<58} {figure:>16}   {target}", flush=True)  # noqa: T201 - the report is what it is for


def plan_rate() -> float:
    """Orders planned per second on one core: two articles at two rates and shipping."""
    order = an_order(a_line("25.00"), a_line("12.50", rate="6", id="2"), shipping())
    policy, rates = a_policy(), []
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(PLANS):
            plan(order, (), policy)
        rates.append(PLANS / (time.perf_counter() - started))
    return median(rates)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database.open(url)
    try:
        yield database
    finally:
        await database.close()


async def bench_accept(name: str, url: str) -> None:
    async with opened(url) as database:
        figures = await accept.measure(database, dict(SAMPLE))
    least = 0.5 if name == "SQLite" else 0.4
    report(f"{name}: bare handler", f"{figures['bare_per_s']:.0f}/s", "reads, checks the signature, parses")
    report(f"{name}: durable before the answer", f"{figures['durable_per_s']:.0f}/s", "group commit")
    report(f"{name}: durable / bare", f"{figures['ratio']:.2f}", f"at least {least}")
    report(f"{name}: 99th percentile at 64 connections", f"{figures['p99_ms']:.1f} ms", "at most 25 ms")


async def bench_limiter(url: str) -> None:
    for mode in RateMode:
        async with opened(url) as database:
            figures = await limiter.measure(database, mode)
        report(f"budget used, service counts {mode}", f"{figures['used']:.1%}", "at least 99 %")
        report(
            f"budget refused / fullest window, {mode}",
            f"{figures['refused']:.0f} / {figures['fullest']:.0f}",
            "0 / 100",
        )


async def bench_replay(name: str, url: str, folder: Path) -> None:
    figures = await replayed.measure(url, folder)
    assert not figures["missed"], figures
    assert not figures["differing"], figures
    rate = figures["orders_per_s"]
    report(f"{name}: past orders planned again", f"{rate:,.0f}/s", f"100,000 in {100_000 / rate:.0f} s; at most 60 s")
    report(f"{name}: processor time of one", f"{figures['cpu_ms']:.2f} ms", f"of {replayed.ORDERS:,} orders")


async def bench_claim(name: str, new_url: Callable[[], str]) -> None:
    figures = {}
    for backlog in (1_000, 1_000_000):
        async with opened(new_url()) as database:
            await ledger.fill(database, "planned", 0, backlog)
            figures[backlog] = await ledger.claim_ms(database)
            report(f"{name}: a claim at a backlog of {backlog:,}", f"{figures[backlog]:.2f} ms", "")
            if backlog == 1_000_000 and name == "Postgres":
                async with ledger.old_snapshot(database):
                    await ledger.finish(database, 300_000)
                    dead = await ledger.claim_ms(database)
                report(f"{name}: behind 300,000 dead rows, old snapshot open", f"{dead:.2f} ms", "the same")
    report(f"{name}: 1,000,000 against 1,000", f"{figures[1_000_000] / figures[1_000]:.2f}", "about 1")


def main() -> None:
    """Run all; figures are of this machine and moment, the ratios are what carries over."""
    report("plan", f"{plan_rate():.0f}/s", "at least 5,000/s on one core")
    with tempfile.TemporaryDirectory() as name:
        figures = asyncio.run(process.measure(Path(name)))
    report("process ready after", f"{figures['ready_s']:.2f} s", "at most 0.7 s")
    report("resident when idle", f"{figures['idle_mb']:.0f} MB", "at most 90 MB")
    report("webhook to issued document, idle", f"{figures['webhook_to_issued_ms']:.0f} ms", "service's time + 50 ms")
    report("requests per paid order", f"{figures['requests_per_order']:.2f}", "1.00")
    with tempfile.TemporaryDirectory() as name:
        template = stores.SqliteTemplate(Path(name))
        copies = iter(range(100))

        def fresh() -> str:
            folder = Path(name, str(next(copies)))
            folder.mkdir()
            return template.copy_to(folder)

        asyncio.run(bench_limiter(fresh()))
        asyncio.run(bench_accept("SQLite", fresh()))
        asyncio.run(bench_replay("SQLite", fresh(), Path(name)))
        asyncio.run(bench_claim("SQLite", fresh))
    with stores.postgres_server(waits_for_disk=True) as server:
        asyncio.run(bench_accept("Postgres", asyncio.run(server.create())))
        with tempfile.TemporaryDirectory() as name:
            asyncio.run(bench_replay("Postgres", asyncio.run(server.create()), Path(name)))
        waiting = [asyncio.run(server.create()) for _ in range(2)]
        asyncio.run(bench_claim("Postgres", waiting.pop))


if __name__ == "__main__":
    main()
