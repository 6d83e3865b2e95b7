"""The program from outside: started, sent real-shaped orders, asked, stopped, killed; the service counts what it got."""

import asyncio
import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.acceptance.processes import PATIENCE_SECONDS, SandboxProcess, orders, running_sandbox, running_syncd, syncd
from tests.acceptance.shopfront import an_order, send, totals


async def settled(folder: Path, count: int, *states: str) -> list[dict[str, Any]]:
    """The ledger once this many orders are in one of the states."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = await asyncio.to_thread(orders, folder)
        if sum(order["state"] in states for order in found) >= count:
            return found
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.2)


async def final_documents(sandbox: SandboxProcess) -> dict[str, list[dict[str, Any]]]:
    """What the service holds as legal documents, by marker."""
    state = await sandbox.state()
    living = {marker: [d for d in found if d["terminado"]] for marker, found in state["markers"].items()}
    return {marker: found for marker, found in living.items() if found}


async def assert_each_once(sandbox: SandboxProcess, sent: list[dict[str, Any]], found: list[dict[str, Any]]) -> None:
    """One legal document per order, with what was paid, and the ledger knows it by its number."""
    issued = await final_documents(sandbox)
    at_service = [document for documents in issued.values() for document in documents]
    assert sorted(Decimal(document["gross_total"]) for document in at_service) == totals(sent)
    numbers = {document["invoice_number"] for document in at_service}
    in_ledger = [document for order in found for document in order["documents"]]
    assert {document["number"] for document in in_ledger} == numbers
    assert {document["state"] for document in in_ledger} == {"issued"}
    by_order = {order["order_id"]: order["documents"][0]["gross"] for order in found}
    assert by_order == {str(order["id"]): order["total"] for order in sent}


async def test_two_hundred_orders_become_one_document_each_in_one_request_each(tmp_path: Path) -> None:
    sent = [an_order(number, quantity=number % 7 + 1) for number in range(1000, 1200)]
    with running_sandbox(tmp_path) as sandbox, running_syncd(tmp_path, sandbox) as daemon:
        assert set(await send(daemon.address, *sent)) == {202}
        assert set(await send(daemon.address, *sent)) == {200}  # said again, nothing new
        found = await settled(tmp_path, 200, "issued")
        await assert_each_once(sandbox, sent, found)
        posted = (await sandbox.state())["by_route"]
        proven = 2  # shapes with and without a manual rounding: a draft each before the first final one
        assert posted["POST /api/1.0/documentos"] == 200 + proven
        assert daemon.stop() == 0


async def test_whatever_happens_to_answers_each_order_is_issued_once(tmp_path: Path) -> None:
    sent = [an_order(number, quantity=number % 3 + 1) for number in range(40)[1:]]
    with running_sandbox(tmp_path) as sandbox, running_syncd(tmp_path, sandbox, settle=1) as daemon:
        await send(daemon.address, an_order(9999))
        await settled(tmp_path, 1, "issued")  # the shape is proven
        for kind in ("lose_answer", "error_500_after_commit", "error_500_before", "truncate", "html", "too_many"):
            await sandbox.fault(
                kind=kind, times=2, probability=0.3, method="POST", path="/api/1.0/documentos", seconds=1
            )
        assert set(await send(daemon.address, *sent)) == {202}
        found = await settled(tmp_path, 40, "issued")
        await assert_each_once(sandbox, [*sent, an_order(9999)], found)
        assert sum((await sandbox.state())["faults_hit"].values()) >= 8


async def test_killed_at_any_moment_it_goes_on_where_it_was(tmp_path: Path) -> None:
    sent = [an_order(number) for number in range(1, 41)]
    with running_sandbox(tmp_path) as sandbox:
        await sandbox.fault(kind="slow_after", times=None, seconds=0.05, method="POST", path="/api/1.0/documentos")
        for start in range(0, 40, 10):
            with running_syncd(tmp_path, sandbox, settle=1) as daemon:
                assert set(await send(daemon.address, *sent[start : start + 10])) == {202}
                await asyncio.sleep(0.11 * (start / 10 + 1))  # somewhere in the middle of the work
                daemon.kill()
        with running_syncd(tmp_path, sandbox, settle=1):
            found = await settled(tmp_path, 40, "issued")
        await assert_each_once(sandbox, sent, found)


async def test_a_second_daemon_on_the_same_file_is_refused(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox, running_syncd(tmp_path, sandbox):
        second = syncd(tmp_path, "run")
        assert second.returncode == 2
        assert "another syncd" in second.stderr


async def test_health_readiness_and_metrics(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox, running_syncd(tmp_path, sandbox) as daemon:
        await send(daemon.address, an_order(1))
        await settled(tmp_path, 1, "issued")
        async with aiohttp.ClientSession(daemon.address) as session:
            async with session.get("/healthz") as answer:
                assert (answer.status, await answer.text()) == (200, "ok\n")
            async with session.get("/readyz") as answer:
                assert (answer.status, (await answer.json())["problems"]) == (200, [])
            async with session.get("/metrics") as answer:
                text = await answer.text()
    assert 'syncd_events_total{result="new",shop="loja",source="webhook"} 1.0' in text
    assert 'syncd_documents_total{account="main",kind="FR",result="issued"} 1.0' in text
    assert 'syncd_orders{state="issued"} 1.0' in text


async def test_no_secret_is_ever_logged(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox, running_syncd(tmp_path, sandbox) as daemon:
        await send(daemon.address, an_order(1))
        await settled(tmp_path, 1, "issued")
        assert daemon.stop() == 0
        written = daemon.log.read_text("utf-8")
    assert sandbox.token not in written
    assert "acceptance-secret" not in written
    assert {"syncd.ready", "order.planned", "document.done", "syncd.stopped"} <= {e["event"] for e in daemon.events()}


async def test_a_bad_token_pauses_the_account_and_not_the_order(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        wrong = SandboxProcess(sandbox.address, "x" * 128)
        with running_syncd(tmp_path, wrong) as daemon:
            assert await send(daemon.address, an_order(1)) == [202]
            await settled(tmp_path, 1, "planned")
            async with aiohttp.ClientSession(daemon.address) as session:
                deadline = time.monotonic() + PATIENCE_SECONDS
                paused: dict[str, str] = {}
                while not paused and time.monotonic() < deadline:
                    async with session.get("/readyz") as answer:
                        paused = (await answer.json())["paused_accounts"]
                    await asyncio.sleep(0.1)
        assert list(paused) == ["main"]
        with running_syncd(tmp_path, sandbox):
            await settled(tmp_path, 1, "issued")


@pytest.mark.parametrize("action", ["release", "skip"])
async def test_a_person_decides_about_a_held_order(tmp_path: Path, action: str) -> None:
    held = an_order(1, meta_data=[{"id": 1, "key": "_billing_nif", "value": "501964842"}])
    with running_sandbox(tmp_path) as sandbox, running_syncd(tmp_path, sandbox) as daemon:
        await send(daemon.address, held)
        (order,) = await settled(tmp_path, 1, "held")
        assert order["hold"]["code"] == "invalid_nif"
        assert not await final_documents(sandbox)
        done = syncd(tmp_path, action, "loja", "1", "--reason", "telefonei ao cliente")
        assert done.returncode == 0, done.stderr
        await settled(tmp_path, 1, "issued" if action == "release" else "skipped")
        assert len(await final_documents(sandbox)) == (1 if action == "release" else 0)
        shown = json.loads(syncd(tmp_path, "order", "loja", "1", "--json").stdout)
        decision = next(entry for entry in shown["timeline"] if entry["actor"] == "operator")
        assert decision["detail"]["reason"] == "telefonei ao cliente"


async def test_a_refused_document_is_held_with_the_services_code_and_sent_again_on_request(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox, running_syncd(tmp_path, sandbox) as daemon:
        await sandbox.fault(kind="refuse", code="206", method="POST", path="/api/1.0/documentos")
        await send(daemon.address, an_order(1))
        (order,) = await settled(tmp_path, 1, "held")
        assert order["hold"]["code"] == "billpt.206"
        assert syncd(tmp_path, "retry", "loja", "1").returncode == 0
        await settled(tmp_path, 1, "issued")
        assert len(await final_documents(sandbox)) == 1


async def test_the_check_says_what_is_wrong_with_its_fix(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        with running_syncd(tmp_path, sandbox):
            pass
        found = syncd(tmp_path, "check")
    assert found.returncode == 1  # the command was given another token
    assert "token" in found.stdout
    assert "fix:" in found.stdout


def test_a_misspelt_key_is_named_with_the_right_one(tmp_path: Path) -> None:
    (tmp_path / "syncd.toml").write_text("[databse]\nurl = 'sqlite+aiosqlite:///x.db'\n", "utf-8")
    found = syncd(tmp_path, "check")
    assert found.returncode == 2
    assert "database" in found.stderr


async def test_an_account_that_rounds_by_rate_and_takes_prices_with_vat_is_learned(tmp_path: Path) -> None:
    """Nobody sets anything: the series and the first drafts tell, and no document is off by a cent or issued twice."""
    sent = [an_order(number, quantity=number % 7 + 1) for number in range(30)[1:]]
    with running_sandbox(tmp_path) as sandbox:
        await sandbox.works(arithmetic="rate", default_series="IVA2026")
        with running_syncd(tmp_path, sandbox) as daemon:
            assert set(await send(daemon.address, *sent)) == {202}
            found = await settled(tmp_path, len(sent), "issued")
            await assert_each_once(sandbox, sent, found)
            now = datetime.now(UTC).replace(microsecond=0, tzinfo=None).isoformat()
            back = [order | {"status": "cancelled", "date_modified_gmt": now} for order in sent[:9]]
            assert set(await send(daemon.address, *back)) == {202}
            deadline = time.monotonic() + PATIENCE_SECONDS
            while sum(len(order["documents"]) == 2 for order in await settled(tmp_path, len(sent), "issued")) < len(
                back
            ):
                assert time.monotonic() < deadline
            state = await sandbox.state()
    found = await asyncio.to_thread(orders, tmp_path)
    given_back = [document["gross"] for order in found for document in order["documents"] if document["kind"] == "NC"]
    assert sorted(map(Decimal, given_back)) == totals(back)
    assert state["documents"] == {"final": len(sent) + len(back), "drafts": 0, "annulled": 0}
    assert {d["invoice_number"].split("/")[0] for ds in state["markers"].values() for d in ds} == {
        "FR IVA2026",
        "NC IVA2026",
    }
