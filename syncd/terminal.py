"""Tables and progress for people."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from syncd.domain.findings import Finding
from syncd.mapping.deadlines import WHEN_LATE
from syncd.mapping.planner import Plan
from syncd.mapping.report import Forecast
from syncd.mapping.sale import LISBON

STATE_STYLE = {
    "issued": "green",
    "held": "yellow",
    "uncertain": "red",
    "skipped": "dim",
    "pending": "dim",
    "planned": "cyan",
    "issuing": "cyan",
    "annulling": "cyan",
    "annulled": "dim",
}

WIDE = 180  # columns of what no terminal shows, so that a log or a pipe gets every figure


def _console(*, stderr: bool) -> Console:
    seen = (sys.stderr if stderr else sys.stdout).isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, stderr=stderr, width=None if seen else WIDE)


console = _console(stderr=False)
aside = _console(stderr=True)  # what is no output of the command


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
    for heading in ("shop", "order", "state", "document", "number", "net", "VAT", "gross", "until"):
        table.add_column(heading, justify="right" if heading in {"net", "VAT", "gross"} else "left")
    for order in found:
        for position, document in enumerate(order["documents"] or [{}]):
            first = position == 0
            table.add_row(
                order["shop"] if first else "",
                escape(order["order_number"] or order["order_id"]) if first else "",
                styled(order["state"]) if first else "",
                document.get("kind", ""),
                _number(document) if document else "",
                document.get("net") or "",
                document.get("tax") or "",
                document.get("gross") or "",
                _until(order["deadline"]) if first else "",
            )
        if order["hold"]:
            table.add_row("", "", "", f"[yellow]{escape(order['hold']['code'])}[/]", "", "", "", "", "")
    console.print(table)


def _number(document: Mapping[str, Any]) -> str:
    """What the service calls it, and its state where it is not simply issued."""
    state = "" if document["state"] == "issued" and document["number"] else styled(document["state"])
    return " ".join(text for text in (escape(document["number"] or ""), state) if text)


def _until(deadline: str | None) -> str:
    """The last lawful day of what is still due."""
    if deadline is None:
        return ""
    moment = datetime.fromisoformat(deadline)
    return f"[red]{moment.date()}[/]" if moment < datetime.now(UTC) else str(moment.date())


def show_order(order: dict[str, Any]) -> None:
    """One order, its hold, its documents and its timeline."""
    show_orders([order])
    if order["hold"]:
        console.print(f"\n[yellow]held[/] {escape(order['hold']['message'])}", soft_wrap=True)
        console.print(f"  fix: {escape(order['hold']['fix'])}", soft_wrap=True)
    if waiting := order["waiting"]:
        console.print(f"\n[yellow]waiting[/] for {escape(waiting['for'])} since {waiting.get('since', 'now')}")
        if waiting.get("problem"):
            console.print(f"  {escape(waiting['problem'])}; asked again at {waiting['next_try_at']}", soft_wrap=True)
    if order["deadline"] and datetime.fromisoformat(order["deadline"]) < datetime.now(UTC):
        console.print(f"\n[red]late[/] {escape(WHEN_LATE)}", soft_wrap=True)
    console.print()
    for entry in order["timeline"]:
        # What was said in full is for --json.
        told = ((key, value) for key, value in (entry["detail"] or {}).items() if not isinstance(value, dict))
        detail = ", ".join(f"{key}={value}" for key, value in told if value not in ("", []))
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
            f"{document['payment']} [dim]{escape(document['why'])}[/]",
            soft_wrap=True,
        )
        _show_deadline(document["deadline"])
        for text in customer["cut"]:
            console.print(f" [yellow]{escape(text)}[/]", soft_wrap=True)
        table = Table(box=None, header_style="dim")
        for heading in ("article", "description", "quantity", "unit price", "VAT", "net", "tax", "gross"):
            table.add_column(heading, justify="left" if heading in {"article", "description"} else "right")
        for line in document["lines"]:
            rate = f"{line['vat_rate']} %" + (f" {line['exemption']}" if line["exemption"] else "")
            price = " ".join((line["unit_price"], *(f"-{discount} %" for discount in line["discounts"])))
            cells = (line["code"], line["description"], line["quantity"], price, rate)
            table.add_row(*(escape(cell) for cell in cells), line["net"], line["tax"], line["gross"])
        totals = document["totals"]
        table.add_row("", "[bold]total[/]", "", "", "", totals["net"], totals["tax"], f"[bold]{totals['gross']}[/]")
        console.print(table)
        for line in document["lines"]:
            console.print(f" [dim]{escape(line['code'])}: {escape(line['why'])}[/]", soft_wrap=True)
    for annulment in made["annulments"]:
        console.print(f"\n[bold]annul[/] {escape(annulment['key'])}: {escape(annulment['reason'])}", soft_wrap=True)
    for hold in made["holds"]:
        console.print(f"\n[yellow]held[/] {hold['code']}: {escape(hold['message'])}", soft_wrap=True)
        console.print(f"  fix: {escape(hold['fix'])}", soft_wrap=True)
    if made["deadline"]:
        _show_deadline(made["deadline"])
    if made["reason"]:
        console.print(f"\nnothing to issue: {escape(made['reason'])}")


def _show_deadline(deadline: dict[str, str]) -> None:
    """The last lawful day and its rule; once it has passed, what the law then asks for."""
    day = date.fromisoformat(deadline["last_day"])
    console.print(f"until {day}: {escape(deadline['rule'])}", soft_wrap=True)
    if day < datetime.now(LISBON).date():
        console.print(f"[red]late[/]: {escape(WHEN_LATE)}", soft_wrap=True)


CHANGES = {
    "changed": "would be different",
    "missing": "would not be made",
    "new": "would be made as well",
    "held": "a person would be asked",
    "released": "nobody would be asked any more",
    "untraced": "cannot be planned again: the ledger does not say what it was made from",
}


def show_differing(order: dict[str, Any]) -> None:
    """One order that would be invoiced otherwise, figure by figure."""
    console.print(f"[bold]{escape(order['shop'])} {escape(order['order_id'])}[/] ({escape(order['order_number'])})")
    for found in order["differences"]:
        what = escape(found["document"] or "hold")
        because = f" ({escape(found['because'])})" if found["because"] else ""
        console.print(
            f"  {found['when']}: {what} [yellow]{CHANGES[found['change']]}[/], by the {found['cause']}{because}",
            soft_wrap=True,
        )
        for figure in found["figures"]:
            was, now = (escape(figure[each]) or "[dim]nothing[/]" for each in ("was", "now"))
            console.print(f"    {escape(figure['where'])}: {was} -> {now}", soft_wrap=True)


def show_replayed(planned: int, differing: int, strangers: Mapping[str, int], seconds: float) -> None:
    """The last word, beside the output."""
    rate = f"{planned / seconds:,.0f}/s" if seconds else ""
    aside.print(f"{planned:,} orders planned again in {seconds:.1f} s ({rate}); {differing:,} would be different")
    for shop, count in strangers.items():
        aside.print(f"{count:,} orders of {escape(shop)}, which is not in the settings, were left out")


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar while a person waits; call what it gives with the number that was done."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=aside, transient=True, disable=not aside.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


@contextmanager
def progress_through(shop: str, since: datetime, until: datetime) -> Iterator[Callable[[datetime, str], None]]:
    """A bar from one moment to the other; what it yields is told how far it came, and what to say of it."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[day]}  {task.fields[told]}"))
    with Progress(*columns, TimeElapsedColumn(), console=aside, transient=True, disable=not aside.is_terminal) as bar:
        task = bar.add_task(shop, total=(until - since).total_seconds(), day=f"{since:%Y-%m-%d}", told="")

        def show(at: datetime, told: str) -> None:
            bar.update(task, completed=(at - since).total_seconds(), day=f"{at:%Y-%m-%d}", told=told)

        yield show


def show_backfilled(shop: str, orders: int, new: int) -> None:
    console.print(f"{shop}: {orders} orders read, {new} of what they told was new; the daemon issues what is due,")
    console.print("behind all live orders")


def show_planned(order_id: str, made: Plan) -> None:
    """One line for each document that would be issued and for each hold; nothing for an order that needs none."""
    for draft in made.documents:
        console.print(
            f"{order_id}  {draft.kind}  {draft.totals.gross:.2f}  {escape(draft.customer.name)}", soft_wrap=True
        )
    for hold in made.holds:
        console.print(f"{order_id}  [yellow]held[/]  {hold.code}: {escape(hold.message)}", soft_wrap=True)
    for need in made.needs:
        console.print(f"{order_id}  [yellow]asks[/]  {escape(need.key)}", soft_wrap=True)


def show_forecast(made: Forecast) -> None:
    kinds = ", ".join(f"{number} {kind} ({made.gross[kind]:.2f})" for kind, number in sorted(made.documents.items()))
    console.print(
        f"{made.orders} orders: {kinds or 'no documents'}; {made.waiting} wait, {made.nothing} need nothing (more); "
        "nothing was stored",
        soft_wrap=True,
    )


def styled(state: str) -> str:
    return f"[{STATE_STYLE.get(state, 'default')}]{state}[/]"
