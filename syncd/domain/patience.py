"""How long to wait before trying again, and how often before saying so."""

from datetime import timedelta

LONGEST_EXPONENT = 9
# One lost connection is the network's everyday; so many in a row are the service's.
DOWN_AFTER = 3


def backoff(attempt: int, jitter: float = 1.0) -> timedelta:
    """1, 2, 4 ... 512 seconds for attempt 1, 2, 3 ..., each times the jitter."""
    return timedelta(seconds=2 ** min(max(attempt - 1, 0), LONGEST_EXPONENT) * jitter)
