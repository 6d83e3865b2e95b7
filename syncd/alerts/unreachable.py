"""The one alert that cannot be kept in the ledger, because it is about the ledger."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from syncd.alerts.channel import Message
from syncd.domain.alert import Alert, Condition

# A restart or a failover is over by then.
PATIENCE = timedelta(seconds=15)
CONDITION = Condition(
    code="database_down",
    subject="ledger",
    message="the database is not reached; shops are asked to come again, nothing is issued",
    fix="see the database's own log and disk; it goes on by itself",
)


class Unreachable:
    """Kept in memory, so each process speaks for itself. `say` is True once the message was taken."""

    def __init__(self, say: Callable[[Message], Awaitable[bool]], now: Callable[[], datetime]) -> None:
        self._say = say
        self._now = now
        self._since: datetime | None = None
        self._told = False
        self._tries = 0

    async def lost(self) -> None:
        """The database was not there when it was needed."""
        self._since = self._since or self._now()
        if not self._told and self._now() - self._since >= PATIENCE:
            self._told = await self._tell(self._since, "raised")

    async def found(self) -> None:
        """It was there."""
        if self._since is not None and (not self._told or await self._tell(self._since, "resolved")):
            self._since, self._told = None, False

    async def _tell(self, since: datetime, event: str) -> bool:
        resolved_at = self._now() if event == "resolved" else None
        alert = Alert(id=0, condition=CONDITION, raised_at=since, resolved_at=resolved_at, tries=self._tries)
        taken = await self._say(Message(f"database-{since:%Y%m%dT%H%M%S}-{event}", event, alert))
        self._tries = 0 if taken else self._tries + 1
        return taken
