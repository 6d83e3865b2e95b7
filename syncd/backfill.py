"""`syncd backfill`: a shop's past orders into the ledger, or shown as what would become of them."""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta

from syncd.app import Parts, open_parts, policy_of
from syncd.domain.errors import PayloadError, ShopUnavailableError, SyncdError
from syncd.domain.hold import Hold
from syncd.intake.backfill import Backfill, Period
from syncd.intake.receive import Door
from syncd.mapping.known import KnownDocument
from syncd.mapping.planner import Plan, plan
from syncd.mapping.policy import Policy
from syncd.mapping.report import Forecast
from syncd.mapping.sale import zone_of
from syncd.mapping.tables import SAFT_REGION
from syncd.settings import Settings
from syncd.shops.port import Fact, FactKind, OrderFacts, Shop
from syncd.store import documents, engine
from syncd.store.engine import Database


async def backfill(settings: Settings, name: str, first: date, last: date | None, *, dry_run: bool) -> int:
    """Take the past orders of shop `name` in, or only show what would be issued for them."""
    if name not in settings.shops:
        raise SyncdError(f"no shop {name!r} in the settings", fix=f"choose from {', '.join(sorted(settings.shops))}")
    period = _period(settings, name, first, last)
    async with AsyncExitStack() as stack:
        parts = await open_parts(settings, stack)
        shop = parts.shops[name]
        if not shop.can_ask:
            raise SyncdError(
                f"shop {name} cannot be asked for its orders",
                fix="give its API keys in the settings; a generic shop posts its past orders again by itself",
            )
        work = Backfill(name, shop, period)
        if dry_run:
            await _forecast(parts, name, work, period)
        else:
            await _take_in(parts, name, work, period)
    return 0


def _period(settings: Settings, name: str, first: date, last: date | None) -> Period:
    """Days by the clock of the account's region; the last one belongs to it."""
    zone = zone_of(SAFT_REGION[settings.accounts[settings.shops[name].account].fiscal.region])
    now = datetime.now(UTC)
    since = datetime.combine(first, time(), zone).astimezone(UTC)
    until = datetime.combine(last + timedelta(days=1), time(), zone).astimezone(UTC) if last else now
    if since >= min(until, now):
        raise SyncdError(f"there are no days from {first} to {last or 'now'}", fix="give --since a day before --until")
    return Period(first=first, last=last, since=since, until=min(until, now))


async def _take_in(parts: Parts, name: str, work: Backfill, period: Period) -> None:
    from syncd.terminal import progress_through, show_backfilled  # noqa: PLC0415 - rich is for people only

    settings = parts.settings
    if settings.database.upgrade_on_start:
        await engine.upgrade(settings.database.url)
    at = period.since
    async with _a_door(parts) as door:
        with progress_through(name, period.since, period.until) as show:
            try:
                account = settings.shops[name].account
                async for made in work.take_in(parts.database, door, account=account, owner=secrets.token_hex(8)):
                    at = made.at
                    show(at, f"{made.orders} orders, {made.new} news")
            except ShopUnavailableError as error:
                raise SyncdError(
                    f"{error}; all orders before {at:%Y-%m-%d %H:%M} UTC are taken in",
                    fix="run the same command again: it goes on there",
                ) from error
    show_backfilled(name, made.orders, made.new)


@asynccontextmanager
async def _a_door(parts: Parts) -> AsyncIterator[Door]:
    door = Door(parts.database, parts.metrics, arrived=asyncio.Event())
    writing = asyncio.create_task(door.run(), name="door")
    try:
        yield door
    finally:
        writing.cancel()
        await asyncio.wait([writing])


async def _forecast(parts: Parts, name: str, work: Backfill, period: Period) -> None:
    from syncd.terminal import progress_through, show_forecast, show_planned  # noqa: PLC0415 - rich is for people only

    shop, made = parts.shops[name], Forecast()
    service = parts.services[parts.settings.shops[name].account]
    policy = policy_of(parts.settings, name, service.capabilities, shop)
    has_ledger = await engine.current(parts.database) == engine.head()
    with progress_through(name, period.since, period.until) as show:
        async for page in work.pages():
            for order_id, facts in _by_order(page.facts):
                known = await _known(parts.database, name, order_id) if has_ledger else ()
                planned = _planned(shop, facts, known, policy)
                made.count(planned)
                show_planned(order_id, planned)
            show(datetime.fromisoformat(page.cursor), f"{made.orders} orders")
    show_forecast(made)


async def _known(database: Database, shop: str, order_id: str) -> tuple[KnownDocument, ...]:
    async with database.read() as connection:
        return await documents.known(connection, shop, order_id)


def _by_order(facts: Iterable[Fact]) -> Iterable[tuple[str, OrderFacts]]:
    """Orders with their refunds, which stand on the same page."""
    orders: dict[str, bytes] = {}
    refunds: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
    for fact in facts:
        if fact.kind is FactKind.ORDER:
            orders[fact.order_id] = fact.payload
        elif fact.kind is FactKind.REFUND:
            refunds[fact.order_id][fact.part] = fact.payload
    for order_id, payload in orders.items():
        details = refunds[order_id]
        yield order_id, OrderFacts(order=payload, refunds=tuple(details[part] for part in sorted(details)))


def _planned(shop: Shop, facts: OrderFacts, known: tuple[KnownDocument, ...], policy: Policy) -> Plan:
    try:
        return plan(shop.read(facts), known, policy)
    except PayloadError as error:
        fix = error.fix or "look at the order in the shop"
        return Plan(holds=(Hold(code="order_unreadable", message=str(error), fix=fix),))
