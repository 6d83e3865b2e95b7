"""What people hear from the real process, over real HTTP."""

from pathlib import Path
from typing import Any

import aiohttp

from tests.acceptance.processes import SandboxProcess, running_sandbox, running_syncd, syncd
from tests.acceptance.shopfront import an_order, send
from tests.acceptance.test_daemon import settled
from tests.acceptance.test_outages import until
from tests.receiver import Receiver, a_receiver


async def hears(receiver: Receiver, *events: tuple[str, str]) -> None:
    async def heard() -> bool:
        return len(receiver.heard()) >= len(events)

    await until(heard)
    assert receiver.heard() == list(events)


async def test_a_refused_token_is_told_once_and_that_the_account_goes_on_once_it_is_accepted(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        await sandbox.fault(kind="refuse", code="208", status=401, times=None)
        async with a_receiver(503) as receiver:
            environ = {"SYNCD_ALERTS__URL": receiver.url}
            with running_syncd(tmp_path, sandbox, environ=environ) as daemon:
                await send(daemon.address, *(an_order(number) for number in range(1, 21)))
                await hears(receiver, ("raised", "account_paused"), ("raised", "account_paused"))
                assert len({message["id"] for message in receiver.messages}) == 1
                async with aiohttp.ClientSession(daemon.address) as session:
                    async with session.get("/readyz") as answer:
                        (alert,) = (await answer.json())["alerts"]
                    async with session.get("/metrics") as answer:
                        figures = await answer.text()
            assert (alert["code"], alert["subject"]) == ("account_paused", "main")
            assert "token" in alert["message"]
            assert 'syncd_alerts{code="account_paused"} 1.0' in figures
            assert 'syncd_deadline_seconds{account="main"}' in figures
            # Another process finds the alert open and says nothing, until the service accepts the token again.
            with running_syncd(tmp_path, sandbox, environ=environ) as daemon:
                await mended(sandbox)
                await settled(tmp_path, 20, "issued")
                await hears(receiver, *receiver.heard()[:2], ("resolved", "account_paused"))
                written = daemon.log.read_text("utf-8")
            assert receiver.url not in written


async def mended(sandbox: SandboxProcess) -> None:
    async with aiohttp.ClientSession() as session, session.delete(f"{sandbox.address}/_sandbox/faults") as answer:
        assert answer.status < 300


async def test_a_held_order_is_told_with_its_reason_and_shows_until_when_it_is_lawful(tmp_path: Path) -> None:
    paid: dict[str, Any] = {"date_paid": "2026-03-02T10:00:00", "date_paid_gmt": "2026-03-02T10:00:00"}
    held = an_order(1, meta_data=[{"id": 1, "key": "_billing_nif", "value": "501964842"}], **paid)
    async with a_receiver() as receiver:
        with (
            running_sandbox(tmp_path) as sandbox,
            running_syncd(tmp_path, sandbox, environ={"SYNCD_ALERTS__URL": receiver.url}) as daemon,
        ):
            await send(daemon.address, held)
            (order,) = await settled(tmp_path, 1, "held")
            await hears(receiver, ("raised", "orders_held"))
    assert receiver.messages[0]["message"] == "1 order of loja held: invalid_nif"
    assert "501964842" not in str(receiver.messages)
    assert order["deadline"] == "2026-03-02T23:59:59+00:00"
    assert "RGIT" in syncd(tmp_path, "order", "loja", "1").stdout
