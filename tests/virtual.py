"""An event loop whose time passes only while everybody sleeps: an hour of requests in a second, the same each time."""

import asyncio
import selectors
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

T = TypeVar("T")


class _Leap(selectors.DefaultSelector):
    """Does not wait for the next timer, but moves the clock to it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


@contextmanager
def _clock(selector: _Leap) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: selector.now)
        yield


def run(work: Coroutine[Any, Any, T]) -> T:
    """Like `asyncio.run`, with `time.monotonic` and the loop's timers leaping ahead."""
    selector = _Leap()
    with _clock(selector), asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        return runner.run(work)
