"""Times in payloads: read with their offset, and only from an age in which there are orders."""

from datetime import UTC, datetime

# Other years are typing errors or attacks; near the ends of the calendar a change of time zone would overflow.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)  # excluded


def moment_of(text: str, *, utc_by_default: bool = False) -> datetime:
    """An ISO 8601 time in UTC. ValueError for what is none, has no offset, or is from another age."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        if not utc_by_default:
            raise ValueError(f"{text[:40]!r} has no offset")
        time = time.replace(tzinfo=UTC)
    if not EARLIEST <= time < LATEST:
        raise ValueError(f"{text[:40]!r} is from another age")
    return time.astimezone(UTC)
