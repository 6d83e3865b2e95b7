"""One real process on SQLite against one real sandbox process: readiness, memory, latency, requests per order."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from tests.acceptance.processes import SandboxProcess, SyncdProcess, orders, running_sandbox, running_syncd
from tests.acceptance.shopfront import an_order, send

ORDERS = 200
SINGLE_ORDERS = 40


async def measure(folder: Path) -> dict[str, float]:
    """Figures of an idle system first, then of a burst without a request limit."""
    with running_sandbox(folder) as sandbox:
        started = time.perf_counter()
        with running_syncd(folder, sandbox) as daemon:
            ready = time.perf_counter() - started
            memory = _resident_mb(daemon.pid)
            await send(daemon.address, an_order(1))  # proves the shape with a draft
            await _issued(folder, 1)
            latencies = [await _latency(daemon, 10 + number) for number in range(SINGLE_ORDERS)]
            before = await _posted(sandbox)
            await send(daemon.address, *(an_order(1000 + number) for number in range(ORDERS)))
            await _issued(folder, 1 + SINGLE_ORDERS + ORDERS)
            spent = await _posted(sandbox) - before
    return {
        "ready_s": ready,
        "idle_mb": memory,
        "webhook_to_issued_ms": median(latencies) * 1000,
        "requests_per_order": spent / ORDERS,
    }


def _resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/status").read_text("ascii").split("VmRSS:")[1].split()[0]) / 1024


async def _latency(daemon: SyncdProcess, number: int) -> float:
    """From sending the webhook to the log's word that the document is issued; asking meanwhile would slow it down."""
    started = datetime.now(UTC)
    await send(daemon.address, an_order(number))
    while (done := _issued_at(daemon, number)) is None:  # noqa: ASYNC110 - another process works
        await asyncio.sleep(0.02)
    return (done - started).total_seconds()


def _issued_at(daemon: SyncdProcess, number: int) -> datetime | None:
    wanted = f"/{number}/FR/sale"
    for entry in reversed(daemon.events()):
        if entry["event"] == "document.done" and entry["document"].endswith(wanted):
            return datetime.fromisoformat(entry["timestamp"])
    return None


async def _posted(sandbox: SandboxProcess) -> int:
    return int((await sandbox.state())["requests"])


async def _issued(folder: Path, count: int) -> None:
    while sum(order["state"] == "issued" for order in await asyncio.to_thread(orders, folder)) < count:  # noqa: ASYNC110 - another process works
        await asyncio.sleep(0.2)
