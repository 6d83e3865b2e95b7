"""What systemd is told: ready, stopping, still alive. Without systemd nothing is sent."""

import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifier:
    """The service manager's datagram socket; see sd_notify(3).

    `watchdog_seconds` is how often `alive` is due: half of what systemd waits before it kills us, or None.
    """

    address: str | None = None
    watchdog_seconds: float | None = None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], *, pid: int) -> Self:
        """The service manager of process `pid`, as the environment names it."""
        address = environ.get("NOTIFY_SOCKET") or None
        microseconds = environ.get("WATCHDOG_USEC", "")
        # A parent's watchdog can reach us with its environment; its process id says whose it is.
        ours = environ.get("WATCHDOG_PID", str(pid)) == str(pid)
        watched = address is not None and ours and microseconds.isdecimal() and int(microseconds) > 0
        return cls(address=address, watchdog_seconds=int(microseconds) / 2_000_000 if watched else None)

    def ready(self) -> None:
        self._send(b"READY=1")

    def stopping(self) -> None:
        self._send(b"STOPPING=1")

    def alive(self) -> None:
        self._send(b"WATCHDOG=1")

    def _send(self, message: bytes) -> None:
        if self.address is None:
            return
        # A leading @ stands for the NUL of a socket outside the file system.
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        # A supervisor that cannot hear us must not stop the invoices.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.settimeout(1)
            client.sendto(message, address)
