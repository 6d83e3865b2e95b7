"""One account's request budget: no sliding 60 s hold more requests than allowed, and waiting work uses what there is.

What a service counts is the arrival of a request, which is known for certain only when its answer is there. So a slot
of the throttler is spent until one period after the *answer*. That suits every way to count: a window that slides, one
that starts with its first request, and a bucket that fills evenly.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from itertools import zip_longest

from asyncio_throttle.throttler import Throttler

from syncd.providers.port import Usage

# A touch more than the service's minute, for clocks that are not quite alike.
PERIOD_SECONDS = 60.02
# A quiet shop's first orders go at once; beyond this share of the budget requests are spaced evenly, which also
# survives services that only approximate their sliding window.
BURST_SHARE = 0.4
# A little faster than the even rate, so that the whole budget is used.
PACE = 0.985
# Kept free while somebody else uses the token, and for so many periods after he was last seen.
RESERVE_SHARE = 0.03
RESERVE_PERIODS = 10
# So much later than a slot becomes free, because the throttler takes the very moment as not yet.
_TICK = 0.000_1


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
    """`limit` requests per `period` seconds for one account; one waiter at a time, in the order of asking."""

    def __init__(self, limit: int, *, period: float = PERIOD_SECONDS) -> None:
        super().__init__(limit, period)
        self._most = self._limit = limit
        self._turn = asyncio.Lock()
        self._closed_until = 0.0
        self._reserved_until = 0.0
        self._last_start = 0.0
        self._granted = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        """Wait for a place, hold it while the request is under way, and keep it spent for a period after."""
        async with self._turn:
            # The gate stands before the slot: behind it, all who wait would be let go at once.
            while (seconds := self.wait_seconds) > 0:  # noqa: ASYNC110 - time ends this wait, no event does
                await asyncio.sleep(seconds)
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
        """Count what the ledger knows: seconds since each answer, 0 for those never answered.

        Where the ledger's clock was set meanwhile, what this process itself remembers stands.
        """
        now = time.monotonic()
        told = sorted((now - max(0.0, age) for age in ages if age < self.period), reverse=True)
        own = sorted(self._task_logs, reverse=True)
        known = [max(pair) for pair in zip_longest(told, own, fillvalue=-math.inf)][: self._most]
        self._task_logs.clear()
        self._task_logs.extend(reversed(known))

    @property
    def taken(self) -> int:
        """Slots that are spent at the moment."""
        self.flush()  # type: ignore[no-untyped-call]
        return len(self._task_logs)

    @property
    def used(self) -> float:
        """The share of the limit that is spent at the moment."""
        return self.taken / self._limit

    def learn(self, usage: Usage, *, taken: int, granted: int) -> None:
        """What an answer said; `taken` and `granted` are as they were when its request left."""
        now = time.monotonic()
        if usage.limit is not None and usage.limit > 0:
            self._limit = min(self._most, usage.limit)
        if usage.status == 429:
            wait = usage.retry_after or timedelta(seconds=self.period)
            self._closed_until = max(self._closed_until, now + wait.total_seconds())
            self._reserve(now)
            self._book_unseen(now)
        elif usage.remaining is not None:
            # Compared with the count at the answer instead, our own later requests would look like somebody else's.
            foreign = self._limit - usage.remaining - (taken + self._granted - granted)
            if foreign > 0:
                self._reserve(now)
                self._task_logs.extend([now] * foreign)
        self._set_rate(now)

    @property
    def wait_seconds(self) -> float:
        """Until the next request may leave, as far as is known now."""
        self._set_rate(time.monotonic())
        return max(self.closed_for, self.pause, self._full_for)

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

    @property
    def _full_for(self) -> float:
        """Seconds until enough slots are free again for one more; exact, where the throttler would look every 10 ms."""
        excess = self.taken - self.rate_limit
        if excess < 0:
            return 0.0
        frees_at: float = self._task_logs[excess] + self.period
        return max(0.0, frees_at - time.monotonic()) + _TICK

    def _book_unseen(self, now: float) -> None:
        """The service's minute is full: what of it was not ours came from others, at times that we do not know."""
        unseen = self._limit - self.taken
        if unseen > 0:
            spread = [now - self.period * part / unseen for part in range(unseen)]
            known = sorted([*self._task_logs, *spread])
            self._task_logs.clear()
            self._task_logs.extend(known)

    def _reserve(self, now: float) -> None:
        self._reserved_until = now + RESERVE_PERIODS * self.period

    def _set_rate(self, now: float) -> None:
        reserve = math.ceil(RESERVE_SHARE * self._limit) if now < self._reserved_until else 0
        self.rate_limit = max(1, self._limit - reserve)
