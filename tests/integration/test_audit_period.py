"""The ledger held against the service and against an accountant's file: a real story, and what can be wrong with it."""

import io
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from syncd.audit import issued
from syncd.audit.command import audit_month, audit_saft
from syncd.audit.compare import Difference, Ours
from syncd.audit.month import Period, PeriodAudit, read_saft
from syncd.audit.saft import Saft, SaftError
from syncd.domain.errors import SyncdError
from syncd.mapping.policy import PaidDocument
from syncd.mapping.sale import LISBON
from syncd.providers.billpt.adapter import BillPt
from syncd.sandbox.billpt import BillPt as Emulator
from syncd.sandbox.server import serve
from syncd.settings import Settings, load
from syncd.store.engine import Database
from syncd.store.tables import attempt, document
from tests.integration.test_audit_trail import OTHER, an_office
from tests.integration.test_reconciler import ONE_BACK, PAID, POLICY, Office, a_state
from tests.saft import NIF, Entry, changed, entries_of, saft

NOW = datetime.now(UTC)
TODAY = NOW.astimezone(LISBON).date()
# A day to both sides, for a run around midnight.
PERIOD = Period(TODAY - timedelta(days=1), TODAY + timedelta(days=1))


@dataclass(slots=True)
class Month:
    """A ledger with two sales and a credit note, the emulator that has them, and the audits of both."""

    office: Office
    emulator: Emulator
    work: Callable[[], Awaitable[None]]
    service: BillPt

    async def ours(self) -> list[Ours]:
        async with self.office.database.read() as connection:
            return await issued.issued(connection, "main", PERIOD.first, PERIOD.last)

    async def at_service(self, **changes: Any) -> list[Difference]:
        audit = PeriodAudit(self.office.database, "main", changes.pop("period", PERIOD), **changes)
        return [found async for found in audit.service(self.service)]

    async def in_file(self, entries: list[Entry]) -> list[Difference]:
        raw = saft(entries, PERIOD.first, PERIOD.last)
        audit = PeriodAudit(self.office.database, "main", PERIOD)
        return [found async for found in audit.file(Saft(io.BytesIO(raw), "saft.xml"))]

    def document(self, kind: str) -> Any:
        return next(each for each in self.emulator.account.books.all.values() if each.kind.tag == kind)

    async def change(self, **values: Any) -> None:
        async with self.office.database.write() as connection:
            first = sa.select(sa.func.min(document.c.id)).scalar_subquery()
            await connection.execute(sa.update(document).where(document.c.id == first).values(**values))


@pytest.fixture
async def month(database: Database) -> AsyncIterator[Month]:
    async with an_office(database) as (office, emulator, work, service):
        for body in (PAID, OTHER, ONE_BACK):
            await office.tell(body)
            await work()
        yield Month(office, emulator, work, service)


def codes(found: list[Difference]) -> list[tuple[str, str]]:
    return [(each.code, each.order_id) for each in found]


# -- the service --------------------------------------------------------------------


async def test_a_month_in_which_all_is_right_is_read_in_few_requests_that_are_booked_as_an_audit(month: Month) -> None:
    before = month.emulator.counts.copy()
    assert await month.at_service() == []
    assert len(await month.ours()) == 3
    asked = sum((month.emulator.counts - before).values())
    kinds = len(month.service.capabilities.kinds)
    assert asked <= kinds + 1  # the list of kinds is read once
    async with month.office.database.read() as connection:
        booked = sa.select(sa.func.count()).where(attempt.c.purpose == "audit")
        assert (await connection.execute(booked)).scalar_one() == kinds


async def test_a_document_that_the_service_no_longer_has_is_missing(month: Month) -> None:
    gone = month.document("NC")
    del month.emulator.account.books.by_type[gone.kind.id][gone.id]
    del month.emulator.account.books.all[gone.id]
    (found,) = await month.at_service()
    assert (found.code, found.order_id, found.number) == ("missing", "1001", gone.number)


async def test_a_document_that_somebody_annulled_at_the_service_is_told(month: Month) -> None:
    month.document("FR").annulled = True
    (found,) = await month.at_service()
    assert (found.code, found.order_id) == ("state", "1001")
    assert "is annulled at the service, and stands in the ledger" in found.message


async def test_another_amount_or_number_at_the_service_is_told(month: Month) -> None:
    await month.change(gross=Decimal("24.61"))
    (amount,) = await month.at_service()
    assert (amount.code, "24.60 at the service, and 24.61" in amount.message) == ("amount", True)
    await month.change(gross=Decimal("24.60"), number="FR OTHER/9")
    assert codes(await month.at_service()) == [("number", "1001")]


async def test_a_second_document_with_a_marker_of_ours_is_told_and_one_made_by_hand_is_not(month: Month) -> None:
    first = month.document("FR")
    copy = replace(first, id=999_998, number="FR B2026/98", lines=[])
    by_hand = replace(first, id=999_999, number="FR B2026/99", lines=[], note="for the neighbour")
    for each in (copy, by_hand):
        month.emulator.account.books.add(each)
    audit = PeriodAudit(month.office.database, "main", PERIOD)
    (found,) = [found async for found in audit.service(month.service)]
    assert (found.code, found.order_id, found.number) == ("second", "1001", "FR B2026/98")
    assert (audit.documents, audit.strangers) == (5, 2)


async def test_what_should_have_been_issued_in_the_month_is_told(month: Month) -> None:
    await month.office.tell(a_state(1, id="1003"))
    await month.office.work()
    async with month.office.database.write() as connection:
        late = document.c.order_id == "1003"
        deadline = NOW - timedelta(minutes=1)
        await connection.execute(sa.update(document).where(late).values(deadline_at=deadline, lane=1))
    (found,) = await month.at_service()
    assert (found.code, found.order_id) == ("not_issued", "1003")


async def test_only_the_days_that_are_asked_for_are_held_against_each_other(month: Month) -> None:
    week_ago = Period(TODAY - timedelta(days=9), TODAY - timedelta(days=7))
    assert await month.at_service(period=week_ago) == []
    month.document("FR").issued_at -= timedelta(days=8)
    assert codes(await month.at_service(period=week_ago)) == [("day", "1001")]


# -- the file -----------------------------------------------------------------------


async def test_a_file_that_has_everything_is_right_without_a_single_request(month: Month) -> None:
    before = sum(month.emulator.counts.values())
    entries = entries_of(await month.ours())
    assert [each.references for each in entries] == [(), (), (entries[0].number,)]
    by_hand = Entry(number="FR LOJA/1", day=TODAY, gross="5.00")
    assert await month.in_file([*entries, by_hand]) == []
    assert sum(month.emulator.counts.values()) == before


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"gross": "24.59"}, "amount"),
        ({"status": "A"}, "state"),
        ({"day": TODAY + timedelta(days=40)}, "day"),
    ],
)
async def test_what_differs_in_the_file_is_told(month: Month, values: dict[str, Any], code: str) -> None:
    entries = entries_of(await month.ours())
    assert codes(await month.in_file(changed(entries, entries[0].number, **values))) == [(code, "1001")]


async def test_missing_doubled_and_unreferred_documents_in_the_file_are_told(month: Month) -> None:
    first, second, credit = entries_of(await month.ours())
    assert codes(await month.in_file([first, credit])) == [("missing", "1002")]
    assert codes(await month.in_file([first, first, second, credit])) == [("duplicate", "1001")]
    assert codes(await month.in_file([first, second, replace(credit, references=())])) == [("references", "1001")]


async def test_receipts_are_found_at_the_service_and_among_the_payments_of_the_file(database: Database) -> None:
    policy = replace(POLICY, paid_document=PaidDocument.FT_RC)
    async with an_office(database, policy) as (office, emulator, work, service):
        await office.tell(PAID)
        await work()
        month = Month(office, emulator, work, service)
        invoice, receipt = entries_of(await month.ours())
        assert (receipt.kind, receipt.references) == ("RC", (invoice.number,))
        assert await month.at_service() == []
        assert await month.in_file([invoice, receipt]) == []
        assert codes(await month.in_file([invoice])) == [("missing", "1001")]
        copy = replace(month.document("RC"), id=999_999, number="RC B2026/99")
        emulator.account.books.add(copy)
        assert codes(await month.at_service()) == [("second", "1001")]


# -- the command ----------------------------------------------------------------------

SETTINGS = """
[database]
url = "{database}"
[accounts.main]
provider = "billpt"
base_url = "{service}"
token = "{token}"
[accounts.main.fiscal]
nif = "{nif}"
"""


def settings_of(tmp_path: Path, database_url: str, service: str = "http://127.0.0.1:9", **values: str) -> Settings:
    file = tmp_path / "syncd.toml"
    given = {"token": "t", "nif": NIF, **values}
    file.write_text(SETTINGS.format(database=database_url, service=service, **given), "utf-8")
    return load(file, {})


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


async def test_the_command_prints_each_difference_with_its_fix_and_ends_with_one(
    month: Month, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(tmp_path, database_url)
    entries = entries_of(await month.ours())
    file = tmp_path / "saft.xml"
    file.write_bytes(saft(entries, PERIOD.first, PERIOD.last))
    assert await audit_saft(settings, file, "", json=True) == 0
    assert said(capsys)[-1].items() >= {"account": "main", "documents": 3, "strangers": 0, "wrong": 0}.items()
    file.write_bytes(saft(entries[1:], PERIOD.first, PERIOD.last))
    assert await audit_saft(settings, file, "", json=True) == 1
    first, last = [line for line in said(capsys) if "account" in line]
    assert (first["code"], first["number"], bool(first["fix"])) == ("missing", entries[0].number, True)
    assert last["wrong"] == 1
    assert await audit_saft(settings, file, "", json=False) == 1
    assert "fix: look it up" in capsys.readouterr().out


async def test_the_command_asks_the_service_for_a_month(
    month: Month, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with await serve("billpt") as other:  # a service that has nothing of all this
        token = other.sandbox.token
        settings = settings_of(tmp_path, database_url, other.url, token=token)
        day = max(each.issued_on for each in await month.ours())
        assert await audit_month(settings, f"{day:%Y-%m}", json=True) == 1
    assert [line["code"] for line in said(capsys) if "code" in line] == ["missing"] * 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing to audit"),
        (("--trail", "--month", "2026-11"), "one at a time"),
        (("--month", "november"), "'november' is no month"),
        (("--saft", "cut.xml"), "cut.xml: line"),
    ],
)
def test_what_cannot_be_audited_ends_with_two_and_a_way_out(
    arguments: tuple[str, ...], said: str, tmp_path: Path, sqlite_url: str
) -> None:
    settings_of(tmp_path, sqlite_url)
    (tmp_path / "cut.xml").write_bytes(saft([], PERIOD.first, PERIOD.last)[:-20])
    command = [sys.executable, "-m", "syncd", "audit", "-c", "syncd.toml", *arguments]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, said in ended.stderr, "fix: " in ended.stderr) == (2, True, True), ended.stderr


async def test_a_file_of_another_business_or_another_month_is_refused(tmp_path: Path, database_url: str) -> None:
    raw = saft([], PERIOD.first, PERIOD.last)
    other = settings_of(tmp_path, database_url, nif="509442013")
    with pytest.raises(SaftError, match="no account has that tax number"):
        read_saft(Saft(io.BytesIO(raw), "x"), other, "")
    own = settings_of(tmp_path, database_url)
    assert read_saft(Saft(io.BytesIO(raw), "x"), own, "")[1:] == ("main", PERIOD)
    with pytest.raises(SaftError, match="not of all of 2020-01"):
        read_saft(Saft(io.BytesIO(raw), "x"), own, "2020-01")
    with pytest.raises(SyncdError, match="is no month"):
        Period.month("2026-13")
