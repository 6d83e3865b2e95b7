"""Whatever shops, the service, the clock and people do in any order: each due document exists once, and nothing is lost.

Planner, ledger, reconciler, dispatcher and journal are real, the ledger is a SQLite file. The service is a few lines that
obey the port and are told what to do to the next request; the model knows only what was paid and given back.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum, auto
from pathlib import Path
from typing import Any, TypeVar

import orjson
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy.ext.asyncio import AsyncEngine

from syncd import operations
from syncd.dispatch.dispatcher import Account, Dispatcher
from syncd.dispatch.gateway import AccountGateway
from syncd.dispatch.reconciler import Desk, Reconciler
from syncd.dispatch.recovery import SECOND_LOOK
from syncd.dispatch.throttle import Budget
from syncd.domain.document import DocumentKind, IssuedDocument, IssuedLine
from syncd.domain.errors import AccountBlockedError, NoEffectError, RefusedError, SyncdError, UncertainError
from syncd.domain.facts import Fact, FactKind
from syncd.domain.findings import Finding
from syncd.domain.states import DocumentState, OrderState
from syncd.metrics import Metrics
from syncd.providers.port import Issue, Purpose, Search, Usage
from syncd.settings import Settings, load
from syncd.shops.generic.adapter import GenericShop
from syncd.shops.port import ShopConfig
from syncd.store import documents, events, listing
from syncd.store.documents import DocumentRow
from syncd.store.engine import Database
from syncd.store.events import Incoming, new_event_id
from syncd.store.references import LedgerDirectory
from tests.builders import ABLE, a_policy
from tests.stores import SqliteTemplate, sqlite_url

T = TypeVar("T")
START = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
PAID_AT = START - timedelta(days=90)  # however far the clock is set back, what was paid is due
SETTLE = timedelta(seconds=60)
LATEST = 50.0  # seconds after which the service gives up what nobody waits for; shorter than the settle time
ON_THE_WAY = {DocumentState.WAITING, DocumentState.PLANNED, DocumentState.ISSUING, DocumentState.UNCERTAIN}
MOST_ROUNDS = 500


class Fate(Enum):
    """What becomes of the next request that issues something."""

    GOOD = auto()
    LOST = auto()  # issued, but the answer never comes
    NOTHING = auto()  # neither
    LATE = auto()  # nobody waits any more when it is issued
    REFUSED = auto()
    OVER_LIMIT = auto()
    BLOCKED = auto()
    KILLED_BEFORE = auto()  # we die when the request has left
    KILLED_AFTER = auto()


class Killed(BaseException):
    """The process is no more."""


@dataclass
class Time:
    """Time that passes when told, and a clock on the wall that can be set."""

    passed: float = 0.0
    wall: datetime = START

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.passed

    def skip(self, seconds: float) -> None:
        self.passed += seconds
        self.wall += timedelta(seconds=seconds)


@dataclass
class Service:
    """`providers.port.InvoicingService` in memory, behind the real journal."""

    gateway: AccountGateway
    time: Time
    fate: Fate = Fate.GOOD
    issued: dict[str, tuple[Issue, IssuedDocument]] = field(default_factory=dict)
    late: list[tuple[float, Issue]] = field(default_factory=list)
    serial: int = 1000
    capabilities = replace(ABLE, drafts=True)

    async def issue(self, issue: Issue) -> IssuedDocument:
        fate, self.fate = self.fate, Fate.GOOD
        async with self.gateway.request(Purpose.ISSUE, "POST /documents") as call:
            match fate:
                case Fate.REFUSED:
                    call.answered(Usage(status=422))
                    raise RefusedError("no", code="refused")
                case Fate.OVER_LIMIT:
                    raise NoEffectError("too many", code="over_limit", retry_after=timedelta(seconds=20))
                case Fate.BLOCKED:
                    raise AccountBlockedError("token", code="token")
                case Fate.NOTHING:
                    raise UncertainError("no answer")
                case Fate.LATE:
                    self.late.append((self.time.passed + LATEST, issue))
                    raise UncertainError("no answer")
                case Fate.KILLED_BEFORE:
                    raise Killed
            made = self.book(issue)
            if fate is Fate.KILLED_AFTER:
                raise Killed
            if fate is Fate.LOST:
                raise UncertainError("no answer")
            call.answered(Usage(status=200))
            return made

    def book(self, issue: Issue) -> IssuedDocument:
        """What the service does with a request, whoever waits for the answer."""
        self.issued.pop(issue.finalise, None)
        self.serial += 1
        number = str(self.serial)
        draft = issue.draft
        lines = tuple(
            IssuedLine(id=f"{number}-{place}", net=amounts.net, tax=amounts.tax, gross=amounts.gross)
            for place, amounts in enumerate(draft.expected_lines)
        )
        made = IssuedDocument(
            provider_id=number,
            number=f"{draft.kind} A/{number}",
            issued_on=START.date(),
            totals=draft.expected,
            lines=lines,
            customer_id="1",
            marker=issue.marker,
            final=not issue.as_draft,
        )
        self.issued[number] = issue, made
        return made

    def work_on(self) -> None:
        """Requests that nobody waits for any more end as well."""
        for at, issue in list(self.late):
            if at <= self.time.passed:
                self.late.remove((at, issue))
                self.book(issue)

    async def find(self, search: Search) -> tuple[IssuedDocument, ...]:
        async with self.gateway.request(Purpose.VERIFY, "GET /documents") as call:
            call.answered(Usage(status=200))
        return tuple(made for _, made in self.issued.values() if made.marker in search.markers)

    async def delete_draft(self, provider_id: str) -> None:
        self.issued.pop(provider_id, None)

    async def check(self) -> tuple[Finding, ...]:
        return ()

    def final(self) -> list[tuple[Issue, IssuedDocument]]:
        return [(issue, made) for issue, made in self.issued.values() if made.final]


@dataclass
class Known:
    """An order as its shop and the model have it: every state that it had, and what the merchant keeps in the end."""

    states: list[dict[str, Any]]
    kept: Decimal
    refunded: set[str] = field(default_factory=set)
    told: int = -1  # the newest state that was told
    skipped: bool = False

    @property
    def newest(self) -> dict[str, Any]:
        return self.states[-1]

    def change(self, **changes: Any) -> None:
        at = PAID_AT + timedelta(minutes=len(self.states))
        self.states.append({**self.newest, "updated_at": at.isoformat(), **changes})

    def add(self, line: dict[str, Any]) -> None:
        """One more line, paid for as well."""
        self.kept += Decimal(line["gross"])
        paid = [*self.newest["payments"], {"gateway": "stripe", "amount": line["gross"]}]
        total = str(Decimal(self.newest["total"]) + Decimal(line["gross"]))
        self.change(lines=[*self.newest["lines"], line], payments=paid, total=total)

    def refund(self, line: dict[str, Any]) -> None:
        """The whole line is given back."""
        self.refunded.add(line["id"])
        self.kept -= Decimal(line["gross"])
        at = PAID_AT + timedelta(minutes=len(self.states))
        given = {"line_id": line["id"], "quantity": line["quantity"], "gross": line["gross"]}
        refund = {"id": f"r{line['id']}", "created_at": at.isoformat(), "amount": line["gross"], "lines": [given]}
        self.change(refunds=[*self.newest.get("refunds", []), refund])

    def cancel(self) -> None:
        self.kept = Decimal(0)
        self.change(cancelled_at=(PAID_AT + timedelta(minutes=len(self.states))).isoformat())


def a_line(number: int, cents: int, rate: int) -> dict[str, Any]:
    gross = str(Decimal(cents) / 100)
    return {"id": str(number), "name": "Caneca", "sku": f"C{rate}", "quantity": 1, "gross": gross, "tax_rate": rate}


CENTS, RATES = st.integers(min_value=100, max_value=20_000), st.sampled_from((23, 13, 6))
ORDERS = st.integers(min_value=0, max_value=2)


class Shop(RuleBasedStateMachine):
    """Three orders at most; their shop, the service, the clock and the operator do what they like."""

    template: SqliteTemplate
    folder: Path
    settings: Settings
    engine: AsyncEngine  # keeps the statements that it has compiled, which is most of the time

    def __init__(self) -> None:
        super().__init__()
        for file in self.folder.glob("ledger.db*"):
            file.unlink()
        self.template.copy_to(self.folder)
        self.runner = asyncio.Runner()
        self.time = Time()
        self.orders: list[Known] = []
        self.database = Database(self.engine)
        metrics = Metrics()
        self.service = Service(AccountGateway("main", self.database, Budget(10**6), metrics), self.time)
        self.restart()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    # -- the shop --------------------------------------------------------------------

    @rule(cents=CENTS, rate=RATES)
    def order(self, cents: int, rate: int) -> None:
        if len(self.orders) == 3:
            return
        line = a_line(1, cents, rate)
        first = {
            "id": str(len(self.orders)),
            "created_at": PAID_AT.isoformat(),
            "updated_at": PAID_AT.isoformat(),
            "paid_at": PAID_AT.isoformat(),
            "payment": "paid",
            "payments": [{"gateway": "stripe", "amount": line["gross"]}],
            "total": line["gross"],
            "lines": [line],
            "buyer": {},
        }
        self.orders.append(Known(states=[first], kept=Decimal(line["gross"])))
        self.tell(self.orders[-1], 0)

    @rule(number=ORDERS, cents=CENTS, rate=RATES, told=st.booleans())
    def add(self, number: int, cents: int, rate: int, *, told: bool) -> None:
        if (known := self.living(number)) is not None:
            known.add(a_line(len(known.newest["lines"]) + 1, cents, rate))
            self.perhaps(known, told)

    @rule(number=ORDERS, told=st.booleans())
    def refund(self, number: int, *, told: bool) -> None:
        known = self.living(number)
        if known and (left := [each for each in known.newest["lines"] if each["id"] not in known.refunded]):
            known.refund(left[0])
            self.perhaps(known, told)

    @rule(number=ORDERS, told=st.booleans())
    def cancel(self, number: int, *, told: bool) -> None:
        if (known := self.living(number)) is not None:
            known.cancel()
            self.perhaps(known, told)

    @rule(number=ORDERS, state=st.integers(min_value=0, max_value=9))
    def tell_again(self, number: int, state: int) -> None:
        """Any state that the order ever had, old or new."""
        if number < len(self.orders):
            known = self.orders[number]
            self.tell(known, state % len(known.states))

    # -- the service, the clock and we -------------------------------------------------

    @rule()
    def plan(self) -> None:
        self.do(self.reconciler.work_off())

    @rule(fate=st.sampled_from(Fate))
    def step(self, fate: Fate) -> None:
        self.service.fate = fate
        try:
            self.do(self.dispatcher.step())
        except Killed:
            self.restart()
        self.service.fate = Fate.GOOD  # if nothing was sent

    @rule(seconds=st.sampled_from((1, 20, 61, 700)))
    def wait(self, seconds: int) -> None:
        self.time.skip(seconds)
        self.service.work_on()

    @rule(hours=st.sampled_from((-24, -1, 1, 24)))
    def set_the_clock(self, hours: int) -> None:
        self.time.wall += timedelta(hours=hours)
        self.do(self.dispatcher.step())  # a process that has nothing to do looks every second

    @rule()
    def restart(self) -> None:
        config = ShopConfig(name="loja", url="", webhook_secrets=())
        policy = a_policy(issue_on=frozenset({"paid"}), unknown_payment="OU", capabilities=Service.capabilities)
        self.reconciler = Reconciler(
            self.database,
            {"loja": Desk(shop=GenericShop(config), policy=policy)},
            work=asyncio.Event(),
            planned=lambda _: None,
            now=self.time.now,
            monotonic=self.time.monotonic,
        )
        self.dispatcher = Dispatcher(
            Account(name="main", service=self.service, settle=SETTLE),  # type: ignore[arg-type]
            self.database,
            Metrics(),
            work=asyncio.Event(),
            jitter=lambda: 1.0,
            now=self.time.now,
            monotonic=self.time.monotonic,
        )

    # -- the operator ------------------------------------------------------------------

    @rule(number=ORDERS, action=st.sampled_from(("retry", "release", "skip")))
    def decide(self, number: int, action: str) -> None:
        if number < len(self.orders) and self.orders[number].told >= 0:
            with suppress(SyncdError):  # nothing to release
                self.do(operations.decide(self.settings, "loja", str(number), action, "because", now=self.time.now()))
                self.orders[number].skipped = action == "skip"

    # -- what must hold ------------------------------------------------------------------

    @invariant()
    def no_document_exists_twice(self) -> None:
        found = Counter(str(issue.draft.key) for issue, _ in self.service.final())
        assert not found or max(found.values()) == 1, found

    @invariant()
    def no_document_is_unknown(self) -> None:
        """What the service has is in the ledger: issued under its number, or with an outcome still to be found out."""
        rows = {row.key: row for row in self.do(self.rows())}
        for issue, made in self.service.final():
            row = rows[str(issue.draft.key)]
            assert row.number == made.number or row.state in {DocumentState.ISSUING, DocumentState.UNCERTAIN}, row

    def teardown(self) -> None:
        try:
            for known in self.orders:
                self.tell(known, len(known.states) - 1)
            self.do(self.come_to_rest())
            rows = self.do(self.rows())
            for number, known in enumerate(self.orders):
                self.judge(number, known, [row for row in rows if row.key.split("/")[2] == str(number)])
        finally:
            self.do(self.database.close())
            self.runner.close()

    def judge(self, number: int, known: Known, rows: list[DocumentRow]) -> None:
        """By what was paid and given back, without asking the planner."""
        final = [
            (issue.draft.kind, made) for issue, made in self.service.final() if issue.draft.key.order_id == str(number)
        ]
        assert {made.number for _, made in final} == {row.number for row in rows if row.state is DocumentState.ISSUED}
        if known.skipped:
            return
        signs = {DocumentKind.NC: -1}
        balance = sum((made.totals.gross * signs.get(kind, 1) for kind, made in final), Decimal(0))
        assert balance == known.kept, (balance, known, rows)

    async def come_to_rest(self) -> None:
        """No more trouble, and a person retries whatever was refused."""
        for _ in range(MOST_ROUNDS):
            while await self.reconciler.work_off():
                pass
            wait = await self.dispatcher.step()
            if wait and await self.at_rest():
                return
            self.time.skip(wait * 10)
            self.service.work_on()
        raise AssertionError(f"not at rest after {MOST_ROUNDS} rounds: {await self.rows()}")

    async def at_rest(self) -> bool:
        async with self.database.read() as connection:
            held = [row async for row in listing.search(connection, state=OrderState.HELD)]
        for row in held:
            await operations.decide(self.settings, row.shop, row.order_id, "retry", "", now=self.time.now())
        moving = any(row.state in ON_THE_WAY for row in await self.rows())
        return not (held or moving or await LedgerDirectory(self.database, "main").table(SECOND_LOOK))

    async def rows(self) -> list[DocumentRow]:
        async with self.database.read() as connection:
            return [
                row
                for number in range(len(self.orders))
                for row in await documents.of_order(connection, "loja", str(number))
            ]

    def living(self, number: int) -> Known | None:
        """The order, unless there is none or it was cancelled."""
        known = self.orders[number] if number < len(self.orders) else None
        return known if known and "cancelled_at" not in known.newest else None

    def perhaps(self, known: Known, told: bool) -> None:
        if told:
            self.tell(known, len(known.states) - 1)

    def tell(self, known: Known, state: int) -> None:
        told = known.states[state]
        known.told = max(known.told, state)
        version = datetime.fromisoformat(told["updated_at"])
        fact = Fact(
            kind=FactKind.ORDER, order_id=told["id"], topic="order", payload=orjson.dumps(told), version=version
        )
        arrived = Incoming(
            event_id=new_event_id(),
            shop="loja",
            account="main",
            fact=fact,
            topic=fact.topic,
            payload=fact.payload,
            problem="",
            source="webhook",
            lane=0,
            received_at=self.time.now(),
        )
        self.do(events.accept(self.database, [arrived]))


def test_each_due_document_exists_once_and_nothing_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "syncd.toml"
    Shop.folder = tmp_path / "ledger"
    Shop.folder.mkdir()
    url = sqlite_url(Shop.folder)
    file.write_text(f'[database]\nurl = "{url}"\n', "utf-8")
    Shop.settings, Shop.template = load(file, {}), SqliteTemplate(tmp_path)
    Shop.engine = Database.open(url)._engine
    run_state_machine_as_test(
        Shop,
        settings=settings(
            max_examples=int(os.environ.get("SYNCD_STORIES", "15")),
            stateful_step_count=30,
            deadline=None,
            derandomize="SYNCD_STORIES" not in os.environ,
            suppress_health_check=list(HealthCheck),
        ),
    )
