"""The rate limiter, and the record of every arrival that tests judge clients by."""

import math
from array import array
from collections import deque
from dataclasses import dataclass

from syncd.sandbox.billpt.settings import Clock, RateMode


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may pass, and what its headers say; `retry_after` in whole seconds."""

    allowed: bool
    limit: int
    remaining: int
    retry_after: int = 0

    @property
    def headers(self) -> dict[str, str]:
        headers = {"X-RateLimit-Limit": str(self.limit), "X-RateLimit-Remaining": str(self.remaining)}
        if not self.allowed:
            headers["Retry-After"] = str(self.retry_after)
        return headers


class Limiter:
    """Counts the requests of one account; a refused request is recorded, but uses nothing up."""

    def __init__(self, clock: Clock, *, limit: int | None, window: float, mode: RateMode) -> None:
        self._clock = clock
        self.window = window
        self.arrivals = array("d")
        self.refused = 0
        self.set(limit, mode)

    def set(self, limit: int | None, mode: RateMode) -> None:
        """Change the rule and forget what was used up; the arrivals stay."""
        self.limit = limit
        self.mode = mode
        self._taken: deque[float] = deque()
        self._tokens = float(limit or 0)
        self._filled_at = self._clock.monotonic()

    def arrive(self) -> Verdict:
        """Judge a request that has just come in."""
        now = self._clock.monotonic()
        self.arrivals.append(now)
        if self.limit is None:
            return Verdict(allowed=True, limit=1_000_000, remaining=1_000_000)
        used, wait = self._bucket(now) if self.mode is RateMode.BUCKET else self._windowed(now)
        if used > self.limit:
            self.refused += 1
            return Verdict(allowed=False, limit=self.limit, remaining=0, retry_after=max(1, math.ceil(wait)))
        return Verdict(allowed=True, limit=self.limit, remaining=self.limit - used)

    def worst_window(self) -> int:
        """The most requests, let through or refused, in any window of that length."""
        worst = first = 0
        for last, at in enumerate(self.arrivals):
            while self.arrivals[first] <= at - self.window:
                first += 1
            worst = max(worst, last - first + 1)
        return worst

    def _windowed(self, now: float) -> tuple[int, float]:
        taken = self._taken
        if self.mode is RateMode.SLIDING:
            while taken and taken[0] <= now - self.window:
                taken.popleft()
        elif taken and taken[0] <= now - self.window:
            taken.clear()
        if self.limit is not None and len(taken) >= self.limit:
            return len(taken) + 1, taken[0] + self.window - now
        taken.append(now)
        return len(taken), 0.0

    def _bucket(self, now: float) -> tuple[int, float]:
        limit = self.limit or 0
        per_second = limit / self.window
        self._tokens = min(float(limit), self._tokens + (now - self._filled_at) * per_second)
        self._filled_at = now
        if self._tokens < 1:
            return limit + 1, (1 - self._tokens) / per_second if per_second else self.window
        self._tokens -= 1
        return limit - int(self._tokens), 0.0
