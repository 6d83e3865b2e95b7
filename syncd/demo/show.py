"""Runs the demonstration: sandbox, daemon, signed webhooks over HTTP, and a table of what came of them."""

import asyncio
import base64
import hashlib
import hmac
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from syncd import logs
from syncd.app import ROLES, Daemon
from syncd.dispatch.proving import PROVEN
from syncd.sandbox.server import Serving, serve
from syncd.settings import Settings, load
from syncd.store import attempts, orders
from syncd.store.engine import Database
from syncd.store.references import LedgerDirectory
from syncd.terminal import console, styled
from syncd.web.ledger import list_orders

SHOPS = {"woocommerce": "loja", "shopify": "montra"}
PATIENCE_SECONDS = 120
COPY_STEP = 100_000_000  # between the order ids of a bundled order and of its copies

SETTINGS = """
[database]
url = "sqlite+aiosqlite:///{folder}/syncd.db"
[http]
port = 0
[dashboard]
password = "{password}"
[registers.vies]
enabled = false
[registers.ecb]
enabled = false
[accounts.main]
provider = "billpt"
base_url = "{service}"
token = "{token}"
[shops.loja]
platform = "woocommerce"
account = "main"
url = "https://loja.example"
webhook_secret = "{secret}"
[shops.montra]
platform = "shopify"
account = "main"
url = "https://montra.myshopify.com"
webhook_secret = "{secret}"
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook as a shop sends it."""

    platform: str
    topic: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Story:
    """The deliveries of one order, and what they tell in words."""

    title: str
    order_id: str
    deliveries: tuple[Delivery, ...]


def stories(count: int | None) -> list[Story]:
    """So many of the bundled orders (None: all); from their number on, copies with other order ids."""
    bundled = [
        orjson.loads(entry.read_bytes())
        for entry in sorted(files("syncd.demo").joinpath("orders").iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".json")
    ]
    return [_story(bundled[number % len(bundled)], number // len(bundled)) for number in range(count or len(bundled))]


def _story(told: dict[str, Any], copy: int) -> Story:
    deliveries = []
    order_id = ""
    for delivery in told["deliveries"]:
        body = orjson.loads(delivery["body"])
        key = "order_id" if delivery["topic"].startswith("refunds/") else "id"
        raw = delivery["body"].encode()
        if copy:
            body[key] += copy * COPY_STEP
            raw = orjson.dumps(body)
        order_id = order_id or str(body[key])
        deliveries.append(Delivery(told["platform"], delivery["topic"], raw))
    return Story(told["title"], order_id, tuple(deliveries))


async def show(count: int | None, *, stay: bool) -> int:
    """Run it all; 0 if every order ended as it should: issued, held with a reason, or nothing due."""
    logs.configure("warning", "console")
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="syncd-demo-"))
        service = await stack.enter_async_context(await serve("billpt"))
        secret, password = secrets.token_hex(16), secrets.token_urlsafe(12)
        settings = _settings(folder, service, secret, password)
        address = await stack.enter_async_context(_daemon(settings))
        database = Database.open(settings.database.url)
        stack.push_async_callback(database.close)
        console.print(f"Bill.pt sandbox at {service.url}, syncd at {address}, ledger in {folder}\n")
        started = time.monotonic()
        told = stories(count)
        answers = await _send(told, address, secret)
        await _wait(database, len(told))
        found = {(entry["shop"], entry["order_id"]): entry async for entry in list_orders(database)}
        _print_table(told, found)
        async with database.read() as connection:
            purposes = await attempts.per_purpose(connection, account="main")
        # What one draft proves bears one time.
        drafts = len(set((await LedgerDirectory(database, "main").table(PROVEN)).values()))
        _print_summary(found, answers, time.monotonic() - started)
        _print_requests(found, purposes, drafts)
        if stay:
            console.print(f"\nDashboard: [bold]{address}/[/] with the password [bold]{password}[/]", highlight=False)
            console.print(f"Still running: {address}/metrics and /readyz; sandbox {service.url}. Ctrl-C ends it.")
            await asyncio.Event().wait()
    return 0 if all(entry["state"] in {"issued", "held", "pending"} for entry in found.values()) else 1


@asynccontextmanager
async def _daemon(settings: Settings) -> AsyncIterator[str]:
    """The whole daemon in this process, drained at the end; yields its address."""
    stop = asyncio.Event()
    daemon = Daemon(settings, ROLES)
    running = asyncio.create_task(daemon.run(stop), name="daemon")
    started = asyncio.create_task(daemon.started.wait(), name="started")
    await asyncio.wait({running, started}, return_when=asyncio.FIRST_COMPLETED)
    started.cancel()
    if running.done():
        running.result()
    try:
        yield f"http://127.0.0.1:{daemon.port}"
    finally:
        stop.set()
        await running


def _settings(folder: str, service: Serving, secret: str, password: str) -> Settings:
    """A settings file as anybody would write it, read as any other."""
    path = Path(folder, "syncd.toml")
    given = {"token": service.sandbox.token, "secret": secret, "password": password}
    filled = SETTINGS.format(folder=folder, service=service.url, **given)
    path.write_text(filled, "utf-8")
    return load(path, {})


async def _send(told: list[Story], address: str, secret: str) -> Counter[int]:
    """Every delivery as a signed webhook over HTTP, a shop's deliveries in their order."""
    answers: Counter[int] = Counter()
    async with aiohttp.ClientSession() as session:
        for story in told:
            for delivery in story.deliveries:
                url = f"{address}/webhooks/{SHOPS[delivery.platform]}"
                async with session.post(url, data=delivery.body, headers=_headers(delivery, secret)) as answer:
                    answers[answer.status] += 1
    return answers


def _headers(delivery: Delivery, secret: str) -> dict[str, str]:
    signature = base64.b64encode(hmac.digest(secret.encode(), delivery.body, hashlib.sha256)).decode()
    if delivery.platform == "shopify":
        names = {"X-Shopify-Topic": delivery.topic, "X-Shopify-Hmac-Sha256": signature}
        return {"Content-Type": "application/json", "X-Shopify-Shop-Domain": "montra.myshopify.com", **names}
    return {
        "Content-Type": "application/json",
        "X-WC-Webhook-Topic": delivery.topic,
        "X-WC-Webhook-Signature": signature,
    }


async def _wait(database: Database, count: int) -> None:
    """Until no order is on its way any more."""
    columns = (TextColumn("issuing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("issuing", total=count)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            entries = [entry async for entry in list_orders(database)]
            async with database.read() as connection:
                unplanned = await orders.due(connection, datetime.now(UTC), 1)
            done = sum(entry["state"] in {"issued", "held", "pending", "skipped"} for entry in entries)
            progress.update(task, completed=done, total=max(count, len(entries)))
            if not unplanned and done == len(entries):
                return
            await asyncio.sleep(0.1)


def _print_table(told: list[Story], found: dict[tuple[str, str], dict[str, Any]]) -> None:
    table = Table(header_style="bold", box=None, pad_edge=False)
    for heading in ("shop", "order", "what", "state", "documents", "net", "VAT", "gross"):
        figures = heading in {"net", "VAT", "gross"}
        # Only the words may be cut on a narrow terminal.
        table.add_column(
            heading, justify="right" if figures else "left", no_wrap=True, min_width=1 if heading == "what" else 6
        )
    for story in told:
        shop = SHOPS[story.deliveries[0].platform]
        entry = found.get((shop, story.order_id))
        if entry is None:
            table.add_row(shop, story.order_id, escape(story.title), "[dim]ignored[/]", "", "", "", "")
            continue
        documents = entry["documents"]
        hold = f"[yellow]{entry['hold']['code']}[/]" if entry["hold"] else "[dim]nothing due[/]"
        table.add_row(
            shop,
            escape(entry["order_number"]),
            escape(story.title),
            styled(entry["state"]),
            "\n".join(document["number"] or document["state"] for document in documents) or hold,
            *("\n".join(document[name] or "" for document in documents) for name in ("net", "tax", "gross")),
        )
    console.print(table)


def _print_summary(found: dict[tuple[str, str], dict[str, Any]], answers: Counter[int], seconds: float) -> None:
    documents = _issued(found)
    gross = sum((Decimal(d["gross"]) * (-1 if d["kind"] == "NC" else 1) for d in documents), Decimal(0))
    held = sum(entry["state"] == "held" for entry in found.values())
    statuses = ", ".join(f"{number} x {status}" for status, number in sorted(answers.items()))
    console.print(
        f"\n{sum(answers.values())} webhooks ({statuses}), {len(found)} orders, "
        f"{len(documents)} documents over {gross} EUR, {held} held, in {seconds:.1f} s"
    )


def _print_requests(found: dict[tuple[str, str], dict[str, Any]], purposes: dict[str, int], drafts: int) -> None:
    """What the documents cost; drafts that prove a shape and lists that are read once are told apart."""
    issue = purposes.get("issue", 0) - drafts
    console.print(
        f"requests to the service: {issue} for documents ({issue / max(len(_issued(found)), 1):.2f} each), "
        f"{drafts} drafts that proved a new shape of document to the cent, "
        f"{purposes.get('lookup', 0)} lists read once, {purposes.get('verify', 0)} searches"
    )


def _issued(found: dict[tuple[str, str], dict[str, Any]]) -> list[dict[str, Any]]:
    return [document for entry in found.values() for document in entry["documents"] if document["number"]]
