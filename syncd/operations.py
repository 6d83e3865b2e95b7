"""What the commands do, besides running the daemon."""

import sys
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from syncd.app import open_parts, policy_of
from syncd.dispatch.proving import BLOCKED, PROVEN
from syncd.dispatch.reconciler import Desk
from syncd.domain.errors import PayloadError, ServiceError, ShopError, SyncdError
from syncd.domain.findings import Finding
from syncd.domain.money import rounded
from syncd.domain.order import Order
from syncd.domain.registers import NO_EVIDENCE
from syncd.domain.states import DocumentState, OrderState
from syncd.mapping.articles import keys_of
from syncd.mapping.deadlines import deadline_of_held
from syncd.mapping.known import KnownDocument
from syncd.mapping.planner import plan
from syncd.mapping.report import deadline_json, drafts_of, evidence_of, plan_json
from syncd.providers.port import capabilities_of
from syncd.settings import Settings
from syncd.settings import Shop as ShopSettings
from syncd.shops.port import ArticleKey, OrderFacts, Shop, load_shop
from syncd.store import engine, events, orders, profiles, references
from syncd.store.engine import Database, StoreUnavailableError
from syncd.web import decisions
from syncd.web.decisions import Action, Decision
from syncd.web.ledger import list_orders, one_order

OF_LATE = 500  # orders in which an entry of the settings should have fitted something


async def check(settings: Settings) -> int:
    """Look at everything that the daemon needs, one line each; 1 if anything is wrong."""
    from syncd.terminal import show_findings  # noqa: PLC0415 - rich is for people only

    findings = [Finding(subject="settings", message="read and valid")]
    async with AsyncExitStack() as stack:
        parts = await open_parts(settings, stack)
        findings.append(await _check_database(settings, parts.database))
        for name, shop in parts.shops.items():
            findings.extend(_named(f"shop {name}", await _findings(shop.check)))
            if findings[1].ok:
                idle = await _articles(name, settings.shops[name], shop, parts.database)
                findings.extend(_named(f"shop {name}", idle))
        # The accounts' answers are cached in the ledger, so they need one.
        if findings[1].ok:
            for name, service in parts.services.items():
                findings.extend(_named(f"account {name}", await _findings(service.check)))
                findings.extend(await _proven(parts.database, name))
            findings.extend(await _problems(parts.database))
    show_findings(findings)
    return 0 if all(finding.ok for finding in findings) else 1


async def _check_database(settings: Settings, database: Database) -> Finding:
    try:
        revision = await engine.current(database)
    except StoreUnavailableError as error:
        return Finding(subject="database", message=str(error), fix=error.fix or "start it, or correct [database] url")
    if revision == engine.head():
        return Finding(subject="database", message=f"reached, schema {revision}")
    if settings.database.upgrade_on_start:
        await engine.upgrade(settings.database.url)
        return Finding(subject="database", message=f"reached, schema brought to {engine.head()}")
    return Finding(subject="database", message=f"schema is {revision}, not {engine.head()}", fix="syncd db upgrade")


async def _findings(look: Any) -> tuple[Finding, ...]:  # noqa: ANN401 - a bound check method of either port
    try:
        found: tuple[Finding, ...] = await look()
    except (ShopError, ServiceError) as error:
        return (Finding(subject="", message=str(error), fix=error.fix or "see the message"),)
    return found


def _named(prefix: str, findings: Iterable[Finding]) -> list[Finding]:
    return [
        Finding(subject=f"{prefix}: {f.subject}" if f.subject else prefix, message=f.message, fix=f.fix)
        for f in findings
    ]


async def _articles(name: str, own: ShopSettings, shop: Shop, database: Database) -> list[Finding]:
    """By what the tables of articles know one, and which of their entries fit nothing that was sold of late."""
    tables = {"articles": own.articles, "exemptions": own.exemptions, "services": own.services, "goods": own.goods}
    if not any(tables.values()):
        return []
    told = " or ".join(key for key in ArticleKey if key in shop.article_keys)
    never = " and no ".join(key for key in ArticleKey if key not in shop.article_keys)
    known_by = f"{', '.join(table for table in tables if tables[table])}: an article is known by its {told}"
    found = [Finding(subject="", message=known_by + (f"; {own.platform} tells no {never}" if never else ""))]
    async with database.read() as connection:
        payloads = await orders.newest(connection, name, OF_LATE)
    sold: set[str] = set()
    for payload in payloads:
        with suppress(PayloadError):
            sold.update(key for line in shop.read(OrderFacts(order=payload)).lines for key in keys_of(line))
    for table, entries in tables.items():
        if payloads and (idle := [entry for entry in entries if entry not in sold]):
            few = ", ".join(map(repr, idle[:5])) + (f" and {len(idle) - 5} more" if len(idle) > 5 else "")
            found.append(Finding(subject=table, message=f"nothing in the last {len(payloads):,} orders fits {few}"))
    return found


async def _proven(database: Database, account: str) -> list[Finding]:
    """How the account adds up and how it takes prices, as far as its documents have shown it."""
    async with database.read() as connection:
        proven = sorted(await references.table(connection, account, PROVEN))
        blocked = sorted(await references.table(connection, account, BLOCKED))
        seen = await profiles.of(connection, account)
        learned_at = await profiles.noted_at(connection, account, profiles.ARITHMETIC)
    subject = f"account {account}: arithmetic"
    found = []
    if seen.arithmetic is not None and learned_at is not None:
        message = f"adds up by {seen.arithmetic}, learned from a draft on {learned_at:%Y-%m-%d}"
        found.append(Finding(subject=subject, message=message))
    if blocked:
        fix = "compare fiscal.arithmetic with the account's rounding, then retry a held order"
        message = f"does not add up as planned for {', '.join(blocked)}"
        return [*found, Finding(subject=subject, message=message, fix=fix)]
    shown = f"proven for {', '.join(proven)}" if proven else "not proven yet: first documents go out as drafts"
    return [*found, Finding(subject=subject, message=shown)]


async def _problems(database: Database) -> list[Finding]:
    return [
        Finding(
            subject=f"shop {found.shop}: event {found.event_id}",
            message=f"kept but not understood ({found.topic}): {found.problem}",
            fix="correct it at the shop, or report it if the payload is right",
        )
        for found in await events.problems(database, 5)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Files with what a dry run cannot ask for: the shop's refunds, documents that exist, what registers said."""

    refunds: Path | None = None
    issued: Path | None = None
    evidence: Path | None = None


def dry_run(settings: Settings, name: str, order: Path, files: Known) -> dict[str, Any]:
    """Plan a raw payload with the settings of shop `name`; the object of `syncd plan --json`."""
    desk = _desk(settings, name)
    shop, policy = desk.shop, desk.policy
    details = shop.refund_payloads(files.refunds.read_bytes()) if files.refunds else ()
    try:
        read = shop.read(OrderFacts(order=order.read_bytes(), refunds=details))
    except PayloadError as error:
        raise SyncdError(f"{order}: {error}", fix=error.fix or "give a raw order payload of this shop") from error
    known = [
        # The file does not tell when it was issued: as soon as it was wanted.
        KnownDocument(key=draft.key, state=DocumentState.ISSUED, draft=draft, issued_at=draft.due_at)
        for draft in (drafts_of(_json_in(files.issued)) if files.issued else ())
    ]
    evidence = evidence_of(_json_in(files.evidence)) if files.evidence else NO_EVIDENCE
    made = plan(read, known, policy, evidence=evidence)
    # Waiting stops no clock: what such an order would become has a deadline as well.
    deadline = deadline_json(deadline_of_held(read, known, policy)) if made.holds or made.needs else None
    return {**_order_json(read), **plan_json(made), "deadline": deadline}


def _json_in(file: Path) -> Any:  # noqa: ANN401 - somebody's JSON
    try:
        return orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError as error:
        raise SyncdError(f"{file}: is not JSON ({error})", fix="give the file as --json printed it") from None


def _order_json(order: Order) -> dict[str, Any]:
    return {
        "order": {
            "shop": order.shop,
            "id": order.id,
            "number": order.number,
            "state": order.state,
            "payment": order.payment.value,
            "total": str(rounded(order.total, order.currency)),
            "currency": order.currency,
        }
    }


async def listing(settings: Settings, state: str, shop: str, *, json: bool) -> int:
    """Print orders; JSON lines or a table."""
    try:
        wanted = OrderState(state) if state else None
    except ValueError:
        raise SyncdError(f"unknown state {state!r}", fix=f"choose from {', '.join(OrderState)}") from None
    database = Database.open(settings.database.url)
    try:
        found = list_orders(database, state=wanted, shop=shop or None)
        if json:
            async for entry in found:
                sys.stdout.buffer.write(orjson.dumps(entry) + b"\n")
            sys.stdout.flush()
        else:
            from syncd.terminal import show_orders  # noqa: PLC0415 - rich is for people only

            show_orders([entry async for entry in found])
    finally:
        await database.close()
    return 0


async def one(settings: Settings, shop: str, order_id: str, *, json: bool) -> int:
    """Print one order with its timeline; 1 if it is not known."""
    database = Database.open(settings.database.url)
    try:
        found = await one_order(database, shop, order_id)
    finally:
        await database.close()
    if found is None:
        raise SyncdError(f"no order {order_id!r} of shop {shop!r} in the ledger", fix="see: syncd orders")
    if json:
        sys.stdout.buffer.write(orjson.dumps(found) + b"\n")
        sys.stdout.flush()
    else:
        from syncd.terminal import show_order  # noqa: PLC0415 - rich is for people only

        show_order(found)
    return 0


async def decide(
    settings: Settings, shop: str, order_id: str, action: str, reason: str, *, now: datetime | None = None
) -> int:
    """Record an operator's decision and have the order planned again."""
    database = Database.open(settings.database.url)
    try:
        policy = _desk(settings, shop).policy if action == Action.ANNUL else None
        made = Decision(action=Action(action), reason=reason, actor="operator", policy=policy)
        await decisions.decide(database, shop, order_id, made, now=now or datetime.now(UTC))
    finally:
        await database.close()
    print(f"{shop} {order_id}: {action} recorded; the daemon acts on it at once")  # noqa: T201
    return 0


def _desk(settings: Settings, name: str) -> Desk:
    """A shop and its policy, as the daemon has them."""
    if name not in settings.shops:
        raise SyncdError(f"no shop {name!r} in the settings", fix=f"choose from {', '.join(sorted(settings.shops))}")
    own = settings.shops[name]
    shop = load_shop(own.platform)(settings.shop_config(name))
    able = capabilities_of(settings.accounts[own.account].provider)
    return Desk(shop=shop, policy=policy_of(settings, name, able, shop))


async def schema(settings: Settings) -> int:
    """Print the schema's revision; 1 if it is not the one that this version needs."""
    database = Database.open(settings.database.url)
    try:
        revision = await engine.current(database)
    finally:
        await database.close()
    print(f"database {revision or 'empty'}, needed {engine.head()}")  # noqa: T201
    return 0 if revision == engine.head() else 1
