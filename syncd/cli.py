"""Commands: parse, call, print, exit code. What is heavy is imported by the command that needs it."""

import asyncio
import gc
import sys
from collections.abc import Coroutine
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import orjson
import typer

from syncd.domain.errors import SyncdError

LISBON = ZoneInfo("Europe/Lisbon")  # what a day without a time means

app = typer.Typer(
    help="Turns every paid shop order into exactly one correct Portuguese invoice.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
database_app = typer.Typer(help="The ledger's schema.", no_args_is_help=True)
app.add_typer(database_app, name="db")

Config = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--config",
        metavar="FILE",
        help="Settings. Default: $SYNCD_CONFIG, config/syncd.toml, /etc/syncd/syncd.toml.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]
ShopName = Annotated[str, typer.Argument(metavar="SHOP", help="The shop's name in the settings.")]
OrderId = Annotated[str, typer.Argument(metavar="ID", help="The shop's own id of the order.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the order's timeline.")]


def main() -> None:
    """Entry point: errors made for people are printed as such and exit with 2."""
    try:
        app()
    except SyncdError as error:
        print(f"syncd: {error}" + (f"\n  fix: {error.fix}" if error.fix else ""), file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None


@app.command()
def demo(
    orders: Annotated[
        int | None, typer.Option("--orders", metavar="N", min=1, help="How many orders to send. Default: all bundled.")
    ] = None,
    *,
    serve: Annotated[
        bool, typer.Option("--serve", help="Keep running, with the dashboard; print its address and password.")
    ] = False,
) -> None:
    """Show the main job: a sandbox of the service, the daemon, and signed webhooks of real-shaped orders.

    Needs no settings and no network; everything stays in a temporary folder.
    """
    from syncd.demo.show import show  # noqa: PLC0415

    with suppress(KeyboardInterrupt):
        raise SystemExit(asyncio.run(show(orders, stay=serve)))


@app.command()
def run(
    config: Config = None,
    role: Annotated[
        str,
        typer.Option("--role", metavar="ROLES", help="Comma list of receiver, poller, dispatcher, web. Default: all."),
    ] = "",
) -> None:
    """Run the daemon until SIGTERM; then it drains and exits with 0."""
    # Loading makes no garbage, and looking for it costs a quarter of the start. The daemon ends this when it is ready.
    gc.disable()
    _load_structlog_alone()
    from syncd import app as daemon  # noqa: PLC0415

    settings = _settings(config)
    roles = [part.strip() for part in role.split(",") if part.strip()] or list(daemon.ROLES)
    if unknown := set(roles) - set(daemon.ROLES):
        raise SyncdError(f"unknown role {', '.join(sorted(unknown))}", fix=f"choose from {', '.join(daemon.ROLES)}")
    _log_to_stderr(settings)
    asyncio.run(daemon.run_until_signalled(settings, roles))


@app.command()
def check(config: Config = None) -> None:
    """Say what is wrong with settings, database, shops and accounts; exit 1 if anything is."""
    from syncd.operations import check as work  # noqa: PLC0415

    raise SystemExit(_run(work(_settings(config))))


@app.command()
def plan(
    order: Annotated[Path, typer.Argument(metavar="ORDER.json", exists=True, dir_okay=False, help="A raw payload.")],
    shop: Annotated[str, typer.Option("--shop", metavar="NAME", help="The shop that it comes from.")],
    config: Config = None,
    refunds: Annotated[
        Path | None,
        typer.Option("--refunds", metavar="FILE", exists=True, help="What the shop's refund endpoint answered."),
    ] = None,
    issued: Annotated[
        Path | None,
        typer.Option("--issued", metavar="FILE", exists=True, help="Documents that exist, as printed by --json."),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(
            "--evidence", metavar="FILE", exists=True, help="What registers said: consultations and rates, as JSON."
        ),
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Show what would be issued for a raw shop payload, and why. No network, no database."""
    from syncd.operations import Known, dry_run  # noqa: PLC0415

    made = dry_run(_settings(config), shop, order, Known(refunds=refunds, issued=issued, evidence=evidence))
    if json:
        _print_json(made)
    else:
        from syncd.terminal import show_plan  # noqa: PLC0415

        show_plan(made)


@app.command()
def backfill(
    shop: ShopName,
    since: Annotated[datetime, typer.Option("--since", metavar="DATE", formats=["%Y-%m-%d"], help="The first day.")],
    until: Annotated[
        datetime | None,
        typer.Option("--until", metavar="DATE", formats=["%Y-%m-%d"], help="The last day. Default: to now."),
    ] = None,
    config: Config = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be issued, and store nothing.")] = False,
) -> None:
    """Take in the orders that were placed in a shop on past days; they are issued behind all live ones.

    It may run beside the daemon. One that was interrupted goes on where it was when it is run again.
    """
    from syncd.backfill import backfill as work  # noqa: PLC0415

    settings = _settings(config)
    _log_to_stderr(settings)
    raise SystemExit(_run(work(settings, shop, since.date(), until.date() if until else None, dry_run=dry_run)))


@app.command()
def orders(
    config: Config = None,
    state: Annotated[str, typer.Option("--state", metavar="S", help="Only orders in this state.")] = "",
    shop: Annotated[str, typer.Option("--shop", metavar="NAME", help="Only orders of this shop.")] = "",
    *,
    json: Json = False,
) -> None:
    """List the ledger's orders with their documents."""
    from syncd.operations import listing  # noqa: PLC0415

    raise SystemExit(_run(listing(_settings(config), state, shop, json=json)))


@app.command()
def order(shop: ShopName, order_id: OrderId, config: Config = None, *, json: Json = False) -> None:
    """Show one order with its whole timeline."""
    from syncd.operations import one  # noqa: PLC0415

    raise SystemExit(_run(one(_settings(config), shop, order_id, json=json)))


@app.command()
def retry(shop: ShopName, order_id: OrderId, config: Config = None, reason: Reason = "") -> None:
    """Send a held or failed document again after its cause is mended."""
    _decide(config, shop, order_id, "retry", reason)


@app.command()
def release(shop: ShopName, order_id: OrderId, config: Config = None, reason: Reason = "") -> None:
    """Accept the reason for which an order is held and go on, as the hold's text describes."""
    _decide(config, shop, order_id, "release", reason)


@app.command()
def annul(
    shop: ShopName,
    order_id: OrderId,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; the law wants it told.")],
    config: Config = None,
) -> None:
    """Annul what was issued for an order, if nobody has received it; what the order still asks for is issued anew."""
    _decide(config, shop, order_id, "annul", reason)


@app.command()
def skip(shop: ShopName, order_id: OrderId, config: Config = None, reason: Reason = "") -> None:
    """Issue nothing more for this order."""
    _decide(config, shop, order_id, "skip", reason)


@app.command()
def replay(
    since: Annotated[
        datetime,
        typer.Option("--since", metavar="DATE", formats=["%Y-%m-%d"], help="Orders that came in from this day on."),
    ],
    config: Config = None,
    shop: Annotated[str, typer.Option("--shop", metavar="NAME", help="Only orders of this shop.")] = "",
    *,
    json: Json = False,
) -> None:
    """Plan past orders again with this version and these settings; print what would differ, and exit 1 if anything does.

    Reads the ledger only, so that it may run beside the daemon.
    """
    from syncd.replay import report  # noqa: PLC0415

    raise SystemExit(_run(report(_settings(config), since.replace(tzinfo=LISBON), shop, json=json)))


@app.command()
def audit(
    config: Config = None,
    month: Annotated[
        str, typer.Option("--month", metavar="YYYY-MM", help="The ledger against the service's documents of a month.")
    ] = "",
    saft: Annotated[
        Path | None,
        typer.Option(
            "--saft",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="The ledger against the accountant's SAF-T (PT) file, or --month of it; asks nobody.",
        ),
    ] = None,
    *,
    trail: Annotated[bool, typer.Option("--trail", help="Every order's chain and the rows that it tells of.")] = False,
    json: Json = False,
) -> None:
    """Look for what is missing, changed or doubled; exit 1 if anything is."""
    from syncd.audit import command  # noqa: PLC0415

    settings = _settings(config)
    if trail and not (month or saft):
        raise SystemExit(_run(command.audit_trail(settings, json=json)))
    if trail or not (month or saft):
        raise SyncdError(
            "nothing to audit" if not trail else "one at a time", fix="say what: --trail, --month or --saft"
        )
    if saft is not None:
        raise SystemExit(_run(command.audit_saft(settings, saft, month, json=json)))
    _log_to_stderr(settings)
    raise SystemExit(_run(command.audit_month(settings, month, json=json)))


@database_app.command()
def upgrade(config: Config = None) -> None:
    """Bring the schema up to date."""
    from syncd.store import engine  # noqa: PLC0415

    _run(engine.upgrade(_settings(config).database.url))


@database_app.command()
def current(config: Config = None) -> None:
    """Print the schema's revision and the one that this version needs."""
    from syncd.operations import schema  # noqa: PLC0415

    raise SystemExit(_run(schema(_settings(config))))


@app.command()
def sandbox(
    provider: Annotated[str, typer.Argument(metavar="PROVIDER", help="billpt")],
    port: Annotated[int, typer.Option("--port", metavar="N", help="0 for any free one.")] = 8089,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS")] = "127.0.0.1",
) -> None:
    """Run the emulator of an invoicing service alone, until interrupted."""
    from syncd.sandbox.server import SANDBOXES, run_forever  # noqa: PLC0415

    if provider not in SANDBOXES:
        raise SyncdError(f"no sandbox {provider!r}", fix=f"choose from {', '.join(sorted(SANDBOXES))}")
    with suppress(KeyboardInterrupt):
        asyncio.run(run_forever(provider, host, port))


def _load_structlog_alone() -> None:
    """It would load rich, for tracebacks that the daemon does not draw with it: a twentieth of the start."""
    absent = "rich" not in sys.modules
    if absent:
        sys.modules["rich"] = None  # type: ignore[assignment] # what Python takes for "cannot be imported"
    import structlog  # noqa: F401, PLC0415

    if absent:
        del sys.modules["rich"]


def _settings(config: Path | None) -> Any:  # noqa: ANN401 - imported late; syncd.settings.Settings
    import os  # noqa: PLC0415

    from syncd.settings import load  # noqa: PLC0415

    return load(config, os.environ)


def _log_to_stderr(settings: Any) -> None:  # noqa: ANN401 - as above
    from syncd import logs  # noqa: PLC0415
    from syncd.settings import secrets_in  # noqa: PLC0415

    logs.protect(*secrets_in(settings))
    logs.configure(settings.log.level, logs.style_for(settings.log.format, sys.stderr))


def _decide(config: Path | None, shop: str, order_id: str, action: str, reason: str) -> None:
    from syncd.operations import decide  # noqa: PLC0415

    raise SystemExit(_run(decide(_settings(config), shop, order_id, action, reason)))


def _run(work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever the command's coroutine returns
    return asyncio.run(work)


def _print_json(value: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
    sys.stdout.flush()
