"""`syncd audit`: what is found, one line each, and an exit code that a scheduler understands."""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
from rich.markup import escape

from syncd.app import open_parts
from syncd.audit.compare import Difference
from syncd.audit.month import Period, PeriodAudit, read_saft
from syncd.audit.saft import Saft
from syncd.audit.trail import Break, TrailAudit
from syncd.settings import Settings
from syncd.store.engine import Database
from syncd.terminal import console, progress


async def audit_trail(settings: Settings, *, json: bool) -> int:
    """Walk all trails; 1 if anything is not as it was told."""
    database = Database.open(settings.database.url)
    wrong = 0
    try:
        audit = TrailAudit(database)
        with progress("entries", await audit.total()) as count:
            async for broken in audit.breaks(count):
                wrong += 1
                if json:
                    _print_json(asdict(broken))
                else:
                    _print_break(broken)
    finally:
        await database.close()
    if json:
        _print_json({"orders": audit.orders, "entries": audit.entries, "wrong": wrong, "anchor": audit.anchor})
    else:
        verdict = f"[red]{wrong} wrong[/]" if wrong else "[green]nothing missing, changed or moved[/]"
        console.print(f"{audit.entries} entries of {audit.orders} orders: {verdict}")
        console.print(f"[dim]anchor {audit.anchor}[/]", soft_wrap=True)
    return 1 if wrong else 0


async def audit_month(settings: Settings, month: str, *, json: bool) -> int:
    """Every account's month at its service; 1 if anything differs."""
    period = Period.month(month)
    wrong = 0
    async with AsyncExitStack() as stack:
        parts = await open_parts(settings, stack)
        for name, service in parts.services.items():
            audit = PeriodAudit(parts.database, name, period)
            wrong += await _tell(audit, name, period, audit.service(service), json=json)
    return 1 if wrong else 0


async def audit_saft(settings: Settings, path: Path, month: str, *, json: bool) -> int:
    """The accountant's file, without a single request; 1 if anything differs."""
    with path.open("rb") as file:
        saft, name, period = read_saft(Saft(file, str(path)), settings, month)
        database = Database.open(settings.database.url)
        try:
            audit = PeriodAudit(database, name, period)
            return 1 if await _tell(audit, name, period, audit.file(saft), json=json) else 0
        finally:
            await database.close()


async def _tell(
    audit: PeriodAudit, account: str, period: Period, found: AsyncIterator[Difference], *, json: bool
) -> int:
    """Print what is found, then what was looked at; how much was found."""
    wrong = 0
    async for difference in found:
        wrong += 1
        if json:
            _print_json({"account": account, **asdict(difference)})
        else:
            whose = f"{difference.shop} {difference.order_id}: " if difference.order_id else ""
            console.print(
                f"[red]FAIL[/] {escape(whose + difference.message)} [dim]({difference.code})[/]", soft_wrap=True
            )
            console.print(f"     fix: {escape(difference.fix)}", soft_wrap=True)
    seen = {"documents": audit.documents, "strangers": audit.strangers, "wrong": wrong}
    if json:
        _print_json({"account": account, "first": str(period.first), "last": str(period.last), **seen})
    else:
        verdict = f"[red]{wrong} wrong[/]" if wrong else "[green]nothing missing, doubled or different[/]"
        aside = f"; {audit.strangers} that syncd did not issue" if audit.strangers else ""
        console.print(
            f"{account}, {period.first} to {period.last}: {audit.documents} documents{aside}: {verdict}", soft_wrap=True
        )
    return wrong


def _print_break(broken: Break) -> None:
    place = f" entry {broken.entry}" if broken.entry else ""
    whose = escape(f"{broken.shop} {broken.order_id}{place}: {broken.message}")
    console.print(f"[red]FAIL[/] {whose} [dim]({broken.code})[/]", soft_wrap=True)


def _print_json(value: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
    sys.stdout.flush()
