"""Noticing that the clock on the wall was set: whoever waits for a moment in the ledger waits by that clock."""

from collections.abc import Callable
from datetime import datetime, timedelta

# Less is how clocks are kept right all the time.
LEAST_LEAP = timedelta(seconds=2)
UNMOVED = timedelta(0)


class WallClock:
    """Compares the clock on the wall with one that nobody sets."""

    def __init__(self, now: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._now = now
        self._monotonic = monotonic
        self._at, self._ticks = now(), monotonic()

    def leap(self) -> timedelta:
        """How far it was set since the last call: forward, back (negative), or not at all."""
        at, ticks = self._now(), self._monotonic()
        leap = at - self._at - timedelta(seconds=ticks - self._ticks)
        self._at, self._ticks = at, ticks
        return leap if abs(leap) >= LEAST_LEAP else UNMOVED
