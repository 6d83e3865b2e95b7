"""How the daemon begins and ends when something is wrong: with a word, at once, and with nothing left running."""

import asyncio
import socket
from pathlib import Path
from typing import NoReturn

import pytest

from syncd.app import ROLES, Daemon, RoleDiedError
from syncd.domain.errors import SyncdError
from syncd.settings import Settings, load

SETTINGS = """
[database]
url = "sqlite+aiosqlite:///{folder}/ledger.db"
[http]
port = {port}
[accounts.main]
provider = "billpt"
base_url = "http://127.0.0.1:9"
token = "only-for-a-test"
[shops.loja]
platform = "woocommerce"
account = "main"
url = "https://loja.example"
webhook_secret = "only-for-a-test"
"""


def settings_in(folder: Path, port: int = 0) -> Settings:
    file = folder / "syncd.toml"
    file.write_text(SETTINGS.format(folder=folder, port=port), "utf-8")
    return load(file, {})


async def test_a_role_that_dies_takes_the_process_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def dies(*_: object) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr("syncd.dispatch.reconciler.Reconciler.run", dies)
    before = asyncio.all_tasks()
    with pytest.raises(RoleDiedError, match="reconciler"):
        await Daemon(settings_in(tmp_path), ROLES).run(asyncio.Event())
    assert {task for task in asyncio.all_tasks() - before if not task.done()} == set()


async def test_an_address_in_use_is_named_with_its_fix(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SyncdError, match=f"cannot listen on 127.0.0.1:{port}") as caught:
            await Daemon(settings_in(tmp_path, port), ROLES).run(asyncio.Event())
    assert "http" in caught.value.fix


async def test_a_stop_leaves_nothing_running(tmp_path: Path) -> None:
    before, stop = asyncio.all_tasks(), asyncio.Event()
    daemon = Daemon(settings_in(tmp_path), ROLES)
    running = asyncio.create_task(daemon.run(stop))
    await daemon.started.wait()
    stop.set()
    await running
    assert {task for task in asyncio.all_tasks() - before if not task.done()} == set()
