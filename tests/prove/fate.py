"""Death: at which of its steps a simulated process is killed, and that it does nothing more afterwards."""

from collections.abc import Callable, Coroutine, Generator
from contextvars import ContextVar
from typing import Any


class Killed(BaseException):
    """The process is no more: nothing that it still does reaches the ledger or the service."""


class Fate:
    """Counts a process's steps and kills it at the one that it was told.

    A step is every moment at which a task of the process goes on after it has waited, every statement and commit at
    its ledger, and every piece of a request or an answer on the wire. `requests` counts only what the service sees.
    """

    def __init__(self, steps: int | None = None, *, requests: int | None = None) -> None:
        self.dead = False
        self.at_death: Callable[[], None] = lambda: None
        self.left_behind: list[Callable[[], object]] = []  # how to close what it had open
        self._steps = steps
        self._requests = requests

    def step(self) -> None:
        """Raises Killed at the last step and at every one that would follow."""
        self.strikes()
        if self.dead:
            raise Killed

    def strikes(self) -> bool:
        """A step that is not the process's own doing: whether it was the last."""
        if self._steps is None or self.dead:
            return False
        self._steps -= 1
        return self._steps <= 0 and self._die()

    def strikes_at_service(self) -> bool:
        """A request has come, or its answer is ready: whether the asker dies now."""
        if self._requests is None or self.dead:
            return False
        self._requests -= 1
        return self._requests <= 0 and self._die()

    def _die(self) -> bool:
        self.dead = True
        self.at_death()
        return True


# Whose doing the present task is; nobody's is an onlooker's.
living: ContextVar[Fate | None] = ContextVar("living", default=None)


class Mortal:
    """Awaits a coroutine of a process that may die each time it goes on."""

    def __init__(self, work: Coroutine[Any, Any, object], fate: Fate) -> None:
        self._work = work
        self._fate = fate

    def __await__(self) -> Generator[Any, Any, None]:
        error: BaseException | None = None
        while True:
            try:
                self._fate.step()
            except Killed as killed:
                error = killed
            try:
                waits_for = self._work.send(None) if error is None else self._work.throw(error)
            except StopIteration:
                return
            error = None
            try:
                yield waits_for
            except BaseException as thrown:  # noqa: BLE001 - a cancellation is the coroutine's own to handle
                error = thrown
