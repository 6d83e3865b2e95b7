"""What the daemon does when an invoice depends on a public register: it waits, says so, and goes on with the answer."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from tests.acceptance.processes import (
    PATIENCE_SECONDS,
    SECRET,
    SETTINGS,
    SandboxProcess,
    SyncdProcess,
    running_sandbox,
    running_syncd,
    syncd,
)
from tests.acceptance.shopfront import an_order, send
from tests.acceptance.test_daemon import settled
from tests.acceptance.test_outages import until
from tests.registers import Emulator, emulated

NUMBER = "DE136695976"
PLACES = {
    "database": "sqlite+aiosqlite:///syncd.db",
    "service": "https://app.bill.pt",
    "settle": 2,
    "rate_limit": 100,
    "secret": SECRET,
}
HAMBURG = {
    "first_name": "Erika",
    "last_name": "Muster",
    "company": "Beispiel GmbH",
    "address_1": "Allee 8",
    "address_2": "",
    "city": "Hamburg",
    "state": "",
    "postcode": "20095",
    "country": "DE",
    "email": "erika@beispiel.example",
    "phone": "",
}


def lead_to(emulator: Emulator) -> dict[str, str]:
    return {
        "SYNCD_REGISTERS__VIES__URL": emulator.vies_url,
        "SYNCD_REGISTERS__ECB__URL": emulator.ecb_url,
        "SYNCD_ACCOUNTS__MAIN__FISCAL__NIF": "501964843",
    }


def gmt(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")


def paid_now() -> dict[str, Any]:
    """Two seconds ago, so that a change that follows at once is newer to the second and yet not ahead of the clock."""
    paid = gmt(datetime.now(UTC) - timedelta(seconds=2))
    return dict.fromkeys(("date_created_gmt", "date_modified_gmt", "date_paid_gmt"), paid)


def to_a_company_in_hamburg(number: int) -> dict[str, Any]:
    """The capture's order, as the shop writes it where it charges no VAT."""
    order = an_order(number, billing=HAMBURG, shipping=HAMBURG, tax_lines=[], total_tax="0.00", **paid_now())
    order["meta_data"] = [
        {"id": 1, "key": "_billing_vat_number", "value": NUMBER},
        {"id": 2, "key": "is_vat_exempt", "value": "yes"},
    ]
    for line in (*order["line_items"], *order["shipping_lines"]):
        line.update(total_tax="0.00", taxes=[])
    order["line_items"][0]["subtotal_tax"] = "0.00"
    order.update(cart_tax="0.00", shipping_tax="0.00", total="20.16")
    return order


def in_dollars(number: int) -> dict[str, Any]:
    return an_order(number, currency="USD", currency_symbol="$", **paid_now())


async def shown(folder: Path, order_id: str) -> dict[str, Any]:
    """What `syncd order --json` prints."""
    printed = await asyncio.to_thread(syncd, folder, "order", "loja", order_id, "--json")
    assert printed.returncode == 0, printed.stderr
    found: dict[str, Any] = json.loads(printed.stdout)
    return found


async def at_service(sandbox: SandboxProcess, path: str) -> Any:
    """What the service itself shows."""
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    address = f"{sandbox.address}/api/1.0/{path}"
    async with aiohttp.ClientSession(headers=headers) as session, session.get(address) as answer:
        return await answer.json()


async def has_said(daemon: SyncdProcess, event: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        for entry in daemon.events():
            if entry["event"] == event:
                return entry
        assert time.monotonic() < deadline, daemon.events()
        await asyncio.sleep(0.05)


async def test_a_sale_to_a_company_abroad_waits_for_vies_and_is_issued_with_its_proof(tmp_path: Path) -> None:
    async with emulated() as registers:
        registers.valid.add(NUMBER)
        registers.trouble = "MS_UNAVAILABLE"
        with (
            running_sandbox(tmp_path) as sandbox,
            running_syncd(tmp_path, sandbox, environ=lead_to(registers)) as daemon,
        ):
            assert await send(daemon.address, to_a_company_in_hamburg(1), an_order(2)) == [202, 202]
            await settled(tmp_path, 1, "issued")  # the other order is not held up
            assert (await has_said(daemon, "register.no_answer"))["level"] == "warning"
            waiting = await shown(tmp_path, "1")
            assert (waiting["state"], waiting["hold"], waiting["documents"]) == ("pending", None, [])
            assert waiting["waiting"]["problem"] == "VIES answered MS_UNAVAILABLE"
            registers.trouble = ""
            await settled(tmp_path, 2, "issued")
            (issued,) = (await shown(tmp_path, "1"))["documents"]
            document = await at_service(sandbox, f"documentos/{issued['provider_id']}")
            exemptions = {entry["id"]: entry["codigo"] for entry in await at_service(sandbox, "motivos-isencao")}
            assert {exemptions[line["motivo_isencao_id"]] for line in document["lancamentos"]} == {"M16"}
            assert (document["gross_total"], document["tax_total"], document["contato"]["nif"]) == (
                "20.16",
                "0.00",
                NUMBER,
            )
            story = (await shown(tmp_path, "1"))["timeline"]
            (planned,) = [entry for entry in story if entry["action"] == "planned"]
            (proof,) = planned["detail"]["consultations"]
            assert (proof["number"], proof["valid"], proof["name"]) == (NUMBER, True, "Beispiel GmbH")
            assert proof["reference"].startswith("WAPIAAAA")
            assert daemon.stop() == 0


async def test_an_order_in_dollars_is_invoiced_in_euro_and_given_back_at_the_same_rate(tmp_path: Path) -> None:
    async with emulated() as registers:
        registers.publish({"USD": "1.0856"})
        with (
            running_sandbox(tmp_path) as sandbox,
            running_syncd(tmp_path, sandbox, environ=lead_to(registers)) as daemon,
        ):
            order = in_dollars(1)
            assert await send(daemon.address, order) == [202]
            await settled(tmp_path, 1, "issued")
            registers.publish({"USD": "1.5000"})
            # Not ahead of the clock: nothing is issued before the time its cause happened.
            later = gmt(datetime.now(UTC))
            whole = {"id": 77, "reason": "", "total": f"-{order['total']}"}
            given_back = {**order, "status": "refunded", "date_modified_gmt": later, "refunds": [whole]}
            assert await send(daemon.address, given_back) == [202]
            await until(lambda: credited(tmp_path))
            sale, note = (await shown(tmp_path, "1"))["documents"]
            # 24.80 USD at 1.0856
            assert [(sale["kind"], sale["gross"]), (note["kind"], note["gross"])] == [("FR", "22.84"), ("NC", "22.84")]
            printed = await at_service(sandbox, f"documentos/{sale['provider_id']}")
            assert printed["moeda"] == "EUR_€"
            assert "Total: 24,80 USD; 1 EUR = 1,0856 USD (BCE, " in printed["observacoes"]
            assert registers.ecb_asked == ["eurofxref-daily.xml"]
            assert daemon.stop() == 0


async def credited(folder: Path) -> bool:
    states = [document["state"] for document in (await shown(folder, "1"))["documents"]]
    return states == ["issued", "issued"]


async def test_a_dry_run_asks_nobody_and_takes_what_registers_said_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "order.json").write_text(json.dumps(in_dollars(1)), "utf-8")
    (tmp_path / "syncd.toml").write_text(SETTINGS.format(**PLACES), "utf-8")
    command = ("plan", str(tmp_path / "order.json"), "--shop", "loja", "--json")
    without = json.loads((await asyncio.to_thread(syncd, tmp_path, *command)).stdout)
    assert [hold["code"] for hold in without["holds"]] == ["currency"]
    (need,) = without["needs"]
    rates = {"day": need.removeprefix("ecb/"), "source": "BCE", "per_euro": {"USD": "1.0856"}}
    (tmp_path / "evidence.json").write_text(json.dumps({"rates": [rates]}), "utf-8")
    (tmp_path / "broken.json").write_text("{", "utf-8")
    for option in ("--evidence", "--issued"):
        broken = await asyncio.to_thread(syncd, tmp_path, *command, option, str(tmp_path / "broken.json"))
        assert (broken.returncode, "is not JSON" in broken.stderr) == (2, True)
    given = await asyncio.to_thread(syncd, tmp_path, *command, "--evidence", str(tmp_path / "evidence.json"))
    (document,) = json.loads(given.stdout)["documents"]
    assert (document["totals"]["gross"], document["exchange"]["per_euro"]) == ("22.84", "1.0856")
