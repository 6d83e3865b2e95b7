"""The trail of a real story, whole and tampered with."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError

from syncd.audit.command import audit_trail
from syncd.audit.trail import Break, TrailAudit
from syncd.dispatch.dispatcher import Account, Dispatcher
from syncd.dispatch.gateway import AccountGateway
from syncd.dispatch.throttle import Budget
from syncd.mapping.policy import Policy
from syncd.metrics import Metrics
from syncd.providers.billpt.adapter import BillPt
from syncd.providers.port import AccountConfig
from syncd.sandbox.billpt import BillPt as Emulator
from syncd.sandbox.billpt.faults import Fault, FaultKind
from syncd.sandbox.server import serve
from syncd.settings import load
from syncd.store.engine import Database
from syncd.store.references import LedgerDirectory
from syncd.store.tables import document
from syncd.web.ledger import one_order
from tests.disarmed import disarm
from tests.integration.test_reconciler import ONE_BACK, PAID, Office

OTHER = orjson.dumps({**orjson.loads(PAID), "id": "1002"})


async def told(office: Office) -> list[Break]:
    return [found async for found in TrailAudit(office.database).breaks()]


async def tamper(office: Office, statement: str, **values: Any) -> list[tuple[str, str, int]]:
    """What the audit says after somebody with the database's own tools was there."""
    async with office.database.write() as connection:
        await connection.execute(sa.text(statement), values)
    return [(found.order_id, found.code, found.entry) for found in await told(office)]


@asynccontextmanager
async def an_office(
    database: Database,
    policy: Policy | None = None,
) -> AsyncIterator[tuple[Office, Emulator, Callable[[], Awaitable[None]], BillPt]]:
    """A shop's ledger, an emulator, what plans and issues all that is due, and the service as an adapter sees it."""
    emulator = Emulator()
    office = Office(database, policy)
    metrics = Metrics()
    gateway = AccountGateway("main", database, Budget(100), metrics)
    async with await serve(emulator) as serving:
        config = AccountConfig(name="main", base_url=serving.url, token=SecretStr(emulator.token), timeout_seconds=5.0)
        service = BillPt(config, gateway, LedgerDirectory(database, "main"))
        account = Account(name="main", service=service, settle=timedelta())
        dispatcher = Dispatcher(account, database, metrics, work=asyncio.Event(), jitter=lambda: 0.0)

        async def work() -> None:
            await office.work()
            while not await dispatcher.step():
                pass

        try:
            yield office, emulator, work, service
        finally:
            await service.close()


@pytest.fixture
async def office(database: Database) -> Office:
    """Two orders, one with a refund, issued at the emulator; the answer to the other's document was lost."""
    async with an_office(database) as (made, emulator, work, _):
        for body in (PAID, OTHER, ONE_BACK):
            if body is OTHER:
                emulator.faults.add(Fault(kind=FaultKind.LOSE_ANSWER, path="/api/1.0/documentos", method="POST"))
            await made.tell(body)
            await work()
    await disarm(database)
    return made


async def story(office: Office, order_id: str) -> list[dict[str, Any]]:
    found = await one_order(office.database, "loja", order_id)
    assert found is not None
    return [entry for entry in found["timeline"] if entry["entry"]]


async def test_a_real_story_is_whole_and_tells_every_request_with_its_answer(office: Office) -> None:
    assert await told(office) == []
    entries = await story(office, "1002")
    assert [entry["entry"] for entry in entries] == [*range(1, len(entries) + 1)]
    assert [entry["action"] for entry in entries if entry["detail"].get("purpose") != "lookup"] == [
        "planned",
        "request",
        "uncertain",
        "request",
        "request",
        "adopted",
    ]
    sent, *_, read = [entry["detail"] for entry in entries if entry["action"] == "request"]
    assert sent["outcome"] == "UncertainError"
    assert (sent["status"], sent.get("answer")) == (None, None)
    assert sent["request"]["fields"]["produtos"][0]["quantidade"] == "2"
    assert (read["status"], read["answer"]["fields"]["gross_total"]) == (200, "24.60")
    assert read["answer"]["fields"]["nota_documento"] == sent["marker"]


async def test_no_token_and_nothing_of_a_person_stands_in_the_trail(database: Database) -> None:
    billing = {"street": "Rua Nova 5", "postcode": "4000-100", "city": "Porto", "country": "PT"}
    buyer = {"name": "Rita Lopes", "email": "rita@loja.example", "tax_id": "212345672"}
    async with an_office(database) as (office, emulator, work, _):
        await office.tell(orjson.dumps({**orjson.loads(PAID), "buyer": {**buyer, "billing": billing}}))
        await work()
        kept = orjson.dumps([entry["detail"] for entry in await story(office, "1001")]).decode()
        async with database.read() as connection:
            issued = orjson.loads((await connection.execute(sa.select(document.c.issued))).scalar_one())
    assert issued["download_token"]
    for secret in (emulator.token, issued["download_token"], *buyer.values(), billing["street"]):
        assert secret not in kept


# What somebody does to the ledger, and what the audit says of it: order, code, entry.
TAMPERING = {
    "a changed payload": (
        "UPDATE event SET payload = :payload WHERE order_id = '1002'",
        [("1002", "event_changed", 0)],
    ),
    "a changed event": ("UPDATE event SET source = 'cli' WHERE order_id = '1002'", [("1002", "event_changed", 1)]),
    "an event of nobody's": (
        "UPDATE event SET order_id = '' WHERE order_id = '1002'",
        [("1002", "event_missing", 1)],
    ),
    "a changed reason": (
        "UPDATE trail SET actor = 'nobody' WHERE order_id = '1002' AND seq = 3",
        [("1002", "entry_changed", 3)],
    ),
    "an earlier time": (
        "UPDATE trail SET at = (SELECT min(received_at) FROM event) WHERE order_id = '1002' AND seq = 1",
        [("1002", "entry_changed", 1)],
    ),
    "an entry less in the middle": (
        "DELETE FROM trail WHERE order_id = '1002' AND seq = 3",
        [("1002", "entry_missing", 3)],
    ),
    "entries less at the end": (
        "DELETE FROM trail WHERE order_id = '1002' AND seq > 3",
        [("1002", "entry_missing", 4), ("1002", "document_untold", 0)],
    ),
    "no trail at all": (
        "DELETE FROM trail WHERE order_id = '1002'",
        [("1002", "entry_missing", 1), ("1002", "document_untold", 0)],
    ),
    "a trail that the order knows nothing of": (
        "UPDATE shop_order SET trail_seq = 0, trail_head = '' WHERE order_id = '1002'",
        [("1002", "head_changed", 7)],
    ),
    "another status": (
        "UPDATE attempt SET status = 500 WHERE label = 'GET documentos'",
        [("1002", "request_changed", 5)],
    ),
    "another marker": (
        "UPDATE attempt SET marker = 'x' WHERE label = 'GET documentos'",
        [("1002", "request_changed", 5)],
    ),
    "a request less": ("DELETE FROM attempt WHERE label = 'GET documentos'", [("1002", "request_missing", 5)]),
    "other figures": (
        "UPDATE document SET gross = gross + gross WHERE order_id = '1002'",
        [("1002", "document_changed", 7)],
    ),
    "another number": (
        "UPDATE document SET number = 'FR B2026/9' WHERE order_id = '1002'",
        [("1002", "document_changed", 7)],
    ),
    "another content": (
        "UPDATE document SET draft = replace(draft, 'Caneca', 'Livro') WHERE order_id = '1002'",
        [("1002", "document_changed", 0)],
    ),
    "a document that was never annulled": (
        "UPDATE document SET state = 'annulled' WHERE order_id = '1002'",
        [("1002", "document_changed", 0)],
    ),
    "a document that was never issued": (
        "UPDATE document SET issued = NULL WHERE order_id = '1002'",
        [("1002", "document_changed", 7)],
    ),
}


@pytest.mark.parametrize("what", TAMPERING)
async def test_tampering_is_found_and_named(office: Office, what: str) -> None:
    statement, expected = TAMPERING[what]
    values = {"payload": b"{}"} if ":payload" in statement else {}
    assert await tamper(office, statement, **values) == expected


async def test_entries_that_change_places_are_found(office: Office) -> None:
    found: list[tuple[str, str, int]] = []
    for was, becomes in ((3, 99), (4, 3), (99, 4)):
        found = await tamper(
            office, "UPDATE trail SET seq = :becomes WHERE order_id = '1002' AND seq = :was", was=was, becomes=becomes
        )
    assert found == [("1002", "entry_changed", 3), ("1002", "entry_moved", 4), ("1002", "entry_changed", 5)]


async def test_a_trail_whose_order_was_taken_out_is_found(office: Office) -> None:
    found = await tamper(office, "UPDATE trail SET order_id = '1003' WHERE order_id = '1002'")
    assert ("1003", "order_missing", 0) in found
    assert ("1002", "entry_missing", 1) in found


async def test_an_order_that_is_gone_with_all_its_rows_changes_the_anchor(office: Office) -> None:
    async def anchor() -> str:
        audit = TrailAudit(office.database)
        assert [found async for found in audit.breaks()] == []
        return audit.anchor

    before = await anchor()
    assert await anchor() == before
    async with office.database.write() as connection:
        for table in ("trail", "attempt", "document", "shop_order", "event"):
            own = "document_id IN (SELECT id FROM document WHERE order_id = '1002')"
            where = own if table == "attempt" else "order_id = '1002'"
            await connection.execute(sa.text(f"DELETE FROM {table} WHERE {where}"))
    assert await anchor() != before


async def test_a_page_ends_between_any_two_orders(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncd.audit.trail.PAGE", 1)
    assert await told(office) == []
    found = await tamper(office, "DELETE FROM trail WHERE seq = 2")
    assert found == [("1001", "entry_missing", 2), ("1002", "entry_missing", 2)]


async def test_the_command_prints_json_lines_and_exits_with_1_if_anything_is_wrong(
    office: Office, database_url: str, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    file = tmp_path / "syncd.toml"
    file.write_text(f'[database]\nurl = "{database_url}"\n')
    settings = load(file, {})
    assert await audit_trail(settings, json=True) == 0
    (whole,) = map(orjson.loads, capsysbinary.readouterr().out.splitlines())
    assert (whole["orders"], whole["wrong"]) == (2, 0)
    await tamper(office, "DELETE FROM trail WHERE order_id = '1002' AND seq = 2")
    assert await audit_trail(settings, json=True) == 1
    broken, summary = map(orjson.loads, capsysbinary.readouterr().out.splitlines())
    assert (broken["shop"], broken["order_id"], broken["entry"]) == ("loja", "1002", 2)
    assert (summary["entries"], summary["wrong"]) == (whole["entries"] - 1, 1)


async def test_nobody_changes_or_takes_out_what_is_only_ever_added_to(database: Database) -> None:
    office = Office(database)
    await office.tell(PAID)
    await office.work()
    for statement in (
        "UPDATE event SET topic = 'x'",
        "DELETE FROM event",
        "UPDATE trail SET actor = 'x'",
        "DELETE FROM trail",
    ):
        with pytest.raises(DBAPIError, match="only ever added to"):
            async with database.write() as connection:
                await connection.execute(sa.text(statement))
