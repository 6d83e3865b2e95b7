"""Faults on demand: what a network and a service do to a client on a bad day."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any


class FaultKind(StrEnum):
    """What happens to a request; the first three do so before it has any effect."""

    REFUSE = "refuse"  # error envelope with `code`
    TOO_MANY = "too_many"  # 429 although nothing was used up
    ERROR_BEFORE = "error_500_before"
    SLOW_BEFORE = "slow_before"  # `seconds`
    SLOW_AFTER = "slow_after"  # committed, the answer comes `seconds` late
    ERROR_AFTER = "error_500_after_commit"
    LOSE_ANSWER = "lose_answer"  # committed, then the connection closes
    TRUNCATE = "truncate"  # committed, half of the answer arrives
    HTML = "html"  # committed, but a page comes with status 200
    LAG = "lag"  # a new document is invisible to reads for `seconds`


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault for the requests that it fits. It hits the next `times` of them (None: all), each with `probability`.

    `path` is a pattern such as `/api/1.0/documentos*`; an empty `method` fits all.
    """

    kind: FaultKind
    times: int | None = 1
    probability: float = 1.0
    method: str = ""
    path: str = "*"
    seconds: float = 0.0
    code: str = "276"
    status: int | None = None

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> "Fault":
        """From JSON; raises ValueError or TypeError for what makes no fault."""
        if "kind" not in values:
            raise ValueError(f"a fault needs a kind: {', '.join(FaultKind)}")
        return cls(**{**values, "kind": FaultKind(values["kind"])})

    def fits(self, method: str, path: str) -> bool:
        return self.method in ("", method) and fnmatchcase(path, self.path)


class Faults:
    """The faults in force, oldest first. Chance is seeded: the same calls meet the same faults."""

    def __init__(self, seed: str) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - repeatable on purpose, guards nothing
        self._faults: list[Fault] = []
        self.hits: dict[FaultKind, int] = {}

    def __iter__(self) -> Iterator[Fault]:
        return iter(tuple(self._faults))

    def add(self, *faults: Fault) -> None:
        self._faults.extend(faults)

    def clear(self) -> None:
        self._faults.clear()

    def hit(self, method: str, path: str) -> dict[FaultKind, Fault]:
        """The faults that this request meets, at most one of a kind."""
        if not self._faults:
            return {}
        met: dict[FaultKind, Fault] = {}
        for position, fault in enumerate(self._faults):
            if fault.kind in met or fault.times == 0 or not fault.fits(method, path):
                continue
            if fault.probability < 1 and self._chance.random() >= fault.probability:
                continue
            met[fault.kind] = fault
            self.hits[fault.kind] = self.hits.get(fault.kind, 0) + 1
            if fault.times is not None:
                self._faults[position] = replace(fault, times=fault.times - 1)
        self._faults = [fault for fault in self._faults if fault.times != 0]
        return met
