"""Telling people: one JSON POST per message, in the form that chat services take."""

from dataclasses import dataclass
from typing import Any

import aiohttp

from syncd.domain.alert import Alert
from syncd.domain.errors import SyncdError

TIMEOUT_SECONDS = 10


class NotDeliveredError(SyncdError):
    """The receiver did not take the message; it is sent again."""


@dataclass(frozen=True, slots=True)
class Message:
    """`id` is the same however often this is sent; `event` is raised, reminder or resolved."""

    id: str
    event: str
    alert: Alert

    @classmethod
    def of(cls, alert: Alert) -> "Message":
        """What people have to hear of an alert next: how it stands now, whatever they missed."""
        event = "resolved" if alert.resolved_at else "reminder" if alert.told else "raised"
        number = f"-{alert.told}" if event == "reminder" else ""
        return cls(f"{alert.id}-{event}{number}", event, alert)

    def json(self) -> dict[str, Any]:
        """`text` is what Slack, Mattermost and Teams show; the rest is for programs."""
        alert, said = self.alert, self.alert.condition
        fix = "" if self.event == "resolved" else f"\nfix: {said.fix}"
        return {
            "text": f"syncd {self.event}: {said.message}{fix}",
            "id": self.id,
            "event": self.event,
            "code": said.code,
            "subject": said.subject,
            "message": said.message,
            "fix": said.fix,
            "raised_at": alert.raised_at.isoformat(),
            "resolved_at": alert.resolved_at.isoformat() if alert.resolved_at else None,
        }


class Channel:
    """An address that takes messages. Its URL is a secret: who knows it can write there."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def send(self, message: Message) -> None:
        """NotDeliveredError unless the receiver answers with 2xx."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(self._url, json=message.json(), allow_redirects=False) as answer,
            ):
                status = answer.status
        except (TimeoutError, aiohttp.ClientError) as error:
            # Not the error's own text: it names the address.
            raise NotDeliveredError(f"not reached: {type(error).__name__}", code="alert_not_delivered") from error
        if not 200 <= status < 300:
            raise NotDeliveredError(f"answered with {status}", code="alert_not_delivered")
