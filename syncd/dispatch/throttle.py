"""One account's request budget: no sliding 60 s hold more requests than allowed, and waiting work uses what there is.

What a service counts is the arrival of a request, which is known for certain only when its answer is there. So a slot
of the throttler is spent until one period after the *answer*.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from asyncio_throttle.throttler import Throttler

from syncd.providers.port import Usage

# A touch more than the service's minute, for clocks that are not quite alike.
PERIOD_SECONDS = 60.02
# A quiet shop's first orders go at once; beyond this share of the budget requests are spaced evenly, which also
# survives services that only approximate their sliding window.
BURST_SHARE = 0.4
# A little faster than the even rate, so that the whole budget is used.
PACE = 0.985
# Kept free once somebody else was seen using the token.
RESERVE = 3


class Slot:
    """One request's place in the budget."""

    def __init__(self, budget: "Budget", taken: int, granted: int) -> None:
        self._budget = budget
        self._taken = taken
        self._granted = granted

    def answered(self, usage: Usage) -> None:
        """Learn from the answer's headers: other users of the token, and when to come again after a 429."""
        self._budget.learn(usage, taken=self._taken, granted=self._granted)


class Budget(Throttler):
    """`limit` requests per minute for one account; one waiter at a time, in the order of asking."""

    def __init__(self, limit: int, *, period: float = PERIOD_SECONDS) -> None:
        super().__init__(limit, period)
        self._limit = limit
        self._turn = asyncio.Lock()
        self._closed_until = 0.0
        self._last_start = 0.0
        self._granted = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        """Wait for a place, hold it while the request is under way, and keep it spent for a period after."""
        async with self._turn:
            await self._wait()
            await self.acquire()  # type: ignore[no-untyped-call]
            left = self._last_start = self._task_logs[-1]
            self._granted += 1
        try:
            yield Slot(self, len(self._task_logs), self._granted)
        finally:
            with suppress(ValueError):  # in flight for longer than a period: already forgotten
                self._task_logs.remove(left)
            self._task_logs.append(time.monotonic())

    def restore(self, ages: Iterable[float]) -> None:
        """Count requests of an earlier process: seconds since their answers, 0 for those never answered."""
        now = time.monotonic()
        self._task_logs.extend(now - age for age in sorted(ages, reverse=True) if age < self.period)

    @property
    def taken(self) -> int:
        """Slots that are spent at the moment."""
        self.flush()  # type: ignore[no-untyped-call]
        return len(self._task_logs)

    def learn(self, usage: Usage, *, taken: int, granted: int) -> None:
        now = time.monotonic()
        if usage.status == 429:
            wait = usage.retry_after or timedelta(seconds=self.period)
            self._closed_until = max(self._closed_until, now + wait.total_seconds())
        if usage.limit is not None and 0 < usage.limit < self._limit:
            self._limit = usage.limit
            self.rate_limit = min(self.rate_limit, usage.limit)
        if usage.remaining is not None:
            ours = taken + self._granted - granted
            foreign = self._limit - usage.remaining - ours
            if foreign > 0:
                self.rate_limit = max(1, self._limit - RESERVE)
                self._task_logs.extend([now] * foreign)

    @property
    def closed_for(self) -> float:
        """Seconds until the service lets us come again after a 429."""
        return max(0.0, self._closed_until - time.monotonic())

    @property
    def pause(self) -> float:
        """Seconds to leave before the next start, so that a well used budget is spent evenly."""
        if self.taken <= self._limit * BURST_SHARE:
            return 0.0
        due: float = self._last_start + PACE * self.period / self.rate_limit
        return max(0.0, due - time.monotonic())

    async def _wait(self) -> None:
        # The gate stands before the slot: behind it, all who wait would be let go at once.
        await asyncio.sleep(self.closed_for)
        await asyncio.sleep(self.pause)
