"""Planning past orders again: silent while nothing has changed, exact about what has, on both engines."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd import operations
from syncd import replay as replaying
from syncd.dispatch.reconciler import Reconciler
from syncd.domain.capabilities import Arithmetic, Profile
from syncd.domain.document import DocumentKind
from syncd.domain.errors import SyncdError
from syncd.domain.facts import Fact, FactKind
from syncd.domain.states import DocumentState
from syncd.mapping.differences import Figure
from syncd.replay import Differing, Found, Replayed, fronts, outline, replay
from syncd.settings import Settings, load
from syncd.store import annulments, documents, events, orders, profiles
from syncd.store.codec import dump_draft, load_draft
from syncd.store.engine import Database
from syncd.store.tables import document, event, shop_order, trail
from tests.builders import PAID_AT, an_answer, an_event
from tests.disarmed import disarm

SETTINGS = """
[database]
url = "{url}"
[accounts.main]
provider = "billpt"
base_url = "https://app.bill.pt"
token = "{token}"
[accounts.main.fiscal]
{fiscal}
[shops.loja]
platform = "generic"
account = "main"
url = "https://loja.example"
webhook_secret = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"
"""
PAID: dict[str, Any] = {
    "id": "1001",
    "created_at": PAID_AT.isoformat(),
    "updated_at": PAID_AT.isoformat(),
    "payment": "paid",
    "state": "paid",
    "total": "24.60",
    "lines": [{"id": "a", "name": "Caneca", "quantity": 2, "gross": "24.60", "tax_rate": 23}],
}
ONE_BACK = {
    "updated_at": (PAID_AT + timedelta(hours=1)).isoformat(),
    "refunds": [
        {
            "id": "1",
            "created_at": (PAID_AT + timedelta(hours=1)).isoformat(),
            "amount": "12.30",
            "lines": [{"line_id": "a", "quantity": 1, "gross": "12.30", "net": "10.00"}],
        }
    ],
}
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Books:
    """A ledger with a past: what a daemon with these settings made of what a shop told it."""

    def __init__(self, url: str, database: Database, folder: Path) -> None:
        self.database = database
        self._url = url
        self._folder = folder

    def settings(self, fiscal: str = "") -> Settings:
        file = self._folder / "syncd.toml"
        file.write_text(SETTINGS.format(url=self._url, token="t" * 128, fiscal=fiscal), "utf-8")
        return load(file, {})

    async def tell(self, **changes: Any) -> None:
        told = {**PAID, **changes}
        fact = Fact(
            kind=FactKind.ORDER,
            order_id=told["id"],
            topic="order",
            payload=orjson.dumps(told),
            version=datetime.fromisoformat(told["updated_at"]),
        )
        await events.accept(self.database, [an_event(fact)])
        await self.work()

    async def work(self) -> None:
        desks = {name: front.desk() for name, front in fronts(self.settings()).items()}
        reconciler = Reconciler(self.database, desks, work=asyncio.Event(), planned=lambda _: None)
        while await reconciler.work_off():
            pass

    async def issue_all(self) -> None:
        """As the dispatcher does it, with the service's answer as planned."""
        claimer = documents.Claimer(self.database, "main")
        while (claimed := await claimer.planned(PAID_AT + timedelta(days=1))) is not None:
            async with self.database.write() as connection:
                await documents.record_issued(connection, claimed.id, an_answer(claimed.id, claimed.draft), now=PAID_AT)
                await orders.refresh_state(connection, "loja", claimed.draft.key.order_id)

    async def issue(self, *states: dict[str, Any]) -> None:
        """States of orders one after the other, each issued before the next."""
        for state in states:
            await self.tell(**state)
            await self.issue_all()

    async def annul_all(self) -> None:
        """As the dispatcher does it, where the service agrees."""
        later = datetime.now(UTC) + timedelta(days=1)
        while (taken := await annulments.take(self.database, "main", later)) is not None:
            async with self.database.write() as connection:
                await annulments.record(connection, taken, DocumentState.ANNULLED, run_at=later, now=PAID_AT)

    async def tamper(self, old: str, new: str, *, part: str = "sale") -> None:
        """As if another version had planned it so."""
        async with self.database.write() as connection:
            query = sa.select(document.c.id, document.c.draft).where(document.c.part == part)
            for row in (await connection.execute(query)).all():
                draft = dump_draft(load_draft(row.draft))
                assert old in draft
                await connection.execute(
                    sa.update(document).where(document.c.id == row.id).values(draft=draft.replace(old, new))
                )

    async def replay(self, fiscal: str = "", *, since: datetime = LONG_AGO) -> list[Replayed]:
        settings = self.settings(fiscal)
        spans, _ = await outline(settings.database.url, since, "")
        return [each async for each in replay(settings.database.url, fronts(settings), spans)]

    async def found(self, fiscal: str = "") -> list[Found]:
        return [found for differing in _differing(await self.replay(fiscal)) for found in differing.found]


@pytest.fixture
def books(database_url: str, database: Database, tmp_path: Path) -> Books:
    return Books(database_url, database, tmp_path)


def _differing(spans: Iterable[Replayed]) -> list[Differing]:
    return [differing for span in spans for differing in span.differing]


def _told(found: Found) -> tuple[str, str, str]:
    return found.when, found.difference.change.value, found.difference.document.rpartition("/")[2]


EDITED = {
    "updated_at": (PAID_AT + timedelta(hours=2)).isoformat(),
    "total": "32.60",
    "lines": [*PAID["lines"], {"id": "b", "name": "Prato", "quantity": 1, "gross": "8.00", "tax_rate": 23}],
}
PASTS: dict[str, list[dict[str, Any]]] = {
    "paid": [{}],
    "unpaid": [{"payment": "unpaid", "state": "open"}],
    "refunded afterwards": [{}, ONE_BACK],
    "refunded at once": [ONE_BACK],
    "edited afterwards": [{}, EDITED],
    "cancelled afterwards": [{}, {"lifecycle": "cancelled", "updated_at": ONE_BACK["updated_at"]}],
    "held": [{"total": "99.99"}],
    "held, then right": [{"total": "99.99"}, {"updated_at": ONE_BACK["updated_at"]}],
}


@pytest.mark.parametrize("past", PASTS.values(), ids=PASTS)
async def test_the_version_that_planned_an_order_finds_nothing(books: Books, past: list[dict[str, Any]]) -> None:
    await books.issue(*past)
    (replayed,) = await books.replay()
    assert (replayed.orders, replayed.differing) == (1, [])


async def test_what_waits_to_be_issued_is_no_difference(books: Books) -> None:
    await books.tell(**ONE_BACK)
    assert await books.found() == []


async def test_an_operators_decision_holds_for_the_plan_that_followed_it(books: Books) -> None:
    await books.tell(lines=[{**PAID["lines"][0], "tax_rate": 22}])
    async with books.database.write() as connection:
        decision = {"action": "release", "accepted": ["vat_rate_mismatch"]}
        await orders.decide(connection, "loja", "1001", decision, now=PAID_AT)
    await books.issue({"updated_at": ONE_BACK["updated_at"], "lines": [{**PAID["lines"][0], "tax_rate": 22}]})
    async with books.database.read() as connection:
        assert len(await documents.known(connection, "loja", "1001")) == 1
    assert await books.found() == []


async def test_what_was_annulled_stood_when_what_followed_it_was_planned(books: Books) -> None:
    await books.issue({}, EDITED)
    await operations.decide(books.settings(), "loja", "1001", "annul", "NIF em falta", now=PAID_AT)
    await books.work()
    assert await books.found() == []  # on its way
    await books.annul_all()
    await books.work()
    await books.issue_all()
    async with books.database.read() as connection:
        known = await documents.known(connection, "loja", "1001")
    assert [(each.key.part, each.state.value) for each in known] == [
        ("sale", "annulled"),
        ("extra-1", "annulled"),
        ("sale-2", "issued"),
    ]
    assert await books.found() == []


@pytest.mark.parametrize(
    ("past", "at", "why"),
    [
        ([{"payment": "unpaid", "state": "open"}], PAID_AT, "no document of this order stands"),
        ([{}, ONE_BACK], PAID_AT, "NC refund-1 stands beside it"),
        ([{}], PAID_AT + timedelta(days=6), "sale could be annulled until 2026-11-25"),
    ],
    ids=["nothing issued", "credited", "too late"],
)
async def test_a_person_is_told_at_once_what_cannot_be_annulled(
    books: Books, past: list[dict[str, Any]], at: datetime, why: str
) -> None:
    await books.issue(*past)
    with pytest.raises(SyncdError, match=why):
        await operations.decide(books.settings(), "loja", "1001", "annul", "NIF em falta", now=at)


async def test_a_line_that_was_planned_otherwise_is_named_with_both_figures(books: Books) -> None:
    await books.issue({})
    await books.tamper('"vat_rate":"23"', '"vat_rate":"6"')
    (found,) = await books.found()
    assert (_told(found), found.cause) == (("issued", "changed", "sale"), "program")
    assert [(f.where, f.was, f.now) for f in found.difference.figures if "rate" in f.where] == [
        ("lines[a].vat_rate", "6", "23")
    ]


async def test_a_credit_note_is_planned_on_the_invoice_as_it_went_out(books: Books) -> None:
    await books.issue({}, ONE_BACK)
    for part in ("sale", "refund-1"):
        await books.tamper('"name":"Consumidor final"', '"name":"Alguém"', part=part)
    assert [_told(found) for found in await books.found()] == [("issued", "changed", "sale")]
    await books.tamper('"12.30"', '"12.29"', part="refund-1")
    assert [_told(found) for found in await books.found()] == [
        ("issued", "changed", "sale"),
        ("issued", "changed", "refund-1"),
    ]


async def test_what_waits_is_compared_with_what_would_be_planned_next(books: Books) -> None:
    await books.tell()
    await books.tamper('"24.60"', '"24.61"')
    assert [_told(found) for found in await books.found()] == [("next", "changed", "sale")]


async def test_another_setting_is_told_from_another_program(books: Books) -> None:
    await books.issue({})
    found = await books.found('paid_document = "FT+RC"')
    assert [(*_told(each), each.cause) for each in found] == [
        ("issued", "changed", "sale", "settings"),
        ("issued", "new", "payment", "settings"),
    ]
    assert found[0].difference.figures[0] == Figure("kind", "FR", "FT")
    await disarm(books.database)
    async with books.database.write() as connection:
        (detail,) = (await connection.execute(sa.select(trail.c.detail).where(trail.c.action == "planned"))).scalars()
        detail["basis"]["version"] = "0.0.1"
        await connection.execute(sa.update(trail).where(trail.c.action == "planned").values(detail=detail))
    assert {each.cause for each in await books.found('paid_document = "FT+RC"')} == {"settings or program"}


async def test_another_rule_in_the_program_is_found(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    await books.issue({})
    monkeypatch.setattr("syncd.mapping.sale._kind", lambda *_, **__: (DocumentKind.FS, "paid (paid_document)"))
    (found,) = await books.found()
    assert (_told(found), found.cause) == (("issued", "changed", "sale"), "program")
    assert found.difference.figures[0] == Figure("kind", "FR", "FS")


async def test_an_order_that_a_person_would_be_asked_about_is_found(books: Books) -> None:
    await books.issue({})
    found = await books.found('region = "PT-20"\nship_from = "PT-20"')
    assert [_told(each) for each in found] == [("issued", "missing", "sale"), ("issued", "held", "")]
    assert found[1].difference.figures == (Figure("hold", "", "vat_rate_mismatch"),)


async def test_a_program_that_breaks_on_an_order_is_found(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    await books.issue({})

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("syncd.dispatch.reconciler.plan", broken)
    found = await books.found()
    assert "internal_error" in {figure.now for each in found for figure in each.difference.figures}


async def test_a_document_without_its_raw_event_says_so(books: Books) -> None:
    await books.issue({}, {**PAID, "updated_at": ONE_BACK["updated_at"]})
    await disarm(books.database)
    async with books.database.write() as connection:
        newest = sa.select(shop_order.c.event_id)
        await connection.execute(sa.delete(event).where(event.c.id.not_in(newest)))
    assert [_told(found) for found in await books.found()] == [("issued", "untraced", "sale")]


async def test_only_orders_since_then_and_of_shops_in_the_settings_are_planned(books: Books) -> None:
    await books.issue({})
    assert await books.replay(since=PAID_AT + timedelta(days=1)) == []
    async with books.database.write() as connection:
        await connection.execute(sa.insert(shop_order).values(**await _copy(connection), shop="old", order_id="7"))
    (replayed,) = await books.replay(since=PAID_AT)
    assert (replayed.orders, replayed.strangers) == (1, {"old": 1})


async def test_processes_share_the_work_and_their_answers_keep_the_order(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [str(number) for number in range(1, 8)]
    for number in numbers:
        await books.tell(id=number)
    await books.issue_all()
    await books.tamper('"24.60"', '"24.61"')
    monkeypatch.setattr(replaying, "SPAN", 3)
    replayed = await books.replay()
    assert [each.orders for each in replayed] == [3, 3, 1]
    assert [each.order_id for each in _differing(replayed)] == numbers


async def test_an_order_costs_no_statement_of_its_own(books: Books) -> None:
    await books.issue({}, ONE_BACK)
    with _counted() as for_one:
        assert [each.orders for each in await books.replay()] == [1]
    await books.issue(*({"id": str(number)} for number in range(1, 6)))
    with _counted() as for_six:
        assert [each.orders for each in await books.replay()] == [6]
    assert len(for_six) == len(for_one)


async def test_an_account_that_was_seen_to_add_up_otherwise_is_taken_as_it_was_seen(books: Books) -> None:
    async with books.database.write() as connection:
        await profiles.note(connection, "main", Profile(arithmetic=Arithmetic.RATE))
    lines = [
        {"id": gross, "name": "Caneca", "quantity": 1, "gross": gross, "tax_rate": 23}
        for gross in ("5.00", "7.99", "15.00", "0.99")
    ]
    await books.issue({"lines": lines, "total": "28.98"})
    assert await books.found() == []


async def test_a_ledger_of_another_schema_is_refused(books: Books) -> None:
    async with books.database.write() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '0000'"))
    with pytest.raises(SyncdError, match="0000"):
        await books.replay()


async def test_nothing_is_written(books: Books) -> None:
    await books.issue({}, ONE_BACK)
    before = await _rows(books.database)
    await books.replay('paid_document = "FT+RC"')
    assert await _rows(books.database) == before


@contextmanager
def _counted() -> Iterator[list[str]]:
    """The statements that are sent meanwhile."""
    sent: list[str] = []

    def before(_conn: sa.Connection, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", before)
    try:
        yield sent
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", before)


async def _copy(connection: AsyncConnection) -> dict[str, Any]:
    (row,) = await connection.execute(sa.select(shop_order))
    return {name: value for name, value in row._mapping.items() if name not in {"id", "shop", "order_id"}}


async def _rows(database: Database) -> list[list[Any]]:
    async with database.read() as connection:
        return [list(await connection.execute(sa.select(table))) for table in (event, shop_order, document, trail)]
