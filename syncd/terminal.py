"""Tables and progress for people."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from syncd.domain.findings import Finding

STATE_STYLE = {
    "issued": "green",
    "held": "yellow",
    "uncertain": "red",
    "skipped": "dim",
    "pending": "dim",
    "planned": "cyan",
    "issuing": "cyan",
}

console = Console(highlight=False)


def show_findings(findings: Iterable[Finding]) -> None:
    """One line each; what is wrong says how to mend it."""
    for finding in findings:
        mark = "[green]ok  [/]" if finding.ok else "[red]FAIL[/]"
        console.print(f"{mark} {escape(finding.subject)}: {escape(finding.message)}", soft_wrap=True)
        if finding.fix:
            console.print(f"     fix: {escape(finding.fix)}", soft_wrap=True)


def show_orders(found: Sequence[dict[str, Any]]) -> None:
    """Orders with their documents, one row a document."""
    table = Table(box=None, header_style="bold")
    for heading in ("shop", "order", "state", "document", "number", "net", "VAT", "gross"):
        table.add_column(heading, justify="right" if heading in {"net", "VAT", "gross"} else "left")
    for order in found:
        for position, document in enumerate(order["documents"] or [{}]):
            first = position == 0
            table.add_row(
                order["shop"] if first else "",
                escape(order["order_number"] or order["order_id"]) if first else "",
                styled(order["state"]) if first else "",
                document.get("kind", ""),
                document.get("number") or (styled(document["state"]) if document else ""),
                document.get("net") or "",
                document.get("tax") or "",
                document.get("gross") or "",
            )
        if order["hold"]:
            table.add_row("", "", "", f"[yellow]{escape(order['hold']['code'])}[/]", "", "", "", "")
    console.print(table)


def show_order(order: dict[str, Any]) -> None:
    """One order, its hold, its documents and its timeline."""
    show_orders([order])
    if order["hold"]:
        console.print(f"\n[yellow]held[/] {escape(order['hold']['message'])}", soft_wrap=True)
        console.print(f"  fix: {escape(order['hold']['fix'])}", soft_wrap=True)
    console.print()
    for entry in order["timeline"]:
        detail = ", ".join(f"{key}={value}" for key, value in (entry["detail"] or {}).items() if value not in ("", []))
        console.print(
            f"[dim]{entry['at']}[/] {entry['actor']} [bold]{entry['action']}[/] "
            f"{escape(entry['document'] or '')} {escape(detail)}",
            soft_wrap=True,
        )


def show_plan(made: dict[str, Any]) -> None:
    """Documents with their lines, then what is held and why."""
    order = made["order"]
    console.print(
        f"order {escape(order['number'])} ({escape(order['id'])}), {escape(order['state'])}, {order['payment']}, "
        f"{order['total']} {order['currency']}"
    )
    for document in made["documents"]:
        customer = document["customer"]
        console.print(
            f"\n[bold]{document['kind']}[/] to {escape(customer['name'])} ({customer['tax_id']}, {customer['country']}) "
            f"{document['payment']}"
        )
        table = Table(box=None, header_style="dim")
        for heading in ("article", "description", "quantity", "unit price", "VAT", "net", "tax", "gross"):
            table.add_column(heading, justify="left" if heading in {"article", "description"} else "right")
        for line in document["lines"]:
            rate = f"{line['vat_rate']} %" + (f" {line['exemption']}" if line["exemption"] else "")
            cells = (line["code"], line["description"], line["quantity"], line["unit_price"], rate)
            table.add_row(*(escape(cell) for cell in cells), line["net"], line["tax"], line["gross"])
        totals = document["totals"]
        table.add_row("", "[bold]total[/]", "", "", "", totals["net"], totals["tax"], f"[bold]{totals['gross']}[/]")
        console.print(table)
    for hold in made["holds"]:
        console.print(f"\n[yellow]held[/] {hold['code']}: {escape(hold['message'])}", soft_wrap=True)
        console.print(f"  fix: {escape(hold['fix'])}", soft_wrap=True)
    if made["reason"]:
        console.print(f"\nnothing to issue: {escape(made['reason'])}")


def styled(state: str) -> str:
    return f"[{STATE_STYLE.get(state, 'default')}]{state}[/]"
