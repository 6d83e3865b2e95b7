"""`syncd audit`: what is found, one line each, and an exit code that a scheduler understands."""

import sys
from dataclasses import asdict
from typing import Any

import orjson
from rich.markup import escape

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


def _print_break(broken: Break) -> None:
    place = f" entry {broken.entry}" if broken.entry else ""
    whose = escape(f"{broken.shop} {broken.order_id}{place}: {broken.message}")
    console.print(f"[red]FAIL[/] {whose} [dim]({broken.code})[/]", soft_wrap=True)


def _print_json(value: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
    sys.stdout.flush()
