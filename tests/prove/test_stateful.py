"""Whatever shops, the service, the clock and people do in any order: each due document exists once, and nothing is lost.

Planner, ledger, reconciler, dispatcher and journal are real, the ledger is a SQLite file. The service is a few lines that
obey the port and are told what to do to the next request; the model knows only what was paid and given back.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
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
from syncd.dispatch.throttle import Budget
from syncd.domain.document import DocumentKind
from syncd.domain.errors import SyncdError
from syncd.domain.facts import Fact, FactKind
from syncd.domain.states import DocumentState, OrderState
from syncd.metrics import Metrics
from syncd.settings import Settings, load
from syncd.shops.generic.adapter import GenericShop
from syncd.shops.port import ShopConfig
from syncd.store import documents, events, listing, looks
from syncd.store.documents import DocumentRow
from syncd.store.engine import Database
from tests.builders import a_policy, an_event
from tests.prove.model import PAID_AT, Fate, Killed, Known, Service, Time, a_line
from tests.stores import SqliteTemplate, sqlite_url

T = TypeVar("T")
SETTLE = timedelta(seconds=60)
ON_THE_WAY = {DocumentState.WAITING, DocumentState.PLANNED, DocumentState.ISSUING, DocumentState.UNCERTAIN}
MOST_ROUNDS = 500
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
        # A process that has nothing to do looks every second: both of its parts notice.
        self.do(self.dispatcher.step())
        self.do(self.reconciler.work_off())

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
        if held or moving:
            return False
        async with self.database.read() as connection:
            return not await looks.waiting(connection, "main")

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
        arrived = an_event(fact, self.time.now())
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
            max_examples=int(os.environ.get("PROVE_STORIES", "15")),
            stateful_step_count=30,
            deadline=None,
            derandomize="PROVE_STORIES" not in os.environ,
            suppress_health_check=list(HealthCheck),
        ),
    )
