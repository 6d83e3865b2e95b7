"""Builds everything, runs the roles, and drains them."""

import asyncio
import gc
import os
import secrets
import signal
import socket
from collections.abc import Coroutine, Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from aiohttp import web

from syncd.alerts.channel import Channel
from syncd.alerts.conditions import Outlook
from syncd.alerts.watch import Watch
from syncd.dispatch.bell import Bell
from syncd.dispatch.courtesy import CommandGateway
from syncd.dispatch.dispatcher import Account, Dispatcher
from syncd.dispatch.gateway import AccountGateway
from syncd.dispatch.inquiries import Inquiries, Registers
from syncd.dispatch.leases import Issuer, Lease
from syncd.dispatch.reconciler import Desk, Reconciler
from syncd.dispatch.silence import Silence
from syncd.dispatch.throttle import Budget
from syncd.domain.capabilities import Arithmetic, Capabilities
from syncd.domain.document import DocumentKind, Nature, PriceMode
from syncd.domain.errors import SyncdError
from syncd.intake.pollers import Pollers, Source
from syncd.intake.receive import Door
from syncd.intake.webhooks import Counter, Webhooks
from syncd.mapping.policy import (
    Deposits,
    GiftCards,
    NonSupply,
    OnCancel,
    PaidDocument,
    Policy,
    RatePolicy,
    Rule,
    RuleAction,
    ZeroTotal,
)
from syncd.mapping.tables import SAFT_REGION
from syncd.mapping.texts import folded
from syncd.metrics import Metrics
from syncd.notify import Notifier
from syncd.providers.port import InvoicingService, load_service
from syncd.registers.ecb import Ecb
from syncd.registers.vies import Vies
from syncd.settings import Settings
from syncd.shops.port import Shop, load_shop
from syncd.store import engine
from syncd.store.engine import Database
from syncd.store.lock import sole_daemon
from syncd.store.references import LedgerDirectory
from syncd.web.dashboard import Dashboard, Subjects
from syncd.web.gate import Gate
from syncd.web.health import Health, Readiness

log = structlog.get_logger()

ROLES = ("receiver", "poller", "dispatcher", "web")
GRACE_SECONDS = 45.0


@dataclass(slots=True)
class Parts:
    """Everything one process is made of."""

    settings: Settings
    database: Database
    metrics: Metrics
    shops: dict[str, Shop] = field(default_factory=dict)
    services: dict[str, InvoicingService] = field(default_factory=dict)
    gateways: dict[str, AccountGateway] = field(default_factory=dict)
    budgets: dict[str, Budget] = field(default_factory=dict)
    registers: Registers = field(default_factory=Registers)


async def open_parts(
    settings: Settings, stack: AsyncExitStack, *, gateway: type[AccountGateway] = CommandGateway
) -> Parts:
    """Open the database and every adapter; the stack closes them again. Whoever is not the daemon gives way to it."""
    database = Database.open(settings.database.url)
    stack.push_async_callback(database.close)
    parts = Parts(settings, database, Metrics(), registers=_registers(settings))
    stack.push_async_callback(parts.registers.close)
    for name, shop in settings.shops.items():
        parts.shops[name] = load_shop(shop.platform)(settings.shop_config(name))
        stack.push_async_callback(parts.shops[name].close)
    for name, account in settings.accounts.items():
        budget = parts.budgets[name] = Budget(account.rate_limit)
        way_out = parts.gateways[name] = gateway(name, database, budget, parts.metrics)
        directory = LedgerDirectory(database, name)
        parts.services[name] = load_service(account.provider)(settings.account_config(name), way_out, directory)
        stack.push_async_callback(parts.services[name].close)
    return parts


def _registers(settings: Settings) -> Registers:
    vies, ecb = settings.registers.vies, settings.registers.ecb
    return Registers(
        vies=Vies(vies.url, timeout_seconds=vies.timeout_seconds) if vies.enabled else None,
        ecb=Ecb(ecb.url, timeout_seconds=ecb.timeout_seconds) if ecb.enabled else None,
    )


def policy_of(settings: Settings, name: str, able: Capabilities, shop: Shop) -> Policy:
    """A shop's settings and its account's, as the planner wants them."""
    own = settings.shops[name]
    fiscal = settings.accounts[own.account].fiscal
    return Policy(
        account=own.account,
        capabilities=able,
        arithmetic=able.arithmetic if fiscal.arithmetic == "auto" else Arithmetic(fiscal.arithmetic),
        price_mode=PriceMode(fiscal.prices),
        learns_arithmetic=fiscal.arithmetic == "auto",
        seller_nif=fiscal.nif,
        region=SAFT_REGION[fiscal.region],
        ship_from=SAFT_REGION[fiscal.ship_from],
        regime=fiscal.regime,
        oss=fiscal.oss,
        retailer=fiscal.retailer,
        paid_document=PaidDocument(own.paid_document or fiscal.paid_document),
        series={kind: own.series.get(kind, own.series.get("*", "")) for kind in DocumentKind if own.series},
        unpaid_document=fiscal.unpaid_document == "FT",
        issue_on=frozenset(own.issue_on or shop.default_issue_on),
        start_after=own.start_after,
        payments=own.payments,
        unknown_payment=own.unknown_payment,
        articles=own.articles,
        exemptions=own.exemptions,
        services=frozenset(own.services),
        goods=frozenset(own.goods),
        default_nature=Nature(own.default_nature),
        shipping_code=own.shipping_code,
        shipping_follows_goods=own.shipping_vat == "follow_goods",
        fee_code=own.fee_code,
        on_rate_mismatch=RatePolicy(own.on_rate_mismatch),
        hold_invalid_nif=own.invalid_nif == "hold",
        gift_cards=GiftCards(own.gift_cards),
        gift_card_rate=own.gift_card_vat,
        non_supply=NonSupply(own.non_supply),
        deposits=Deposits(own.deposits),
        non_supply_names=frozenset(folded(name) for name in own.non_supply_names),
        zero_total=ZeroTotal(own.zero_total),
        on_cancel=OnCancel(own.on_cancel),
        rules=tuple(
            Rule(
                action=RuleAction(rule.action),
                tags=frozenset(rule.tags),
                countries=frozenset(rule.countries),
                gateways=frozenset(rule.payments),
                at_least=rule.at_least,
                below=rule.below,
                document=PaidDocument(rule.document) if rule.document else None,
                series=rule.series,
                reason=rule.reason,
            )
            for rule in own.rules
        ),
        show_discounts=own.show_discounts,
        notes=own.notes,
        delay=timedelta(minutes=own.delay_minutes),
    )


class Daemon:
    """`syncd run`: the chosen roles over one database, until told to stop."""

    def __init__(self, settings: Settings, roles: Iterable[str] = ROLES) -> None:
        self._settings = settings
        self._roles = frozenset(roles)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._runner: web.AppRunner | None = None
        # Processes in containers all have the same number.
        self._me = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.port = 0
        self.started = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Start, say so, work until `stop`, then drain: no new requests, the one in flight ends, everything closes."""
        async with AsyncExitStack() as stack:
            stack.enter_context(sole_daemon(self._settings.database.url))
            parts = await open_parts(self._settings, stack, gateway=AccountGateway)
            if self._settings.database.upgrade_on_start:
                await engine.upgrade(self._settings.database.url)
            try:
                await self._work(parts, stop)
            except BaseException:
                # A cancellation as well: nothing that was started may outlive its parts. Then it goes on up.
                await self._abandon()
                raise
        log.info("syncd.stopped")

    async def _work(self, parts: Parts, stop: asyncio.Event) -> None:
        arrived, halt = asyncio.Event(), asyncio.Event()
        door = Door(parts.database, parts.metrics, arrived=arrived)
        await self._serve(parts, door, arrived)
        self._start("door", door.run())
        if "dispatcher" in self._roles:
            self._start_dispatchers(parts, arrived, halt)
            self._start("alerts", self._watch_over(parts).run(halt))
        if "poller" in self._roles:
            self._start("poller", self._pollers(parts, door, arrived).run(halt))
        notifier = Notifier.from_environ(os.environ, pid=os.getpid())
        self._start("watchdog", _watchdog(notifier))
        # What is there now stays for good. Looking through it again and again would stop the loop for 0.1 s each time.
        gc.freeze()
        gc.enable()
        notifier.ready()
        self.started.set()
        log.info("syncd.ready", port=self.port, roles=sorted(self._roles))
        await self._watch(stop)
        notifier.stopping()
        log.info("syncd.draining")
        await self._close_doors()
        halt.set()
        await self._drain()

    async def _abandon(self) -> None:
        """Something broke: end every task before what it uses is closed; the next start settles what was in flight."""
        await self._close_doors()
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=GRACE_SECONDS)

    def _start_dispatchers(self, parts: Parts, arrived: asyncio.Event, halt: asyncio.Event) -> None:
        """Planning goes on in every such process, since locks on the orders suffice; issuing only with the lease."""
        wakes = {name: asyncio.Event() for name in parts.services}
        desks = {
            name: Desk(
                shop=shop, policy=policy_of(self._settings, name, self._service_of(parts, name).capabilities, shop)
            )
            for name, shop in parts.shops.items()
        }
        wanted = asyncio.Event()
        reconciler = Reconciler(
            parts.database,
            desks,
            work=arrived,
            planned=lambda account: wakes[account].set(),
            registers=parts.registers.names,
            asked=wanted.set,
        )
        self._start("reconciler", reconciler.run(halt))
        inquiries = Inquiries(
            parts.database, parts.registers, parts.metrics, owner=self._me, wanted=wanted, arrived=arrived
        )
        self._start("inquiries", inquiries.run(halt))
        if parts.database.dialect == "postgresql":
            self._start("bell", Bell(parts.database, arrived=arrived, planned=wakes.values()).run(halt))
            self._start("silence", Silence(parts.database).run(halt))
        for name, wake in wakes.items():
            self._start(f"dispatcher:{name}", self._issuer(parts, name, wake).run(halt))

    def _issuer(self, parts: Parts, name: str, wake: asyncio.Event) -> Issuer:
        own = self._settings.accounts[name]
        lease = Lease(
            parts.database,
            name,
            owner=self._me,
            length=timedelta(seconds=own.lease_seconds),
            timeout=timedelta(seconds=own.timeout_seconds),
        )
        ledger = parts.database.guarded(lease.confirm)
        account = Account(name=name, service=parts.services[name], settle=timedelta(seconds=own.settle_seconds))
        return Issuer(
            name,
            lease,
            parts.gateways[name],
            parts.metrics,
            worker=lambda: Dispatcher(account, ledger, parts.metrics, work=wake),
        )

    def _watch_over(self, parts: Parts) -> Watch:
        own = self._settings.alerts
        outlook = Outlook(accounts=tuple(parts.services), before_deadline=timedelta(hours=own.before_deadline_hours))
        channel = Channel(own.url.get_secret_value()) if own.url else None
        return Watch(parts.database, outlook, channel, repeat=timedelta(hours=own.repeat_hours))

    def _service_of(self, parts: Parts, shop: str) -> InvoicingService:
        return parts.services[self._settings.shops[shop].account]

    def _pollers(self, parts: Parts, door: Door, arrived: asyncio.Event) -> Pollers:
        sources = {
            name: Source(
                name=name,
                account=shop.account,
                shop=parts.shops[name],
                interval=timedelta(seconds=shop.poll_interval),
            )
            for name, shop in self._settings.shops.items()
        }
        return Pollers(sources, parts.database, door, parts.metrics, owner=self._me, arrived=arrived)

    async def _serve(self, parts: Parts, door: Door, arrived: asyncio.Event) -> None:
        http = self._settings.http
        application = web.Application(client_max_size=http.max_body_bytes)
        readiness = Readiness(roles=self._running, accounts=tuple(parts.services), me=self._me)
        application.add_routes(Health(parts.database, parts.metrics, readiness).routes())
        if "receiver" in self._roles:
            counters = {
                name: Counter(shop=shop, account=self._settings.shops[name].account)
                for name, shop in parts.shops.items()
            }
            application.add_routes(Webhooks(counters, door, parts.metrics).routes())
        if "web" in self._roles:
            application.add_routes(self._dashboard(parts, arrived).routes())
        runner = self._runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, http.host, http.port).start()
        except OSError as error:
            raise SyncdError(
                f"cannot listen on {http.host}:{http.port}: {error.strerror or error}",
                code="address",
                fix="end what listens there, or choose another [http] host and port",
            ) from error
        self.port = runner.addresses[0][1]

    def _dashboard(self, parts: Parts, arrived: asyncio.Event) -> Dashboard:
        own = self._settings.dashboard
        limits = {name: account.rate_limit for name, account in self._settings.accounts.items()}
        gate = Gate(own.password, timedelta(hours=own.session_hours))
        return Dashboard(parts.database, gate, Subjects(limits=limits, me=self._me), decided=arrived.set)

    async def _close_doors(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def _start(self, name: str, work: Coroutine[None, None, None]) -> None:
        self._tasks[name] = asyncio.create_task(work, name=name)

    def _running(self) -> dict[str, bool]:
        return {name: not task.done() for name, task in self._tasks.items() if name != "watchdog"}

    async def _watch(self, stop: asyncio.Event) -> None:
        """Until told to stop; a role that dies takes the process down with it, so that its supervisor restarts it."""
        stopping = asyncio.create_task(stop.wait(), name="stop")
        working = {task for name, task in self._tasks.items() if name != "watchdog"}
        done, _ = await asyncio.wait({stopping, *working}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for task in done - {stopping}:
            error = task.exception()
            log.error("role.died", role=task.get_name(), error=repr(error))
            raise RoleDiedError(task.get_name()) from error

    async def _drain(self) -> None:
        """Roles end by themselves; the door and the watchdog are endless and are cancelled last."""
        ending = [task for name, task in self._tasks.items() if name not in {"door", "watchdog"}]
        if ending:
            _, late = await asyncio.wait(ending, timeout=GRACE_SECONDS)
            for task in late:
                log.error("role.did_not_end", role=task.get_name())
                task.cancel()
        for name in ("door", "watchdog"):
            self._tasks[name].cancel()
            with suppress(asyncio.CancelledError):
                await self._tasks[name]


async def _watchdog(notifier: Notifier) -> None:
    """Tell the supervisor that the loop still turns; it turns no more if this is late."""
    while notifier.watchdog_seconds is not None:
        notifier.alive()
        await asyncio.sleep(notifier.watchdog_seconds)


class RoleDiedError(RuntimeError):
    """A role ended although nobody asked it to."""

    def __init__(self, role: str) -> None:
        super().__init__(f"{role} ended unexpectedly; see the log entry role.died")


async def run_until_signalled(settings: Settings, roles: Iterable[str]) -> None:
    """`Daemon.run` with SIGTERM and SIGINT as its stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Daemon(settings, roles).run(stop)
