"""Past orders beside a running daemon, from outside: the command, a shop, the service, and live orders in between."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance.processes import beginning, running_sandbox, running_syncd
from tests.acceptance.shopfront import an_order
from tests.acceptance.test_daemon import assert_each_once, settled
from tests.integration.woocommerce_shop import KEY, SECRET, WooCommerce, a_woocommerce

FIRST = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def site() -> AsyncIterator[WooCommerce]:
    async with a_woocommerce() as woocommerce:
        yield woocommerce


def environ(site: WooCommerce) -> dict[str, str]:
    return {
        "SYNCD_SHOPS__LOJA__URL": site.url,
        "SYNCD_SHOPS__LOJA__CONSUMER_KEY": KEY,
        "SYNCD_SHOPS__LOJA__CONSUMER_SECRET": SECRET,
        "SYNCD_SHOPS__LOJA__POLL_INTERVAL": "0",
    }


def place(site: WooCommerce, count: int) -> None:
    for number in range(1, count + 1):
        at = f"{FIRST + timedelta(minutes=number):%Y-%m-%dT%H:%M:%S}"
        site.orders[number] = an_order(number, date_created_gmt=at, date_modified_gmt=at, date_paid_gmt=at)


async def backfill(folder: Path, site: WooCommerce, *options: str) -> subprocess.CompletedProcess[str]:
    process = beginning(folder, environ(site), "backfill", "loja", "--since", "2026-01-01", *options)
    out, err = await asyncio.to_thread(process.communicate)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


async def test_killed_and_begun_again_every_past_order_becomes_one_document(tmp_path: Path, site: WooCommerce) -> None:
    place(site, 220)
    with (
        running_sandbox(tmp_path) as sandbox,
        running_syncd(tmp_path, sandbox, environ=environ(site)) as daemon,
    ):
        forecast = await backfill(tmp_path, site, "--dry-run")
        assert forecast.returncode == 0, forecast.stderr
        assert "220 orders: 220 FR" in forecast.stdout
        asked = len(site.requests)

        def kill_at_the_third_page(_: object) -> None:
            if len(site.requests) == asked + 3:
                process.send_signal(signal.SIGKILL)

        site.before_answer = kill_at_the_third_page
        process = beginning(tmp_path, environ(site), "backfill", "loja", "--since", "2026-01-01")
        await asyncio.to_thread(process.communicate)
        assert process.returncode == -signal.SIGKILL
        again = await backfill(tmp_path, site)
        assert again.returncode == 0, again.stderr
        found = await settled(tmp_path, 220, "issued")
        await assert_each_once(sandbox, list(site.orders.values()), found)
        assert daemon.stop() == 0


async def test_a_wrong_day_or_a_shop_that_cannot_be_asked_is_said(tmp_path: Path, site: WooCommerce) -> None:
    with running_sandbox(tmp_path) as sandbox, running_syncd(tmp_path, sandbox):
        backwards = await backfill(tmp_path, site, "--until", "2025-12-31")
        assert (backwards.returncode, "no days from 2026-01-01 to 2025-12-31" in backwards.stderr) == (2, True)
        process = beginning(tmp_path, {}, "backfill", "montra", "--since", "2026-01-01")
        _, said = await asyncio.to_thread(process.communicate)
        assert (process.returncode, "cannot be asked" in said) == (2, True)
        process = beginning(tmp_path, {}, "backfill", "loja", "--since", "yesterday")
        _, said = await asyncio.to_thread(process.communicate)
        assert (process.returncode, "yesterday" in said) == (2, True)
