"""What systemd hears, on a real datagram socket."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.notify import Notifier


@pytest.fixture(params=["a file", "an abstract name"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    name = f"@syncd-test-{tmp_path}" if request.param == "an abstract name" else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(name.replace("@", "\0", 1))
        server.settimeout(5)
        yield server, name


def test_each_message_arrives_as_one_datagram(manager: tuple[socket.socket, str]) -> None:
    server, name = manager
    notifier = Notifier.from_environ({"NOTIFY_SOCKET": name}, pid=7)
    notifier.ready()
    notifier.alive()
    notifier.stopping()
    assert [server.recv(64) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/notify"}])
def test_without_a_listening_manager_nothing_happens(environ: dict[str, str]) -> None:
    notifier = Notifier.from_environ(environ, pid=7)
    notifier.ready()
    notifier.alive()
    notifier.stopping()


@pytest.mark.parametrize(
    ("watchdog", "seconds"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_twice_in_each_of_its_intervals(watchdog: dict[str, str], seconds: float | None) -> None:
    assert Notifier.from_environ({"NOTIFY_SOCKET": "/run/notify"} | watchdog, pid=7).watchdog_seconds == seconds


def test_a_watchdog_without_a_socket_is_none() -> None:
    assert Notifier.from_environ({"WATCHDOG_USEC": "60000000"}, pid=7).watchdog_seconds is None
