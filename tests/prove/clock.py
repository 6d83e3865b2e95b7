"""Simulated time: it stands still while anything can be done, and then jumps to whatever is due next.

A time-out of half a minute costs nothing, and nothing depends on how fast the machine is: a seed replays exactly.
"""

import asyncio
import selectors
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

_real = time.monotonic
# Where simulated seconds begin: the same in each replay, as fractions add up differently elsewhere.
_FIRST = 1000.0


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop that can simulate its time; until told so it is an ordinary one."""

    def __init__(self) -> None:
        self._seconds: float | None = None
        self._outside: list[Callable[[], bool]] = []
        self._day = datetime.min.replace(tzinfo=UTC)
        super().__init__(_Selector(self))

    def time(self) -> float:
        return _real() if self._seconds is None else self._seconds

    def now(self) -> datetime:
        """The simulated time of day. It begins near the real one, which a Postgres server goes by."""
        return self._day + timedelta(seconds=self.time() - _FIRST)

    @contextmanager
    def simulated(self) -> Iterator[None]:
        """Inside, the loop's time and `time.monotonic` are simulated."""
        self._seconds = _FIRST
        self._day = datetime.now(UTC).replace(second=0, microsecond=0)
        with patch.object(time, "monotonic", self.time):
            try:
                yield
            finally:
                self._seconds = None

    @contextmanager
    def outside(self, given_up: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Inside, something that is not simulated is waited for (a database server): time stands still.

        Not for those of whom `given_up` is true: who waits for something that another held when both died waits for ever.
        """
        self._outside.append(given_up)
        try:
            yield
        finally:
            self._outside.remove(given_up)

    def pass_over(self, seconds: float | None) -> float | None:
        """How long the selector may really wait, when it was asked to wait so long."""
        if self._seconds is None or seconds == 0:
            return seconds
        if not all(given_up() for given_up in self._outside):
            return None
        if seconds is None:
            raise RuntimeError("nothing is left that could ever happen")
        self._seconds += seconds
        return 0


def the_loop() -> SimulatedLoop:
    """The running one."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    return loop


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        return super().select(self._loop.pass_over(timeout))
