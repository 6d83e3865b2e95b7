"""What a person should know: conditions that last, and the alerts that speak of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Something that is wrong now. `code` and `subject` name it; `message` is free of a buyer's data."""

    code: str
    subject: str
    message: str
    fix: str

    @property
    def cause(self) -> tuple[str, str]:
        return self.code, self.subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A condition that was raised. `gone_at`: it is no longer seen; `told`: how often people have heard of it."""

    id: int
    condition: Condition
    raised_at: datetime
    gone_at: datetime | None = None
    resolved_at: datetime | None = None
    told: int = 0
    tries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What brings the open alerts in line with the conditions; ids but for those that are new."""

    raised: tuple[Condition, ...] = ()
    seen: tuple[tuple[int, Condition], ...] = ()  # in other words than before, or again
    gone: tuple[int, ...] = ()
    resolved: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.raised or self.seen or self.gone or self.resolved)


def changes(alerts: Sequence[Alert], conditions: Sequence[Condition], *, now: datetime, calm: timedelta) -> Changes:
    """Raise what is new, resolve what has been gone for `calm`: what comes and goes is one alert, not a thousand."""
    wanted = {condition.cause: condition for condition in conditions}
    open_ = {alert.condition.cause: alert for alert in alerts}
    missing = [alert for cause, alert in open_.items() if cause not in wanted]
    return Changes(
        raised=tuple(condition for cause, condition in wanted.items() if cause not in open_),
        seen=tuple(
            (alert.id, wanted[cause])
            for cause, alert in open_.items()
            if cause in wanted and (alert.gone_at is not None or alert.condition != wanted[cause])
        ),
        gone=tuple(alert.id for alert in missing if alert.gone_at is None),
        resolved=tuple(alert.id for alert in missing if alert.gone_at is not None and alert.gone_at <= now - calm),
    )
