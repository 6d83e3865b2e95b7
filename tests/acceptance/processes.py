"""Real processes for acceptance tests: the emulator of the service and the daemon, started, asked, killed."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.public_json import ORDER

SECRET = "acceptance-secret"
PATIENCE_SECONDS = 60

SETTINGS = """
[database]
url = "{database}"
[http]
port = 0
[log]
level = "info"
format = "json"
[accounts.main]
provider = "billpt"
base_url = "{service}"
timeout_seconds = 5
settle_seconds = {settle}
rate_limit = {rate_limit}
[shops.loja]
platform = "woocommerce"
account = "main"
url = "https://loja.example"
webhook_secret = "{secret}"
[shops.montra]
platform = "shopify"
account = "main"
url = "https://montra.myshopify.com"
webhook_secret = "{secret}"
"""


@dataclass(frozen=True, slots=True)
class SandboxProcess:
    """The emulator, told over its own control address what to do wrong."""

    address: str
    token: str

    async def state(self) -> dict[str, Any]:
        """What the service has: documents, requests, the fullest minute."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.address}/_sandbox/state") as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def fault(self, **fault: Any) -> None:
        """Make the next requests go wrong."""
        await self._tell("faults", fault)

    async def works(self, **account: str) -> None:
        """How the account adds up, and which series is its own."""
        await self._tell("account", account)

    async def _tell(self, what: str, body: dict[str, Any]) -> None:
        address = f"{self.address}/_sandbox/{what}"
        async with aiohttp.ClientSession() as session, session.post(address, json=body) as answer:
            assert answer.status < 300, await answer.text()


@dataclass(slots=True)
class SyncdProcess:
    """A running daemon."""

    process: subprocess.Popen[bytes]
    address: str
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """As a crash does it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE_SECONDS)

    def stop(self) -> int:
        """As an operator does it; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def events(self) -> list[dict[str, Any]]:
        """The log so far."""
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines() if line.startswith("{")]


@contextmanager
def running_sandbox(folder: Path, *, limit: int | None = None) -> Iterator[SandboxProcess]:
    """`syncd sandbox billpt` on a free port; without a limit its requests are only counted."""
    log = folder / "sandbox.log"
    with _process(log, ["sandbox", "billpt", "--port", "0"], {}) as process:
        token = _wait_for(process, log, "token: ").split()[1]
        address = _wait_for(process, log, "http://").split()[-1]
        body = json.dumps({"limit": limit}).encode()
        told = urllib.request.Request(f"{address}/_sandbox/limit", body, {"Content-Type": "application/json"})
        urllib.request.urlopen(told, timeout=10).close()
        yield SandboxProcess(address, token)


@contextmanager
def running_syncd(
    folder: Path,
    sandbox: SandboxProcess,
    *,
    database: str | None = None,
    settle: int = 2,
    rate_limit: int = 6000,
    name: str = "syncd",
    environ: Mapping[str, str] | None = None,
) -> Iterator[SyncdProcess]:
    """`syncd run` on a free port, ready."""
    settings = folder / "syncd.toml"
    settings.write_text(
        SETTINGS.format(
            database=database or f"sqlite+aiosqlite:///{folder}/syncd.db",
            service=sandbox.address,
            secret=SECRET,
            settle=settle,
            rate_limit=rate_limit,
        ),
        "utf-8",
    )
    log = folder / f"{name}-{time.monotonic_ns()}.log"
    environment = {"SYNCD_ACCOUNTS__MAIN__TOKEN": sandbox.token, **(environ or {})}
    with _process(log, ["run", "-c", str(settings)], environment) as process:
        ready = json.loads(_wait_for(process, log, '"syncd.ready"'))
        yield SyncdProcess(process, f"http://127.0.0.1:{ready['port']}", log)


@contextmanager
def running_demo(folder: Path, orders: int) -> Iterator[str]:
    """`syncd demo --serve` once all is done; what it says of the dashboard."""
    log = folder / "demo.log"
    with _process(log, ["demo", "--orders", str(orders), "--serve"], {}) as process:
        yield _wait_for(process, log, "Dashboard: ")


def syncd(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command on the settings of this folder."""
    command = [sys.executable, "-m", "syncd", *arguments, "-c", str(folder / "syncd.toml")]
    environment = {**os.environ, "SYNCD_ACCOUNTS__MAIN__TOKEN": "t" * 128}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def beginning(folder: Path, environ: Mapping[str, str], *arguments: str) -> subprocess.Popen[str]:
    """A command on the settings of this folder, under way."""
    command = [sys.executable, "-m", "syncd", *arguments, "-c", str(folder / "syncd.toml")]
    environment = {**os.environ, "SYNCD_ACCOUNTS__MAIN__TOKEN": "t" * 128, **environ}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def orders(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """What `syncd orders --json` prints, each object in the promised shape."""
    printed = syncd(folder, "orders", "--json", *arguments)
    assert printed.returncode == 0, printed.stderr
    found = [json.loads(line) for line in printed.stdout.splitlines()]
    for order in found:
        ORDER.validate(order)
    return found


@contextmanager
def _process(log: Path, arguments: list[str], environ: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "syncd", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environ},
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(process: subprocess.Popen[bytes], log: Path, text: str) -> str:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for line in log.read_text("utf-8").splitlines():
            if text in line:
                return line
        assert process.poll() is None, log.read_text("utf-8")
        time.sleep(0.02)
    raise AssertionError(f"{text} did not appear: {log.read_text('utf-8')}")
